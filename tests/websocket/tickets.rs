//! Tickets: for callers that can send no field, once.

use tokio::task::JoinSet;

use crate::support::client::{Client, Protocol, sign_in_admin};
use crate::support::tunnel::Tunnel;
use crate::support::upstream::Upstream;
use crate::support::websocket::open_socket;

use super::{gateway_to, ticket};

#[tokio::test]
async fn a_ticket_is_taken_out_of_the_query() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let token = sign_in_admin(&gateway).await.access;
    for (before, after) in [
        ("/stream/logs?token=TICKET", "/stream/logs"),
        ("/stream/logs?a=1&token=TICKET&b=%2f", "/stream/logs?a=1&b=%2f"),
        ("/stream/logs?token=TICKET&tokens=2", "/stream/logs?tokens=2"),
    ] {
        let target = before.replace("TICKET", &ticket(&gateway, &token).await);
        Tunnel::opened(&gateway, &target, &[]).await.check_open().await;
        let handshake = upstream.next_request().await;
        assert_eq!(handshake.target(), after);
        assert_eq!(handshake.field("x-portcullis-scheme"), Some("ws-token"));
    }
}

#[tokio::test]
async fn of_many_who_present_one_ticket_one_gets_in() {
    let upstream = Upstream::websocket().await;
    // Seven are going to fail from one address.
    let gateway = gateway_to(&upstream, "[limits]\nmax_login_attempts = 100\n").await;
    let token = sign_in_admin(&gateway).await.access;
    let target = format!("/stream?token={}", ticket(&gateway, &token).await);
    let mut racers = JoinSet::new();
    for _ in 0..8 {
        let client = Client::anonymous(&gateway);
        let target = target.clone();
        racers.spawn(async move { open_socket(&client, &target).await.status.as_u16() });
    }
    let mut statuses = racers.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [101, 401, 401, 401, 401, 401, 401, 401]);
    let late = open_socket(&Client::anonymous(&gateway), &target).await;
    late.refused(401, "INVALID_CREDENTIALS");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_ticket_is_good_for_upgrades_on_its_routes_only() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let token = sign_in_admin(&gateway).await.access;
    let anonymous = Client::anonymous(&gateway);
    let accepted = format!("/stream?token={}", ticket(&gateway, &token).await);
    open_socket(&anonymous, &accepted).await.expect(101);
    let elsewhere = format!("/app?token={}", ticket(&gateway, &token).await);
    open_socket(&anonymous, &elsewhere).await.refused(401, "AUTHENTICATION_REQUIRED");
    let fresh = format!("/stream?token={}", ticket(&gateway, &token).await);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        assert_eq!(anonymous.clone().protocol(protocol).get(&fresh).await.status, 401);
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_ticket_is_not_written_to_the_log() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "[log]\nlevel = \"trace\"\n").await;
    let token = sign_in_admin(&gateway).await.access;
    let ticket = ticket(&gateway, &token).await;
    let target = format!("/stream/here?token={ticket}");
    Tunnel::opened(&gateway, &target, &[]).await.check_open().await;
    open_socket(&Client::anonymous(&gateway), &target).await.expect(401);
    let is_upgrade = |status: u16| {
        move |line: &serde_json::Value| line["path"] == "/stream/here" && line["status"] == status
    };
    gateway.wait_for_log(is_upgrade(401)).await;
    gateway.wait_for_log(is_upgrade(101)).await;
    let log = format!("{:?}{}", gateway.log_lines(), gateway.stderr());
    assert!(!log.contains(&ticket), "{log}");
    assert!(!log.contains(&token), "{log}");
}
