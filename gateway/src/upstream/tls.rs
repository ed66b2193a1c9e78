//! TLS to one upstream, for exchanges of every kind.

use std::path::Path;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::config::UpstreamProtocol;
use crate::trust::{self, Connector, Fault};

use super::error::{Cause, Failure};

/// What an exchange needs of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Whatever it settles on.
    Any,
    /// HTTP/1.1, which alone can switch to another protocol.
    Http1,
}

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// How an upstream is connected to over TLS.
#[derive(Clone)]
pub struct OutboundTls {
    any: Connector,
    http1: Connector,
    name: ServerName<'static>,
    protocol: UpstreamProtocol,
}

impl OutboundTls {
    /// `host` as a URL has it. The certificate is verified against `roots`, or against the
    /// system's authorities.
    ///
    /// # Errors
    /// When `roots` cannot be read, or no certificate can be for `host`.
    pub fn new(
        host: &str,
        protocol: UpstreamProtocol,
        roots: Option<&Path>,
    ) -> Result<Self, String> {
        let offered: &[&[u8]] = match protocol {
            UpstreamProtocol::Auto => &[HTTP2, HTTP1],
            UpstreamProtocol::Http1 => &[HTTP1],
            UpstreamProtocol::Http2 => &[HTTP2],
        };
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let any = Connector::new(roots, offered)?;
        Ok(Self { http1: any.with_protocols(&[HTTP1]), any, name, protocol })
    }

    /// Whether a connection for any exchange may settle on HTTP/2 or on HTTP/1.1.
    #[must_use]
    pub fn chooses(&self) -> bool {
        self.protocol == UpstreamProtocol::Auto
    }

    /// # Errors
    /// Why there is no connection that can carry what it is needed for.
    pub async fn connect(
        &self,
        tcp: TcpStream,
        need: Need,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let connector = match need {
            Need::Any => &self.any,
            Need::Http1 => &self.http1,
        };
        let connecting = connector.tls().connect(self.name.clone(), tcp);
        let tls = connecting.await.map_err(|error| {
            let cause = self.cause(self.judge(&error), need);
            cause.with_detail(trust::describe(&error, trust::ROOTS))
        })?;
        if self.protocol == UpstreamProtocol::Http2 && !speaks_http2(&tls) {
            return Err(Cause::NoHttp2.with_detail("ALPN settled on no protocol"));
        }
        Ok(tls)
    }

    /// What an error on a connection says about the upstream.
    #[must_use]
    pub fn judge(&self, error: &(dyn std::error::Error + 'static)) -> Fault {
        self.any.judge(error)
    }

    /// Whether the upstream has asked for a client certificate; the gateway has none.
    #[must_use]
    pub fn has_been_asked(&self) -> bool {
        self.any.has_been_asked()
    }

    fn cause(&self, fault: Fault, need: Need) -> Cause {
        match (fault, self.protocol, need) {
            (Fault::WantsCertificate, ..) => Cause::ClientCertificate,
            (Fault::NoProtocol, UpstreamProtocol::Http2, _) => Cause::NoHttp2,
            (Fault::NoProtocol, _, Need::Http1) => Cause::NoUpgrade,
            _ => Cause::Tls,
        }
    }
}

/// Whether ALPN settled on HTTP/2.
#[must_use]
pub fn speaks_http2(tls: &TlsStream<TcpStream>) -> bool {
    tls.get_ref().1.alpn_protocol() == Some(HTTP2)
}
