//! Tokens as values: what they are known by and what they claim, not how they are written.

mod claims;

use uuid::Uuid;

use super::time::Timestamp;

pub use claims::{Claims, TokenKind};

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
