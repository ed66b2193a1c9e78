//! What the core needs from outside: the time, randomness, slow hashing, signatures, mail
//! and a store. A store is large, so its port is parted by what it keeps; [`Store`] is all of
//! it. The parts are named here, whichever file they stand in, with what they are asked to do.

mod accounts;
mod attempts;
mod buckets;
pub(super) mod entropy;
mod keys;
mod servers;
mod sessions;
mod store;
mod tickets;
mod workspaces;

use async_trait::async_trait;

use super::account::HashedPassword;
use super::error::{Error, Refusal};
use super::link::kind::{Link, LinkKind};
use super::secret::Secret;
use super::time::Timestamp;
use super::token::Claims;
use super::work::Work;

pub use super::account::Creation;
pub use super::account::change::{AccountChange, Administration, GithubLink, PasswordChange};
pub use super::account::limits::AccountLimits;
pub use super::session::{
    CLEARED_AT_ONCE, LOOKED_AT_ONCE, Rotation, RotationMode, SUPERSEDED_AT_ONCE,
};
pub use accounts::{AccountChanged, Accounts, Replacement};
pub use attempts::{Attempts, Counted, Failure, FailureCount, FailureLimit};
pub use buckets::{Allowance, Buckets, ReportAnswer, Usage};
pub use entropy::Entropy;
pub use keys::{KeyCreation, KeyRotated, Keys};
pub use servers::{NewOwner, ServerChange, ServerChanged, Servers};
pub use sessions::{Rotated, SessionOpening, Sessions};
pub use store::{Missing, Notice, Store, StoreHealth, StoreState};
pub use tickets::{Opening, Tickets};
pub use workspaces::{MemberChange, Workspaces};

/// Tells the time. The system's clock in production, a set one in tests.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Whose passwords are hashed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody who administers, has a link, or is at an address from which the account has
    /// signed in of late: however many strangers guess, they are not in the way.
    High,
    Normal,
}

/// Slow hashing, away from the threads that serve requests.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Whether `password` is the one behind `hash`; it is never behind no hash. What
    /// fails has cost `failure`, or what [`Self::hash`] costs if that is more, whatever
    /// it was compared with: so time does not tell who exists.
    ///
    /// # Errors
    /// [`Error::HasherBusy`] when too many are waiting.
    async fn verify(
        &self,
        hash: Option<HashedPassword>,
        password: Secret,
        failure: Work,
        priority: Priority,
    ) -> Result<bool, Error>;

    /// A new hash at the configured cost.
    ///
    /// # Errors
    /// [`Error::HasherBusy`] when too many are waiting.
    async fn hash(&self, password: Secret, priority: Priority) -> Result<HashedPassword, Error>;

    /// Whether `hash` is weaker than what [`Self::hash`] would make.
    fn outdated(&self, hash: &HashedPassword) -> bool;
}

/// Writes and checks our tokens, and makes the digests by which secrets are known.
pub trait TokenSigner: Send + Sync {
    /// The token's text; the same claims give the same text.
    fn sign(&self, claims: &Claims) -> String;

    /// Form, header and signature. Times, kind and standing are judged by the core.
    ///
    /// # Errors
    /// Why the text is not one of our tokens.
    fn open(&self, token: &str) -> Result<Claims, Refusal>;

    /// Whether a text is under the header of our tokens and names no other issuer than
    /// this: it may be one of ours, whole or damaged. Says nothing of its signature.
    fn may_be_from(&self, issuer: &str, token: &str) -> bool;

    /// SHA-256.
    fn digest(&self, bytes: &[u8]) -> [u8; 32];

    /// HMAC-SHA-256 over the length-prefixed parts.
    fn keyed_digest(&self, key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32];

    /// Like [`Self::keyed_digest`], under a key that follows from the installation's
    /// secret and the purpose: every replica has it, and has it after a restart.
    fn seal(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32];

    /// Whether it was sealed so, by the present secret or the one before, in a time
    /// that does not depend on the answer.
    fn is_seal(&self, seal: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> bool;
}

/// A link on its way to somebody.
#[derive(Debug)]
pub struct Message {
    /// `None`: nobody gets it. It is handed over all the same, so that the time until it
    /// was tells nothing.
    pub to: Option<String>,
    /// The user name of the account that the link is for.
    pub account: String,
    pub kind: LinkKind,
    pub link: Link,
}

/// Takes messages to be sent by mail.
pub trait Mailer: Send + Sync {
    /// Takes a message, to be sent after the answer.
    ///
    /// # Errors
    /// [`Error::MailBusy`] when too many wait.
    fn send(&self, message: Message) -> Result<(), Error>;
}
