//! What the core needs from outside.
//!
//! The store speaks in whole intents: every method is one atomic step, decided
//! and done inside the engine, so that two callers can never both win. There is
//! no get-then-set. A method that answers `Ok` has made its change durable; one
//! that answers `Err` has changed nothing, unless a disk failed while it was written:
//! then what the file holds counts. "Not found" is a case, not an error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::account::{Account, AccountId, AccountState, HashedPassword};
use super::api_key::{ApiKey, KeyId, KeyRotation};
use super::bucket::BucketLimit;
use super::error::{Error, Refusal, StoreError, Verdict};
use super::former::FormerPassword;
use super::guessed::Guessed;
use super::link::{Link, LinkKind};
use super::register::Registering;
use super::secret::Secret;
use super::server::{Server, ServerId};
use super::session::Session;
use super::ticket::Ticket;
use super::time::{Seconds, Timestamp};
use super::token::{Claims, Minted, SessionId, TokenId};
use super::work::Work;
use super::workspace::{Workspace, WorkspaceId};

/// Tells the time. The system's clock in production, a set one in tests.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// A source of random bytes fit for secrets.
pub trait Entropy: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// Whose passwords are hashed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody who administers, has a link, or is at an address from which the account has
    /// signed in of late: however many strangers guess, they are not in the way.
    High,
    Normal,
}

/// Slow hashing, away from the threads that serve requests.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Whether `password` is the one behind `hash`; it is never behind no hash. What
    /// fails has cost `failure`, or what [`Self::hash`] costs if that is more, whatever
    /// it was compared with: so time does not tell who exists.
    ///
    /// # Errors
    /// [`Error::HasherBusy`] when too many are waiting.
    async fn verify(
        &self,
        hash: Option<HashedPassword>,
        password: Secret,
        failure: Work,
        priority: Priority,
    ) -> Result<bool, Error>;

    /// A new hash at the configured cost.
    ///
    /// # Errors
    /// [`Error::HasherBusy`] when too many are waiting.
    async fn hash(&self, password: Secret, priority: Priority) -> Result<HashedPassword, Error>;

    /// Whether `hash` is weaker than what [`Self::hash`] would make.
    fn outdated(&self, hash: &HashedPassword) -> bool;
}

/// Writes and checks our tokens, and makes the digests by which secrets are known.
pub trait TokenSigner: Send + Sync {
    /// The token's text; the same claims give the same text.
    fn sign(&self, claims: &Claims) -> String;

    /// Form, header and signature. Times, kind and standing are judged by the core.
    ///
    /// # Errors
    /// Why the text is not one of our tokens.
    fn open(&self, token: &str) -> Result<Claims, Refusal>;

    /// Whether a text is under the header of our tokens and names no other issuer than
    /// this: it may be one of ours, whole or damaged. Says nothing of its signature.
    fn may_be_from(&self, issuer: &str, token: &str) -> bool;

    /// SHA-256.
    fn digest(&self, bytes: &[u8]) -> [u8; 32];

    /// HMAC-SHA-256 over the length-prefixed parts.
    fn keyed_digest(&self, key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32];

    /// Like [`Self::keyed_digest`], under a key that follows from the installation's
    /// secret and the purpose: every replica has it, and has it after a restart.
    fn seal(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32];

    /// Whether it was sealed so, by the present secret or the one before, in a time
    /// that does not depend on the answer.
    fn is_seal(&self, seal: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> bool;
}

/// A link on its way to somebody.
#[derive(Debug)]
pub struct Message {
    /// `None`: nobody gets it. It is handed over all the same, so that the time until it
    /// was tells nothing.
    pub to: Option<String>,
    /// The user name of the account that the link is for.
    pub account: String,
    pub kind: LinkKind,
    pub link: Link,
}

/// Takes messages to be sent by mail.
pub trait Mailer: Send + Sync {
    /// Takes a message, to be sent after the answer.
    ///
    /// # Errors
    /// [`Error::MailBusy`] when too many wait.
    fn send(&self, message: Message) -> Result<(), Error>;
}

/// The address of a client as limits count it: an IPv4 address, or the /64 of an
/// IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    V4(u32),
    V6(u64),
}

impl Source {
    /// A client has a whole /64 of IPv6 to itself and can use each address in it.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source::V4(ip.to_bits()),
            IpAddr::V6(ip) => Source::V6(u64::try_from(ip.to_bits() >> 64).unwrap_or(u64::MAX)),
        }
    }

    /// The address, or the first one of the /64.
    #[must_use]
    pub fn address(self) -> IpAddr {
        match self {
            Source::V4(bits) => Ipv4Addr::from_bits(bits).into(),
            Source::V6(bits) => Ipv6Addr::from_bits(u128::from(bits) << 64).into(),
        }
    }
}

/// What a replica has let through of an address since its last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    pub source: Source,
    /// Below zero what was reserved for it and not used.
    pub tokens: i32,
    /// How long ago it began to.
    pub age: Duration,
    /// The [`Exchange::second`] of its last report on this address.
    pub counted_in: u64,
}

/// What a replica may let through of an address until its next report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// What is in the bucket; a debt is below zero.
    pub level: f64,
    pub allowance: u32,
    /// How much of it is out of the bucket already.
    pub reserved: u32,
}

/// The answer to a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// In the order of the report.
    pub shares: Vec<Share>,
    /// The engine's present second, by which it counts who is active.
    pub second: u64,
    /// How many replicas are alive.
    pub replicas: u32,
}

/// The buckets that replicas have in common. Not on the way of a request.
#[async_trait]
pub trait Buckets: Send + Sync {
    /// Books what was spent and says what may be spent next, and that this replica lives;
    /// with nothing spent, only that. What fails may have been booked all the same.
    async fn exchange(&self, limit: BucketLimit, spent: &[Spent]) -> Result<Exchange, StoreError>;
}

/// The failed-attempt limiter's numbers (S1-30).
#[derive(Debug, Clone, Copy)]
pub struct FailureLimit {
    /// Of an address, before it is locked out.
    pub attempts: u32,
    /// On a user, before strangers are slowed down.
    pub user_attempts: u32,
    pub window: Seconds,
}

/// A failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub source: Source,
    /// Whose password was tried.
    pub user: Option<Guessed>,
}

/// What a failed attempt has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub address: Verdict,
    /// Until when attempts on the user go slowly, if it is this one that made them.
    pub slowed: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    Created,
    NameTaken,
    EmailTaken,
    /// Another account is this GitHub number's.
    GithubTaken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCreation {
    Created,
    NoOwner,
    NoServer,
    /// The owner has as many as one may have.
    TooMany,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRotated {
    /// The successor.
    Rotated(ApiKey),
    NoKey,
    /// As [`KeyCreation::TooMany`]; not without an overlap, which makes room.
    TooMany,
}

/// Let a GitHub number sign in to an account.
#[derive(Debug, Clone)]
pub struct GithubLink {
    pub account: AccountId,
    /// The account must not have changed since the caller looked.
    pub version: u64,
    pub number: u64,
    pub avatar: Option<String>,
    /// Whether what the account had so far ends: nobody had vouched for its address,
    /// so whoever set its password need not be who the address belongs to.
    pub takeover: bool,
    pub now: Timestamp,
}

/// What an administrator decides about an account. What is `None` stays.
#[derive(Debug, Clone)]
pub struct AccountChange {
    pub account: AccountId,
    pub roles: Option<Vec<String>>,
    pub state: Option<AccountState>,
    /// Of an account without an address it says nothing.
    pub email_verified: Option<bool>,
    pub administration: Administration,
    pub now: Timestamp,
}

impl AccountChange {
    /// One that changes nothing yet.
    #[must_use]
    pub fn of(account: AccountId, administration: Administration, now: Timestamp) -> Self {
        Self { account, roles: None, state: None, email_verified: None, administration, now }
    }
}

/// Whether a change may leave nobody who administers the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administration {
    /// Another enabled administrator must be left, whoever removes that one at the
    /// same time, and at whichever replica.
    MustRemain,
    /// For somebody who can always let somebody in again.
    MayEnd,
}

impl Administration {
    /// Whether another enabled administrator must be left for an account to become what it
    /// is `after`, or to be removed.
    #[must_use]
    pub fn needs_another(self, before: &Account, after: Option<&Account>) -> bool {
        self == Administration::MustRemain
            && before.administers()
            && !after.is_some_and(Account::administers)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChanged {
    /// The account as it was before.
    Changed(Box<Account>),
    NoAccount,
    /// Nobody would administer the gateway; nothing was changed.
    LastAdministrator,
}

/// What becomes of a server. What is `None` stays.
#[derive(Debug, Clone)]
pub struct ServerChange {
    pub server: ServerId,
    pub name: Option<String>,
    pub owner: NewOwner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewOwner {
    Same,
    Nobody,
    Account(AccountId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerChanged {
    Changed(Server),
    NoServer,
    NoOwner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    Done,
    NoWorkspace,
    NoAccount,
    NoMember,
}

/// Failed attempts of one address in its present window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureCount {
    pub source: Source,
    pub failures: u32,
    /// When the window ends.
    pub ends: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    Opened,
    /// Password or state changed since the caller checked it, or the account is gone.
    Stale,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOpening {
    /// With the oldest sign-ins, which ended for it: there were as many as may be.
    Opened { superseded: Vec<SessionId> },
    /// As [`Opening::Stale`].
    Stale,
    /// The sign-ins with ids up to this one have ended at once: it needs a later id.
    Behind(SessionId),
}

/// What one account may have at once. What ends for more is up to each intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// With one more the oldest ends.
    pub sessions: usize,
    /// Of any state. With one more those that have ended are removed; if there are none,
    /// it is refused.
    pub keys: usize,
}

impl AccountLimits {
    /// Whether an account with so many sessions may open one more and none ends for it.
    #[must_use]
    pub fn has_room_for_session(self, sessions: usize) -> bool {
        sessions < self.sessions
    }

    /// Whether an account with so many keys may get one more.
    #[must_use]
    pub fn has_room_for_key(self, keys: usize) -> bool {
        keys < self.keys
    }
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self { sessions: 1_000, keys: 1_000 }
    }
}

/// Sign-ins that end for one that is new: more than one where the limit was higher, or
/// none, when they were opened.
pub const SUPERSEDED_AT_ONCE: usize = 100;

/// The oldest sign-ins of an account with too many, of which those that have expired go
/// first: as many as can be looked at while nobody else writes.
pub const LOOKED_AT_ONCE: usize = 2_000;

/// Records of ended sessions that go in one transaction, so that no account can hold up
/// all others. The rest has ended all the same, and is removed after.
pub const CLEARED_AT_ONCE: usize = 100;

/// Replace a password if it is still the one that was checked.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    pub account: AccountId,
    /// `None` replaces whatever is there (an administrator's reset).
    pub expected_version: Option<u64>,
    pub replacement: HashedPassword,
    /// What is kept of the password before in place of what was kept until now.
    pub former: Option<FormerPassword>,
    /// Whether the account's address is verified in the same step.
    pub verify_email: bool,
    /// The session that goes on; every other one ends in the same step.
    pub keep: Option<SessionId>,
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    Replaced,
    Stale,
}

/// Redeem a refresh token.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    pub session: SessionId,
    pub presented: TokenId,
    pub successor: Minted,
    pub now: Timestamp,
    pub mode: RotationMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationMode {
    /// The successor replaces the token; the same successor is handed out again
    /// within the grace, and a later repeat ends the family (C6).
    Rotate { grace: Seconds },
    /// The token stays good until the session ends.
    Keep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The pair to hand out: new, or the one handed out before within the grace.
    Pair(Minted),
    /// Reused after the grace: the whole family has been ended in this step.
    FamilyEnded,
    /// No such session, or it has ended.
    Unknown,
}

/// How the store can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// Memory follows what others change.
    Live,
    /// It answers, tells what others change, and takes no changes: of one's own, its disk
    /// is full or fails.
    Refusing,
    /// It answers, and memory is being read anew.
    Resyncing,
    Unreachable,
    /// What answers is not the database that memory was read from.
    Foreign,
}

impl StoreState {
    /// As it is shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            StoreState::Live => "live",
            StoreState::Refusing => "refusing",
            StoreState::Resyncing => "resyncing",
            StoreState::Unreachable => "unreachable",
            StoreState::Foreign => "foreign",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreHealth {
    pub state: StoreState,
    /// How old memory is at most; `None` when it was never read, and for a store of one's
    /// own, which memory is never behind.
    pub staleness: Option<Duration>,
    /// Changes made here that the store has not been told yet.
    pub undelivered: usize,
}

/// What memory lacks and another gateway may just have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recall {
    Account(AccountId),
    /// A key by its digest, with its owner.
    Key([u8; 32]),
    Member(WorkspaceId, AccountId),
}

/// What a change of a version makes different, of which operators hear once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// E-mail addresses that nobody vouches for are withheld from upstreams.
    UnverifiedEmail,
    /// Keys bound to a server are refused on most routes.
    ServerKeys,
    /// Keys bound to no server are refused on routes for agents.
    UnboundKeys,
}

impl Notice {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Notice::UnverifiedEmail => "unverified_email",
            Notice::ServerKeys => "server_keys",
            Notice::UnboundKeys => "unbound_keys",
        }
    }
}

/// The state that must survive. See the module's header for the rules.
///
/// Every method that ends or changes something also publishes it to
/// [`super::standing::Standing`] before it answers.
#[async_trait]
pub trait Store: Send + Sync {
    /// Adds an account under its unique name and e-mail.
    async fn create_account(&self, account: Account) -> Result<Creation, StoreError>;

    /// As [`Self::create_account`], with a first sign-in in the same step.
    async fn register(&self, account: Account, session: Session) -> Result<Creation, StoreError>;

    /// Takes from an account where it was registered from: its owner has an answer.
    async fn forget_registration(&self, account: AccountId) -> Result<(), StoreError>;

    /// Accounts in order of creation, after one of them, each with its last sign-in.
    async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError>;

    /// When a session of the account was last opened; `None` if that is not recorded.
    async fn last_sign_in(&self, account: AccountId) -> Result<Option<Timestamp>, StoreError>;

    /// Finds by canonical user name or e-mail, without the last sign-in.
    async fn find_account(&self, name: &str) -> Result<Option<Account>, StoreError>;

    /// Brings to memory what it lacks. `false` when there is nothing to bring: an engine
    /// that no other gateway uses has it all.
    async fn recall(&self, _what: Recall) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Replaces the hash and ends every session but `keep`, with its tokens and
    /// the account's tickets, in one step (S1-23). The version grows by one.
    async fn replace_password(&self, change: PasswordChange) -> Result<Replacement, StoreError>;

    /// Replaces a hash by a better one of the same password; sessions go on.
    async fn upgrade_hash(
        &self,
        account: AccountId,
        expected: &HashedPassword,
        replacement: HashedPassword,
    ) -> Result<Replacement, StoreError>;

    /// Replaces the roles, with which sessions go on, and enables or disables;
    /// disabling ends every session and ticket in the same step.
    async fn change_account(&self, change: AccountChange) -> Result<AccountChanged, StoreError>;

    /// Enables or disables, as [`Self::change_account`] does. `false` when there is no
    /// such account.
    async fn set_state(
        &self,
        account: AccountId,
        state: AccountState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let unchanged = AccountChange::of(account, Administration::MayEnd, now);
        let change = AccountChange { state: Some(state), ..unchanged };
        Ok(matches!(self.change_account(change).await?, AccountChanged::Changed(_)))
    }

    /// Removes an account with its sessions, tickets, keys and memberships, and makes
    /// its servers nobody's.
    async fn delete_account(
        &self,
        account: AccountId,
        administration: Administration,
        now: Timestamp,
    ) -> Result<AccountChanged, StoreError>;

    /// Lets a GitHub number sign in to an account. `Stale` when the account has changed
    /// or either is linked already.
    async fn link_github(&self, link: GithubLink) -> Result<Replacement, StoreError>;

    /// Opens a session and notes the sign-in, if the account is still at `version` and
    /// enabled. The oldest of the account end in the same step if there are as many as may be.
    async fn open_session(
        &self,
        session: Session,
        version: u64,
    ) -> Result<SessionOpening, StoreError>;

    /// Redeems a refresh token: one winner, one successor.
    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError>;

    /// Refuses one token from now on; kept until `expires` (S1-16).
    async fn revoke_token(&self, token: TokenId, expires: Timestamp) -> Result<(), StoreError>;

    /// Ends a sign-in and all its tokens. `false` when there is none.
    async fn end_session(&self, session: SessionId, now: Timestamp) -> Result<bool, StoreError>;

    /// Ends every sign-in of an account, with its tickets, by a mark on its record: one
    /// step however many there are. `false` when there is no such account.
    async fn end_sessions(&self, account: AccountId, now: Timestamp) -> Result<bool, StoreError>;

    /// A sign-in that has not ended, without its last use.
    async fn find_session(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError>;

    /// Sign-ins of one account or all, in order of creation, after one of them, each with its
    /// last use.
    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError>;

    /// Adds a server. `false` when its owner does not exist.
    async fn create_server(&self, server: Server) -> Result<bool, StoreError>;

    /// Renames a server or gives it to somebody else.
    async fn change_server(&self, change: ServerChange) -> Result<ServerChanged, StoreError>;

    /// Removes a server and its keys. `false` when there is none.
    async fn delete_server(&self, server: ServerId) -> Result<bool, StoreError>;

    /// Adds a workspace.
    async fn create_workspace(&self, workspace: Workspace) -> Result<(), StoreError>;

    /// Gives a workspace another name. `None` when there is none.
    async fn rename_workspace(
        &self,
        workspace: WorkspaceId,
        name: String,
    ) -> Result<Option<Workspace>, StoreError>;

    /// Removes a workspace and its memberships. `false` when there is none.
    async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<bool, StoreError>;

    /// Makes an account a member, or changes its role; with `None` it is one no more.
    async fn set_member(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        role: Option<String>,
    ) -> Result<MemberChange, StoreError>;

    /// Keeps a single-use ticket under its digest, if the account is still at the
    /// ticket's version and enabled.
    async fn issue_ticket(&self, digest: [u8; 32], ticket: Ticket) -> Result<Opening, StoreError>;

    /// Takes a ticket out: of any number of callers one gets it (S1-25).
    async fn take_ticket(
        &self,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError>;

    /// Keeps an API key under its digest.
    async fn create_key(&self, key: ApiKey) -> Result<KeyCreation, StoreError>;

    /// Puts a key beside another and lets the other end; without an overlap in its place.
    async fn rotate_key(&self, rotation: KeyRotation) -> Result<KeyRotated, StoreError>;

    /// Keeps when keys were last used; of keys that are gone nothing.
    async fn record_key_uses(&self, uses: Vec<(KeyId, Timestamp)>) -> Result<(), StoreError>;

    /// Stores when sessions were last used. An earlier time never replaces a later one, and
    /// nothing is stored for a session that is gone.
    async fn record_session_uses(
        &self,
        uses: Vec<(SessionId, Timestamp)>,
    ) -> Result<(), StoreError>;

    async fn find_key(&self, key: KeyId) -> Result<Option<Arc<ApiKey>>, StoreError>;

    /// Keys of all accounts in order of creation, after one of them. One account's are
    /// in memory ([`super::standing::Standing::keys`]).
    async fn list_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Arc<ApiKey>>, StoreError>;

    /// Removes a key, of this owner only when one is named. `false` when there is none.
    async fn delete_key(&self, key: KeyId, owner: Option<AccountId>) -> Result<bool, StoreError>;

    /// Closes registration whatever the configuration of any gateway says, or takes that
    /// back.
    async fn set_registration(&self, registering: Registering) -> Result<(), StoreError>;

    /// Notes that the account has been proven from an address, if it is still at
    /// `version`.
    async fn note_success(
        &self,
        account: AccountId,
        version: u64,
        from: Source,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Counts one failed attempt, of its address and on its user, and says whether the
    /// address may go on. The windows start at the first counted failure and do not move.
    async fn count_failure(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Counted, StoreError>;

    /// Counts one registration and says whether the address may make it, as
    /// [`Self::count_failure`] does.
    async fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Verdict, StoreError>;

    /// Every address with counted failures.
    async fn list_failures(&self, now: Timestamp) -> Result<Vec<FailureCount>, StoreError>;

    /// Forgets an address's failures and lets it try again. `false` when there are none.
    async fn forgive(&self, source: Source) -> Result<bool, StoreError>;

    /// Removes what has expired, what is kept of former passwords too; answers how many
    /// records went. Sessions and what ends a credential go when `past`, a moment that has
    /// surely passed, is [`super::time::SWEEP_SLACK`] behind their end.
    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError>;

    /// The buckets that replicas have in common, where there are replicas.
    fn buckets(&self) -> Option<Arc<dyn Buckets>> {
        None
    }

    /// Takes a notice; it is given to one caller, ever, of all gateways on the store.
    async fn take_notice(&self, notice: Notice) -> Result<bool, StoreError>;

    /// Whether changes can be made durable now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// How it is; `None` where nobody can say.
    fn health(&self) -> Option<StoreHealth> {
        None
    }

    /// Whether memory has been read from it, ever: before, nobody can be judged.
    fn is_loaded(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
