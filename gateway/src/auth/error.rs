//! What can go wrong, in domain words. Each reason has one stable code, which
//! logs and metrics carry; what a client may be told is the dialects' affair.

use std::time::Duration;

pub use super::entity::{Entity, Name};
use super::federation::FederationError;
use super::password::Unacceptable;
use super::time::Timestamp;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The credential is not good. Which of the reasons it was is for the log only.
    #[error("credential refused: {}", .0.code())]
    Refused(Refusal),
    /// The proposed password breaks the policy.
    #[error("password not acceptable: {}", .0.code())]
    Password(Unacceptable),
    /// The operation needs another kind of principal.
    #[error("this operation needs a signed-in user, not an API key")]
    NotForKeys,
    /// Only a sign-in with a token will do.
    #[error("this operation needs an access token")]
    NotASession,
    /// There is no such thing, or none that the caller may see.
    #[error("there is no such {}", .0.as_str())]
    Unknown(Entity),
    /// There are as many as anybody may have.
    #[error("there are too many of this kind: {}", .0.as_str())]
    TooMany(Entity),
    /// The time that was given has passed.
    #[error("the time has passed")]
    Past,
    /// The name belongs to somebody.
    #[error("the {} is taken", .0.as_str())]
    Taken(Name),
    /// The name belongs to somebody who registered it from here just now, by another
    /// password than this: a guess.
    #[error("the {} is taken, and the password is different", .0.as_str())]
    TakenAndGuessed(Name),
    /// The name breaks its rule.
    #[error("the {} is not acceptable", .0.as_str())]
    Name(Name),
    /// Nobody may register here.
    #[error("registration is closed")]
    RegistrationClosed,
    /// As many have registered from there as may in a while.
    #[error("too many registrations from this address")]
    TooManyRegistrations { retry_after: Duration },
    /// Nobody signs in with a password here.
    #[error("local accounts are disabled")]
    LocalAccountsDisabled,
    /// Nobody would be left to administer the gateway.
    #[error("this is the last administrator")]
    LastAdministrator,
    /// Nobody said where links lead to.
    #[error("no links are made: links.public_url is not set")]
    LinksDisabled,
    /// No mail is configured.
    #[error("no mail is configured")]
    MailDisabled,
    /// Too many messages wait to be sent.
    #[error("too many mails are waiting to be sent")]
    MailBusy,
    /// The link is not good.
    #[error("link refused: {}", .0.code())]
    Link(LinkFault),
    /// The browser that comes back from GitHub is not one that was sent there.
    #[error("the flow did not begin in this browser")]
    ForeignFlow,
    /// Signing in with GitHub is not configured.
    #[error("GitHub is not configured")]
    NotFederated,
    /// GitHub did not vouch for anybody.
    #[error("GitHub: {0}")]
    Federation(FederationError),
    /// Too much password hashing is waiting already.
    #[error("password checks are overloaded")]
    HasherBusy,
    /// The store cannot answer; neither yes nor no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal)
    }
}

/// Why a credential was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not the form that the scheme prescribes.
    CredentialMalformed,
    UserUnknown,
    PasswordWrong,
    /// It was the right one until it was changed, not long ago.
    PasswordFormer,
    AccountDisabled,
    TokenMalformed,
    TokenSignature,
    TokenExpired,
    TokenNotYetValid,
    TokenKind,
    TokenIssuer,
    TokenRevoked,
    SessionEnded,
    /// The token is scoped to a workspace that its account is no member of now.
    WorkspaceLeft,
    /// A refresh token came again after its grace: the family was ended.
    RefreshReused,
    KeyMalformed,
    KeyUnknown,
    KeyExpired,
    TicketUnknown,
}

impl Refusal {
    /// Stable, for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Refusal::CredentialMalformed => "credential_malformed",
            Refusal::UserUnknown => "user_unknown",
            Refusal::PasswordWrong => "password_wrong",
            Refusal::PasswordFormer => "password_former",
            Refusal::AccountDisabled => "account_disabled",
            Refusal::TokenMalformed => "token_malformed",
            Refusal::TokenSignature => "token_signature",
            Refusal::TokenExpired => "token_expired",
            Refusal::TokenNotYetValid => "token_not_yet_valid",
            Refusal::TokenKind => "token_kind",
            Refusal::TokenIssuer => "token_issuer",
            Refusal::TokenRevoked => "token_revoked",
            Refusal::SessionEnded => "session_ended",
            Refusal::WorkspaceLeft => "workspace_left",
            Refusal::RefreshReused => "refresh_reused",
            Refusal::KeyMalformed => "key_malformed",
            Refusal::KeyUnknown => "key_unknown",
            Refusal::KeyExpired => "key_expired",
            Refusal::TicketUnknown => "ticket_unknown",
        }
    }
}

/// Why a link is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    Malformed,
    Expired,
    /// Followed before, or its account has changed since.
    Spent,
}

impl LinkFault {
    /// Stable, for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            LinkFault::Malformed => "link_malformed",
            LinkFault::Expired => "link_expired",
            LinkFault::Spent => "link_spent",
        }
    }
}

/// The store could not do what was asked. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The engine failed or is gone.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Its queue is full; trying again soon is reasonable.
    #[error("the store is overloaded")]
    Busy,
    /// What was to end has ended here, and the store could not be told; it is told later,
    /// if this process lives until then.
    #[error("it has ended at this gateway and is not stored yet")]
    Held,
    /// A record does not read; it is named, never guessed at.
    #[error("a stored record is damaged: {0}")]
    Damaged(String),
}

/// Whether an address may try a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// Refused until this moment.
    LockedOut(Timestamp),
}
