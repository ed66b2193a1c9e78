//! Identities that another service vouches for.

mod flow;

use async_trait::async_trait;

use super::account::AccountId;
use super::secret::Secret;

pub use flow::Flow;

/// A service that proves who somebody is, by OAuth 2.0 (RFC 6749 4.1).
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// What the service knows us by; public.
    fn client_id(&self) -> &str;

    /// Whether only members of certain organisations or teams are vouched for.
    fn is_restricted(&self) -> bool;

    /// Where a browser is sent to sign in. `challenge` is the S256 one of RFC 7636.
    fn authorize_url(&self, state: &str, challenge: &str, redirect: &str) -> String;

    /// Redeems a code for whom it stands for.
    ///
    /// # Errors
    /// When the code is not good, the person not admitted, or the service not well.
    async fn exchange(&self, grant: Grant) -> Result<FederatedIdentity, FederationError>;
}

/// What a browser came back with.
#[derive(Debug, Clone)]
pub struct Grant {
    pub code: Secret,
    /// The PKCE verifier (RFC 7636), when the flow began here.
    pub verifier: Option<Secret>,
    /// The redirect URI that the flow began with.
    pub redirect: Option<String>,
}

/// How an account has just come to be signed in to by the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// Made for it.
    Made,
    /// One that was there, under an address that somebody has vouched for.
    Linked,
    /// One that was there, under an address that nobody had vouched for: what it was
    /// opened with before has ended.
    TakenOver,
}

/// What a sign-in has changed before it opened a session.
#[derive(Debug, Clone)]
pub struct Joined {
    pub account: AccountId,
    /// The service's number for it.
    pub subject: u64,
    pub joining: Joining,
}

/// Somebody, as the service knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedIdentity {
    /// Never changes and never belongs to somebody else.
    pub subject: u64,
    pub login: String,
    /// The primary address, and only if the service has verified it.
    pub email: Option<String>,
    pub name: Option<String>,
    pub avatar: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FederationError {
    #[error("the code was refused")]
    CodeRefused,
    /// Not in any organisation or team that is let in.
    #[error("not a member of an admitted organisation or team")]
    NotAllowed,
    /// No address that the service has verified could name an account.
    #[error("no verified e-mail address")]
    EmailUnverified,
    #[error("no response in time")]
    Timeout,
    #[error("unavailable: {0}")]
    Unavailable(String),
    #[error("an invalid response: {0}")]
    InvalidResponse(String),
}
