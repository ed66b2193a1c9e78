//! The admin socket: a running gateway carries out what the command line asks.
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

use crate::admin::change::Change;
use crate::admin::{self, By, Reply, Request};
use crate::auth::error::Error;
use crate::dialect::Serving;
use crate::dialect::notation::StoreShown;
use crate::pipeline::Gateway;
use crate::pipeline::reason::{Rejection, Tried};
use crate::telemetry::audit::{Actor, AuditRecord, Outcome};

const SOCKET: &str = "admin.sock";
const MAX_LINE_BYTES: u64 = 64 << 10;
const DEADLINE: Duration = Duration::from_secs(30);

/// What is asked about the gateway itself; anything else is a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Question {
    Health,
    Status,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Healthy,
    /// As above, of a gateway that shares its store.
    HealthyWith(StoreShown),
    Status(Status),
    Reply(Reply),
    Failed(Failed),
}

/// Why something was not done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failed {
    /// As logs and `portcullis explain` have it.
    pub code: String,
    pub reason: String,
}

impl Failed {
    fn new(code: &str, reason: impl Into<String>) -> Self {
        Self { code: code.to_owned(), reason: reason.into() }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::Password(rule) => rule.rule().to_owned(),
            Error::Name(name) => name.rule().to_owned(),
            other => other.to_string(),
        };
        Self::new(Rejection::from_core(error, Tried::Password).reason.code(), reason)
    }
}

/// How a running gateway is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub serving: String,
    pub uptime_seconds: u64,
    /// Of a store that other gateways use too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreShown>,
    /// What is held now: connections, records.
    pub held: BTreeMap<String, u64>,
    /// What has happened since the start.
    pub counters: BTreeMap<String, u64>,
}

/// Asks a running gateway; `None` when none holds this store.
///
/// # Errors
/// When there is one and the talk with it fails.
pub async fn ask(directory: &Path, question: &impl Serialize) -> io::Result<Option<Answer>> {
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
        let mut line = serde_json::to_vec(question)?;
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
    let answer = match serde_json::from_str(&line) {
        Ok(Question::Health) => health(gateway).await,
        Ok(Question::Status) => Answer::Status(describe(gateway)),
        Err(_) => match serde_json::from_str(&line) {
            Ok(request) => carry_out(gateway, request, uid).await,
            Err(error) => Answer::Failed(Failed::new("body_malformed", error.to_string())),
        },
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

async fn health(gateway: &Gateway) -> Answer {
    let store = gateway.core.store();
    let shared = store.health();
    match (gateway.serving(shared), shared) {
        (Serving::Draining, _) => Answer::Failed(Failed::new("draining", "draining")),
        (Serving::WithoutStore, _) => {
            let reason = "the shared store is not live, and health.require_store is set";
            Answer::Failed(Failed::new("store_unavailable", reason))
        }
        (Serving::Healthy, Some(shared)) => Answer::HealthyWith(shared.into()),
        (Serving::Healthy, None) => match store.ping().await {
            Ok(()) => Answer::Healthy,
            Err(error) => Answer::Failed(Error::from(error).into()),
        },
    }
}

async fn carry_out(gateway: &Gateway, request: Request, uid: Option<u32>) -> Answer {
    let core = &gateway.core;
    let changes = Change::of(core, &request).await;
    let done = admin::perform(core, request, By::Operator).await;
    let (outcome, changes) = match &done {
        Ok(reply) => {
            let changes = changes.into_iter().flat_map(|change| change.done(core, reply));
            (Outcome::Success, changes.collect())
        }
        Err(Error::Store(_) | Error::HasherBusy) => (Outcome::Failed, changes),
        Err(_) => (Outcome::Refused, changes),
    };
    let refusal =
        |error: &Error| Rejection::from_core(error.clone(), Tried::Password).reason.code();
    let reason = done.as_ref().err().map_or("ok", refusal);
    for Change { event, account, detail } in changes {
        let (at, actor) = (core.clock().now(), Actor::Operator { uid });
        gateway.sink.audit(AuditRecord { at, event, outcome, reason, account, actor, detail });
    }
    match done {
        Ok(reply) => Answer::Reply(reply),
        Err(error) => Answer::Failed(error.into()),
    }
}

fn describe(gateway: &Gateway) -> Status {
    let store = gateway.core.store().health();
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
        serving: gateway.serving(store).word().to_owned(),
        uptime_seconds: gateway.started.elapsed().as_secs(),
        store: store.map(StoreShown::from),
        held: held.into_iter().map(|(name, size)| (name.to_owned(), size as u64)).collect(),
        counters,
    }
}
