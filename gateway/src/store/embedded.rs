//! The engine of a single machine: redb, one file, one writer.
//!
//! Changes queue for the writer thread (`writer`), which puts all that wait
//! into one transaction and one fsync, publishes them to [`Standing`] and then
//! answers. Reads never come here: what the request path needs is in memory.

mod check;
mod failures;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};

use crate::auth::account::{Account, AccountId, AccountState, HashedPassword, canonical_name};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::{StoreError, Verdict};
use crate::auth::ports::{
    Creation, FailureLimit, Opening, PasswordChange, Replacement, Rotated, Rotation, RotationMode,
    Source, Store,
};
use crate::auth::standing::Standing;
use crate::auth::ticket::Ticket;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{Minted, Session, SessionId, TokenId};

use super::record::Record;
use failures::Failures;
use schema::{
    ACCOUNT_SESSIONS, ACCOUNTS, ENDED, Expiring, KEYS, NAMES, REVOKED, SESSIONS, TICKETS,
};
use writer::{Step, Writer};

pub use check::Checked;
pub use schema::OpenError;

/// Records removed by one sweep, so that a backlog cannot hold up sign-ins.
const SWEEP_BATCH: usize = 1_000;

pub struct EmbeddedStore {
    writer: Writer,
    standing: Arc<Standing>,
    failures: Failures,
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
        schema::load(&database, &standing, location)?;
        let writer = Writer::start(database, location.clone(), Arc::clone(&standing))
            .map_err(|source| OpenError::Io { path: location.path(), source })?;
        Ok(Self { writer, standing, failures: Failures::default(), token_ttl })
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
        Self::File(directory.join("portcullis.redb"))
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
impl Store for EmbeddedStore {
    async fn create_account(&self, account: Account) -> Result<Creation, StoreError> {
        self.writer
            .submit(move |txn| {
                let username = account.username.canonical();
                let email = account.email.as_deref().map(canonical_name);
                let mut names = txn.open_table(NAMES)?;
                if names.get(username.as_str())?.is_some() {
                    return Ok(Step::unchanged(Creation::NameTaken));
                }
                if let Some(email) = &email {
                    if names.get(email.as_str())?.is_some() {
                        return Ok(Step::unchanged(Creation::EmailTaken));
                    }
                    names.insert(email.as_str(), account.id.0.as_bytes())?;
                }
                names.insert(username.as_str(), account.id.0.as_bytes())?;
                write_account(txn, &account)?;
                Ok(Step::changed(Creation::Created, move |standing| standing.put_account(account)))
            })
            .await
    }

    async fn list_accounts(&self) -> Result<Vec<Account>, StoreError> {
        Ok(self.standing.accounts())
    }

    async fn find_account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        Ok(self.standing.account_by_name(name).map(|account| (*account).clone()))
    }

    async fn replace_password(&self, change: PasswordChange) -> Result<Replacement, StoreError> {
        let token_ttl = self.token_ttl;
        self.writer
            .submit(move |txn| {
                let Some(mut account) = read_account(txn, change.account)? else {
                    return Ok(Step::unchanged(Replacement::Stale));
                };
                if change.expected_version.is_some_and(|version| version != account.version) {
                    return Ok(Step::unchanged(Replacement::Stale));
                }
                account.password = change.replacement;
                account.version += 1;
                write_account(txn, &account)?;
                let ended =
                    end_account_sessions(txn, account.id, change.keep, change.now, token_ttl)?;
                drop_tickets(txn, account.id)?;
                Ok(Step::changed(Replacement::Replaced, move |standing| {
                    // Sessions first: at no moment is the new version visible
                    // beside a session that should have ended with the old one.
                    standing.end_sessions(&ended);
                    standing.put_account(account);
                }))
            })
            .await
    }

    async fn upgrade_hash(
        &self,
        account: AccountId,
        expected: &HashedPassword,
        replacement: HashedPassword,
    ) -> Result<Replacement, StoreError> {
        let expected = expected.clone();
        self.writer
            .submit(move |txn| match read_account(txn, account)? {
                Some(mut account) if account.password == expected => {
                    account.password = replacement;
                    write_account(txn, &account)?;
                    Ok(Step::changed(Replacement::Replaced, move |standing| {
                        standing.put_account(account);
                    }))
                }
                _ => Ok(Step::unchanged(Replacement::Stale)),
            })
            .await
    }

    async fn set_state(
        &self,
        account: AccountId,
        state: AccountState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let token_ttl = self.token_ttl;
        self.writer
            .submit(move |txn| {
                let Some(mut account) = read_account(txn, account)? else {
                    return Ok(Step::unchanged(false));
                };
                if account.state == state {
                    return Ok(Step::unchanged(true));
                }
                account.state = state;
                account.version += 1;
                write_account(txn, &account)?;
                let ended = match state {
                    AccountState::Disabled => {
                        drop_tickets(txn, account.id)?;
                        end_account_sessions(txn, account.id, None, now, token_ttl)?
                    }
                    AccountState::Enabled => Vec::new(),
                };
                Ok(Step::changed(true, move |standing| {
                    standing.end_sessions(&ended);
                    standing.put_account(account);
                }))
            })
            .await
    }

    async fn open_session(&self, session: Session, version: u64) -> Result<Opening, StoreError> {
        self.writer
            .submit(move |txn| {
                if !is_current(txn, session.account, version)? {
                    return Ok(Step::unchanged(Opening::Stale));
                }
                write_session(txn, &session)?;
                let index = (*session.account.0.as_bytes(), *session.id.0.as_bytes());
                txn.open_table(ACCOUNT_SESSIONS)?.insert(index, ())?;
                schema::expire(txn, session.expires, Expiring::Session, session.id.0.as_bytes())?;
                Ok(Step::changed(Opening::Opened, |_| ()))
            })
            .await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let token_ttl = self.token_ttl;
        self.writer
            .submit(move |txn| {
                let Some(mut session) = read_session(txn, rotation.session)? else {
                    return Ok(Step::unchanged(Rotated::Unknown));
                };
                if session.expires <= rotation.now {
                    return Ok(Step::unchanged(Rotated::Unknown));
                }
                let is_current = session.current.refresh == rotation.presented;
                if let RotationMode::Rotate { grace } = rotation.mode {
                    if let Some((token, at)) = session.replaced {
                        let in_grace = rotation.now.since(at) < grace.millis();
                        if token == rotation.presented && in_grace {
                            return Ok(Step::unchanged(Rotated::Pair(session.current)));
                        }
                    }
                    if is_current {
                        session.replaced = Some((session.current.refresh, rotation.now));
                        session.current = rotation.successor;
                        session.expires = session.expires.max(rotation.now.plus(token_ttl));
                        write_session(txn, &session)?;
                        let pair = Rotated::Pair(session.current);
                        return Ok(Step::changed(pair, |_| ()));
                    }
                } else if is_current {
                    let mut pair = rotation.successor;
                    // No token outlives its session: its end could not be recorded.
                    let left = session.expires.since(rotation.now) / 1000;
                    pair.access_ttl = pair.access_ttl.min(left);
                    return Ok(Step::unchanged(Rotated::Pair(pair)));
                }
                let ended = end_session_in(txn, &session, rotation.now, token_ttl)?;
                Ok(Step::changed(Rotated::FamilyEnded, move |standing| {
                    standing.end_sessions(&[ended]);
                }))
            })
            .await
    }

    async fn revoke_token(&self, token: TokenId, expires: Timestamp) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                txn.open_table(REVOKED)?.insert(*token.0.as_bytes(), expires.0)?;
                schema::expire(txn, expires, Expiring::Revocation, token.0.as_bytes())?;
                Ok(Step::changed((), move |standing| standing.revoke_token(token, expires)))
            })
            .await
    }

    async fn end_session(&self, session: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let token_ttl = self.token_ttl;
        self.writer
            .submit(move |txn| {
                let Some(session) = read_session(txn, session)? else {
                    return Ok(Step::unchanged(false));
                };
                let ended = end_session_in(txn, &session, now, token_ttl)?;
                Ok(Step::changed(true, move |standing| standing.end_sessions(&[ended])))
            })
            .await
    }

    async fn issue_ticket(&self, digest: [u8; 32], ticket: Ticket) -> Result<Opening, StoreError> {
        self.writer
            .submit(move |txn| {
                if !is_current(txn, ticket.account, ticket.version)? {
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
                let live = ticket.expires > now;
                Ok(Step::changed(live.then_some(ticket), |_| ()))
            })
            .await
    }

    async fn create_key(&self, key: ApiKey) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                if read_account(txn, key.owner)?.is_none() {
                    return Ok(Step::unchanged(false));
                }
                txn.open_table(KEYS)?.insert(*key.id.0.as_bytes(), key.encode()?.as_slice())?;
                Ok(Step::changed(true, move |standing| standing.put_key(key)))
            })
            .await
    }

    async fn list_keys(&self, owner: Option<AccountId>) -> Result<Vec<ApiKey>, StoreError> {
        Ok(self.standing.keys(owner))
    }

    async fn delete_key(&self, key: KeyId, owner: Option<AccountId>) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                let mut keys = txn.open_table(KEYS)?;
                let stored = match keys.get(*key.0.as_bytes())? {
                    Some(stored) => ApiKey::decode(stored.value(), &format!("key {}", key.0))?,
                    None => return Ok(Step::unchanged(false)),
                };
                if owner.is_some_and(|owner| owner != stored.owner) {
                    return Ok(Step::unchanged(false));
                }
                keys.remove(*key.0.as_bytes())?;
                Ok(Step::changed(true, move |standing| standing.remove_key(&stored.digest)))
            })
            .await
    }

    async fn count_failure(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        // In memory only: whoever could restart the gateway to forget failures
        // needs no password guessing.
        let verdict = self.failures.count(source, limit, now);
        if let Verdict::LockedOut(until) = verdict {
            self.standing.lock_out(source, until);
        }
        Ok(verdict)
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.failures.sweep(now);
        self.standing.sweep(now);
        let mut total = 0;
        loop {
            let swept = self.writer.submit(move |txn| schema::sweep(txn, now, SWEEP_BATCH)).await?;
            total += swept as u64;
            if swept < SWEEP_BATCH {
                return Ok(total);
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.health()
    }
}

fn read_account(txn: &WriteTransaction, id: AccountId) -> Result<Option<Account>, StoreError> {
    let accounts = txn.open_table(ACCOUNTS)?;
    let stored = accounts.get(*id.0.as_bytes())?;
    stored.map(|bytes| Account::decode(bytes.value(), &format!("account {}", id.0))).transpose()
}

/// Whether what was proven of the account at `version` still holds.
fn is_current(txn: &WriteTransaction, id: AccountId, version: u64) -> Result<bool, StoreError> {
    Ok(read_account(txn, id)?.is_some_and(|account| {
        account.version == version && account.state == AccountState::Enabled
    }))
}

fn write_account(txn: &WriteTransaction, account: &Account) -> Result<(), StoreError> {
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
    let until = session.expires.max(now.plus(token_ttl));
    let id = *session.id.0.as_bytes();
    txn.open_table(SESSIONS)?.remove(id)?;
    txn.open_table(ACCOUNT_SESSIONS)?.remove((*session.account.0.as_bytes(), id))?;
    txn.open_table(ENDED)?.insert(id, until.0)?;
    schema::expire(txn, until, Expiring::Ending, &id)?;
    Ok((session.id, until))
}

fn end_account_sessions(
    txn: &WriteTransaction,
    account: AccountId,
    keep: Option<SessionId>,
    now: Timestamp,
    token_ttl: Seconds,
) -> Result<Vec<(SessionId, Timestamp)>, StoreError> {
    let owner = *account.0.as_bytes();
    let mut ids = Vec::new();
    for entry in
        txn.open_table(ACCOUNT_SESSIONS)?.range((owner, [0; 16])..=(owner, [u8::MAX; 16]))?
    {
        let id = SessionId(uuid::Uuid::from_bytes(entry?.0.value().1));
        if Some(id) != keep {
            ids.push(id);
        }
    }
    let mut ended = Vec::with_capacity(ids.len());
    for id in ids {
        // A record that does not read must not keep the account's other sessions
        // alive: it ends by its id.
        let session = match read_session(txn, id) {
            Ok(Some(session)) => session,
            Ok(None) => continue,
            Err(StoreError::Damaged(_)) => unreadable_session(id, account, now, token_ttl),
            Err(error) => return Err(error),
        };
        ended.push(end_session_in(txn, &session, now, token_ttl)?);
    }
    Ok(ended)
}

fn unreadable_session(
    id: SessionId,
    account: AccountId,
    now: Timestamp,
    token_ttl: Seconds,
) -> Session {
    let nobody = TokenId(uuid::Uuid::nil());
    let current = Minted { access: nobody, refresh: nobody, issued_at: now, access_ttl: 0 };
    Session { id, account, created: now, expires: now.plus(token_ttl), current, replaced: None }
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
