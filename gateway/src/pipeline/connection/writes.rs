//! What the socket of a connection takes of what is written, and when it is written to.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Shared by what writes to the socket and by the responses that go over it.
pub struct Writes {
    opened: Instant,
    /// Since when the socket has had no room, as milliseconds after `opened` and one, and
    /// how long it had none before.
    blocked_since: AtomicU64,
    blocked_ms: AtomicU64,
    /// Bytes that it took.
    written: AtomicU64,
    /// Responses that are being handed over, and are to be written together.
    held: AtomicUsize,
    /// How many have been.
    releases: AtomicU64,
    /// Who waits to write.
    writer: Mutex<Option<Waker>>,
}

/// What a socket has done since its connection was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    pub age_ms: u64,
    /// Of that, the time in which it had no room.
    pub blocked_ms: u64,
    /// Bytes that it took.
    pub written: u64,
}

impl Default for Writes {
    /// Of a connection that opens now.
    fn default() -> Self {
        Self {
            opened: Instant::now(),
            blocked_since: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
            written: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            releases: AtomicU64::new(0),
            writer: Mutex::default(),
        }
    }
}

impl Writes {
    /// The socket has no room for what is written.
    pub fn note_blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_since.store(self.age_ms() + 1, Ordering::Release);
        }
    }

    /// It has room again.
    pub fn note_writable(&self) {
        let since = self.blocked_since.load(Ordering::Relaxed);
        if since > 0 {
            let blocked = self.age_ms().saturating_sub(since - 1);
            // First, so that no stream's window begins with this time in it twice.
            self.blocked_since.store(0, Ordering::Release);
            self.blocked_ms.fetch_add(blocked, Ordering::AcqRel);
        }
    }

    /// It took so many bytes.
    pub fn note_written(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether bytes wait for room.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked_since.load(Ordering::Acquire) > 0
    }

    /// Nothing is written until as many releases.
    pub(in crate::pipeline) fn hold(&self) {
        self.held.fetch_add(1, Ordering::SeqCst);
    }

    pub(in crate::pipeline) fn release(&self) {
        self.releases.fetch_add(1, Ordering::SeqCst);
        self.held.fetch_sub(1, Ordering::SeqCst);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Ready when nothing holds up what is to be written, for who has seen so many releases.
    /// Behind another one it is asked once more: the library may have taken the head of what
    /// was handed over for this write, and takes the rest as well when it is polled again.
    pub fn poll_ready(&self, cx: &mut Context<'_>, seen: &mut u64) -> Poll<()> {
        let is_held = || self.held.load(Ordering::SeqCst) > 0;
        if is_held() {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            *writer = Some(cx.waker().clone());
        }
        // Again, for it may have been released before the waker was in place.
        if is_held() {
            return Poll::Pending;
        }
        let releases = self.releases.load(Ordering::SeqCst);
        if std::mem::replace(seen, releases) != releases {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    #[must_use]
    pub fn flow(&self) -> Flow {
        let age_ms = self.age_ms();
        // First: what is added meanwhile is no more part of the other.
        let blocked_ms = self.blocked_ms.load(Ordering::Acquire);
        let blocked = match self.blocked_since.load(Ordering::Acquire) {
            0 => 0,
            since => age_ms.saturating_sub(since - 1),
        };
        Flow {
            age_ms,
            blocked_ms: blocked_ms + blocked,
            written: self.written.load(Ordering::Relaxed),
        }
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
