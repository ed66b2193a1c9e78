//! Which passwords may be set, and changing one.

use super::Core;
use super::account::HashedPassword;
use super::error::{Error, Refusal};
use super::ports::{PasswordChange, Priority, Replacement};
use super::principal::Principal;
use super::secret::Secret;
use super::source::Source;

/// Characters a password needs at least.
pub const MIN_CHARS: usize = 8;
/// Bytes a password may have at most: bcrypt reads no more, and we never truncate.
pub const MAX_BYTES: usize = 72;

/// Why a proposed password cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unacceptable {
    TooShort,
    TooLong,
    HoldsNul,
    NoSpecial,
    /// A hash from elsewhere that cannot be worked with here.
    ForeignHash,
}

impl Unacceptable {
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Unacceptable::TooShort => "password_too_short",
            Unacceptable::TooLong => "password_too_long",
            Unacceptable::HoldsNul => "password_holds_nul",
            Unacceptable::NoSpecial => "password_no_special",
            Unacceptable::ForeignHash => "password_foreign_hash",
        }
    }

    /// The rule in words a user can act on.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Unacceptable::TooShort => "The password must have at least 8 characters",
            Unacceptable::TooLong => "The password must have at most 72 bytes",
            Unacceptable::HoldsNul => "The password must not contain a NUL character",
            Unacceptable::NoSpecial => {
                "The password must include a character that is neither letter, digit nor space"
            }
            Unacceptable::ForeignHash => "The hash must be one that bcrypt makes",
        }
    }
}

/// What a contract asks of a password beyond the floor (C10).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PasswordRule {
    /// At least one character that is neither letter, digit nor space (S2-08).
    pub special: bool,
}

impl PasswordRule {
    /// # Errors
    /// The first rule that is broken, the floor's first.
    pub fn check(self, password: &str) -> Result<(), Unacceptable> {
        check_acceptable(password)?;
        let special = |c: char| !c.is_alphanumeric() && !c.is_whitespace();
        if self.special && !password.chars().any(special) {
            return Err(Unacceptable::NoSpecial);
        }
        Ok(())
    }
}

/// The floor under every dialect's own rules.
///
/// # Errors
/// The first rule that is broken.
pub fn check_acceptable(password: &str) -> Result<(), Unacceptable> {
    if password.len() > MAX_BYTES {
        Err(Unacceptable::TooLong)
    } else if password.contains('\0') {
        Err(Unacceptable::HoldsNul)
    } else if password.chars().count() < MIN_CHARS {
        Err(Unacceptable::TooShort)
    } else {
        Ok(())
    }
}

/// Whether a presented password could have been set at all.
pub(super) fn is_presentable(password: &str) -> bool {
    password.len() <= MAX_BYTES && !password.contains('\0')
}

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
        account: super::account::AccountId,
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

#[cfg(test)]
mod tests;
