//! When sessions were last used: kept beside their records, for it changes all the time.

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableError,
    WriteTransaction,
};

use crate::auth::error::StoreError;
use crate::auth::time::Timestamp;
use crate::auth::token::{Session, SessionId};

use super::schema::{Id, SESSION_USES, SESSIONS};
use super::writer::Step;

/// Keeps uses of sessions that are there.
pub(super) fn record_uses(
    txn: &WriteTransaction,
    uses: &[(SessionId, Timestamp)],
) -> Result<Step<()>, StoreError> {
    let sessions = txn.open_table(SESSIONS)?;
    for (session, at) in uses {
        if sessions.get(*session.0.as_bytes())?.is_some() {
            note_use(txn, *session, *at)?;
        }
    }
    Ok(Step::changed((), |_| ()))
}

/// Keeps the use of a session, unless a later one is known.
pub(super) fn note_use(
    txn: &WriteTransaction,
    session: SessionId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (mut uses, id) = (txn.open_table(SESSION_USES)?, *session.0.as_bytes());
    let is_known = uses.get(id)?.is_some_and(|known| known.value() >= at.0);
    if !is_known {
        uses.insert(id, at.0)?;
    }
    Ok(())
}

pub(super) fn forget_session(txn: &WriteTransaction, session: Id) -> Result<(), StoreError> {
    txn.open_table(SESSION_USES)?.remove(session)?;
    Ok(())
}

/// The table, where the store has it.
pub(super) fn uses(txn: &ReadTransaction) -> Result<Option<ReadOnlyTable<Id, u64>>, StoreError> {
    match txn.open_table(SESSION_USES) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

pub(super) fn with_last_use(
    session: Session,
    uses: &impl ReadableTable<Id, u64>,
) -> Result<Session, StoreError> {
    let last_used = uses.get(*session.id.0.as_bytes())?.map(|at| Timestamp(at.value()));
    Ok(Session { last_used, ..session })
}

/// Makes the table where it is missing, and removes what a version before it has left of
/// sessions that are gone.
pub(super) fn tidy(database: &Database) -> Result<(), StoreError> {
    let txn = database.begin_read()?;
    let mut gone = Vec::new();
    if let Some(uses) = uses(&txn)? {
        let sessions = txn.open_table(SESSIONS)?;
        for entry in uses.iter()? {
            let id = entry?.0.value();
            if sessions.get(id)?.is_none() {
                gone.push(id);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
    }
    let txn = database.begin_write()?;
    {
        let mut uses = txn.open_table(SESSION_USES)?;
        for id in gone {
            uses.remove(id)?;
        }
    }
    Ok(txn.commit()?)
}
