//! When sessions were last used and accounts last signed in. Stored beside their records, as
//! it changes all the time.

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    TableDefinition, TableError, WriteTransaction,
};

use crate::auth::account::{Account, AccountId};
use crate::auth::error::StoreError;
use crate::auth::session::Session;
use crate::auth::time::Timestamp;
use crate::auth::token::SessionId;
use crate::store::record::Record;

use super::schema::{ACCOUNT_SESSIONS, ACCOUNTS, Id, SESSION_USES, SESSIONS, SIGN_INS};
use super::step::Step;

/// Stores uses of the sessions that exist.
pub(super) fn record_uses(
    txn: &WriteTransaction,
    uses: &[(SessionId, Timestamp)],
) -> Result<Step<()>, StoreError> {
    let sessions = txn.open_table(SESSIONS)?;
    let mut known = txn.open_table(SESSION_USES)?;
    for (session, at) in uses {
        let id = *session.0.as_bytes();
        if sessions.get(id)?.is_some() {
            set_unless_later(&mut known, id, *at)?;
        }
    }
    Ok(Step::changed((), |_| ()))
}

/// Stores the use of a session unless a later one is stored.
pub(super) fn record_use(
    txn: &WriteTransaction,
    session: SessionId,
    at: Timestamp,
) -> Result<(), StoreError> {
    set_unless_later(&mut txn.open_table(SESSION_USES)?, *session.0.as_bytes(), at)
}

/// Stores the sign-in of an account unless a later one is stored.
pub(super) fn record_sign_in(
    txn: &WriteTransaction,
    account: AccountId,
    at: Timestamp,
) -> Result<(), StoreError> {
    set_unless_later(&mut txn.open_table(SIGN_INS)?, *account.0.as_bytes(), at)
}

fn set_unless_later(
    table: &mut Table<'_, Id, u64>,
    id: Id,
    at: Timestamp,
) -> Result<(), StoreError> {
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

/// The table; `None` in a store of an earlier version.
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

/// The session with the use that was noted.
pub(super) fn with_last_use(
    session: Session,
    uses: Option<&impl ReadableTable<Id, u64>>,
) -> Result<Session, StoreError> {
    let last_used = find(uses, *session.id.0.as_bytes())?;
    Ok(Session { last_used, ..session })
}

/// The account with the sign-in that was noted.
pub(super) fn with_noted_sign_in(
    account: Account,
    sign_ins: Option<&impl ReadableTable<Id, u64>>,
) -> Result<Account, StoreError> {
    let last_sign_in = find(sign_ins, *account.id.0.as_bytes())?;
    Ok(Account { last_sign_in, ..account })
}

/// The later one of the sign-in that was noted and the newest session of the account: an
/// earlier version opens sessions and notes nothing.
pub(super) fn last_sign_in(
    txn: &WriteTransaction,
    account: AccountId,
) -> Result<Option<Timestamp>, StoreError> {
    let owner = *account.0.as_bytes();
    let index = txn.open_table(ACCOUNT_SESSIONS)?;
    let of_account = (owner, [0; 16])..=(owner, [u8::MAX; 16]);
    let newest = index.range::<(Id, Id)>(of_account)?.next_back().transpose()?;
    let newest = match newest {
        Some((index, _)) => txn.open_table(SESSIONS)?.get(index.value().1)?.and_then(|stored| {
            // A session that does not decode is reported where sessions are listed.
            Session::decode(stored.value(), "session").ok()
        }),
        None => None,
    };
    let noted = find(Some(&txn.open_table(SIGN_INS)?), owner)?;
    Ok(noted.max(newest.map(|session| session.created)))
}

/// Removes what an earlier version has left: it knows no such tables when it removes sessions
/// and accounts.
pub(super) fn prune(database: &Database) -> Result<(), StoreError> {
    let txn = database.begin_read()?;
    let mut orphans = Vec::new();
    for (kept, of) in [(SESSION_USES, SESSIONS), (SIGN_INS, ACCOUNTS)] {
        let Some(beside) = table(&txn, kept)? else { continue };
        let records = txn.open_table(of)?;
        for entry in beside.iter()? {
            let id = entry?.0.value();
            if records.get(id)?.is_none() {
                orphans.push((kept, id));
            }
        }
    }
    if orphans.is_empty() {
        return Ok(());
    }
    let txn = database.begin_write()?;
    for (kept, id) in orphans {
        txn.open_table(kept)?.remove(id)?;
    }
    Ok(txn.commit()?)
}
