//! Places of requests that wait for their turn.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::auth::account::AccountId;
use crate::slots::{Holder, Place, Places};

/// How many wait at once in all, and of an account. Of an address no more than may be under
/// way (`limits.requests_per_address`).
const MOST: usize = 4_096;
const MOST_OF_ACCOUNT: usize = 128;

/// Places of those that wait.
pub struct Turns {
    all: Semaphore,
    of_account: Arc<Places>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Semaphore::new(MOST), of_account: Places::new(MOST_OF_ACCOUNT) }
    }
}

impl Turns {
    /// A place among those that wait, if there is one.
    pub(super) fn join(&self, account: AccountId) -> Option<(SemaphorePermit<'_>, Place)> {
        let of_account = self.of_account.take(Holder::Account(account))?;
        Some((self.all.try_acquire().ok()?, of_account))
    }

    /// Forgets accounts of which none waits.
    pub fn sweep(&self) {
        self.of_account.sweep();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn so_many_wait_of_an_account_and_in_all() {
        let turns = Turns::default();
        let joined = |accounts: &mut dyn Iterator<Item = u128>| {
            let join = |account| turns.join(AccountId(Uuid::from_u128(account)));
            let places: Vec<_> = accounts.map_while(join).collect();
            places.len()
        };
        // Twice, for the first ones have given their places back.
        for _ in 0..2 {
            assert_eq!(joined(&mut std::iter::repeat(1)), MOST_OF_ACCOUNT);
            assert_eq!(joined(&mut (0..).map(|number| number / 100)), MOST);
        }
        turns.sweep();
        assert_eq!(turns.of_account.holders(), 0);
    }
}
