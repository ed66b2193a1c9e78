//! What an upstream says first on a connection that was opened for HTTP/2: a server of
//! HTTP/1 takes the preface (RFC 9113 3.4) for a bad request, and answers it as one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What every response of HTTP/1 begins with. As a frame of HTTP/2 it would have more than
/// four million bytes, which no server may send before it is asked for so much.
const HTTP1: &[u8] = b"HTTP/1";

pub(super) struct Preface<S> {
    inner: S,
    /// How much of [`HTTP1`] has been seen; `None` once it is something else.
    seen: Option<usize>,
    answered_http1: Arc<AtomicBool>,
}

impl<S> Preface<S> {
    pub(super) fn new(inner: S, answered_http1: Arc<AtomicBool>) -> Self {
        Self { inner, seen: Some(0), answered_http1 }
    }

    fn note(&mut self, bytes: &[u8]) {
        let Some(seen) = self.seen else { return };
        let expected = &HTTP1[seen..];
        let length = bytes.len().min(expected.len());
        self.seen = (bytes[..length] == expected[..length]).then_some(seen + length);
        if self.seen == Some(HTTP1.len()) {
            self.answered_http1.store(true, Ordering::Release);
            self.seen = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Preface<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, out))?;
        self.note(&out.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Preface<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
