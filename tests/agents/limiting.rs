//! How many may wait to be known, and how many may be connected.

use serde_json::json;

use crate::support::client::sign_in_admin;
use crate::support::eventually;
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::raw::{RawStream, raw};
use crate::support::tunnel::Tunnel;
use crate::support::upstream::Upstream;

use super::{
    AGENTS, TEXT, accepted, by_key, by_token, frame, gateway_to, handshake, introduced, logged,
    opened, read_refusal,
};

async fn from(gateway: &Gateway, address: &str) -> RawStream {
    let mut agent = raw(gateway).await;
    agent.send(handshake(&format!("X-Forwarded-For: {address}\r\n"))).await;
    agent
}

#[tokio::test]
async fn so_many_of_one_address_wait_and_no_more() {
    let upstream = Upstream::websocket().await;
    let limit = "[limits]\nagents_unauthenticated_per_address = 2\n";
    let gateway = gateway_to(&upstream, limit).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut agent = from(&gateway, "192.0.2.7").await;
        agent.read_response().await.expect(101);
        waiting.push(agent);
    }
    let mut one_too_many = from(&gateway, "192.0.2.7").await;
    let answer = one_too_many.read_response().await;
    assert_eq!(answer.field("retry-after"), "1");
    answer.refused(429, "TOO_MANY_REQUESTS");
    let mut elsewhere = from(&gateway, "192.0.2.8").await;
    elsewhere.read_response().await.expect(101);
    gateway.counted(&["agents_over_address_limit"], 1).await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn so_many_wait_in_all_and_places_come_back() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "[limits]\nagents_unauthenticated = 3\n").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let (mut known, mut refused) = (opened(&gateway).await, opened(&gateway).await);
    let leaving = opened(&gateway).await;
    let mut one_too_many = raw(&gateway).await;
    one_too_many.send(handshake("")).await;
    one_too_many.read_response().await.refused(503, "SERVICE_UNAVAILABLE");
    gateway.counted(&["agents_over_limit"], 1).await;

    known.send(frame(TEXT, by_key(&key).as_bytes())).await;
    known.read_frame().await;
    refused.send(frame(TEXT, b"hello")).await;
    read_refusal(&mut refused).await;
    drop(leaving);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        // Who left is noticed when it has, and not before.
        let opened = eventually("a place", async || {
            let mut agent = raw(&gateway).await;
            agent.send(handshake("")).await;
            (agent.read_response().await.status == 101).then_some(agent)
        });
        waiting.push(opened.await);
    }
    known.send(frame(TEXT, b"still there?")).await;
    assert_eq!(known.read_frame().await, (TEXT, b"still there?".to_vec()));
}

/// One that is told that there are too many.
async fn check_one_too_many(gateway: &Gateway, key: &str, reason: &str) {
    let mut agent = Tunnel::opened(gateway, AGENTS, &[]).await;
    let words = json!({ "type": "auth_error", "message": "Too many connections" });
    assert_eq!(introduced(&mut agent, by_key(key)).await, words, "{reason}");
    assert_eq!(agent.closed().await, Some(1013), "{reason}");
    let line = logged(gateway, reason).await;
    assert_eq!((&line["decision"], &line["scheme"]), (&json!("refused"), &json!("api-key")));
    let audited =
        |line: &serde_json::Value| line["event"] == "account_bound" && line["reason"] == reason;
    assert_eq!(gateway.wait_for_log(audited).await["user"], line["user"]);
    gateway.counted(&[reason], 1).await;
    // With the key in the request it is an agent too.
    let refused = Tunnel::open(gateway, AGENTS, &[("x-api-key", key)]).await;
    assert_eq!(refused.err(), Some(429), "{reason}");
}

#[tokio::test]
async fn so_many_agents_of_a_server_a_key_and_an_owner_are_connected() {
    let upstream = Upstream::websocket().await;
    let limits = "keys = \"any\"\n[limits]\nagents_per_server = 2\nagents_per_key = 3\nagents_per_owner = 6\n\
                  streams_per_account = 1\n";
    let gateway = gateway_to(&upstream, limits).await;
    gateway.add_user("olga", "a password of hers", &[]).await;
    let server = async |name| gateway.manage(&["server", "add", name], None).await;
    let (web, other, third) = (server("web").await, server("other").await, server("third").await);
    let key = async |owner, server: &[&str]| gateway.create_key(owner, &[], server).await.1;
    let of_web = key(ADMIN, &["--server", &web]).await;
    let also_of_web = key(ADMIN, &["--server", &web]).await;
    let of_other = key(ADMIN, &["--server", &other]).await;
    let also_of_other = key(ADMIN, &["--server", &other]).await;
    let free = key(ADMIN, &[]).await;

    let mut open = vec![
        accepted(&gateway, by_key(&of_web)).await,
        accepted(&gateway, by_key(&also_of_web)).await,
    ];
    check_one_too_many(&gateway, &of_web, "agents_over_server_limit").await;
    // A key of no server comes in the request, and only where `keys` lets it.
    for _ in 0..3 {
        open.push(Tunnel::opened(&gateway, AGENTS, &[("x-api-key", &free)]).await);
    }
    let refused = Tunnel::open(&gateway, AGENTS, &[("x-api-key", &free)]).await;
    assert_eq!(refused.err(), Some(429));
    gateway.counted(&["agents_over_key_limit"], 1).await;
    open.push(accepted(&gateway, by_key(&of_other)).await);
    check_one_too_many(&gateway, &also_of_other, "agents_over_owner_limit").await;

    // A user's token is no agent's key, and others' agents are not concerned.
    let token = sign_in_admin(&gateway).await.access;
    accepted(&gateway, by_token(&token)).await.check_open().await;
    let hers = key("olga", &["--server", &third]).await;
    accepted(&gateway, by_key(&hers)).await.check_open().await;
    for agent in &mut open {
        agent.check_open().await;
    }
    drop(open.remove(0));
    let again = async || {
        let mut agent = Tunnel::opened(&gateway, AGENTS, &[]).await;
        (introduced(&mut agent, by_key(&also_of_web)).await["type"] == "auth_success")
            .then_some(agent)
    };
    eventually("a place that came back", again).await.check_open().await;
}
