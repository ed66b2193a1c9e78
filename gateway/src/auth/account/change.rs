//! What changes make of an account, and what ends with them: decided here, saved by the
//! engines.

use crate::auth::time::Timestamp;
use crate::auth::token::SessionId;

use super::former::FormerPassword;
use super::{Account, AccountId, AccountState, HashedPassword};

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

/// An account as a change makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountUpdate {
    pub account: Account,
    /// In the same step.
    pub ends: Ends,
}

/// What ends with a change of an account. With its sessions end its tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Nothing,
    /// All but the one that goes on.
    Sessions {
        but: Option<SessionId>,
    },
    SessionsAndKeys {
        but: Option<SessionId>,
    },
}

impl Account {
    /// What an administrator's change makes of it; `None` when that is nothing new. The
    /// version grows with the state, and when nobody vouches for the address any more: what
    /// verified it once does not do so again.
    #[must_use]
    pub fn apply(&self, change: &AccountChange) -> Option<AccountUpdate> {
        let mut account = self.clone();
        account.roles = change.roles.clone().unwrap_or(account.roles);
        account.state = change.state.unwrap_or(account.state);
        account.verify_email(change.email_verified);
        let doubted = self.email_verified && !account.email_verified;
        let changed_state = account.state != self.state;
        if changed_state || doubted {
            account.version += 1;
        }
        let ends = if changed_state && account.state == AccountState::Disabled {
            Ends::Sessions { but: None }
        } else {
            Ends::Nothing
        };
        (account != *self).then_some(AccountUpdate { account, ends })
    }

    /// What another password makes of it; `None` when it has changed since the present one
    /// was checked. What the account opened before ends with it; its keys only if its address
    /// is verified by this: who set it up need not be who the address belongs to.
    #[must_use]
    pub fn replace_password(&self, change: &PasswordChange) -> Option<AccountUpdate> {
        if change.expected_version.is_some_and(|version| version != self.version) {
            return None;
        }
        let mut account = self.clone();
        account.password = Some(change.replacement.clone());
        account.former.clone_from(&change.former);
        account.registered_from = None;
        account.verify_email(change.verify_email.then_some(true));
        account.version += 1;
        let verified_by_this = change.verify_email && !self.email_verified;
        let but = change.keep;
        let ends =
            if verified_by_this { Ends::SessionsAndKeys { but } } else { Ends::Sessions { but } };
        Some(AccountUpdate { account, ends })
    }

    /// With a better hash of the same password; `None` when it has another one by now.
    #[must_use]
    pub fn upgrade_hash(
        &self,
        expected: &HashedPassword,
        replacement: &HashedPassword,
    ) -> Option<Self> {
        let password = self.password.as_ref().filter(|password| *password == expected);
        password.map(|_| Self { password: Some(replacement.clone()), ..self.clone() })
    }

    /// What a GitHub number that signs in makes of it; `None` when it has changed since the
    /// caller looked, or has one already. GitHub vouches for its address.
    #[must_use]
    pub fn link(&self, link: &GithubLink) -> Option<AccountUpdate> {
        if self.version != link.version || self.github.is_some() {
            return None;
        }
        let mut account = self.clone();
        account.github = Some(link.number);
        account.avatar = link.avatar.clone().or(account.avatar);
        account.email_verified = true;
        if !link.takeover {
            return Some(AccountUpdate { account, ends: Ends::Nothing });
        }
        account.password = None;
        account.former = None;
        account.version += 1;
        Some(AccountUpdate { account, ends: Ends::SessionsAndKeys { but: None } })
    }

    /// Without where it was registered from; `None` when that is not known any more.
    #[must_use]
    pub fn forget_registration(&self) -> Option<Self> {
        self.registered_from.is_some().then(|| Self { registered_from: None, ..self.clone() })
    }

    /// Without what is kept of its former password, once that is over; `None` before, and
    /// when nothing is kept.
    #[must_use]
    pub fn forget_former(&self, now: Timestamp) -> Option<Self> {
        let over = self.former.as_ref().filter(|former| former.is_over(now));
        over.map(|_| Self { former: None, ..self.clone() })
    }

    /// Whether what was proven of it at `version` still holds.
    #[must_use]
    pub fn is_current(&self, version: u64) -> bool {
        self.version == version && self.state == AccountState::Enabled
    }

    /// Ends its oldest sign-ins, which are given in order of age, for a new one.
    ///
    /// # Errors
    /// With the last id up to which its sign-ins would have ended, when the new one has no
    /// later: it would have ended as well. None ends then.
    pub fn make_room_for(
        &mut self,
        session: SessionId,
        oldest: &[SessionId],
    ) -> Result<(), SessionId> {
        let goes_on = self.ended.and_then(|ended| ended.but);
        let goes_on = goes_on.filter(|session| !oldest.contains(session));
        let ended = oldest.last().map(|last| self.ended_with(*last, goes_on)).or(self.ended);
        if let Some(ended) = ended.filter(|ended| session <= ended.up_to) {
            return Err(ended.up_to);
        }
        self.ended = ended;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
