//! The byte gate of an HTTP/1 connection: reads for hyper, and lets through only
//! what the scanner has judged, as it came. Only a request line whose query hyper would
//! refuse goes through as the scanner has escaped it.
//!
//! A malformed head is replaced by a stand-in request, and the fault is noted on
//! the connection: so the refusal takes the ordinary way through the pipeline,
//! with its answer, its log line and its place in the order of pipelined requests,
//! and nothing after it is ever read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::http1::poll_read_at_most;
use crate::pipeline::connection::{Connection, Upgrade};
use crate::pipeline::reason::FramingFault;
use crate::telemetry::counters::Counters;

use super::framing::{HeadLimits, Line, RequestScanner};

/// Read in place of a malformed head. The connection closes after its answer.
const STAND_IN: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
const READ_BYTES: usize = 8 << 10;

pub struct RequestGate<S> {
    /// There until it is left behind.
    inner: Option<S>,
    connection: Arc<Connection>,
    scanner: RequestScanner,
    buffer: BytesMut,
    /// Leading bytes of the buffer that hyper may have.
    passable: usize,
    /// Before these: the request line as it was escaped.
    line: Bytes,
    stand_in: Option<&'static [u8]>,
    ended: bool,
    /// A body was malformed: nothing behind that is read.
    broken: bool,
    head_timeout: Duration,
    /// Runs from a head's first byte; for the first head from the start.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Interim responses on their way out.
    interim: Bytes,
    left: Left<S>,
    counters: Arc<Counters>,
}

/// What a gate leaves behind when it is closed for writing and its client may still be
/// sending: to linger, without hyper and its buffers.
pub struct Left<S>(Arc<Mutex<Option<S>>>);

impl<S> Clone for Left<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Default for Left<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> Left<S> {
    #[must_use]
    pub fn take(&self) -> Option<S> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> RequestGate<S> {
    pub fn new(
        inner: S,
        connection: Arc<Connection>,
        limits: HeadLimits,
        head_timeout: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            inner: Some(inner),
            connection,
            scanner: RequestScanner::new(limits),
            buffer: BytesMut::new(),
            passable: 0,
            line: Bytes::new(),
            stand_in: None,
            ended: false,
            broken: false,
            head_timeout,
            head_timer: Some(Box::pin(tokio::time::sleep(head_timeout))),
            interim: Bytes::new(),
            left: Left::default(),
            counters,
        }
    }

    /// Where the connection will be when it is to linger.
    #[must_use]
    pub fn left(&self) -> Left<S> {
        self.left.clone()
    }

    fn pass(&mut self, out: &mut ReadBuf<'_>) {
        let length = self.line.len().min(out.remaining());
        out.put_slice(&self.line.split_to(length));
        let length = self.passable.min(out.remaining());
        out.put_slice(&self.buffer[..length]);
        self.buffer.advance(length);
        self.passable -= length;
    }

    /// Puts a line in place of the one that was sent. The rest of its head stays passable, so
    /// that the line is passed on with it.
    fn replace(&mut self, line: Line) {
        self.buffer.advance(line.written);
        self.passable -= line.written;
        self.line = line.escaped;
    }

    fn inner(&mut self) -> io::Result<Pin<&mut S>>
    where
        S: Unpin,
    {
        self.inner.as_mut().map(Pin::new).ok_or_else(left_behind)
    }

    /// Whether the client may be in the middle of sending something.
    fn is_cut_short(&self) -> bool {
        let in_message = self.broken
            || self.stand_in.is_some()
            || !self.scanner.in_head()
            || !self.buffer.is_empty();
        in_message && !self.ended && self.connection.upgrade() != Upgrade::Tunnel
    }

    fn fail(&mut self, fault: FramingFault) {
        self.connection.set_fault(fault);
        self.stand_in = Some(STAND_IN);
        self.buffer.clear();
    }
}

impl<S: AsyncRead + Unpin> RequestGate<S> {
    /// Reads more into the buffer; the head's deadline runs meanwhile.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(READ_BYTES);
        }
        let Some(inner) = &mut self.inner else { return Poll::Ready(Err(left_behind())) };
        match tokio_util::io::poll_read_buf(Pin::new(inner), cx, &mut self.buffer)? {
            Poll::Ready(0) => {
                self.ended = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending => {
                if self.buffer.is_empty() && self.head_timer.is_none() {
                    // A quiet connection holds no memory for what may never come.
                    self.buffer = BytesMut::new();
                }
                self.poll_head_timer(cx)
            }
        }
    }

    fn poll_head_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.scanner.in_head() {
            return Poll::Pending;
        }
        if self.head_timer.is_none() && !self.buffer.is_empty() {
            self.head_timer = Some(Box::pin(tokio::time::sleep(self.head_timeout)));
        }
        if let Some(timer) = &mut self.head_timer {
            ready!(timer.as_mut().poll(cx));
            self.head_timer = None;
            if self.buffer.is_empty() {
                // Nothing was asked, so nothing is answered.
                self.counters.heads_timed_out.increment();
                self.ended = true;
            } else {
                self.fail(FramingFault::HeadTimeout);
            }
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestGate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if let Some(rest) = &mut this.stand_in {
                if rest.is_empty() {
                    // Not an end, at which hyper would leave without answering.
                    return Poll::Pending;
                }
                let length = rest.len().min(out.remaining());
                out.put_slice(&rest[..length]);
                *rest = &rest[length..];
                return Poll::Ready(Ok(()));
            }
            if this.passable > 0 {
                this.pass(out);
                return Poll::Ready(Ok(()));
            }
            if this.scanner.awaits_upgrade() {
                match ready!(this.connection.poll_upgrade(cx)) {
                    Upgrade::Undecided => return Poll::Pending,
                    Upgrade::Refused => {
                        this.connection.decide_upgrade(Upgrade::Undecided);
                        this.scanner.upgrade_refused();
                    }
                    Upgrade::Tunnel if this.buffer.is_empty() => {
                        let polled = this.inner()?.poll_read(cx, out);
                        if polled.is_pending() {
                            // A quiet tunnel holds no memory.
                            this.buffer = BytesMut::new();
                        }
                        return polled;
                    }
                    Upgrade::Tunnel => {
                        this.passable = this.buffer.len();
                        continue;
                    }
                }
            }
            let unlooked = usize::try_from(this.scanner.unlooked()).unwrap_or(usize::MAX);
            if unlooked > 0 && this.buffer.is_empty() {
                // A body of known length goes straight into hyper's buffer.
                let inner = this.inner.as_mut().ok_or_else(left_behind)?;
                let read = ready!(poll_read_at_most(inner, cx, out, unlooked))?;
                this.scanner.skip(read as u64);
                return Poll::Ready(Ok(()));
            }
            if !this.buffer.is_empty() {
                let in_head = this.scanner.in_head();
                match this.scanner.scan(&this.buffer) {
                    Ok(0) => {}
                    Ok(passable) => {
                        this.passable = passable;
                        this.head_timer = None;
                        if let Some(line) = this.scanner.take_line() {
                            this.replace(line);
                        }
                        if in_head && this.scanner.asks_upgrade() {
                            // Before hyper sees it: an older decision is not about this one.
                            this.connection.decide_upgrade(Upgrade::Undecided);
                        }
                        continue;
                    }
                    Err(fault) if in_head => {
                        this.fail(fault);
                        continue;
                    }
                    Err(fault) => {
                        this.connection.set_fault(fault);
                        this.broken = true;
                        this.buffer.clear();
                        return Poll::Ready(Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            fault.code(),
                        )));
                    }
                }
            }
            if this.ended || this.broken {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_fill(cx))?;
        }
    }
}

impl<S: AsyncWrite + Unpin> RequestGate<S> {
    /// Finishes interim bytes that have begun to go out.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let inner = self.inner.as_mut().ok_or_else(left_behind)?;
            let written = ready!(Pin::new(inner).poll_write(cx, &self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for RequestGate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        self.inner()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        self.inner()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    /// hyper flushes when it has nothing left to write: only then do interim
    /// responses stand between two answers and not inside one.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty()
            && let Some(interim) = self.connection.take_interim()
        {
            self.interim = interim;
        }
        ready!(self.poll_interim(cx))?;
        self.inner()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(Ok(())) };
        ready!(Pin::new(inner).poll_shutdown(cx))?;
        if self.is_cut_short() {
            let inner = self.inner.take();
            *self.left.lock() = inner;
        }
        Poll::Ready(Ok(()))
    }
}

fn left_behind() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

#[cfg(test)]
mod tests;
