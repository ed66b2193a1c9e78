//! What goes to an upstream and comes back, in no library's words.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

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

/// A connection that has switched to another protocol, once the head of its 101 is read.
pub struct Switched {
    stream: OnUpgrade,
    /// One of those that may be in use at once, until this is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

impl Switched {
    /// Of a response with status 101.
    pub(super) fn new(response: &mut Response, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream: hyper::upgrade::on(response), permit }
    }

    /// What lies behind the head.
    ///
    /// # Errors
    /// When the connection ended before.
    pub async fn open(self) -> Result<Tunnel, BoxError> {
        Ok(Tunnel { io: TokioIo::new(self.stream.await?), _permit: self.permit })
    }
}

/// A connection behind a 101. It counts as one in use until it is dropped.
pub struct Tunnel {
    io: TokioIo<Upgraded>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
