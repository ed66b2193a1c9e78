//! The failed-attempt limiter, around every check of a secret: login, Basic,
//! key, refresh, ticket (S1-30 to S1-32).
//!
//! A locked-out address is answered before anything is checked, right or wrong,
//! so that the answer tells nothing. The attempts of one address go one after
//! another, in order of arrival: the count is exact however many come at once,
//! and the hashing queue behind holds one job of each address, which makes it fair.
//! An attempt that has begun is finished and counted, whether or not its client
//! waits for the answer.

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
    pub async fn attempt<T: Send + 'static>(
        self: &Arc<Self>,
        source: Source,
        tried: Tried,
        check: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Rejection> {
        self.check(source)?;
        let turn = self.turn(source).await?;
        // Again: the attempts before this one may have been the last that were allowed.
        self.check(source)?;
        // A task of its own: a client that leaves would take its failure along, and
        // its turn while the hashing still goes on.
        let attempt = tokio::spawn(turn.take(check));
        match attempt.await {
            Ok(Ok(passed)) => Ok(passed),
            Ok(Err(error)) => Err(Rejection::from_core(error, tried)),
            Err(lost) => Err(Reason::Internal.because(lost)),
        }
    }

    async fn turn(self: &Arc<Self>, source: Source) -> Result<Turn, Rejection> {
        let (lane, waiting) = {
            let lane = self.lanes.entry(source).or_insert_with(|| {
                Arc::new(Lane { turn: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0) })
            });
            // Under the map's lock: a lane that is joined cannot be removed.
            let waiting = lane.waiting.fetch_add(1, Ordering::AcqRel);
            (Arc::clone(&lane), waiting)
        };
        let mut turn = Turn { throttle: Arc::clone(self), source, lane, permit: None };
        if waiting >= MAX_WAITING {
            return Err(Reason::AttemptsQueued.into());
        }
        let permit = Arc::clone(&turn.lane.turn).acquire_owned().await;
        turn.permit = permit.ok();
        Ok(turn)
    }
}

/// The right to make an attempt; the next in line gets it when this is dropped.
struct Turn {
    throttle: Arc<Throttle>,
    source: Source,
    lane: Arc<Lane>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Makes the attempt and counts its failure before the turn is over.
    async fn take<T>(self, check: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let outcome = check.await;
        if let Err(Error::Refused(_)) = outcome {
            let core = &self.throttle.core;
            let now = core.clock().now();
            core.store().count_failure(self.source, self.throttle.limit, now).await?;
        }
        outcome
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit.take();
        self.lane.waiting.fetch_sub(1, Ordering::AcqRel);
        // Under the map's lock, so that nobody joins the lane as it goes.
        self.throttle
            .lanes
            .remove_if(&self.source, |_, lane| lane.waiting.load(Ordering::Acquire) == 0);
    }
}
