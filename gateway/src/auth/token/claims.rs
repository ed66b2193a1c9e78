//! What a token claims.

use crate::auth::account::AccountId;
use crate::auth::workspace::WorkspaceId;

use super::{SessionId, TokenId};

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
