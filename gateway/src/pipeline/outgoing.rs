//! Answers on their way out: what a client was handed of each, and what it has taken.
//! Little is handed over before the rest is taken, and a stream of HTTP/2 that takes
//! nothing is ended by itself, and no other with it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::task::AbortHandle;

use super::connection::writes::{Flow, Writes};
use crate::slots::Place;

/// A client takes at least this much of an answer in each window of `write_progress`.
pub const MIN_PROGRESS_BYTES: u64 = 1024;
/// A stream that could move has had several turns by the time so much was written for each
/// that waits: the library writes a frame of one, and comes to the next.
const TURN_BYTES: u64 = 256 << 10;

/// What every client has room for that does not say otherwise (RFC 9113 6.9.2): an answer
/// that is no longer does not stay in the library's hands.
const INITIAL_WINDOW_BYTES: u64 = 65_535;

/// While so much of an answer is in the library's hands, no more is asked of its upstream.
/// Small pieces are written together up to here; one may come on top.
pub(super) const ENOUGH_BYTES: u64 = 8 << 10;

/// One answer.
pub struct Outgoing {
    /// Of its connection.
    writes: Arc<Writes>,
    /// Bytes given to the library, and of those, bytes written or given up.
    handed: AtomicU64,
    taken: AtomicU64,
    window: Mutex<Window>,
    stalled: AtomicBool,
    /// Some of it was given up.
    broken: AtomicBool,
    /// Its connection writes nothing while it is handed over.
    holds_writes: AtomicBool,
    /// Who waits for some of it, or all, to be taken.
    waiter: Mutex<Option<Waker>>,
    /// What serves the stream; none over HTTP/1.1, where a connection is judged as a whole.
    task: OnceLock<AbortHandle>,
    /// What the request has until nothing of its answer is left.
    places: OnceLock<[Option<Place>; 2]>,
}

/// Where one begins.
#[derive(Debug, Clone, Copy)]
struct Window {
    flow: Flow,
    /// What had been taken by then.
    taken: u64,
    /// The most streams that were seen waiting together since.
    most_waiting: u64,
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
    /// One has bytes in the library's hands from where only the connection's end takes
    /// them: it was complete but for these, or its own end has not freed them.
    pub lost: bool,
    /// When to look again.
    pub next: Option<Duration>,
}

impl Outgoing {
    #[must_use]
    pub fn new(writes: Arc<Writes>) -> Self {
        Self {
            writes,
            handed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            window: Mutex::new(Window { flow: Flow::default(), taken: 0, most_waiting: 0 }),
            stalled: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            holds_writes: AtomicBool::new(false),
            waiter: Mutex::default(),
            task: OnceLock::new(),
            places: OnceLock::new(),
        }
    }

    /// What serves the stream, and is to end with it.
    pub fn set_task(&self, task: AbortHandle) {
        // Told once, by whoever has just started it.
        let _ = self.task.set(task);
    }

    /// Keeps places until the answer is taken or given up.
    pub(super) fn keep(&self, places: [Option<Place>; 2]) {
        // Told once, with the answer.
        let _ = self.places.set(places);
    }

    /// Has nothing written of the connection until it is handed over: its head then goes
    /// together with what there is of its body.
    pub fn hold_writes(&self) {
        if !self.holds_writes.swap(true, Ordering::AcqRel) {
            self.writes.hold();
        }
    }

    /// What there was of it is in the library's hands.
    pub fn release_writes(&self) {
        if self.holds_writes.swap(false, Ordering::AcqRel) {
            self.writes.release();
        }
    }

    /// Whether its end has to wait until all else is taken. The stream's task lives until
    /// then, and with it the stream can be ended by itself.
    pub(super) fn holds_end(&self) -> bool {
        self.task.get().is_some()
            && self.handed.load(Ordering::Acquire) > INITIAL_WINDOW_BYTES
            && self.waits()
    }

    /// Ready when nothing is left in the library's hands.
    pub(super) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(cx, || !self.waits())
    }

    /// Ready when more may be handed over.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(cx, || self.has_room())
    }

    fn poll_until(&self, cx: &mut Context<'_>, is_so: impl Fn() -> bool) -> Poll<()> {
        if !is_so() {
            *self.lock_waiter() = Some(cx.waker().clone());
        }
        // Again, for it may have been taken before the waker was in place.
        if is_so() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether all that was handed over has been written.
    pub(super) fn is_taken(&self) -> bool {
        !self.waits() && !self.broken.load(Ordering::Acquire)
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
            self.begin_window(taken, self.writes.flow());
        }
        self.handed.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        Piece { bytes, outgoing: Some(Arc::clone(self)) }
    }

    fn take(&self, count: u64, now: impl FnOnce() -> Flow) {
        let taken = self.taken.fetch_add(count, Ordering::SeqCst) + count;
        if taken - self.lock_window().taken >= MIN_PROGRESS_BYTES {
            self.begin_window(taken, now());
        }
        self.wake();
    }

    fn give_up(&self, count: u64) {
        self.broken.store(true, Ordering::Release);
        self.taken.fetch_add(count, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if self.has_room()
            && let Some(waiter) = self.lock_waiter().take()
        {
            waiter.wake();
        }
    }

    fn lock_waiter(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_window(&self, taken: u64, flow: Flow) {
        *self.lock_window() = Window { flow, taken, most_waiting: 0 };
    }

    fn lock_window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something of it is in the library's hands.
    fn waits(&self) -> bool {
        self.left() > 0
    }

    fn has_room(&self) -> bool {
        self.left() < ENOUGH_BYTES
    }

    /// Bytes in the library's hands.
    fn left(&self) -> u64 {
        let taken = self.taken.load(Ordering::SeqCst);
        self.handed.load(Ordering::SeqCst).saturating_sub(taken)
    }

    /// Of one among so many that wait.
    fn pace(&self, window: Duration, now: Flow, waiting: u64) -> Pace {
        if !self.waits() {
            return Pace::Idle;
        }
        let began = {
            let mut began = self.lock_window();
            began.most_waiting = began.most_waiting.max(waiting);
            *began
        };
        let waited = now.age_ms.saturating_sub(began.flow.age_ms);
        let waited = waited.saturating_sub(excused_ms(window, began, now, waiting));
        let left = window.saturating_sub(Duration::from_millis(waited));
        if left.is_zero() { Pace::Stalled } else { Pace::Waiting(left) }
    }

    /// Ends the stream's task, and with that the stream; whether there was one. What is
    /// held of it has one window more to go.
    fn end(&self, now: Flow) -> bool {
        let Some(task) = self.task.get().filter(|task| !self.is_stalled() && !task.is_finished())
        else {
            return false;
        };
        self.stalled.store(true, Ordering::Release);
        task.abort();
        self.begin_window(self.taken.load(Ordering::Acquire), now);
        true
    }

    /// Looks at each stream of a connection, and ends those that have stalled.
    pub(super) fn judge(streams: &[Arc<Self>], window: Duration, now: Flow) -> Judged {
        let mut judged = Judged::default();
        let waiting = streams.iter().filter(|stream| stream.waits()).count() as u64;
        for stream in streams {
            match stream.pace(window, now, waiting.max(1)) {
                Pace::Idle => {}
                Pace::Waiting(left) => {
                    judged.next = Some(judged.next.map_or(left, |next| next.min(left)));
                }
                Pace::Stalled if stream.end(now) => judged.reset += 1,
                Pace::Stalled => judged.lost = true,
            }
        }
        judged
    }
}

/// Of the time since a window began, that for which no single stream is to blame: the
/// socket had no room, and no turn was missed. Its client pays for it with what each of
/// the streams that wait owes; who lets the socket trickle saves nothing.
fn excused_ms(window: Duration, began: Window, now: Flow, waiting: u64) -> u64 {
    let Window { flow: began, most_waiting, .. } = began;
    let written = now.written.saturating_sub(began.written);
    // Those that have ended since had their turns as well.
    if written >= TURN_BYTES.saturating_mul(most_waiting) {
        return 0;
    }
    let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    let paid = written.saturating_mul(window_ms) / (MIN_PROGRESS_BYTES * waiting);
    paid.min(now.blocked_ms.saturating_sub(began.blocked_ms))
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.release_writes();
    }
}

/// Bytes of an answer in the library's hands, which tell when they were written.
pub struct Piece {
    bytes: Bytes,
    outgoing: Option<Arc<Outgoing>>,
}

impl From<Bytes> for Piece {
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
            outgoing.take(count as u64, || outgoing.writes.flow());
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(outgoing) = &self.outgoing
            && self.bytes.has_remaining()
        {
            // Nobody waits for it any more.
            outgoing.give_up(self.bytes.remaining() as u64);
        }
    }
}

#[cfg(test)]
mod tests;
