//! Time as values: the core is told what time it is, it never asks the system.

use std::time::Duration;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

/// A length of time in whole seconds, the resolution of token claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

/// What ends a credential is remembered so much longer than the credential lives, and a
/// session kept: a clock that is ahead by less makes nothing forgotten that counts again
/// when it is put right.
pub const SWEEP_SLACK: Seconds = Seconds(86_400);

/// A wall clock that was put forward or back by more than this has jumped.
const JUMP: Duration = Duration::from_secs(60);
/// From the start, before which nobody knows whether the clock is right: as long as a machine
/// may need to find the time.
const UNPROVEN: Duration = Duration::from_secs(900);
/// A clock that was put forward is believed when it has gone evenly for so long.
const PROVEN: Duration = Duration::from_secs(86_400);

/// Time as it has surely passed, whatever becomes of the wall clock: not later than that
/// says, nor than the monotonic clock says since the wall clock was last believed.
#[derive(Debug)]
pub struct PassedTime {
    /// Of the look before.
    last: (Timestamp, Duration),
    /// When the wall clock was last believed.
    believed: (Timestamp, Duration),
    started: Duration,
    /// Since when the wall clock has gone evenly.
    even_since: Duration,
}

/// What one look at both clocks has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// A moment that has surely passed. Long ago, while nobody knows.
    pub past: Timestamp,
    /// By how much the wall clock has jumped since the look before.
    pub jumped: Option<Duration>,
}

impl PassedTime {
    /// `elapsed` is monotonic, since any moment, as everywhere here.
    #[must_use]
    pub fn from(now: Timestamp, elapsed: Duration) -> Self {
        let look = (now, elapsed);
        Self { last: look, believed: look, started: elapsed, even_since: elapsed }
    }

    /// To be asked often: what happens between two looks within `JUMP` is not seen.
    pub fn look(&mut self, now: Timestamp, elapsed: Duration) -> Passed {
        let expected = |(then, before): (Timestamp, Duration)| {
            Timestamp(then.0.saturating_add(millis(elapsed.saturating_sub(before))))
        };
        let jumped = Duration::from_millis(now.0.abs_diff(expected(self.last).0));
        let jumped = Some(jumped).filter(|jumped| *jumped > JUMP);
        if jumped.is_some() {
            self.even_since = elapsed;
        }
        self.last = (now, elapsed);
        if now < expected(self.believed) || elapsed.saturating_sub(self.even_since) >= PROVEN {
            self.believed = self.last;
        }
        let unproven = elapsed.saturating_sub(self.started) < UNPROVEN;
        let past = if unproven { Timestamp::default() } else { expected(self.believed) };
        Passed { past, jumped }
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

impl Timestamp {
    /// Whole seconds, as token claims count (RFC 7519 `NumericDate`).
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    #[must_use]
    pub fn plus(self, length: Seconds) -> Self {
        Self(self.0.saturating_add(length.0.saturating_mul(1000)))
    }

    #[must_use]
    pub fn minus(self, length: Seconds) -> Self {
        Self(self.0.saturating_sub(length.0.saturating_mul(1000)))
    }

    /// Time since `earlier` in milliseconds; zero when the clock was set back.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Seconds {
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0.saturating_mul(1000)
    }
}

#[cfg(test)]
mod tests;
