//! Sign-ins that an account has ended all at once.

use crate::auth::token::SessionId;

/// Sign-ins of an account that ended at once: those with an id up to one of them, but for
/// one. It says in one place what a record of each would, however many there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSessions {
    pub up_to: SessionId,
    /// The one that went on.
    pub but: Option<SessionId>,
}

impl EndedSessions {
    #[must_use]
    pub fn contain(&self, session: SessionId) -> bool {
        session <= self.up_to && self.but != Some(session)
    }
}
