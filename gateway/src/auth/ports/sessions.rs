//! Sign-ins and their tokens.

use async_trait::async_trait;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::session::{Rotation, Session};
use crate::auth::time::Timestamp;
use crate::auth::token::{Minted, SessionId, TokenId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOpening {
    /// With the oldest sign-ins, which ended for it: there were as many as may be.
    Opened { superseded: Vec<SessionId> },
    /// Password or state changed since the caller checked it, or the account is gone.
    Stale,
    /// The sign-ins with ids up to this one have ended at once: it needs a later id.
    Behind(SessionId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The pair to hand out: new, or the one handed out before within the grace.
    Pair(Minted),
    /// Reused after the grace: the whole family has been ended in this step.
    FamilyEnded,
    /// No such session, or it has ended.
    Unknown,
}

/// What a store does with sign-ins.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session and notes the sign-in, if the account is still at `version` and
    /// enabled. The oldest of the account end in the same step if there are as many as may be.
    async fn open_session(
        &self,
        session: Session,
        version: u64,
    ) -> Result<SessionOpening, StoreError>;

    /// Redeems a refresh token: one winner, one successor.
    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError>;

    /// Refuses one token from now on; kept until `expires` (S1-16).
    async fn revoke_token(&self, token: TokenId, expires: Timestamp) -> Result<(), StoreError>;

    /// Ends a sign-in and all its tokens. `false` when there is none.
    async fn end_session(&self, session: SessionId, now: Timestamp) -> Result<bool, StoreError>;

    /// Ends every sign-in of an account, with its tickets, by a mark on its record: one
    /// step however many there are. `false` when there is no such account.
    async fn end_sessions(&self, account: AccountId, now: Timestamp) -> Result<bool, StoreError>;

    /// A sign-in that has not ended, without its last use.
    async fn find_session(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError>;

    /// Sign-ins of one account or all, in order of creation, after one of them, each with its
    /// last use.
    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError>;

    /// Stores when sessions were last used. An earlier time never replaces a later one, and
    /// nothing is stored for a session that is gone.
    async fn record_session_uses(
        &self,
        uses: Vec<(SessionId, Timestamp)>,
    ) -> Result<(), StoreError>;
}
