//! Failed attempts of each address, counted in a fixed window.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::auth::error::Verdict;
use crate::auth::ports::{FailureCount, FailureLimit, Source};
use crate::auth::time::{Seconds, Timestamp};

/// Addresses remembered at once. Each costs its owner a connection and a failed
/// attempt, so reaching this takes a large attack; single failures then give way.
const MAX_WINDOWS: usize = 500_000;

#[derive(Default)]
pub(crate) struct Failures {
    windows: Mutex<HashMap<Source, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    ends: Timestamp,
    count: u32,
}

impl Failures {
    /// Counts one failure. The window starts at the first and does not move, so
    /// that going on to fail does not lengthen a lock-out (S1-32).
    pub(crate) fn count(&self, source: Source, limit: FailureLimit, now: Timestamp) -> Verdict {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MAX_WINDOWS && !windows.contains_key(&source) {
            make_room(&mut windows, now);
        }
        let fresh = Window { ends: now.plus(limit.window), count: 0 };
        let window = windows.entry(source).or_insert(fresh);
        if window.ends <= now || is_beyond(window.ends, limit.window, now) {
            *window = fresh;
        }
        window.count = window.count.saturating_add(1);
        if window.count >= limit.attempts {
            Verdict::LockedOut(window.ends)
        } else {
            Verdict::Allowed
        }
    }

    pub(crate) fn list(&self, now: Timestamp) -> Vec<FailureCount> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let live = windows.iter().filter(|(_, window)| window.ends > now);
        live.map(|(source, window)| FailureCount {
            source: *source,
            failures: window.count,
            ends: window.ends,
        })
        .collect()
    }

    /// `false` when there was nothing to forget.
    pub(crate) fn forgive(&self, source: Source) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.remove(&source).is_some()
    }

    pub(crate) fn sweep(&self, now: Timestamp) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|_, window| window.ends > now);
    }
}

/// Whether the clock was set back so far that the window would outlast its length.
fn is_beyond(ends: Timestamp, length: Seconds, now: Timestamp) -> bool {
    ends > now.plus(length)
}

fn make_room(windows: &mut HashMap<Source, Window>, now: Timestamp) {
    windows.retain(|_, window| window.ends > now);
    if windows.len() >= MAX_WINDOWS {
        windows.retain(|_, window| window.count > 1);
    }
    if windows.len() >= MAX_WINDOWS {
        windows.clear();
    }
}
