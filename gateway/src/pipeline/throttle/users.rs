//! Attempts on one user's password: two at once, one of them a stranger's at most.
//!
//! Who comes from an address from which the account has signed in of late waits for
//! others of that kind only. Strangers are taken at random, and where the user is guessed
//! at, one with each pause. Whoever has waited too long, or gives way to others, is refused
//! and may come again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::Instant;

use crate::auth::Core;
use crate::auth::guessed::Guessed;
use crate::auth::source::Source;
use crate::pipeline::reason::{Reason, Rejection};

use super::crowd::Crowd;
use super::{Caller, Limits};

/// Verifications of one account's password at once.
const AT_ONCE: usize = 2;
/// Known addresses of one account that may wait; each waits once.
const MAX_KNOWN_WAITING: usize = 64;

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    /// At an address from which the account has signed in of late.
    Known,
    Stranger,
}

/// The turns of all users who are tried now.
pub(super) struct Users {
    core: Arc<Core>,
    lanes: DashMap<Guessed, Lane>,
    numbers: AtomicU64,
}

#[derive(Default)]
struct Lane {
    running: Running,
    known: VecDeque<Waiter>,
    strangers: Crowd<Waiter>,
    /// When the last stranger's attempt began.
    last: Option<Instant>,
    /// Between strangers' attempts on a user who is guessed at, as who came last has it.
    pause: Duration,
    /// When somebody will look again, for the pause will be over.
    timed: Option<Instant>,
}

#[derive(Default)]
struct Running {
    known: usize,
    strangers: usize,
}

struct Waiter {
    number: u64,
    begin: oneshot::Sender<Turn>,
}

/// Who begins next in a lane.
enum Next {
    Begin(Guest, Waiter),
    /// A stranger, at that time.
    At(Instant),
    Nobody,
}

impl Users {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, lanes: DashMap::new(), numbers: AtomicU64::new(0) }
    }

    /// Takes a place among those who try the user.
    pub(super) fn join(self: &Arc<Self>, user: Guessed, guest: Guest, caller: &Caller) -> Place {
        let (begin, begun) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (source, limits) = (caller.source, Arc::clone(&caller.limits));
        let waiting = Waiting { users: Arc::clone(self), user, number, limits };
        let gives_way = {
            let mut lane = self.lanes.entry(user).or_default();
            lane.pause = caller.limits.pause;
            let random = &mut |below| self.random(below);
            lane.join((guest, source), Waiter { number, begin }, random)
        };
        // Who gives way hears of it by this; it may be the one who came.
        drop(gives_way);
        self.advance(user);
        Place { waiting, begun }
    }

    /// Lets begin who may.
    fn advance(self: &Arc<Self>, user: Guessed) {
        let slowed = self.core.standing().is_slowed(user, self.core.clock().now());
        let now = Instant::now();
        let Some(mut lane) = self.lanes.get_mut(&user) else { return };
        let pause = if slowed { lane.pause } else { Duration::ZERO };
        loop {
            match lane.next(now, pause, &mut |below| self.random(below)) {
                Next::Begin(guest, waiter) => {
                    let turn = Turn { users: Some(Arc::clone(self)), user, guest };
                    if let Err(turn) = waiter.begin.send(turn) {
                        // Its client has left.
                        turn.forget();
                        lane.end(guest);
                    }
                }
                Next::At(due) => {
                    // A later pause may be shorter.
                    if lane.timed.is_none_or(|at| due < at) {
                        lane.timed = Some(due);
                        tokio::spawn(Arc::clone(self).advance_at(user, due));
                    }
                    break;
                }
                Next::Nobody => break,
            }
        }
        drop(lane);
        self.remove_idle(user);
    }

    async fn advance_at(self: Arc<Self>, user: Guessed, due: Instant) {
        tokio::time::sleep_until(due).await;
        if let Some(mut lane) = self.lanes.get_mut(&user)
            && lane.timed == Some(due)
        {
            lane.timed = None;
        }
        self.advance(user);
    }

    fn remove_idle(&self, user: Guessed) {
        let now = Instant::now();
        self.lanes.remove_if(&user, |_, lane| lane.is_idle(now));
    }

    /// Forgets users whom nobody tries any more.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.lanes.retain(|_, lane| !lane.is_idle(now));
    }

    fn random(&self, below: usize) -> usize {
        let mut bytes = [0; 8];
        self.core.entropy.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % (below.max(1) as u64)).unwrap_or(0)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}

impl Lane {
    /// Adds an attempt; answers whose gives way.
    fn join(
        &mut self,
        (guest, source): (Guest, Source),
        waiter: Waiter,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Option<Waiter> {
        match guest {
            Guest::Stranger => self.strangers.join(source, waiter, random),
            Guest::Known if self.known.len() >= MAX_KNOWN_WAITING => Some(waiter),
            Guest::Known => {
                self.known.push_back(waiter);
                None
            }
        }
    }

    /// One place is for strangers and one for who is known; who is known may have both
    /// while no stranger's time has come, and a stranger never has.
    fn next(
        &mut self,
        now: Instant,
        pause: Duration,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Next {
        let due = self.last.map_or(now, |last| last + pause);
        let free = self.running.known + self.running.strangers < AT_ONCE;
        let stranger = free && self.running.strangers == 0 && !self.strangers.is_empty();
        let first = self.running.known == 0 || free && !(stranger && due <= now);
        if first && let Some(waiter) = self.known.pop_front() {
            self.running.known += 1;
            return Next::Begin(Guest::Known, waiter);
        }
        if !stranger {
            return Next::Nobody;
        }
        if due > now {
            return Next::At(due);
        }
        let Some(waiter) = self.strangers.choose(random) else { return Next::Nobody };
        self.running.strangers += 1;
        self.last = Some(now);
        Next::Begin(Guest::Stranger, waiter)
    }

    fn end(&mut self, guest: Guest) {
        let running = match guest {
            Guest::Known => &mut self.running.known,
            Guest::Stranger => &mut self.running.strangers,
        };
        *running = running.saturating_sub(1);
    }

    fn leave(&mut self, number: u64) {
        self.known.retain(|waiter| waiter.number != number);
        self.strangers.retain(|waiter| waiter.number != number);
    }

    /// Whether nobody tries, and the next one need not hear of the last.
    fn is_idle(&self, now: Instant) -> bool {
        let nobody = self.running.known + self.running.strangers == 0
            && self.known.is_empty()
            && self.strangers.is_empty();
        nobody && self.last.is_none_or(|last| last + self.pause <= now)
    }
}

/// A place among those who try a user, until it has come to a turn.
pub(super) struct Place {
    waiting: Waiting,
    begun: oneshot::Receiver<Turn>,
}

impl Place {
    /// The turn, if it has come.
    ///
    /// # Errors
    /// [`Reason::UserAttemptsQueued`] when too many wait.
    pub(super) fn begun(&mut self) -> Result<Option<Turn>, Rejection> {
        match self.begun.try_recv() {
            Ok(turn) => Ok(Some(turn)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Closed) => Err(self.waiting.refusal()),
        }
    }

    /// Waits for the turn.
    ///
    /// # Errors
    /// [`Reason::UserAttemptsQueued`] when too many wait, or for too long.
    pub(super) async fn turn(self) -> Result<Turn, Rejection> {
        match tokio::time::timeout(self.waiting.limits.longest_wait, self.begun).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(self.waiting.refusal()),
        }
    }
}

/// In a lane; leaves it when this is dropped, whatever came of it.
struct Waiting {
    users: Arc<Users>,
    user: Guessed,
    number: u64,
    limits: Arc<Limits>,
}

impl Waiting {
    fn refusal(&self) -> Rejection {
        let retry_after = self.limits.pause.max(Duration::from_secs(1));
        Reason::UserAttemptsQueued { retry_after }.into()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(mut lane) = self.users.lanes.get_mut(&self.user) {
            lane.leave(self.number);
        }
        self.users.remove_idle(self.user);
    }
}

/// The right to make an attempt; somebody else gets it when this is dropped.
pub(super) struct Turn {
    /// `None` when it was given to nobody.
    users: Option<Arc<Users>>,
    user: Guessed,
    guest: Guest,
}

impl Turn {
    fn forget(mut self) {
        self.users = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(users) = self.users.take() else { return };
        if let Some(mut lane) = users.lanes.get_mut(&self.user) {
            lane.end(self.guest);
        }
        users.advance(self.user);
    }
}

#[cfg(test)]
mod tests;
