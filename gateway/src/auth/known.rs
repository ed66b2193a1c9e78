//! Notes from where accounts have signed in, and whose passwords are hashed first for it
//! (`auth::account::known`).

use super::Core;
use super::account::Account;
use super::ports::Priority;
use super::source::Source;

impl Core {
    /// Notes that the account, as it is given, has just been proven from there. Failing to
    /// is no reason to refuse what was proven.
    pub async fn record_success(&self, proven: &Account, from: Source) {
        let now = self.clock.now();
        let current = self.standing.account(proven.id);
        let Some(account) = current.filter(|account| account.version == proven.version) else {
            return;
        };
        if !account.is_news(from, now) {
            return;
        }
        let noted = self.store.record_success(account.id, account.version, from, now).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "address of a sign-in not stored");
        }
    }

    /// How soon somebody's password is hashed.
    pub(super) fn priority(&self, account: &Account, from: Source) -> Priority {
        if account.is_known_from(from, self.clock.now()) {
            Priority::High
        } else {
            Priority::Normal
        }
    }
}
