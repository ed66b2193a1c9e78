//! Tokens as values: what they claim, not how they are written.

use uuid::Uuid;

use super::account::AccountId;
use super::session_client::SessionClient;
use super::time::Timestamp;
use super::workspace::WorkspaceId;

/// `jti`: one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub Uuid);

/// `sid`: one sign-in and every token that followed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// When it was made, by the clock of the gateway that made it.
    #[must_use]
    pub fn made(self) -> Timestamp {
        Timestamp(u64::try_from(self.0.as_u128() >> 80).unwrap_or(u64::MAX))
    }

    /// The last id of those made in this millisecond.
    #[must_use]
    pub fn last_of(now: Timestamp) -> Self {
        Self(Uuid::from_u128(u128::from(now.0) << 80 | (u128::MAX >> 48)))
    }
}

/// `type`: what a token is good for (S1-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Access,
    Refresh,
}

/// The claims of one of our own tokens. Times are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub subject: AccountId,
    pub kind: TokenKind,
    pub issued_at: u64,
    pub not_before: u64,
    pub expires_at: u64,
    pub id: TokenId,
    pub session: SessionId,
    pub issuer: String,
    pub audience: String,
    /// The account's main role when it was issued, for clients to show; what counts
    /// is the account's present one.
    pub role: Option<String>,
    /// What an access token is scoped to (S2-23).
    pub workspace: Option<WorkspaceId>,
}

/// A sign-in as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub account: AccountId,
    pub created: Timestamp,
    /// No token of this family outlives this moment.
    pub expires: Timestamp,
    /// The refresh token that may be redeemed now.
    pub current: Minted,
    /// The refresh token that `current` replaced, and when.
    pub replaced: Option<(TokenId, Timestamp)>,
    /// `None` for a session that a version opened which did not record it.
    pub client: Option<SessionClient>,
    /// Where sessions are listed or exported: the last use of which the store was told. It
    /// is kept apart, for it changes all the time.
    pub last_used: Option<Timestamp>,
}

impl Session {
    /// When it was last used, as far as the store knows: opening and refreshing it are uses.
    #[must_use]
    pub fn last_use(&self) -> Timestamp {
        self.created.max(self.current.issued_at).max(self.last_used.unwrap_or_default())
    }
}

/// When an account last signed in, by what was noted and the latest session it has: a gateway
/// of a version that notes nothing may have opened that since.
#[must_use]
pub fn last_sign_in(noted: Option<Timestamp>, latest: Option<SessionId>) -> Option<Timestamp> {
    match (noted, latest.map(SessionId::made)) {
        // The same one: its id is made a moment after its time was read.
        (Some(noted), Some(made)) if made.since(noted) < 1_000 => Some(noted),
        (noted, made) => noted.max(made),
    }
}

/// Sign-ins of an account that ended at once: those with an id up to one of them, but for
/// one. It says in one place what a record of each would, however many there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSessions {
    pub up_to: SessionId,
    /// The one that went on.
    pub but: Option<SessionId>,
}

impl EndedSessions {
    #[must_use]
    pub fn contain(&self, session: SessionId) -> bool {
        session <= self.up_to && self.but != Some(session)
    }
}

/// All that distinguishes one pair of tokens from the next. The same values
/// sign to the same text, so a repeated refresh can be given the very pair
/// that the first one got without keeping any token (C6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minted {
    pub access: TokenId,
    pub refresh: TokenId,
    pub issued_at: Timestamp,
    /// Lifetime of the access token in seconds, a property of the contract.
    pub access_ttl: u64,
}
