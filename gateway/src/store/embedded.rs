//! The engine of a single machine: redb, one file, one writer.
//!
//! Changes queue for the writer thread (`writer`), which puts all that wait
//! into one transaction and one fsync, publishes them to [`Standing`] and then
//! answers. Reads never come here: what the request path needs is in memory.

mod activity;
mod archive;
mod check;
mod coming;
mod schema;
mod sessions;
mod writer;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};

use crate::auth::account::change::{AccountUpdate, Ends};
use crate::auth::account::{Account, AccountId, HashedPassword, github_name};
use crate::auth::api_key::{ApiKey, KeyId, KeyRotation, Succession};
use crate::auth::error::{StoreError, Verdict};
use crate::auth::ports::{
    AccountChange, AccountChanged, AccountLimits, Accounts, Administration, Attempts, Counted,
    Creation, Failure, FailureCount, FailureLimit, GithubLink, KeyCreation, KeyRotated, Keys,
    MemberChange, Notice, Opening, PasswordChange, Replacement, Rotated, Rotation, ServerChange,
    ServerChanged, Servers, SessionOpening, Sessions, Store, StoreHealth, StoreState, Tickets,
    Workspaces,
};
use crate::auth::register::Registering;
use crate::auth::server::{Server, ServerId};
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::standing::Standing;
use crate::auth::ticket::Ticket;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};

use super::failures::Failures;
use super::held::{Ending, Held, Told};
use super::record::{Record, check_member_role};

use coming::Coming;
use schema::{
    ACCOUNT_SESSIONS, ACCOUNTS, ENDED, Expiring, Id, KEY_USES, KEYS, MEMBERS, NAMES, REVOKED,
    SERVERS, SESSIONS, SIGN_INS, TICKETS, WORKSPACES,
};
use writer::{Endings, Step, Writer};

pub use archive::{EmbeddedArchive, EmbeddedImport, Snapshot};
pub use check::Checked;
pub use schema::{FILE, OpenError, PARTIAL, judge};

/// Records that one step changes away from any request, so that a backlog cannot hold up
/// sign-ins.
const SWEEP_BATCH: usize = 1_000;

pub struct EmbeddedStore {
    writer: Writer,
    standing: Arc<Standing>,
    held: Arc<Held>,
    failures: Failures,
    coming: Coming,
    limits: AccountLimits,
    /// How long the end of a session must be remembered after it: the longest
    /// lifetime of a token that names it.
    token_ttl: Seconds,
}

/// Where the file lies.
#[derive(Debug, Clone)]
pub enum Location {
    File(PathBuf),
    /// Nothing survives; for tests.
    Memory,
    /// A disk that can lose power.
    #[cfg(test)]
    Simulated(tests::disk::Disk),
}

impl EmbeddedStore {
    /// Opens or creates the store and loads what the request path needs.
    ///
    /// # Errors
    /// When the file is locked by another process, damaged, foreign or newer.
    /// A new store is only ever made where no file was.
    pub fn open(
        location: &Location,
        standing: Arc<Standing>,
        token_ttl: Seconds,
    ) -> Result<Self, OpenError> {
        let database = schema::open(location)?;
        activity::prune(&database).map_err(|error| schema::incomplete(&error, &location.path()))?;
        schema::load(&database, &standing, location)?;
        let held = Arc::<Held>::default();
        let endings = Endings { held: Arc::clone(&held), token_ttl };
        let writer = Writer::start(database, location.clone(), Arc::clone(&standing), endings)
            .map_err(|source| OpenError::Io { path: location.path(), source })?;
        Ok(Self {
            writer,
            standing,
            held,
            failures: Failures::default(),
            coming: Coming::default(),
            limits: AccountLimits::default(),
            token_ttl,
        })
    }

    /// With other limits for each account.
    #[must_use]
    pub fn with_limits(self, limits: AccountLimits) -> Self {
        Self { limits, ..self }
    }

    /// Reads a store that nothing else has open and looks whether it is whole: each
    /// page, each record, and each reference from one record to another.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn check(location: &Location) -> Result<Checked, OpenError> {
        let database = schema::reopen(location)?;
        check::check(&database).map_err(|error| OpenError::Damaged {
            path: location.path(),
            reason: error.to_string(),
        })
    }
}

impl EmbeddedStore {
    /// All records as they are now. With `freeze`, nothing changes for so long after.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn snapshot(&self, freeze: Option<Duration>) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::of(self.writer.snapshot(freeze).await?))
    }

    /// Ends a freeze before its time; answers whether there was one.
    ///
    /// # Errors
    /// When the store has stopped.
    pub async fn thaw(&self) -> Result<bool, StoreError> {
        self.writer.thaw().await
    }

    /// Removes what is left of sessions that ended at once, a few at a time; what fails is
    /// the next sweep's.
    async fn clear_sessions(&self, account: AccountId) {
        while let Ok(true) = self.writer.submit(move |txn| sessions::clear_more(txn, account)).await
        {
        }
    }

    /// Ends it in the file; what the file does not take holds here at once, and is written
    /// later.
    async fn end(&self, ending: Ending) -> Result<bool, StoreError> {
        let token_ttl = self.token_ttl;
        let end = move |txn: &WriteTransaction| end_in(txn, ending, Told::AtOnce, token_ttl);
        let told = self.writer.submit(end).await;
        self.held.hold(&self.standing, (ending, token_ttl), told)
    }

    /// A key as memory has it, which knows its last use.
    fn in_memory(&self, key: ApiKey) -> Arc<ApiKey> {
        self.standing.key(&key.digest).unwrap_or_else(|| Arc::new(key))
    }
}

impl Location {
    /// Whether there is a store already.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Location::File(path) => path.exists(),
            Location::Memory => false,
            #[cfg(test)]
            Location::Simulated(_) => false,
        }
    }

    /// The file's name inside the data directory.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self::File(directory.join(FILE))
    }

    fn path(&self) -> PathBuf {
        match self {
            Location::File(path) => path.clone(),
            Location::Memory => PathBuf::from("memory"),
            #[cfg(test)]
            Location::Simulated(_) => PathBuf::from("simulated"),
        }
    }
}

#[async_trait]
impl Accounts for EmbeddedStore {
    async fn create_account(&self, account: Account) -> Result<Creation, StoreError> {
        self.writer
            .submit(move |txn| {
                if let Some(taken) = add_account(txn, &account)? {
                    return Ok(Step::unchanged(taken));
                }
                Ok(Step::changed(Creation::Created, move |standing| standing.put_account(account)))
            })
            .await
    }

    async fn register(&self, account: Account, session: Session) -> Result<Creation, StoreError> {
        self.writer
            .submit(move |txn| {
                if let Some(taken) = add_account(txn, &account)? {
                    return Ok(Step::unchanged(taken));
                }
                sessions::add(txn, &session)?;
                Ok(Step::changed(Creation::Created, move |standing| standing.put_account(account)))
            })
            .await
    }

    async fn forget_registration(&self, account: AccountId) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                let known = read_account(txn, account)?;
                let Some(account) = known.and_then(|known| known.forget_registration()) else {
                    return Ok(Step::unchanged(()));
                };
                write_account(txn, &account)?;
                Ok(Step::changed((), move |standing| standing.put_account(account)))
            })
            .await
    }

    async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let after = after_id(after.map(|id| id.0));
        self.writer
            .look(move |txn| {
                let mut listed = Vec::new();
                let accounts = txn.open_table(ACCOUNTS)?;
                for entry in accounts.range::<Id>((after, Bound::Unbounded))?.take(limit) {
                    let (id, stored) = entry?;
                    let name = schema::named("account", id.value());
                    let account = Account::decode(stored.value(), &name)?;
                    let last_sign_in = activity::last_sign_in(txn, account.id)?;
                    listed.push(Account { last_sign_in, ..account });
                }
                Ok(listed)
            })
            .await
    }

    async fn last_sign_in(&self, account: AccountId) -> Result<Option<Timestamp>, StoreError> {
        self.writer.look(move |txn| activity::last_sign_in(txn, account)).await
    }

    async fn find_account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        Ok(self.standing.account_by_name(name).map(|account| (*account).clone()))
    }

    async fn replace_password(&self, change: PasswordChange) -> Result<Replacement, StoreError> {
        let id = change.account;
        let replaced = self
            .writer
            .submit(move |txn| {
                let account = read_account(txn, change.account)?;
                let Some(update) = account.and_then(|account| account.replace_password(&change))
                else {
                    return Ok(Step::unchanged(Replacement::Stale));
                };
                let publish = update_account(txn, update)?;
                if let Some(former) = &change.former {
                    schema::expire(txn, former.ends, Expiring::Former, id.0.as_bytes())?;
                }
                Ok(Step::changed(Replacement::Replaced, publish))
            })
            .await?;
        self.clear_sessions(id).await;
        Ok(replaced)
    }

    async fn upgrade_hash(
        &self,
        account: AccountId,
        expected: &HashedPassword,
        replacement: HashedPassword,
    ) -> Result<Replacement, StoreError> {
        let expected = expected.clone();
        self.writer
            .submit(move |txn| {
                let account = read_account(txn, account)?;
                let upgraded =
                    account.and_then(|account| account.upgrade_hash(&expected, &replacement));
                let Some(account) = upgraded else {
                    return Ok(Step::unchanged(Replacement::Stale));
                };
                write_account(txn, &account)?;
                Ok(Step::changed(Replacement::Replaced, move |standing| {
                    standing.put_account(account);
                }))
            })
            .await
    }

    async fn change_account(&self, change: AccountChange) -> Result<AccountChanged, StoreError> {
        let (standing, id) = (Arc::clone(&self.standing), change.account);
        let changed = self
            .writer
            .submit(move |txn| {
                let Some(before) = read_account(txn, change.account)? else {
                    return Ok(Step::unchanged(AccountChanged::NoAccount));
                };
                let Some(update) = before.apply(&change) else {
                    return Ok(Step::unchanged(AccountChanged::Changed(Box::new(before))));
                };
                if change.administration.needs_another(&before, Some(&update.account))
                    && !has_other_administrator(txn, &standing, before.id)?
                {
                    return Ok(Step::unchanged(AccountChanged::LastAdministrator));
                }
                let publish = update_account(txn, update)?;
                Ok(Step::changed(AccountChanged::Changed(Box::new(before)), publish))
            })
            .await?;
        self.clear_sessions(id).await;
        Ok(changed)
    }

    async fn delete_account(
        &self,
        account: AccountId,
        administration: Administration,
        _now: Timestamp,
    ) -> Result<AccountChanged, StoreError> {
        let standing = Arc::clone(&self.standing);
        let changed = self
            .writer
            .submit(move |txn| {
                let Some(account) = read_account(txn, account)? else {
                    return Ok(Step::unchanged(AccountChanged::NoAccount));
                };
                if administration.needs_another(&account, None)
                    && !has_other_administrator(txn, &standing, account.id)?
                {
                    return Ok(Step::unchanged(AccountChanged::LastAdministrator));
                }
                let publish = remove_account(txn, &account)?;
                Ok(Step::changed(AccountChanged::Changed(Box::new(account)), publish))
            })
            .await?;
        self.clear_sessions(account).await;
        Ok(changed)
    }

    async fn link_github(&self, link: GithubLink) -> Result<Replacement, StoreError> {
        let id = link.account;
        let linked = self
            .writer
            .submit(move |txn| {
                let account = read_account(txn, link.account)?;
                let Some(update) = account.and_then(|account| account.link(&link)) else {
                    return Ok(Step::unchanged(Replacement::Stale));
                };
                let name = github_name(link.number);
                if txn.open_table(NAMES)?.get(name.as_str())?.is_some() {
                    return Ok(Step::unchanged(Replacement::Stale));
                }
                let publish = update_account(txn, update)?;
                txn.open_table(NAMES)?.insert(name.as_str(), link.account.0.as_bytes())?;
                Ok(Step::changed(Replacement::Replaced, publish))
            })
            .await?;
        self.clear_sessions(id).await;
        Ok(linked)
    }

    async fn note_success(
        &self,
        account: AccountId,
        version: u64,
        from: Source,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                let account = read_account(txn, account)?;
                let proven = account.and_then(|account| account.proven_from(version, from, now));
                let Some(account) = proven else { return Ok(Step::unchanged(())) };
                write_account(txn, &account)?;
                Ok(Step::changed((), move |standing| standing.put_account(account)))
            })
            .await
    }
}

#[async_trait]
impl Sessions for EmbeddedStore {
    async fn open_session(
        &self,
        session: Session,
        version: u64,
    ) -> Result<SessionOpening, StoreError> {
        let limits = self.limits;
        self.writer.submit(move |txn| sessions::open(txn, &session, version, limits)).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let token_ttl = self.token_ttl;
        self.writer.submit(move |txn| sessions::rotate(txn, &rotation, token_ttl)).await
    }

    async fn revoke_token(&self, token: TokenId, expires: Timestamp) -> Result<(), StoreError> {
        self.end(Ending::Token(token, expires)).await.map(drop)
    }

    async fn end_session(&self, session: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.end(Ending::Session(session, now)).await
    }

    async fn end_sessions(&self, account: AccountId, now: Timestamp) -> Result<bool, StoreError> {
        let ended = self.end(Ending::Sessions(account, now)).await?;
        self.clear_sessions(account).await;
        Ok(ended)
    }

    async fn find_session(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        self.writer
            .look(move |txn| {
                let session = sessions::find(txn, session)?;
                Ok(session.filter(|session| session.is_live(now)))
            })
            .await
    }

    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        let (standing, after) = (Arc::clone(&self.standing), after_id(after.map(|id| id.0)));
        self.writer
            .look(move |txn| match account {
                Some(account) => sessions::list_of(txn, account, after, limit),
                None => sessions::list(txn, &standing, after, limit),
            })
            .await
    }

    async fn record_session_uses(
        &self,
        uses: Vec<(SessionId, Timestamp)>,
    ) -> Result<(), StoreError> {
        for uses in uses.chunks(SWEEP_BATCH) {
            let uses = uses.to_vec();
            self.writer.submit(move |txn| activity::record_uses(txn, &uses)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Tickets for EmbeddedStore {
    async fn issue_ticket(&self, digest: [u8; 32], ticket: Ticket) -> Result<Opening, StoreError> {
        self.writer
            .submit(move |txn| {
                let account = read_account(txn, ticket.account)?;
                if !account.is_some_and(|account| account.is_current(ticket.version)) {
                    return Ok(Step::unchanged(Opening::Stale));
                }
                txn.open_table(TICKETS)?.insert(digest, ticket.encode()?.as_slice())?;
                schema::expire(txn, ticket.expires, Expiring::Ticket, &digest)?;
                Ok(Step::changed(Opening::Opened, |_| ()))
            })
            .await
    }

    async fn take_ticket(
        &self,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        self.writer
            .submit(move |txn| {
                let mut tickets = txn.open_table(TICKETS)?;
                let Some(stored) = tickets.remove(digest)? else {
                    return Ok(Step::unchanged(None));
                };
                let ticket = Ticket::decode(stored.value(), "ticket")?;
                Ok(Step::changed(ticket.redeem(now), |_| ()))
            })
            .await
    }
}

#[async_trait]
impl Keys for EmbeddedStore {
    async fn create_key(&self, key: ApiKey) -> Result<KeyCreation, StoreError> {
        let (coming, standing) = (self.coming.clone(), Arc::clone(&self.standing));
        let limits = self.limits;
        self.writer
            .submit(move |txn| {
                if read_account(txn, key.owner)?.is_none() {
                    return Ok(Step::unchanged(KeyCreation::NoOwner));
                }
                if let Some(server) = key.server
                    && txn.open_table(SERVERS)?.get(*server.0.as_bytes())?.is_none()
                {
                    return Ok(Step::unchanged(KeyCreation::NoServer));
                }
                key.check_storable()?;
                let room = coming.make_room(txn, &standing, key.owner, key.created, limits)?;
                let Some(room) = room else { return Ok(Step::unchanged(KeyCreation::TooMany)) };
                write_key(txn, &key)?;
                Ok(Step::changed(KeyCreation::Created, move |standing| room.fill(standing, key)))
            })
            .await
    }

    async fn rotate_key(&self, rotation: KeyRotation) -> Result<KeyRotated, StoreError> {
        let (coming, standing) = (self.coming.clone(), Arc::clone(&self.standing));
        let limits = self.limits;
        self.writer
            .submit(move |txn| {
                let key = read_key(txn, rotation.key)?;
                let (old, new, room) = match key.and_then(|key| key.rotate(&rotation)) {
                    None => return Ok(Step::unchanged(KeyRotated::NoKey)),
                    Some(Succession::InPlace { old, new }) => {
                        remove_key(txn, old.id)?;
                        write_key(txn, &new)?;
                        return Ok(Step::changed(
                            KeyRotated::Rotated(new.clone()),
                            move |standing| {
                                standing.put_key(new);
                                standing.remove_key(&old.digest);
                            },
                        ));
                    }
                    Some(Succession::Beside { old, new }) => {
                        let now = new.created;
                        let room = coming.make_room(txn, &standing, old.owner, now, limits)?;
                        let Some(room) = room else {
                            return Ok(Step::unchanged(KeyRotated::TooMany));
                        };
                        (old, new, room)
                    }
                };
                write_key(txn, &old)?;
                write_key(txn, &new)?;
                Ok(Step::changed(KeyRotated::Rotated(new.clone()), move |standing| {
                    room.fill(standing, new);
                    standing.put_key(old);
                }))
            })
            .await
    }

    async fn record_key_uses(&self, uses: Vec<(KeyId, Timestamp)>) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                let (keys, mut written) = (txn.open_table(KEYS)?, txn.open_table(KEY_USES)?);
                for (key, at) in uses {
                    let id = *key.0.as_bytes();
                    if keys.get(id)?.is_some() {
                        written.insert(id, at.0)?;
                    }
                }
                Ok(Step::changed((), |_| ()))
            })
            .await
    }

    async fn find_key(&self, key: KeyId) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let stored = self.writer.look(move |txn| read_key(txn, key));
        Ok(stored.await?.map(|key| self.in_memory(key)))
    }

    async fn list_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Arc<ApiKey>>, StoreError> {
        let after = after_id(after.map(|id| id.0));
        let listed = self.writer.look(move |txn| {
            let mut listed = Vec::new();
            let keys = txn.open_table(KEYS)?;
            for entry in keys.range::<Id>((after, Bound::Unbounded))?.take(limit) {
                let (id, stored) = entry?;
                listed.push(ApiKey::decode(stored.value(), &schema::named("key", id.value()))?);
            }
            Ok(listed)
        });
        Ok(listed.await?.into_iter().map(|key| self.in_memory(key)).collect())
    }

    async fn delete_key(&self, key: KeyId, owner: Option<AccountId>) -> Result<bool, StoreError> {
        self.end(Ending::Key(key, owner)).await
    }
}

#[async_trait]
impl Servers for EmbeddedStore {
    async fn create_server(&self, server: Server) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                if let Some(owner) = server.owner
                    && read_account(txn, owner)?.is_none()
                {
                    return Ok(Step::unchanged(false));
                }
                write_server(txn, &server)?;
                Ok(Step::changed(true, move |standing| standing.put_server(server)))
            })
            .await
    }

    async fn change_server(&self, change: ServerChange) -> Result<ServerChanged, StoreError> {
        self.writer
            .submit(move |txn| {
                let Some(server) = read_server(txn, change.server)? else {
                    return Ok(Step::unchanged(ServerChanged::NoServer));
                };
                let server = server.apply(&change);
                if let Some(owner) = server.owner
                    && read_account(txn, owner)?.is_none()
                {
                    return Ok(Step::unchanged(ServerChanged::NoOwner));
                }
                write_server(txn, &server)?;
                let changed = ServerChanged::Changed(server.clone());
                Ok(Step::changed(changed, move |standing| standing.put_server(server)))
            })
            .await
    }

    async fn delete_server(&self, server: ServerId) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                if txn.open_table(SERVERS)?.get(*server.0.as_bytes())?.is_none() {
                    return Ok(Step::unchanged(false));
                }
                let keys = find_keys(txn, |key| key.server == Some(server))?;
                remove_keys(txn, &keys)?;
                txn.open_table(SERVERS)?.remove(*server.0.as_bytes())?;
                Ok(Step::changed(true, move |standing| {
                    for key in keys {
                        standing.remove_key(&key.digest);
                    }
                    standing.remove_server(server);
                }))
            })
            .await
    }
}

#[async_trait]
impl Workspaces for EmbeddedStore {
    async fn create_workspace(&self, workspace: Workspace) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                write_workspace(txn, &workspace)?;
                Ok(Step::changed((), move |standing| standing.put_workspace(workspace)))
            })
            .await
    }

    async fn rename_workspace(
        &self,
        workspace: WorkspaceId,
        name: String,
    ) -> Result<Option<Workspace>, StoreError> {
        self.writer
            .submit(move |txn| {
                let Some(workspace) = read_workspace(txn, workspace)? else {
                    return Ok(Step::unchanged(None));
                };
                let workspace = Workspace { name, ..workspace };
                write_workspace(txn, &workspace)?;
                let renamed = workspace.clone();
                Ok(Step::changed(Some(renamed), move |standing| standing.put_workspace(workspace)))
            })
            .await
    }

    async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                let id = *workspace.0.as_bytes();
                if txn.open_table(WORKSPACES)?.remove(id)?.is_none() {
                    return Ok(Step::unchanged(false));
                }
                let all = (id, [0; 16])..=(id, [u8::MAX; 16]);
                txn.open_table(MEMBERS)?.retain_in::<(Id, Id), _>(all, |_, _| false)?;
                Ok(Step::changed(true, move |standing| standing.remove_workspace(workspace)))
            })
            .await
    }

    async fn set_member(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        role: Option<String>,
    ) -> Result<MemberChange, StoreError> {
        role.as_deref().map_or(Ok(()), check_member_role)?;
        self.writer
            .submit(move |txn| {
                let member = (*workspace.0.as_bytes(), *account.0.as_bytes());
                if txn.open_table(WORKSPACES)?.get(member.0)?.is_none() {
                    return Ok(Step::unchanged(MemberChange::NoWorkspace));
                }
                let mut members = txn.open_table(MEMBERS)?;
                match &role {
                    Some(_) if read_account(txn, account)?.is_none() => {
                        return Ok(Step::unchanged(MemberChange::NoAccount));
                    }
                    Some(role) => drop(members.insert(member, role.as_str())?),
                    None if members.remove(member)?.is_none() => {
                        return Ok(Step::unchanged(MemberChange::NoMember));
                    }
                    None => {}
                }
                Ok(Step::changed(MemberChange::Done, move |standing| {
                    standing.put_member(workspace, account, role.as_deref());
                }))
            })
            .await
    }
}

#[async_trait]
impl Attempts for EmbeddedStore {
    async fn count_failure(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        // In memory only: whoever could restart the gateway to forget failures
        // needs no password guessing.
        Ok(self.failures.count(failure, limit, now, &self.standing))
    }

    async fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        Ok(self.failures.count_registration(source, limit, now))
    }

    async fn list_failures(&self, now: Timestamp) -> Result<Vec<FailureCount>, StoreError> {
        Ok(self.failures.list(now))
    }

    async fn forgive(&self, source: Source) -> Result<bool, StoreError> {
        self.standing.unlock(source);
        Ok(self.failures.forgive(source))
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn set_registration(&self, registering: Registering) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                schema::write_registration(txn, registering)?;
                Ok(Step::changed((), move |standing| standing.set_registration(registering)))
            })
            .await
    }

    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError> {
        self.failures.sweep(now);
        self.standing.sweep(now, past);
        self.held.sweep(past);
        // What a restart has broken off.
        while self.writer.submit(sessions::clear_next).await? {}
        let mut total = 0;
        loop {
            let sweep = move |txn: &WriteTransaction| schema::sweep(txn, now, past, SWEEP_BATCH);
            let swept = self.writer.submit(sweep).await?;
            total += swept as u64;
            if swept < SWEEP_BATCH {
                return Ok(total);
            }
        }
    }

    async fn take_notice(&self, notice: Notice) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                if schema::take_notice(txn, notice.as_str())? {
                    Ok(Step::changed(true, |_| {}))
                } else {
                    Ok(Step::unchanged(false))
                }
            })
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.health()
    }

    fn health(&self) -> Option<StoreHealth> {
        let takes_changes = self.writer.health().is_ok();
        Some(StoreHealth {
            state: if takes_changes { StoreState::Live } else { StoreState::Refusing },
            staleness: None,
            undelivered: self.held.len(),
        })
    }
}

/// Ends a token, a session or a key. `false` when there is none.
fn end_in(
    txn: &WriteTransaction,
    ending: Ending,
    told: Told,
    token_ttl: Seconds,
) -> Result<Step<bool>, StoreError> {
    match ending {
        Ending::Token(token, expires) => {
            txn.open_table(REVOKED)?.insert(*token.0.as_bytes(), expires.0)?;
            schema::expire(txn, expires, Expiring::Revocation, token.0.as_bytes())?;
            Ok(Step::changed(true, move |standing| standing.revoke_token(token, expires)))
        }
        Ending::Session(session, now) => {
            let Some(session) = sessions::find(txn, session)? else {
                return Ok(Step::unchanged(false));
            };
            let ended = end_session_in(txn, &session, now, token_ttl)?;
            Ok(Step::changed(true, move |standing| standing.end_sessions(&[ended])))
        }
        Ending::Sessions(account, at) => {
            let Some(mut account) = read_account(txn, account)? else {
                return Ok(Step::unchanged(false));
            };
            let ended = account.ended;
            match told {
                Told::AtOnce => sessions::end_all(txn, &mut account, None)?,
                Told::Late => sessions::end_up_to(txn, &mut account, at)?,
            }
            if account.ended != ended {
                write_account(txn, &account)?;
            }
            Ok(Step::changed(true, move |standing| standing.put_account(account)))
        }
        Ending::Key(key, owner) => {
            let stored = read_key(txn, key)?;
            let Some(stored) = stored.filter(|key| key.is_of(owner)) else {
                return Ok(Step::unchanged(false));
            };
            remove_key(txn, key)?;
            Ok(Step::changed(true, move |standing| standing.remove_key(&stored.digest)))
        }
    }
}

/// The beginning of a page: ids are sorted by creation, and none is nil.
fn after_id(after: Option<uuid::Uuid>) -> Bound<Id> {
    Bound::Excluded(after.map_or([0; 16], uuid::Uuid::into_bytes))
}

/// Whether another account administers the gateway. Memory knows who could, and this
/// transaction whether it does: what stands before in it is not in memory yet.
fn has_other_administrator(
    txn: &WriteTransaction,
    standing: &Standing,
    leaving: AccountId,
) -> Result<bool, StoreError> {
    for id in standing.administrators().into_iter().filter(|id| *id != leaving) {
        if read_account(txn, id)?.is_some_and(|account| account.administers()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Saves what a change makes of an account, with what ends; what to publish.
fn update_account(
    txn: &WriteTransaction,
    update: AccountUpdate,
) -> Result<impl FnOnce(&Standing) + Send + use<>, StoreError> {
    let AccountUpdate { mut account, ends } = update;
    // What may be damaged comes first: a change is not undone by itself.
    account.check_storable()?;
    let mut keys = Vec::new();
    match ends {
        Ends::Nothing => {}
        Ends::Sessions { but } => sessions::end_all(txn, &mut account, but)?,
        Ends::SessionsAndKeys { but } => {
            keys = find_keys(txn, |key| key.owner == account.id)?;
            remove_keys(txn, &keys)?;
            sessions::end_all(txn, &mut account, but)?;
        }
    }
    write_account(txn, &account)?;
    Ok(move |standing: &Standing| {
        for key in keys {
            standing.remove_key(&key.digest);
        }
        standing.put_account(account);
    })
}

/// Removes an account with all that is its own; what to publish.
fn remove_account(
    txn: &WriteTransaction,
    account: &Account,
) -> Result<impl FnOnce(&Standing) + Send + use<>, StoreError> {
    let (owner, id) = (account.id, *account.id.0.as_bytes());
    // What may be damaged comes first: a change is not undone by itself.
    let keys = find_keys(txn, |key| key.owner == owner)?;
    let servers = disown_servers(txn, owner)?;
    remove_keys(txn, &keys)?;
    sessions::end_all(txn, &mut account.clone(), None)?;
    let mut names = txn.open_table(NAMES)?;
    for name in account.names() {
        names.remove(name.as_str())?;
    }
    txn.open_table(MEMBERS)?.retain(|(_, member), _| member != id)?;
    txn.open_table(ACCOUNTS)?.remove(id)?;
    txn.open_table(SIGN_INS)?.remove(id)?;
    Ok(move |standing: &Standing| {
        for key in keys {
            standing.remove_key(&key.digest);
        }
        for server in servers {
            standing.put_server(server);
        }
        standing.remove_account(owner);
    })
}

/// Which of its names somebody has; `None` when it was added.
fn add_account(txn: &WriteTransaction, account: &Account) -> Result<Option<Creation>, StoreError> {
    account.check_storable()?;
    let mut names = txn.open_table(NAMES)?;
    for name in account.names() {
        if names.get(name.as_str())?.is_some() {
            return Ok(Some(account.taken_by(&name)));
        }
    }
    for name in account.names() {
        names.insert(name.as_str(), account.id.0.as_bytes())?;
    }
    write_account(txn, account)?;
    Ok(None)
}

fn read_account(txn: &WriteTransaction, id: AccountId) -> Result<Option<Account>, StoreError> {
    let accounts = txn.open_table(ACCOUNTS)?;
    let stored = accounts.get(*id.0.as_bytes())?;
    stored.map(|bytes| Account::decode(bytes.value(), &format!("account {}", id.0))).transpose()
}

fn read_key(txn: &WriteTransaction, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    let keys = txn.open_table(KEYS)?;
    let stored = keys.get(*id.0.as_bytes())?;
    stored.map(|bytes| ApiKey::decode(bytes.value(), &format!("key {}", id.0))).transpose()
}

fn write_key(txn: &WriteTransaction, key: &ApiKey) -> Result<(), StoreError> {
    txn.open_table(KEYS)?.insert(*key.id.0.as_bytes(), key.encode()?.as_slice())?;
    Ok(())
}

fn remove_key(txn: &WriteTransaction, id: KeyId) -> Result<(), StoreError> {
    txn.open_table(KEYS)?.remove(*id.0.as_bytes())?;
    txn.open_table(KEY_USES)?.remove(*id.0.as_bytes())?;
    Ok(())
}

/// Every key of a kind; rare, so that looking at all of them will do.
fn find_keys(
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

fn remove_keys(txn: &WriteTransaction, gone: &[ApiKey]) -> Result<(), StoreError> {
    let (mut keys, mut uses) = (txn.open_table(KEYS)?, txn.open_table(KEY_USES)?);
    for key in gone {
        keys.remove(*key.id.0.as_bytes())?;
        uses.remove(*key.id.0.as_bytes())?;
    }
    Ok(())
}

fn read_server(txn: &WriteTransaction, id: ServerId) -> Result<Option<Server>, StoreError> {
    let servers = txn.open_table(SERVERS)?;
    let stored = servers.get(*id.0.as_bytes())?;
    stored.map(|bytes| Server::decode(bytes.value(), &format!("server {}", id.0))).transpose()
}

fn write_server(txn: &WriteTransaction, server: &Server) -> Result<(), StoreError> {
    txn.open_table(SERVERS)?.insert(*server.id.0.as_bytes(), server.encode()?.as_slice())?;
    Ok(())
}

fn read_workspace(
    txn: &WriteTransaction,
    id: WorkspaceId,
) -> Result<Option<Workspace>, StoreError> {
    let workspaces = txn.open_table(WORKSPACES)?;
    let stored = workspaces.get(*id.0.as_bytes())?;
    stored.map(|bytes| Workspace::decode(bytes.value(), &format!("workspace {}", id.0))).transpose()
}

fn write_workspace(txn: &WriteTransaction, workspace: &Workspace) -> Result<(), StoreError> {
    let id = *workspace.id.0.as_bytes();
    txn.open_table(WORKSPACES)?.insert(id, workspace.encode()?.as_slice())?;
    Ok(())
}

/// Makes an account's servers nobody's.
fn disown_servers(txn: &WriteTransaction, owner: AccountId) -> Result<Vec<Server>, StoreError> {
    let mut servers = Vec::new();
    for entry in txn.open_table(SERVERS)?.iter()? {
        let (id, stored) = entry?;
        let server = Server::decode(stored.value(), &schema::named("server", id.value()))?;
        if server.owner == Some(owner) {
            servers.push(Server { owner: None, ..server });
        }
    }
    for server in &servers {
        write_server(txn, server)?;
    }
    Ok(servers)
}

fn write_account(txn: &WriteTransaction, account: &Account) -> Result<(), StoreError> {
    if account.ended.is_some() {
        schema::raise_for_ended(txn)?;
    }
    txn.open_table(ACCOUNTS)?.insert(*account.id.0.as_bytes(), account.encode()?.as_slice())?;
    Ok(())
}

fn read_session(txn: &WriteTransaction, id: SessionId) -> Result<Option<Session>, StoreError> {
    let sessions = txn.open_table(SESSIONS)?;
    let stored = sessions.get(*id.0.as_bytes())?;
    stored.map(|bytes| Session::decode(bytes.value(), &format!("session {}", id.0))).transpose()
}

fn write_session(txn: &WriteTransaction, session: &Session) -> Result<(), StoreError> {
    txn.open_table(SESSIONS)?.insert(*session.id.0.as_bytes(), session.encode()?.as_slice())?;
    Ok(())
}

/// Removes a session and remembers its end for as long as a token may name it.
fn end_session_in(
    txn: &WriteTransaction,
    session: &Session,
    now: Timestamp,
    token_ttl: Seconds,
) -> Result<(SessionId, Timestamp), StoreError> {
    let until = session.end_counts_until(now, token_ttl);
    let id = *session.id.0.as_bytes();
    txn.open_table(SESSIONS)?.remove(id)?;
    activity::forget_session(txn, id)?;
    txn.open_table(ACCOUNT_SESSIONS)?.remove((*session.account.0.as_bytes(), id))?;
    txn.open_table(ENDED)?.insert(id, until.0)?;
    schema::expire(txn, until, Expiring::Ending, &id)?;
    Ok((session.id, until))
}

fn drop_tickets(txn: &WriteTransaction, account: AccountId) -> Result<(), StoreError> {
    // Tickets live two minutes, so there are few; each one is looked at.
    txn.open_table(TICKETS)?.retain(|_, stored| {
        Ticket::decode(stored, "ticket").is_ok_and(|ticket| ticket.account != account)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests;
