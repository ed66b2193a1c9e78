//! The composition root: the only file that knows every other. It puts the parts
//! together, starts them, and stops them in order.

mod accepting;
mod advisory;
mod archives;
mod assemble;
pub mod connectivity;
mod console;
mod endpoints;
pub mod first_account;
mod housekeeping;
mod made_up_password;
mod notices;
mod open_core;
mod own_files;
mod permissions;
mod signals;
mod start_error;
mod stores;
mod sweeping;

pub use archives::{begin_import, find_archive, find_beside_import, scratch_archive};
pub use endpoints::own_endpoints;
pub use first_account::FIRST_ACCOUNT;
pub use open_core::{github, open_core};
pub use own_files::{Forgotten, forget_password, holds_gateway, judge_store, make_directory};
pub use start_error::StartError;
pub use stores::check_store;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::auth::Core;
use crate::auth::account::Account;
use crate::auth::federation::IdentityProvider;
use crate::auth::ports::StoreState;
use crate::auth::secret::Secret;
use crate::background::Background;
use crate::clock;
use crate::config::warning::Warning;
use crate::config::{self, Config, Transport};
use crate::edge::accept::{self, Listening};
use crate::edge::certificates::{self, Loaded};
use crate::edge::service::Edge;
use crate::files::Directory;
use crate::lifecycle::Lifecycle;
use crate::pipeline::Gateway;
use crate::slots::Slots;
use crate::socket;
use crate::telemetry::sink::Sink;

use accepting::Accepting;
use assemble::{assemble, destinations, site};
use endpoints::{endpoints, reachable_routes};
use first_account::{
    FirstAccount, FirstPassword, PasswordPlace, forget_former, make_admin, make_admin_later,
};
use housekeeping::{keep_house, save_uses};
use open_core::mailer;
use signals::Signals;
use sweeping::Sweeping;

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
/// Why it could not start, or that a listener has failed.
pub async fn run(
    config: Config,
    sink: Sink,
    place: PasswordPlace,
    mut tell: impl FnMut(&Config, Fact),
) -> Result<(), StartError> {
    // Signals first: one that comes during the start is not lost.
    let mut signals = Signals::listen()?;

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
    let (core, snapshots) = open_core(&config, &secret, github, mailer(&config)?).await?;
    let core = Arc::new(core);
    let admin = {
        let _lock = directory.lock();
        make_admin(&config, &core, &directory, place).await?
    };
    let late = matches!(admin, FirstAccount::Unknown);
    let mut background = Background::default();
    log_warnings(&warnings);
    match admin {
        FirstAccount::Made(password) => tell(&config, Fact::AdminMade(password)),
        FirstAccount::Present => {
            if let Some(kept) = look_at_accounts(&config, &core, &directory, &mut tell) {
                let forget = forget_former(config.clone(), Arc::clone(&core), kept);
                background.run_once("former first password", forget);
            }
        }
        FirstAccount::Unknown => {}
    }
    notices::give(&config, &core).await;
    let lifecycle = Lifecycle::default();
    let tls = match loaded {
        Some(loaded) => loaded.server,
        None => certificates::no_certificate()?,
    };
    let site = site(&config, console, tls, core.store().buckets())?;
    let gateway = Arc::new(assemble(&config, Arc::clone(&core), site, (lifecycle.clone(), sink)));
    let edge = Arc::new(Edge {
        slots: Slots::unnumbered(),
        lingering: Arc::clone(&gateway.lingering),
        counters: Arc::clone(&gateway.counters),
        lifecycle: lifecycle.clone(),
        clock: Arc::clone(core.clock()),
    });
    // Whoever hears that it listens may command it.
    let socket = socket::serve(&directory, Arc::clone(&gateway), snapshots)?;
    let first = sockets.first().map(|(_, address)| *address);
    let mut accepting = accept_connections(&config, &edge, &gateway, sockets, &mut tell);
    let slots = Arc::clone(&edge.slots);
    let (house, advisory) = (Arc::clone(&gateway), config.health.advisory_file.clone());
    let sweeping = Sweeping::begin(core.clock().now(), clock::elapsed());
    let sweeping = Arc::new(tokio::sync::Mutex::new(sweeping));
    background.keep_running("housekeeping", move || {
        let (house, slots, sweeping) = (&house, &slots, &sweeping);
        keep_house(Arc::clone(house), Arc::clone(slots), advisory.clone(), Arc::clone(sweeping))
    });
    if late {
        let core = Arc::clone(&gateway.core);
        background.run_once("first account", make_admin_later(config.clone(), core));
    }
    tell(&config, Fact::Ready { address: first });

    let lost = tokio::select! {
        signal = signals.stop() => {
            tracing::info!(signal, "stopping");
            None
        }
        address = accepting.lost() => {
            tracing::error!(%address, "stopping: listener failed");
            Some(address)
        }
    };
    let stopping = async {
        drain(&lifecycle, &mut accepting, &config).await;
        drop(background);
        save_uses(&gateway.core).await;
    };
    tokio::select! {
        () = stopping => {}
        signal = signals.stop() => {
            lifecycle.begin_draining();
            let connections = lifecycle.tasks();
            tracing::warn!(signal, connections, "stopping immediately: second signal received");
        }
    }
    drop(socket);
    tracing::info!("stopped");
    lost.map_or(Ok(()), |address| Err(StartError::ListenerLost { address }))
}

fn accept_connections(
    config: &Config,
    edge: &Arc<Edge>,
    gateway: &Arc<Gateway>,
    sockets: Vec<(TcpListener, std::net::SocketAddr)>,
    tell: &mut impl FnMut(&Config, Fact),
) -> Accepting {
    let mut accepting = Accepting::default();
    for (listener, (socket, address)) in config.listeners.iter().zip(sockets) {
        let tls = listener.transport == Transport::Tls;
        let listening = Listening {
            edge: Arc::clone(edge),
            service: Arc::clone(gateway),
            address: address.to_string().into(),
            transport: listener.transport,
            proxy_protocol: listener.proxy_protocol,
        };
        accepting.begin(address, accept::run(Arc::new(listening), socket));
        tell(config, Fact::Listening { address, tls });
    }
    accepting
}

/// Lets what has begun come to its end, within the time that is configured for that.
async fn drain(lifecycle: &Lifecycle, accepting: &mut Accepting, config: &Config) {
    lifecycle.begin_stopping();
    tokio::time::sleep(config.timeouts.drain_delay).await;
    lifecycle.begin_draining();
    // They end at once, and track what they have accepted.
    accepting.ended().await;
    if !lifecycle.wait(config.timeouts.drain).await {
        tracing::warn!(connections = lifecycle.tasks(), "drain deadline passed");
    }
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

/// What an operator would not think of in a store that has accounts already. Returns the
/// first password that still lies there.
fn look_at_accounts(
    config: &Config,
    core: &Arc<Core>,
    directory: &Directory,
    tell: &mut impl FnMut(&Config, Fact),
) -> Option<Secret> {
    if config.auth.admin_password.is_some() {
        tell(config, Fact::AdminPasswordUnused);
    }
    let is_known = core.store().health().is_none_or(|health| health.state == StoreState::Live);
    if is_known && core.standing().count_accounts(Account::administers) == 0 {
        let remedy = "portcullis user roles NAME admin gives it";
        tracing::warn!(remedy, "no account has the role admin, the admin API is unusable");
    }
    own_files::kept_password(directory)
}

/// Everything that `check` looks at beyond the file itself, without changing
/// anything.
///
/// # Errors
/// What would keep the gateway from starting.
pub fn check(config: &Config) -> Result<(), StartError> {
    own_files::check(config, Directory::look)?;
    let destinations = destinations(config)?;
    config.github.as_ref().map(github).transpose()?;
    reachable_routes(config, &endpoints(config, console::open(config)?)?, &destinations)?;
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

fn needs_certificate(config: &Config) -> bool {
    config.listeners.iter().any(|listener| listener.transport == Transport::Tls)
}

fn load_certificate(config: &Config) -> Result<Option<Loaded>, StartError> {
    if needs_certificate(config) { Ok(Some(certificates::load(&config.tls)?)) } else { Ok(None) }
}
