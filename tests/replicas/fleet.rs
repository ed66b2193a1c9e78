//! Three gateways that share a Redis, each behind a wire of its own that can be broken.

use serde_json::Value;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::fault_proxy::FaultProxy;
use crate::support::fresh_host;
use crate::support::gateway::Gateway;
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
        for _ in 0..REPLICAS {
            let wire = FaultProxy::start(redis.address()).await;
            let url = format!("redis://{USER}@{}/0", wire.address());
            gateways.push(join(&url, config).await);
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
    let listener = format!("[[listener]]\naddress = \"{}:8443\"\n", fresh_host());
    let config = format!("{listener}{config}");
    Gateway::builder().config(&config).shared_store(url).start().await
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
