//! The domain core: who exists, what proves it, what ends it.
//!
//! Commands come in, outcomes go out. Nothing in here knows HTTP, JSON, a
//! storage engine, the wall clock or a random source: those are ports
//! ([`ports`]), implemented in `store`, `crypto` and `clock`, so that hours can
//! pass in a test in microseconds and two engines can be held to one suite.
//!
//! The model. An *account* owns *sessions*; a session is one sign-in and the
//! family of refresh tokens that followed from it. *Access tokens* are judged
//! from memory alone: signature, times, kind, then [`standing::Standing`],
//! which holds everything that can end a token early (revoked token, ended
//! session, disabled account). *API keys* and single-use *tickets* are known by
//! their SHA-256 only.

pub mod account;
pub mod api_key;
pub mod bucket;
pub mod entity;
pub mod error;
pub mod federation;
pub mod former;
pub mod guessed;
pub mod known;
pub mod link;
pub mod login;
pub mod logout;
pub mod password;
pub mod ports;
pub mod principal;
pub mod read_through;
pub mod refresh;
pub mod register;
pub mod renew;
pub mod secret;
pub mod server;
pub mod session;
pub mod session_client;
pub mod session_life;
pub mod source;
pub mod standing;
pub mod text;
pub mod ticket;
pub mod time;
pub mod token;
pub mod verify;
pub mod work;
pub mod workspace;

use std::sync::Arc;

use account::Account;
use federation::IdentityProvider;
use link::LinkPolicy;
use ports::{Clock, Entropy, FailureLimit, Mailer, PasswordHasher, Store, TokenSigner};
use register::Registering;
use standing::Standing;
use time::Seconds;

/// What the operator decided and the core obeys.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `iss` and `aud` of our own tokens; a token with another value is refused.
    pub issuer: String,
    pub audience: String,
    /// Lifetime of refresh tokens and of the session family (S1-10).
    pub refresh_ttl: Seconds,
    /// How long a repeated refresh gets the same successor (C6).
    pub refresh_grace: Seconds,
    /// Lifetime of an access token that the gateway renews for a browser.
    pub renewed_access_ttl: Seconds,
    /// Lifetime of a WebSocket ticket (S1-26).
    pub ticket_ttl: Seconds,
    /// What the clock of another gateway, which signs as we do, may be ahead of ours.
    pub clock_skew: Seconds,
    /// Who may make an account.
    pub registration: Registering,
    /// The first registration of an address that is refused, and within what time.
    pub registrations: FailureLimit,
    /// Whether passwords sign in at all (S2-09).
    pub local_accounts: bool,
    /// How long the password before a change is known as such: as long as failed
    /// attempts are counted together.
    pub failure_window: Seconds,
    /// `None`: no links are made.
    pub links: Option<LinkPolicy>,
}

/// Every operation on credentials, over the ports it was given.
pub struct Core {
    pub(crate) policy: Policy,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) hasher: Arc<dyn PasswordHasher>,
    pub(crate) signer: Arc<dyn TokenSigner>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) github: Option<Arc<dyn IdentityProvider>>,
    mailer: Option<Arc<dyn Mailer>>,
    mails: link::MailLimit,
    /// In place of an account that there is not, where the same work is due.
    nobody: Arc<Account>,
    verified: verify::VerifiedTokens,
    token_ends: logout::TokenEnds,
    renewals: renew::Renewals,
    basic: login::VerifiedPasswords,
}

/// The parts a [`Core`] is made of.
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub standing: Arc<Standing>,
    pub hasher: Arc<dyn PasswordHasher>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// `None` when nobody signs in with GitHub.
    pub github: Option<Arc<dyn IdentityProvider>>,
    /// `None` when no mail is sent.
    pub mailer: Option<Arc<dyn Mailer>>,
}

impl Core {
    #[must_use]
    pub fn new(policy: Policy, ports: Ports) -> Self {
        let basic = login::VerifiedPasswords::new(ports.entropy.as_ref());
        Self {
            policy,
            store: ports.store,
            standing: ports.standing,
            hasher: ports.hasher,
            signer: ports.signer,
            clock: ports.clock,
            entropy: ports.entropy,
            github: ports.github,
            mailer: ports.mailer,
            mails: link::MailLimit::default(),
            nobody: Arc::new(link::nobody()),
            verified: verify::VerifiedTokens::new(),
            token_ends: logout::TokenEnds::default(),
            renewals: renew::Renewals::default(),
            basic,
        }
    }

    /// What the request path reads without waiting.
    #[must_use]
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// The store behind the core, for administration.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    #[must_use]
    pub fn github(&self) -> Option<&Arc<dyn IdentityProvider>> {
        self.github.as_ref()
    }

    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

#[cfg(test)]
pub(crate) mod tests;
