//! Accounts: who signs in.

use async_trait::async_trait;

use crate::auth::account::{Account, AccountId, AccountState, HashedPassword};
use crate::auth::error::StoreError;
use crate::auth::former::FormerPassword;
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::time::Timestamp;
use crate::auth::token::SessionId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    Created,
    NameTaken,
    EmailTaken,
    /// Another account is this GitHub number's.
    GithubTaken,
}

/// What an administrator decides about an account. What is `None` stays.
#[derive(Debug, Clone)]
pub struct AccountChange {
    pub account: AccountId,
    pub roles: Option<Vec<String>>,
    pub state: Option<AccountState>,
    /// Of an account without an address it says nothing.
    pub email_verified: Option<bool>,
    pub administration: Administration,
    pub now: Timestamp,
}

impl AccountChange {
    /// One that changes nothing yet.
    #[must_use]
    pub fn of(account: AccountId, administration: Administration, now: Timestamp) -> Self {
        Self { account, roles: None, state: None, email_verified: None, administration, now }
    }
}

/// Whether a change may leave nobody who administers the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administration {
    /// Another enabled administrator must be left, whoever removes that one at the
    /// same time, and at whichever replica.
    MustRemain,
    /// For somebody who can always let somebody in again.
    MayEnd,
}

impl Administration {
    /// Whether another enabled administrator must be left for an account to become what it
    /// is `after`, or to be removed.
    #[must_use]
    pub fn needs_another(self, before: &Account, after: Option<&Account>) -> bool {
        self == Administration::MustRemain
            && before.administers()
            && !after.is_some_and(Account::administers)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChanged {
    /// The account as it was before.
    Changed(Box<Account>),
    NoAccount,
    /// Nobody would administer the gateway; nothing was changed.
    LastAdministrator,
}

/// Let a GitHub number sign in to an account.
#[derive(Debug, Clone)]
pub struct GithubLink {
    pub account: AccountId,
    /// The account must not have changed since the caller looked.
    pub version: u64,
    pub number: u64,
    pub avatar: Option<String>,
    /// Whether what the account had so far ends: nobody had vouched for its address,
    /// so whoever set its password need not be who the address belongs to.
    pub takeover: bool,
    pub now: Timestamp,
}

/// Replace a password if it is still the one that was checked.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    pub account: AccountId,
    /// `None` replaces whatever is there (an administrator's reset).
    pub expected_version: Option<u64>,
    pub replacement: HashedPassword,
    /// What is kept of the password before in place of what was kept until now.
    pub former: Option<FormerPassword>,
    /// Whether the account's address is verified in the same step.
    pub verify_email: bool,
    /// The session that goes on; every other one ends in the same step.
    pub keep: Option<SessionId>,
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    Replaced,
    Stale,
}

/// What a store does with accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Adds an account under its unique name and e-mail.
    async fn create_account(&self, account: Account) -> Result<Creation, StoreError>;

    /// As [`Self::create_account`], with a first sign-in in the same step.
    async fn register(&self, account: Account, session: Session) -> Result<Creation, StoreError>;

    /// Takes from an account where it was registered from: its owner has an answer.
    async fn forget_registration(&self, account: AccountId) -> Result<(), StoreError>;

    /// Accounts in order of creation, after one of them, each with its last sign-in.
    async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError>;

    /// When a session of the account was last opened; `None` if that is not recorded.
    async fn last_sign_in(&self, account: AccountId) -> Result<Option<Timestamp>, StoreError>;

    /// Finds by canonical user name or e-mail, without the last sign-in.
    async fn find_account(&self, name: &str) -> Result<Option<Account>, StoreError>;

    /// Replaces the hash and ends every session but `keep`, with its tokens and
    /// the account's tickets, in one step (S1-23). The version grows by one.
    async fn replace_password(&self, change: PasswordChange) -> Result<Replacement, StoreError>;

    /// Replaces a hash by a better one of the same password; sessions go on.
    async fn upgrade_hash(
        &self,
        account: AccountId,
        expected: &HashedPassword,
        replacement: HashedPassword,
    ) -> Result<Replacement, StoreError>;

    /// Replaces the roles, with which sessions go on, and enables or disables;
    /// disabling ends every session and ticket in the same step.
    async fn change_account(&self, change: AccountChange) -> Result<AccountChanged, StoreError>;

    /// Enables or disables, as [`Self::change_account`] does. `false` when there is no
    /// such account.
    async fn set_state(
        &self,
        account: AccountId,
        state: AccountState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let unchanged = AccountChange::of(account, Administration::MayEnd, now);
        let change = AccountChange { state: Some(state), ..unchanged };
        Ok(matches!(self.change_account(change).await?, AccountChanged::Changed(_)))
    }

    /// Removes an account with its sessions, tickets, keys and memberships, and makes
    /// its servers nobody's.
    async fn delete_account(
        &self,
        account: AccountId,
        administration: Administration,
        now: Timestamp,
    ) -> Result<AccountChanged, StoreError>;

    /// Lets a GitHub number sign in to an account. `Stale` when the account has changed
    /// or either is linked already.
    async fn link_github(&self, link: GithubLink) -> Result<Replacement, StoreError>;

    /// Notes that the account has been proven from an address, if it is still at
    /// `version`.
    async fn note_success(
        &self,
        account: AccountId,
        version: u64,
        from: Source,
        now: Timestamp,
    ) -> Result<(), StoreError>;
}
