//! Who a request acts as, and by which credential.

use std::sync::Arc;

use super::account::{Account, AccountId};
use super::api_key::ApiKey;
use super::time::Timestamp;
use super::token::{SessionId, TokenId};
use super::workspace::Membership;

/// How the caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Basic,
    Bearer,
    ApiKey,
    Ticket,
}

impl Scheme {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Basic => "basic",
            Scheme::Bearer => "bearer",
            Scheme::ApiKey => "api-key",
            Scheme::Ticket => "ws-token",
        }
    }
}

/// A proven identity. Made only by the core; holding one is the proof.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The account as it is now, not as it was when the credential was issued.
    pub account: Arc<Account>,
    pub proof: Proof,
    /// What the token is scoped to, with the role held there now.
    pub workspace: Option<Membership>,
}

/// The credential behind a [`Principal`].
#[derive(Debug, Clone)]
pub enum Proof {
    Password,
    AccessToken {
        token: TokenId,
        session: SessionId,
        expires: Timestamp,
    },
    Key(Arc<ApiKey>),
    /// A redeemed ticket; it lives no longer than the token it was asked with.
    Ticket {
        token: Option<(TokenId, SessionId, Timestamp)>,
    },
}

impl Principal {
    /// One without a workspace.
    #[must_use]
    pub fn new(account: Arc<Account>, proof: Proof) -> Self {
        Self { account, proof, workspace: None }
    }

    #[must_use]
    pub fn account_id(&self) -> AccountId {
        self.account.id
    }

    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self.proof {
            Proof::Password => Scheme::Basic,
            Proof::AccessToken { .. } => Scheme::Bearer,
            Proof::Key(_) => Scheme::ApiKey,
            Proof::Ticket { .. } => Scheme::Ticket,
        }
    }

    /// The key behind the request, when there is one.
    #[must_use]
    pub fn key(&self) -> Option<&ApiKey> {
        match &self.proof {
            Proof::Key(key) => Some(key),
            _ => None,
        }
    }

    /// The session behind the request, when there is one.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match self.proof {
            Proof::AccessToken { session, .. } => Some(session),
            Proof::Ticket { token } => token.map(|(_, session, _)| session),
            Proof::Password | Proof::Key(_) => None,
        }
    }

    /// As if its access token expired then: that of a session which is renewed meanwhile.
    #[must_use]
    pub fn until(&self, expires: Timestamp) -> Self {
        let proof = match self.proof {
            Proof::AccessToken { token, session, .. } => {
                Proof::AccessToken { token, session, expires }
            }
            _ => self.proof.clone(),
        };
        Self { proof, ..self.clone() }
    }

    /// When the credential ends by itself; `None` for passwords.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        match &self.proof {
            Proof::AccessToken { expires, .. } => Some(*expires),
            Proof::Key(key) => key.ends(),
            Proof::Ticket { token } => token.map(|(_, _, expires)| expires),
            Proof::Password => None,
        }
    }
}

#[cfg(test)]
mod tests;
