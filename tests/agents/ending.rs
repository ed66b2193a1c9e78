//! How an agent's WebSocket ends: with its key, its user, or the gateway.

use crate::support::client::{Client, sign_in_admin};
use crate::support::gateway::ADMIN;
use crate::support::upstream::Upstream;

use super::{accepted, by_key, by_token, gateway_to, logged, opened, read_close};

#[tokio::test]
async fn a_revoked_key_closes_its_agents_and_no_others() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let (id, key) = gateway.create_server_key(ADMIN, &[]).await;
    let (_, other_key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut ended = accepted(&gateway, by_key(&key)).await;
    let mut stays = accepted(&gateway, by_key(&other_key)).await;
    for agent in [&mut ended, &mut stays] {
        agent.check_open().await;
    }
    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;
    assert_eq!(ended.closed().await, Some(4401));
    stays.check_open().await;
}

#[tokio::test]
async fn logging_out_closes_the_agents_of_that_token() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let token = sign_in_admin(&gateway).await.access;
    let mut agent = accepted(&gateway, by_token(&token)).await;
    agent.check_open().await;
    Client::bearer(&gateway, &token).post("/api/logout").await.expect(200);
    assert_eq!(agent.closed().await, Some(4401));
}

#[tokio::test]
async fn a_gateway_that_stops_closes_known_and_unknown_agents_with_going_away() {
    let upstream = Upstream::websocket().await;
    let mut gateway = gateway_to(&upstream, "").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut known = accepted(&gateway, by_key(&key)).await;
    known.check_open().await;
    let mut unknown = opened(&gateway).await;
    let (ended, known, unknown) =
        tokio::join!(gateway.stop(), known.closed(), read_close(&mut unknown));
    assert_eq!((known, unknown), (Some(1001), 1001));
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stdout.contains("\"reason\":\"stopping\""), "{ended:?}");
}

#[tokio::test]
async fn an_upstream_that_leaves_closes_its_agents() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut agent = accepted(&gateway, by_key(&key)).await;
    agent.check_open().await;
    logged(&gateway, "ok").await;
    drop(upstream);
    assert_eq!(agent.closed().await, None);
}
