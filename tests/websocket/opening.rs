//! How a tunnel opens: by every credential, and when both sides have agreed.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::{Client, basic, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD};
use crate::support::raw::raw;
use crate::support::socket::send;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Upstream, read_head};
use crate::support::websocket::open_socket;

use super::{KEY, bearer, gateway_to, handshake, ticket};

#[tokio::test]
async fn every_credential_opens_a_tunnel_for_messages_both_ways() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let ticket = ticket(&gateway, &token).await;
    let callers = [
        ("basic", "/app".to_owned(), ("authorization", basic(ADMIN, ADMIN_PASSWORD))),
        ("bearer", "/app".to_owned(), ("authorization", bearer(&token))),
        ("api-key", "/app".to_owned(), ("authorization", bearer(&key))),
        ("api-key", "/app".to_owned(), ("x-api-key", key.clone())),
        ("ws-token", format!("/stream?token={ticket}"), ("x-none", String::new())),
    ];
    for (scheme, target, (name, value)) in callers {
        let mut tunnel = Tunnel::opened(&gateway, &target, &[(name, &value)]).await;
        tunnel.check_open().await;
        tunnel.check_echo(Message::binary(vec![7; 1 << 20])).await;
        tunnel.send(Message::Ping("are you there".into())).await;
        assert_eq!(tunnel.receive().await, Message::Pong("are you there".into()));
        let handshake = upstream.next_request().await;
        assert_eq!(handshake.field("x-portcullis-scheme"), Some(scheme));
        assert_eq!(handshake.field("x-portcullis-username"), Some(ADMIN));
        assert_eq!(handshake.field("authorization"), None);
        assert_eq!(handshake.field("x-api-key"), None);
    }
}

#[tokio::test]
async fn nobody_opens_a_tunnel_without_a_credential_unless_the_route_is_public() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    Tunnel::opened(&gateway, "/open", &[]).await.check_open().await;
    let anonymous = Client::anonymous(&gateway);
    open_socket(&anonymous, "/app").await.refused(401, "AUTHENTICATION_REQUIRED");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn subprotocols_are_agreed_between_client_and_upstream() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let offer = [("sec-websocket-protocol", "chat, superchat"), ("origin", "https://app.example")];
    let (mut tunnel, response) =
        Tunnel::open(&gateway, "/open?room=1", &offer).await.expect("a tunnel");
    tunnel.check_open().await;
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    let handshake = upstream.next_request().await;
    assert_eq!(handshake.target(), "/open?room=1");
    assert_eq!(handshake.field("sec-websocket-protocol"), Some("chat, superchat"));
    assert_eq!(handshake.field("origin"), Some("https://app.example"));
}

#[tokio::test]
async fn bytes_right_behind_the_upstream_s_agreement_are_not_lost() {
    let upstream = Upstream::raw(|mut wire| async move {
        let Some(head) = read_head(&mut wire).await else { return };
        let mut answer = agreement(&head).into_bytes();
        // A text frame in the same segment.
        answer.extend(b"\x81\x05early");
        send(&mut wire, &answer).await;
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    })
    .await;
    let gateway = gateway_to(&upstream, "").await;
    let mut tunnel = Tunnel::opened(&gateway, "/open", &[]).await;
    assert_eq!(tunnel.receive().await, Message::text("early"));
}

/// 101 with the `Sec-WebSocket-Accept` that this handshake asks for.
pub(super) fn agreement(head: &str) -> String {
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-key").then_some(value))
        .expect("a handshake has a key");
    let accept = derive_accept_key(key.trim().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

#[tokio::test]
async fn an_agreement_that_does_not_fit_the_handshake_opens_nothing() {
    let wrong = derive_accept_key(b"another key");
    let right = derive_accept_key(KEY.as_bytes());
    let check = async |fields: String, status: u16| {
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
        let upstream = Upstream::saying(answer).await;
        let gateway = gateway_to(&upstream, "").await;
        let mut stream = raw(&gateway).await;
        stream.send(handshake("/open")).await;
        let answer = stream.read_response().await;
        assert_eq!(answer.status, status, "{fields}");
    };
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    // The key is the client's own: a gateway that makes a new one would fail the
    // first check.
    check_any_key(upgrade).await;
    check(format!("{upgrade}Sec-WebSocket-Accept: {wrong}\r\n"), 502).await;
    check(upgrade.to_owned(), 502).await;
    check(format!("Connection: Upgrade\r\nSec-WebSocket-Accept: {right}\r\n"), 502).await;
    check(format!("Connection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: {right}\r\n"), 502)
        .await;
}

/// The control: the same upstream with the accept value that was asked for.
async fn check_any_key(upgrade: &'static str) {
    let upstream = Upstream::raw(move |mut wire| async move {
        let Some(head) = read_head(&mut wire).await else { return };
        assert!(agreement(&head).contains(upgrade));
        send(&mut wire, agreement(&head).as_bytes()).await;
    })
    .await;
    let gateway = gateway_to(&upstream, "").await;
    let mut stream = raw(&gateway).await;
    stream.send(handshake("/open")).await;
    let answer = stream.read_response().await.expect(101);
    assert_eq!(answer.field("sec-websocket-accept"), derive_accept_key(KEY.as_bytes()));
}
