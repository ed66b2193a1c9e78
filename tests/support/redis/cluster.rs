//! Three masters that share the slots.

use super::talk::Reply;
use super::{CLUSTER_PORT, RedisServer, USER, eventually};

const SLOTS: usize = 16384;

pub struct Cluster {
    pub masters: Vec<RedisServer>,
}

impl Cluster {
    pub async fn start() -> Self {
        let mut masters = Vec::new();
        for number in 0..3 {
            let builder = RedisServer::builder();
            let announced = format!("cluster-announce-ip {}", builder.host);
            let master = builder
                .set("cluster-enabled yes")
                .set("cluster-node-timeout 1000")
                .set(&format!("cluster-port {CLUSTER_PORT}"))
                .set(&announced);
            let master = master.start().await;
            let [first, last] = [number, number + 1].map(|share| (SLOTS * share / 3).to_string());
            let last = (last.parse::<usize>().expect("a slot") - 1).to_string();
            master.tell(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await;
            master.tell(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
            masters.push(master);
        }
        for other in &masters[1..] {
            let [host, port, bus] =
                [other.host.to_string(), super::PORT.to_string(), CLUSTER_PORT.to_string()];
            masters[0].tell(&["CLUSTER", "MEET", &host, &port, &bus]).await;
        }
        let cluster = Self { masters };
        for master in &cluster.masters {
            eventually("the cluster to stand", async || {
                let told = master.tell(&["CLUSTER", "INFO"]).await.text();
                let says = |line: &str| told.lines().any(|said| said == line);
                (says("cluster_state:ok") && says("cluster_known_nodes:3")).then_some(())
            })
            .await;
        }
        cluster
    }

    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.masters.iter().map(|master| master.address().to_string()).collect();
        format!("redis-cluster://{USER}@{}", addresses.join(","))
    }

    /// Which master holds the slot of this key.
    pub async fn owner(&self, key: &str) -> usize {
        for (index, master) in self.masters.iter().enumerate() {
            if !matches!(master.ask(&["TYPE", key]).await, Reply::Error(_)) {
                return index;
            }
        }
        panic!("nobody holds the slot of {key}")
    }

    /// Moves the slot of this key, with all that lies in it, while it is in use.
    pub async fn move_slot(&self, key: &str) {
        let from = self.owner(key).await;
        let source = &self.masters[from];
        let target = &self.masters[(from + 1) % self.masters.len()];
        let slot = source.tell(&["CLUSTER", "KEYSLOT", key]).await.number().to_string();
        let [source_id, target_id] = [
            source.tell(&["CLUSTER", "MYID"]).await.text(),
            target.tell(&["CLUSTER", "MYID"]).await.text(),
        ];
        target.tell(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]).await;
        source.tell(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]).await;
        let [host, port] = [target.host.to_string(), super::PORT.to_string()];
        loop {
            let keys = source.tell(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"]).await.texts();
            if keys.is_empty() {
                break;
            }
            let to = ["MIGRATE", &host, &port, "", "0", "5000", "REPLACE", "KEYS"];
            let keys = keys.iter().map(String::as_str);
            source.tell(&to.into_iter().chain(keys).collect::<Vec<_>>()).await;
        }
        let others = self.masters.iter().filter(|master| master.host != target.host);
        for master in std::iter::once(target).chain(others) {
            master.tell(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]).await;
        }
    }
}
