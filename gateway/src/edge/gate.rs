//! The byte gate of an HTTP/1 connection: reads for hyper, and lets through only
//! what the scanner has judged.
//!
//! A malformed head is replaced by a stand-in request, and the fault is noted on
//! the connection: so the refusal takes the ordinary way through the pipeline,
//! with its answer, its log line and its place in the order of pipelined requests,
//! and nothing after it is ever read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::http1::poll_read_at_most;
use crate::pipeline::connection::{Connection, Upgrade};
use crate::pipeline::reason::FramingFault;
use crate::telemetry::counters::Counters;

use super::framing::{HeadLimits, Scanner};

/// Read in place of a malformed head. The connection closes after its answer.
const STAND_IN: &[u8] = b"GET / HTTP/1.0\r\nhost: malformed.invalid\r\n\r\n";
const READ_BYTES: usize = 8 << 10;

pub struct Gate<S> {
    inner: S,
    connection: Arc<Connection>,
    scanner: Scanner,
    buffer: BytesMut,
    /// Leading bytes of the buffer that hyper may have.
    passable: usize,
    stand_in: Option<&'static [u8]>,
    ended: bool,
    head_timeout: Duration,
    /// Runs from a head's first byte; for the first head from the start.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Interim responses on their way out.
    interim: Bytes,
    linger: Option<Linger>,
    counters: Arc<Counters>,
}

/// Reading on after the last byte was written.
struct Linger {
    deadline: Pin<Box<Sleep>>,
    left: usize,
}

/// A client still sending when we close would be reset, and lose the answer that
/// says why. This much of what it sends is read and thrown away first.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 << 10;

impl<S> Gate<S> {
    pub fn new(
        inner: S,
        connection: Arc<Connection>,
        limits: HeadLimits,
        head_timeout: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            inner,
            connection,
            scanner: Scanner::new(limits),
            buffer: BytesMut::new(),
            passable: 0,
            stand_in: None,
            ended: false,
            head_timeout,
            head_timer: Some(Box::pin(tokio::time::sleep(head_timeout))),
            interim: Bytes::new(),
            linger: None,
            counters,
        }
    }

    fn pass(&mut self, out: &mut ReadBuf<'_>) {
        let length = self.passable.min(out.remaining());
        out.put_slice(&self.buffer[..length]);
        self.buffer.advance(length);
        self.passable -= length;
    }

    /// Whether the client may be in the middle of sending something.
    fn is_cut_short(&self) -> bool {
        !self.ended
            && (!self.scanner.in_head() || self.stand_in.is_some() || !self.buffer.is_empty())
            && self.connection.upgrade() != Upgrade::Tunnel
    }

    fn fail(&mut self, fault: FramingFault) {
        self.connection.set_fault(fault);
        self.stand_in = Some(STAND_IN);
        self.buffer.clear();
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Reads more into the buffer; the head's deadline runs meanwhile.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(READ_BYTES);
        }
        match tokio_util::io::poll_read_buf(Pin::new(&mut self.inner), cx, &mut self.buffer)? {
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

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Until the client has closed its side, or has had its chance.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        while let Some(linger) = &mut self.linger {
            if linger.left == 0 || linger.deadline.as_mut().poll(cx).is_ready() {
                break;
            }
            let mut out = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut out)) {
                Ok(()) if !out.filled().is_empty() => {
                    linger.left = linger.left.saturating_sub(out.filled().len());
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
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
                        let polled = Pin::new(&mut this.inner).poll_read(cx, out);
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
                let read = ready!(poll_read_at_most(&mut this.inner, cx, out, unlooked))?;
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
                        this.ended = true;
                        this.buffer.clear();
                        return Poll::Ready(Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            fault.code(),
                        )));
                    }
                }
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_fill(cx))?;
        }
    }
}

impl<S: AsyncWrite + Unpin> Gate<S> {
    /// Finishes interim bytes that have begun to go out.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
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
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            if !self.is_cut_short() {
                return Poll::Ready(Ok(()));
            }
            let deadline = Box::pin(tokio::time::sleep(LINGER));
            self.linger = Some(Linger { deadline, left: LINGER_BYTES });
        }
        self.poll_linger(cx)
    }
}
