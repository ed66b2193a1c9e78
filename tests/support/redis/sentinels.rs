//! A primary, its replicas, and three sentinels that watch them.

use super::{RedisServer, USER, eventually};
use crate::{DEADLINE, answered, within_time};

/// What the sentinels call the primary.
pub const NAME: &str = "portcullis-primary";

pub struct Sentinels {
    /// The first is the primary in the beginning.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<RedisServer>,
}

impl Sentinels {
    pub async fn start(replicas: usize) -> Self {
        let primary = RedisServer::builder();
        let first = primary.host.to_string();
        let mut servers = vec![announcing(primary).start().await];
        for _ in 0..replicas {
            let replica = RedisServer::builder().set(&format!("replicaof {first} {}", super::PORT));
            servers.push(announcing(replica).start().await);
        }
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let sentinel = RedisServer::bare();
            let announced = format!("sentinel announce-ip {}", sentinel.host);
            let mut sentinel = sentinel
                .set(&announced)
                .set(&format!("sentinel monitor {NAME} {first} {} 2", super::PORT))
                .set(&format!("sentinel down-after-milliseconds {NAME} 500"))
                .set(&format!("sentinel failover-timeout {NAME} 1000"));
            sentinel.arguments = &["--sentinel"];
            let sentinel = sentinel.start().await;
            // They look after a replica that follows the wrong server every ten seconds.
            let hasten = ["SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "500"];
            sentinel.tell(&hasten).await;
            sentinels.push(sentinel);
        }
        let started = Self { servers, sentinels };
        started.agreed(replicas).await;
        started
    }

    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{USER}@{}/{NAME}/0", addresses.join(","))
    }

    /// Waits until every sentinel knows the others and all replicas, so that a failover can begin.
    async fn agreed(&self, replicas: usize) {
        for sentinel in &self.sentinels {
            eventually("the sentinels to agree", async || {
                let told = sentinel.tell(&["SENTINEL", "MASTER", NAME]).await.texts();
                let member = |name: &str| {
                    let at = told.iter().position(|word| word == name)?;
                    told[at + 1].parse::<usize>().ok()
                };
                let known = (member("num-slaves")?, member("num-other-sentinels")?);
                (known == (replicas, 2)).then_some(())
            })
            .await;
        }
        for replica in &self.servers[1..] {
            eventually("the replica to follow", async || {
                (replica.info("master_link_status").await == "up").then_some(())
            })
            .await;
        }
    }

    /// Which server the sentinels call the primary.
    pub async fn primary(&self) -> usize {
        let told = self.sentinels[0].tell(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).await;
        let host = &told.texts()[0];
        let named = self.servers.iter().position(|server| server.host.to_string() == *host);
        named.expect("the primary is one of the servers")
    }

    /// A failover that was asked for: the primary lives and becomes a replica. One that does
    /// not end in time is given up by the sentinels, and nobody but us begins another.
    pub async fn failover(&self) {
        let before = self.primary().await;
        let moved = answered(async || {
            if self.primary().await == before {
                self.sentinels[0].ask(&["SENTINEL", "FAILOVER", NAME]).await;
            }
            self.successor(before).await
        });
        within_time(3 * DEADLINE, "another primary", moved).await;
    }

    /// Waits until another server than this is the primary and knows it. Sentinels that do
    /// not agree at once wait before they try again.
    pub async fn moved_on(&self, before: usize) -> usize {
        let moved = answered(async || self.successor(before).await);
        within_time(3 * DEADLINE, "another primary", moved).await
    }

    async fn successor(&self, before: usize) -> Option<usize> {
        let primary = self.primary().await;
        let moved = primary != before && self.servers[primary].info("role").await == "master";
        moved.then_some(primary)
    }
}

/// Known by its own address: connections come from another.
fn announcing(builder: super::Builder) -> super::Builder {
    let line = format!("replica-announce-ip {}", builder.host);
    builder.set(&line)
}
