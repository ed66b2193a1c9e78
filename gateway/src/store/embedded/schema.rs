//! What lies in the file: tables, their version, and how they come to memory.

use std::collections::HashMap;
use std::fs::{Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::ApiKey;
use crate::auth::error::StoreError;
use crate::auth::register::Registering;
use crate::auth::server::Server;
use crate::auth::standing::{Found, Standing};
use crate::auth::time::{SWEEP_SLACK, Timestamp};
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::files::{self, Access, Directory, Fault};
use crate::store::record::{Record, check_member_role};

use super::Location;

pub(super) type Id = [u8; 16];
pub(super) type Digest = [u8; 32];

pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
pub(super) const ACCOUNTS: TableDefinition<Id, &[u8]> = TableDefinition::new("accounts");
/// User names and e-mail addresses share one space, so that a sign-in by either
/// can only mean one account.
pub(super) const NAMES: TableDefinition<&str, &Id> = TableDefinition::new("names");
pub(super) const SESSIONS: TableDefinition<Id, &[u8]> = TableDefinition::new("sessions");
pub(super) const ACCOUNT_SESSIONS: TableDefinition<(Id, Id), ()> =
    TableDefinition::new("account_sessions");
/// When sessions were last used. As with [`CLEARING`], an older store gets the table when it is
/// first needed; an earlier version removes sessions and leaves their uses.
pub(super) const SESSION_USES: TableDefinition<Id, u64> = TableDefinition::new("session_uses");
/// When accounts last signed in. As [`SESSION_USES`].
pub(super) const SIGN_INS: TableDefinition<Id, u64> = TableDefinition::new("sign_ins");
pub(super) const REVOKED: TableDefinition<Id, u64> = TableDefinition::new("revoked_tokens");
pub(super) const ENDED: TableDefinition<Id, u64> = TableDefinition::new("ended_sessions");
pub(super) const TICKETS: TableDefinition<Digest, &[u8]> = TableDefinition::new("tickets");
pub(super) const KEYS: TableDefinition<Id, &[u8]> = TableDefinition::new("api_keys");
pub(super) const KEY_USES: TableDefinition<Id, u64> = TableDefinition::new("key_uses");
pub(super) const SERVERS: TableDefinition<Id, &[u8]> = TableDefinition::new("servers");
pub(super) const WORKSPACES: TableDefinition<Id, &[u8]> = TableDefinition::new("workspaces");
/// Workspace and account; the role.
pub(super) const MEMBERS: TableDefinition<(Id, Id), &str> = TableDefinition::new("members");
/// Accounts whose sessions have ended at once and are not all removed yet. A store that is
/// older than this table gets it when it is first needed.
pub(super) const CLEARING: TableDefinition<Id, ()> = TableDefinition::new("clearing_sessions");
/// When (ms), what kind, which: so that a sweep reads only what has expired.
pub(super) const EXPIRIES: TableDefinition<(u64, u8, &[u8]), ()> = TableDefinition::new("expiries");

/// Under which it is noted that registration is closed; absent when it is not.
pub(super) const REGISTRATION: &str = "registration";
const CLOSED: &[u8] = b"closed";

/// The names in the directory, whole and while it is made.
pub const FILE: &str = "portcullis.redb";
pub const PARTIAL: &str = "portcullis.partial";
/// By which the configuration names the directory.
const KEY: &str = "store.path";

const FORMAT: &str = "portcullis";
/// The version this program begins with. Older ones are migrated.
const SCHEMA: u32 = 2;
/// The version of a store in which sessions have ended at once: a program that does not
/// read the mark on their account would take their access tokens. Later ones are refused.
const SCHEMA_WITH_ENDED: u32 = 3;

/// Why the store could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store {} is in use by another process, such as a gateway: stop it, restart it if its admin.sock is missing, or set another `store.path` for this one", path.display())]
    InUse { path: PathBuf },
    #[error("the store {} is not readable: {reason}; restore it from a backup or move it away", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} is a database of another program; `store.path` must name a separate directory", path.display())]
    Foreign { path: PathBuf },
    #[error("the store {} was written by a newer version (schema {found}; this one supports {SCHEMA_WITH_ENDED}); run that version", path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error(transparent)]
    File(#[from] Fault),
    #[error("the store {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Pages kept in memory. Requests are judged without them.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the store, or makes one where no file is.
pub(super) fn open(location: &Location) -> Result<Database, OpenError> {
    if let Location::File(path) = location {
        make_if_missing(path)?;
    }
    reopen(location)
}

/// Opens a store that exists, and reads every page of it: a bit that flipped stops
/// the start rather than turn one revoked token into another.
pub(super) fn reopen(location: &Location) -> Result<Database, OpenError> {
    let path = location.path();
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let opened = match location {
        Location::File(path) => redb::backends::FileBackend::new(open_file(path)?)
            .and_then(|file| builder.create_with_backend(file)),
        Location::Memory => builder.create_with_backend(redb::backends::InMemoryBackend::new()),
        #[cfg(test)]
        Location::Simulated(disk) => builder.create_with_backend(disk.clone()),
    };
    let database = opened.map_err(|error| refusal(error, &path))?;
    if !matches!(location, Location::File(_)) {
        begin(&database).map_err(|error| incomplete(&error, &path))?;
    }
    check_version(&database, &path)?;
    Ok(database)
}

fn refusal(error: DatabaseError, path: &Path) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() != io::ErrorKind::InvalidData
                && source.kind() != io::ErrorKind::UnexpectedEof =>
        {
            OpenError::Io { path, source }
        }
        other => OpenError::Damaged { path, reason: other.to_string() },
    }
}

pub(super) fn incomplete(error: &StoreError, path: &Path) -> OpenError {
    OpenError::Io { path: path.to_owned(), source: io::Error::other(error.to_string()) }
}

/// Makes a new store where none is.
fn make_if_missing(path: &Path) -> Result<(), OpenError> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let Some((new, database)) = NewFile::begin(path)? else { return Ok(()) };
    new.keep(database).map(drop)
}

/// A store under another name, which it keeps until it is complete: a file of the store's
/// own name is a store, or was one, and is never begun anew.
pub(super) struct NewFile {
    directory: Directory,
    name: String,
    path: PathBuf,
    kept: bool,
}

impl NewFile {
    /// Begins one in the place of what was left of an earlier beginning; `None` where a
    /// store is.
    pub(super) fn begin(path: &Path) -> Result<Option<(Self, Database)>, OpenError> {
        let (directory, name) = files::split(path);
        let directory = Directory::make(directory, 0o700, KEY)?;
        // Of several that begin at once, one makes the store.
        let lock = directory.lock();
        if directory.judge(&name, files::Kind::File)? {
            return Ok(None);
        }
        if let Some(left) = directory.open(PARTIAL, Access::Write)?
            && matches!(left.try_lock(), Err(TryLockError::WouldBlock))
        {
            return Err(OpenError::InUse { path: path.to_owned() });
        }
        let file = directory.begin(PARTIAL, 0o600)?;
        // From here on it is locked itself, by which others know that it is not left over.
        let made = create(file, path);
        drop(lock);
        let new = Self { directory, name, path: path.to_owned(), kept: false };
        Ok(Some((new, made?)))
    }

    /// Gives it its name; `false` when another store has been made meanwhile.
    pub(super) fn keep(mut self, database: Database) -> Result<bool, OpenError> {
        let _lock = self.directory.lock();
        database.close().map_err(|error| refusal(error, &self.path))?;
        if self.directory.judge(&self.name, files::Kind::File)? {
            return Ok(false);
        }
        self.directory.rename(PARTIAL, &self.name)?;
        self.kept = true;
        Ok(true)
    }
}

impl Drop for NewFile {
    /// Leaves nothing behind that will never be complete.
    fn drop(&mut self) {
        if !self.kept {
            let _ = self.directory.remove(PARTIAL);
        }
    }
}

/// The file of a store that exists; whatever lies there is judged before it is read.
fn open_file(path: &Path) -> Result<std::fs::File, OpenError> {
    let (directory, name) = files::split(path);
    let missing =
        || OpenError::Io { path: path.to_owned(), source: io::ErrorKind::NotFound.into() };
    let directory = Directory::look(directory, KEY)?.ok_or_else(missing)?;
    let file = directory.open(&name, Access::Write)?.ok_or_else(missing)?;
    refuse_empty(path, file.metadata())?;
    Ok(file)
}

/// Refuses what cannot be a store, without opening it: a gateway may have it open.
///
/// # Errors
/// When the file is empty, or cannot be asked for its length.
pub fn judge(location: &Location) -> Result<(), OpenError> {
    match location {
        Location::File(path) if path.exists() => refuse_empty(path, path.metadata()),
        _ => Ok(()),
    }
}

/// The library takes an empty file for one to begin in.
fn refuse_empty(path: &Path, found: io::Result<Metadata>) -> Result<(), OpenError> {
    let found = found.map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    if found.len() == 0 {
        return Err(OpenError::Damaged { path: path.to_owned(), reason: "it is empty".to_owned() });
    }
    Ok(())
}

/// Makes a store in an empty file.
pub(super) fn create(file: std::fs::File, path: &Path) -> Result<Database, OpenError> {
    let database = redb::backends::FileBackend::new(file)
        .and_then(|file| Database::builder().create_with_backend(file))
        .map_err(|error| refusal(error, path))?;
    begin(&database).map_err(|error| incomplete(&error, path))?;
    Ok(database)
}

fn check_version(database: &Database, path: &Path) -> Result<(), OpenError> {
    let damaged = |error: &dyn std::fmt::Display| OpenError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    match read_version(database).map_err(|error| damaged(&error))? {
        Some(SCHEMA | SCHEMA_WITH_ENDED) => Ok(()),
        Some(1) => migrate(database).map_err(|error| incomplete(&error, path)),
        Some(found) if found > SCHEMA_WITH_ENDED => {
            Err(OpenError::Newer { path: path.to_owned(), found })
        }
        // Version 1 is the first; a lower number was never written.
        Some(found) => Err(damaged(&format!("schema {found} does not exist"))),
        None => Err(OpenError::Foreign { path: path.to_owned() }),
    }
}

/// From schema 1 to 2, in one step: tables for what did not exist then.
fn migrate(database: &Database) -> Result<(), StoreError> {
    let txn = database.begin_write()?;
    create_tables(&txn)?;
    Ok(txn.commit()?)
}

/// Makes the tables of a database that has none.
fn begin(database: &Database) -> Result<(), StoreError> {
    let txn = database.begin_write()?;
    if txn.list_tables()?.next().is_none() {
        create_tables(&txn)?;
    }
    Ok(txn.commit()?)
}

fn create_tables(txn: &WriteTransaction) -> Result<(), StoreError> {
    let mut meta = txn.open_table(META)?;
    meta.insert("format", FORMAT.as_bytes())?;
    meta.insert("schema", SCHEMA.to_be_bytes().as_slice())?;
    txn.open_table(ACCOUNTS)?;
    txn.open_table(NAMES)?;
    txn.open_table(SESSIONS)?;
    txn.open_table(ACCOUNT_SESSIONS)?;
    txn.open_table(CLEARING)?;
    txn.open_table(SESSION_USES)?;
    txn.open_table(SIGN_INS)?;
    txn.open_table(REVOKED)?;
    txn.open_table(ENDED)?;
    txn.open_table(TICKETS)?;
    txn.open_table(KEYS)?;
    txn.open_table(KEY_USES)?;
    txn.open_table(SERVERS)?;
    txn.open_table(WORKSPACES)?;
    txn.open_table(MEMBERS)?;
    txn.open_table(EXPIRIES)?;
    Ok(())
}

/// Notes that earlier programs must not read this store any more.
pub(super) fn raise_for_ended(txn: &WriteTransaction) -> Result<(), StoreError> {
    let raised = SCHEMA_WITH_ENDED.to_be_bytes();
    let mut meta = txn.open_table(META)?;
    let known = meta.get("schema")?.is_some_and(|schema| schema.value() == raised);
    if !known {
        meta.insert("schema", raised.as_slice())?;
    }
    Ok(())
}

/// Notes that a notice was given. `false` when it was before.
pub(super) fn take_notice(txn: &WriteTransaction, notice: &str) -> Result<bool, StoreError> {
    let mut meta = txn.open_table(META)?;
    let name = format!("notice:{notice}");
    if meta.get(name.as_str())?.is_some() {
        return Ok(false);
    }
    meta.insert(name.as_str(), [].as_slice())?;
    Ok(true)
}

/// The schema number, or `None` for a database that is not ours.
fn read_version(database: &Database) -> Result<Option<u32>, StoreError> {
    let txn = database.begin_read()?;
    let Ok(meta) = txn.open_table(META) else {
        return Ok(None);
    };
    let ours = meta.get("format")?.is_some_and(|format| format.value() == FORMAT.as_bytes());
    let schema = meta.get("schema")?.and_then(|schema| schema.value().try_into().ok());
    Ok(schema.map(u32::from_be_bytes).filter(|_| ours))
}

/// Reads into memory what requests are judged by. A record that does not read
/// stops the start: passing over a revocation or a disabled account would let
/// somebody in. What memory holds already becomes what the file holds.
pub(super) fn load(
    database: &Database,
    standing: &Standing,
    location: &Location,
) -> Result<(), OpenError> {
    let read = || -> Result<(), StoreError> {
        let txn = database.begin_read()?;
        let again = standing.sizes() != Standing::default().sizes();
        let mut found = Found::default();
        for entry in txn.open_table(ACCOUNTS)?.iter()? {
            let (id, stored) = entry?;
            let account = Account::decode(stored.value(), &named("account", id.value()))?;
            found.accounts.insert(account.id);
            standing.put_account(account);
        }
        for entry in txn.open_table(REVOKED)?.iter()? {
            let (token, expires) = entry?;
            let token = TokenId(uuid::Uuid::from_bytes(token.value()));
            standing.revoke_token(token, Timestamp(expires.value()));
        }
        for entry in txn.open_table(ENDED)?.iter()? {
            let (session, expires) = entry?;
            let session = SessionId(uuid::Uuid::from_bytes(session.value()));
            standing.end_sessions(&[(session, Timestamp(expires.value()))]);
        }
        let closed = txn.open_table(META)?.get(REGISTRATION)?.is_some();
        standing.set_registration(if closed { Registering::Closed } else { Registering::Open });
        load_things(&txn, standing, &mut found)?;
        let mut uses = HashMap::new();
        for entry in txn.open_table(KEY_USES)?.iter()? {
            let (id, at) = entry?;
            uses.insert(id.value(), Timestamp(at.value()));
        }
        for entry in txn.open_table(KEYS)?.iter()? {
            let (id, stored) = entry?;
            let key = ApiKey::decode(stored.value(), &named("key", id.value()))?;
            key.last_used.set(uses.remove(&id.value()));
            if again {
                found.keys.insert(key.id);
            }
            standing.put_key(key);
        }
        if again {
            standing.keep_only(&found);
        }
        Ok(())
    };
    read().map_err(|error| OpenError::Damaged { path: location.path(), reason: error.to_string() })
}

/// Servers, workspaces and who is in them.
fn load_things(
    txn: &ReadTransaction,
    standing: &Standing,
    found: &mut Found,
) -> Result<(), StoreError> {
    for entry in txn.open_table(SERVERS)?.iter()? {
        let (id, stored) = entry?;
        let server = Server::decode(stored.value(), &named("server", id.value()))?;
        found.servers.insert(server.id);
        standing.put_server(server);
    }
    for entry in txn.open_table(WORKSPACES)?.iter()? {
        let (id, stored) = entry?;
        let workspace = Workspace::decode(stored.value(), &named("workspace", id.value()))?;
        found.workspaces.insert(workspace.id);
        standing.put_workspace(workspace);
    }
    for entry in txn.open_table(MEMBERS)?.iter()? {
        let (key, role) = entry?;
        let (workspace, account) = key.value();
        let workspace = WorkspaceId(uuid::Uuid::from_bytes(workspace));
        let account = AccountId(uuid::Uuid::from_bytes(account));
        check_member_role(role.value())?;
        found.members.insert((workspace, account));
        standing.put_member(workspace, account, Some(role.value()));
    }
    Ok(())
}

pub(super) fn write_registration(
    txn: &WriteTransaction,
    registering: Registering,
) -> Result<(), StoreError> {
    let mut meta = txn.open_table(META)?;
    match registering {
        Registering::Closed => drop(meta.insert(REGISTRATION, CLOSED)?),
        Registering::Open => drop(meta.remove(REGISTRATION)?),
    }
    Ok(())
}

pub(super) fn named(kind: &str, id: Id) -> String {
    format!("{kind} {}", uuid::Uuid::from_bytes(id))
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Expiring {
    Session = 1,
    Revocation = 2,
    Ending = 3,
    Ticket = 4,
    /// What an account's record keeps of its former password.
    Former = 5,
}

impl Expiring {
    /// Whether nothing is lost by removing one too early, by a clock that is ahead.
    pub(super) fn may_go_early(kind: u8) -> bool {
        kind == Self::Ticket as u8 || kind == Self::Former as u8
    }
}

/// Notes that a record may go after `at`.
pub(super) fn expire(
    txn: &WriteTransaction,
    at: Timestamp,
    kind: Expiring,
    id: &[u8],
) -> Result<(), StoreError> {
    let at = match kind {
        Expiring::Session | Expiring::Revocation | Expiring::Ending => at.plus(SWEEP_SLACK),
        Expiring::Ticket | Expiring::Former => at,
    };
    txn.open_table(EXPIRIES)?.insert((at.0, kind as u8, id), ())?;
    Ok(())
}

macro_rules! engine_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                StoreError::Unavailable(error.to_string())
            }
        }
    )*};
}

engine_errors!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);
