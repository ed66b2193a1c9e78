//! What an account keeps of the password before a change (`auth::former`).

use crate::auth::time::Timestamp;

/// What is kept of a password that was replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct FormerPassword {
    pub mac: [u8; 32],
    /// When it becomes a wrong one like any other.
    pub ends: Timestamp,
}

impl FormerPassword {
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends <= now
    }
}

impl std::fmt::Debug for FormerPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormerPassword(…)")
    }
}
