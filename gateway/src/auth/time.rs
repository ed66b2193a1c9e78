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
/// From the start, before which nobody knows whether it jumped: as long as a machine may
/// need to find the time.
const STEADY_AT_START: Duration = Duration::from_secs(3_600);
const STEADY_AFTER_JUMP: Duration = Duration::from_secs(86_400);

/// Whether a wall clock has gone as evenly as time for long enough to forget by it what
/// has expired. Only monotonic time, since any moment, says so.
#[derive(Debug, Default)]
pub struct Steadiness {
    last: Option<(Timestamp, Duration)>,
    /// From when on it is steady.
    from: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gait {
    Steady,
    /// Not for long enough yet.
    Unproven,
    /// Just now, by so much.
    Jumped(Duration),
}

impl Steadiness {
    /// `elapsed` is monotonic. To be asked often: what happens between two looks within
    /// `JUMP` is not seen.
    pub fn judge(&mut self, now: Timestamp, elapsed: Duration) -> Gait {
        let Some((then, before)) = self.last.replace((now, elapsed)) else {
            self.from = elapsed + STEADY_AT_START;
            return Gait::Unproven;
        };
        let expected = Timestamp(then.0.saturating_add(millis(elapsed.saturating_sub(before))));
        let jumped = Duration::from_millis(now.0.abs_diff(expected.0));
        if jumped > JUMP {
            self.from = elapsed + STEADY_AFTER_JUMP;
            Gait::Jumped(jumped)
        } else if elapsed < self.from {
            Gait::Unproven
        } else {
            Gait::Steady
        }
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
