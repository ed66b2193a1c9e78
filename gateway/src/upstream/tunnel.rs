//! A connection behind a response with status 101.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use super::endpoint::Load;
use super::message::{BoxError, Response};

/// A connection that has switched to another protocol, once the head of its 101 is read.
pub struct Switched {
    stream: OnUpgrade,
    /// One of those that may be in use at once, until this is dropped.
    permit: Option<OwnedSemaphorePermit>,
    load: Load,
}

impl Switched {
    /// Of a response with status 101.
    pub(super) fn new(
        response: &mut Response,
        permit: Option<OwnedSemaphorePermit>,
        load: Load,
    ) -> Self {
        Self { stream: hyper::upgrade::on(response), permit, load }
    }

    /// What lies behind the head.
    ///
    /// # Errors
    /// When the connection ended before.
    pub async fn open(self) -> Result<Tunnel, BoxError> {
        let io = TokioIo::new(self.stream.await?);
        Ok(Tunnel { io, _permit: self.permit, _load: self.load })
    }
}

/// A connection behind a 101. It counts as one in use, and as a load, until it is dropped.
pub struct Tunnel {
    io: TokioIo<Upgraded>,
    _permit: Option<OwnedSemaphorePermit>,
    _load: Load,
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
