//! When sessions were last used: kept beside their records, for it changes all the time.
//! Memory does not hold it, so that nobody is told.

use crate::auth::error::StoreError;
use crate::auth::time::{SWEEP_SLACK, Timestamp};
use crate::auth::token::{Session, SessionId};
use crate::store::record::Record;

use super::Engine;
use super::intents::{SWEEP_BATCH, Step, number};
use super::transaction::Transaction;

impl Engine {
    pub(super) async fn record_session_uses(
        &self,
        uses: &[(SessionId, Timestamp)],
    ) -> Result<(), StoreError> {
        for uses in uses.chunks(SWEEP_BATCH) {
            self.transact(move |txn| self.note_uses(txn, uses)).await?;
        }
        Ok(())
    }

    /// The sessions themselves are not guarded: a refresh must not wait for this. What is
    /// noted of one that ends meanwhile is nowhere shown and goes with its time.
    async fn note_uses<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        uses: &[(SessionId, Timestamp)],
    ) -> Step<'s, ()> {
        let names = &self.names;
        let records = self.records(uses.iter().map(|(id, _)| names.session(id.0))).await?;
        let known = self.records(uses.iter().map(|(id, _)| names.session_use(id.0))).await?;
        for (((_, at), record), known) in uses.iter().zip(records).zip(known) {
            let session = record.and_then(|record| Session::decode(&record, "session").ok());
            let Some(session) = session else { continue };
            // Another gateway may have seen a later one.
            if time(known.as_deref()).is_some_and(|known| known >= *at) {
                continue;
            }
            txn.expected.push((names.session_use(session.id.0), known));
            self.set_last_use(&mut txn, &session, *at);
        }
        Ok((txn, ()))
    }

    pub(super) fn set_last_use(&self, txn: &mut Transaction<'_>, session: &Session, at: Timestamp) {
        let expires = session.expires.plus(SWEEP_SLACK);
        txn.set(self.names.session_use(session.id.0), number(at.0), Some(expires));
    }

    /// Adds to sessions when they were last used.
    pub(super) async fn with_last_uses(
        &self,
        sessions: Vec<Session>,
    ) -> Result<Vec<Session>, StoreError> {
        let names = sessions.iter().map(|session| self.names.session_use(session.id.0));
        let uses = self.records(names).await?;
        let used = sessions.into_iter().zip(uses);
        Ok(used
            .map(|(session, at)| Session { last_used: time(at.as_deref()), ..session })
            .collect())
    }
}

fn time(stored: Option<&[u8]>) -> Option<Timestamp> {
    std::str::from_utf8(stored?).ok()?.parse().ok().map(Timestamp)
}
