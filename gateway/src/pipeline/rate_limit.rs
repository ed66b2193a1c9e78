//! The token bucket of each address, before anything expensive (S1-33, S1-34). A route can
//! have buckets of its own, or none.

pub mod distributed_limiter;
pub mod policy;
pub mod proven;
pub mod turn;
pub mod turns;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use tokio_util::task::AbortOnDropHandle;

use crate::auth::bucket::BucketLimit;
use crate::auth::ports::Buckets;
use crate::auth::source::Source;
use crate::background::run_once;

use super::reason::Reason;
use crate::slots::{Holder, Places};
use distributed_limiter::{DistributedLimiter, micros};
use policy::Policy;

/// Addresses whose buckets are kept apart. Beyond this, which takes more
/// connections a second than one machine accepts, neighbours share a bucket.
const MAX_ADDRESSES: usize = 1_000_000;

/// How soon those who wait look again at the least.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Buckets of one size, one for each address.
pub struct RateLimit<C: Clock = DefaultClock> {
    limiter: RateLimiter<Source, DashMapStateStore<Source>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    crowded: AtomicBool,
    /// In place of the limiter where replicas count together.
    shared: Option<Shared>,
    /// Of each address, who waits for its next token stand in it.
    lines: Arc<Places>,
    per_second: NonZeroU32,
    policy: Policy,
}

/// What is counted together with other replicas.
struct Shared {
    limiter: Arc<DistributedLimiter>,
    started: Instant,
    _reporting: AbortOnDropHandle<()>,
}

impl RateLimit<DefaultClock> {
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self::with_clock(per_second, burst, DefaultClock::default())
    }

    /// Of one route. Each replica counts for itself.
    #[must_use]
    pub fn of_route(per_second: u32, burst: u32) -> Self {
        let all = Self::new(per_second, burst);
        Self { policy: Policy { name: "route", ..all.policy }, ..all }
    }

    /// Counts together with the other replicas, to which it reports until it is dropped.
    #[must_use]
    pub fn shared(per_second: u32, burst: u32, buckets: Arc<dyn Buckets>) -> Self {
        let (per_second, burst) = (per_second.max(1), burst.max(1));
        let limiter = DistributedLimiter::new(BucketLimit { per_second, burst });
        let started = Instant::now();
        let reporting = distributed_limiter::run(Arc::clone(&limiter), buckets, started);
        // Not again after a panic: what it had to report is lost with it. Without it this
        // replica limits to its part, as without the store.
        let reporting = run_once("shared rate limiting", reporting);
        let shared = Shared { limiter, started, _reporting: reporting };
        Self { shared: Some(shared), ..Self::new(per_second, burst) }
    }
}

impl<C: Clock + Clone> RateLimit<C> {
    pub fn with_clock(per_second: u32, burst: u32, clock: C) -> Self {
        let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self {
            limiter: RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()),
            clock,
            crowded: AtomicBool::new(false),
            shared: None,
            lines: Places::new(1),
            per_second,
            policy: Policy {
                name: "ip",
                burst: burst.get(),
                window_seconds: burst.get().div_ceil(per_second.get()).max(1),
            },
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there may be one.
    pub fn take(&self, source: Source) -> Result<(), Duration> {
        if let Some(Shared { limiter, started, .. }) = &self.shared {
            return limiter.take(source, micros(*started));
        }
        let key = if self.crowded.load(Ordering::Relaxed) { coarse(source) } else { source };
        let taken = self.limiter.check_key(&key);
        taken.map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Takes one token as soon as there is one. Those who wait for an address's stand in
    /// line. Who comes when a token is there does not ask whether somebody stands in it.
    async fn wait(&self, source: Source) {
        let _front = self.lines.wait(Holder::Address(source)).await;
        while let Err(wait) = self.take(source) {
            tokio::time::sleep(wait.max(SHORTEST_WAIT)).await;
        }
    }

    /// How long the last in the line of an address has to wait at the least.
    fn expected_wait(&self, source: Source) -> Duration {
        let others = self.lines.wanted(Holder::Address(source));
        Duration::from_secs(others.try_into().unwrap_or(u64::MAX)) / self.per_second.get()
    }

    /// What is said to who has taken no token.
    #[must_use]
    pub fn refusal(&self, retry_after: Duration) -> Reason {
        Reason::RateLimited { retry_after, policy: self.policy }
    }

    /// Forgets full buckets; they are as good as new ones. Takes a few
    /// milliseconds with many addresses: not for the threads of requests.
    pub fn sweep(&self) {
        if let Some(Shared { limiter, started, .. }) = &self.shared {
            limiter.sweep(micros(*started));
        }
        self.limiter.retain_recent();
        self.crowded.store(self.limiter.len() >= MAX_ADDRESSES, Ordering::Relaxed);
        self.lines.sweep();
    }
}

impl<C: Clock> fmt::Debug for RateLimit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("policy", &self.policy).finish_non_exhaustive()
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
