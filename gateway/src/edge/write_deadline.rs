//! A stream whose other end must keep reading: a write that gets nowhere for too
//! long ends the connection, and a drip does not count as getting somewhere.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::pipeline::connection::Connection;
use crate::telemetry::counters::Counters;

/// Bytes a client takes in each window once it has made us wait.
const MIN_PROGRESS_BYTES: usize = 1024;

pub struct WriteDeadline<S> {
    inner: S,
    connection: Arc<Connection>,
    window: Duration,
    counters: Arc<Counters>,
    /// Armed while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    written: usize,
}

impl<S> WriteDeadline<S> {
    pub fn new(
        inner: S,
        connection: Arc<Connection>,
        window: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        Self { inner, connection, window, counters, stall: None, written: 0 }
    }

    /// Nothing more is written, so nothing has to be watched.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn poll_stall<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.connection.writes.note_blocked();
        let window = self.window;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(window)));
        ready!(stall.as_mut().poll(cx));
        if self.written < MIN_PROGRESS_BYTES {
            self.counters.writes_stalled.increment();
            self.connection.note_stalled();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.written = 0;
        stall.as_mut().reset(Instant::now() + window);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn note_written(&mut self, bytes: usize) {
        self.connection.writes.note_written(bytes);
        if self.stall.is_some() {
            self.connection.writes.note_writable();
            self.written += bytes;
            if self.written >= MIN_PROGRESS_BYTES {
                self.stall = None;
                self.written = 0;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, out)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(cx, bytes) {
            Poll::Pending => self.poll_stall(cx),
            Poll::Ready(outcome) => {
                self.note_written(*outcome.as_ref().unwrap_or(&0));
                Poll::Ready(outcome)
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write_vectored(cx, slices) {
            Poll::Pending => self.poll_stall(cx),
            Poll::Ready(outcome) => {
                self.note_written(*outcome.as_ref().unwrap_or(&0));
                Poll::Ready(outcome)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Pending => self.poll_stall(cx),
            Poll::Ready(outcome) => {
                if self.stall.take().is_some() {
                    self.connection.writes.note_writable();
                }
                self.written = 0;
                Poll::Ready(outcome)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_shutdown(cx) {
            Poll::Pending => self.poll_stall(cx),
            Poll::Ready(outcome) => Poll::Ready(outcome),
        }
    }
}
