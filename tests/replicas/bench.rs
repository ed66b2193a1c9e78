//! The bench itself: every server serves, and every fault is what it is called.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::balancer::Balancer;
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::redis::cluster::Cluster;
use crate::support::redis::sentinels::Sentinels;
use crate::support::redis::talk::{Reply, Talk};
use crate::support::redis::{PASSWORD, RedisServer, USER};
use crate::support::{eventually, within};

/// Long enough for an answer that comes, in a test that none does.
const SILENCE: Duration = Duration::from_millis(300);

const KEY: &str = "{portcullis}:key";

async fn talk(address: SocketAddr) -> Talk {
    Talk::open(address).await.expect("a connection")
}

async fn is_silent(talk: &mut Talk) -> bool {
    tokio::time::timeout(SILENCE, talk.command(&["PING"])).await.is_err()
}

#[tokio::test]
async fn a_killed_server_comes_back_with_what_it_acknowledged() {
    let mut server = RedisServer::start().await;
    server.tell(&["SET", KEY, "value"]).await;
    server.kill();
    assert!(Talk::open(server.address()).await.is_err(), "nobody is there");
    server.restart().await;
    assert_eq!(server.ask(&["GET", KEY]).await.text(), "value");
}

#[tokio::test]
async fn the_user_of_a_gateway_needs_the_password_and_has_its_keys_only() {
    let server = RedisServer::start().await;
    let mut talk = talk(server.address()).await;
    let refused = talk.command(&["AUTH", USER, "another"]).await.expect("a reply");
    assert!(matches!(refused, Reply::Error(_)), "{refused:?}");
    talk.command(&["AUTH", USER, PASSWORD]).await.expect("a reply").text();
    talk.command(&["SET", KEY, "value"]).await.expect("a reply").text();
    let refused = talk.command(&["SET", "key", "value"]).await.expect("a reply");
    assert!(matches!(refused, Reply::Error(_)), "{refused:?}");
}

#[tokio::test]
async fn a_frozen_server_is_silent_until_it_thaws() {
    let server = RedisServer::start().await;
    let mut talk = talk(server.address()).await;
    server.freeze();
    assert!(is_silent(&mut talk).await);
    server.thaw();
    within("the late answer", server.ask(&["PING"])).await;
}

#[tokio::test]
async fn valkey_tells_when_a_change_is_on_disk() {
    let server = RedisServer::builder().valkey().start().await;
    let reply = server.ask(&["WAITAOF", "1", "0", "1000"]).await;
    assert!(matches!(reply, Reply::List(_)), "{reply:?}");
    let old = RedisServer::start().await.ask(&["WAITAOF", "1", "0", "1000"]).await;
    assert!(matches!(old, Reply::Error(_)), "{old:?}");
}

#[tokio::test]
async fn sentinels_promote_a_replica_when_asked_and_when_the_primary_dies() {
    let mut site = Sentinels::start(2).await;
    assert_eq!(site.primary().await, 0);
    site.failover().await;
    let primary = site.primary().await;
    site.servers[primary].kill();
    site.moved_on(primary).await;
}

#[tokio::test]
async fn a_slot_of_the_cluster_moves_with_its_keys() {
    let cluster = Cluster::start().await;
    let before = cluster.owner(KEY).await;
    cluster.masters[before].tell(&["SET", KEY, "value"]).await;
    cluster.move_slot(KEY).await;
    let after = cluster.owner(KEY).await;
    assert_ne!(before, after);
    assert_eq!(cluster.masters[after].tell(&["GET", KEY]).await.text(), "value");
}

#[tokio::test]
async fn every_fault_of_the_proxy_does_its_harm_and_ends() {
    let server = RedisServer::start().await;
    let proxy = FaultProxy::start(server.address()).await;
    let ping = &["PING"];

    let mut open = talk(proxy.address()).await;
    open.command(ping).await.expect("a reply");
    proxy.cut();
    eventually("the cut", async || open.command(ping).await.is_err().then_some(())).await;
    let mut open = talk(proxy.address()).await;

    proxy.set(Fault::Refused);
    let refused = async || Talk::open(proxy.address()).await.is_err().then_some(());
    eventually("a refusal", refused).await;
    eventually("its end", async || open.command(ping).await.is_err().then_some(())).await;
    proxy.set(Fault::None);
    let again = async || Talk::open(proxy.address()).await.ok();
    let mut open = eventually("a connection", again).await;

    proxy.set(Fault::Swallowed);
    assert!(is_silent(&mut open).await);
    assert!(is_silent(&mut talk(proxy.address()).await).await);
    proxy.set(Fault::Garbled);
    assert!(open.command(ping).await.is_err(), "what was swallowed does not come back");
    let mut open = talk(proxy.address()).await;
    assert!(open.command(ping).await.is_err(), "not a reply");
    proxy.set(Fault::Late(SILENCE));
    let mut open = talk(proxy.address()).await;
    assert!(is_silent(&mut open).await);
    proxy.set(Fault::None);
    talk(proxy.address()).await.command(ping).await.expect("a reply");
}

#[tokio::test]
async fn the_balancer_goes_round_and_past_the_dead() {
    let (first, second) = (RedisServer::start().await, RedisServer::start().await);
    let balancer = Balancer::start(vec![first.address(), second.address()]).await;
    let mut met = Vec::new();
    for _ in 0..3 {
        let mut talk = talk(balancer.address()).await;
        let info = talk.command(&["CONFIG", "GET", "bind"]).await.expect("a reply");
        met.push(info.texts().remove(1));
    }
    let [a, b] = [&first, &second].map(|server| server.address().ip().to_string());
    assert_eq!(met, [a.clone(), b, a]);
    drop(second);
    for _ in 0..2 {
        talk(balancer.address()).await.command(&["PING"]).await.expect("a reply");
    }
}
