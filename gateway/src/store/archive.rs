//! All of a store that must survive, record by record: for export and import.
//!
//! Tickets are left out; they live for two minutes.

#[cfg(test)]
pub(crate) mod conformance;
pub mod file;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::StoreError;
use crate::auth::server::Server;
use crate::auth::session::Session;
use crate::auth::time::Timestamp;
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};

/// Records of one look into a store.
const PAGE: usize = 500;

/// How many records of each kind.
pub type Counts = BTreeMap<Kind, u64>;

/// The kinds of records, each behind those it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Account,
    Server,
    Workspace,
    Member,
    Session,
    Key,
    KeyUse,
    RevokedToken,
    EndedSession,
    RegistrationClosed,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Account,
        Self::Server,
        Self::Workspace,
        Self::Member,
        Self::Session,
        Self::Key,
        Self::KeyUse,
        Self::RevokedToken,
        Self::EndedSession,
        Self::RegistrationClosed,
    ];

    /// Whether a record of it ends what another one begins. An import writes these first, so
    /// that nothing of it is good before it is known what is not.
    #[must_use]
    pub fn ends_something(self) -> bool {
        match self {
            Kind::RevokedToken | Kind::EndedSession | Kind::RegistrationClosed => true,
            Kind::Account
            | Kind::Server
            | Kind::Workspace
            | Kind::Member
            | Kind::Session
            | Kind::Key
            | Kind::KeyUse => false,
        }
    }

    /// Whether one can belong to what is not there, and nothing is damaged. Sessions are
    /// removed a part at a time, all else in one step with what it belongs to.
    fn can_be_of_nobody(self, moment: Moment) -> bool {
        match self {
            Kind::Session => true,
            // Of a key that has come since keys were read.
            Kind::KeyUse => moment == Moment::Each,
            Kind::Account
            | Kind::Server
            | Kind::Workspace
            | Kind::Member
            | Kind::Key
            | Kind::RevokedToken
            | Kind::EndedSession
            | Kind::RegistrationClosed => false,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Account => "account",
            Kind::Server => "server",
            Kind::Workspace => "workspace",
            Kind::Member => "member",
            Kind::Session => "session",
            Kind::Key => "key",
            Kind::KeyUse => "key_use",
            Kind::RevokedToken => "revoked_token",
            Kind::EndedSession => "ended_session",
            Kind::RegistrationClosed => "registration_closed",
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Account(Account),
    Server(Server),
    Workspace(Workspace),
    Member {
        workspace: WorkspaceId,
        account: AccountId,
        role: String,
    },
    Session(Session),
    /// Its last use is an entry of its own.
    Key(ApiKey),
    KeyUse {
        key: KeyId,
        at: Timestamp,
    },
    /// Refused until `expires`.
    RevokedToken {
        token: TokenId,
        expires: Timestamp,
    },
    /// Its tokens are refused until `expires`.
    EndedSession {
        session: SessionId,
        expires: Timestamp,
    },
    /// Nobody registers, whatever the configuration says. There is at most one.
    RegistrationClosed,
}

impl Entry {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Entry::Account(_) => Kind::Account,
            Entry::Server(_) => Kind::Server,
            Entry::Workspace(_) => Kind::Workspace,
            Entry::Member { .. } => Kind::Member,
            Entry::Session(_) => Kind::Session,
            Entry::Key(_) => Kind::Key,
            Entry::KeyUse { .. } => Kind::KeyUse,
            Entry::RevokedToken { .. } => Kind::RevokedToken,
            Entry::EndedSession { .. } => Kind::EndedSession,
            Entry::RegistrationClosed => Kind::RegistrationClosed,
        }
    }

    /// What it lies under among its kind; of a member the workspace's id, then the
    /// account's.
    #[must_use]
    pub fn id(&self) -> (Uuid, Option<Uuid>) {
        match self {
            Entry::Account(account) => (account.id.0, None),
            Entry::Server(server) => (server.id.0, None),
            Entry::Workspace(workspace) => (workspace.id.0, None),
            Entry::Member { workspace, account, .. } => (workspace.0, Some(account.0)),
            Entry::Session(session) => (session.id.0, None),
            Entry::Key(key) => (key.id.0, None),
            Entry::KeyUse { key, .. } => (key.0, None),
            Entry::RevokedToken { token, .. } => (token.0, None),
            Entry::EndedSession { session, .. } => (session.0, None),
            Entry::RegistrationClosed => (Uuid::nil(), None),
        }
    }

    /// Whether it says what another record under its id does. From where and when an account
    /// signs in and a session is used may have changed since.
    #[must_use]
    pub fn says_the_same(&self, other: &Entry) -> bool {
        match (self, other) {
            (Entry::Account(one), Entry::Account(two)) => one.is_same_but_for_sign_ins(two),
            (Entry::Session(one), Entry::Session(two)) => {
                *one == Session { last_used: one.last_used, ..two.clone() }
            }
            _ => self == other,
        }
    }

    /// The records without which it means nothing.
    #[must_use]
    pub fn refers_to(&self) -> Vec<(Kind, Uuid)> {
        match self {
            Entry::Account(_)
            | Entry::Workspace(_)
            | Entry::RevokedToken { .. }
            | Entry::EndedSession { .. }
            | Entry::RegistrationClosed => Vec::new(),
            Entry::Server(server) => {
                server.owner.iter().map(|owner| (Kind::Account, owner.0)).collect()
            }
            Entry::Member { workspace, account, .. } => {
                vec![(Kind::Workspace, workspace.0), (Kind::Account, account.0)]
            }
            Entry::Session(session) => vec![(Kind::Account, session.account.0)],
            Entry::Key(key) => {
                let server = key.server.map(|server| (Kind::Server, server.0));
                [(Kind::Account, key.owner.0)].into_iter().chain(server).collect()
            }
            Entry::KeyUse { key, .. } => vec![(Kind::Key, key.0)],
        }
    }
}

/// `session 0193…`, as errors name a record.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, second) = self.id();
        write!(f, "{} {id}", self.kind().as_str())?;
        second.map_or(Ok(()), |second| write!(f, " {second}"))
    }
}

/// Whether there is no record at all.
///
/// # Errors
/// When it cannot be read.
pub async fn is_empty(records: &dyn Records) -> Result<bool, StoreError> {
    for kind in Kind::ALL {
        if !records.read(kind, None, 1).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What was read before, as far as later records can contradict it: records come and go
/// while others are read, and of what ended at once some are left for a while.
#[derive(Default)]
struct There {
    /// What others can belong to.
    records: HashSet<(Kind, Uuid)>,
    /// Hashes of accounts' names.
    names: HashSet<u64>,
    hasher: RandomState,
    orphans: Orphans,
}

impl There {
    /// Whether an import would take this record too, behind those before it.
    fn admits(&mut self, entry: &Entry, moment: Moment) -> Result<bool, StoreError> {
        let others = entry.refers_to();
        if let Some((kind, id)) = others.into_iter().find(|other| !self.records.contains(other)) {
            let missing = || format!("{entry} {}", Clash::Missing(kind, id));
            if !entry.kind().can_be_of_nobody(moment) {
                if moment == Moment::One {
                    return Err(StoreError::Damaged(missing()));
                }
                self.orphans.lost.get_or_insert_with(missing);
            }
            *self.orphans.counts.entry(entry.kind()).or_default() += 1;
            return Ok(false);
        }
        match entry {
            Entry::Account(account) => {
                for name in account.names() {
                    if !self.names.insert(self.hasher.hash_one(&name)) {
                        let reason = "a name went from one account to another while the store was \
                                      read; try it again";
                        return Err(StoreError::Unavailable(reason.to_owned()));
                    }
                }
            }
            Entry::Server(_) | Entry::Workspace(_) | Entry::Key(_) => {}
            Entry::Member { .. }
            | Entry::Session(_)
            | Entry::KeyUse { .. }
            | Entry::RevokedToken { .. }
            | Entry::EndedSession { .. }
            | Entry::RegistrationClosed => return Ok(true),
        }
        self.records.insert((entry.kind(), entry.id().0));
        Ok(true)
    }
}

/// What is left out of a copy, as what it belongs to is not there.
#[derive(Debug, Default)]
pub struct Orphans {
    pub counts: Counts,
    /// The first that is damage, unless something has come or gone while it was read.
    pub lost: Option<String>,
}

/// What was written into another store.
#[derive(Debug, Default)]
pub struct Copied {
    pub counts: Counts,
    pub orphans: Orphans,
}

/// Writes all records of one store into another.
///
/// # Errors
/// When one cannot be read or written.
pub async fn copy(from: &dyn Records, to: &dyn Archive) -> Result<Copied, StoreError> {
    let (mut copied, mut there) = (Copied::default(), There::default());
    for kind in Kind::ALL {
        let mut last = None;
        loop {
            let page = from.read(kind, last.as_ref(), PAGE).await?;
            let mut admitted = Vec::with_capacity(page.len());
            for entry in &page {
                if there.admits(entry, from.moment())? {
                    admitted.push(entry.clone());
                }
            }
            if let Written::Refused { index, clash } = to.write(&admitted).await? {
                return Err(StoreError::Damaged(format!("{} {clash}", admitted[index])));
            }
            *copied.counts.entry(kind).or_default() += admitted.len() as u64;
            match page.into_iter().nth(PAGE - 1) {
                Some(entry) => last = Some(entry),
                None => break,
            }
        }
    }
    copied.orphans = there.orphans;
    Ok(copied)
}

/// What records can be read from. Where they come and go while others are read, what had
/// ended before the first is known to have ended.
#[async_trait]
pub trait Records: Send + Sync {
    fn moment(&self) -> Moment;

    /// Up to `limit` records of one kind, after one of them in an order that stays; fewer
    /// than `limit`, possibly none, only at the end.
    async fn read(
        &self,
        kind: Kind,
        after: Option<&Entry>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;
}

/// Of when the records are that are read one page after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// None comes or goes meanwhile.
    One,
    /// Each page is of its own.
    Each,
}

/// What an engine can do for an export whose file only its own process has open. Of a store
/// that others can read, the records are read from there ([`Records`]).
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// All records as they are now. With `freeze`, nothing changes for so long after.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn snapshot(&self, freeze: Option<Duration>) -> Result<Box<dyn Records>, StoreError>;

    /// Ends a freeze before its time; answers whether there was one.
    ///
    /// # Errors
    /// When the store has stopped.
    async fn thaw(&self) -> Result<bool, StoreError>;
}

/// A store whose records can be written as they are.
#[async_trait]
pub trait Archive: Records {
    /// Adds in one step what is not there yet. A record that is there and says the same
    /// is passed over; when one entry cannot be added, nothing is.
    async fn write(&self, entries: &[Entry]) -> Result<Written, StoreError>;
}

/// An import under way. Until its end the store is as it was, or is one that nobody uses.
#[async_trait]
pub trait Import: Send {
    /// As [`Archive::write`]. After a refusal the import can only be given up.
    async fn write(&mut self, entries: &[Entry]) -> Result<Written, StoreError>;

    /// Makes what was written the store's.
    async fn finish(self: Box<Self>) -> Result<(), Unfinished>;

    /// Ends it without what was written, where the store can.
    async fn give_up(self: Box<Self>) -> Result<Left, StoreError>;
}

/// Why an import did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// The store is as it was.
    #[error(transparent)]
    Undone(StoreError),
    /// It may have come to its end all the same.
    #[error(transparent)]
    Unknown(StoreError),
}

/// What an import leaves that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The store as it was.
    Nothing,
    /// A store that nobody uses before the import has ended.
    Part,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// How many of them were not there.
    Added(usize),
    /// The first that cannot be added, by its place among them.
    Refused { index: usize, clash: Clash },
}

/// Why a record cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    #[error("exists with other content")]
    Different,
    #[error("has the name {0:?}, which belongs to another account")]
    NameTaken(String),
    #[error("belongs to {} {_1}, which does not exist", _0.as_str())]
    Missing(Kind, Uuid),
}
