//! When sessions were last used at this gateway. A request writes the time to an atomic that
//! the cache entry of its verified token points to: no lock, no allocation. Housekeeping saves
//! the times to the store.

use std::sync::Arc;

use dashmap::DashMap;

use crate::auth::api_key::AtomicTimestamp;
use crate::auth::time::Timestamp;
use crate::auth::token::SessionId;

/// The most sessions held at once, twice as many as the cache of verified tokens has entries.
/// Beyond these are only sessions whose use is not saved yet.
const MAX_SESSIONS: usize = 200_000;

/// The last use of one session.
#[derive(Debug, Default)]
pub struct SessionUse {
    last: AtomicTimestamp,
    /// The use that was saved.
    saved: AtomicTimestamp,
}

impl SessionUse {
    /// Notes a use, at most once a second. An earlier time changes nothing.
    pub fn note(&self, now: Timestamp) {
        if self.last.get().is_none_or(|last| last.seconds() < now.seconds()) {
            self.last.set(Some(now));
        }
    }

    fn unsaved(&self) -> Option<Timestamp> {
        self.last.get().filter(|last| self.saved.get() != Some(*last))
    }
}

/// The last uses of all sessions that have a verified token in the cache, or an unsaved use.
#[derive(Default)]
pub struct SessionUses {
    sessions: DashMap<SessionId, Arc<SessionUse>>,
}

impl SessionUses {
    /// Where uses of a session are noted. Takes a lock, so it is for the first verification of a
    /// token, whose cache entry keeps the result. When too many sessions are held, uses of a
    /// further one are not saved.
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

    /// The last use of a session here; `None` if it is not held (any more).
    #[must_use]
    pub fn last(&self, session: SessionId) -> Option<Timestamp> {
        self.sessions.get(&session)?.last.get()
    }

    /// Takes the uses that are not saved yet, for the caller to save. Drops sessions whose uses
    /// are saved and that no cache entry points to.
    #[must_use]
    pub fn take(&self) -> Vec<(SessionId, Timestamp)> {
        let mut taken = Vec::new();
        self.sessions.retain(|session, noted| {
            // Looked at before the use: whoever has dropped its pointer has noted its use before,
            // and nobody gets a new one while the shard is locked.
            let is_held = Arc::get_mut(noted).is_none();
            let Some(last) = noted.unsaved() else { return is_held };
            noted.saved.set(Some(last));
            taken.push((*session, last));
            true
        });
        taken
    }

    /// Gives back uses that could not be saved. Later ones stay.
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
