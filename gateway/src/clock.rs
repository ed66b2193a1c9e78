//! The system's clocks: the one place where the time of day is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::auth::ports::Clock;
use crate::auth::time::Timestamp;

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the seam behind which everything else asks")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// One that goes on while the machine sleeps, where there is one.
#[cfg(target_os = "linux")]
const UNSET: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const UNSET: ClockId = ClockId::Monotonic;

/// Time since any moment, by a clock that nobody sets.
#[must_use]
pub fn elapsed() -> Duration {
    Duration::try_from(clock_gettime(UNSET)).unwrap_or_default()
}
