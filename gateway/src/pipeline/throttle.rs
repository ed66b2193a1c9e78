//! The failed-attempt limiter, around every check of a secret: login, Basic,
//! key, refresh, ticket (S1-30 to S1-32).
//!
//! Counted is what can be guessed: a password, by whichever way it came, and a code of
//! GitHub's. Tokens, keys and tickets are random, and a page that goes on sending one that
//! has ended would lock its user out; they count where the operator wants it.
//!
//! A locked-out address is answered before anything is checked, right or wrong,
//! so that the answer tells nothing. The attempts of one address go one after
//! another, in order of arrival: the count is exact however many come at once,
//! and the hashing queue behind holds one job of each address, which makes it fair.
//! An attempt that has begun is finished and counted, whether or not its client
//! waits for the answer.
//!
//! Guessing one user's password from many addresses passes below that limit. A name
//! that failed too often is therefore tried one attempt at a time, with a pause, and
//! never locked: else anybody could lock out anybody.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::Core;
use crate::auth::account::canonical_name;
use crate::auth::error::{Error, Refusal, Verdict};
use crate::auth::federation::FederationError;
use crate::auth::ports::{FailureLimit, Source};
use crate::auth::principal::Scheme;
use crate::auth::time::{Seconds, Timestamp};
use crate::config::Counted;
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};
use crate::telemetry::sink::Sink;

use super::reason::{Reason, Rejection, Tried};

/// Attempts of one address, or on one slowed name, that may wait for their turn.
const MAX_WAITING: usize = 64;
/// Names remembered at once; each costs somebody a failed attempt.
const MAX_NAMES: usize = 100_000;

/// Who makes a request, as far as limits and the audit log care.
#[derive(Clone)]
pub struct Caller {
    pub client: IpAddr,
    /// The address as limits count it.
    pub source: Source,
    pub request_id: Arc<str>,
    pub page: Page,
}

/// Whose page made the browser ask, as far as a request tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Ours, a listed one, or none.
    Meant,
    /// Its visitor's address must not pay for what it makes up.
    Foreign,
}

/// When a name is slowed down, whichever addresses its failures came from.
#[derive(Debug, Clone, Copy)]
pub struct NameLimit {
    /// Failures within the address limit's window.
    pub attempts: u32,
    pub pause: Duration,
}

/// What failed attempts lead to, and which failures are some.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub address: FailureLimit,
    pub name: NameLimit,
    /// Registrations of an address in an hour.
    pub registrations: u32,
    pub counted: Counted,
}

const REGISTRATION_WINDOW: Seconds = Seconds(3_600);

pub struct Throttle {
    core: Arc<Core>,
    limits: Limits,
    addresses: Lanes<Source>,
    names: Lanes<u64>,
    /// By keyed hash: what was typed into a name field may be a password.
    failures: DashMap<u64, NameFailures>,
    hasher: RandomState,
    sink: Sink,
}

#[derive(Clone, Copy)]
struct NameFailures {
    ends: Timestamp,
    count: u32,
}

impl NameFailures {
    fn slows(self, limit: NameLimit, now: Timestamp) -> bool {
        self.ends > now && self.count >= limit.attempts
    }
}

impl Throttle {
    #[must_use]
    pub fn new(core: Arc<Core>, limits: Limits, sink: Sink) -> Self {
        Self {
            core,
            limits,
            addresses: Lanes::default(),
            names: Lanes::default(),
            failures: DashMap::new(),
            hasher: RandomState::new(),
            sink,
        }
    }

    #[must_use]
    pub fn limit(&self) -> FailureLimit {
        self.limits.address
    }

    /// Whether a refusal of what was tried is a failed attempt.
    #[must_use]
    pub fn counts(&self, caller: &Caller, tried: Tried) -> bool {
        match tried {
            Tried::Password | Tried::Credential(Scheme::Basic) => true,
            Tried::RefreshToken
            | Tried::Credential(Scheme::Bearer | Scheme::ApiKey | Scheme::Ticket) => {
                self.limits.counted == Counted::All && caller.page == Page::Meant
            }
        }
    }

    fn is_failure(&self, caller: &Caller, tried: Tried, error: &Error) -> bool {
        match error {
            // Whoever sends it knows it, and need not guess.
            Error::Refused(Refusal::PasswordFormer) => false,
            Error::Refused(_) | Error::Federation(FederationError::CodeRefused) => {
                self.counts(caller, tried)
            }
            _ => false,
        }
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

    /// The first registration that is refused, and within what time.
    #[must_use]
    pub fn registrations(&self) -> FailureLimit {
        let attempts = self.limits.registrations.saturating_add(1);
        FailureLimit { attempts, window: REGISTRATION_WINDOW }
    }

    /// Counts a registration, whatever comes of it: a refused one tells who exists.
    ///
    /// # Errors
    /// [`Reason::RegistrationsOverLimit`], and when it cannot be counted.
    pub async fn count_registration(&self, caller: &Caller) -> Result<(), Rejection> {
        let (now, limit) = (self.core.clock().now(), self.registrations());
        let counted = self.core.store().count_registration(caller.source, limit, now).await;
        match counted.map_err(|error| Rejection::from_core(error.into(), Tried::Password))? {
            Verdict::Allowed => Ok(()),
            Verdict::LockedOut(until) => {
                let retry_after = Duration::from_millis(until.since(now));
                Err(Reason::RegistrationsOverLimit { retry_after }.into())
            }
        }
    }

    /// Makes one attempt in the address's turn and counts it if it fails. `name` is
    /// the user whose password is tried.
    ///
    /// # Errors
    /// What the check answered, or why it was not made.
    pub async fn attempt<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        name: Option<&str>,
        tried: Tried,
        check: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Rejection> {
        self.check(caller.source)?;
        let address_turn = self.addresses.turn(caller.source).await?;
        // Again: the attempts before this one may have been the last that were allowed.
        self.check(caller.source)?;
        let name = name.map(|name| self.hasher.hash_one(canonical_name(name)));
        let name_turn = match name.filter(|name| self.is_slowed(*name)) {
            Some(name) => {
                let turn = self.names.turn(name).await?;
                tokio::time::sleep(self.limits.name.pause).await;
                Some(turn)
            }
            None => None,
        };
        self.judge(caller, name, tried, (address_turn, name_turn), check).await
    }

    /// Like [`Self::attempt`], judged by another service: that may take long, and must
    /// not keep the address's passwords waiting.
    ///
    /// # Errors
    /// What the check answered, or why it was not made.
    pub async fn attempt_elsewhere<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        tried: Tried,
        check: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Rejection> {
        self.check(caller.source)?;
        self.judge(caller, None, tried, (), check).await
    }

    /// Counts a refusal that needed no attempt, where it counts.
    ///
    /// # Errors
    /// The refusal.
    pub async fn refuse<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        tried: Tried,
        error: Error,
    ) -> Result<T, Rejection> {
        if self.is_failure(caller, tried, &error) {
            return self.judge(caller, None, tried, (), async move { Err(error) }).await;
        }
        Err(Rejection::from_core(error, tried))
    }

    async fn judge<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        name: Option<u64>,
        tried: Tried,
        turns: impl Send + 'static,
        check: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Rejection> {
        // A task of its own: a client that leaves would take its failure along, and
        // its turns while the hashing still goes on.
        let (throttle, caller) = (Arc::clone(self), caller.clone());
        let attempt = tokio::spawn(async move {
            let outcome = check.await;
            if let Err(error) = &outcome
                && throttle.is_failure(&caller, tried, error)
            {
                throttle.count_failure(&caller, name).await?;
            }
            drop(turns);
            outcome
        });
        match attempt.await {
            Ok(Ok(passed)) => Ok(passed),
            Ok(Err(error)) => Err(Rejection::from_core(error, tried)),
            Err(lost) => Err(Reason::Internal.because(lost)),
        }
    }

    async fn count_failure(&self, caller: &Caller, name: Option<u64>) -> Result<(), Error> {
        let now = self.core.clock().now();
        if let Some(name) = name {
            self.count_name(name, now);
        }
        let verdict =
            self.core.store().count_failure(caller.source, self.limits.address, now).await?;
        if let Verdict::LockedOut(until) = verdict {
            self.sink.audit(AuditRecord {
                at: now,
                event: Event::Lockout,
                outcome: Outcome::Success,
                reason: "locked_out",
                account: None,
                actor: Actor::Client {
                    address: caller.client,
                    request_id: Arc::clone(&caller.request_id),
                    credential: None,
                    session: None,
                    acting: None,
                },
                detail: Some(format!("for {} s", until.since(now).div_ceil(1000))),
            });
        }
        Ok(())
    }

    fn count_name(&self, name: u64, now: Timestamp) {
        if self.failures.len() >= MAX_NAMES {
            self.failures.retain(|_, failures| failures.ends > now && failures.count > 1);
        }
        if self.failures.len() >= MAX_NAMES {
            self.failures.clear();
        }
        let fresh = NameFailures { ends: now.plus(self.limits.address.window), count: 0 };
        let mut failures = self.failures.entry(name).or_insert(fresh);
        if failures.ends <= now {
            *failures = fresh;
        }
        failures.count = failures.count.saturating_add(1);
    }

    fn is_slowed(&self, name: u64) -> bool {
        let now = self.core.clock().now();
        let failures = self.failures.get(&name);
        failures.is_some_and(|failures| failures.slows(self.limits.name, now))
    }

    /// Forgets names whose window has ended.
    pub fn sweep(&self) {
        let now = self.core.clock().now();
        self.failures.retain(|_, failures| failures.ends > now);
    }
}

/// Turns, one after another for each key.
struct Lanes<K: Eq + Hash>(Arc<DashMap<K, Arc<Lane>>>);

struct Lane {
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl<K: Eq + Hash> Default for Lanes<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Copy> Lanes<K> {
    /// Waits for the key's turn.
    ///
    /// # Errors
    /// [`Reason::AttemptsQueued`] when too many wait already.
    async fn turn(&self, key: K) -> Result<Turn<K>, Rejection> {
        let (lane, waiting) = {
            let lane = self.0.entry(key).or_insert_with(|| {
                Arc::new(Lane { turn: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0) })
            });
            // Under the map's lock: a lane that is joined cannot be removed.
            let waiting = lane.waiting.fetch_add(1, Ordering::AcqRel);
            (Arc::clone(&lane), waiting)
        };
        let mut turn = Turn { lanes: Arc::clone(&self.0), key, lane, permit: None };
        if waiting >= MAX_WAITING {
            return Err(Reason::AttemptsQueued.into());
        }
        let permit = Arc::clone(&turn.lane.turn).acquire_owned().await;
        turn.permit = permit.ok();
        Ok(turn)
    }
}

/// The right to make an attempt; the next in line gets it when this is dropped.
struct Turn<K: Eq + Hash> {
    lanes: Arc<DashMap<K, Arc<Lane>>>,
    key: K,
    lane: Arc<Lane>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        self.permit.take();
        self.lane.waiting.fetch_sub(1, Ordering::AcqRel);
        // Under the map's lock, so that nobody joins the lane as it goes.
        self.lanes.remove_if(&self.key, |_, lane| lane.waiting.load(Ordering::Acquire) == 0);
    }
}

#[cfg(test)]
mod tests;
