//! Three gateways that share a Redis, each behind a wire of its own that can be broken.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::fault_proxy::FaultProxy;
use crate::support::fresh_host;
use crate::support::gateway::{Builder, Gateway};
use crate::support::redis::{RedisServer, USER};

pub(super) const REPLICAS: usize = 3;

pub(super) struct Fleet {
    pub(super) redis: RedisServer,
    pub(super) wires: Vec<FaultProxy>,
    pub(super) gateways: Vec<Gateway>,
}

impl Fleet {
    pub(super) async fn start(config: &str) -> Self {
        let redis = RedisServer::start().await;
        let mut wires = Vec::new();
        let mut gateways = Vec::new();
        for replica in 0..REPLICAS {
            let wire = FaultProxy::start(redis.address()).await;
            let url = format!("redis://{USER}@{}/0", wire.address());
            let builder = match other_build(replica) {
                Some(binary) => joining(&url, config).binary(&binary),
                None => joining(&url, config),
            };
            gateways.push(builder.start().await);
            wires.push(wire);
        }
        Self { redis, wires, gateways }
    }

    /// The last that each replica has logged of itself, without what it logs of requests.
    pub(super) fn events(&self) -> Vec<String> {
        let mut events = Vec::new();
        for gateway in &self.gateways {
            let lines = gateway.log_lines();
            let own = lines.iter().filter(|line| line["type"].is_null()).map(Value::to_string);
            let own: Vec<String> = own.collect();
            events.extend_from_slice(&own[own.len().saturating_sub(12)..]);
        }
        events
    }

    /// Waits until every replica reaches the store and has delivered what it held.
    pub(super) async fn settle(&self) {
        for gateway in &self.gateways {
            is_live(gateway).await;
        }
    }
}

/// One more gateway of those at this store, at an address that it keeps over restarts.
pub(super) async fn join(url: &str, config: &str) -> Gateway {
    joining(url, config).start().await
}

fn joining(url: &str, config: &str) -> Builder {
    let listener = format!("[[listener]]\naddress = \"{}:8443\"\n", fresh_host());
    let config = format!("{listener}{config}");
    Gateway::builder().config(&config).shared_store(url)
}

/// The build that this replica runs, if it is not the one under test: `OTHER_BUILD` at the
/// replicas that `OTHER_REPLICAS` lists with commas (`tests/versions/run`).
fn other_build(replica: usize) -> Option<PathBuf> {
    let binary = std::env::var_os("OTHER_BUILD")?;
    let replicas = std::env::var("OTHER_REPLICAS").expect("OTHER_BUILD comes with OTHER_REPLICAS");
    let runs_it = replicas.split(',').any(|listed| {
        let listed: usize = listed.parse().expect("OTHER_REPLICAS lists numbers");
        assert!(listed < REPLICAS, "there is no replica {listed}");
        listed == replica
    });
    runs_it.then(|| binary.into())
}

/// What a gateway says of its way to the store.
pub(super) async fn store_health(gateway: &Gateway) -> Value {
    Client::anonymous(gateway).get("/health").await.json()["store"].take()
}

pub(super) async fn is_live(gateway: &Gateway) {
    eventually("the store to be live", async || {
        let health = store_health(gateway).await;
        (health["state"] == "live" && health["undelivered"] == 0).then_some(())
    })
    .await;
}

pub(super) async fn is_unreachable(gateway: &Gateway) {
    eventually("the loss to show", async || {
        (store_health(gateway).await["state"] == "unreachable").then_some(())
    })
    .await;
}
