//! The records of a shared store, to be read and written as they are, beside its
//! gateways or without them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, cmd};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::StoreError;
use crate::auth::ports::Entropy;
use crate::auth::register::Registering;
use crate::auth::server::Server;
use crate::auth::session::Session;
use crate::auth::time::Timestamp;
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::store::archive::{
    Archive, Clash, Entry, Import, Kind, Left, Moment, Records, Unfinished, Written,
};
use crate::store::record::{Record, check_member_role};
use crate::store::replica::change::Change;

use super::CLOSED;
use super::link::accepted;
use super::records::{number, text};
use super::schema::{self, Beginning, Mark};
use super::transaction::{Committed, Transaction};
use super::{Engine, MAX_DECISIONS, OpenError, Settings};

type Bytes = Vec<u8>;

/// A connection that follows nobody and keeps nothing in memory. What is written is published
/// to the gateways.
pub struct SharedArchive(Engine);

impl SharedArchive {
    /// Connects, and makes the database ours if it is nobody's.
    ///
    /// # Errors
    /// When it cannot be reached or must not be used.
    pub async fn open(settings: Settings, entropy: Arc<dyn Entropy>) -> Result<Self, OpenError> {
        let engine = Engine::new(settings, Arc::default(), entropy);
        engine.connect().await?;
        Ok(Self(engine))
    }

    /// Marks the database for an import of the export with this checksum, so that nobody
    /// else uses it until the import has ended: neither a gateway nor a command.
    ///
    /// # Errors
    /// When it cannot be reached or must not be used, or holds a part of another import;
    /// of this one too, unless it is resumed.
    pub async fn import(
        settings: Settings,
        entropy: Arc<dyn Entropy>,
        export: &str,
        beginning: Beginning,
    ) -> Result<SharedImport, OpenError> {
        let engine = Engine::new(settings, Arc::default(), entropy);
        let mark = engine.connect_for_import(export, beginning).await?;
        Ok(SharedImport { archive: Self(engine), mark, added: false })
    }

    /// Connects to a database in which an import of this export was cut short, to read it.
    ///
    /// # Errors
    /// When it cannot be reached or must not be used, or no such import is under way.
    pub async fn cut_short(
        settings: Settings,
        entropy: Arc<dyn Entropy>,
        export: &str,
    ) -> Result<Self, OpenError> {
        let engine = Engine::new(settings, Arc::default(), entropy);
        engine.connect_to_import(export).await?;
        Ok(Self(engine))
    }

    /// Members of one workspace after another, each in order of accounts.
    async fn members(&self, after: Option<&Entry>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let names = &self.0.names;
        let (first, mut last) = after.map_or((None, None), |entry| {
            let (workspace, account) = entry.id();
            (Some(workspace), account)
        });
        let (mut entries, mut from) =
            (Vec::new(), first.map_or_else(|| "-".to_owned(), |id| format!("[{id}")));
        while entries.len() < limit {
            let mut next = cmd("ZRANGEBYLEX");
            next.arg(names.workspaces()).arg(&from).arg("+").arg("LIMIT").arg(0).arg(1);
            let found: Vec<String> = self.0.query(&next).await?;
            let Some(workspace) = found.first() else { break };
            from = format!("({workspace}");
            let id = parse(workspace, "workspaces")?;
            let members: BTreeMap<String, String> =
                self.0.query(cmd("HGETALL").arg(names.members(id))).await?;
            let passed = last.take().filter(|_| first == Some(id));
            for (account, role) in members {
                let account = parse(&account, "members")?;
                check_member_role(&role)?;
                if passed.is_none_or(|passed| account > passed) && entries.len() < limit {
                    let (workspace, account) = (WorkspaceId(id), AccountId(account));
                    entries.push(Entry::Member { workspace, account, role });
                }
            }
        }
        Ok(entries)
    }

    /// Without those that their account's present record has ended: it may have been read
    /// before.
    async fn sessions(&self, from: Option<Uuid>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let names = &self.0.names;
        let (mut entries, mut from, mut more) = (Vec::new(), from, true);
        while more && entries.len() < limit {
            let (wanted, key) = (limit - entries.len(), |id| names.session(id));
            let page: Vec<Session> =
                self.0.page_of_all(&names.sessions(), from, wanted, key).await?;
            more = page.len() == wanted;
            from = page.last().map(|session| session.id.0).or(from);
            let owners: BTreeSet<Uuid> = page.iter().map(|session| session.account.0).collect();
            let keys: Vec<String> = owners.into_iter().map(|id| names.account(id)).collect();
            let mut ended = BTreeMap::new();
            for (key, stored) in keys.iter().zip(self.0.records(keys.iter().cloned()).await?) {
                let Some(stored) = stored else { continue };
                let account = Account::decode(&stored, key)?;
                ended.extend(account.ended.map(|ended| (account.id, ended)));
            }
            let has_ended = |session: &Session| {
                ended.get(&session.account).is_some_and(|ended| ended.contain(session.id))
            };
            let live = page.into_iter().filter(|session| !has_ended(session)).collect();
            let live = self.0.with_last_uses(live).await?;
            entries.extend(live.into_iter().map(Entry::Session));
        }
        Ok(entries)
    }

    async fn key_uses(
        &self,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let names = &self.0.names;
        let mut from = after.map_or_else(|| "-".to_owned(), |entry| format!("({}", entry.id().0));
        let mut entries = Vec::new();
        while entries.len() < limit {
            let mut next = cmd("ZRANGEBYLEX");
            let wanted = limit - entries.len();
            next.arg(names.keys()).arg(&from).arg("+").arg("LIMIT").arg(0).arg(wanted);
            let keys: Vec<String> = self.0.query(&next).await?;
            let Some(last) = keys.last() else { break };
            from = format!("({last}");
            let times: Vec<Option<u64>> =
                self.0.query(cmd("HMGET").arg(names.key_uses()).arg(&keys)).await?;
            for (key, at) in keys.iter().zip(times) {
                if let Some(at) = at {
                    let key = KeyId(parse(key, "keys")?);
                    entries.push(Entry::KeyUse { key, at: Timestamp(at) });
                }
            }
        }
        Ok(entries)
    }

    /// Ids by the time of their end.
    async fn ends(
        &self,
        index: String,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<(Uuid, Timestamp)>, StoreError> {
        let mut first = 0;
        if let Some((entry, end)) = after.and_then(|entry| Some((entry, end_of(entry)?))) {
            let rank: Option<u64> =
                self.0.query(cmd("ZRANK").arg(&index).arg(entry.id().0.to_string())).await?;
            first = match rank {
                Some(rank) => rank + 1,
                // Swept away since: go on with what ends no earlier.
                None => {
                    let mut before = cmd("ZCOUNT");
                    before.arg(&index).arg("-inf").arg(format!("({}", end.0));
                    self.0.query(&before).await?
                }
            };
        }
        let mut range = cmd("ZRANGE");
        range.arg(&index).arg(first).arg(first + limit as u64 - 1).arg("WITHSCORES");
        let found: Vec<(String, f64)> = self.0.query(&range).await?;
        let end = |(id, end): (String, f64)| Ok((parse(&id, &index)?, from_score(end)));
        found.into_iter().map(end).collect()
    }

    /// What the keys hold that decide whether the entries can be added, and what lies
    /// where those would that have no key of their own.
    async fn read_held(&self, entries: &[Entry]) -> Result<Held, StoreError> {
        let names = &self.0.names;
        let mut keys = BTreeSet::new();
        let (mut asked, mut queries) = (Vec::new(), Vec::new());
        for entry in entries {
            match self.key(entry.kind(), entry.id().0) {
                Some(key) => drop(keys.insert(key)),
                None => {
                    asked.push(entry);
                    queries.push(self.presence_query(entry));
                }
            }
            keys.extend(entry.refers_to().iter().filter_map(|(kind, id)| self.key(*kind, *id)));
            if let Entry::Account(account) = entry {
                keys.extend(account.names().iter().map(|name| names.name(name)));
            }
        }
        let mut held = Held::default();
        if !keys.is_empty() {
            let keys: Vec<String> = keys.into_iter().collect();
            let values: Vec<Option<Bytes>> = self.0.query(cmd("MGET").arg(&keys)).await?;
            held.keys = keys.into_iter().zip(values).collect();
        }
        let answers =
            if queries.is_empty() { Vec::new() } else { self.0.query_each(&queries).await? };
        for (entry, answer) in asked.into_iter().zip(answers) {
            let nonsense = |_| StoreError::Unavailable("unexpected reply from Redis".to_owned());
            let present = match entry {
                Entry::Member { workspace, account, .. } => {
                    Option::<String>::from_redis_value(answer).map_err(nonsense)?.map(|role| {
                        Entry::Member { workspace: *workspace, account: *account, role }
                    })
                }
                Entry::KeyUse { key, .. } => Option::<u64>::from_redis_value(answer)
                    .map_err(nonsense)?
                    .map(|at| Entry::KeyUse { key: *key, at: Timestamp(at) }),
                entry => Option::<f64>::from_redis_value(answer)
                    .map_err(nonsense)?
                    .map(|end| ending_at(entry, from_score(end))),
            };
            held.others.extend(present.map(|present| ((present.kind(), present.id()), present)));
        }
        Ok(held)
    }

    /// The key of a record that has one.
    fn key(&self, kind: Kind, id: Uuid) -> Option<String> {
        let names = &self.0.names;
        match kind {
            Kind::Account => Some(names.account(id)),
            Kind::Server => Some(names.server(id)),
            Kind::Workspace => Some(names.workspace(id)),
            Kind::Session => Some(names.session(id)),
            Kind::Key => Some(names.key(id)),
            Kind::RegistrationClosed => Some(names.registration()),
            Kind::Member | Kind::KeyUse | Kind::RevokedToken | Kind::EndedSession => None,
        }
    }

    fn presence_query(&self, entry: &Entry) -> Cmd {
        let names = &self.0.names;
        let (id, account) = entry.id();
        let (name, key, field) = match entry.kind() {
            Kind::Member => ("HGET", names.members(id), account.unwrap_or_default()),
            Kind::KeyUse => ("HGET", names.key_uses(), id),
            Kind::RevokedToken => ("ZSCORE", names.revoked(), id),
            _ => ("ZSCORE", names.ended(), id),
        };
        let mut query = cmd(name);
        query.arg(key).arg(field.to_string());
        query
    }

    fn decide(&self, entries: &[Entry], held: Held) -> Result<Decision<'_>, StoreError> {
        let mut txn = Transaction::new(&self.0);
        txn.expected.extend(held.keys.iter().map(|(key, value)| (key.clone(), value.clone())));
        let Held { mut keys, mut others } = held;
        let (mut added, names) = (0, &self.0.names);
        for (index, entry) in entries.iter().enumerate() {
            let key = self.key(entry.kind(), entry.id().0);
            let place = (entry.kind(), entry.id());
            let present = match &key {
                Some(key) => keys.get(key).cloned().flatten(),
                None => None,
            };
            let present = match present {
                Some(bytes) => Some(decode(entry.kind(), &bytes, &entry.to_string())?),
                None => others.get(&place).cloned(),
            };
            let refused =
                |clash| Ok((Transaction::new(&self.0), Written::Refused { index, clash }));
            match present {
                Some(present) if present.says_the_same(entry) => continue,
                Some(_) => return refused(Clash::Different),
                None => {}
            }
            for (kind, id) in entry.refers_to() {
                let there = self.key(kind, id).and_then(|key| keys.get(&key)?.as_ref()).is_some();
                if !there {
                    return refused(Clash::Missing(kind, id));
                }
            }
            if let Entry::Account(account) = entry {
                for name in account.names() {
                    let key = names.name(&name);
                    if keys.insert(key.clone(), Some(Bytes::new())).flatten().is_some() {
                        return refused(Clash::NameTaken(name));
                    }
                    txn.set(key, text(account.id.0), None);
                }
            }
            self.0.write_entry(&mut txn, entry)?;
            match key {
                Some(key) => drop(keys.insert(key, Some(encode(entry)?))),
                None => drop(others.insert(place, entry.clone())),
            }
            added += 1;
        }
        Ok((txn, Written::Added(added)))
    }

    /// `false` when something that was read has changed.
    async fn commit(&self, txn: &Transaction<'_>) -> Result<bool, StoreError> {
        let engine = &self.0;
        let command = txn.command(&engine.commit.sha, &engine.installation.load())?;
        let wait = engine.wait();
        let answers = engine.script(&engine.commit, &command, wait.as_ref()).await?;
        let mut answers = answers.into_iter();
        let committed = Committed::parse(&accepted(answers.next())?)?;
        if matches!(committed, Committed::Conflict) {
            return Ok(false);
        }
        answers.next().map_or(Ok(()), |waited| engine.check_durable(waited))?;
        Ok(true)
    }
}

/// An import, page by page: what is cut short stays behind its mark.
pub struct SharedImport {
    archive: SharedArchive,
    mark: Mark,
    /// Whether something may have been added.
    added: bool,
}

impl SharedImport {
    /// What is there already.
    #[must_use]
    pub fn records(&self) -> &dyn Records {
        &self.archive
    }

    /// Takes the mark away, and leaves the database to this installation.
    async fn end(&self, installation: &str) -> Result<(), StoreError> {
        let mut txn = Transaction::new(&self.archive.0);
        schema::end_import(&mut txn, &self.archive.0.names, installation);
        if self.archive.commit(&txn).await? { Ok(()) } else { Err(StoreError::Busy) }
    }
}

#[async_trait]
impl Import for SharedImport {
    async fn write(&mut self, entries: &[Entry]) -> Result<Written, StoreError> {
        let written = self.archive.write(entries).await;
        self.added |= !matches!(written, Ok(Written::Added(0) | Written::Refused { .. }));
        written
    }

    async fn finish(self: Box<Self>) -> Result<(), Unfinished> {
        self.end(&self.mark.installation).await.map_err(Unfinished::Unknown)
    }

    /// A mark of an earlier run, of which a part may be there, stays.
    async fn give_up(self: Box<Self>) -> Result<Left, StoreError> {
        match &self.mark.former {
            Some(former) if !self.added => {
                self.end(former).await?;
                Ok(Left::Nothing)
            }
            _ => Ok(Left::Part),
        }
    }
}

type Decision<'s> = (Transaction<'s>, Written);

/// What was found.
#[derive(Default)]
struct Held {
    keys: BTreeMap<String, Option<Bytes>>,
    others: BTreeMap<(Kind, (Uuid, Option<Uuid>)), Entry>,
}

#[async_trait]
impl Records for SharedArchive {
    fn moment(&self) -> Moment {
        Moment::Each
    }

    async fn read(
        &self,
        kind: Kind,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (engine, names) = (&self.0, &self.0.names);
        let from = after.map(|entry| entry.id().0);
        match kind {
            Kind::Account => {
                let key = |id| names.account(id);
                let page: Vec<Account> =
                    engine.page_of_all(&names.accounts(), from, limit, key).await?;
                let page = engine.with_recorded_sign_ins(page).await?;
                Ok(page.into_iter().map(Entry::Account).collect())
            }
            Kind::Server => {
                let key = |id| names.server(id);
                let page: Vec<Server> =
                    engine.page_of_all(&names.servers(), from, limit, key).await?;
                Ok(page.into_iter().map(Entry::Server).collect())
            }
            Kind::Workspace => {
                let (index, key) = (names.workspaces(), |id| names.workspace(id));
                let page: Vec<Workspace> = engine.page_of_all(&index, from, limit, key).await?;
                Ok(page.into_iter().map(Entry::Workspace).collect())
            }
            Kind::Session => self.sessions(from, limit).await,
            Kind::Key => {
                let key = |id| names.key(id);
                let page: Vec<ApiKey> = engine.page_of_all(&names.keys(), from, limit, key).await?;
                Ok(page.into_iter().map(Entry::Key).collect())
            }
            Kind::Member => self.members(after, limit).await,
            Kind::KeyUse => self.key_uses(after, limit).await,
            Kind::RevokedToken => {
                let ends = self.ends(names.revoked(), after, limit).await?.into_iter();
                let entry = |(id, expires)| Entry::RevokedToken { token: TokenId(id), expires };
                Ok(ends.map(entry).collect())
            }
            // There is at most one.
            Kind::RegistrationClosed => {
                let closed: bool = engine.query(cmd("EXISTS").arg(names.registration())).await?;
                let listed = closed && after.is_none() && limit > 0;
                Ok(listed.then_some(Entry::RegistrationClosed).into_iter().collect())
            }
            Kind::EndedSession => {
                let ends = self.ends(names.ended(), after, limit).await?.into_iter();
                let entry = |(id, expires)| Entry::EndedSession { session: SessionId(id), expires };
                Ok(ends.map(entry).collect())
            }
        }
    }
}

#[async_trait]
impl Archive for SharedArchive {
    async fn write(&self, entries: &[Entry]) -> Result<Written, StoreError> {
        for _ in 0..MAX_DECISIONS {
            let (txn, written) = self.decide(entries, self.read_held(entries).await?)?;
            if txn.commands.is_empty() || self.commit(&txn).await? {
                return Ok(written);
            }
        }
        Err(StoreError::Busy)
    }
}

impl Engine {
    fn write_entry(&self, txn: &mut Transaction<'_>, entry: &Entry) -> Result<(), StoreError> {
        let names = &self.names;
        let listed = |id| [b"0".to_vec(), text(id)];
        match entry {
            Entry::Account(account) => {
                txn.run("ZADD", names.accounts(), listed(account.id.0));
                self.write_account(txn, account)?;
                if let Some(at) = account.last_sign_in {
                    self.record_sign_in(txn, account.id, at);
                }
            }
            Entry::Server(server) => {
                txn.run("ZADD", names.servers(), listed(server.id.0));
                self.write_server(txn, server, None)?;
            }
            Entry::Workspace(workspace) => {
                txn.run("ZADD", names.workspaces(), listed(workspace.id.0));
                txn.write(names.workspace(workspace.id.0), workspace, None)?;
                txn.publish(Change::workspace(workspace));
            }
            Entry::Member { workspace, account, role } => {
                txn.touch(account.0);
                let member = [text(account.0), role.clone().into_bytes()];
                txn.run("HSET", names.members(workspace.0), member);
                txn.run("SADD", names.workspaces_of(account.0), [text(workspace.0)]);
                txn.publish(Change::Member(workspace.0, account.0, Some(role.clone())));
            }
            Entry::Session(session) => {
                txn.touch(session.account.0);
                txn.run("ZADD", names.sessions(), listed(session.id.0));
                self.write_session(txn, session)?;
                if let Some(at) = session.last_used {
                    self.set_last_use(txn, session, at);
                }
            }
            Entry::Key(key) => self.add_key(txn, key)?,
            Entry::KeyUse { key, at } => {
                txn.run("HSET", names.key_uses(), [text(key.0), number(at.0)]);
                txn.publish(Change::Used(vec![(key.0, at.0)]));
            }
            Entry::RevokedToken { token, expires } => {
                txn.run("ZADD", names.revoked(), [number(expires.0), text(token.0)]);
                txn.publish(Change::Revoked(token.0, expires.0));
            }
            Entry::RegistrationClosed => self.write_registration(txn, Registering::Closed),
            Entry::EndedSession { session, expires } => {
                txn.run("ZADD", names.ended(), [number(expires.0), text(session.0)]);
                txn.publish(Change::Ended(vec![(session.0, expires.0)]));
            }
        }
        Ok(())
    }
}

fn parse(id: &str, index: &str) -> Result<Uuid, StoreError> {
    id.parse().map_err(|_| StoreError::Damaged(format!("{index}: {id:?} is no id")))
}

fn decode(kind: Kind, bytes: &[u8], what: &str) -> Result<Entry, StoreError> {
    Ok(match kind {
        Kind::Account => Entry::Account(Account::decode(bytes, what)?),
        Kind::Server => Entry::Server(Server::decode(bytes, what)?),
        Kind::Workspace => Entry::Workspace(Workspace::decode(bytes, what)?),
        Kind::Session => Entry::Session(Session::decode(bytes, what)?),
        Kind::RegistrationClosed => Entry::RegistrationClosed,
        _ => Entry::Key(ApiKey::decode(bytes, what)?),
    })
}

fn encode(entry: &Entry) -> Result<Bytes, StoreError> {
    match entry {
        Entry::Account(account) => account.encode(),
        Entry::Server(server) => server.encode(),
        Entry::Workspace(workspace) => workspace.encode(),
        Entry::Session(session) => session.encode(),
        Entry::Key(key) => key.encode(),
        Entry::RegistrationClosed => Ok(CLOSED.to_vec()),
        _ => Ok(Bytes::new()),
    }
}

/// When what is refused is refused no longer.
fn end_of(entry: &Entry) -> Option<Timestamp> {
    match entry {
        Entry::RevokedToken { expires, .. } | Entry::EndedSession { expires, .. } => Some(*expires),
        _ => None,
    }
}

fn ending_at(entry: &Entry, expires: Timestamp) -> Entry {
    match entry {
        Entry::RevokedToken { token, .. } => Entry::RevokedToken { token: *token, expires },
        Entry::EndedSession { session, .. } => Entry::EndedSession { session: *session, expires },
        other => other.clone(),
    }
}

/// Milliseconds stay whole numbers in a score for as long as dates have four digits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in ms")]
pub(super) fn from_score(score: f64) -> Timestamp {
    Timestamp(score as u64)
}
