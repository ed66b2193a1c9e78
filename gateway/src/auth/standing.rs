//! What is known in memory about everything that can be presented, so that a
//! request is judged without waiting for a store.
//!
//! The engine fills it at start and publishes every change here before it
//! answers the caller; a request that begins after the answer of a logout
//! therefore sees it. The generation lets a cached judgement notice that
//! something, anything, has changed since.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::{DashMap, DashSet};
use tokio::sync::watch;

use super::account::{Account, AccountId, AccountState};
use super::api_key::{ApiKey, KeyId};
use super::error::{Refusal, Verdict};
use super::ports::Source;
use super::principal::{Principal, Proof};
use super::time::Timestamp;
use super::token::{SessionId, TokenId};

pub struct Standing {
    generation: AtomicU64,
    changed: watch::Sender<u64>,
    accounts: DashMap<AccountId, Arc<Account>>,
    /// Canonical user names and e-mail addresses.
    names: DashMap<String, AccountId>,
    revoked: DashMap<TokenId, Timestamp>,
    ended: DashMap<SessionId, Timestamp>,
    keys: DashSet<ByDigest>,
    lockouts: DashMap<Source, Timestamp>,
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
            changed: watch::Sender::new(1),
            accounts: DashMap::new(),
            names: DashMap::new(),
            revoked: DashMap::new(),
            ended: DashMap::new(),
            keys: DashSet::new(),
            lockouts: DashMap::new(),
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

    /// Wakes after every such change; open streams re-check their principal then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
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

    /// # Errors
    /// When there is no such account or it is disabled.
    pub fn enabled_account(&self, id: AccountId) -> Result<Arc<Account>, Refusal> {
        let account = self.account(id).ok_or(Refusal::UserUnknown)?;
        match account.state {
            AccountState::Enabled => Ok(account),
            AccountState::Disabled => Err(Refusal::AccountDisabled),
        }
    }

    /// # Errors
    /// When the token was revoked or its session ended.
    pub fn check_token(&self, token: TokenId, session: SessionId) -> Result<(), Refusal> {
        if self.revoked.contains_key(&token) {
            Err(Refusal::TokenRevoked)
        } else if self.ended.contains_key(&session) {
            Err(Refusal::SessionEnded)
        } else {
            Ok(())
        }
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

    /// Whether what was proven at the start of a long stream still holds.
    ///
    /// # Errors
    /// What ended it.
    pub fn still_good(&self, principal: &Principal, now: Timestamp) -> Result<(), Refusal> {
        let account = self.enabled_account(principal.account_id())?;
        if principal.expires().is_some_and(|expires| expires <= now) {
            return Err(Refusal::TokenExpired);
        }
        match &principal.proof {
            Proof::AccessToken { token, session, .. }
            | Proof::Ticket { token: Some((token, session, _)) } => {
                self.check_token(*token, *session)
            }
            Proof::Key(key) => self.key(&key.digest).map(|_| ()).ok_or(Refusal::KeyUnknown),
            Proof::Password | Proof::Ticket { token: None } => {
                if account.version == principal.account.version {
                    Ok(())
                } else {
                    Err(Refusal::PasswordWrong)
                }
            }
        }
    }

    /// All accounts, in order of creation.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let mut accounts: Vec<Account> =
            self.accounts.iter().map(|entry| (**entry.value()).clone()).collect();
        accounts.sort_by_key(|account| account.id);
        accounts
    }

    /// Keys of one account or all, in order of creation.
    #[must_use]
    pub fn keys(&self, owner: Option<AccountId>) -> Vec<ApiKey> {
        let of_owner = |key: &ApiKey| owner.is_none_or(|owner| owner == key.owner);
        let mut keys: Vec<ApiKey> = self
            .keys
            .iter()
            .filter(|entry| of_owner(&entry.0))
            .map(|entry| (*entry.0).clone())
            .collect();
        keys.sort_by_key(|key| key.id);
        keys
    }

    /// How many records are held, for metrics and tests.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            accounts: self.accounts.len(),
            revoked: self.revoked.len(),
            ended: self.ended.len(),
            keys: self.keys.len(),
            lockouts: self.lockouts.len(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub accounts: usize,
    pub revoked: usize,
    pub ended: usize,
    pub keys: usize,
    pub lockouts: usize,
}

/// Changes, published by the engine after they are durable.
impl Standing {
    pub fn put_account(&self, account: Account) {
        self.names.insert(account.username.canonical(), account.id);
        if let Some(email) = &account.email {
            self.names.insert(super::account::canonical_name(email), account.id);
        }
        self.accounts.insert(account.id, Arc::new(account));
        self.advance();
    }

    pub fn revoke_token(&self, token: TokenId, expires: Timestamp) {
        self.revoked.insert(token, expires);
        self.advance();
    }

    pub fn end_sessions(&self, sessions: &[(SessionId, Timestamp)]) {
        for (session, expires) in sessions {
            self.ended.insert(*session, *expires);
        }
        self.advance();
    }

    /// A key never changes, so one that is known already stays.
    pub fn put_key(&self, key: ApiKey) {
        self.keys.insert(ByDigest(Arc::new(key)));
        self.advance();
    }

    pub fn remove_key(&self, digest: &[u8; 32]) {
        self.keys.remove(digest);
        self.advance();
    }

    /// Drops the keys that are not `kept`.
    pub fn retain_keys(&self, kept: impl Fn(KeyId) -> bool) {
        self.keys.retain(|key| kept(key.0.id));
        self.advance();
    }

    pub fn lock_out(&self, source: Source, until: Timestamp) {
        self.lockouts.insert(source, until);
    }

    /// Forgets what has expired: tokens past their time are refused for that anyway.
    pub fn sweep(&self, now: Timestamp) {
        self.revoked.retain(|_, expires| *expires > now);
        self.ended.retain(|_, expires| *expires > now);
        self.lockouts.retain(|_, until| *until > now);
    }

    fn advance(&self) {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        // Nobody listens while a store is loaded, and then there is nobody to wake.
        let _ = self.changed.send(generation);
    }
}
