//! The byte gate of an upstream's HTTP/1 connection: reads for hyper, and lets
//! through only what the scanner of responses has judged.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use http::Method;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http1::{FramingFault, poll_read_at_most};

use super::framing::{Asked, ResponseScanner};

const READ_BYTES: usize = 8 << 10;
/// Of a body at once: what every client holds twice that does not read. Less than hyper's
/// buffer has room for, which it would double, by the head of a frame of HTTP/2.
const FEW_BYTES: usize = (8 << 10) - 9;
/// Once so much has been passed on of one answer, more than we and the kernel keep for a
/// client, it reads; larger pieces cost less.
const TAKEN_BYTES: u64 = 256 << 10;
const MANY_BYTES: usize = (32 << 10) - 18;

/// What was asked on a connection and not yet answered, told by whoever sends.
#[derive(Debug, Default)]
pub struct Question {
    asked: AtomicU8,
    /// The upstream takes nothing more; it may have said why before.
    unheard: AtomicBool,
}

const NOTHING: u8 = 0;
const HEAD: u8 = 1;
const OTHER: u8 = 2;

impl Question {
    /// Before the request is handed over.
    pub fn ask(&self, method: &Method) {
        let asked = if method == Method::HEAD { HEAD } else { OTHER };
        self.asked.store(asked, Ordering::Release);
    }

    fn answered(&self) {
        self.asked.store(NOTHING, Ordering::Release);
    }

    /// Whether some of what was asked went nowhere. Nothing more is asked here.
    pub(super) fn is_unheard(&self) -> bool {
        self.unheard.load(Ordering::Acquire)
    }

    fn asked(&self) -> Asked {
        match self.asked.load(Ordering::Acquire) {
            HEAD => Asked::Head,
            OTHER => Asked::Other,
            _ => Asked::Nothing,
        }
    }
}

/// An answer that can be read in two ways, as the cause of an I/O error.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.code())]
pub struct Malformed(pub FramingFault);

pub struct ResponseGate<S> {
    inner: S,
    question: Arc<Question>,
    scanner: ResponseScanner,
    buffer: BytesMut,
    /// Leading bytes of the buffer that hyper may have.
    passable: usize,
    /// Of the present answer's body, without a look.
    passed: u64,
    ended: bool,
}

impl<S> ResponseGate<S> {
    pub fn new(inner: S, question: Arc<Question>) -> Self {
        let scanner = ResponseScanner::default();
        let buffer = BytesMut::new();
        Self { inner, question, scanner, buffer, passable: 0, passed: 0, ended: false }
    }

    /// Of a body at once.
    fn most(&self) -> usize {
        if self.passed < TAKEN_BYTES { FEW_BYTES } else { MANY_BYTES }
    }

    fn answered(&mut self) {
        self.question.answered();
        self.passed = 0;
    }

    /// An upstream may answer before it has read a request, and close: hyper would give up
    /// at the write that fails, with the answer unread. So it goes on, and the rest of the
    /// request nowhere; what there is to read says how the exchange ends.
    fn outlive(&self, written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        use io::ErrorKind as K;
        match written {
            Poll::Ready(Err(error))
                if matches!(error.kind(), K::BrokenPipe | K::ConnectionReset)
                    && self.question.asked() != Asked::Nothing =>
            {
                self.question.unheard.store(true, Ordering::Release);
                Poll::Ready(Ok(length))
            }
            written => written,
        }
    }
}

impl<S: AsyncRead + Unpin> ResponseGate<S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(READ_BYTES);
        }
        match tokio_util::io::poll_read_buf(Pin::new(&mut self.inner), cx, &mut self.buffer)? {
            Poll::Ready(read) => {
                self.ended = read == 0;
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                if self.buffer.is_empty() && self.scanner.in_head() {
                    // An idle connection holds no memory.
                    self.buffer = BytesMut::new();
                }
                Poll::Pending
            }
        }
    }

    /// Bytes that need no look go straight into hyper's buffer.
    fn poll_unlooked(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
        unlooked: usize,
    ) -> Poll<io::Result<()>> {
        let most = unlooked.min(self.most());
        let polled = poll_read_at_most(&mut self.inner, cx, out, most);
        if polled.is_pending() {
            // Nor does one that waits for more of a body, nor a quiet tunnel.
            self.buffer = BytesMut::new();
        }
        let read = ready!(polled)?;
        self.passed += read as u64;
        if self.scanner.skip(read as u64) {
            self.answered();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ResponseGate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.passable > 0 {
                let length = this.passable.min(out.remaining()).min(FEW_BYTES);
                out.put_slice(&this.buffer[..length]);
                this.buffer.advance(length);
                this.passable -= length;
                if this.buffer.is_empty() && this.scanner.unlooked() > 0 {
                    // The rest goes past it.
                    this.buffer = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            if this.scanner.is_over() {
                this.buffer = BytesMut::new();
                return Poll::Ready(Ok(()));
            }
            if !this.buffer.is_empty() {
                match this.scanner.scan(&this.buffer, this.question.asked()) {
                    Ok((0, _)) => {}
                    Ok((passable, complete)) => {
                        this.passable = passable;
                        if complete {
                            this.answered();
                        }
                        continue;
                    }
                    Err(fault) => {
                        this.buffer.clear();
                        let error = io::Error::new(io::ErrorKind::InvalidData, Malformed(fault));
                        return Poll::Ready(Err(error));
                    }
                }
            } else if this.scanner.unlooked() > 0 && !this.ended {
                let unlooked = usize::try_from(this.scanner.unlooked()).unwrap_or(usize::MAX);
                return this.poll_unlooked(cx, out, unlooked);
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_fill(cx))?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ResponseGate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.question.is_unheard() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.outlive(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.question.is_unheard() {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.outlive(written, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.question.is_unheard() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.inner).poll_flush(cx).map_ok(|()| 0);
        self.outlive(flushed, 0).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
