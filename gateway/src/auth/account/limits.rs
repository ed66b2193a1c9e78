//! What one account may have at once.

/// What one account may have at once. What ends for more is up to each intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// With one more the oldest ends.
    pub sessions: usize,
    /// Of any state. With one more those that have ended are removed; if there are none,
    /// it is refused.
    pub keys: usize,
}

impl AccountLimits {
    /// Whether an account with so many sessions may open one more and none ends for it.
    #[must_use]
    pub fn has_room_for_session(self, sessions: usize) -> bool {
        sessions < self.sessions
    }

    /// Whether an account with so many keys may get one more.
    #[must_use]
    pub fn has_room_for_key(self, keys: usize) -> bool {
        keys < self.keys
    }
}

/// Of a configuration that names none.
impl Default for AccountLimits {
    fn default() -> Self {
        Self { sessions: 1_000, keys: 1_000 }
    }
}
