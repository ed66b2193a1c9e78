//! The failed-attempt limiter, around every check of a secret: login, Basic,
//! key, refresh, ticket (S1-30 to S1-32).
//!
//! Counted is what can be guessed: a password, by whichever way it came, and a code of
//! GitHub's. Tokens, keys and tickets are random, and a page that goes on sending one that
//! has ended would lock its user out; they count where the operator wants it.
//!
//! A locked-out address is answered before anything is checked, right or wrong,
//! so that the answer tells nothing. The attempts of one address go one after
//! another, those on one user in one line: the count is exact however many come at once,
//! the hashing queue behind holds one job of each address, and nobody waits for all that a
//! neighbour behind the same address has sent.
//! An attempt that has begun is finished and counted, whether or not its client
//! waits for the answer.
//!
//! Guessing one user's password from many addresses passes below that limit. A user whose
//! attempts failed too often is therefore tried slowly by strangers (`users`), and never
//! locked: else anybody could lock out anybody. Who waits for that user's turn lets others
//! behind the same address go on. Failures are counted by the store, so at
//! every gateway; who is guessed at is known by an id, never by what was typed.

mod crowd;
mod lanes;
mod users;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::Core;
use crate::auth::account::Account;
use crate::auth::error::{Error, Refusal, Verdict};
use crate::auth::federation::FederationError;
use crate::auth::guessed::Guessed;
use crate::auth::ports::{Failure, FailureLimit};
use crate::auth::principal::Scheme;
use crate::auth::source::Source;
use crate::auth::time::Timestamp;
use crate::config::Counted;
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};
use crate::telemetry::request_scope;
use crate::telemetry::sink::Sink;

use super::reason::{Reason, Rejection, Tried};
use lanes::Lanes;
use users::{Guest, Users};

/// How long anybody waits, and a pause more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Who makes a request, as far as limits and the audit log care.
#[derive(Clone)]
pub struct Caller {
    pub client: IpAddr,
    /// The address as limits count it.
    pub source: Source,
    pub request_id: Arc<str>,
    pub page: Page,
    /// Those of the request's generation of the configuration.
    pub limits: Arc<Limits>,
}

impl Caller {
    /// As the audit log has one of whom no session is known.
    #[must_use]
    pub fn actor(&self, credential: Option<&'static str>) -> Actor {
        Actor::client(self.client, &self.request_id, credential)
    }

    /// Whether a refusal of what was tried is a failed attempt.
    #[must_use]
    pub fn counts(&self, tried: Tried) -> bool {
        match tried {
            Tried::Password | Tried::Credential(Scheme::Basic) => true,
            Tried::RefreshToken
            | Tried::Credential(Scheme::Bearer | Scheme::ApiKey | Scheme::Ticket) => {
                self.limits.counted == Counted::All && self.page == Page::Meant
            }
        }
    }

    fn is_failure(&self, tried: Tried, error: &Error) -> bool {
        match error {
            // Whoever sends it knows it, and need not guess.
            Error::Refused(Refusal::PasswordFormer) => false,
            Error::Refused(_) | Error::Federation(FederationError::CodeRefused) => {
                self.counts(tried)
            }
            Error::TakenAndGuessed(_) => self.counts(Tried::Password),
            _ => false,
        }
    }
}

/// Whose page made the browser ask, as far as a request tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Ours, a listed one, or none.
    Meant,
    /// Its visitor's address must not pay for what it makes up.
    Foreign,
}

/// What failed attempts lead to, and which failures are some.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub failures: FailureLimit,
    /// Between strangers' attempts on a user who is guessed at.
    pub pause: Duration,
    /// How long anybody waits for a turn.
    pub longest_wait: Duration,
    pub counted: Counted,
}

impl Limits {
    #[must_use]
    pub fn new(failures: FailureLimit, pause: Duration, counted: Counted) -> Self {
        Self { failures, pause, longest_wait: LONGEST_WAIT + pause, counted }
    }
}

/// Attempts that are under way, in turns. What they are held to comes with each caller.
pub struct Throttle {
    core: Arc<Core>,
    /// Of an address's attempts on one user, or on none, one at a time comes to its lane.
    lines: Lanes<(Source, Option<Guessed>)>,
    addresses: Lanes<Source>,
    users: Arc<Users>,
    sink: Sink,
}

/// Whose password is tried.
#[derive(Clone)]
struct User {
    id: Guessed,
    /// If there is such a user.
    account: Option<Arc<Account>>,
}

impl Throttle {
    #[must_use]
    pub fn new(core: Arc<Core>, sink: Sink) -> Self {
        let users = Arc::new(Users::new(Arc::clone(&core)));
        Self { core, lines: Lanes::default(), addresses: Lanes::default(), users, sink }
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
        let user = name.map(|name| self.core.guessed(name).0);
        // No longer than for the user: those before it in the line may each wait so long.
        let line_turn = self.lines.turn((caller.source, user));
        let Ok(line_turn) = tokio::time::timeout(caller.limits.longest_wait, line_turn).await
        else {
            return Err(Reason::AttemptsQueued.into());
        };
        let line_turn = line_turn?;
        let mut address_turn = self.addresses.turn(caller.source).await?;
        // Again: the attempts before this one may have been the last that were allowed.
        self.check(caller.source)?;
        let Some(name) = name else {
            return self.try_and_count(caller, None, tried, (address_turn, line_turn), check).await;
        };
        // As it is by now.
        let (id, account) = self.core.guessed(name);
        let now = self.core.clock().now();
        let known =
            account.as_ref().is_some_and(|account| account.is_known_from(caller.source, now));
        let guest = if known { Guest::Known } else { Guest::Stranger };
        let mut place = self.users.join(id, guest, caller);
        let user_turn = match place.begun()? {
            Some(turn) => turn,
            None => address_turn.without(place.turn()).await?,
        };
        // The wait may have been long.
        self.check(caller.source)?;
        let user = User { id, account };
        let turns = (address_turn, user_turn, line_turn);
        self.try_and_count(caller, Some(user), tried, turns, check).await
    }

    /// Like [`Self::attempt`], without a turn: where another service judges, which may take
    /// long and must not keep the address's passwords waiting, or where nothing is counted.
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
        self.try_and_count(caller, None, tried, (), check).await
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
        if caller.is_failure(tried, &error) {
            return self.try_and_count(caller, None, tried, (), async move { Err(error) }).await;
        }
        Err(Rejection::from_core(error, tried))
    }

    async fn try_and_count<T: Send + 'static>(
        self: &Arc<Self>,
        caller: &Caller,
        user: Option<User>,
        tried: Tried,
        turns: impl Send + 'static,
        check: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Rejection> {
        // A task of its own: a client that leaves would take its failure along, and
        // its turns while the hashing still goes on.
        let (throttle, caller) = (Arc::clone(self), caller.clone());
        let attempt = request_scope::spawn(async move {
            let outcome = check.await;
            if let Err(error) = &outcome
                && caller.is_failure(tried, error)
            {
                throttle.count_failure(&caller, user).await?;
            }
            drop(turns);
            outcome
        });
        match attempt.await {
            Ok(Ok(passed)) => Ok(passed),
            Ok(Err(error)) => Err(Rejection::from_core(error, tried)),
            Err(lost) => Err(Reason::Internal.with_detail(lost)),
        }
    }

    async fn count_failure(&self, caller: &Caller, user: Option<User>) -> Result<(), Error> {
        let now = self.core.clock().now();
        let failure = Failure { source: caller.source, user: user.as_ref().map(|user| user.id) };
        let counted = self.core.store().count_failure(failure, caller.limits.failures, now).await?;
        let audit = |event, reason, account, until: Timestamp| {
            self.sink.audit(AuditRecord {
                at: now,
                event,
                outcome: Outcome::Success,
                reason,
                account,
                actor: caller.actor(None),
                detail: Some(format!("for {} s", until.since(now).div_ceil(1000))),
            });
        };
        if let Verdict::LockedOut(until) = counted.address {
            audit(Event::Lockout, "locked_out", None, until);
        }
        if let Some(until) = counted.slowed {
            let account = user.and_then(|user| user.account);
            audit(Event::UserSlowdown, "user_attempts_queued", account, until);
        }
        Ok(())
    }

    /// Forgets users whom nobody tries any more.
    pub fn sweep(&self) {
        self.users.sweep();
    }
}

#[cfg(test)]
mod tests;
