//! Watches the frames of an HTTP/2 connection go by. Frames that ask for work and
//! bring none (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM, empty DATA, kinds
//! nobody knows) are each harmless and each somebody's flood; so they are counted
//! together, against the requests and data that give a reason for them.
//!
//! Nothing is written while a response is handed to the library: between the head and the
//! body, which it takes one after the other, another thread would write the head alone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::pipeline::connection::{Abuse, Connection};

/// Frames without a reason that a client may send in [`WINDOW`].
const MAX_IDLE_FRAMES: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(10);
/// A request or a piece of data, either way, is a reason for so many: flow control
/// on the stream and the connection, a priority, a measurement.
const REASONED_FRAMES: u32 = 4;

const PREFACE_BYTES: u64 = 24;
const FRAME_HEAD_BYTES: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;

pub struct Meter<S> {
    inner: S,
    connection: Arc<Connection>,
    received: Frames,
    sent: Frames,
    idle: u32,
    window_began: Instant,
    flooded: bool,
    /// How many responses it has seen handed over.
    handed_over: u64,
}

impl<S> Meter<S> {
    pub fn new(inner: S, connection: Arc<Connection>) -> Self {
        Self {
            inner,
            connection,
            received: Frames { payload_left: PREFACE_BYTES, ..Frames::default() },
            sent: Frames::default(),
            idle: 0,
            window_began: Instant::now(),
            flooded: false,
            handed_over: 0,
        }
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.writes.poll_ready(cx, &mut self.handed_over)
    }

    fn note_received(&mut self, bytes: &[u8]) {
        let idle = &mut self.idle;
        let mut over = false;
        self.received.follow(bytes, |frame| {
            match frame {
                // Bounded by the library, which must see a block whole.
                Frame { kind: CONTINUATION, .. } => {}
                frame if frame.is_reason() => *idle = idle.saturating_sub(REASONED_FRAMES),
                _ => *idle += 1,
            }
            over |= *idle > MAX_IDLE_FRAMES;
        });
        if over {
            if self.window_began.elapsed() > WINDOW {
                (self.idle, self.window_began) = (0, Instant::now());
            } else {
                self.flooded = true;
                self.connection.end_for(Abuse::Frames);
            }
        }
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        let idle = &mut self.idle;
        self.sent.follow(bytes, |frame| {
            if frame.is_reason() {
                *idle = idle.saturating_sub(REASONED_FRAMES);
            }
        });
    }
}

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    length: u32,
}

impl Frame {
    fn is_reason(self) -> bool {
        match self.kind {
            HEADERS => true,
            DATA => self.length > 0 || self.flags & END_STREAM != 0,
            _ => false,
        }
    }
}

/// The place in one direction's frames.
#[derive(Debug, Default)]
struct Frames {
    payload_left: u64,
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8], mut noted: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.payload_left)
                .map_or(bytes.len(), |left| left.min(bytes.len()));
            self.payload_left -= skipped as u64;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(FRAME_HEAD_BYTES - self.head_bytes);
            self.head[self.head_bytes..][..taken].copy_from_slice(&bytes[..taken]);
            self.head_bytes += taken;
            bytes = &bytes[taken..];
            if self.head_bytes == FRAME_HEAD_BYTES {
                let [high, middle, low, kind, flags, ..] = self.head;
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.head_bytes = 0;
                self.payload_left = u64::from(length);
                noted(Frame { kind, flags, length });
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Meter<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.flooded {
            // The connection is about to end; nothing more is worth reading.
            return Poll::Pending;
        }
        let before = out.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, out);
        self.note_received(&out.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Meter<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_writable(cx));
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            self.note_sent(&bytes[..written]);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_writable(cx));
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(written)) = polled {
            let mut left = written;
            for slice in slices {
                let taken = left.min(slice.len());
                self.note_sent(&slice[..taken]);
                left -= taken;
            }
        }
        polled
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

#[cfg(test)]
mod tests {
    use super::{DATA, Frame, Frames, HEADERS};

    #[test]
    fn frames_are_found_wherever_the_bytes_are_cut() {
        let bytes =
            [&[0, 0, 3, 1, 4, 0, 0, 0, 1, 9, 9, 9][..], &[0, 0, 0, 0, 1, 0, 0, 0, 1]].concat();
        let expected = [
            Frame { kind: HEADERS, flags: 4, length: 3 },
            Frame { kind: DATA, flags: 1, length: 0 },
        ];
        for piece in 1..=bytes.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                frames.follow(piece, |frame| found.push(frame));
            }
            assert_eq!(found, expected, "in pieces of {piece}");
        }
    }
}
