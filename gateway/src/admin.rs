//! Administration of a store: the same commands whether a gateway holds it (they
//! come through its Unix socket) or not (they work on the file).
//!
//! The socket lies in the store's directory, which only its owner can enter, and
//! is 0600 itself. One line of JSON asks, one answers.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::auth::Core;
use crate::auth::account::{
    Account, AccountId, AccountState, HashedPassword, Username, canonical_name, is_plausible_email,
    is_valid_role,
};
use crate::auth::api_key::{ApiKey, KeyId, NewKey};
use crate::auth::error::Error;
use crate::auth::password::check_acceptable;
use crate::auth::ports::{Creation, Replacement};
use crate::auth::secret::Secret;
use crate::auth::time::Seconds;
use crate::crypto::passwords::check_imported;
use crate::pipeline::Gateway;
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};
use crate::telemetry::log::rfc3339;

const SOCKET: &str = "admin.sock";
const MAX_LINE_BYTES: u64 = 64 << 10;
const DEADLINE: Duration = Duration::from_secs(30);

/// What an administrator asks for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    Health,
    Status,
    AddUser { name: String, email: Option<String>, roles: Vec<String>, password: String },
    ListUsers,
    SetPassword { name: String, password: String },
    EnableUser { name: String },
    DisableUser { name: String },
    ImportUsers { users: Vec<Import>, roles: Vec<String> },
    CreateKey { owner: String, name: String, scopes: Vec<String>, expires_in: Option<u64> },
    ListKeys { owner: Option<String> },
    RevokeKey { id: String },
}

/// An account with the hash it had elsewhere.
#[derive(Clone, Serialize, Deserialize)]
pub struct Import {
    pub name: String,
    pub hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done { message: String },
    Users { users: Vec<User> },
    Keys { keys: Vec<Key> },
    NewKey { key: Key, text: String },
    Imported { added: Vec<String>, present: Vec<String> },
    Status(Status),
    Failed { reason: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct User {
    pub id: uuid::Uuid,
    pub username: String,
    pub email: Option<String>,
    pub roles: Vec<String>,
    pub state: String,
    pub created: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Key {
    pub id: uuid::Uuid,
    pub owner: String,
    pub name: String,
    pub shown: String,
    pub scopes: Vec<String>,
    pub created: String,
    pub expires: Option<String>,
}

/// How a running gateway is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub serving: String,
    pub uptime_seconds: u64,
    /// What is held now: connections, records.
    pub held: BTreeMap<String, u64>,
    /// What has happened since the start.
    pub counters: BTreeMap<String, u64>,
}

/// Carries out a request on a core.
pub async fn perform(core: &Arc<Core>, request: Request) -> Reply {
    match try_perform(core, request).await {
        Ok(reply) => reply,
        Err(Failure::Said(reason)) => Reply::Failed { reason },
        Err(Failure::Core(error)) => Reply::Failed {
            reason: match error {
                Error::Password(rule) => rule.rule().to_owned(),
                other => other.to_string(),
            },
        },
    }
}

enum Failure {
    Said(String),
    Core(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Core(error.into())
    }
}

async fn try_perform(core: &Arc<Core>, request: Request) -> Result<Reply, Failure> {
    match request {
        Request::Health => {
            core.store().ping().await?;
            Ok(done("healthy"))
        }
        Request::Status => Err(Failure::Said("the gateway is not running".to_owned())),
        Request::ImportUsers { users, roles } => import_users(core, users, &roles).await,
        Request::AddUser { name, email, roles, password } => {
            add_user(core, &name, email, roles, password.as_str().into()).await
        }
        Request::ListUsers => {
            let users = core.store().list_accounts().await?.iter().map(describe_user).collect();
            Ok(Reply::Users { users })
        }
        Request::SetPassword { name, password } => {
            let account = find(core, &name).await?;
            match core.reset_password(account.id, password.as_str().into()).await? {
                Replacement::Replaced => {
                    Ok(done(format!("password of {name} changed; all its sessions have ended")))
                }
                Replacement::Stale => Err(unknown_user(&name)),
            }
        }
        Request::EnableUser { name } => set_state(core, &name, AccountState::Enabled).await,
        Request::DisableUser { name } => set_state(core, &name, AccountState::Disabled).await,
        Request::CreateKey { owner, name, scopes, expires_in } => {
            let account = find(core, &owner).await?;
            if let Some(wrong) = scopes.iter().find(|scope| !is_valid_role(scope)) {
                return Err(Failure::Said(format!("{wrong:?} is not a valid scope")));
            }
            let expires = expires_in.map(|seconds| core.clock().now().plus(Seconds(seconds)));
            let new = NewKey { owner: account.id, name, server: None, scopes, expires };
            let (key, text) = core.create_key(new).await?;
            let key = describe_key(&key, account.username.as_str());
            Ok(Reply::NewKey { key, text: text.expose().to_owned() })
        }
        Request::ListKeys { owner } => {
            let owner = match owner {
                Some(name) => Some(find(core, &name).await?.id),
                None => None,
            };
            let names: std::collections::HashMap<AccountId, String> = core
                .store()
                .list_accounts()
                .await?
                .into_iter()
                .map(|account| (account.id, account.username.as_str().to_owned()))
                .collect();
            let keys = core.store().list_keys(owner).await?;
            let owner_of = |key: &ApiKey| names.get(&key.owner).map_or("", String::as_str);
            let keys = keys.iter().map(|key| describe_key(key, owner_of(key))).collect();
            Ok(Reply::Keys { keys })
        }
        Request::RevokeKey { id } => {
            let parsed =
                id.parse().map_err(|_| Failure::Said(format!("{id:?} is not a key id")))?;
            if core.store().delete_key(KeyId(parsed), None).await? {
                Ok(done(format!("key {id} revoked")))
            } else {
                Err(Failure::Said(format!("there is no key {id}")))
            }
        }
    }
}

async fn add_user(
    core: &Core,
    name: &str,
    email: Option<String>,
    roles: Vec<String>,
    password: Secret,
) -> Result<Reply, Failure> {
    let username = parse_name(name)?;
    if let Some(email) = email.as_deref().filter(|email| !is_plausible_email(email)) {
        return Err(Failure::Said(format!("{email:?} is not a valid e-mail address")));
    }
    check_roles(&roles)?;
    check_acceptable(password.expose()).map_err(Error::Password)?;
    let hash = core.hash_password(password).await?;
    let account = new_account(core, username, email, roles, hash);
    match core.store().create_account(account).await? {
        Creation::Created => Ok(done(format!("user {name} added"))),
        Creation::NameTaken => Err(Failure::Said(format!("the name {name} is taken"))),
        Creation::EmailTaken | Creation::GithubTaken => {
            Err(Failure::Said("the e-mail address is taken".to_owned()))
        }
    }
}

/// All at once, for the store commits together what comes together.
async fn import_users(
    core: &Arc<Core>,
    users: Vec<Import>,
    roles: &[String],
) -> Result<Reply, Failure> {
    check_roles(roles)?;
    let mut accounts = Vec::with_capacity(users.len());
    for Import { name, hash } in users {
        check_imported(&hash).map_err(|problem| Failure::Said(format!("{name}: {problem}")))?;
        let username = parse_name(&name)?;
        accounts.push(new_account(core, username, None, roles.to_vec(), HashedPassword(hash)));
    }
    let mut creations = JoinSet::new();
    for account in accounts {
        let core = Arc::clone(core);
        creations.spawn(async move {
            let name = account.username.as_str().to_owned();
            (name, core.store().create_account(account).await)
        });
    }
    let (mut added, mut present) = (Vec::new(), Vec::new());
    for (name, creation) in creations.join_all().await {
        match creation? {
            Creation::Created => added.push(name),
            Creation::NameTaken | Creation::EmailTaken | Creation::GithubTaken => {
                present.push(name)
            }
        }
    }
    added.sort_unstable();
    present.sort_unstable();
    Ok(Reply::Imported { added, present })
}

fn parse_name(name: &str) -> Result<Username, Failure> {
    Username::parse(name).map_err(|error| Failure::Said(error.to_string()))
}

fn check_roles(roles: &[String]) -> Result<(), Failure> {
    match roles.iter().find(|role| !is_valid_role(role)) {
        Some(role) => Err(Failure::Said(format!("{role:?} is not a valid role"))),
        None => Ok(()),
    }
}

fn new_account(
    core: &Core,
    username: Username,
    email: Option<String>,
    roles: Vec<String>,
    password: HashedPassword,
) -> Account {
    let account = Account::new(AccountId(core.new_uuid()), username, core.clock().now());
    Account {
        // Whoever enters it answers for it.
        email_proven: email.is_some(),
        email,
        roles: if roles.is_empty() { account.roles.clone() } else { roles },
        password: Some(password),
        ..account
    }
}

async fn set_state(core: &Core, name: &str, state: AccountState) -> Result<Reply, Failure> {
    let account = find(core, name).await?;
    if !core.store().set_state(account.id, state, core.clock().now()).await? {
        return Err(unknown_user(name));
    }
    Ok(done(match state {
        AccountState::Enabled => format!("user {name} enabled"),
        AccountState::Disabled => format!("user {name} disabled; all its sessions have ended"),
    }))
}

async fn find(core: &Core, name: &str) -> Result<Account, Failure> {
    core.store().find_account(&canonical_name(name)).await?.ok_or_else(|| unknown_user(name))
}

fn unknown_user(name: &str) -> Failure {
    Failure::Said(format!("there is no user {name:?}"))
}

fn done(message: impl Into<String>) -> Reply {
    Reply::Done { message: message.into() }
}

fn describe_user(account: &Account) -> User {
    User {
        id: account.id.0,
        username: account.username.as_str().to_owned(),
        email: account.email.clone(),
        roles: account.roles.clone(),
        state: match account.state {
            AccountState::Enabled => "enabled".to_owned(),
            AccountState::Disabled => "disabled".to_owned(),
        },
        created: rfc3339(account.created),
    }
}

fn describe_key(key: &ApiKey, owner: &str) -> Key {
    Key {
        id: key.id.0,
        owner: owner.to_owned(),
        name: key.name.clone(),
        shown: key.shown.clone(),
        scopes: key.scopes.clone(),
        created: rfc3339(key.created),
        expires: key.expires.map(rfc3339),
    }
}

fn describe_gateway(gateway: &Gateway) -> Status {
    let serving = if gateway.lifecycle.is_stopping() { "draining" } else { "healthy" };
    let sizes = gateway.core.standing().sizes();
    let held = [
        ("connections_open", gateway.lifecycle.tasks()),
        ("accounts", sizes.accounts),
        ("keys", sizes.keys),
        ("tokens_revoked", sizes.revoked),
        ("sessions_ended", sizes.ended),
        ("addresses_locked_out", sizes.lockouts),
    ];
    let mut counters: BTreeMap<String, u64> = gateway
        .counters
        .snapshot()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    counters.insert("log_lines_dropped".to_owned(), gateway.sink.dropped());
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        serving: serving.to_owned(),
        uptime_seconds: gateway.started.elapsed().as_secs(),
        held: held.into_iter().map(|(name, size)| (name.to_owned(), size as u64)).collect(),
        counters,
    }
}

/// What a request would change, for the audit log.
struct Change {
    event: Event,
    /// Names of the users it is about; those of an import are told by its reply.
    names: Vec<String>,
    detail: Option<String>,
}

impl Change {
    fn of(core: &Core, request: &Request) -> Option<Self> {
        let about =
            |event, name: &str| Some(Self { event, names: vec![name.to_owned()], detail: None });
        match request {
            Request::Health | Request::Status | Request::ListUsers | Request::ListKeys { .. } => {
                None
            }
            Request::AddUser { name, .. } => about(Event::UserAdd, name),
            Request::SetPassword { name, .. } => about(Event::UserPassword, name),
            Request::EnableUser { name } => about(Event::UserEnable, name),
            Request::DisableUser { name } => about(Event::UserDisable, name),
            Request::ImportUsers { .. } => {
                Some(Self { event: Event::UserAdd, names: Vec::new(), detail: None })
            }
            Request::CreateKey { owner, .. } => about(Event::KeyCreate, owner),
            Request::RevokeKey { id } => {
                let key = id.parse().ok().and_then(|id| core.standing().key_by_id(KeyId(id)));
                let owner = key.and_then(|key| core.standing().account(key.owner));
                let names = owner.iter().map(|owner| owner.username.as_str().to_owned()).collect();
                Some(Self { event: Event::KeyRevoke, names, detail: Some(format!("key {id}")) })
            }
        }
    }

    fn audit(self, gateway: &Gateway, uid: Option<u32>, reply: &Reply) {
        let (outcome, reason, names, detail) = match reply {
            Reply::Imported { added, .. } => (Outcome::Success, "ok", added.clone(), None),
            Reply::NewKey { key, .. } => {
                (Outcome::Success, "ok", self.names, Some(format!("key {}", key.id)))
            }
            Reply::Failed { reason } => {
                (Outcome::Refused, "refused", self.names, Some(reason.clone()))
            }
            _ => (Outcome::Success, "ok", self.names, self.detail),
        };
        let mut accounts: Vec<Option<Arc<Account>>> = names
            .iter()
            .map(|name| gateway.core.standing().account_by_name(&canonical_name(name)))
            .collect();
        if accounts.is_empty() && !matches!(reply, Reply::Imported { .. }) {
            accounts.push(None);
        }
        for account in accounts {
            gateway.sink.audit(AuditRecord {
                at: gateway.core.clock().now(),
                event: self.event,
                outcome,
                reason,
                account,
                actor: Actor::Operator { uid },
                detail: detail.clone(),
            });
        }
    }
}

/// Asks a running gateway; `None` when none holds this store.
///
/// # Errors
/// When there is one and the talk with it fails.
pub async fn ask(directory: &Path, request: &Request) -> io::Result<Option<Reply>> {
    let stream = match UnixStream::connect(directory.join(SOCKET)).await {
        Ok(stream) => stream,
        // No socket, or one that a killed process left behind.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let talk = async {
        let (reader, mut writer) = stream.into_split();
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        writer.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(reader).read_line(&mut answer).await?;
        Ok(Some(serde_json::from_str(&answer)?))
    };
    tokio::time::timeout(DEADLINE, talk)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The socket of a running gateway; removed when dropped.
pub struct Socket {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens the socket. The store's lock is ours by now, so one that lies there was
/// left by a process that is gone.
///
/// # Errors
/// When it cannot be made.
pub fn serve(directory: &Path, gateway: Arc<Gateway>) -> io::Result<Socket> {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let gateway = Arc::clone(&gateway);
                    tokio::spawn(async move {
                        let _ = tokio::time::timeout(DEADLINE, answer(stream, &gateway)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "admin socket");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    });
    Ok(Socket { path, task })
}

async fn answer(stream: UnixStream, gateway: &Gateway) -> io::Result<()> {
    let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(MAX_LINE_BYTES)).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Health) if gateway.lifecycle.is_stopping() => {
            Reply::Failed { reason: "draining".to_owned() }
        }
        Ok(Request::Status) => Reply::Status(describe_gateway(gateway)),
        Ok(request) => {
            let change = Change::of(&gateway.core, &request);
            let reply = perform(&gateway.core, request).await;
            if let Some(change) = change {
                change.audit(gateway, uid, &reply);
            }
            reply
        }
        Err(error) => Reply::Failed { reason: format!("not a request: {error}") },
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    writer.write_all(&text).await
}
