//! When sessions were last used here. A request notes it where its verified token lies,
//! without a lock; the store is told now and then, away from any request.

use std::sync::Arc;

use dashmap::DashMap;

use crate::auth::api_key::Moment;
use crate::auth::time::Timestamp;
use crate::auth::token::SessionId;

/// Sessions remembered at once. Each costs a sign-in; more than tokens are known as verified
/// are used only between two times that the store is told, or while it cannot be.
const MAX_SESSIONS: usize = 200_000;

/// The last use of one session.
#[derive(Debug, Default)]
pub struct SessionUse {
    last: Moment,
    /// The one that the store has been told of.
    saved: Moment,
}

impl SessionUse {
    /// Notes a use; once a second, and never an earlier one.
    pub fn note(&self, now: Timestamp) {
        if self.last.get().is_none_or(|last| last.seconds() < now.seconds()) {
            self.last.set(Some(now));
        }
    }

    fn unsaved(&self) -> Option<Timestamp> {
        self.last.get().filter(|last| self.saved.get() != Some(*last))
    }
}

/// Those of all sessions whose tokens are known as verified, and those not saved yet.
#[derive(Default)]
pub struct SessionUses {
    sessions: DashMap<SessionId, Arc<SessionUse>>,
}

impl SessionUses {
    /// Where uses of a session are noted. Takes a lock: for a token that is verified for the
    /// first time, which then keeps it. Where too many sessions are remembered, what is
    /// noted there is not saved.
    #[must_use]
    pub fn of(&self, session: SessionId) -> Arc<SessionUse> {
        if let Some(known) = self.sessions.get(&session) {
            return Arc::clone(&known);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            return Arc::default();
        }
        Arc::clone(&self.sessions.entry(session).or_default())
    }

    /// When a session was last used here, as far as that is remembered.
    #[must_use]
    pub fn last(&self, session: SessionId) -> Option<Timestamp> {
        self.sessions.get(&session)?.last.get()
    }

    /// The uses that are not saved yet; they are the caller's to save now. Forgets sessions
    /// that nobody can use any more without being verified anew.
    #[must_use]
    pub fn take(&self) -> Vec<(SessionId, Timestamp)> {
        let mut taken = Vec::new();
        self.sessions.retain(|session, noted| {
            // Looked at first: whoever has let go of it has noted before, and its place is
            // locked, so that nobody gets hold of it meanwhile.
            let is_held = Arc::get_mut(noted).is_none();
            let Some(last) = noted.unsaved() else { return is_held };
            noted.saved.set(Some(last));
            taken.push((*session, last));
            true
        });
        taken
    }

    /// Gives back uses that could not be saved; later ones stay.
    pub fn give_back(&self, uses: Vec<(SessionId, Timestamp)>) {
        for (session, at) in uses {
            let noted = self.of(session);
            noted.note(at);
            noted.saved.set(None);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }
}

#[cfg(test)]
mod tests;
