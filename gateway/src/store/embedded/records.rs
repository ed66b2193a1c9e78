//! Records of the tables, read and written.

use std::ops::Bound;

use redb::{ReadableTable, WriteTransaction};

use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::StoreError;
use crate::auth::server::{Server, ServerId};
use crate::auth::session::Session;
use crate::auth::token::SessionId;
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::store::record::Record;

use super::schema;
use super::schema::{ACCOUNTS, Id, KEY_USES, KEYS, SERVERS, SESSIONS, WORKSPACES};

/// Records that one step changes away from any request, so that a backlog cannot hold up
/// sign-ins.
pub(super) const SWEEP_BATCH: usize = 1_000;

/// The beginning of a page: ids are sorted by creation, and none is nil.
pub(super) fn after_id(after: Option<uuid::Uuid>) -> Bound<Id> {
    Bound::Excluded(after.map_or([0; 16], uuid::Uuid::into_bytes))
}

pub(super) fn read_account(
    txn: &WriteTransaction,
    id: AccountId,
) -> Result<Option<Account>, StoreError> {
    let accounts = txn.open_table(ACCOUNTS)?;
    let stored = accounts.get(*id.0.as_bytes())?;
    stored.map(|bytes| Account::decode(bytes.value(), &format!("account {}", id.0))).transpose()
}

pub(super) fn write_account(txn: &WriteTransaction, account: &Account) -> Result<(), StoreError> {
    if account.ended.is_some() {
        schema::raise_for_ended(txn)?;
    }
    txn.open_table(ACCOUNTS)?.insert(*account.id.0.as_bytes(), account.encode()?.as_slice())?;
    Ok(())
}

pub(super) fn read_session(
    txn: &WriteTransaction,
    id: SessionId,
) -> Result<Option<Session>, StoreError> {
    let sessions = txn.open_table(SESSIONS)?;
    let stored = sessions.get(*id.0.as_bytes())?;
    stored.map(|bytes| Session::decode(bytes.value(), &format!("session {}", id.0))).transpose()
}

pub(super) fn write_session(txn: &WriteTransaction, session: &Session) -> Result<(), StoreError> {
    txn.open_table(SESSIONS)?.insert(*session.id.0.as_bytes(), session.encode()?.as_slice())?;
    Ok(())
}

pub(super) fn read_key(txn: &WriteTransaction, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    let keys = txn.open_table(KEYS)?;
    let stored = keys.get(*id.0.as_bytes())?;
    stored.map(|bytes| ApiKey::decode(bytes.value(), &format!("key {}", id.0))).transpose()
}

pub(super) fn write_key(txn: &WriteTransaction, key: &ApiKey) -> Result<(), StoreError> {
    txn.open_table(KEYS)?.insert(*key.id.0.as_bytes(), key.encode()?.as_slice())?;
    Ok(())
}

pub(super) fn remove_key(txn: &WriteTransaction, id: KeyId) -> Result<(), StoreError> {
    txn.open_table(KEYS)?.remove(*id.0.as_bytes())?;
    txn.open_table(KEY_USES)?.remove(*id.0.as_bytes())?;
    Ok(())
}

/// Every key of a kind; rare, so that looking at all of them will do.
pub(super) fn find_keys(
    txn: &WriteTransaction,
    wanted: impl Fn(&ApiKey) -> bool,
) -> Result<Vec<ApiKey>, StoreError> {
    let mut found = Vec::new();
    for entry in txn.open_table(KEYS)?.iter()? {
        let (id, stored) = entry?;
        let key = ApiKey::decode(stored.value(), &schema::named("key", id.value()))?;
        if wanted(&key) {
            found.push(key);
        }
    }
    Ok(found)
}

pub(super) fn remove_keys(txn: &WriteTransaction, gone: &[ApiKey]) -> Result<(), StoreError> {
    let (mut keys, mut uses) = (txn.open_table(KEYS)?, txn.open_table(KEY_USES)?);
    for key in gone {
        keys.remove(*key.id.0.as_bytes())?;
        uses.remove(*key.id.0.as_bytes())?;
    }
    Ok(())
}

pub(super) fn read_server(
    txn: &WriteTransaction,
    id: ServerId,
) -> Result<Option<Server>, StoreError> {
    let servers = txn.open_table(SERVERS)?;
    let stored = servers.get(*id.0.as_bytes())?;
    stored.map(|bytes| Server::decode(bytes.value(), &format!("server {}", id.0))).transpose()
}

pub(super) fn write_server(txn: &WriteTransaction, server: &Server) -> Result<(), StoreError> {
    txn.open_table(SERVERS)?.insert(*server.id.0.as_bytes(), server.encode()?.as_slice())?;
    Ok(())
}

pub(super) fn read_workspace(
    txn: &WriteTransaction,
    id: WorkspaceId,
) -> Result<Option<Workspace>, StoreError> {
    let workspaces = txn.open_table(WORKSPACES)?;
    let stored = workspaces.get(*id.0.as_bytes())?;
    stored.map(|bytes| Workspace::decode(bytes.value(), &format!("workspace {}", id.0))).transpose()
}

pub(super) fn write_workspace(
    txn: &WriteTransaction,
    workspace: &Workspace,
) -> Result<(), StoreError> {
    let id = *workspace.id.0.as_bytes();
    txn.open_table(WORKSPACES)?.insert(id, workspace.encode()?.as_slice())?;
    Ok(())
}
