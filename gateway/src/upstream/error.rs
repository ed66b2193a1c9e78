//! Why an exchange has no response: what failed, and how far the request had got.

use super::gate::Malformed;
use super::retry::Reached;

/// An exchange that failed.
#[derive(Debug)]
pub struct Failure {
    pub cause: Cause,
    /// The furthest of all tries.
    pub reached: Reached,
    /// In the words of what failed, for the log.
    pub detail: Option<String>,
}

/// Of [`Cause::ClientCertificate`], in the log.
pub const CLIENT_CERTIFICATE_CODE: &str = "upstream_client_certificate";

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// What is asked cannot be put into a request.
    Target,
    /// The source of the request's body.
    Body,
    /// The holder's other requests take all that it may have of the upstream.
    Share,
    /// Every connection that may be open is in use.
    Saturated,
    Connect,
    ConnectTimeout,
    Tls,
    /// It refuses who has no client certificate.
    ClientCertificate,
    /// It speaks no HTTP/2, and is configured to.
    NoHttp2,
    /// It speaks HTTP/2 alone, which cannot switch to another protocol.
    NoUpgrade,
    /// The connection ended before the response.
    Closed,
    /// The response can be read in two ways, or in none.
    Protocol,
    /// A defect of the gateway.
    Internal,
}

impl Cause {
    #[must_use]
    pub fn with_detail(self, detail: impl ToString) -> Failure {
        Failure { detail: Some(detail.to_string()), ..self.into() }
    }
}

/// Nothing of the request has left the gateway.
impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self { cause, reached: Reached::Gateway, detail: None }
    }
}

/// What an error of the library says of the upstream, without what TLS knows of it.
pub(super) fn failure(error: &hyper::Error) -> Failure {
    let cause =
        if error.is_parse() || is_malformed(error) { Cause::Protocol } else { Cause::Closed };
    cause.with_detail(describe(error))
}

/// Whether our own gate has stopped the response.
fn is_malformed(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .is_some_and(|cause| cause.downcast_ref::<Malformed>().is_some())
}

/// The error with its causes: the library's own words seldom suffice.
pub(super) fn describe(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
