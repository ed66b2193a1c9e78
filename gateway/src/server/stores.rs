//! The configured store, opened.

use std::sync::Arc;

use crate::auth::ports::{AccountLimits, Store};
use crate::auth::standing::Standing;
use crate::auth::time::Seconds;
use crate::config::{self, Config, NodeAddress, UpstreamTls};
use crate::crypto::entropy::SystemEntropy;
use crate::store::archive::Snapshots;
use crate::store::embedded::{Checked, EmbeddedStore, Location};
use crate::store::shared::{self, SharedStore};
use crate::trust::Connector;

use super::StartError;

pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    /// Of an engine that only this process can read.
    pub(super) snapshots: Option<Arc<dyn Snapshots>>,
}

pub(super) async fn open_store(
    config: &Config,
    standing: &Arc<Standing>,
    token_ttl: Seconds,
) -> Result<Opened, StartError> {
    let standing = Arc::clone(standing);
    let Some(shared) = &config.store.shared else {
        let location = Location::in_directory(&config.store.directory);
        let store = EmbeddedStore::open(&location, standing, token_ttl)?;
        let store = Arc::new(store.with_limits(account_limits(config)));
        return Ok(Opened { store: Arc::clone(&store) as Arc<dyn Store>, snapshots: Some(store) });
    };
    let settings = shared_settings(shared, token_ttl)?;
    let settings = shared::Settings { limits: account_limits(config), ..settings };
    let entropy = Arc::new(SystemEntropy::default());
    let store = SharedStore::open(settings, standing, entropy).await?;
    Ok(Opened { store: Arc::new(store), snapshots: None })
}

/// Looks whether the store is whole. No gateway may have it open.
///
/// # Errors
/// When it cannot be opened.
pub fn check_store(config: &Config) -> Result<Checked, StartError> {
    Ok(EmbeddedStore::check(&Location::in_directory(&config.store.directory))?)
}

pub(super) fn account_limits(config: &Config) -> AccountLimits {
    let limits = &config.limits;
    AccountLimits { sessions: limits.sessions_per_account, keys: limits.keys_per_account }
}

/// # Errors
/// When the authorities of its TLS cannot be read.
pub(super) fn shared_settings(
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
