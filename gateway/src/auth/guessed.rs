//! Whose password is guessed at. All names of an account are one user: guesses at its
//! user name and at its e-mail address count together, at every gateway.
//!
//! A name that is nobody's is known by a seal, never as it was typed: it may be a
//! password. It counts, and waits, as if it were somebody's.

use std::sync::Arc;

use uuid::Uuid;

use super::Core;
use super::account::{Account, canonical_name};

const PURPOSE: &str = "guessed name";

/// Who is guessed at: an account's id, or a seal of a name that is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guessed(pub Uuid);

impl Core {
    /// Whom attempts under a name are for. From memory alone.
    #[must_use]
    pub fn guessed(&self, name: &str) -> (Guessed, Option<Arc<Account>>) {
        let name = canonical_name(name);
        // For every name, so that time does not tell whose it is.
        let seal = self.signer.seal(PURPOSE, &[name.as_bytes()]);
        let account = self.standing.account_by_name(&name);
        let nobody = || seal.first_chunk().copied().map(Uuid::from_bytes).unwrap_or_default();
        (Guessed(account.as_ref().map_or_else(nobody, |account| account.id.0)), account)
    }
}
