//! Accounts: who signs in.

use async_trait::async_trait;

use crate::auth::account::change::{AccountChange, Administration, GithubLink, PasswordChange};
use crate::auth::account::{Account, AccountId, AccountState, Creation, HashedPassword};
use crate::auth::error::StoreError;
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChanged {
    /// The account as it was before.
    Changed(Box<Account>),
    NoAccount,
    /// Nobody would administer the gateway; nothing was changed.
    LastAdministrator,
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
    async fn record_success(
        &self,
        account: AccountId,
        version: u64,
        from: Source,
        now: Timestamp,
    ) -> Result<(), StoreError>;
}
