//! When sessions were last used and accounts last signed in: kept beside their records, for
//! it changes all the time.

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, WriteTransaction,
};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::error::StoreError;
use crate::auth::time::Timestamp;
use crate::auth::token::{self, Session, SessionId};

use super::schema::{ACCOUNTS, Id, SESSION_USES, SESSIONS, SIGN_INS};
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
    note(txn, SESSION_USES, *session.0.as_bytes(), at)
}

/// Keeps the sign-in of an account, unless a later one is known.
pub(super) fn note_sign_in(
    txn: &WriteTransaction,
    account: AccountId,
    at: Timestamp,
) -> Result<(), StoreError> {
    note(txn, SIGN_INS, *account.0.as_bytes(), at)
}

fn note(
    txn: &WriteTransaction,
    table: TableDefinition<Id, u64>,
    id: Id,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut table = txn.open_table(table)?;
    let is_known = table.get(id)?.is_some_and(|known| known.value() >= at.0);
    if !is_known {
        table.insert(id, at.0)?;
    }
    Ok(())
}

pub(super) fn forget_session(txn: &WriteTransaction, session: Id) -> Result<(), StoreError> {
    txn.open_table(SESSION_USES)?.remove(session)?;
    Ok(())
}

/// A table, where the store has it.
pub(super) fn table(
    txn: &ReadTransaction,
    table: TableDefinition<Id, u64>,
) -> Result<Option<ReadOnlyTable<Id, u64>>, StoreError> {
    match txn.open_table(table) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

fn find(
    table: Option<&impl ReadableTable<Id, u64>>,
    id: Id,
) -> Result<Option<Timestamp>, StoreError> {
    let Some(table) = table else { return Ok(None) };
    Ok(table.get(id)?.map(|at| Timestamp(at.value())))
}

pub(super) fn with_last_use(
    session: Session,
    uses: Option<&impl ReadableTable<Id, u64>>,
) -> Result<Session, StoreError> {
    let last_used = find(uses, *session.id.0.as_bytes())?;
    Ok(Session { last_used, ..session })
}

/// As it was noted.
pub(super) fn with_noted_sign_in(
    account: Account,
    sign_ins: Option<&impl ReadableTable<Id, u64>>,
) -> Result<Account, StoreError> {
    let last_sign_in = find(sign_ins, *account.id.0.as_bytes())?;
    Ok(Account { last_sign_in, ..account })
}

/// When an account last signed in, as [`token::last_sign_in`] tells.
pub(super) fn last_sign_in(
    account: AccountId,
    sign_ins: &impl ReadableTable<Id, u64>,
    sessions: &impl ReadableTable<(Id, Id), ()>,
) -> Result<Option<Timestamp>, StoreError> {
    let owner = *account.0.as_bytes();
    let of_account = (owner, [0; 16])..=(owner, [u8::MAX; 16]);
    let latest = sessions.range::<(Id, Id)>(of_account)?.next_back().transpose()?;
    let latest = latest.map(|(index, _)| SessionId(Uuid::from_bytes(index.value().1)));
    Ok(token::last_sign_in(find(Some(sign_ins), owner)?, latest))
}

/// Makes the tables where they are missing, and removes what a version before them has left
/// of sessions and accounts that are gone.
pub(super) fn tidy(database: &Database) -> Result<(), StoreError> {
    let txn = database.begin_read()?;
    let mut left = Vec::new();
    for (kept, of) in [(SESSION_USES, SESSIONS), (SIGN_INS, ACCOUNTS)] {
        let Some(beside) = table(&txn, kept)? else {
            left.push((kept, Vec::new()));
            continue;
        };
        let (records, mut gone) = (txn.open_table(of)?, Vec::new());
        for entry in beside.iter()? {
            let id = entry?.0.value();
            if records.get(id)?.is_none() {
                gone.push(id);
            }
        }
        if !gone.is_empty() {
            left.push((kept, gone));
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let txn = database.begin_write()?;
    for (kept, gone) in left {
        let mut beside = txn.open_table(kept)?;
        for id in gone {
            beside.remove(id)?;
        }
    }
    Ok(txn.commit()?)
}
