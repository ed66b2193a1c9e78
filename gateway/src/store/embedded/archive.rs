//! The records of a file, to be read and written as they are.

use std::fmt::Display;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, Value,
    WriteTransaction,
};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::StoreError;
use crate::auth::register::Registering;
use crate::auth::server::Server;
use crate::auth::session::Session;
use crate::auth::time::Timestamp;
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::files;
use crate::store::archive::{
    Archive, Clash, Entry, Import, Kind, Left, Moment, Records, Unfinished, Written,
};
use crate::store::record::{Record, check_member_role};

use super::records::{
    after_id, write_account, write_key, write_server, write_session, write_workspace,
};
use super::schema::{
    self, ACCOUNT_SESSIONS, ACCOUNTS, ENDED, Expiring, Id, KEY_USES, KEYS, MEMBERS, META, NAMES,
    NewFile, REGISTRATION, REVOKED, SERVERS, SESSION_USES, SESSIONS, SIGN_INS, WORKSPACES, named,
};
use super::{Location, OpenError, activity};

/// The records of one moment, whatever is written since.
pub(super) struct Snapshot(Arc<ReadTransaction>);

impl Snapshot {
    pub(super) fn of(txn: ReadTransaction) -> Self {
        Self(Arc::new(txn))
    }
}

#[async_trait]
impl Records for Snapshot {
    fn moment(&self) -> Moment {
        Moment::One
    }

    async fn read(
        &self,
        kind: Kind,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (txn, after) = (Arc::clone(&self.0), after.map(Entry::id));
        tokio::task::spawn_blocking(move || read(&txn, kind, after, limit))
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

/// A file that no gateway has open. It blocks, and keeps nothing in memory.
pub struct EmbeddedArchive(Database);

impl EmbeddedArchive {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// As [`super::EmbeddedStore::check`].
    pub fn reopen(location: &Location) -> Result<Self, OpenError> {
        schema::reopen(location).map(Self)
    }

    /// An empty store to try things in, of which nothing is left behind, not even by
    /// a kill.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn scratch() -> Result<Self, OpenError> {
        let directory = std::env::temp_dir();
        schema::create(files::unnamed(&directory)?, &directory).map(Self)
    }

    /// Begins an import into it, which is there at its end and not before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn import(self) -> Result<EmbeddedImport, StoreError> {
        Ok(EmbeddedImport { txn: self.0.begin_write()?, database: self.0, new: None })
    }
}

/// An import in one transaction; into a store that is new, under another name too.
pub struct EmbeddedImport {
    // Before the database, which it keeps open.
    txn: WriteTransaction,
    database: Database,
    new: Option<NewFile>,
}

impl EmbeddedImport {
    /// Begins a store; `None` where one is.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(path: &Path) -> Result<Option<Self>, OpenError> {
        let Some((new, database)) = NewFile::begin(path)? else { return Ok(None) };
        let txn = database.begin_write();
        let txn = txn.map_err(|error| schema::incomplete(&error.into(), path))?;
        Ok(Some(Self { txn, database, new: Some(new) }))
    }
}

#[async_trait]
impl Import for EmbeddedImport {
    async fn write(&mut self, entries: &[Entry]) -> Result<Written, StoreError> {
        add_all(&self.txn, entries)
    }

    async fn finish(self: Box<Self>) -> Result<(), Unfinished> {
        let Self { txn, database, new } = *self;
        txn.commit().map_err(|error| Unfinished::Undone(error.into()))?;
        let Some(new) = new else { return Ok(()) };
        let unmade = |reason: &dyn Display| StoreError::Unavailable(reason.to_string());
        match new.keep(database) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Unfinished::Undone(unmade(&"another store was made there meanwhile"))),
            // It may have its name, and not for certain on the disk.
            Err(error) => Err(Unfinished::Unknown(unmade(&error))),
        }
    }

    async fn give_up(self: Box<Self>) -> Result<Left, StoreError> {
        self.txn.abort()?;
        Ok(Left::Nothing)
    }
}

#[async_trait]
impl Records for EmbeddedArchive {
    fn moment(&self) -> Moment {
        Moment::One
    }

    async fn read(
        &self,
        kind: Kind,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        read(&self.0.begin_read()?, kind, after.map(Entry::id), limit)
    }
}

#[async_trait]
impl Archive for EmbeddedArchive {
    async fn write(&self, entries: &[Entry]) -> Result<Written, StoreError> {
        let txn = self.0.begin_write()?;
        let written = add_all(&txn, entries)?;
        match written {
            Written::Added(_) => txn.commit()?,
            Written::Refused { .. } => txn.abort()?,
        }
        Ok(written)
    }
}

fn add_all(txn: &WriteTransaction, entries: &[Entry]) -> Result<Written, StoreError> {
    let mut added = 0;
    for (index, entry) in entries.iter().enumerate() {
        match add(txn, entry)? {
            Ok(new) => added += usize::from(new),
            Err(clash) => return Ok(Written::Refused { index, clash }),
        }
    }
    Ok(Written::Added(added))
}

fn read(
    txn: &ReadTransaction,
    kind: Kind,
    after: Option<(Uuid, Option<Uuid>)>,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    match kind {
        Kind::Account => {
            let sign_ins = activity::table(txn, SIGN_INS)?;
            page(txn, ACCOUNTS, after, limit, |id, stored| {
                let account = Account::decode(stored, &named("account", id))?;
                Ok(Entry::Account(activity::with_noted_sign_in(account, sign_ins.as_ref())?))
            })
        }
        Kind::Server => page(txn, SERVERS, after, limit, |id, stored| {
            Ok(Entry::Server(Server::decode(stored, &named("server", id))?))
        }),
        Kind::Workspace => page(txn, WORKSPACES, after, limit, |id, stored| {
            Ok(Entry::Workspace(Workspace::decode(stored, &named("workspace", id))?))
        }),
        Kind::Member => members(txn, after, limit),
        Kind::Session => {
            let uses = activity::table(txn, SESSION_USES)?;
            page(txn, SESSIONS, after, limit, |id, stored| {
                let session = Session::decode(stored, &named("session", id))?;
                Ok(Entry::Session(activity::with_last_use(session, uses.as_ref())?))
            })
        }
        Kind::Key => page(txn, KEYS, after, limit, |id, stored| {
            Ok(Entry::Key(ApiKey::decode(stored, &named("key", id))?))
        }),
        Kind::KeyUse => page(txn, KEY_USES, after, limit, |id, at| {
            Ok(Entry::KeyUse { key: KeyId(Uuid::from_bytes(id)), at: Timestamp(at) })
        }),
        Kind::RevokedToken => page(txn, REVOKED, after, limit, |id, expires| {
            let token = TokenId(Uuid::from_bytes(id));
            Ok(Entry::RevokedToken { token, expires: Timestamp(expires) })
        }),
        // There is at most one.
        Kind::RegistrationClosed => {
            let closed = txn.open_table(META)?.get(REGISTRATION)?.is_some();
            let listed = closed && after.is_none() && limit > 0;
            Ok(listed.then_some(Entry::RegistrationClosed).into_iter().collect())
        }
        Kind::EndedSession => page(txn, ENDED, after, limit, |id, expires| {
            let session = SessionId(Uuid::from_bytes(id));
            Ok(Entry::EndedSession { session, expires: Timestamp(expires) })
        }),
    }
}

fn page<V: Value + 'static>(
    txn: &ReadTransaction,
    table: TableDefinition<Id, V>,
    after: Option<(Uuid, Option<Uuid>)>,
    limit: usize,
    entry: impl Fn(Id, V::SelfType<'_>) -> Result<Entry, StoreError>,
) -> Result<Vec<Entry>, StoreError> {
    let after = after_id(after.map(|(id, _)| id));
    let mut entries = Vec::new();
    for found in txn.open_table(table)?.range::<Id>((after, Bound::Unbounded))?.take(limit) {
        let (id, stored) = found?;
        entries.push(entry(id.value(), stored.value())?);
    }
    Ok(entries)
}

fn members(
    txn: &ReadTransaction,
    after: Option<(Uuid, Option<Uuid>)>,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let (workspace, account) = after.unwrap_or_default();
    let after = (workspace.into_bytes(), account.unwrap_or_default().into_bytes());
    let rest = (Bound::Excluded(after), Bound::Unbounded);
    let mut entries = Vec::new();
    for found in txn.open_table(MEMBERS)?.range::<(Id, Id)>(rest)?.take(limit) {
        let (key, role) = found?;
        let (workspace, account) = key.value();
        check_member_role(role.value())?;
        entries.push(Entry::Member {
            workspace: WorkspaceId(Uuid::from_bytes(workspace)),
            account: AccountId(Uuid::from_bytes(account)),
            role: role.value().to_owned(),
        });
    }
    Ok(entries)
}

/// Adds a record to the transaction, unless it is there; answers whether it was not.
fn add(txn: &WriteTransaction, entry: &Entry) -> Result<Result<bool, Clash>, StoreError> {
    if let Some(present) = find(txn, entry)? {
        return Ok(if present.says_the_same(entry) { Ok(false) } else { Err(Clash::Different) });
    }
    for (kind, id) in entry.refers_to() {
        let table = match kind {
            Kind::Account => ACCOUNTS,
            Kind::Server => SERVERS,
            Kind::Workspace => WORKSPACES,
            _ => KEYS,
        };
        if txn.open_table(table)?.get(id.into_bytes())?.is_none() {
            return Ok(Err(Clash::Missing(kind, id)));
        }
    }
    if let Entry::Account(account) = entry {
        let mut names = txn.open_table(NAMES)?;
        for name in account.names() {
            if names.get(name.as_str())?.is_some() {
                return Ok(Err(Clash::NameTaken(name)));
            }
            names.insert(name.as_str(), account.id.0.as_bytes())?;
        }
    }
    write_entry(txn, entry)?;
    Ok(Ok(true))
}

fn decoded<R: Record>(stored: Option<Vec<u8>>, what: &str) -> Result<Option<R>, StoreError> {
    stored.map(|stored| R::decode(&stored, what)).transpose()
}

/// What lies where the entry would.
fn find(txn: &WriteTransaction, entry: &Entry) -> Result<Option<Entry>, StoreError> {
    let (id, _) = entry.id();
    let id = id.into_bytes();
    let stored = |table| -> Result<Option<Vec<u8>>, StoreError> {
        Ok(txn.open_table::<Id, &[u8]>(table)?.get(id)?.map(|stored| stored.value().to_owned()))
    };
    let time = |table| -> Result<Option<Timestamp>, StoreError> {
        Ok(txn.open_table::<Id, u64>(table)?.get(id)?.map(|time| Timestamp(time.value())))
    };
    let what = entry.to_string();
    Ok(match *entry {
        Entry::Account(_) => decoded(stored(ACCOUNTS)?, &what)?.map(Entry::Account),
        Entry::Server(_) => decoded(stored(SERVERS)?, &what)?.map(Entry::Server),
        Entry::Workspace(_) => decoded(stored(WORKSPACES)?, &what)?.map(Entry::Workspace),
        Entry::Session(_) => decoded(stored(SESSIONS)?, &what)?.map(Entry::Session),
        Entry::Key(_) => decoded(stored(KEYS)?, &what)?.map(Entry::Key),
        Entry::Member { workspace, account, .. } => {
            let members = txn.open_table(MEMBERS)?;
            let role = members.get((id, account.0.into_bytes()))?;
            let role = role.map(|role| role.value().to_owned());
            role.map(|role| Entry::Member { workspace, account, role })
        }
        Entry::KeyUse { key, .. } => time(KEY_USES)?.map(|at| Entry::KeyUse { key, at }),
        Entry::RevokedToken { token, .. } => {
            time(REVOKED)?.map(|expires| Entry::RevokedToken { token, expires })
        }
        Entry::RegistrationClosed => {
            let closed = txn.open_table(META)?.get(REGISTRATION)?.is_some();
            closed.then_some(Entry::RegistrationClosed)
        }
        Entry::EndedSession { session, .. } => {
            time(ENDED)?.map(|expires| Entry::EndedSession { session, expires })
        }
    })
}

fn write_entry(txn: &WriteTransaction, entry: &Entry) -> Result<(), StoreError> {
    let (id, second) = entry.id();
    let id = id.into_bytes();
    match entry {
        Entry::Account(account) => {
            write_account(txn, account)?;
            if let Some(at) = account.last_sign_in {
                activity::record_sign_in(txn, account.id, at)?;
            }
        }
        Entry::Server(server) => write_server(txn, server)?,
        Entry::Workspace(workspace) => write_workspace(txn, workspace)?,
        Entry::Member { role, .. } => {
            let account = second.unwrap_or_default().into_bytes();
            txn.open_table(MEMBERS)?.insert((id, account), role.as_str())?;
        }
        Entry::Session(session) => {
            write_session(txn, session)?;
            if let Some(at) = session.last_used {
                activity::record_use(txn, session.id, at)?;
            }
            txn.open_table(ACCOUNT_SESSIONS)?.insert((session.account.0.into_bytes(), id), ())?;
            schema::expire(txn, session.expires, Expiring::Session, &id)?;
        }
        Entry::Key(key) => write_key(txn, key)?,
        Entry::KeyUse { at, .. } => drop(txn.open_table(KEY_USES)?.insert(id, at.0)?),
        Entry::RevokedToken { expires, .. } => {
            txn.open_table(REVOKED)?.insert(id, expires.0)?;
            schema::expire(txn, *expires, Expiring::Revocation, &id)?;
        }
        Entry::RegistrationClosed => schema::write_registration(txn, Registering::Closed)?,
        Entry::EndedSession { expires, .. } => {
            txn.open_table(ENDED)?.insert(id, expires.0)?;
            schema::expire(txn, *expires, Expiring::Ending, &id)?;
        }
    }
    Ok(())
}
