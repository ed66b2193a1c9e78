//! Tokens as values: what they claim, not how they are written.

use uuid::Uuid;

use super::account::AccountId;
use super::time::Timestamp;
use super::workspace::WorkspaceId;

/// `jti`: one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub Uuid);

/// `sid`: one sign-in and every token that followed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub Uuid);

impl SessionId {
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
    /// Renews a browser's session, by the gateway alone: no contract takes it.
    Renewal,
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

impl Claims {
    /// For how many seconds the token is good in all.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.expires_at.saturating_sub(self.issued_at)
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
