//! Every intent of the port, as a transaction.

use std::sync::Arc;

use async_trait::async_trait;
use redis::cmd;
use uuid::Uuid;

use crate::auth::account::change::{AccountUpdate, Ends};
use crate::auth::account::{Account, AccountId, HashedPassword, github_name, is_login_name};
use crate::auth::api_key::{ApiKey, KeyId, KeyRotation, Succession};
use crate::auth::error::{StoreError, Verdict};
use crate::auth::ports::{
    AccountChange, AccountChanged, Accounts, Administration, Attempts, Buckets, Counted, Creation,
    Failure, FailureCount, FailureLimit, GithubLink, KeyCreation, KeyRotated, Keys, MemberChange,
    Notice, Opening, PasswordChange, Recall, Replacement, Rotated, Rotation, ServerChange,
    ServerChanged, Servers, SessionOpening, Sessions, Store, StoreHealth, Tickets, Workspaces,
};
use crate::auth::register::Registering;
use crate::auth::server::{Server, ServerId};
use crate::auth::session::{Redeemed, Session};
use crate::auth::source::Source;
use crate::auth::ticket::Ticket;
use crate::auth::time::{SWEEP_SLACK, Seconds, Timestamp};
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::store::held::{Ending, Told};
use crate::store::record::{Record, check_member_role};

use super::change::Change;
use super::transaction::Transaction;
use super::{Engine, SharedStore};

/// Records removed by one step of a sweep.
pub(super) const SWEEP_BATCH: usize = 500;
/// Ends are remembered a little longer than tokens live: the clocks of replicas differ.
pub(super) const CLOCK_SLACK: Seconds = Seconds(60);

/// What lies under the name of registration.
pub(super) const CLOSED: &[u8] = b"closed";

type Bytes = Vec<u8>;
pub(super) type Step<'s, T> = Result<(Transaction<'s>, T), StoreError>;

#[async_trait]
impl Accounts for SharedStore {
    async fn create_account(&self, account: Account) -> Result<Creation, StoreError> {
        let (engine, account) = (&*self.engine, &account);
        engine.transact(move |txn| engine.create_account(txn, account)).await
    }

    async fn register(&self, account: Account, session: Session) -> Result<Creation, StoreError> {
        let (engine, account, session) = (&*self.engine, &account, &session);
        engine
            .transact(move |txn| async move {
                let (mut txn, created) = engine.create_account(txn, account).await?;
                if created == Creation::Created {
                    engine.add_session(&mut txn, session).await?;
                }
                Ok((txn, created))
            })
            .await
    }

    async fn forget_registration(&self, account: AccountId) -> Result<(), StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let known = engine.account(&mut txn, account).await?;
                if let Some(account) = known.and_then(|known| known.forget_registration()) {
                    engine.write_account(&mut txn, &account)?;
                }
                Ok((txn, ()))
            })
            .await
    }

    async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let names = &self.engine.names;
        let key = |id| names.account(id);
        let listed = self.engine.page(&names.accounts(), after.map(|id| id.0), limit, key).await?;
        self.engine.with_last_sign_ins(listed).await
    }

    async fn last_sign_in(&self, account: AccountId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.engine.last_sign_ins(&[account]).await?.pop().flatten())
    }

    async fn find_account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let engine = &*self.engine;
        if !is_login_name(name) {
            return Ok(None);
        }
        let id: Option<String> = engine.ask(cmd("GET").arg(engine.names.name(name))).await?;
        let id: Option<Uuid> = id.and_then(|id| id.parse().ok());
        // A sign-in can afford the trip, and must not be judged by an old password. For a
        // name that is nobody's it is made too: time must not tell who exists.
        let account = engine.recall_account(id.unwrap_or_default()).await?;
        Ok(account.filter(|_| id.is_some()))
    }

    async fn replace_password(&self, change: PasswordChange) -> Result<Replacement, StoreError> {
        let (engine, change) = (&*self.engine, &change);
        let replaced = engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, change.account).await?;
                let Some(update) = account.and_then(|account| account.replace_password(change))
                else {
                    return Ok((txn, Replacement::Stale));
                };
                if let Some(former) = &change.former {
                    let ends = [number(former.ends.0), text(change.account.0)];
                    txn.run("ZADD", engine.names.former_ends(), ends);
                }
                engine.update_account(&mut txn, update, change.now).await?;
                Ok((txn, Replacement::Replaced))
            })
            .await?;
        engine.clear_sessions(change.account.0, change.now).await;
        Ok(replaced)
    }

    async fn upgrade_hash(
        &self,
        account: AccountId,
        expected: &HashedPassword,
        replacement: HashedPassword,
    ) -> Result<Replacement, StoreError> {
        let (engine, replacement) = (&*self.engine, &replacement);
        engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, account).await?;
                let upgraded =
                    account.and_then(|account| account.upgrade_hash(expected, replacement));
                let Some(account) = upgraded else { return Ok((txn, Replacement::Stale)) };
                engine.write_account(&mut txn, &account)?;
                Ok((txn, Replacement::Replaced))
            })
            .await
    }

    async fn change_account(&self, change: AccountChange) -> Result<AccountChanged, StoreError> {
        let (engine, change) = (&*self.engine, &change);
        let changed = engine
            .transact(move |mut txn| async move {
                let Some(before) = engine.account(&mut txn, change.account).await? else {
                    return Ok((txn, AccountChanged::NoAccount));
                };
                let Some(update) = before.apply(change) else {
                    txn.confirm();
                    return Ok((txn, AccountChanged::Changed(Box::new(before))));
                };
                if change.administration.needs_another(&before, Some(&update.account))
                    && !engine.has_other_administrator(&mut txn, before.id).await?
                {
                    return Ok((txn, AccountChanged::LastAdministrator));
                }
                engine.update_account(&mut txn, update, change.now).await?;
                Ok((txn, AccountChanged::Changed(Box::new(before))))
            })
            .await?;
        engine.clear_sessions(change.account.0, change.now).await;
        Ok(changed)
    }

    async fn delete_account(
        &self,
        account: AccountId,
        administration: Administration,
        now: Timestamp,
    ) -> Result<AccountChanged, StoreError> {
        let engine = &*self.engine;
        let changed = engine
            .transact(move |mut txn| async move {
                let Some(account) = engine.account(&mut txn, account).await? else {
                    txn.confirm();
                    return Ok((txn, AccountChanged::NoAccount));
                };
                if administration.needs_another(&account, None)
                    && !engine.has_other_administrator(&mut txn, account.id).await?
                {
                    return Ok((txn, AccountChanged::LastAdministrator));
                }
                engine.remove_account(&mut txn, &account, now).await?;
                Ok((txn, AccountChanged::Changed(Box::new(account))))
            })
            .await?;
        engine.clear_sessions(account.0, now).await;
        Ok(changed)
    }

    async fn link_github(&self, link: GithubLink) -> Result<Replacement, StoreError> {
        let (engine, link) = (&*self.engine, &link);
        let linked = engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, link.account).await?;
                let Some(update) = account.and_then(|account| account.link(link)) else {
                    return Ok((txn, Replacement::Stale));
                };
                let name = engine.names.name(&github_name(link.number));
                if txn.read(name.clone()).await?.is_some() {
                    return Ok((txn, Replacement::Stale));
                }
                txn.set(name, text(link.account.0), None);
                engine.update_account(&mut txn, update, link.now).await?;
                Ok((txn, Replacement::Replaced))
            })
            .await?;
        engine.clear_sessions(link.account.0, link.now).await;
        Ok(linked)
    }

    async fn note_success(
        &self,
        account: AccountId,
        version: u64,
        from: Source,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, account).await?;
                let proven = account.and_then(|account| account.proven_from(version, from, now));
                if let Some(account) = proven {
                    engine.write_account(&mut txn, &account)?;
                }
                Ok((txn, ()))
            })
            .await
    }
}

#[async_trait]
impl Sessions for SharedStore {
    async fn open_session(
        &self,
        session: Session,
        version: u64,
    ) -> Result<SessionOpening, StoreError> {
        let (engine, session) = (&*self.engine, &session);
        engine.transact(move |txn| engine.open_session(txn, session, version)).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let (engine, rotation) = (&*self.engine, &rotation);
        engine.transact(move |txn| engine.rotate(txn, rotation)).await
    }

    async fn revoke_token(&self, token: TokenId, expires: Timestamp) -> Result<(), StoreError> {
        self.engine.end_or_hold(Ending::Token(token, expires)).await.map(drop)
    }

    async fn end_session(&self, session: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.engine.end_or_hold(Ending::Session(session, now)).await
    }

    async fn end_sessions(&self, account: AccountId, now: Timestamp) -> Result<bool, StoreError> {
        let ended = self.engine.end_or_hold(Ending::Sessions(account, now)).await?;
        self.engine.clear_sessions(account.0, now).await;
        Ok(ended)
    }

    async fn find_session(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let mut txn = Transaction::new(&self.engine);
        let session = self.engine.session(&mut txn, session).await?;
        Ok(session.filter(|session| session.is_live(now)))
    }

    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        let names = &self.engine.names;
        let index =
            account.map_or_else(|| names.sessions(), |account| names.sessions_of(account.0));
        let key = |id| names.session(id);
        let standing = self.engine.standing();
        let goes_on = |session: &Session| {
            let account = standing.account(session.account);
            account.is_none_or(|account| !account.has_ended(session.id))
        };
        let listed = self.engine.page_of(&index, after.map(|id| id.0), limit, key, goes_on).await?;
        self.engine.with_last_uses(listed).await
    }

    async fn record_session_uses(
        &self,
        uses: Vec<(SessionId, Timestamp)>,
    ) -> Result<(), StoreError> {
        self.engine.record_session_uses(&uses).await
    }
}

#[async_trait]
impl Tickets for SharedStore {
    async fn issue_ticket(&self, digest: [u8; 32], ticket: Ticket) -> Result<Opening, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, ticket.account).await?;
                if !account.is_some_and(|account| account.is_current(ticket.version)) {
                    return Ok((txn, Opening::Stale));
                }
                txn.touch(ticket.account.0);
                let key = engine.names.ticket(&digest);
                let index = engine.names.tickets_of(ticket.account.0);
                txn.run("ZADD", index.clone(), [number(ticket.expires.0), key.clone().into()]);
                // Those of long ago went by themselves; their names go now and then.
                let long_ago = ticket.expires.0.saturating_sub(86_400_000);
                txn.run("ZREMRANGEBYSCORE", index, [b"-inf".to_vec(), number(long_ago)]);
                txn.set(key, ticket.encode()?, Some(ticket.expires));
                Ok((txn, Opening::Opened))
            })
            .await
    }

    async fn take_ticket(
        &self,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.ticket(&digest);
                let Some(bytes) = txn.read(key.clone()).await? else { return Ok((txn, None)) };
                txn.delete(key);
                Ok((txn, Ticket::decode(&bytes, "ticket")?.redeem(now)))
            })
            .await
    }
}

#[async_trait]
impl Keys for SharedStore {
    async fn create_key(&self, key: ApiKey) -> Result<KeyCreation, StoreError> {
        let (engine, key) = (&*self.engine, &key);
        engine
            .transact(move |mut txn| async move {
                if engine.account(&mut txn, key.owner).await?.is_none() {
                    return Ok((txn, KeyCreation::NoOwner));
                }
                if let Some(server) = key.server
                    && txn.read(engine.names.server(server.0)).await?.is_none()
                {
                    return Ok((txn, KeyCreation::NoServer));
                }
                if !engine.make_room(&mut txn, key.owner, key.created).await? {
                    return Ok((Transaction::new(engine), KeyCreation::TooMany));
                }
                engine.add_key(&mut txn, key)?;
                Ok((txn, KeyCreation::Created))
            })
            .await
    }

    async fn rotate_key(&self, rotation: KeyRotation) -> Result<KeyRotated, StoreError> {
        let (engine, rotation) = (&*self.engine, &rotation);
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.key(rotation.key.0);
                let old = txn.record::<ApiKey>(key.clone()).await?;
                let (old, new) = match old.and_then(|key| key.rotate(rotation)) {
                    None => return Ok((txn, KeyRotated::NoKey)),
                    Some(Succession::InPlace { old, new }) => {
                        engine.drop_key(&mut txn, &old);
                        engine.add_key(&mut txn, &new)?;
                        return Ok((txn, KeyRotated::Rotated(new)));
                    }
                    Some(Succession::Beside { old, new }) => (old, new),
                };
                if !engine.make_room(&mut txn, old.owner, new.created).await? {
                    return Ok((Transaction::new(engine), KeyRotated::TooMany));
                }
                txn.write(key, &old, None)?;
                txn.tell(Change::key(&old));
                engine.add_key(&mut txn, &new)?;
                Ok((txn, KeyRotated::Rotated(new)))
            })
            .await
    }

    async fn record_key_uses(&self, uses: Vec<(KeyId, Timestamp)>) -> Result<(), StoreError> {
        let (engine, uses) = (&*self.engine, &uses);
        for uses in uses.chunks(SWEEP_BATCH) {
            engine
                .transact(move |mut txn| async move {
                    let mut told = Vec::with_capacity(uses.len());
                    for (key, at) in uses {
                        // Its deletion takes the use along, as the script sees both.
                        if txn.read(engine.names.key(key.0)).await?.is_some() {
                            txn.run("HSET", engine.names.key_uses(), [text(key.0), number(at.0)]);
                            told.push((key.0, at.0));
                        }
                    }
                    if !told.is_empty() {
                        txn.tell(Change::Used(told));
                    }
                    Ok((txn, ()))
                })
                .await?;
        }
        Ok(())
    }

    async fn find_key(&self, key: KeyId) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let mut txn = Transaction::new(&self.engine);
        let key = txn.record::<ApiKey>(self.engine.names.key(key.0)).await?;
        Ok(key.map(|key| self.engine.in_memory(key)))
    }

    async fn list_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Arc<ApiKey>>, StoreError> {
        let names = &self.engine.names;
        let key = |id| names.key(id);
        let keys: Vec<ApiKey> =
            self.engine.page(&names.keys(), after.map(|id| id.0), limit, key).await?;
        Ok(keys.into_iter().map(|key| self.engine.in_memory(key)).collect())
    }

    async fn delete_key(&self, key: KeyId, owner: Option<AccountId>) -> Result<bool, StoreError> {
        self.engine.end_or_hold(Ending::Key(key, owner)).await
    }
}

#[async_trait]
impl Servers for SharedStore {
    async fn create_server(&self, server: Server) -> Result<bool, StoreError> {
        let (engine, server) = (&*self.engine, &server);
        engine
            .transact(move |mut txn| async move {
                if let Some(owner) = server.owner
                    && engine.account(&mut txn, owner).await?.is_none()
                {
                    return Ok((txn, false));
                }
                txn.run("ZADD", engine.names.servers(), [b"0".to_vec(), text(server.id.0)]);
                engine.write_server(&mut txn, server, None)?;
                Ok((txn, true))
            })
            .await
    }

    async fn change_server(&self, change: ServerChange) -> Result<ServerChanged, StoreError> {
        let (engine, change) = (&*self.engine, &change);
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.server(change.server.0);
                let Some(before) = txn.record::<Server>(key).await? else {
                    return Ok((txn, ServerChanged::NoServer));
                };
                let server = before.apply(change);
                if let Some(owner) = server.owner
                    && engine.account(&mut txn, owner).await?.is_none()
                {
                    return Ok((txn, ServerChanged::NoOwner));
                }
                engine.write_server(&mut txn, &server, before.owner)?;
                Ok((txn, ServerChanged::Changed(server)))
            })
            .await
    }

    async fn delete_server(&self, server: ServerId) -> Result<bool, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.server(server.0);
                let Some(bytes) = txn.read(key.clone()).await? else {
                    txn.confirm();
                    return Ok((txn, false));
                };
                txn.guard(server.0).await?;
                // A record that does not read can be removed all the same.
                let owner = Server::decode(&bytes, &key).ok().and_then(|server| server.owner);
                if let Some(owner) = owner {
                    txn.run("SREM", engine.names.servers_of(owner.0), [text(server.0)]);
                }
                engine.drop_keys(&mut txn, &engine.names.keys_on(server.0)).await?;
                txn.delete(key);
                txn.delete(engine.names.guard(server.0));
                txn.run("ZREM", engine.names.servers(), [text(server.0)]);
                txn.tell(Change::ServerGone(server.0));
                Ok((txn, true))
            })
            .await
    }
}

#[async_trait]
impl Workspaces for SharedStore {
    async fn create_workspace(&self, workspace: Workspace) -> Result<(), StoreError> {
        let (engine, workspace) = (&*self.engine, &workspace);
        engine
            .transact(move |mut txn| async move {
                txn.run("ZADD", engine.names.workspaces(), [b"0".to_vec(), text(workspace.id.0)]);
                txn.write(engine.names.workspace(workspace.id.0), workspace, None)?;
                txn.tell(Change::workspace(workspace));
                Ok((txn, ()))
            })
            .await
    }

    async fn rename_workspace(
        &self,
        workspace: WorkspaceId,
        name: String,
    ) -> Result<Option<Workspace>, StoreError> {
        let (engine, name) = (&*self.engine, &name);
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.workspace(workspace.0);
                let Some(known) = txn.record::<Workspace>(key.clone()).await? else {
                    return Ok((txn, None));
                };
                let renamed = Workspace { name: name.clone(), ..known };
                txn.write(key, &renamed, None)?;
                txn.tell(Change::workspace(&renamed));
                Ok((txn, Some(renamed)))
            })
            .await
    }

    async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.workspace(workspace.0);
                if txn.read(key.clone()).await?.is_none() {
                    return Ok((txn, false));
                }
                let members = engine.names.members(workspace.0);
                for account in txn.ids(cmd("HKEYS").arg(&members)).await? {
                    txn.run("SREM", engine.names.workspaces_of(account), [text(workspace.0)]);
                }
                txn.delete(members);
                txn.delete(key);
                txn.run("ZREM", engine.names.workspaces(), [text(workspace.0)]);
                txn.tell(Change::WorkspaceGone(workspace.0));
                Ok((txn, true))
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
        let (engine, role) = (&*self.engine, &role);
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.workspace(workspace.0);
                if txn.read(key).await?.is_none() {
                    return Ok((txn, MemberChange::NoWorkspace));
                }
                let members = engine.names.members(workspace.0);
                let joined = engine.names.workspaces_of(account.0);
                match role {
                    Some(role) => {
                        if engine.account(&mut txn, account).await?.is_none() {
                            return Ok((txn, MemberChange::NoAccount));
                        }
                        txn.touch(account.0);
                        txn.run("HSET", members, [text(account.0), role.clone().into_bytes()]);
                        txn.run("SADD", joined, [text(workspace.0)]);
                    }
                    None => {
                        let mut known = cmd("HEXISTS");
                        known.arg(&members).arg(account.0.to_string());
                        if engine.ask::<u8>(&known).await? == 0 {
                            txn.confirm();
                            return Ok((txn, MemberChange::NoMember));
                        }
                        txn.run("HDEL", members, [text(account.0)]);
                        txn.run("SREM", joined, [text(workspace.0)]);
                    }
                }
                txn.tell(Change::Member(workspace.0, account.0, role.clone()));
                Ok((txn, MemberChange::Done))
            })
            .await
    }
}

#[async_trait]
impl Attempts for SharedStore {
    async fn count_failure(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        self.engine.count_failure(failure, limit, now).await
    }

    async fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        self.engine.count_registration(source, limit, now).await
    }

    async fn list_failures(&self, now: Timestamp) -> Result<Vec<FailureCount>, StoreError> {
        self.engine.list_failures(now).await
    }

    async fn forgive(&self, source: Source) -> Result<bool, StoreError> {
        self.engine.forgive(source).await
    }
}

#[async_trait]
impl Store for SharedStore {
    async fn recall(&self, what: Recall) -> Result<bool, StoreError> {
        if self.engine.misses.contains_key(&what) {
            return Ok(false);
        }
        let found = self.engine.recall(what).await?;
        if !found {
            self.engine.misses.insert(what, ());
        }
        Ok(found)
    }

    async fn set_registration(&self, registering: Registering) -> Result<(), StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                engine.write_registration(&mut txn, registering);
                Ok((txn, ()))
            })
            .await
    }

    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError> {
        self.engine.failures.sweep(now);
        self.engine.standing().sweep(now, past);
        self.engine.held.sweep(past);
        self.engine.sweep(now, past).await
    }

    fn buckets(&self) -> Option<Arc<dyn Buckets>> {
        Some(Arc::clone(&self.engine) as Arc<dyn Buckets>)
    }

    async fn take_notice(&self, notice: Notice) -> Result<bool, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.notice(notice.as_str());
                if txn.read(key.clone()).await?.is_some() {
                    return Ok((txn, false));
                }
                txn.set(key, b"1".to_vec(), None);
                Ok((txn, true))
            })
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.engine.ask::<u8>(cmd("EXISTS").arg(self.engine.names.meta())).await?;
        if self.engine.writable.load(std::sync::atomic::Ordering::Relaxed) {
            Ok(())
        } else {
            Err(StoreError::Unavailable("the last change was not taken".to_owned()))
        }
    }

    fn health(&self) -> Option<StoreHealth> {
        Some(self.engine.health())
    }

    fn is_loaded(&self) -> bool {
        self.engine.loaded.load(std::sync::atomic::Ordering::Acquire)
    }
}

pub(super) fn text(id: Uuid) -> Bytes {
    id.to_string().into_bytes()
}

pub(super) fn number(value: u64) -> Bytes {
    value.to_string().into_bytes()
}

impl Engine {
    pub(super) fn write_registration(&self, txn: &mut Transaction<'_>, registering: Registering) {
        let key = self.names.registration();
        match registering {
            Registering::Closed => txn.set(key, CLOSED.to_vec(), None),
            Registering::Open => txn.delete(key),
        }
        txn.tell(Change::RegistrationClosed(registering == Registering::Closed));
    }

    async fn create_account<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        account: &Account,
    ) -> Step<'s, Creation> {
        for name in account.names() {
            if txn.read(self.names.name(&name)).await?.is_none() {
                continue;
            }
            return Ok((Transaction::new(self), account.taken_by(&name)));
        }
        for name in account.names() {
            txn.set(self.names.name(&name), text(account.id.0), None);
        }
        txn.run("ZADD", self.names.accounts(), [b"0".to_vec(), text(account.id.0)]);
        self.write_account(&mut txn, account)?;
        Ok((txn, Creation::Created))
    }

    async fn rotate<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        rotation: &Rotation,
    ) -> Step<'s, Rotated> {
        let Some(mut session) = self.session(&mut txn, rotation.session).await? else {
            return Ok((txn, Rotated::Unknown));
        };
        let rotated = match session.redeem(rotation, self.settings.token_ttl) {
            Redeemed::Expired => Rotated::Unknown,
            Redeemed::Kept(pair) => Rotated::Pair(pair),
            // One that is handed out again is written again, so that it is durable too.
            Redeemed::Replaced(pair) | Redeemed::Repeated(pair) => {
                self.write_session(&mut txn, &session)?;
                Rotated::Pair(pair)
            }
            Redeemed::Reused => {
                let ended = self.end_session(&mut txn, &session, rotation.now);
                txn.tell(Change::Ended(vec![ended]));
                Rotated::FamilyEnded
            }
        };
        Ok((txn, rotated))
    }

    pub(super) async fn account(
        &self,
        txn: &mut Transaction<'_>,
        id: AccountId,
    ) -> Result<Option<Account>, StoreError> {
        txn.record(self.names.account(id.0)).await
    }

    /// Whether another account administers the gateway. Memory knows who could; who does, is
    /// read, so that the transaction fails if that one ceases to meanwhile.
    async fn has_other_administrator(
        &self,
        txn: &mut Transaction<'_>,
        leaving: AccountId,
    ) -> Result<bool, StoreError> {
        for id in self.standing().administrators().into_iter().filter(|id| *id != leaving) {
            match self.account(txn, id).await {
                Ok(Some(account)) if account.administers() => return Ok(true),
                // Nobody can sign in by a record that does not read.
                Ok(_) | Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Saves what a change makes of an account, with what ends.
    async fn update_account(
        &self,
        txn: &mut Transaction<'_>,
        update: AccountUpdate,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let AccountUpdate { mut account, ends } = update;
        match ends {
            Ends::Nothing => {}
            Ends::Sessions { but } => self.end_all(txn, &mut account, but, now).await?,
            Ends::SessionsAndKeys { but } => {
                self.end_all(txn, &mut account, but, now).await?;
                self.drop_keys(txn, &self.names.keys_of(account.id.0)).await?;
            }
        }
        self.write_account(txn, &account)
    }

    /// Removes an account with all that is its own.
    async fn remove_account(
        &self,
        txn: &mut Transaction<'_>,
        account: &Account,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end_all(txn, &mut account.clone(), None, now).await?;
        self.drop_keys(txn, &self.names.keys_of(account.id.0)).await?;
        self.disown_servers(txn, account.id).await?;
        let joined = self.names.workspaces_of(account.id.0);
        for workspace in txn.ids(cmd("SMEMBERS").arg(&joined)).await? {
            let member = account.id.0.to_string().into_bytes();
            txn.run("HDEL", self.names.members(workspace), [member]);
        }
        txn.delete(joined);
        for name in account.names() {
            txn.delete(self.names.name(&name));
        }
        txn.delete(self.names.account(account.id.0));
        txn.delete(self.names.guard(account.id.0));
        txn.run("HDEL", self.names.sign_ins(), [text(account.id.0)]);
        txn.run("ZREM", self.names.accounts(), [text(account.id.0)]);
        txn.tell(Change::AccountGone(account.id.0));
        Ok(())
    }

    pub(super) fn write_account(
        &self,
        txn: &mut Transaction<'_>,
        account: &Account,
    ) -> Result<(), StoreError> {
        txn.write(self.names.account(account.id.0), account, None)?;
        txn.tell(Change::account(account));
        Ok(())
    }

    pub(super) async fn add_session(
        &self,
        txn: &mut Transaction<'_>,
        session: &Session,
    ) -> Result<(), StoreError> {
        txn.touch(session.account.0);
        self.note_sign_in(txn, session.account, session.created).await?;
        txn.run("ZADD", self.names.sessions(), [b"0".to_vec(), text(session.id.0)]);
        self.write_session(txn, session)
    }

    pub(super) fn write_session(
        &self,
        txn: &mut Transaction<'_>,
        session: &Session,
    ) -> Result<(), StoreError> {
        let (id, owner) = (session.id.0, session.account.0);
        txn.write(self.names.session(id), session, Some(session.expires.plus(SWEEP_SLACK)))?;
        txn.run("ZADD", self.names.sessions_of(owner), [b"0".to_vec(), text(id)]);
        let both = format!("{owner}/{id}").into_bytes();
        txn.run("ZADD", self.names.session_ends(), [number(session.expires.0), both]);
        Ok(())
    }

    /// Removes a session and remembers its end for as long as a token may name it.
    fn end_session(
        &self,
        txn: &mut Transaction<'_>,
        session: &Session,
        now: Timestamp,
    ) -> (Uuid, u64) {
        let until = session.end_counts_until(now, self.settings.token_ttl).plus(CLOCK_SLACK);
        let ended = (session.id.0, until.0);
        self.remove_sessions(txn, session.account.0, &[session.id.0]);
        txn.run("ZADD", self.names.ended(), [number(ended.1), text(ended.0)]);
        ended
    }

    pub(super) fn write_server(
        &self,
        txn: &mut Transaction<'_>,
        server: &Server,
        former: Option<AccountId>,
    ) -> Result<(), StoreError> {
        if let Some(former) = former.filter(|former| server.owner != Some(*former)) {
            txn.run("SREM", self.names.servers_of(former.0), [text(server.id.0)]);
        }
        if let Some(owner) = server.owner {
            txn.touch(owner.0);
            txn.run("SADD", self.names.servers_of(owner.0), [text(server.id.0)]);
        }
        txn.write(self.names.server(server.id.0), server, None)?;
        txn.tell(Change::server(server));
        Ok(())
    }

    async fn disown_servers(
        &self,
        txn: &mut Transaction<'_>,
        owner: AccountId,
    ) -> Result<(), StoreError> {
        let index = self.names.servers_of(owner.0);
        for id in txn.ids(cmd("SMEMBERS").arg(&index)).await? {
            let key = self.names.server(id);
            if let Some(server) = txn.record::<Server>(key.clone()).await? {
                let server = Server { owner: None, ..server };
                txn.write(key, &server, None)?;
                txn.tell(Change::server(&server));
            }
        }
        txn.delete(index);
        Ok(())
    }

    pub(super) fn add_key(
        &self,
        txn: &mut Transaction<'_>,
        key: &ApiKey,
    ) -> Result<(), StoreError> {
        txn.touch(key.owner.0);
        if let Some(server) = key.server {
            txn.touch(server.0);
            txn.run("SADD", self.names.keys_on(server.0), [text(key.id.0)]);
        }
        txn.write(self.names.key(key.id.0), key, None)?;
        txn.set(self.names.key_digest(&key.digest), text(key.id.0), None);
        txn.run("ZADD", self.names.keys(), [b"0".to_vec(), text(key.id.0)]);
        txn.run("SADD", self.names.keys_of(key.owner.0), [text(key.id.0)]);
        txn.tell(Change::key(key));
        Ok(())
    }

    /// Records that something else guards.
    pub(super) async fn records(
        &self,
        keys: impl Iterator<Item = String>,
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let keys: Vec<String> = keys.collect();
        let mut records = Vec::with_capacity(keys.len());
        for page in keys.chunks(SWEEP_BATCH) {
            records.extend(self.ask::<Vec<Option<Bytes>>>(cmd("MGET").arg(page)).await?);
        }
        Ok(records)
    }

    /// Every key of an index.
    pub(super) async fn keys_in(
        &self,
        txn: &Transaction<'_>,
        index: &str,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let ids = txn.ids(cmd("SMEMBERS").arg(index)).await?;
        let names: Vec<String> = ids.iter().map(|id| self.names.key(*id)).collect();
        let records = self.records(names.iter().cloned()).await?;
        let found = names.iter().zip(records);
        found.filter_map(|(name, record)| Some(ApiKey::decode(&record?, name))).collect()
    }

    /// Removes every key of an index, and the index.
    async fn drop_keys(&self, txn: &mut Transaction<'_>, index: &str) -> Result<(), StoreError> {
        for key in self.keys_in(txn, index).await? {
            self.drop_key(txn, &key);
        }
        txn.delete(index.to_owned());
        Ok(())
    }

    pub(super) fn drop_key(&self, txn: &mut Transaction<'_>, key: &ApiKey) {
        let id = text(key.id.0);
        txn.delete(self.names.key(key.id.0));
        txn.delete(self.names.key_digest(&key.digest));
        txn.run("ZREM", self.names.keys(), [id.clone()]);
        txn.run("SREM", self.names.keys_of(key.owner.0), [id.clone()]);
        if let Some(server) = key.server {
            txn.run("SREM", self.names.keys_on(server.0), [id.clone()]);
        }
        txn.run("HDEL", self.names.key_uses(), [id]);
        txn.tell(Change::KeyGone(key.digest));
    }

    /// Carries out what ends a token, sessions or a key. `false` when there is none.
    pub(super) async fn end(&self, ending: Ending, told: Told) -> Result<bool, StoreError> {
        self.transact(move |mut txn| async move {
            match ending {
                Ending::Token(token, expires) => {
                    let until = expires.plus(CLOCK_SLACK).0;
                    txn.run("ZADD", self.names.revoked(), [number(until), text(token.0)]);
                    txn.tell(Change::Revoked(token.0, until));
                    Ok((txn, true))
                }
                Ending::Session(session, now) => {
                    let Some(session) = self.session(&mut txn, session).await? else {
                        txn.confirm();
                        return Ok((txn, false));
                    };
                    let ended = self.end_session(&mut txn, &session, now);
                    txn.tell(Change::Ended(vec![ended]));
                    Ok((txn, true))
                }
                Ending::Sessions(account, now) => {
                    let Some(mut account) = self.account(&mut txn, account).await? else {
                        txn.confirm();
                        return Ok((txn, false));
                    };
                    let ended = account.ended;
                    match told {
                        Told::AtOnce => self.end_all(&mut txn, &mut account, None, now).await?,
                        Told::Late => self.end_up_to(&mut txn, &mut account, now).await?,
                    }
                    if account.ended != ended {
                        self.write_account(&mut txn, &account)?;
                    }
                    Ok((txn, true))
                }
                Ending::Key(key, owner) => {
                    let key = txn.record::<ApiKey>(self.names.key(key.0)).await?;
                    let Some(key) = key.filter(|key| key.is_of(owner)) else {
                        txn.confirm();
                        return Ok((txn, false));
                    };
                    self.drop_key(&mut txn, &key);
                    Ok((txn, true))
                }
            }
        })
        .await
    }

    /// As [`Self::end`]; what cannot be told holds here at once, and is told later.
    async fn end_or_hold(&self, ending: Ending) -> Result<bool, StoreError> {
        let told = self.end(ending, Told::AtOnce).await;
        self.held.hold(self.standing(), (ending, self.settings.token_ttl), told)
    }

    /// A page of records behind an index of ids, in order of ids.
    pub(super) async fn page<T: Record>(
        &self,
        index: &str,
        after: Option<Uuid>,
        limit: usize,
        key: impl Fn(Uuid) -> String,
    ) -> Result<Vec<T>, StoreError> {
        self.page_of(index, after, limit, key, |_| true).await
    }

    /// As [`Self::page`], of those that are wanted.
    async fn page_of<T: Record>(
        &self,
        index: &str,
        after: Option<Uuid>,
        limit: usize,
        key: impl Fn(Uuid) -> String,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, StoreError> {
        let readable = |read: Result<T, StoreError>| match read {
            Ok(record) => Ok(Some(record).filter(&wanted)),
            Err(error) => {
                tracing::error!(%error, "a stored record is passed over");
                Ok(None)
            }
        };
        self.page_by(index, after, limit, key, readable).await
    }

    /// As [`Self::page`]; one that does not read is an error.
    pub(super) async fn page_of_all<T: Record>(
        &self,
        index: &str,
        after: Option<Uuid>,
        limit: usize,
        key: impl Fn(Uuid) -> String,
    ) -> Result<Vec<T>, StoreError> {
        self.page_by(index, after, limit, key, |read: Result<T, _>| read.map(Some)).await
    }

    async fn page_by<T: Record>(
        &self,
        index: &str,
        after: Option<Uuid>,
        limit: usize,
        key: impl Fn(Uuid) -> String,
        take: impl Fn(Result<T, StoreError>) -> Result<Option<T>, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut listed, mut after) = (Vec::new(), after);
        while listed.len() < limit {
            let count = (limit - listed.len()).min(500);
            let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
            let mut range = cmd("ZRANGEBYLEX");
            range.arg(index).arg(from).arg("+").arg("LIMIT").arg(0).arg(count);
            let ids: Vec<String> = self.ask(&range).await?;
            let full = ids.len() == count;
            let ids: Vec<Uuid> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            if ids.is_empty() {
                break;
            }
            after = ids.last().copied();
            let keys: Vec<String> = ids.iter().map(|id| key(*id)).collect();
            let records: Vec<Option<Bytes>> = self.ask(cmd("MGET").arg(&keys)).await?;
            for (name, record) in keys.iter().zip(records) {
                // Gone by its time since it was listed.
                let Some(record) = record else { continue };
                listed.extend(take(T::decode(&record, name))?);
            }
            if !full {
                break;
            }
        }
        Ok(listed)
    }

    /// A key as memory has it, which knows its last use.
    fn in_memory(&self, key: ApiKey) -> Arc<ApiKey> {
        self.standing().key(&key.digest).unwrap_or_else(|| Arc::new(key))
    }

    async fn recall_account(&self, id: Uuid) -> Result<Option<Account>, StoreError> {
        let key = self.names.account(id);
        let (place, mut held) = self.picture(&[(key.clone(), None)]).await?;
        let Some(bytes) = held.pop().flatten() else { return Ok(None) };
        let account = Account::decode(&bytes, &key)?;
        self.learn(place, vec![Change::account(&account)])?;
        Ok(Some(account))
    }

    async fn recall(&self, what: Recall) -> Result<bool, StoreError> {
        match what {
            Recall::Account(id) => Ok(self.recall_account(id.0).await?.is_some()),
            Recall::Key(digest) => {
                let index = self.names.key_digest(&digest);
                let id: Option<String> = self.ask(cmd("GET").arg(index)).await?;
                let Some(id) = id.and_then(|id| id.parse().ok()) else { return Ok(false) };
                let key = self.names.key(id);
                let (place, mut held) = self.picture(&[(key.clone(), None)]).await?;
                let Some(bytes) = held.pop().flatten() else { return Ok(false) };
                let found = ApiKey::decode(&bytes, &key)?;
                if found.digest != digest {
                    return Err(StoreError::Damaged(format!("{key}: of another digest")));
                }
                let owner = found.owner;
                self.learn(place, vec![Change::key(&found)])?;
                if self.standing().account(owner).is_none() {
                    self.recall_account(owner.0).await?;
                }
                Ok(true)
            }
            Recall::Member(workspace, account) => {
                let key = self.names.members(workspace.0);
                let wanted = [(key, Some(account.0.to_string()))];
                let (place, mut held) = self.picture(&wanted).await?;
                let role = held.pop().flatten().and_then(|role| String::from_utf8(role).ok());
                let Some(role) = role else { return Ok(false) };
                self.learn(place, vec![Change::Member(workspace.0, account.0, Some(role))])?;
                Ok(true)
            }
        }
    }

    /// What Redis does not remove by itself. Any number of replicas may do it at once.
    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError> {
        let names = &self.names;
        let mut swept = 0;
        let until = |at: Timestamp| format!("({}", at.0);
        let long_ago = past.minus(SWEEP_SLACK);
        for (index, at) in [
            (names.revoked(), long_ago),
            (names.ended(), long_ago),
            (names.failures(), now),
            (names.lockouts(), now),
            (names.slowed(), now),
        ] {
            let mut remove = cmd("ZREMRANGEBYSCORE");
            swept += self.ask::<u64>(remove.arg(index).arg("-inf").arg(until(at))).await?;
        }
        swept += self.sweep_former(now).await?;
        self.clear_broken_off(now).await?;
        loop {
            let mut due = cmd("ZRANGEBYSCORE");
            due.arg(names.session_ends()).arg("-inf").arg(until(long_ago));
            due.arg("LIMIT").arg(0).arg(SWEEP_BATCH);
            let due: Vec<String> = self.ask(&due).await?;
            let batch = due.len();
            let mut txn = Transaction::new(self);
            let ids = |entry: &str| -> Option<(Uuid, Uuid)> {
                let (owner, id) = entry.split_once('/')?;
                Some((owner.parse().ok()?, id.parse().ok()?))
            };
            let known: Vec<_> = due.iter().filter_map(|entry| ids(entry)).collect();
            let records = self.records(known.iter().map(|(_, id)| names.session(*id))).await?;
            for ((owner, id), record) in known.into_iter().zip(records) {
                // Who lengthens it meanwhile, by another clock, keeps it.
                let session = record.as_deref().map(|record| Session::decode(record, "session"));
                if session.is_some_and(|read| read.is_ok_and(|read| read.kept_until() > past)) {
                    continue;
                }
                txn.expected.push((names.session(id), record));
                txn.run("ZREM", names.sessions(), [text(id)]);
                txn.run("ZREM", names.sessions_of(owner), [text(id)]);
                txn.run("ZREM", names.session_ends(), [format!("{owner}/{id}").into_bytes()]);
                txn.delete(names.session(id));
                txn.delete(names.session_use(id));
            }
            if txn.is_empty() || !self.commit(txn).await? {
                return Ok(swept);
            }
            swept += batch as u64;
            if batch < SWEEP_BATCH {
                return Ok(swept);
            }
        }
    }

    /// Takes from the records of accounts what is left of their former passwords.
    async fn sweep_former(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut due = cmd("ZRANGEBYSCORE");
        due.arg(self.names.former_ends()).arg("-inf").arg(format!("({}", now.0));
        due.arg("LIMIT").arg(0).arg(SWEEP_BATCH);
        let due: Vec<String> = self.ask(&due).await?;
        let ids: Vec<Uuid> = due.iter().filter_map(|id| id.parse().ok()).collect();
        for id in &ids {
            self.transact(move |txn| self.forget_former(txn, AccountId(*id), now)).await?;
        }
        Ok(ids.len() as u64)
    }

    async fn forget_former<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        id: AccountId,
        now: Timestamp,
    ) -> Step<'s, ()> {
        // A record that is gone, or does not read, is not this sweep's to judge.
        let account = match self.account(&mut txn, id).await {
            Err(StoreError::Damaged(_)) => None,
            read => read?,
        };
        let former = account.as_ref().and_then(|account| account.former.as_ref());
        if former.is_some_and(|former| !former.is_over(now)) {
            return Ok((Transaction::new(self), ()));
        }
        txn.run("ZREM", self.names.former_ends(), [text(id.0)]);
        if let Some(account) = account.and_then(|account| account.forget_former(now)) {
            self.write_account(&mut txn, &account)?;
        }
        Ok((txn, ()))
    }
}
