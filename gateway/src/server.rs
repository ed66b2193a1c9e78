//! The composition root: the only file that knows every other. It puts the parts
//! together, starts them, and stops them in order.

mod console;
pub mod first_account;
mod notices;
mod own_files;
mod permissions;
pub mod reach;
mod sweeping;

pub use first_account::FIRST_ACCOUNT;
pub use own_files::{Forgotten, forget_password, holds_gateway, judge_store, make_directory};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use http::Method;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::auth::account::Account;
use crate::auth::error::StoreError;
use crate::auth::federation::IdentityProvider;
use crate::auth::link::LinkPolicy;
use crate::auth::password::PasswordRule;
use crate::auth::ports::{AccountLimits, Clock, Entropy, FailureLimit, Mailer, Store, StoreState};
use crate::auth::secret::Secret;
use crate::auth::standing::Standing;
use crate::auth::time::Seconds;
use crate::auth::work::Work;
use crate::auth::{Core, Policy, Ports};
use crate::clock::{self, SystemClock};
use crate::config::warning::Warning;
use crate::config::{
    self, Config, HttpTarget, NodeAddress, PathMatch, Target, Transport, UpstreamTls,
};
use crate::console::Console;
use crate::console::link::LinkPages;
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::jwt::{Hs256Signer, MIN_SECRET_BYTES, SecretTooShort};
use crate::crypto::passwords::HashingPool;
use crate::dialect::admin::Admin;
use crate::dialect::delivery::{Delivery, DeliveryRule};
use crate::dialect::envelope::{CALLBACK, Envelope};
use crate::dialect::form::Form;
use crate::dialect::links::{self, Links};
use crate::dialect::plain::Plain;
use crate::dialect::status::Status;
use crate::dialect::{self, Ambiguous, Dialect, Dialects, HealthPaths, Resolution, Settings};
use crate::edge::accept::{self, Listening};
use crate::edge::certificates::{self, CertificateError, Loaded};
use crate::edge::framing::HeadLimits;
use crate::edge::http::Http2Limits;
use crate::federation::github::GitHub;
use crate::files::{self, Directory, Fault};
use crate::lifecycle::Lifecycle;
use crate::mail::MailQueue;
use crate::pipeline::admit::Admission;
use crate::pipeline::admit::turn::Turns;
use crate::pipeline::bounds::Bounds;
use crate::pipeline::client::report::IgnoredReport;
use crate::pipeline::cors;
use crate::pipeline::forward::Destination;
use crate::pipeline::forward::field_names::{FieldRules, RemovalReport};
use crate::pipeline::forward::upstream::Upstream;
use crate::pipeline::forward::upstream::tls::OutboundTls;
use crate::pipeline::ids::Ids;
use crate::pipeline::observed::ConnectedAgents;
use crate::pipeline::respond::challenge::Challenges;
use crate::pipeline::rest::Lingering;
use crate::pipeline::route::Routes;
use crate::pipeline::slots::{Places, Slots};
use crate::pipeline::throttle::{self, Throttle};
use crate::pipeline::{Advisory, Gateway};
use crate::socket;
use crate::store::archive::{Archive, Import, is_empty};
use crate::store::embedded::{
    self, Checked, EmbeddedArchive, EmbeddedImport, EmbeddedStore, Location, OpenError,
};
use crate::store::shared::{self, Beginning, SharedArchive, SharedStore};
use crate::telemetry::counters::Counters;
use crate::telemetry::sink::Sink;
use crate::trust::Connector;

use first_account::{
    FirstAccount, FirstPassword, PasswordPlace, forget_former, make_admin, make_admin_later,
};
use sweeping::Sweeping;

/// Why the gateway does not run. Printed once, with its causes.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    SharedStore(#[from] shared::OpenError),
    #[error("the shared store: {reason}")]
    SharedStoreRoots { reason: String },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the secret key: {0}")]
    Secret(#[from] SecretTooShort),
    #[error(
        "{} holds no secret ({found}; a text of at least {MIN_SECRET_BYTES} is needed): restore it \
         from a backup, or remove it and the next start makes another, which ends every sign-in",
        path.display()
    )]
    SecretFile { path: PathBuf, found: String },
    #[error(transparent)]
    File(#[from] Fault),
    #[error(
        "state lies in {}, where version 0.1 kept it, and none in {}, where it belongs now\n      \
         = stop the gateway that uses it, then: {}\n      \
         = or leave it there: store.path = {former:?}\n      \
         = or begin anew, if it is another gateway's: store.path = {now:?}",
        former.display(), now.display(), own_files::moving(former, files, now)
    )]
    FormerStore { former: PathBuf, files: Vec<&'static str>, now: PathBuf },
    #[error(
        "the self-signed certificate lies in {}, where version 0.1 kept it, and none in {}, \
         where it belongs now; of another one, clients that trust it would have to be told\n      \
         = move it: {}\n      \
         = or name its files in tls.certificate and tls.key",
        former.display(), now.display(), own_files::moving(former, files, now)
    )]
    FormerCertificate { former: PathBuf, files: Vec<String>, now: PathBuf },
    #[error("upstream {name}: {reason}")]
    Upstream { name: String, reason: String },
    #[error("mail: {reason}")]
    Mail { reason: String },
    #[error("github: {reason}")]
    GitHub { reason: String },
    #[error("console.{key}: {}: {reason}", path.display())]
    ConsoleFile { key: &'static str, path: PathBuf, reason: String },
    #[error("cannot listen on {address}: {source}{}", listen_remedy(source))]
    Listen { address: std::net::SocketAddr, source: io::Error },
    #[error("the dialects' paths: {0}")]
    Dialects(#[from] Ambiguous),
    #[error(
        "route {id}: the gateway serves {path} itself, and requests for it never come to a route; \
         remove the route, or switch off or move what serves it ([health], [admin], [dialect.*])"
    )]
    RouteOfOurs { id: String, path: String },
    #[error("the account admin could not be made: {0}")]
    Admin(StoreError),
    #[error(transparent)]
    Archive(#[from] StoreError),
    #[error("{0}")]
    System(#[from] io::Error),
}

impl StartError {
    /// Whether another process has the store.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, StartError::Store(OpenError::InUse { .. }))
    }

    /// Whether another start would fail in the same way until somebody changes something, as
    /// `check` tells. What depends on other processes, disks and servers is not.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            StartError::Secret(_)
            | StartError::SecretFile { .. }
            | StartError::FormerStore { .. }
            | StartError::FormerCertificate { .. }
            | StartError::Upstream { .. }
            | StartError::Mail { .. }
            | StartError::GitHub { .. }
            | StartError::ConsoleFile { .. }
            | StartError::Dialects(_)
            | StartError::RouteOfOurs { .. } => true,
            StartError::File(fault) => !matches!(fault, Fault::Io { .. } | Fault::InUse { .. }),
            // A pair may come to lie there yet.
            StartError::Certificate(error) => !error.is_missing(),
            StartError::Store(_)
            | StartError::SharedStore(_)
            | StartError::SharedStoreRoots { .. }
            | StartError::Listen { .. }
            | StartError::Admin(_)
            | StartError::Archive(_)
            | StartError::System(_) => false,
        }
    }
}

fn listen_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another process listens there (`ss -ltnp` shows which): stop it, or listen elsewhere \
             (`--listen`, [[listener]])"
        }
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 needs the capability CAP_NET_BIND_SERVICE (deploy/README.md), or \
             listen on another, such as 8443"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this machine has this address; [::] stands for all of them"
        }
        _ => "",
    }
}

/// What a start has to tell, in order.
#[derive(Debug)]
pub enum Fact {
    /// Where the gateway keeps its own files.
    State {
        path: PathBuf,
    },
    Certificate {
        path: PathBuf,
        fingerprint: String,
        source: certificates::Source,
    },
    SecretMade {
        path: PathBuf,
    },
    /// Another one is given, and tokens that were signed with it are refused.
    SecretUnused {
        path: PathBuf,
    },
    AdminMade(FirstPassword),
    /// `ADMIN_PASSWORD` says something, and there are accounts already.
    AdminPasswordUnused,
    Listening {
        address: std::net::SocketAddr,
        tls: bool,
    },
    /// With where the first listener listens.
    Ready {
        address: Option<std::net::SocketAddr>,
    },
}

/// Runs until a stop signal has been carried out.
///
/// # Errors
/// Why it could not start.
pub async fn run(
    config: Config,
    sink: Sink,
    place: PasswordPlace,
    mut tell: impl FnMut(&Config, Fact),
) -> Result<(), StartError> {
    // Signals first: one that comes during the start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    raise_descriptor_limit(&config);
    own_files::check(&config, Directory::find)?;
    // Nothing is made for a console that cannot be shown.
    let console = console::open(&config)?;
    // Before a key, a store and a password are made that a taken port would leave behind.
    let sockets = bind(&config)?;
    let directory = own_files::make_directory(&config)?;
    permissions::close_own(&config);
    tell(&config, Fact::State { path: config.store.directory.clone() });
    // Before what is missing is made.
    let warnings = warnings(&config);
    let secret = own_files::secret_key(&config, &directory, &mut tell)?;
    let loaded = load_certificate(&config)?;
    if let Some(Loaded { path, fingerprint, source, .. }) = &loaded {
        let fact = Fact::Certificate {
            path: path.clone(),
            fingerprint: fingerprint.clone(),
            source: source.clone(),
        };
        tell(&config, fact);
    }
    let github = config.github.as_ref().map(github).transpose()?;
    let github = github.map(|github| Arc::new(github) as Arc<dyn IdentityProvider>);
    let (core, embedded) = open_core(&config, &secret, github, mailer(&config)?).await?;
    let core = Arc::new(core);
    let admin = {
        let _lock = directory.lock();
        make_admin(&config, &core, &directory, place).await?
    };
    let late = matches!(admin, FirstAccount::Unknown);
    log_warnings(&warnings);
    match admin {
        FirstAccount::Made(password) => tell(&config, Fact::AdminMade(password)),
        FirstAccount::Present => look_at_accounts(&config, &core, &directory, &mut tell),
        FirstAccount::Unknown => {}
    }
    notices::give(&config, &core).await;
    let lifecycle = Lifecycle::default();
    let gateway =
        Arc::new(assemble(&config, Arc::clone(&core), console, (lifecycle.clone(), sink))?);

    let slots = Slots::new(config.limits.connections, config.limits.connections_per_address);
    let acceptor = TlsAcceptor::from(match loaded {
        Some(loaded) => loaded.server,
        None => certificates::no_certificate()?,
    });
    // Whoever hears that it listens may command it.
    let socket = socket::serve(&directory, Arc::clone(&gateway), embedded)?;
    let first = sockets.first().map(|(_, address)| *address);
    for (listener, (socket, address)) in config.listeners.iter().zip(sockets) {
        let tls = listener.transport == Transport::Tls;
        let listening = Listening {
            gateway: Arc::clone(&gateway),
            slots: Arc::clone(&slots),
            acceptor: acceptor.clone(),
            transport: listener.transport,
            proxy_protocol: listener.proxy_protocol,
            head: HeadLimits {
                bytes: config.limits.head_bytes,
                fields: config.limits.header_count,
                uri_bytes: config.limits.uri_bytes,
            },
            h2: Http2Limits {
                streams: config.limits.h2_streams,
                header_list_bytes: u32::try_from(config.limits.head_bytes).unwrap_or(u32::MAX),
            },
            max_resets: config.limits.h2_resets,
        };
        lifecycle.track(accept::run(Arc::new(listening), socket));
        tell(&config, Fact::Listening { address, tls });
    }
    let housekeeping =
        tokio::spawn(keep_house(Arc::clone(&gateway), slots, config.health.advisory_file.clone()));
    let late =
        late.then(|| tokio::spawn(make_admin_later(config.clone(), Arc::clone(&gateway.core))));
    tell(&config, Fact::Ready { address: first });

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    lifecycle.begin_stopping();
    tokio::time::sleep(config.timeouts.drain_delay).await;
    lifecycle.begin_draining();
    if !lifecycle.wait(config.timeouts.drain).await {
        tracing::warn!(connections = lifecycle.tasks(), "drain deadline passed");
    }
    housekeeping.abort();
    if let Some(late) = late {
        late.abort();
    }
    save_uses(&gateway.core).await;
    drop(socket);
    tracing::info!("stopped");
    Ok(())
}

/// A socket for each listener, in their order.
fn bind(config: &Config) -> Result<Vec<(TcpListener, std::net::SocketAddr)>, StartError> {
    let bind = |listener: &config::Listener| {
        let listen = |source| StartError::Listen { address: listener.address, source };
        let socket = accept::bind(listener.address).map_err(listen)?;
        let socket = TcpListener::from_std(socket).map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        Ok((socket, address))
    };
    config.listeners.iter().map(bind).collect()
}

/// What an operator would not think of in a store that has accounts already.
fn look_at_accounts(
    config: &Config,
    core: &Arc<Core>,
    directory: &Directory,
    tell: &mut impl FnMut(&Config, Fact),
) {
    if config.auth.admin_password.is_some() {
        tell(config, Fact::AdminPasswordUnused);
    }
    let is_known = core.store().health().is_none_or(|health| health.state == StoreState::Live);
    if is_known && core.standing().count_accounts(Account::administers) == 0 {
        let remedy = "portcullis user roles NAME admin gives it";
        tracing::warn!(remedy, "no account has the role admin: the admin API has no user");
    }
    if let Some(kept) = own_files::kept_password(directory) {
        tokio::spawn(forget_former(config.clone(), Arc::clone(core), kept));
    }
}

/// Everything that `check` looks at beyond the file itself, without changing
/// anything.
///
/// # Errors
/// What would keep the gateway from starting.
pub fn check(config: &Config) -> Result<(), StartError> {
    own_files::check(config, Directory::look)?;
    for upstream in &config.upstreams {
        destination(upstream)?;
    }
    config.github.as_ref().map(github).transpose()?;
    reachable_routes(config, &endpoints(config, console::open(config)?)?)?;
    Ok(())
}

/// What the configuration, and what it names on this machine, should be warned of.
#[must_use]
pub fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = config.warnings.clone();
    warnings.extend(permissions::warnings(config));
    warnings.extend(own_files::warnings(config));
    warnings
}

fn log_warnings(warnings: &[Warning]) {
    for Warning { kind, place, key, message, .. } in warnings {
        let (code, remedy) = (kind.code, kind.remedy);
        tracing::warn!(code, place, key, detail = message, remedy, "configuration warning");
    }
}

/// The paths that the gateway serves itself.
///
/// # Errors
/// When two of its endpoints cannot be told apart.
pub fn own_endpoints(config: &Config) -> Result<Dialects, StartError> {
    endpoints(config, console::plain(config))
}

fn endpoints(config: &Config, console: Option<Arc<Console>>) -> Result<Dialects, StartError> {
    let health = if config.health.enabled { HealthPaths::Own } else { HealthPaths::Upstream };
    let readers = match config.openapi {
        config::DocumentReaders::Authenticated => dialect::Admission::Authenticated,
        config::DocumentReaders::Everybody => dialect::Admission::Public,
    };
    let mut mounted = mount(config, console.as_ref());
    mounted.extend(console.map(|console| console as Arc<dyn Dialect>));
    Ok(Dialects::new(mounted, health, readers)?)
}

/// The routes, of which each has requests: an exact one for a path of our own would not.
fn reachable_routes(config: &Config, dialects: &Dialects) -> Result<Routes, StartError> {
    for route in config.routes.iter().filter(|route| route.extent == PathMatch::Exact) {
        if !matches!(dialects.resolve(&Method::GET, &route.path), Resolution::NotOurs) {
            return Err(StartError::RouteOfOurs { id: route.id.clone(), path: route.path.clone() });
        }
    }
    Ok(Routes::new(&config.routes))
}

/// Takes as many descriptors as the system allows: a connection needs one, and its
/// request another one at the upstream.
fn raise_descriptor_limit(config: &Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What is refused stays as it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let wanted = 2 * config.limits.connections as u64;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < wanted) {
        tracing::warn!(allowed, wanted, "too few file descriptors for limits.connections");
    }
}

/// Looks whether the store is whole. No gateway may have it open.
///
/// # Errors
/// When it cannot be opened.
pub fn check_store(config: &Config) -> Result<Checked, StartError> {
    Ok(EmbeddedStore::check(&Location::in_directory(&config.store.directory))?)
}

/// The records of a store that is there: a shared one, or one that no gateway has open.
///
/// # Errors
/// When it cannot be opened.
pub async fn find_archive(config: &Config) -> Result<Option<Box<dyn Archive>>, StartError> {
    if let Some(shared) = &config.store.shared {
        let (settings, entropy) = archive_settings(shared)?;
        if shared::inspect(&settings).await?.schema.is_none() {
            return Ok(None);
        }
        return Ok(Some(Box::new(SharedArchive::open(settings, entropy).await?)));
    }
    let location = Location::in_directory(&config.store.directory);
    if !location.exists() {
        return Ok(None);
    }
    Ok(Some(Box::new(EmbeddedArchive::reopen(&location)?)))
}

/// Begins an import of the export with this checksum. `None` when it should be a new one
/// and there are records.
///
/// # Errors
/// When the store cannot be opened, or holds a part of another import.
pub async fn begin_import(
    config: &Config,
    export: &str,
    beginning: Beginning,
) -> Result<Option<Box<dyn Import>>, StartError> {
    if let Some(shared) = &config.store.shared {
        return begin_shared_import(shared, export, beginning).await;
    }
    let path = config.store.directory.join(embedded::FILE);
    if let Some(import) = EmbeddedImport::begin(&path)? {
        return Ok(Some(Box::new(import)));
    }
    let present = EmbeddedArchive::reopen(&Location::File(path))?;
    if beginning == Beginning::New && !is_empty(&present).await? {
        return Ok(None);
    }
    Ok(Some(Box::new(present.import()?)))
}

async fn begin_shared_import(
    shared: &config::SharedStore,
    export: &str,
    beginning: Beginning,
) -> Result<Option<Box<dyn Import>>, StartError> {
    let (settings, entropy) = archive_settings(shared)?;
    let import = SharedArchive::import(settings, entropy, export, beginning).await?;
    // A gateway may have begun there since it was looked at.
    if beginning == Beginning::New {
        match is_empty(import.records()).await {
            Ok(true) => {}
            Ok(false) => {
                Box::new(import).give_up().await?;
                return Ok(None);
            }
            Err(error) => {
                // Where the mark stays, whoever comes next is told.
                let _ = Box::new(import).give_up().await;
                return Err(error.into());
            }
        }
    }
    Ok(Some(Box::new(import)))
}

/// The records beside which those of the export with this checksum would come. Those of an
/// import that was cut short belong to them when it is resumed.
///
/// # Errors
/// As [`find_archive`].
pub async fn find_beside_import(
    config: &Config,
    export: &str,
    beginning: Beginning,
) -> Result<Option<Box<dyn Archive>>, StartError> {
    match (find_archive(config).await, &config.store.shared) {
        (
            Err(StartError::SharedStore(shared::OpenError::Importing { export: marked, .. })),
            Some(shared),
        ) if marked == export && beginning == Beginning::Resume => {
            let (settings, entropy) = archive_settings(shared)?;
            Ok(Some(Box::new(SharedArchive::cut_short(settings, entropy, export).await?)))
        }
        (found, _) => found,
    }
}

/// For who follows nobody: no session is ended, so no token's lifetime matters.
fn archive_settings(
    shared: &config::SharedStore,
) -> Result<(shared::Settings, Arc<dyn Entropy>), StartError> {
    Ok((shared_settings(shared, Seconds(0))?, Arc::new(SystemEntropy::default())))
}

/// An empty store to try things in, of which nothing is left behind.
///
/// # Errors
/// When there is no place for it.
pub fn scratch_archive() -> Result<EmbeddedArchive, StartError> {
    Ok(EmbeddedArchive::scratch()?)
}

fn needs_certificate(config: &Config) -> bool {
    config.listeners.iter().any(|listener| listener.transport == Transport::Tls)
}

fn load_certificate(config: &Config) -> Result<Option<Loaded>, StartError> {
    if needs_certificate(config) { Ok(Some(certificates::load(&config.tls)?)) } else { Ok(None) }
}

/// Machines that keep time by NTP differ by much less.
const CLOCK_SKEW: Seconds = Seconds(5);

/// The core over the configured store and the real clock.
///
/// # Errors
/// When the store cannot be opened or the secret is too short.
pub async fn open_core(
    config: &Config,
    secret: &Secret,
    github: Option<Arc<dyn IdentityProvider>>,
    mailer: Option<Arc<dyn Mailer>>,
) -> Result<(Core, Option<Arc<EmbeddedStore>>), StartError> {
    let auth = &config.auth;
    let standing = Arc::new(Standing::default());
    let seconds = |length: Duration| Seconds(length.as_secs());
    let access = config.dialects.all().map(|dialect| dialect.access_ttl);
    let longest = access.into_iter().fold(auth.refresh_ttl, Duration::max);
    let longest = longest.max(config.console.session_absolute);
    let (store, embedded) = open_store(config, &standing, seconds(longest)).await?;
    warn_of_dear_hashes(&standing, auth.bcrypt_cost);
    let hasher = HashingPool::start(auth.hash_threads, auth.hash_queue, auth.bcrypt_cost)?;
    let signer = Hs256Signer::new(secret, auth.previous_secret_key.as_ref())?;
    let policy = Policy {
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        refresh_ttl: seconds(auth.refresh_ttl),
        refresh_grace: seconds(auth.refresh_grace),
        renewed_access_ttl: seconds(config.console.access_ttl),
        ticket_ttl: seconds(auth.ticket_ttl),
        clock_skew: if config.store.shared.is_some() { CLOCK_SKEW } else { Seconds(0) },
        registration: auth.registration,
        registrations: registration_limit(config),
        local_accounts: auth.local_accounts,
        failure_window: seconds(config.limits.login_window),
        links: config.links.as_ref().map(|settings| LinkPolicy {
            base: format!("{}{}{}", settings.public_url, settings.prefix, links::QUERY),
            ttl: seconds(settings.ttl),
        }),
    };
    let ports = Ports {
        store,
        standing,
        hasher: Arc::new(hasher),
        signer: Arc::new(signer),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::default()),
        github,
        mailer,
    };
    Ok((Core::new(policy, ports), embedded))
}

/// A failed attempt on anybody costs as much as on the account with the dearest hash.
fn warn_of_dear_hashes(standing: &Standing, bcrypt_cost: u32) {
    let (dearest, configured) = (standing.dearest_hash(), Work::of_bcrypt(bcrypt_cost));
    if dearest > configured {
        let times = dearest.0.div_ceil(configured.0);
        tracing::warn!(
            times,
            "a password hash costs more than auth.bcrypt_cost; so does every failed attempt"
        );
    }
}

/// Of one address in an hour.
fn registration_limit(config: &Config) -> FailureLimit {
    let (attempts, user_attempts) = (config.limits.registrations.saturating_add(1), u32::MAX);
    FailureLimit { attempts, user_attempts, window: Seconds(3_600) }
}

fn mailer(config: &Config) -> Result<Option<Arc<dyn Mailer>>, StartError> {
    let (Some(mail), Some(links)) = (&config.mail, &config.links) else { return Ok(None) };
    let started = MailQueue::start(mail, links.public_url.host());
    let queue = started.map_err(|reason| StartError::Mail { reason })?;
    Ok(Some(queue))
}

/// The engine, and once more if it is one that only this process can read.
type Opened = (Arc<dyn Store>, Option<Arc<EmbeddedStore>>);

async fn open_store(
    config: &Config,
    standing: &Arc<Standing>,
    token_ttl: Seconds,
) -> Result<Opened, StartError> {
    let standing = Arc::clone(standing);
    let Some(shared) = &config.store.shared else {
        let location = Location::in_directory(&config.store.directory);
        let store = EmbeddedStore::open(&location, standing, token_ttl)?;
        let store = Arc::new(store.with_limits(account_limits(config)));
        return Ok((Arc::clone(&store) as Arc<dyn Store>, Some(store)));
    };
    let settings = shared_settings(shared, token_ttl)?;
    let settings = shared::Settings { limits: account_limits(config), ..settings };
    let entropy = Arc::new(SystemEntropy::default());
    Ok((Arc::new(SharedStore::open(settings, standing, entropy).await?), None))
}

fn account_limits(config: &Config) -> AccountLimits {
    let limits = &config.limits;
    AccountLimits { sessions: limits.sessions_per_account, keys: limits.keys_per_account }
}

/// # Errors
/// When the authorities of its TLS cannot be read.
fn shared_settings(
    shared: &config::SharedStore,
    token_ttl: Seconds,
) -> Result<shared::Settings, StartError> {
    let address = |node: &NodeAddress| shared::Address { host: node.host.clone(), port: node.port };
    let addresses = |nodes: &[NodeAddress]| nodes.iter().map(address).collect();
    let tls = match &shared.tls {
        UpstreamTls::Off => None,
        UpstreamTls::On { roots } => Some(
            Connector::new(roots.as_deref(), &[])
                .map_err(|reason| StartError::SharedStoreRoots { reason })?,
        ),
    };
    Ok(shared::Settings {
        topology: match &shared.topology {
            config::Topology::Single(node) => shared::Topology::Single(address(node)),
            config::Topology::Sentinel { addresses: nodes, service } => {
                shared::Topology::Sentinel {
                    sentinels: addresses(nodes),
                    service: service.clone(),
                    password: shared.sentinel_password.clone(),
                }
            }
            config::Topology::Cluster(nodes) => shared::Topology::Cluster(addresses(nodes)),
        },
        tls,
        username: shared.username.clone(),
        password: shared.password.clone(),
        database: shared.database.into(),
        prefix: shared.prefix.clone(),
        durability: match shared.durability {
            config::Durability::Fsync => shared::Durability::Fsync,
            config::Durability::Replicated { replicas } => shared::Durability::Replicated(replicas),
            config::Durability::Fast => shared::Durability::Fast,
        },
        timeout: shared.timeout,
        token_ttl,
        limits: AccountLimits::default(),
    })
}

fn assemble(
    config: &Config,
    core: Arc<Core>,
    console: Option<Arc<Console>>,
    (lifecycle, sink): (Lifecycle, Sink),
) -> Result<Gateway, StartError> {
    let limits = &config.limits;
    let dialects = endpoints(config, console.clone())?;
    let routes = reachable_routes(config, &dialects)?;
    let attempts = throttle::Limits {
        failures: FailureLimit {
            attempts: limits.max_login_attempts,
            user_attempts: limits.user_attempts,
            window: Seconds(limits.login_window.as_secs()),
        },
        pause: limits.user_pause,
        counted: limits.counted,
    };
    let destinations =
        config.upstreams.iter().map(destination).collect::<Result<Vec<_>, StartError>>()?;
    let clock: Arc<dyn Clock> = Arc::clone(core.clock());
    let counters = Arc::new(Counters::default());
    Ok(Gateway {
        throttle: Arc::new(Throttle::new(Arc::clone(&core), attempts, sink.clone())),
        under_way: Places::new(limits.requests_per_address),
        agents: Slots::new(
            limits.agents_unauthenticated,
            limits.agents_unauthenticated_per_address,
        ),
        proxied: Places::new(limits.connections_per_address),
        bounds: Bounds::new(limits),
        admission: match core.store().buckets() {
            None => Admission::new(limits.requests_per_second, limits.burst),
            Some(buckets) => Admission::shared(limits.requests_per_second, limits.burst, buckets),
        },
        turns: Turns::new(limits.wait),
        core,
        cookies: dialects.use_cookies(),
        connected_agents: Arc::new(ConnectedAgents::default()),
        console,
        pages: config.links.is_some(),
        dialects,
        routes,
        destinations,
        identity: config.identity.clone(),
        field_rules: Arc::new(FieldRules::new(&config.identity, &config.field_overrides)),
        removals: Arc::new(RemovalReport::new(Arc::clone(&counters))),
        trusted_proxies: config.trusted_proxies.clone(),
        origins: config.origins.clone(),
        cors: config.cors.as_ref().map(|policy| Arc::new(cors::Policy::new(policy))),
        admin_networks: config.admin.networks.clone(),
        forwarding: config.forwarding.clone(),
        ignored: IgnoredReport::new(Arc::clone(&counters)),
        sni: config.tls.sni,
        timeouts: config.timeouts.clone(),
        uri_bytes: limits.uri_bytes,
        header_count: limits.header_count,
        challenges: Challenges::new(&config.auth.realm, &config.routes),
        hsts: config.tls.hsts.as_ref().map(hsts),
        advisory: ArcSwap::from_pointee(read_advisory(config.health.advisory_file.as_deref())),
        require_store: config.health.require_store,
        ids: Ids::new(clock, &SystemEntropy::default()),
        lingering: Arc::new(Lingering::new(lifecycle.clone(), Arc::clone(&counters))),
        lifecycle,
        started: std::time::Instant::now(),
        counters,
        sink,
    })
}

/// RFC 6797 6.1.
fn hsts(hsts: &config::Hsts) -> HeaderValue {
    let subdomains = match hsts.subdomains {
        config::Subdomains::Included => "; includeSubDomains",
        config::Subdomains::NotIncluded => "",
    };
    let value = format!("max-age={}{subdomains}", hsts.max_age.as_secs());
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("max-age=0"))
}

/// The dialects in order of precedence: of two that share a path, the first is its
/// default, and the first of all shapes what belongs to none (C14).
fn mount(config: &Config, console: Option<&Arc<Console>>) -> Vec<Arc<dyn Dialect>> {
    let dialects = &config.dialects;
    let settings = |dialect: &config::Dialect| Settings {
        prefix: dialect.prefix.clone(),
        access_ttl: Seconds(dialect.access_ttl.as_secs()),
        refresh_ttl: Seconds(config.auth.refresh_ttl.as_secs()),
        password: PasswordRule { special: dialect.require_special },
        delivery: match dialect.delivery {
            config::Delivery::Body => DeliveryRule::Always(Delivery::Body),
            config::Delivery::Cookie => DeliveryRule::Always(Delivery::Cookie),
            config::Delivery::Auto => DeliveryRule::ByClient,
        },
    };
    let (form, status) = (&dialects.form, &dialects.status);
    let (envelope, plain) = (&dialects.envelope, &dialects.plain);
    let mut mounted: Vec<Arc<dyn Dialect>> = Vec::new();
    if status.enabled {
        let rotate = dialects.rotate_refresh;
        mounted.push(Arc::new(Status { settings: settings(status), rotate }));
    }
    if plain.enabled {
        let (keys, reveal) = (dialects.keys, dialects.reveal_unknown_user);
        mounted.push(Arc::new(Plain::new(settings(plain), keys, reveal)));
    }
    if envelope.enabled {
        let settings = settings(envelope);
        let url = config.github.as_ref().and_then(|github| github.public_url.as_ref());
        let callback = url.map(|url| format!("{url}{}{CALLBACK}", settings.prefix));
        mounted.push(Arc::new(Envelope { settings, callback }));
    }
    if form.enabled {
        mounted.push(Arc::new(Form(settings(form))));
    }
    if let Some(settings) = &config.links {
        let (prefix, mail) = (settings.prefix.clone(), config.mail.is_some());
        let pages = Box::new(LinkPages::new(console.cloned()));
        mounted.push(Arc::new(Links { prefix, mail, pages }));
    }
    if config.admin.enabled {
        mounted.push(Arc::new(Admin::new(config.admin.prefix.clone())));
    }
    mounted
}

fn destination(upstream: &config::Upstream) -> Result<Destination, StartError> {
    let target = match &upstream.target {
        Target::Echo => {
            let name = upstream.name.as_str().into();
            return Ok(Destination::Echo { name, field_names: upstream.field_names });
        }
        Target::Http(target) => target,
    };
    let tls = upstream_tls(target)
        .map_err(|reason| StartError::Upstream { name: upstream.name.clone(), reason })?;
    Ok(Destination::Http(Arc::new(Upstream::new(upstream, target.clone(), tls))))
}

/// Who vouches for people that sign in with GitHub.
///
/// # Errors
/// When the authorities it is verified against cannot be read.
pub fn github(config: &config::GitHub) -> Result<GitHub, StartError> {
    let made = Connector::new(config.roots.as_deref(), &[b"http/1.1"])
        .and_then(|connector| GitHub::new(config, connector.tls()));
    made.map_err(|reason| StartError::GitHub { reason })
}

fn upstream_tls(target: &HttpTarget) -> Result<Option<OutboundTls>, String> {
    match &target.tls {
        UpstreamTls::Off => Ok(None),
        UpstreamTls::On { roots } => {
            let host = target.authority.host();
            OutboundTls::new(host, target.protocol, roots.as_deref()).map(Some)
        }
    }
}

const BUCKET_SWEEP: Duration = Duration::from_secs(2);
const STORE_SWEEP: Duration = Duration::from_secs(60);
/// So that after a crash no key's last use is more than a minute old.
const USES_SAVED: Duration = Duration::from_secs(30);
const ADVISORY_POLL: Duration = Duration::from_secs(30);

/// What has to be done from time to time, away from any request.
async fn keep_house(gateway: Arc<Gateway>, slots: Arc<Slots>, advisory: Option<PathBuf>) {
    let mut buckets = tokio::time::interval(BUCKET_SWEEP);
    let mut store = tokio::time::interval(STORE_SWEEP);
    let mut uses = tokio::time::interval(USES_SAVED);
    let mut poll = tokio::time::interval(ADVISORY_POLL);
    let mut dropped = 0;
    let mut sweeping = Sweeping::begin(gateway.core.clock().now(), clock::elapsed());
    loop {
        tokio::select! {
            _ = buckets.tick() => {
                let (gateway, slots) = (Arc::clone(&gateway), Arc::clone(&slots));
                // With many addresses this takes milliseconds.
                let _ = tokio::task::spawn_blocking(move || {
                    gateway.admission.sweep();
                    gateway.routes.sweep();
                    gateway.turns.sweep();
                    gateway.throttle.sweep();
                    gateway.bounds.sweep();
                    gateway.lingering.sweep();
                    for places in [&gateway.under_way, &gateway.proxied] {
                        places.sweep();
                    }
                    for slots in [&gateway.agents, &slots] {
                        slots.sweep();
                    }
                    for destination in &gateway.destinations {
                        if let Destination::Http(upstream) = destination {
                            upstream.sweep();
                        }
                    }
                }).await;
            }
            _ = uses.tick() => save_uses(&gateway.core).await,
            _ = store.tick() => {
                let (now, store) = (gateway.core.clock().now(), gateway.core.store());
                sweeping.sweep(&**store, now, clock::elapsed()).await;
                let now_dropped = gateway.sink.dropped();
                if now_dropped > dropped {
                    tracing::warn!(lines = now_dropped - dropped, "log lines dropped: the output is too slow or fails");
                    dropped = now_dropped;
                }
            }
            _ = poll.tick(), if advisory.is_some() => {
                let advisory = advisory.clone();
                let read = move || read_advisory(advisory.as_deref());
                if let Ok(read) = tokio::task::spawn_blocking(read).await {
                    gateway.advisory.store(Arc::new(read));
                }
            }
        }
    }
}

/// Saves when keys and sessions were last used.
async fn save_uses(core: &Core) {
    if let Err(error) = core.save_key_uses().await {
        tracing::warn!(%error, "last uses of keys not written down");
    }
    if let Err(error) = core.save_session_uses().await {
        tracing::warn!(%error, "last uses of sessions not saved");
    }
}

const MAX_ADVISORY_BYTES: u64 = 1 << 20;

/// `{"pending_update": "1.2.3", "cves": ["CVE-…"]}`; absent members and an absent
/// file say nothing.
fn read_advisory(path: Option<&Path>) -> Advisory {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        pending_update: Option<String>,
        #[serde(default)]
        cves: Vec<String>,
    }
    let Some(path) = path else {
        return Advisory::default();
    };
    let read = std::fs::File::open(path)
        .and_then(|file| files::read_at_most(file, MAX_ADVISORY_BYTES))
        .and_then(|bytes| serde_json::from_slice::<File>(&bytes).map_err(io::Error::other));
    match read {
        Ok(File { pending_update, cves }) => Advisory { pending_update, cves },
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "advisory file not read");
            Advisory::default()
        }
    }
}
