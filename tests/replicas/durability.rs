//! What `store.durability` promises, and that nothing is acknowledged without it.

use super::fleet::{is_live, join};
use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::redis::sentinels::Sentinels;
use crate::support::redis::{RedisServer, USER};

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

/// How often the server was asked to answer when the file has what was written.
async fn waits(redis: &RedisServer) -> u64 {
    let info = redis.tell(&["INFO", "commandstats"]).await.text();
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_waitaof:calls="));
    let calls = calls.and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

/// A killed server has lost nothing that the kernel had, so its file proves little: the
/// server counts who has waited for the disk.
#[tokio::test]
async fn with_fsync_every_change_waits_for_the_disk_before_it_is_acknowledged() {
    let mut redis = RedisServer::builder().valkey().set("appendfsync everysec").start().await;
    let gateway = join(&redis.url(), &with("fsync")).await;
    let mut before = waits(&redis).await;
    let mut expect_wait = async |change: &str| {
        let now = waits(&redis).await;
        assert!(now > before, "{change} was acknowledged without a wait");
        before = now;
    };
    gateway.add_user("ann", "a password of hers", &[]).await;
    expect_wait("a new account").await;
    let good = sign_in_admin(&gateway).await;
    expect_wait("a sign-in").await;
    let ended = sign_in_admin(&gateway).await;
    expect_wait("another sign-in").await;
    Client::bearer(&gateway, &ended.access).post("/api/logout").await.expect(200);
    expect_wait("a logout").await;
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
async fn with_fsync_nothing_is_acknowledged_whose_wait_is_refused() {
    let redis = RedisServer::builder().valkey().start().await;
    let careful = join(&redis.url(), &with("fsync")).await;
    let fast = join(&redis.url(), &with("fast")).await;
    for gateway in [&careful, &fast] {
        login_is(gateway, 200).await;
    }
    redis.tell(&["ACL", "SETUSER", USER, "-waitaof"]).await;
    login_is(&careful, 503).await;
    login_is(&fast, 200).await;
    redis.tell(&["ACL", "SETUSER", USER, "+waitaof"]).await;
    login_is(&careful, 200).await;
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
