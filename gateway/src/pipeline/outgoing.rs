//! Answers on their way out: what a client of HTTP/2 was handed of each, and what it has
//! taken. A stream that takes nothing is ended by itself, and no other with it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::task::AbortHandle;

use super::connection::Connection;

/// A client takes at least this much of an answer in each window of `write_progress`.
pub const MIN_PROGRESS_BYTES: u64 = 1024;

/// One stream's answer.
pub struct Outgoing {
    connection: Arc<Connection>,
    /// Bytes given to the library, and of those, bytes written or given up.
    handed: AtomicU64,
    taken: AtomicU64,
    /// Where the present window begins, by the connection's clock, and what had been
    /// taken by then.
    window_began: AtomicU64,
    window_taken: AtomicU64,
    stalled: AtomicBool,
    /// What serves the stream.
    task: OnceLock<AbortHandle>,
}

/// How a client does with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nothing waits for it.
    Idle,
    /// It must take something within this time.
    Waiting(Duration),
    Stalled,
}

/// What became of the streams that were found stalled.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Streams that were reset.
    pub reset: u64,
    /// One was complete but for bytes in the library's hands, from where only the
    /// connection's end takes them.
    pub lost: bool,
    /// When to look again.
    pub next: Option<Duration>,
}

impl Outgoing {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            handed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            window_began: AtomicU64::new(0),
            window_taken: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            task: OnceLock::new(),
        }
    }

    /// What serves the stream, and is to end with it.
    pub fn set_task(&self, task: AbortHandle) {
        // Told once, by whoever has just started it.
        let _ = self.task.set(task);
    }

    /// Whether it was ended because its client took nothing.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }

    /// A piece for the library, which writes it as the client makes room.
    pub(super) fn hand_over(self: &Arc<Self>, bytes: Bytes) -> Piece {
        let taken = self.taken.load(Ordering::Acquire);
        if self.handed.load(Ordering::Acquire) == taken {
            // Before it is handed over: else whoever judges meanwhile sees it wait since
            // the last one.
            self.begin_window(taken);
        }
        self.handed.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        Piece { bytes, outgoing: Some(Arc::clone(self)) }
    }

    fn take(&self, count: u64) {
        let taken = self.taken.fetch_add(count, Ordering::AcqRel) + count;
        if taken - self.window_taken.load(Ordering::Relaxed) >= MIN_PROGRESS_BYTES {
            self.begin_window(taken);
        }
    }

    fn begin_window(&self, taken: u64) {
        self.window_taken.store(taken, Ordering::Relaxed);
        self.window_began.store(self.connection.writable_ms(), Ordering::Release);
    }

    fn pace(&self, window: Duration, now: u64) -> Pace {
        let taken = self.taken.load(Ordering::Acquire);
        if self.handed.load(Ordering::Acquire) <= taken {
            return Pace::Idle;
        }
        let waited = now.saturating_sub(self.window_began.load(Ordering::Acquire));
        let left = window.saturating_sub(Duration::from_millis(waited));
        if left.is_zero() { Pace::Stalled } else { Pace::Waiting(left) }
    }

    /// Ends the stream's task, and with that the stream; whether there was one.
    fn end(&self) -> bool {
        let Some(task) = self.task.get().filter(|task| !task.is_finished()) else {
            return false;
        };
        self.stalled.store(true, Ordering::Release);
        task.abort();
        true
    }

    /// Looks at each stream, and ends those that have stalled.
    pub(super) fn judge(
        streams: impl Iterator<Item = Arc<Self>>,
        window: Duration,
        now: u64,
    ) -> Judged {
        let mut judged = Judged::default();
        for stream in streams {
            match stream.pace(window, now) {
                Pace::Idle => {}
                Pace::Waiting(left) => {
                    judged.next = Some(judged.next.map_or(left, |next| next.min(left)));
                }
                Pace::Stalled if stream.is_stalled() => {}
                Pace::Stalled if stream.end() => judged.reset += 1,
                Pace::Stalled => judged.lost = true,
            }
        }
        judged
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.connection.forget_stream(self);
    }
}

/// Bytes of an answer in the library's hands, which tell when they were written.
pub struct Piece {
    bytes: Bytes,
    outgoing: Option<Arc<Outgoing>>,
}

impl From<Bytes> for Piece {
    /// Over HTTP/1.1 the socket itself shows whether a client reads.
    fn from(bytes: Bytes) -> Self {
        Self { bytes, outgoing: None }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(outgoing) = &self.outgoing {
            outgoing.take(count as u64);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(outgoing) = &self.outgoing
            && self.bytes.has_remaining()
        {
            // Nobody waits for it any more.
            outgoing.taken.fetch_add(self.bytes.remaining() as u64, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests;
