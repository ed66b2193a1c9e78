//! What goes to an upstream and comes back, in no library's words.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What follows the head of a request. Read once, from its beginning to its end. A failure of
/// it ends the exchange with [`super::error::Cause::Body`]; behind the response's head it ends
/// the connection.
pub type Content = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// Hears of interim responses (RFC 9110 15.2) but 101, as they come over HTTP/1.1.
pub type Interim = Arc<dyn Fn(StatusCode, &HeaderMap) + Send + Sync>;

/// A request, as its upstream is to get it. Fields of framing are the connection's: those
/// that are here are replaced.
#[derive(Clone)]
pub struct Head {
    pub method: Method,
    pub target: PathAndQuery,
    /// What is asked for, unless the upstream is configured to be asked by another name.
    pub host: HeaderValue,
    pub fields: HeaderMap,
    pub interim: Option<Interim>,
}

/// A response's head, and its body as it comes.
pub type Response = http::Response<Received>;

/// The body of a response.
pub struct Received(pub(super) Incoming);

impl Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
