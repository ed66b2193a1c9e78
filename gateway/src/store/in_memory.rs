//! The engine of the core's own tests: maps behind a lock. An engine needs no more than to
//! load, to ask the core, and to save and publish what that says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::auth::account::change::{AccountUpdate, Ends};
use crate::auth::account::{Account, AccountId, HashedPassword, github_name};
use crate::auth::api_key::{ApiKey, KeyId, KeyRotation, Succession};
use crate::auth::error::{StoreError, Verdict};
use crate::auth::ports::{
    AccountChange, AccountChanged, AccountLimits, Accounts, Administration, Attempts, Counted,
    Creation, Failure, FailureCount, FailureLimit, GithubLink, KeyCreation, KeyRotated, Keys,
    MemberChange, Notice, Opening, PasswordChange, Replacement, Rotated, Rotation, ServerChange,
    ServerChanged, Servers, SessionOpening, Sessions, Store, Tickets, Workspaces,
};
use crate::auth::register::Registering;
use crate::auth::server::{Server, ServerId};
use crate::auth::session::{Redeemed, Session, Surplus};
use crate::auth::source::Source;
use crate::auth::standing::Standing;
use crate::auth::ticket::Ticket;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};

use super::failures::Failures;
use super::record::{Record, check_member_role};

type Stored<T> = Result<T, StoreError>;

pub(crate) struct InMemoryStore {
    records: Mutex<Records>,
    standing: Arc<Standing>,
    failures: Failures,
    limits: AccountLimits,
    token_ttl: Seconds,
    refusing: AtomicBool,
    unreachable: AtomicBool,
    holding: AtomicBool,
    meanwhile: Mutex<Vec<ApiKey>>,
}

#[derive(Default)]
struct Records {
    accounts: BTreeMap<AccountId, Account>,
    names: HashMap<String, AccountId>,
    sign_ins: HashMap<AccountId, Timestamp>,
    sessions: BTreeMap<SessionId, Session>,
    session_uses: HashMap<SessionId, Timestamp>,
    tickets: HashMap<[u8; 32], Ticket>,
    keys: BTreeMap<KeyId, ApiKey>,
    servers: BTreeMap<ServerId, Server>,
    workspaces: HashMap<WorkspaceId, Workspace>,
    members: HashMap<(WorkspaceId, AccountId), String>,
    notices: HashSet<&'static str>,
}

impl InMemoryStore {
    pub(crate) fn new(standing: Arc<Standing>, token_ttl: Seconds) -> Self {
        Self {
            records: Mutex::default(),
            standing,
            failures: Failures::default(),
            limits: AccountLimits::default(),
            token_ttl,
            refusing: AtomicBool::new(false),
            unreachable: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            meanwhile: Mutex::default(),
        }
    }

    pub(crate) fn with_limits(self, limits: AccountLimits) -> Self {
        Self { limits, ..self }
    }

    /// Takes no changes, as on a full disk, or takes them again.
    pub(crate) fn refuse_changes(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::SeqCst);
    }

    /// Answers nothing that it must look up either, as a shared store that is away.
    pub(crate) fn lose(&self, unreachable: bool) {
        self.refuse_changes(unreachable);
        self.unreachable.store(unreachable, Ordering::SeqCst);
    }

    /// Says of sessions of an account and of keys that they have ended here and are not
    /// stored yet, as one that is told later.
    pub(crate) fn hold_ends(&self, holding: bool) {
        self.holding.store(holding, Ordering::SeqCst);
    }

    /// Keys that somebody makes while the next one is removed.
    pub(crate) fn create_meanwhile(&self, keys: Vec<ApiKey>) {
        *self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn held<T>(&self, ended: T) -> Stored<T> {
        if self.holding.load(Ordering::SeqCst) { Err(StoreError::Held) } else { Ok(ended) }
    }

    fn read(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) -> Stored<MutexGuard<'_, Records>> {
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("it does not answer".to_owned()));
        }
        Ok(self.read())
    }

    fn change(&self) -> Stored<MutexGuard<'_, Records>> {
        if self.refusing.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("it takes no changes".to_owned()));
        }
        Ok(self.read())
    }

    fn save(&self, records: &mut Records, account: Account) {
        records.accounts.insert(account.id, account.clone());
        self.standing.put_account(account);
    }

    /// Saves what a change makes of an account, with what ends.
    fn update_account(&self, records: &mut Records, update: AccountUpdate) -> Stored<()> {
        let AccountUpdate { mut account, ends } = update;
        account.check_storable()?;
        match ends {
            Ends::Nothing => {}
            Ends::Sessions { but } => records.end_all(&mut account, but),
            Ends::SessionsAndKeys { but } => {
                records.end_all(&mut account, but);
                self.remove_keys(records, |key| key.owner == account.id);
            }
        }
        self.save(records, account);
        Ok(())
    }

    fn remove_account(&self, records: &mut Records, account: &Account) {
        let id = account.id;
        records.end_all(&mut account.clone(), None);
        self.remove_keys(records, |key| key.owner == id);
        for server in records.servers.values_mut().filter(|server| server.owner == Some(id)) {
            server.owner = None;
            self.standing.put_server(server.clone());
        }
        records.members.retain(|(_, member), _| *member != id);
        records.names.retain(|_, owner| *owner != id);
        records.sign_ins.remove(&id);
        records.accounts.remove(&id);
        self.standing.remove_account(id);
    }

    fn remove_keys(&self, records: &mut Records, gone: impl Fn(&ApiKey) -> bool) {
        records.keys.retain(|_, key| {
            if gone(key) {
                self.standing.remove_key(&key.digest);
            }
            !gone(key)
        });
    }

    fn save_key(&self, records: &mut Records, key: ApiKey) {
        records.keys.insert(key.id, key.clone());
        self.standing.put_key(key);
    }

    /// Whether the owner may have one key more. Where it has as many as it may, keys that
    /// have ended go.
    fn make_room(&self, records: &mut Records, owner: AccountId, now: Timestamp) -> bool {
        let keys = || records.keys.values().filter(|key| key.owner == owner);
        let held = keys().count();
        if self.limits.has_room_for_key(held) {
            return true;
        }
        let keys: Vec<&ApiKey> = keys().collect();
        let Some(ended) = self.limits.make_room_for_key(held, keys, now) else { return false };
        let ended: HashSet<KeyId> = ended.iter().map(|key| key.id).collect();
        self.remove_keys(records, |key| ended.contains(&key.id));
        true
    }

    fn end_session(&self, records: &mut Records, session: &Session, now: Timestamp) {
        records.remove_sessions(&[session.id]);
        let until = session.end_counts_until(now, self.token_ttl);
        self.standing.end_sessions(&[(session.id, until)]);
    }

    /// A key as memory has it, which knows its last use.
    fn known(&self, key: &ApiKey) -> Arc<ApiKey> {
        self.standing.key(&key.digest).unwrap_or_else(|| Arc::new(key.clone()))
    }
}

impl Records {
    /// Which of its names somebody has; `None` when it was added.
    fn add_account(&mut self, account: &Account) -> Stored<Option<Creation>> {
        account.check_storable()?;
        let names = account.names();
        if let Some(taken) = names.iter().find(|name| self.names.contains_key(*name)) {
            return Ok(Some(account.taken_by(taken)));
        }
        self.names.extend(names.into_iter().map(|name| (name, account.id)));
        self.accounts.insert(account.id, account.clone());
        Ok(None)
    }

    fn add_session(&mut self, session: &Session) {
        self.sessions.insert(session.id, session.clone());
        let last = self.sign_ins.entry(session.account).or_default();
        *last = session.created.max(*last);
    }

    fn sessions_of(&self, owner: AccountId) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter(move |session| session.account == owner)
    }

    fn remove_sessions(&mut self, gone: &[SessionId]) {
        for id in gone {
            self.sessions.remove(id);
            self.session_uses.remove(id);
        }
    }

    /// Ends every session of an account but one, with its tickets; its record is the
    /// caller's to save.
    fn end_all(&mut self, account: &mut Account, keep: Option<SessionId>) {
        self.tickets.retain(|_, ticket| ticket.account != account.id);
        let all: Vec<SessionId> = self.sessions_of(account.id).map(|session| session.id).collect();
        let Some(last) = all.last() else { return };
        account.end_sessions(*last, keep.filter(|session| all.contains(session)));
        let gone: Vec<_> = all.into_iter().filter(|session| account.has_ended(*session)).collect();
        self.remove_sessions(&gone);
    }

    fn has_other_administrator(&self, leaving: AccountId) -> bool {
        self.accounts.values().any(|account| account.id != leaving && account.administers())
    }
}

#[async_trait]
impl Accounts for InMemoryStore {
    async fn create_account(&self, account: Account) -> Stored<Creation> {
        let mut records = self.change()?;
        if let Some(taken) = records.add_account(&account)? {
            return Ok(taken);
        }
        self.standing.put_account(account);
        Ok(Creation::Created)
    }

    async fn register(&self, account: Account, session: Session) -> Stored<Creation> {
        let mut records = self.change()?;
        if let Some(taken) = records.add_account(&account)? {
            return Ok(taken);
        }
        records.add_session(&session);
        self.standing.put_account(account);
        Ok(Creation::Created)
    }

    async fn forget_registration(&self, account: AccountId) -> Stored<()> {
        let mut records = self.change()?;
        let account = records.accounts.get(&account).and_then(Account::forget_registration);
        if let Some(account) = account {
            self.save(&mut records, account);
        }
        Ok(())
    }

    async fn list_accounts(&self, after: Option<AccountId>, limit: usize) -> Stored<Vec<Account>> {
        let records = self.ask()?;
        let listed = records.accounts.range((start(after), Bound::Unbounded)).take(limit);
        Ok(listed
            .map(|(id, account)| {
                let last_sign_in = records.sign_ins.get(id).copied();
                Account { last_sign_in, ..account.clone() }
            })
            .collect())
    }

    async fn last_sign_in(&self, account: AccountId) -> Stored<Option<Timestamp>> {
        Ok(self.ask()?.sign_ins.get(&account).copied())
    }

    async fn find_account(&self, name: &str) -> Stored<Option<Account>> {
        Ok(self.standing.account_by_name(name).map(|account| (*account).clone()))
    }

    async fn replace_password(&self, change: PasswordChange) -> Stored<Replacement> {
        let mut records = self.change()?;
        let account = records.accounts.get(&change.account);
        let Some(update) = account.and_then(|account| account.replace_password(&change)) else {
            return Ok(Replacement::Stale);
        };
        self.update_account(&mut records, update)?;
        Ok(Replacement::Replaced)
    }

    async fn upgrade_hash(
        &self,
        account: AccountId,
        expected: &HashedPassword,
        replacement: HashedPassword,
    ) -> Stored<Replacement> {
        let mut records = self.change()?;
        let account = records.accounts.get(&account);
        let upgraded = account.and_then(|account| account.upgrade_hash(expected, &replacement));
        let Some(account) = upgraded else { return Ok(Replacement::Stale) };
        self.save(&mut records, account);
        Ok(Replacement::Replaced)
    }

    async fn change_account(&self, change: AccountChange) -> Stored<AccountChanged> {
        let mut records = self.change()?;
        let Some(before) = records.accounts.get(&change.account).cloned() else {
            return Ok(AccountChanged::NoAccount);
        };
        let Some(update) = before.apply(&change) else {
            return Ok(AccountChanged::Changed(Box::new(before)));
        };
        if change.administration.needs_another(&before, Some(&update.account))
            && !records.has_other_administrator(before.id)
        {
            return Ok(AccountChanged::LastAdministrator);
        }
        self.update_account(&mut records, update)?;
        Ok(AccountChanged::Changed(Box::new(before)))
    }

    async fn delete_account(
        &self,
        account: AccountId,
        administration: Administration,
        _now: Timestamp,
    ) -> Stored<AccountChanged> {
        let mut records = self.change()?;
        let Some(account) = records.accounts.get(&account).cloned() else {
            return Ok(AccountChanged::NoAccount);
        };
        if administration.needs_another(&account, None)
            && !records.has_other_administrator(account.id)
        {
            return Ok(AccountChanged::LastAdministrator);
        }
        self.remove_account(&mut records, &account);
        Ok(AccountChanged::Changed(Box::new(account)))
    }

    async fn link_github(&self, link: GithubLink) -> Stored<Replacement> {
        let mut records = self.change()?;
        let account = records.accounts.get(&link.account);
        let update = account.and_then(|account| account.link(&link));
        let name = github_name(link.number);
        let Some(update) = update.filter(|_| !records.names.contains_key(&name)) else {
            return Ok(Replacement::Stale);
        };
        self.update_account(&mut records, update)?;
        records.names.insert(name, link.account);
        Ok(Replacement::Replaced)
    }

    async fn record_success(
        &self,
        account: AccountId,
        version: u64,
        from: Source,
        now: Timestamp,
    ) -> Stored<()> {
        let mut records = self.change()?;
        let account = records.accounts.get(&account);
        let proven = account.and_then(|account| account.proven_from(version, from, now));
        if let Some(account) = proven {
            self.save(&mut records, account);
        }
        Ok(())
    }
}

#[async_trait]
impl Sessions for InMemoryStore {
    async fn open_session(&self, session: Session, version: u64) -> Stored<SessionOpening> {
        let mut records = self.change()?;
        let account = records.accounts.get(&session.account).cloned();
        let Some(mut account) = account.filter(|account| account.is_current(version)) else {
            return Ok(SessionOpening::Stale);
        };
        let all: Vec<_> = records
            .sessions_of(account.id)
            .map(|known| (known.id, !known.is_live(session.created)))
            .collect();
        let Surplus { expired, superseded } = Surplus::of(all.len(), all, self.limits);
        if let Err(last) = account.make_room_for(session.id, &superseded) {
            return Ok(SessionOpening::Behind(last));
        }
        records.add_session(&session);
        records.remove_sessions(&expired);
        records.remove_sessions(&superseded);
        if !superseded.is_empty() {
            self.save(&mut records, account);
        }
        Ok(SessionOpening::Opened { superseded })
    }

    async fn rotate(&self, rotation: Rotation) -> Stored<Rotated> {
        let mut records = self.change()?;
        let Some(mut session) = records.sessions.get(&rotation.session).cloned() else {
            return Ok(Rotated::Unknown);
        };
        match session.redeem(&rotation, self.token_ttl) {
            Redeemed::Expired => Ok(Rotated::Unknown),
            Redeemed::Repeated(pair) | Redeemed::Kept(pair) => Ok(Rotated::Pair(pair)),
            Redeemed::Replaced(pair) => {
                records.sessions.insert(session.id, session);
                Ok(Rotated::Pair(pair))
            }
            Redeemed::Reused => {
                self.end_session(&mut records, &session, rotation.now);
                Ok(Rotated::FamilyEnded)
            }
        }
    }

    async fn revoke_token(&self, token: TokenId, expires: Timestamp) -> Stored<()> {
        let _records = self.change()?;
        self.standing.revoke_token(token, expires);
        Ok(())
    }

    async fn end_session(&self, session: SessionId, now: Timestamp) -> Stored<bool> {
        let mut records = self.change()?;
        let Some(session) = records.sessions.get(&session).cloned() else { return Ok(false) };
        InMemoryStore::end_session(self, &mut records, &session, now);
        Ok(true)
    }

    async fn end_sessions(&self, account: AccountId, _now: Timestamp) -> Stored<bool> {
        let mut records = self.change()?;
        let Some(mut account) = records.accounts.get(&account).cloned() else { return Ok(false) };
        records.end_all(&mut account, None);
        self.save(&mut records, account);
        self.held(true)
    }

    async fn find_session(&self, session: SessionId, now: Timestamp) -> Stored<Option<Session>> {
        let found = self.ask()?.sessions.get(&session).cloned();
        Ok(found.filter(|session| session.is_live(now)))
    }

    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: usize,
    ) -> Stored<Vec<Session>> {
        let records = self.ask()?;
        let sessions = records.sessions.range((start(after), Bound::Unbounded));
        let wanted = sessions.filter(|(_, session)| account.is_none_or(|id| session.account == id));
        Ok(wanted
            .take(limit)
            .map(|(id, session)| {
                let last_used = records.session_uses.get(id).copied();
                Session { last_used, ..session.clone() }
            })
            .collect())
    }

    async fn record_session_uses(&self, uses: Vec<(SessionId, Timestamp)>) -> Stored<()> {
        let mut records = self.change()?;
        for (session, at) in uses {
            if records.sessions.contains_key(&session) {
                let last = records.session_uses.entry(session).or_default();
                *last = at.max(*last);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Tickets for InMemoryStore {
    async fn issue_ticket(&self, digest: [u8; 32], ticket: Ticket) -> Stored<Opening> {
        let mut records = self.change()?;
        let account = records.accounts.get(&ticket.account);
        if !account.is_some_and(|account| account.is_current(ticket.version)) {
            return Ok(Opening::Stale);
        }
        records.tickets.insert(digest, ticket);
        Ok(Opening::Opened)
    }

    async fn take_ticket(&self, digest: [u8; 32], now: Timestamp) -> Stored<Option<Ticket>> {
        let taken = self.change()?.tickets.remove(&digest);
        Ok(taken.and_then(|ticket| ticket.redeem(now)))
    }
}

#[async_trait]
impl Keys for InMemoryStore {
    async fn create_key(&self, key: ApiKey) -> Stored<KeyCreation> {
        let mut records = self.change()?;
        if !records.accounts.contains_key(&key.owner) {
            return Ok(KeyCreation::NoOwner);
        }
        if key.server.is_some_and(|server| !records.servers.contains_key(&server)) {
            return Ok(KeyCreation::NoServer);
        }
        key.check_storable()?;
        if !self.make_room(&mut records, key.owner, key.created) {
            return Ok(KeyCreation::TooMany);
        }
        self.save_key(&mut records, key);
        Ok(KeyCreation::Created)
    }

    async fn rotate_key(&self, rotation: KeyRotation) -> Stored<KeyRotated> {
        let mut records = self.change()?;
        let key = records.keys.get(&rotation.key).cloned();
        match key.and_then(|key| key.rotate(&rotation)) {
            None => Ok(KeyRotated::NoKey),
            Some(Succession::InPlace { old, new }) => {
                self.remove_keys(&mut records, |key| key.id == old.id);
                self.save_key(&mut records, new.clone());
                Ok(KeyRotated::Rotated(new))
            }
            Some(Succession::Beside { old, new }) => {
                if !self.make_room(&mut records, old.owner, new.created) {
                    return Ok(KeyRotated::TooMany);
                }
                self.save_key(&mut records, old);
                self.save_key(&mut records, new.clone());
                Ok(KeyRotated::Rotated(new))
            }
        }
    }

    async fn record_key_uses(&self, uses: Vec<(KeyId, Timestamp)>) -> Stored<()> {
        let records = self.change()?;
        for (key, at) in uses {
            if let Some(key) = records.keys.get(&key) {
                key.last_used.set(Some(at));
            }
        }
        Ok(())
    }

    async fn find_key(&self, key: KeyId) -> Stored<Option<Arc<ApiKey>>> {
        Ok(self.ask()?.keys.get(&key).map(|key| self.known(key)))
    }

    async fn list_keys(&self, after: Option<KeyId>, limit: usize) -> Stored<Vec<Arc<ApiKey>>> {
        let records = self.ask()?;
        let listed = records.keys.range((start(after), Bound::Unbounded)).take(limit);
        Ok(listed.map(|(_, key)| self.known(key)).collect())
    }

    async fn delete_key(&self, key: KeyId, owner: Option<AccountId>) -> Stored<bool> {
        let mut records = self.change()?;
        let found = records.keys.get(&key).is_some_and(|key| key.is_of(owner));
        self.remove_keys(&mut records, |known| found && known.id == key);
        let mut meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
        for key in meanwhile.drain(..) {
            self.save_key(&mut records, key);
        }
        self.held(found)
    }
}

#[async_trait]
impl Servers for InMemoryStore {
    async fn create_server(&self, server: Server) -> Stored<bool> {
        let mut records = self.change()?;
        server.check_storable()?;
        if server.owner.is_some_and(|owner| !records.accounts.contains_key(&owner)) {
            return Ok(false);
        }
        records.servers.insert(server.id, server.clone());
        self.standing.put_server(server);
        Ok(true)
    }

    async fn change_server(&self, change: ServerChange) -> Stored<ServerChanged> {
        let mut records = self.change()?;
        let Some(server) = records.servers.get(&change.server) else {
            return Ok(ServerChanged::NoServer);
        };
        let server = server.apply(&change);
        server.check_storable()?;
        if server.owner.is_some_and(|owner| !records.accounts.contains_key(&owner)) {
            return Ok(ServerChanged::NoOwner);
        }
        records.servers.insert(server.id, server.clone());
        self.standing.put_server(server.clone());
        Ok(ServerChanged::Changed(server))
    }

    async fn delete_server(&self, server: ServerId) -> Stored<bool> {
        let mut records = self.change()?;
        if records.servers.remove(&server).is_none() {
            return Ok(false);
        }
        self.remove_keys(&mut records, |key| key.server == Some(server));
        self.standing.remove_server(server);
        Ok(true)
    }
}

#[async_trait]
impl Workspaces for InMemoryStore {
    async fn create_workspace(&self, workspace: Workspace) -> Stored<()> {
        let mut records = self.change()?;
        workspace.check_storable()?;
        records.workspaces.insert(workspace.id, workspace.clone());
        self.standing.put_workspace(workspace);
        Ok(())
    }

    async fn rename_workspace(
        &self,
        workspace: WorkspaceId,
        name: String,
    ) -> Stored<Option<Workspace>> {
        let mut records = self.change()?;
        let Some(known) = records.workspaces.get(&workspace) else { return Ok(None) };
        let renamed = Workspace { name, ..known.clone() };
        renamed.check_storable()?;
        records.workspaces.insert(workspace, renamed.clone());
        self.standing.put_workspace(renamed.clone());
        Ok(Some(renamed))
    }

    async fn delete_workspace(&self, workspace: WorkspaceId) -> Stored<bool> {
        let mut records = self.change()?;
        if records.workspaces.remove(&workspace).is_none() {
            return Ok(false);
        }
        records.members.retain(|(of, _), _| *of != workspace);
        self.standing.remove_workspace(workspace);
        Ok(true)
    }

    async fn set_member(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        role: Option<String>,
    ) -> Stored<MemberChange> {
        role.as_deref().map_or(Ok(()), check_member_role)?;
        let mut records = self.change()?;
        let member = (workspace, account);
        if !records.workspaces.contains_key(&workspace) {
            return Ok(MemberChange::NoWorkspace);
        }
        match &role {
            Some(_) if !records.accounts.contains_key(&account) => {
                return Ok(MemberChange::NoAccount);
            }
            Some(role) => drop(records.members.insert(member, role.clone())),
            None if records.members.remove(&member).is_none() => {
                return Ok(MemberChange::NoMember);
            }
            None => {}
        }
        self.standing.put_member(workspace, account, role.as_deref());
        Ok(MemberChange::Done)
    }
}

#[async_trait]
impl Attempts for InMemoryStore {
    async fn count_failure(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Stored<Counted> {
        Ok(self.failures.count(failure, limit, now, &self.standing))
    }

    async fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Stored<Verdict> {
        Ok(self.failures.count_registration(source, limit, now))
    }

    async fn list_failures(&self, now: Timestamp) -> Stored<Vec<FailureCount>> {
        Ok(self.failures.list(now))
    }

    async fn forgive(&self, source: Source) -> Stored<bool> {
        self.standing.unlock(source);
        Ok(self.failures.forgive(source))
    }
}

#[async_trait]
impl Store for InMemoryStore {
    async fn set_registration(&self, registering: Registering) -> Stored<()> {
        let _records = self.change()?;
        self.standing.set_registration(registering);
        Ok(())
    }

    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Stored<u64> {
        let mut records = self.change()?;
        self.failures.sweep(now);
        self.standing.sweep(now, past);
        let (sessions, tickets) = (records.sessions.len(), records.tickets.len());
        records.tickets.retain(|_, ticket| ticket.redeem(now).is_some());
        let due = records.sessions.values().filter(|session| session.kept_until() <= past);
        let due: Vec<SessionId> = due.map(|session| session.id).collect();
        records.remove_sessions(&due);
        // As other engines do, it looks at what was over before.
        let before = Timestamp(now.0.saturating_sub(1));
        let former = records.accounts.values().filter_map(|account| account.forget_former(before));
        let former: Vec<Account> = former.collect();
        let swept = sessions - records.sessions.len() + tickets - records.tickets.len();
        let swept = swept + former.len();
        for account in former {
            self.save(&mut records, account);
        }
        Ok(swept as u64)
    }

    async fn take_notice(&self, notice: Notice) -> Stored<bool> {
        Ok(self.change()?.notices.insert(notice.as_str()))
    }

    async fn ping(&self) -> Stored<()> {
        self.change().map(drop)
    }
}

/// The beginning of a page.
fn start<T>(after: Option<T>) -> Bound<T> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

mod tests {
    use super::*;
    use crate::store::conformance::{Engine, LIMITS, TOKEN_TTL, conformance};

    fn in_memory() -> Engine {
        let standing = Arc::new(Standing::default());
        let store = InMemoryStore::new(Arc::clone(&standing), TOKEN_TTL).with_limits(LIMITS);
        Engine { store: Arc::new(store), standing }
    }

    conformance!(in_memory);
}
