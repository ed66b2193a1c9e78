//! What `store.durability` promises, and that nothing is acknowledged without it.

use super::fleet::{is_live, join};
use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::redis::RedisServer;
use crate::support::redis::sentinels::Sentinels;

fn with(durability: &str) -> String {
    format!("[store]\ndurability = \"{durability}\"\ntimeout = \"1s\"\n{ECHO}")
}

async fn login_is(gateway: &Gateway, status: u16) {
    eventually("that answer to a sign-in", async || {
        let answer = Client::anonymous(gateway).login(ADMIN, ADMIN_PASSWORD).await;
        (answer.status == status).then_some(())
    })
    .await;
}

/// `appendfsync no`: only what was waited for is on disk.
#[tokio::test]
async fn with_fsync_every_change_is_on_disk_before_it_is_acknowledged() {
    let mut redis = RedisServer::builder().valkey().set("appendfsync everysec").start().await;
    let gateway = join(&redis.url(), &with("fsync")).await;
    gateway.add_user("ann", "a password of hers", &[]).await;
    let (good, ended) = (sign_in_admin(&gateway).await, sign_in_admin(&gateway).await);
    Client::bearer(&gateway, &ended.access).post("/api/logout").await.expect(200);
    redis.kill();
    redis.restart().await;
    is_live(&gateway).await;
    let newcomer = join(&redis.url(), &with("fsync")).await;
    for gateway in [&gateway, &newcomer] {
        sign_in(gateway, "ann", "a password of hers").await;
        Client::bearer(gateway, &good.access).get("/").await.expect(200);
        Client::bearer(gateway, &ended.access).get("/").await.refused(401, "INVALID_TOKEN");
    }
}

#[tokio::test]
async fn with_fsync_nothing_is_acknowledged_that_the_file_does_not_have() {
    let redis = RedisServer::builder().valkey().start().await;
    let gateway = join(&redis.url(), &with("fsync")).await;
    login_is(&gateway, 200).await;
    redis.tell(&["CONFIG", "SET", "appendonly", "no"]).await;
    login_is(&gateway, 503).await;
    redis.tell(&["CONFIG", "SET", "appendonly", "yes"]).await;
    login_is(&gateway, 200).await;
}

#[tokio::test]
async fn with_replicated_nothing_is_acknowledged_that_no_replica_has() {
    let mut site = Sentinels::start(1).await;
    let gateway = join(&site.servers[0].url(), &with("replicated")).await;
    login_is(&gateway, 200).await;
    site.servers[1].freeze();
    login_is(&gateway, 503).await;
    site.servers[1].thaw();
    login_is(&gateway, 200).await;
    site.servers[1].kill();
    login_is(&gateway, 503).await;
}
