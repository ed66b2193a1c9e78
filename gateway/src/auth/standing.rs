//! What is known in memory about everything that can be presented, so that a
//! request is judged without waiting for a store.
//!
//! The engine fills it at start and publishes every change here before it
//! answers the caller; a request that begins after the answer of a logout
//! therefore sees it. The generation lets a cached judgement notice that
//! something, anything, has changed since; open streams hear of what concerns them
//! (`subscribers`).

mod key_index;
mod session_uses;
mod subscribers;

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::{DashMap, DashSet, Entry};

use super::account::{Account, AccountId, AccountState};
use super::api_key::{ApiKey, KeyId};
use super::error::{Refusal, Verdict};
use super::guessed::Guessed;
use super::principal::{Principal, Proof};
use super::register::Registering;
use super::server::{Server, ServerId};
use super::source::Source;
use super::time::{SWEEP_SLACK, Timestamp};
use super::token::{SessionId, TokenId};
use super::work::Work;
use super::workspace::{Membership, Workspace, WorkspaceId};

use key_index::KeyIndex;
use session_uses::SessionUses;
use subscribers::{Subject, Subscribers};

pub use session_uses::SessionUse;
pub use subscribers::Subscription;

/// Users remembered at once as those who are guessed at.
const MAX_SLOWED: usize = 100_000;

pub struct Standing {
    generation: AtomicU64,
    subscribers: Subscribers,
    accounts: DashMap<AccountId, Arc<Account>>,
    /// Canonical user names and e-mail addresses.
    names: DashMap<String, AccountId>,
    /// GitHub numbers, apart: nobody signs in with one as a name.
    github: DashMap<u64, AccountId>,
    revoked: DashMap<TokenId, Timestamp>,
    ended: DashMap<SessionId, Timestamp>,
    keys: DashSet<ByDigest>,
    keys_of: KeyIndex<AccountId>,
    keys_at: KeyIndex<ServerId>,
    /// Keys, perhaps of this owner only, that have ended here and that the store still has:
    /// they stay away until it has not.
    withheld: DashSet<(KeyId, Option<AccountId>)>,
    /// Uses of keys that are not written down yet.
    uses: DashMap<KeyId, Timestamp>,
    session_uses: SessionUses,
    servers: DashMap<ServerId, Arc<Server>>,
    workspaces: DashMap<WorkspaceId, Arc<Workspace>>,
    members: DashMap<(WorkspaceId, AccountId), Arc<str>>,
    lockouts: DashMap<Source, Timestamp>,
    /// Users at whom strangers guess slowly, and until when.
    slowed: DashMap<Guessed, Timestamp>,
    /// Whether nobody registers, whatever the configuration says.
    registration_closed: AtomicBool,
    /// What the dearest hash seen so far costs, in rounds.
    dearest: AtomicU64,
}

/// A key, known by its digest. There may be a million: the digest is kept once.
struct ByDigest(Arc<ApiKey>);

impl Borrow<[u8; 32]> for ByDigest {
    fn borrow(&self) -> &[u8; 32] {
        &self.0.digest
    }
}

impl Hash for ByDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl PartialEq for ByDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for ByDigest {}

impl Default for Standing {
    fn default() -> Self {
        Self {
            generation: AtomicU64::new(1),
            subscribers: Subscribers::default(),
            accounts: DashMap::new(),
            names: DashMap::new(),
            github: DashMap::new(),
            revoked: DashMap::new(),
            ended: DashMap::new(),
            keys: DashSet::new(),
            keys_of: KeyIndex::default(),
            keys_at: KeyIndex::default(),
            withheld: DashSet::new(),
            uses: DashMap::new(),
            session_uses: SessionUses::default(),
            servers: DashMap::new(),
            workspaces: DashMap::new(),
            members: DashMap::new(),
            lockouts: DashMap::new(),
            slowed: DashMap::new(),
            registration_closed: AtomicBool::new(false),
            dearest: AtomicU64::new(0),
        }
    }
}

/// Questions of the request path.
impl Standing {
    /// Grows with every change that can alter a judgement.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Hears of every such change that concerns the principal; open streams judge it
    /// again then.
    #[must_use]
    pub fn subscribe(&self, principal: &Principal) -> Subscription {
        self.subscribers.subscribe(principal)
    }

    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<Arc<Account>> {
        self.accounts.get(&id).map(|entry| Arc::clone(&entry))
    }

    /// Finds by canonical user name or e-mail.
    #[must_use]
    pub fn account_by_name(&self, name: &str) -> Option<Arc<Account>> {
        let id = *self.names.get(name)?;
        self.account(id)
    }

    /// Finds by the number of a GitHub account.
    #[must_use]
    pub fn account_by_github(&self, number: u64) -> Option<Arc<Account>> {
        let id = *self.github.get(&number)?;
        self.account(id)
    }

    /// # Errors
    /// When there is no such account or it is disabled.
    pub fn enabled_account(&self, id: AccountId) -> Result<Arc<Account>, Refusal> {
        let account = self.account(id).ok_or(Refusal::UserUnknown)?;
        match account.state {
            AccountState::Enabled => Ok(account),
            AccountState::Disabled => Err(Refusal::AccountDisabled),
        }
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// When the token was revoked, its session has ended, or the account is not enabled.
    pub fn holder(
        &self,
        account: AccountId,
        token: TokenId,
        session: SessionId,
    ) -> Result<Arc<Account>, Refusal> {
        self.check_token(token, session)?;
        let account = self.account(account).ok_or(Refusal::UserUnknown)?;
        if account.has_ended(session) {
            return Err(Refusal::SessionEnded);
        }
        match account.state {
            AccountState::Enabled => Ok(account),
            AccountState::Disabled => Err(Refusal::AccountDisabled),
        }
    }

    /// # Errors
    /// When the token was revoked or its session ended by itself.
    pub fn check_token(&self, token: TokenId, session: SessionId) -> Result<(), Refusal> {
        if self.revoked.contains_key(&token) {
            Err(Refusal::TokenRevoked)
        } else if self.ended.contains_key(&session) {
            Err(Refusal::SessionEnded)
        } else {
            Ok(())
        }
    }

    /// Whether a session has ended by itself.
    #[must_use]
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.ended.contains_key(&session)
    }

    #[must_use]
    pub fn key(&self, digest: &[u8; 32]) -> Option<Arc<ApiKey>> {
        self.keys.get(digest).map(|entry| Arc::clone(&entry.0))
    }

    /// Looks at all of them: for administration, not for requests.
    #[must_use]
    pub fn key_by_id(&self, id: KeyId) -> Option<Arc<ApiKey>> {
        self.keys.iter().find(|entry| entry.0.id == id).map(|entry| Arc::clone(&entry.0))
    }

    /// Whether the address has failed too often.
    #[must_use]
    pub fn verdict(&self, source: Source, now: Timestamp) -> Verdict {
        match self.lockouts.get(&source) {
            Some(until) if *until > now => Verdict::LockedOut(*until),
            _ => Verdict::Allowed,
        }
    }

    /// Whether there were too many failed attempts on the user.
    #[must_use]
    pub fn is_slowed(&self, user: Guessed, now: Timestamp) -> bool {
        self.slowed.get(&user).is_some_and(|until| *until > now)
    }

    /// What the store says of registration; the configuration may be stricter.
    #[must_use]
    pub fn registration(&self) -> Registering {
        if self.registration_closed.load(Ordering::Acquire) {
            Registering::Closed
        } else {
            Registering::Open
        }
    }

    /// Whether what was proven at the start of a long stream still holds; the account as
    /// it is now.
    ///
    /// # Errors
    /// What ended it.
    pub fn still_good(
        &self,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<Arc<Account>, Refusal> {
        let account = self.enabled_account(principal.account_id())?;
        if principal.expires().is_some_and(|expires| expires <= now) {
            return Err(Refusal::TokenExpired);
        }
        if let Some(membership) = &principal.workspace {
            let member = (membership.workspace, principal.account_id());
            if !self.members.contains_key(&member) {
                return Err(Refusal::WorkspaceLeft);
            }
        }
        match &principal.proof {
            Proof::AccessToken { token, session, .. }
            | Proof::Ticket { token: Some((token, session, _)) } => {
                self.check_token(*token, *session)?;
                if account.has_ended(*session) {
                    return Err(Refusal::SessionEnded);
                }
            }
            Proof::Key(key) => match self.key(&key.digest) {
                Some(key) if key.has_ended(now) => return Err(Refusal::KeyExpired),
                Some(_) => {}
                None => return Err(Refusal::KeyUnknown),
            },
            Proof::Password | Proof::Ticket { token: None } => {
                if account.version != principal.account.version {
                    return Err(Refusal::PasswordWrong);
                }
            }
        }
        Ok(account)
    }

    /// What verifying against the dearest hash of any account costs. It does not become
    /// less while the process runs.
    #[must_use]
    pub fn dearest_hash(&self) -> Work {
        Work(self.dearest.load(Ordering::Relaxed))
    }

    /// Who can administer the gateway. Looks at all accounts.
    #[must_use]
    pub fn administrators(&self) -> Vec<AccountId> {
        let administering = self.accounts.iter().filter(|entry| entry.administers());
        administering.map(|entry| *entry.key()).collect()
    }

    /// How many accounts are so. Looks at all of them.
    pub fn count_accounts(&self, is_so: impl Fn(&Account) -> bool) -> usize {
        self.accounts.iter().filter(|entry| is_so(entry.value())).count()
    }

    /// How many keys are so. Looks at all of them.
    pub fn count_keys(&self, is_so: impl Fn(&ApiKey) -> bool) -> usize {
        self.keys.iter().filter(|entry| is_so(&entry.0)).count()
    }

    /// All accounts, in order of creation.
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        let mut accounts: Vec<_> = self.accounts.iter().map(|entry| Arc::clone(&entry)).collect();
        accounts.sort_by_key(|account| account.id);
        accounts
    }

    /// Keys of one account or all, in order of creation.
    #[must_use]
    pub fn keys(&self, owner: Option<AccountId>) -> Vec<Arc<ApiKey>> {
        let mut keys: Vec<Arc<ApiKey>> = match owner {
            Some(owner) => self.keys_of.all(owner),
            None => self.keys.iter().map(|entry| Arc::clone(&entry.0)).collect(),
        };
        keys.sort_by_key(|key| key.id);
        keys
    }

    /// Keys bound to a server, in order of creation.
    #[must_use]
    pub fn keys_of_server(&self, server: ServerId) -> Vec<Arc<ApiKey>> {
        let mut keys = self.keys_at.all(server);
        keys.sort_by_key(|key| key.id);
        keys
    }

    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<Arc<Server>> {
        self.servers.get(&id).map(|entry| Arc::clone(&entry))
    }

    /// Servers of an account, in order of creation. Looks at all servers there are.
    #[must_use]
    pub fn servers_of(&self, owner: AccountId) -> Vec<Arc<Server>> {
        let mut servers = self.servers();
        servers.retain(|server| server.owner == Some(owner));
        servers
    }

    /// All servers, in order of creation.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<Server>> {
        let mut servers: Vec<_> = self.servers.iter().map(|entry| Arc::clone(&entry)).collect();
        servers.sort_by_key(|server| server.id);
        servers
    }

    #[must_use]
    pub fn workspace(&self, id: WorkspaceId) -> Option<Arc<Workspace>> {
        self.workspaces.get(&id).map(|entry| Arc::clone(&entry))
    }

    /// All workspaces, in order of creation.
    #[must_use]
    pub fn workspaces(&self) -> Vec<Arc<Workspace>> {
        let mut workspaces: Vec<_> =
            self.workspaces.iter().map(|entry| Arc::clone(&entry)).collect();
        workspaces.sort_by_key(|workspace| workspace.id);
        workspaces
    }

    /// What an account is in a workspace, if it is anything.
    #[must_use]
    pub fn membership(&self, workspace: WorkspaceId, account: AccountId) -> Option<Membership> {
        let role = Arc::clone(&*self.members.get(&(workspace, account))?);
        Some(Membership { workspace, role })
    }

    /// Who is in a workspace, in order of the accounts' creation.
    #[must_use]
    pub fn members(&self, workspace: WorkspaceId) -> Vec<(AccountId, Arc<str>)> {
        let of_workspace = self.members.iter().filter(|entry| entry.key().0 == workspace);
        let mut members: Vec<_> =
            of_workspace.map(|entry| (entry.key().1, Arc::clone(entry.value()))).collect();
        members.sort_by_key(|(account, _)| *account);
        members
    }

    /// How many keys an account has, those that have ended included.
    #[must_use]
    pub fn key_count(&self, owner: AccountId) -> usize {
        self.keys_of.count(owner)
    }

    /// Notes that a key was used.
    pub fn note_use(&self, key: &ApiKey, now: Timestamp) {
        // Once a second is worth writing down.
        if key.last_used.get().is_none_or(|last| last.seconds() != now.seconds()) {
            key.last_used.set(Some(now));
            self.uses.insert(key.id, now);
        }
    }

    /// Takes over uses that another replica has seen. Looks at all keys there are.
    pub fn hear_uses(&self, uses: &HashMap<KeyId, Timestamp>) {
        for entry in self.keys.iter() {
            let key = &entry.0;
            if let Some(at) = uses.get(&key.id)
                && key.last_used.get().is_none_or(|known| known < *at)
            {
                key.last_used.set(Some(*at));
            }
        }
    }

    /// The uses that are not written down yet; they are the caller's to write now.
    #[must_use]
    pub fn take_uses(&self) -> Vec<(KeyId, Timestamp)> {
        let ids: Vec<KeyId> = self.uses.iter().map(|entry| *entry.key()).collect();
        ids.into_iter().filter_map(|id| self.uses.remove(&id)).collect()
    }

    /// Gives back uses that could not be written. Later ones stay.
    pub fn return_uses(&self, uses: Vec<(KeyId, Timestamp)>) {
        for (key, at) in uses {
            self.uses.entry(key).or_insert(at);
        }
    }

    /// When sessions were used here.
    #[must_use]
    pub fn session_uses(&self) -> &SessionUses {
        &self.session_uses
    }

    /// How many records are held, for metrics and tests.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            accounts: self.accounts.len(),
            revoked: self.revoked.len(),
            ended: self.ended.len(),
            keys: self.keys.len(),
            servers: self.servers.len(),
            workspaces: self.workspaces.len(),
            lockouts: self.lockouts.len(),
            slowed: self.slowed.len(),
        }
    }
}

/// What a store was found to hold.
#[derive(Debug, Default)]
pub struct Found {
    pub accounts: HashSet<AccountId>,
    pub keys: HashSet<KeyId>,
    pub servers: HashSet<ServerId>,
    pub workspaces: HashSet<WorkspaceId>,
    pub members: HashSet<(WorkspaceId, AccountId)>,
}

/// What a store was found not to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    Account(AccountId),
    /// By its digest.
    Key([u8; 32]),
    Server(ServerId),
    Workspace(WorkspaceId),
    Member(WorkspaceId, AccountId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub accounts: usize,
    pub revoked: usize,
    pub ended: usize,
    pub keys: usize,
    pub servers: usize,
    pub workspaces: usize,
    pub lockouts: usize,
    pub slowed: usize,
}

/// Changes, published by the engine after they are durable.
impl Standing {
    pub fn put_account(&self, mut account: Account) {
        let work = account.password.as_ref().map(Work::of).unwrap_or_default();
        self.dearest.fetch_max(work.0, Ordering::Relaxed);
        for name in account.login_names() {
            self.names.insert(name, account.id);
        }
        if let Some(number) = account.github {
            self.github.insert(number, account.id);
        }
        // In one step: an end that is held may be noted meanwhile.
        let (before, account) = match self.accounts.entry(account.id) {
            Entry::Occupied(mut known) => {
                account.keep_ended(known.get());
                let account = Arc::new(account);
                (Some(known.insert(Arc::clone(&account))), account)
            }
            Entry::Vacant(place) => {
                let account = Arc::new(account);
                place.insert(Arc::clone(&account));
                (None, account)
            }
        };
        // An address alone changes no judgement.
        if !before.is_some_and(|before| before.is_same_but_for_sign_ins(&account)) {
            self.advance(Subject::Account(account.id));
        }
    }

    pub fn revoke_token(&self, token: TokenId, expires: Timestamp) {
        self.revoked.insert(token, expires);
        self.advance(Subject::Token(token));
    }

    pub fn end_sessions(&self, sessions: &[(SessionId, Timestamp)]) {
        for (session, expires) in sessions {
            self.ended.insert(*session, *expires);
            self.advance(Subject::Session(*session));
        }
    }

    /// Ends every session of an account that was opened up to now, before the store has
    /// heard of it.
    pub fn end_all_sessions(&self, account: AccountId, now: Timestamp) {
        let Some(mut known) = self.accounts.get_mut(&account) else { return };
        Arc::make_mut(&mut known).end_up_to(now);
        drop(known);
        self.advance(Subject::Account(account));
    }

    /// Forgets an account; what it owned is removed by its own calls.
    pub fn remove_account(&self, id: AccountId) {
        if let Some((_, account)) = self.accounts.remove(&id) {
            for name in account.login_names() {
                self.names.remove_if(&name, |_, owner| *owner == id);
            }
            if let Some(number) = account.github {
                self.github.remove_if(&number, |_, owner| *owner == id);
            }
        }
        self.members.retain(|(_, member), _| *member != id);
        self.advance(Subject::Account(id));
    }

    /// Adds a key, or brings the end of a known one forward; nothing else of a key changes.
    pub fn put_key(&self, key: ApiKey) {
        let id = key.id;
        if let Some(known) = self.key(&key.digest) {
            known.superseded.set(key.superseded.get());
        } else if !self.is_withheld(&key) {
            let key = Arc::new(key);
            self.keys_of.add(key.owner, &key);
            if let Some(server) = key.server {
                self.keys_at.add(server, &key);
            }
            self.keys.insert(ByDigest(key));
        }
        self.advance(Subject::Key(id));
    }

    pub fn remove_key(&self, digest: &[u8; 32]) {
        if let Some(ByDigest(key)) = self.keys.remove(digest) {
            self.uses.remove(&key.id);
            self.keys_of.remove(key.owner, key.id);
            if let Some(server) = key.server {
                self.keys_at.remove(server, key.id);
            }
            self.advance(Subject::Key(key.id));
        }
    }

    fn is_withheld(&self, key: &ApiKey) -> bool {
        [None, Some(key.owner)].into_iter().any(|owner| self.withheld.contains(&(key.id, owner)))
    }

    /// Removes a key, and keeps it away when it comes (again) from the store. `false` when
    /// it is known to be of another owner than the one that is named.
    pub fn withhold_key(&self, id: KeyId, owner: Option<AccountId>) -> bool {
        // Before it is looked for: what comes meanwhile is kept away.
        let new = self.withheld.insert((id, owner));
        let of_owner = owner.and_then(|owner| self.keys_of.find(owner, id));
        let Some(key) = of_owner.or_else(|| self.key_by_id(id)) else { return true };
        if owner.is_some_and(|owner| owner != key.owner) {
            if new {
                self.withheld.remove(&(id, owner));
            }
            return false;
        }
        self.remove_key(&key.digest);
        true
    }

    /// The store has it no longer.
    pub fn release_key(&self, id: KeyId, owner: Option<AccountId>) {
        self.withheld.remove(&(id, owner));
    }

    pub fn put_server(&self, server: Server) {
        self.servers.insert(server.id, Arc::new(server));
    }

    pub fn remove_server(&self, id: ServerId) {
        self.servers.remove(&id);
    }

    pub fn put_workspace(&self, workspace: Workspace) {
        self.workspaces.insert(workspace.id, Arc::new(workspace));
    }

    pub fn remove_workspace(&self, id: WorkspaceId) {
        self.workspaces.remove(&id);
        let mut left = Vec::new();
        self.members.retain(|(workspace, account), _| {
            if *workspace == id {
                left.push(*account);
            }
            *workspace != id
        });
        for account in left {
            self.advance(Subject::Account(account));
        }
    }

    /// With `None` the account is no member any more.
    pub fn put_member(&self, workspace: WorkspaceId, account: AccountId, role: Option<&str>) {
        match role {
            Some(role) => drop(self.members.insert((workspace, account), role.into())),
            None => drop(self.members.remove(&(workspace, account))),
        }
        self.advance(Subject::Account(account));
    }

    /// Drops what is not `found`: after a failed write memory may hold what the file
    /// does not.
    pub fn keep_only(&self, found: &Found) {
        self.keep_only_unless(found, |_| false);
    }

    /// Drops what is neither `found` nor to be spared.
    pub fn keep_only_unless(&self, found: &Found, spared: impl Fn(Gone) -> bool) {
        let accounts = self.accounts.iter().map(|entry| *entry.key());
        let gone: Vec<AccountId> = accounts
            .filter(|id| !found.accounts.contains(id) && !spared(Gone::Account(*id)))
            .collect();
        for id in gone {
            self.remove_account(id);
        }
        let keys = self.keys.iter().filter(|entry| !found.keys.contains(&entry.0.id));
        let gone: Vec<[u8; 32]> =
            keys.map(|entry| entry.0.digest).filter(|digest| !spared(Gone::Key(*digest))).collect();
        for digest in gone {
            self.remove_key(&digest);
        }
        self.servers.retain(|id, _| found.servers.contains(id) || spared(Gone::Server(*id)));
        self.workspaces
            .retain(|id, _| found.workspaces.contains(id) || spared(Gone::Workspace(*id)));
        self.members.retain(|(workspace, account), _| {
            self.workspaces.contains_key(workspace)
                && (found.members.contains(&(*workspace, *account))
                    || spared(Gone::Member(*workspace, *account)))
        });
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.subscribers.wake_all();
    }

    pub fn set_registration(&self, registering: Registering) {
        self.registration_closed.store(registering == Registering::Closed, Ordering::Release);
    }

    pub fn unlock(&self, source: Source) {
        self.lockouts.remove(&source);
    }

    pub fn lock_out(&self, source: Source, until: Timestamp) {
        self.lockouts.insert(source, until);
    }

    /// Attempts on the user go slowly until then. Where too many users are guessed at, any
    /// one of them gives way: each has cost whoever guesses as many attempts.
    pub fn slow_down(&self, user: Guessed, until: Timestamp) {
        if self.slowed.len() >= MAX_SLOWED && !self.slowed.contains_key(&user) {
            let any = self.slowed.iter().next().map(|entry| *entry.key());
            any.and_then(|any| self.slowed.remove(&any));
        }
        self.slowed.insert(user, until);
    }

    /// Forgets what has expired: tokens past their time are refused for that anyway.
    pub fn sweep(&self, now: Timestamp, past: Timestamp) {
        let long_ago = past.minus(SWEEP_SLACK);
        self.revoked.retain(|_, expires| *expires > long_ago);
        self.ended.retain(|_, expires| *expires > long_ago);
        self.lockouts.retain(|_, until| *until > now);
        self.slowed.retain(|_, until| *until > now);
    }

    /// After what it concerns has changed.
    fn advance(&self, subject: Subject) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.subscribers.wake(subject);
    }
}

#[cfg(test)]
mod tests;
