//! The admin socket: a running gateway carries out what the command line asks.
//!
//! The socket lies in the store's directory, which only its owner can enter, and
//! is 0600 itself. One line of JSON asks, one answers; an export is many.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::admin::change::Change;
use crate::admin::{self, By, Reply, Request};
use crate::auth::error::{Error, StoreError};
use crate::background::keep_running;
use crate::config::ADMIN_SOCKET as SOCKET;
use crate::dialect::Serving;
use crate::dialect::notation::StoreShown;
use crate::files::{self, Directory, Fault};
use crate::pipeline::Gateway;
use crate::pipeline::reason::{Rejection, Tried};
use crate::pipeline::status::Status;
use crate::store::archive::Snapshots;
use crate::store::archive::file::Export;
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};

/// By which the configuration names its directory.
const KEY: &str = "store.path";
const MAX_LINE_BYTES: u64 = 64 << 10;
const DEADLINE: Duration = Duration::from_secs(30);
const HEALTH_DEADLINE: Duration = Duration::from_secs(5);

/// What is asked about the gateway itself; anything else is a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Question {
    Health,
    Status,
    /// Answered by the lines of an export. With `freeze`, no change is let in for so
    /// many seconds after it, unless it is cut short: a line must say that it has
    /// arrived, and is answered by [`Answer::Frozen`].
    Export {
        freeze: Option<u64>,
    },
    Thaw,
    /// What became of a request, if it was refused or broke off not long ago.
    Request {
        id: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Healthy,
    /// As above, of a gateway that shares its store.
    HealthyWith(StoreShown),
    Status(Status),
    /// For how long yet.
    Frozen {
        seconds: u64,
    },
    /// Whether there was anything to thaw.
    Thawed(bool),
    /// A line of the access log.
    Request(Option<serde_json::Value>),
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

/// Asks a running gateway; `None` when none holds this store.
///
/// # Errors
/// When there is one and it cannot be asked, or does not answer in time.
pub async fn ask(directory: &Path, question: &impl Serialize) -> io::Result<Option<Answer>> {
    ask_within(directory, question, DEADLINE).await
}

/// Asks whether a gateway answers at all, which takes a healthy one no time.
///
/// # Errors
/// As [`ask`].
pub async fn ask_health(directory: &Path) -> io::Result<Option<Answer>> {
    ask_within(directory, &Question::Health, HEALTH_DEADLINE).await
}

async fn ask_within(
    directory: &Path,
    question: &impl Serialize,
    deadline: Duration,
) -> io::Result<Option<Answer>> {
    let exchange = async {
        let Some(mut lines) = send(directory, question).await? else { return Ok(None) };
        let mut answer = String::new();
        lines.read_line(&mut answer).await?;
        Ok(Some(serde_json::from_str(&answer)?))
    };
    timeout(deadline, exchange).await?
}

/// Asks for an export; what comes is its lines, or the one of a failure. `None` when
/// no gateway holds this store.
///
/// # Errors
/// When there is one and it cannot be asked.
pub async fn export(
    directory: &Path,
    freeze: Option<u64>,
) -> io::Result<Option<BufReader<UnixStream>>> {
    send(directory, &Question::Export { freeze }).await
}

async fn send(
    directory: &Path,
    question: &impl Serialize,
) -> io::Result<Option<BufReader<UnixStream>>> {
    // What is asked may hold a password: nobody else's socket is told it.
    let Some(ours) = Directory::look(directory, KEY).map_err(io::Error::other)? else {
        return Ok(None);
    };
    if !ours.judge(SOCKET, files::Kind::Socket).map_err(io::Error::other)? {
        return Ok(None);
    }
    let mut stream = match UnixStream::connect(directory.join(SOCKET)).await {
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
    ours.judge_peer(SOCKET, stream.peer_cred()?.uid()).map_err(io::Error::other)?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    stream.write_all(&line).await?;
    Ok(Some(BufReader::new(stream)))
}

/// The socket of a running gateway; removed when dropped.
pub struct Socket {
    path: PathBuf,
    /// By which it is known from one that another gateway has put there since.
    number: Option<u64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.number.is_some() && self.number == number(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn number(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata().ok().map(|found| found.ino())
}

/// Opens the socket. Of an embedded store the lock is ours by now, so one that lies there was
/// left by a process that is gone. Gateways of a shared one have directories of their own: at
/// one that answers another gateway is listening.
///
/// # Errors
/// When it cannot be made.
pub fn serve(
    ours: &Directory,
    gateway: Arc<Gateway>,
    snapshots: Option<Arc<dyn Snapshots>>,
) -> Result<Socket, Fault> {
    use std::os::unix::fs::PermissionsExt;
    let path = ours.path().join(SOCKET);
    // Of two that start at once, one is first.
    let _lock = ours.lock();
    if ours.judge(SOCKET, files::Kind::Socket)? {
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(Fault::InUse { path: ours.path().to_owned(), key: "store.path" });
        }
        ours.remove(SOCKET)?;
    }
    let failed = |source| Fault::Io { path: path.clone(), source };
    let listener = UnixListener::bind(&path).map_err(failed)?;
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, closed).map_err(failed)?;
    let listener = Arc::new(listener);
    let accepting = keep_running("admin socket", move || {
        accept(Arc::clone(&listener), Arc::clone(&gateway), snapshots.clone())
    });
    Ok(Socket { number: number(&path), path, _accepting: accepting })
}

async fn accept(
    listener: Arc<UnixListener>,
    gateway: Arc<Gateway>,
    snapshots: Option<Arc<dyn Snapshots>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (gateway, snapshots) = (Arc::clone(&gateway), snapshots.clone());
                tokio::spawn(async move {
                    serve_connection(stream, &gateway, snapshots.as_deref()).await
                });
            }
            Err(error) => {
                tracing::warn!(%error, "admin socket");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve_connection(
    stream: UnixStream,
    gateway: &Gateway,
    snapshots: Option<&dyn Snapshots>,
) -> io::Result<()> {
    let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(MAX_LINE_BYTES));
    let mut line = String::new();
    timeout(DEADLINE, reader.read_line(&mut line)).await??;
    if let (Ok(Question::Export { freeze }), Some(snapshots)) =
        (serde_json::from_str(&line), snapshots)
    {
        let sent = match freeze {
            None => send_export(&mut writer, snapshots, None).await,
            Some(seconds) => {
                let length = Duration::from_secs(seconds);
                let sent = send_and_freeze(&mut reader, &mut writer, snapshots, length).await;
                if sent.is_err() {
                    // It fails only when the store has stopped.
                    let _ = snapshots.thaw().await;
                }
                sent
            }
        };
        audit_export(gateway, uid, &sent);
        return sent;
    }
    let answering = async {
        let answer = answer(&line, gateway, snapshots, uid).await;
        write_line(&mut writer, &answer).await
    };
    timeout(DEADLINE, answering).await?
}

async fn answer(
    line: &str,
    gateway: &Gateway,
    snapshots: Option<&dyn Snapshots>,
    uid: Option<u32>,
) -> Answer {
    match serde_json::from_str(line) {
        Ok(Question::Health) => health(gateway).await,
        Ok(Question::Status) => Answer::Status(Status::of(gateway)),
        Ok(Question::Request { id }) => Answer::Request(gateway.sink.recent().find(&id)),
        Ok(Question::Thaw) => match snapshots {
            Some(snapshots) => match snapshots.thaw().await {
                Ok(frozen) => Answer::Thawed(frozen),
                Err(error) => Answer::Failed(Error::from(error).into()),
            },
            None => Answer::Thawed(false),
        },
        Ok(Question::Export { .. }) => {
            let reason = "the store is shared; its records are exported from there";
            Answer::Failed(Failed::new("body_malformed", reason))
        }
        Err(_) => match serde_json::from_str(line) {
            Ok(request) => handle(gateway, request, uid).await,
            Err(_) => {
                let reason = "the running gateway does not know this command: it is of another version; \
                              use the program it was started from, or restart it";
                Answer::Failed(Failed::new("body_malformed", reason))
            }
        },
    }
}

async fn write_line(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut text = serde_json::to_vec(answer)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

/// Sends every record as it is now; takes as long as the reader does, if only it reads.
async fn send_export(
    writer: &mut OwnedWriteHalf,
    snapshots: &dyn Snapshots,
    freeze: Option<Duration>,
) -> io::Result<()> {
    let sending = async {
        let records = snapshots.snapshot(freeze).await?;
        let mut export = Export::of(&*records);
        while let Some(lines) = export.next().await? {
            timeout(DEADLINE, writer.write_all(&lines)).await.map_err(io::Error::from)??;
        }
        Ok(())
    };
    match sending.await {
        Ok(()) => Ok(()),
        Err(ExportError::Reader(error)) => Err(error),
        Err(ExportError::Store(error)) => {
            let failed = Failed::from(Error::from(error.clone()));
            timeout(DEADLINE, write_line(writer, &Answer::Failed(failed))).await??;
            Err(io::Error::other(error))
        }
    }
}

/// Why an export was cut short.
#[derive(thiserror::Error, Debug)]
enum ExportError {
    #[error(transparent)]
    Reader(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A century: clocks do not count much further.
const MAX_FREEZE: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The freeze stays only if whoever asked says that all has arrived and is kept.
async fn send_and_freeze(
    reader: &mut (impl AsyncBufRead + Unpin),
    writer: &mut OwnedWriteHalf,
    snapshots: &dyn Snapshots,
    length: Duration,
) -> io::Result<()> {
    let length = length.min(MAX_FREEZE);
    let until = Instant::now() + length;
    send_export(writer, snapshots, Some(length)).await?;
    if timeout(length, reader.read_line(&mut String::new())).await?? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let seconds = until.saturating_duration_since(Instant::now()).as_secs();
    timeout(DEADLINE, write_line(writer, &Answer::Frozen { seconds })).await?
}

fn audit_export(gateway: &Gateway, uid: Option<u32>, sent: &io::Result<()>) {
    let (outcome, reason) = match sent {
        Ok(()) => (Outcome::Success, "ok"),
        Err(_) => (Outcome::Failed, "internal"),
    };
    let detail = sent.as_ref().err().map(ToString::to_string);
    let (at, actor) = (gateway.core.clock().now(), Actor::Operator { uid });
    let event = Event::StoreExport;
    gateway.sink.audit(AuditRecord { at, event, outcome, reason, account: None, actor, detail });
}

async fn health(gateway: &Gateway) -> Answer {
    let store = gateway.core.store();
    let shared = store.health();
    match (gateway.serving(shared), shared) {
        (Serving::Draining, _) => Answer::Failed(Failed::new("draining", "draining")),
        (Serving::WithoutStore, _) => {
            let reason = if store.is_loaded() {
                "the shared store is not live, and health.require_store is set"
            } else {
                "the shared store has not been read yet: no credential can be checked"
            };
            Answer::Failed(Failed::new("store_unavailable", reason))
        }
        (Serving::Healthy, Some(shared)) if shared.staleness.is_some() => {
            Answer::HealthyWith(shared.into())
        }
        // A store of one's own.
        (Serving::Healthy, _) => match store.ping().await {
            Ok(()) => Answer::Healthy,
            Err(error) => Answer::Failed(Error::from(error).into()),
        },
    }
}

async fn handle(gateway: &Gateway, request: Request, uid: Option<u32>) -> Answer {
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
