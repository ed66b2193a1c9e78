//! The token bucket of each address, before anything expensive (S1-33, S1-34).

pub mod shares;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::auth::bucket::BucketLimit;
use crate::auth::ports::{Buckets, Source};

use super::reason::{Reason, Rejection};
use shares::{Shares, micros};

/// Addresses whose buckets are kept apart. Beyond this, which takes more
/// connections a second than one machine accepts, neighbours share a bucket.
const MAX_ADDRESSES: usize = 1_000_000;

pub struct Admission<C: Clock = DefaultClock> {
    limiter: RateLimiter<Source, DashMapStateStore<Source>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    crowded: AtomicBool,
    /// In place of the limiter where replicas count together.
    shared: Option<(Arc<Shares>, Instant)>,
    /// For the `RateLimit-Policy` field: what fits into which time.
    pub burst: u32,
    pub window_seconds: u32,
}

impl Admission<DefaultClock> {
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self::with_clock(per_second, burst, DefaultClock::default())
    }

    /// Counts together with the other replicas, and reports as long as the process lives.
    #[must_use]
    pub fn shared(per_second: u32, burst: u32, buckets: Arc<dyn Buckets>) -> Self {
        let (per_second, burst) = (per_second.max(1), burst.max(1));
        let shares = Shares::new(BucketLimit { per_second, burst });
        let started = Instant::now();
        tokio::spawn(shares::run(Arc::clone(&shares), buckets, started));
        Self { shared: Some((shares, started)), ..Self::new(per_second, burst) }
    }
}

impl<C: Clock + Clone> Admission<C> {
    pub fn with_clock(per_second: u32, burst: u32, clock: C) -> Self {
        let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self {
            limiter: RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()),
            clock,
            crowded: AtomicBool::new(false),
            shared: None,
            burst: burst.get(),
            window_seconds: burst.get().div_ceil(per_second.get()).max(1),
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] when there is none.
    pub fn admit(&self, source: Source) -> Result<(), Rejection> {
        if let Some((shares, started)) = &self.shared {
            return shares
                .take(source, micros(*started))
                .map_err(|retry_after| Reason::RateLimited { retry_after }.into());
        }
        let key = if self.crowded.load(Ordering::Relaxed) { coarse(source) } else { source };
        self.limiter.check_key(&key).map_err(|not_until| {
            let retry_after = not_until.wait_time_from(self.clock.now());
            Reason::RateLimited { retry_after }.into()
        })
    }

    /// Forgets full buckets; they are as good as new ones. Takes a few
    /// milliseconds with many addresses: not for the threads of requests.
    pub fn sweep(&self) {
        if let Some((shares, started)) = &self.shared {
            shares.sweep(micros(*started));
        }
        self.limiter.retain_recent();
        self.crowded.store(self.limiter.len() >= MAX_ADDRESSES, Ordering::Relaxed);
    }
}

/// The network around an address: /16 of IPv4, /32 of IPv6.
fn coarse(source: Source) -> Source {
    match source {
        Source::V4(ip) => Source::V4(ip & 0xffff_0000),
        Source::V6(network) => Source::V6(network & 0xffff_ffff_0000_0000),
    }
}

/// Seconds for a `Retry-After` field: rounded up, never zero.
#[must_use]
pub fn retry_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero())
}

#[cfg(test)]
mod tests;
