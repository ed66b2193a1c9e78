//! The token bucket of an address, and how replicas share one.
//!
//! Nobody asks before a request is let through: each replica reports what it has spent,
//! afterwards, and learns what is left. What was let through beyond the bucket is a debt,
//! paid back before anything more passes, so that over time the sum is the limit's.

use std::time::Duration;

use super::ports::{Allowance, Usage};

/// Microseconds on a clock that does not go back; whose, its user knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Micros(pub u64);

impl Micros {
    #[must_use]
    pub fn plus(self, length: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(length.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Micros) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// How many requests an address may make: so many a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketLimit {
    pub per_second: u32,
    pub burst: u32,
}

/// Tokens at a time. Below zero it is in debt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub level: f64,
    pub at: Micros,
}

/// Sums of many small additions come this close to a whole token.
const ALMOST: f64 = 1e-6;

impl Bucket {
    #[must_use]
    pub fn full(limit: BucketLimit, at: Micros) -> Self {
        Self { level: f64::from(limit.burst), at }
    }

    /// Adds what has come in since. A clock that went back adds nothing.
    pub fn refill(&mut self, limit: BucketLimit, now: Micros) {
        let gained = now.since(self.at).as_secs_f64() * f64::from(limit.per_second);
        self.level = (self.level + gained).min(f64::from(limit.burst));
        self.at = now;
    }

    #[must_use]
    pub fn is_full(&self, limit: BucketLimit) -> bool {
        self.level + ALMOST >= f64::from(limit.burst)
    }

    /// Takes `cost` tokens, or says how long until there are so many.
    ///
    /// # Errors
    /// The time until then.
    pub fn take(&mut self, limit: BucketLimit, cost: f64) -> Result<(), Duration> {
        if self.level + ALMOST >= cost {
            self.level -= cost;
            Ok(())
        } else {
            let wait = (cost - self.level) / f64::from(limit.per_second);
            Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
        }
    }
}

/// An address that shares its place with an attacker waits no longer than this for what
/// the attacker got beyond the limit.
const LONGEST_DEBT_SECONDS: f64 = 60.0;

/// An address's bucket as an engine keeps it for all replicas. An engine may do the same
/// in a script; the tests hold it to this.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharedBucket {
    bucket: Bucket,
    /// Replicas that reported in this second of the engine's clock, and in the one before.
    second: u64,
    active: u32,
    active_before: u32,
}

impl SharedBucket {
    #[must_use]
    pub fn new(limit: BucketLimit, now: Micros) -> Self {
        Self { bucket: Bucket::full(limit, now), second: 0, active: 0, active_before: 0 }
    }

    /// Books what a replica has spent and says what it may spend next.
    pub fn book(&mut self, limit: BucketLimit, now: Micros, usage: Usage) -> Allowance {
        let active = self.count_active(now.0 / 1_000_000, usage.counted_in);
        let (rate, burst) = (f64::from(limit.per_second), f64::from(limit.burst));
        let used = f64::from(usage.tokens);
        // What came in again before this report would not have fitted otherwise.
        let returned = (usage.age.as_secs_f64() * rate).min(used).max(0.0);
        let gained = now.since(self.bucket.at).as_secs_f64() * rate;
        let level = (self.bucket.level + gained).min(burst + returned) - used;
        let level = level.clamp(-LONGEST_DEBT_SECONDS * rate, burst);
        let tokens = if level + ALMOST < 1.0 {
            0
        } else if active == 1 {
            limit.burst
        } else {
            // Twice the even share: clients do not spread evenly, and debts are paid.
            whole((2.0 * level / f64::from(active)).max(1.0).min(level))
        };
        // Of few tokens each goes to one replica only.
        let reserved = u32::from(tokens == 1 && active > 1);
        self.bucket = Bucket { level: level - f64::from(reserved), at: now };
        Allowance { level, tokens, reserved }
    }

    fn count_active(&mut self, second: u64, counted_in: u64) -> u32 {
        if self.second != second {
            self.active_before = if self.second + 1 == second { self.active } else { 0 };
            self.active = 0;
            self.second = second;
        }
        if counted_in != second {
            self.active = self.active.saturating_add(1);
        }
        self.active.max(self.active_before).max(1)
    }
}

/// Whole tokens of so many.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub fn whole(tokens: f64) -> u32 {
    (tokens + ALMOST) as u32
}

#[cfg(test)]
mod tests;
