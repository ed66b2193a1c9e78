//! Requests to a service over verified TLS: no redirects, no answer larger than
//! allowed, and nothing of what was sent or received in an error.

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::auth::federation::FederationError;
use crate::config::ServiceUrl;
use crate::trust;

/// Where requests go.
pub(super) struct Service {
    url: ServiceUrl,
    host: HeaderValue,
    name: ServerName<'static>,
    connector: TlsConnector,
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Service {
    /// # Errors
    /// When the host of the URL cannot be in a certificate.
    pub(super) fn new(url: ServiceUrl, connector: TlsConnector) -> Result<Self, String> {
        let name = ServerName::try_from(url.host().to_owned());
        let name = name.map_err(|error| error.to_string())?;
        let host = HeaderValue::from_str(url.authority.as_str());
        let host = host.map_err(|error| error.to_string())?;
        Ok(Self { url, host, name, connector })
    }

    pub(super) fn url(&self) -> &ServiceUrl {
        &self.url
    }

    /// Sends a request whose target is relative to the service's URL. Each has a
    /// connection of its own: there are few, and none is ever stale.
    ///
    /// # Errors
    /// Why there is no whole answer.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Answer, FederationError> {
        let target = format!("{}{}", self.url.path, request.uri());
        *request.uri_mut() = target.parse::<Uri>().map_err(|error| unavailable(&error))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("close"));

        let port = self.url.authority.port_u16().unwrap_or(443);
        let tcp = TcpStream::connect((self.url.host(), port)).await;
        let tcp = tcp.map_err(|error| unavailable(&error))?;
        let tls = self.connector.connect(self.name.clone(), tcp).await;
        let tls = tls
            .map_err(|error| FederationError::Unavailable(trust::describe(&error, trust::ROOTS)))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(64 << 10)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(|error| failure(&error))?;
        let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
        let response = sender.send_request(request).await.map_err(|error| failure(&error))?;
        let (head, body) = response.into_parts();
        let body = collect(body, limit).await?;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, FederationError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(FederationError::InvalidResponse(format!("more than {limit} bytes")))
        }
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(failure(&error)),
            Err(error) => Err(unavailable(error.as_ref())),
        },
    }
}

fn failure(error: &hyper::Error) -> FederationError {
    if error.is_parse() {
        FederationError::InvalidResponse(chain(error))
    } else {
        FederationError::Unavailable(chain(error))
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> FederationError {
    FederationError::Unavailable(chain(error))
}

/// The error with its causes: the outermost seldom says what happened.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
