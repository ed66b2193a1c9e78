//! Changing a password.

use crate::auth::Core;
use crate::auth::account::{AccountId, HashedPassword};
use crate::auth::error::{Error, Refusal};
use crate::auth::ports::{PasswordChange, Priority, Replacement};
use crate::auth::principal::Principal;
use crate::auth::secret::Secret;
use crate::auth::source::Source;

use super::{PasswordRule, check_acceptable, is_presentable};

impl Core {
    /// Replaces the caller's own password (S1-20 to S1-23). Every other session
    /// of the account ends in the same step; the presented one goes on.
    ///
    /// # Errors
    /// When the current password is wrong, the new one not acceptable, the
    /// caller is a key, or a port fails.
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: Secret,
        new: Secret,
        rule: PasswordRule,
        from: Source,
    ) -> Result<(), Error> {
        if principal.key().is_some() {
            return Err(Error::NotForKeys);
        }
        if !self.policy.local_accounts {
            return Err(Error::LocalAccountsDisabled);
        }
        rule.check(new.expose()).map_err(Error::Password)?;
        // The account as it stands now: the principal may be older than the last change.
        let account = self.standing.enabled_account(principal.account_id())?;
        let presentable = is_presentable(current.expose());
        let hash = account.password.clone().filter(|_| presentable);
        let presented = if presentable { current.clone() } else { Secret::from("") };
        let priority = self.priority(&account, from);
        if !self.matches(hash, presented, priority).await? {
            return Err(Refusal::PasswordWrong.into());
        }
        // The same again is none that was before.
        let former =
            (current.expose() != new.expose()).then(|| self.former(&account, current.expose()));
        let replacement = self.hasher.hash(new, priority).await?;
        let change = PasswordChange {
            account: account.id,
            expected_version: Some(account.version),
            replacement,
            former,
            verify_email: false,
            keep: principal.session(),
            now: self.clock.now(),
        };
        match self.store.replace_password(change).await? {
            Replacement::Replaced => Ok(()),
            // Somebody changed it between our check and our write: what was
            // checked is no longer the current password.
            Replacement::Stale => Err(Refusal::PasswordWrong.into()),
        }
    }

    /// A hash to store for an account that an administrator makes.
    ///
    /// # Errors
    /// When too many are waiting.
    pub async fn hash_password(&self, password: Secret) -> Result<HashedPassword, Error> {
        self.hasher.hash(password, Priority::High).await
    }

    /// Sets a password for an account without knowing the old one; all its sessions end.
    ///
    /// # Errors
    /// When the password is not acceptable or a port fails.
    pub async fn reset_password(
        &self,
        account: AccountId,
        new: Secret,
    ) -> Result<Replacement, Error> {
        check_acceptable(new.expose()).map_err(Error::Password)?;
        let replacement: HashedPassword = self.hasher.hash(new, Priority::High).await?;
        let change = PasswordChange {
            account,
            expected_version: None,
            replacement,
            // Its text is not known here. What was kept goes too: it may be what is set.
            former: None,
            verify_email: false,
            keep: None,
            now: self.clock.now(),
        };
        Ok(self.store.replace_password(change).await?)
    }
}
