//! The connections to the one server that takes our changes.
//!
//! A trip has a deadline. A server that misses it, or that says it is not the one any
//! more, is given up at once: whoever comes next hears so without waiting, until the
//! follower has found a server again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisConnectionInfo, RedisError,
    ServerErrorKind, Value,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::auth::error::StoreError;
use crate::trust;

use super::settings::{Address, Settings};

/// Connections for changes that wait for a disk or a replica, one on each at a time: the
/// server holds back all that comes behind one that waits.
const WAITING_CONNECTIONS: usize = 8;
/// Trips under way on one connection; who comes later hears "busy" at once.
const CONCURRENCY: usize = 1_024;

/// What went wrong on a connection.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("{0} does not respond: {1}")]
    Unreachable(Address, String),
    /// The server says that user or password is wrong.
    #[error(
        "{0} refuses the user or the password: {1}; check the user in `store.url` and STORE_PASSWORD, for a Sentinel STORE_SENTINEL_PASSWORD"
    )]
    Credentials(Address, String),
    #[error("TLS to {0}: {1}; check the host in `store.url` and the authorities in `store.roots`")]
    Tls(Address, String),
    /// It is there, and not what `store.url` says.
    #[error("{0}")]
    Misnamed(String),
    /// The server knows the user, who may not do what a gateway does.
    #[error(
        "the user may not run what a gateway runs on {0}: {1}; `ACL SETUSER` of gateway/CONFIG.md \
         gives the rights that are needed"
    )]
    Rights(Address, String),
    /// TLS where the server speaks none.
    #[error(
        "{0} does not use TLS on this port; for Redis without TLS write redis in place of rediss in `store.url`"
    )]
    Clear(Address),
    #[error("{0} does not speak the Redis protocol")]
    NotRedis(Address),
    #[error("{0}")]
    Refused(String),
}

impl LinkError {
    /// Whether trying again may help without anybody changing something.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            LinkError::Credentials(..)
            | LinkError::Rights(..)
            | LinkError::Clear(_)
            | LinkError::Tls(..)
            | LinkError::Misnamed(..) => false,
            LinkError::Unreachable(..) | LinkError::NotRedis(_) | LinkError::Refused(_) => true,
        }
    }
}

/// One working set of connections.
pub(super) struct Connected {
    pub address: Address,
    /// Nothing on it waits but for the server itself.
    commands: MultiplexedConnection,
    waiting: Vec<(MultiplexedConnection, Arc<Semaphore>)>,
    next: AtomicUsize,
    timeout: Duration,
    busy: Arc<Semaphore>,
    /// Wakes the follower when a trip has failed.
    broken: Notify,
    /// The database is another than the one that memory was read from.
    foreign: AtomicBool,
}

/// The present connections, if there are any.
#[derive(Default)]
pub(super) struct Link {
    current: ArcSwapOption<Connected>,
}

impl Link {
    pub(super) fn set(&self, connected: &Arc<Connected>) {
        self.current.store(Some(Arc::clone(connected)));
    }

    pub(super) fn clear(&self) {
        self.current.store(None);
    }

    /// # Errors
    /// [`StoreError::Unavailable`], at once when there is no connection.
    pub(super) async fn call(&self, command: &Cmd) -> Result<Value, StoreError> {
        let connected = self.connected()?;
        let _permit = connected.permit()?;
        let mut connection = connected.commands.clone();
        let answer = connection.send_packed_command(command).await;
        self.judge(&connected, answer.and_then(Value::extract_error))
    }

    /// Like [`Self::call`] for commands that go out together and in order. Errors of
    /// single commands are among the answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn call_all(&self, commands: &Pipeline) -> Result<Vec<Value>, StoreError> {
        let connected = self.connected()?;
        let _permit = connected.permit()?;
        self.send_all(&connected, connected.commands.clone(), commands).await
    }

    /// Like [`Self::call_all`] for a change with what it has to wait for behind it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many wait already.
    pub(super) async fn call_and_wait(
        &self,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, StoreError> {
        let connected = self.connected()?;
        let _permit = connected.permit()?;
        let next = connected.next.fetch_add(1, Ordering::Relaxed);
        let Some((connection, alone)) = connected.waiting.get(next % WAITING_CONNECTIONS) else {
            return self.send_all(&connected, connected.commands.clone(), commands).await;
        };
        let alone = tokio::time::timeout(connected.timeout, alone.acquire()).await;
        let _alone = alone.map_err(|_| StoreError::Busy)?;
        self.send_all(&connected, connection.clone(), commands).await
    }

    async fn send_all(
        &self,
        connected: &Arc<Connected>,
        mut connection: MultiplexedConnection,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, StoreError> {
        let count = commands.len();
        let answers = connection.send_packed_commands(commands, 0, count).await;
        let answers = self.judge(connected, answers)?;
        for answer in &answers {
            if let Value::ServerError(error) = answer
                && ends_connection(&error.clone().into())
            {
                connected.record_error(&error.clone().into());
                self.disconnect(connected);
            }
        }
        Ok(answers)
    }

    fn connected(&self) -> Result<Arc<Connected>, StoreError> {
        let current = self.current.load_full();
        current.ok_or_else(|| StoreError::Unavailable("Redis cannot be reached".to_owned()))
    }

    fn judge<T>(
        &self,
        connected: &Arc<Connected>,
        answer: Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        answer.map_err(|error| {
            if ends_connection(&error) {
                connected.record_error(&error);
                self.disconnect(connected);
            }
            StoreError::Unavailable(describe(&error))
        })
    }

    fn disconnect(&self, connected: &Arc<Connected>) {
        let current = self.current.load_full();
        // A later connection is not to blame for an earlier one.
        if current.is_some_and(|current| Arc::ptr_eq(&current, connected)) {
            self.current.store(None);
        }
        connected.broken.notify_one();
    }
}

/// One answer of [`Link::call_all`].
///
/// # Errors
/// [`StoreError::Unavailable`] when it is an error or none.
pub(super) fn accepted(answer: Option<Value>) -> Result<Value, StoreError> {
    let answer = answer.unwrap_or(Value::Nil).extract_error();
    answer.map_err(|error| StoreError::Unavailable(describe(&error)))
}

impl Connected {
    /// Wakes once a trip has failed.
    pub(super) async fn wait_broken(&self) {
        self.broken.notified().await;
    }

    /// Takes from an error whether the database is another one.
    pub(super) fn record_error(&self, error: &RedisError) {
        if error.code() == Some("REPLACED") {
            self.foreign.store(true, Ordering::Release);
        }
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.foreign.load(Ordering::Acquire)
    }

    pub(super) async fn open(settings: &Settings, address: Address) -> Result<Self, LinkError> {
        let open = async || connect(settings, &address, Some(settings.timeout)).await;
        let commands = open().await?;
        let mut waiting = Vec::new();
        if settings.durability != super::settings::Durability::Fast {
            for _ in 0..WAITING_CONNECTIONS {
                waiting.push((open().await?, Arc::new(Semaphore::new(1))));
            }
        }
        Ok(Self {
            commands,
            waiting,
            next: AtomicUsize::new(0),
            timeout: settings.timeout,
            busy: Arc::new(Semaphore::new(CONCURRENCY)),
            broken: Notify::new(),
            foreign: AtomicBool::new(false),
            address,
        })
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        Arc::clone(&self.busy).try_acquire_owned().map_err(|_| StoreError::Busy)
    }

    pub(super) fn commands(&self) -> MultiplexedConnection {
        self.commands.clone()
    }
}

/// Opens one connection and signs in.
pub(super) async fn connect(
    settings: &Settings,
    address: &Address,
    response_timeout: Option<Duration>,
) -> Result<MultiplexedConnection, LinkError> {
    let credentials = (settings.username.as_deref(), settings.password.as_ref());
    connect_as(settings, address, credentials, settings.database, response_timeout).await
}

pub(super) async fn connect_as(
    settings: &Settings,
    address: &Address,
    (username, password): (Option<&str>, Option<&crate::auth::secret::Secret>),
    database: u32,
    response_timeout: Option<Duration>,
) -> Result<MultiplexedConnection, LinkError> {
    let opening = async {
        let unreachable =
            |error: std::io::Error| LinkError::Unreachable(address.clone(), error.to_string());
        let tcp =
            TcpStream::connect((address.host.as_str(), address.port)).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let mut info = RedisConnectionInfo::default()
            .set_db(i64::from(database))
            .set_lib_name("portcullis", env!("CARGO_PKG_VERSION"));
        if let Some(password) = password {
            info = info.set_password(password.expose());
            if let Some(username) = username {
                info = info.set_username(username);
            }
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(response_timeout);
        let failed = |error: RedisError| refine(address, &error);
        let connection = match &settings.tls {
            None => {
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&info, tcp, config)
                        .await
                        .map_err(failed)?;
                tokio::spawn(driver);
                connection
            }
            Some(tls) => {
                let name = ServerName::try_from(address.host.clone())
                    .map_err(|error| LinkError::Tls(address.clone(), error.to_string()))?;
                let stream = tls.tls().connect(name, tcp).await.map_err(|error| {
                    // A server that hangs up is not one with a wrong certificate.
                    if trust::is_clear(&error) {
                        LinkError::Clear(address.clone())
                    } else if error.kind() == std::io::ErrorKind::InvalidData {
                        LinkError::Tls(address.clone(), trust::describe(&error, trust::ROOTS))
                    } else {
                        unreachable(error)
                    }
                })?;
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&info, stream, config)
                        .await
                        .map_err(failed)?;
                tokio::spawn(driver);
                connection
            }
        };
        Ok(connection)
    };
    match tokio::time::timeout(settings.timeout, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(LinkError::Unreachable(address.clone(), "no response in time".to_owned())),
    }
}

/// What an error of a command means that a gateway begins with.
pub(super) fn refused(address: &Address, error: &RedisError) -> LinkError {
    if error.code() == Some("NOPERM") || error.to_string().contains("NOPERM") {
        LinkError::Rights(address.clone(), describe(error))
    } else {
        LinkError::Unreachable(address.clone(), describe(error))
    }
}

/// What an error while signing in means.
fn refine(address: &Address, error: &RedisError) -> LinkError {
    let code = error.code().unwrap_or_default();
    if error.kind() == ErrorKind::AuthenticationFailed
        || matches!(code, "WRONGPASS" | "NOAUTH" | "NOPERM")
    {
        LinkError::Credentials(address.clone(), describe(error))
    } else if describe(error).contains("refused to switch database") {
        let help = "look at the number at the end of `store.url`; a cluster has none, and is written redis-cluster://";
        LinkError::Misnamed(format!(
            "{address} has no such database: {}; {help}",
            error.detail().unwrap_or_default()
        ))
    } else if error.kind() == ErrorKind::Parse {
        LinkError::NotRedis(address.clone())
    } else {
        LinkError::Unreachable(address.clone(), describe(error))
    }
}

/// Whether the connection, or the server behind it, is not the right one any more.
fn ends_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::ReadOnly
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
        ),
        ErrorKind::Extension => {
            matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "UNBLOCKED" | "REPLACED"))
        }
        _ => true,
    }
}

/// The server's own words: they name settings, never values of ours.
fn describe(error: &RedisError) -> String {
    error.to_string().chars().take(300).collect()
}
