//! Failed attempts and registrations, counted in windows.

use async_trait::async_trait;

use crate::auth::error::{StoreError, Verdict};
use crate::auth::guessed::Guessed;
use crate::auth::source::Source;
use crate::auth::time::{Seconds, Timestamp};

/// The failed-attempt limiter's numbers (S1-30).
#[derive(Debug, Clone, Copy)]
pub struct FailureLimit {
    /// Of an address, before it is locked out.
    pub attempts: u32,
    /// On a user, before strangers are slowed down.
    pub user_attempts: u32,
    pub window: Seconds,
}

/// A failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub source: Source,
    /// Whose password was tried.
    pub user: Option<Guessed>,
}

/// What a failed attempt has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub address: Verdict,
    /// Until when attempts on the user go slowly, if it is this one that made them.
    pub slowed: Option<Timestamp>,
}

/// Failed attempts of one address in its present window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureCount {
    pub source: Source,
    pub failures: u32,
    /// When the window ends.
    pub ends: Timestamp,
}

/// Counts what must not be tried too often.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Counts one failed attempt, of its address and on its user, and says whether the
    /// address may go on. The windows start at the first counted failure and do not move.
    async fn count_failure(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Counted, StoreError>;

    /// Counts one registration and says whether the address may make it, as
    /// [`Self::count_failure`] does.
    async fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Verdict, StoreError>;

    /// Every address with counted failures.
    async fn list_failures(&self, now: Timestamp) -> Result<Vec<FailureCount>, StoreError>;

    /// Forgets an address's failures and lets it try again. `false` when there are none.
    async fn forgive(&self, source: Source) -> Result<bool, StoreError>;
}
