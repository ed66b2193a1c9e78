//! How a tunnel ends: with either side, with the gateway, or with its credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use crate::support::client::{Client, basic, sign_in, sign_in_admin};
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::socket::Dial;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Upstream, read_head};
use crate::support::{eventually, within};

use super::opening::agreement;
use super::{bearer, gateway_to, ticket};

async fn bearer_tunnel(gateway: &Gateway, token: &str) -> Tunnel {
    Tunnel::opened(gateway, "/app", &[("authorization", &bearer(token))]).await
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_tunnel_upstream() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let mut tunnel = Tunnel::opened(&gateway, "/open", &[]).await;
    tunnel.check_open().await;
    drop(tunnel);
    upstream.disconnected().await;
}

#[tokio::test]
async fn a_close_of_the_client_is_answered_by_the_upstream() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let mut tunnel = Tunnel::opened(&gateway, "/open", &[]).await;
    tunnel.check_open().await;
    let frame = CloseFrame { code: 4000.into(), reason: "enough".into() };
    tunnel.send(Message::Close(Some(frame))).await;
    assert_eq!(tunnel.closed().await, Some(4000));
    upstream.disconnected().await;
}

#[tokio::test]
async fn a_gateway_that_stops_closes_tunnels_with_going_away() {
    let upstream = Upstream::websocket().await;
    let mut gateway = gateway_to(&upstream, "").await;
    let mut tunnel = Tunnel::opened(&gateway, "/open", &[]).await;
    tunnel.check_open().await;
    let (ended, code) = tokio::join!(gateway.stop(), tunnel.closed());
    assert_eq!(code, Some(1001));
    assert!(ended.status.success(), "{ended:?}");
    upstream.disconnected().await;
}

/// An upstream that sends one message after another, and how many bytes were taken.
async fn talkative(message: Vec<u8>) -> (Upstream, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let mut frame = vec![0x82, 127];
    frame.extend((message.len() as u64).to_be_bytes());
    frame.extend(message);
    let upstream = Upstream::raw(move |mut wire| {
        let (frame, count) = (frame.clone(), Arc::clone(&count));
        async move {
            let Some(head) = read_head(&mut wire).await else { return };
            let mut bytes = agreement(&head).into_bytes();
            loop {
                bytes.extend(&frame);
                for piece in bytes.chunks(4096) {
                    if wire.write_all(piece).await.is_err() {
                        return;
                    }
                    count.fetch_add(piece.len(), Ordering::Relaxed);
                }
                bytes.clear();
            }
        }
    });
    (upstream.await, taken)
}

/// Also when the client has long not read, and the gateway holds what it will not take.
/// In clear, where nothing else holds it.
#[tokio::test]
async fn the_message_under_way_is_whole_when_the_gateway_closes_behind_it() {
    let message: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
    let (upstream, taken) = talkative(message.clone()).await;
    let clear = "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\n";
    let mut gateway = gateway_to(&upstream, clear).await;
    let opening = client_async("ws://localhost/open", Dial::new(&gateway).tcp().await);
    let (mut client, _) = within("a tunnel", opening).await.expect("a tunnel");
    let mut before = 0;
    eventually("everything to be full", async || {
        let now = taken.load(Ordering::Relaxed);
        (std::mem::replace(&mut before, now) == now && now > 0).then_some(())
    })
    .await;
    let reading = async {
        loop {
            match client.next().await.expect("a close frame").expect("a message") {
                Message::Binary(payload) => assert!(payload == message, "another message"),
                Message::Close(frame) => return frame.map(|frame| u16::from(frame.code)),
                other => panic!("nobody said {other:?}"),
            }
        }
    };
    let (_, code) = tokio::join!(gateway.stop(), within("the tunnel to close", reading));
    assert_eq!(code, Some(1001));
}

#[tokio::test]
async fn logging_out_closes_the_tunnels_of_that_token_only() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let ending = sign_in_admin(&gateway).await.access;
    let staying = sign_in_admin(&gateway).await.access;
    let mut ended = bearer_tunnel(&gateway, &ending).await;
    let target = format!("/stream?token={}", ticket(&gateway, &ending).await);
    let mut ended_by_ticket = Tunnel::opened(&gateway, &target, &[]).await;
    let mut stays = bearer_tunnel(&gateway, &staying).await;
    for tunnel in [&mut ended, &mut ended_by_ticket, &mut stays] {
        tunnel.check_open().await;
    }
    Client::bearer(&gateway, &ending).post("/api/logout").await.expect(200);
    assert_eq!(ended.closed().await, Some(4401));
    assert_eq!(ended_by_ticket.closed().await, Some(4401));
    stays.check_open().await;
}

#[tokio::test]
async fn a_new_password_closes_the_tunnels_of_all_other_sessions() {
    const OLD: &str = "alice's password";
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    gateway.add_user("alice", OLD, &[]).await;
    let changing = sign_in(&gateway, "alice", OLD).await.access;
    let other = sign_in(&gateway, "alice", OLD).await.access;
    let mut own = bearer_tunnel(&gateway, &changing).await;
    let mut others = bearer_tunnel(&gateway, &other).await;
    let by_password = [("authorization", basic("alice", OLD))];
    let by_password = by_password.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut by_password = Tunnel::opened(&gateway, "/app", &by_password).await;
    for tunnel in [&mut own, &mut others, &mut by_password] {
        tunnel.check_open().await;
    }
    let change = json!({ "current_password": OLD, "new_password": "alice's new password" });
    Client::bearer(&gateway, &changing)
        .post_json("/api/change-password", &change)
        .await
        .expect(200);
    assert_eq!(others.closed().await, Some(4401));
    assert_eq!(by_password.closed().await, Some(4401));
    own.check_open().await;
}

#[tokio::test]
async fn a_revoked_key_closes_its_tunnels() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let (id, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let (_, other_key) = gateway.create_key(ADMIN, &[], &[]).await;
    let mut ended = Tunnel::opened(&gateway, "/app", &[("x-api-key", &key)]).await;
    let mut stays = Tunnel::opened(&gateway, "/app", &[("x-api-key", &other_key)]).await;
    for tunnel in [&mut ended, &mut stays] {
        tunnel.check_open().await;
    }
    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;
    assert_eq!(ended.closed().await, Some(4401));
    stays.check_open().await;
}

#[tokio::test]
async fn a_disabled_user_loses_every_tunnel() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    gateway.add_user("alice", "alice's password", &[]).await;
    let token = sign_in(&gateway, "alice", "alice's password").await.access;
    let (_, key) = gateway.create_key("alice", &[], &[]).await;
    let mut by_token = bearer_tunnel(&gateway, &token).await;
    let mut by_key = Tunnel::opened(&gateway, "/app", &[("x-api-key", &key)]).await;
    let mut public = Tunnel::opened(&gateway, "/open", &[]).await;
    for tunnel in [&mut by_token, &mut by_key, &mut public] {
        tunnel.check_open().await;
    }
    gateway.manage(&["user", "disable", "alice"], None).await;
    assert_eq!(by_token.closed().await, Some(4401));
    assert_eq!(by_key.closed().await, Some(4401));
    public.check_open().await;
}

#[tokio::test]
async fn a_tunnel_ends_when_its_token_expires() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "[dialect.status]\naccess_ttl = \"3s\"\n").await;
    let token = sign_in_admin(&gateway).await.access;
    let mut tunnel = bearer_tunnel(&gateway, &token).await;
    assert_eq!(tunnel.closed().await, Some(4401));
    Client::bearer(&gateway, &token).get("/app").await.refused(401, "INVALID_TOKEN");
}

/// Also when the token had been given for a ticket, which itself is spent long ago.
#[tokio::test]
async fn a_tunnel_opened_by_ticket_ends_when_the_token_behind_it_expires() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "[dialect.status]\naccess_ttl = \"3s\"\n").await;
    let token = sign_in_admin(&gateway).await.access;
    let target = format!("/stream?token={}", ticket(&gateway, &token).await);
    let mut tunnel = Tunnel::opened(&gateway, &target, &[]).await;
    tunnel.check_open().await;
    assert_eq!(tunnel.closed().await, Some(4401));
    Client::bearer(&gateway, &token).get("/app").await.refused(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn a_tunnel_of_a_rotated_key_ends_with_the_overlap() {
    const KEYS: &str = "/api/v1/auth/keys";
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let admin = Client::admin(&gateway);
    let made = admin.post_json(KEYS, &json!({ "name": "ci" })).await.expect(201).json();
    let text = |member: &str| made[member].as_str().expect("a text").to_owned();
    let key = text("apiKey");
    let mut old = Tunnel::opened(&gateway, "/app", &[("x-api-key", &key)]).await;
    old.check_open().await;
    let path = format!("{KEYS}/{}/rotate", text("keyId"));
    let rotated = admin.post_json(&path, &json!({ "overlapSeconds": 1 })).await.expect(201).json();
    let successor = rotated["apiKey"].as_str().expect("a key");
    let mut new = Tunnel::opened(&gateway, "/app", &[("x-api-key", successor)]).await;
    assert_eq!(old.closed().await, Some(4401));
    new.check_open().await;
    Client::api_key(&gateway, &key).get("/app").await.expect(401);
}
