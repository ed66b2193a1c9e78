//! Failed attempts, of each address and on each user, counted in fixed windows.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::auth::error::Verdict;
use crate::auth::guessed::Guessed;
use crate::auth::ports::{Counted, Failure, FailureCount, FailureLimit};
use crate::auth::source::Source;
use crate::auth::standing::Standing;
use crate::auth::time::{Seconds, Timestamp};

/// Addresses remembered at once. Each costs its owner a connection and a failed
/// attempt, so reaching this takes a large attack; those that failed least then give way.
const MAX_ADDRESSES: usize = 500_000;
/// Users remembered at once; each costs somebody a failed attempt, which is a hash.
pub(crate) const MAX_USERS: usize = 100_000;

pub(crate) struct Failures {
    addresses: Mutex<Windows<Source>>,
    users: Mutex<Windows<Guessed>>,
    /// Not failures, but counted alike.
    registrations: Mutex<Windows<Source>>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            addresses: Mutex::new(Windows::new(MAX_ADDRESSES)),
            users: Mutex::new(Windows::new(MAX_USERS)),
            registrations: Mutex::new(Windows::new(MAX_ADDRESSES)),
        }
    }
}

fn locked<K>(windows: &Mutex<Windows<K>>) -> std::sync::MutexGuard<'_, Windows<K>> {
    windows.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Failures {
    /// Counts one failure, and publishes what it has led to.
    pub(crate) fn count(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
        standing: &Standing,
    ) -> Counted {
        let of_address = locked(&self.addresses).count(failure.source, limit.window, now);
        let on_user = failure.user.map(|user| {
            let window = locked(&self.users).count(user, limit.window, now);
            (user, window)
        });
        let address = of_address.verdict(limit.attempts);
        if let Verdict::LockedOut(until) = address {
            standing.lock_out(failure.source, until);
        }
        let slowed = on_user.filter(|(_, window)| window.count >= limit.user_attempts);
        if let Some((user, window)) = slowed {
            standing.slow_down(user, window.ends);
        }
        let first = slowed.filter(|(_, window)| window.count == limit.user_attempts);
        Counted { address, slowed: first.map(|(_, window)| window.ends) }
    }

    /// Counts one registration; locked out is who has made too many.
    pub(crate) fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Verdict {
        locked(&self.registrations).count(source, limit.window, now).verdict(limit.attempts)
    }

    pub(crate) fn list(&self, now: Timestamp) -> Vec<FailureCount> {
        let windows = locked(&self.addresses);
        let live = windows.by_key.iter().filter(|(_, window)| window.ends > now);
        live.map(|(source, window)| FailureCount {
            source: *source,
            failures: window.count,
            ends: window.ends,
        })
        .collect()
    }

    /// `false` when there was nothing to forget.
    pub(crate) fn forgive(&self, source: Source) -> bool {
        locked(&self.addresses).by_key.remove(&source).is_some()
    }

    pub(crate) fn sweep(&self, now: Timestamp) {
        locked(&self.addresses).sweep(now);
        locked(&self.users).sweep(now);
        locked(&self.registrations).sweep(now);
    }
}

#[derive(Clone, Copy)]
struct Window {
    ends: Timestamp,
    count: u32,
}

impl Window {
    fn verdict(self, attempts: u32) -> Verdict {
        if self.count >= attempts { Verdict::LockedOut(self.ends) } else { Verdict::Allowed }
    }
}

struct Windows<K> {
    by_key: HashMap<K, Window>,
    most: usize,
}

impl<K: Eq + Hash> Windows<K> {
    fn new(most: usize) -> Self {
        Self { by_key: HashMap::new(), most }
    }

    /// The window starts at the first failure and does not move, so that going on to fail
    /// does not lengthen a lock-out (S1-32).
    fn count(&mut self, key: K, length: Seconds, now: Timestamp) -> Window {
        if self.by_key.len() >= self.most && !self.by_key.contains_key(&key) {
            self.make_room(now);
        }
        let fresh = Window { ends: now.plus(length), count: 0 };
        let window = self.by_key.entry(key).or_insert(fresh);
        if window.ends <= now || is_beyond(window.ends, length, now) {
            *window = fresh;
        }
        window.count = window.count.saturating_add(1);
        *window
    }

    fn sweep(&mut self, now: Timestamp) {
        self.by_key.retain(|_, window| window.ends > now);
    }

    /// Who failed least gives way.
    fn make_room(&mut self, now: Timestamp) {
        self.sweep(now);
        let mut few = 1;
        while self.by_key.len() >= self.most {
            self.by_key.retain(|_, window| window.count > few);
            few = few.saturating_mul(2);
        }
    }
}

/// Clocks of replicas, and threads that looked at the clock before they count, differ by
/// less than this.
const SKEW: Seconds = Seconds(60);

/// Whether the clock was set back so far that the window would outlast its length.
fn is_beyond(ends: Timestamp, length: Seconds, now: Timestamp) -> bool {
    ends > now.plus(length).plus(SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(4_000_000_000_000);
    const WINDOW: Seconds = Seconds(300);

    fn failed(windows: &mut Windows<u32>, key: u32, times: u32) {
        for _ in 0..times {
            windows.count(key, WINDOW, NOW);
        }
    }

    #[test]
    fn of_too_many_those_that_failed_least_are_forgotten() {
        let mut windows = Windows::new(4);
        for (key, times) in [(1, 1), (2, 20), (3, 3), (4, 1)] {
            failed(&mut windows, key, times);
        }
        failed(&mut windows, 2, 1);
        assert_eq!(windows.by_key.len(), 4, "one that is known takes no room");
        failed(&mut windows, 5, 1);
        let mut left: Vec<_> = windows.by_key.keys().copied().collect();
        left.sort_unstable();
        assert_eq!(left, [2, 3, 5]);
        assert_eq!(windows.count(2, WINDOW, NOW).count, 22);
    }

    #[test]
    fn room_is_made_by_what_is_over_first_and_by_everything_last() {
        let mut windows = Windows::new(2);
        windows.count(1, WINDOW, NOW);
        failed(&mut windows, 2, 1_000);
        let later = NOW.plus(Seconds(299));
        windows.by_key.insert(1, Window { ends: later, count: 2_000 });
        windows.count(3, WINDOW, later);
        assert!(!windows.by_key.contains_key(&1) && windows.by_key.contains_key(&2));
        for key in [2, 3] {
            windows.by_key.insert(key, Window { ends: later.plus(WINDOW), count: u32::MAX });
        }
        windows.count(4, WINDOW, later);
        assert_eq!(windows.by_key.len(), 1, "the bound counts");
    }
}
