//! The failed-attempt limiter, around every check of a secret: login, Basic,
//! key, refresh, ticket (S1-30 to S1-32).
//!
//! A locked-out address is answered before anything is checked, right or wrong,
//! so that the answer tells nothing. The attempts of one address go one after
//! another, in order of arrival: the count is exact however many come at once,
//! and the hashing queue behind holds one job of each address, which makes it fair.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::Core;
use crate::auth::error::{Error, Verdict};
use crate::auth::ports::{FailureLimit, Source};

use super::reason::{Reason, Rejection, Tried};

/// Attempts of one address that may wait for their turn.
const MAX_WAITING: usize = 64;

pub struct Throttle {
    core: Arc<Core>,
    limit: FailureLimit,
    lanes: DashMap<Source, Arc<Lane>>,
}

struct Lane {
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Throttle {
    #[must_use]
    pub fn new(core: Arc<Core>, limit: FailureLimit) -> Self {
        Self { core, limit, lanes: DashMap::new() }
    }

    #[must_use]
    pub fn limit(&self) -> FailureLimit {
        self.limit
    }

    /// Whether the address may try at all.
    ///
    /// # Errors
    /// [`Reason::LockedOut`] until its window ends.
    pub fn check(&self, source: Source) -> Result<(), Rejection> {
        let now = self.core.clock().now();
        match self.core.standing().verdict(source, now) {
            Verdict::Allowed => Ok(()),
            Verdict::LockedOut(until) => {
                let retry_after = Duration::from_millis(until.since(now));
                Err(Reason::LockedOut { retry_after }.into())
            }
        }
    }

    /// Makes one attempt in the address's turn and counts it if it fails.
    ///
    /// # Errors
    /// What the check answered, or why it was not made.
    pub async fn attempt<T>(
        &self,
        source: Source,
        tried: Tried,
        check: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Rejection> {
        self.check(source)?;
        let _turn = self.turn(source).await?;
        // Again: the attempts before this one may have been the last that were allowed.
        self.check(source)?;
        match check.await {
            Ok(passed) => Ok(passed),
            Err(error) => {
                if let Error::Refused(_) = error {
                    self.count(source).await?;
                }
                Err(Rejection::from_core(error, tried))
            }
        }
    }

    async fn count(&self, source: Source) -> Result<(), Rejection> {
        let now = self.core.clock().now();
        self.core.store().count_failure(source, self.limit, now).await?;
        Ok(())
    }

    async fn turn(&self, source: Source) -> Result<Turn<'_>, Rejection> {
        let lane = Arc::clone(&self.lanes.entry(source).or_insert_with(|| {
            Arc::new(Lane { turn: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0) })
        }));
        let waiting = lane.waiting.fetch_add(1, Ordering::AcqRel);
        let mut turn = Turn { throttle: self, source, lane, permit: None };
        if waiting >= MAX_WAITING {
            return Err(Reason::AttemptsQueued.into());
        }
        let permit = Arc::clone(&turn.lane.turn).acquire_owned().await;
        turn.permit = permit.ok();
        Ok(turn)
    }
}

/// The right to make an attempt; the next in line gets it when this is dropped.
struct Turn<'a> {
    throttle: &'a Throttle,
    source: Source,
    lane: Arc<Lane>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.permit.take();
        self.lane.waiting.fetch_sub(1, Ordering::AcqRel);
        // Under the map's lock, so that nobody joins the lane as it goes.
        self.throttle
            .lanes
            .remove_if(&self.source, |_, lane| lane.waiting.load(Ordering::Acquire) == 0);
    }
}
