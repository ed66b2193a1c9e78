//! The password before a change. Browsers with open tabs go on sending it by Basic, and
//! would lock their user's address out.
//!
//! For one failure window it is known by a keyed MAC and refused without being counted
//! as a guess. No hash is computed for it, so the quick refusal tells whoever has that
//! password that it was one; the window bounds how long. A form with it counts: people
//! type those.
//!
//! Whoever has the store and the secret key could guess at it as fast as a MAC is
//! computed. It is therefore swept from the record after the window, and never exported.

use super::Core;
use super::account::former::FormerPassword;
use super::account::{Account, AccountState, canonical_name};

const PURPOSE: &str = "former password";

impl Core {
    /// What to keep of the account's password as it is replaced.
    pub(super) fn former(&self, account: &Account, password: &str) -> FormerPassword {
        // Good for the very next version: whatever changes after that ends it, though a
        // gateway of an older version does it, which leaves alone what it does not know.
        let version = account.version.saturating_add(1).to_be_bytes();
        let parts: [&[u8]; 3] = [account.id.0.as_bytes(), &version, password.as_bytes()];
        FormerPassword {
            mac: self.signer.seal(PURPOSE, &parts),
            ends: self.clock.now().plus(self.policy.failure_window),
        }
    }

    /// Whether a Basic credential was good until its password was changed a short while
    /// ago. From memory alone.
    #[must_use]
    pub fn is_former_basic(&self, name: &str, password: &str) -> bool {
        let account = self.standing.account_by_name(&canonical_name(name));
        account.is_some_and(|account| self.is_former(&account, password))
    }

    pub(super) fn is_former(&self, account: &Account, password: &str) -> bool {
        let now = self.clock.now();
        let Some(former) = account.former.as_ref().filter(|former| !former.is_over(now)) else {
            return false;
        };
        let version = account.version.to_be_bytes();
        let parts: [&[u8]; 3] = [account.id.0.as_bytes(), &version, password.as_bytes()];
        account.state == AccountState::Enabled
            && self.policy.local_accounts
            && self.signer.is_seal(&former.mac, PURPOSE, &parts)
    }
}
