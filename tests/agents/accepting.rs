//! Agents that get through, and what the upstream learns of them.

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::{Client, basic, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::raw::raw;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::Upstream;

use super::{
    AGENTS, PING, PONG, TEXT, accepted, by_key, by_token, frame, gateway_to, handshake, introduced,
    logged, opened, refused,
};

#[tokio::test]
async fn a_key_in_the_first_message_opens_a_tunnel_under_its_identity() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let (id, key) = gateway.create_server_key(ADMIN, &["report"]).await;
    let mut agent = accepted(&gateway, by_key(&key)).await;
    agent.check_open().await;
    agent.check_echo(Message::binary(vec![7; 1 << 20])).await;
    let asked = upstream.next_request().await;
    for (name, value) in [
        ("x-portcullis-scheme", "api-key"),
        ("x-portcullis-key-id", &id),
        ("x-portcullis-scopes", "report"),
        ("x-portcullis-username", ADMIN),
        ("x-forwarded-host", "localhost"),
    ] {
        assert_eq!(asked.field(name), Some(value), "{name}");
    }
    assert!(!asked.headers.values().any(|value| value.as_bytes() == key.as_bytes()));
    let line = logged(&gateway, "ok").await;
    for (member, value) in [
        ("status", json!(101)),
        ("decision", json!("allowed")),
        ("scheme", json!("api-key")),
        ("user", json!(ADMIN)),
        ("route", json!(AGENTS)),
        ("upstream", json!("app")),
    ] {
        assert_eq!(line[member], value, "{member} of {line}");
    }
    assert!(line["upstream_ms"].is_number(), "{line}");
    assert_eq!(asked.field("x-request-id"), line["request_id"].as_str());
}

#[tokio::test]
async fn an_access_token_opens_one_too_and_no_other_token_does() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let pair = sign_in_admin(&gateway).await;
    let mut agent = Tunnel::opened(&gateway, AGENTS, &[("origin", "https://app.example")]).await;
    let success = introduced(&mut agent, by_token(&pair.access)).await;
    let me = Client::bearer(&gateway, &pair.access).get("/api/auth/me").await.expect(200).json();
    let id = success["user_id"].as_str().expect("the user's id");
    let user = Client::admin(&gateway).get(&format!("/api/admin/users/{id}")).await.expect(200);
    assert_eq!(user.json()["email"], me["data"]["email"]);
    let expected = json!({
        "type": "auth_success", "user_id": id, "message": "Connected successfully",
    });
    assert_eq!(success, expected, "and no server's");
    agent.check_open().await;
    let asked = upstream.next_request().await;
    assert_eq!(asked.field("x-portcullis-scheme"), Some("bearer"));
    assert_eq!(asked.field("x-portcullis-username"), Some(ADMIN));
    assert_eq!(asked.field("origin"), Some("https://app.example"));

    let mut agent = Tunnel::opened(&gateway, AGENTS, &[]).await;
    assert_eq!(refused(&mut agent, by_token(&pair.refresh)).await, Some(4401));
    logged(&gateway, "token_kind").await;
}

#[tokio::test]
async fn what_comes_behind_the_first_message_is_not_lost() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let many: Vec<u8> = (0..=u8::MAX).cycle().take(60_000).collect();
    let mut bytes = handshake("").into_bytes();
    bytes.extend(frame(TEXT, by_key(&key).as_bytes()));
    bytes.extend(frame(TEXT, b"early"));
    bytes.extend(frame(0x82, &many));
    bytes.extend(frame(TEXT, b"late"));
    // Whole, and so that every reader finds the ends of frames in odd places.
    for piece in [bytes.len(), 1000, 7] {
        let mut agent = raw(&gateway).await;
        for piece in bytes.chunks(piece) {
            agent.send(piece).await;
        }
        agent.read_response().await.expect(101);
        let (_, success) = agent.read_frame().await;
        assert!(success.starts_with(b"{\"type\":\"auth_success\""), "{success:?}");
        assert_eq!(agent.read_frame().await, (TEXT, b"early".to_vec()));
        assert!(agent.read_frame().await == (0x82, many.clone()));
        assert_eq!(agent.read_frame().await, (TEXT, b"late".to_vec()));
    }
}

#[tokio::test]
async fn a_first_message_may_come_in_parts_with_pings_between_them() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let message = by_key(&key);
    let (begin, rest) = message.as_bytes().split_at(9);
    let (middle, end) = rest.split_at(40);
    let mut agent = opened(&gateway).await;
    agent.send(frame(PING, b"ready?")).await;
    assert_eq!(agent.read_frame().await, (PONG, b"ready?".to_vec()));
    agent.send(frame(0x01, begin)).await;
    agent.send([frame(PING, b""), frame(PONG, b"unasked"), frame(0x00, middle)].concat()).await;
    assert_eq!(agent.read_frame().await, (PONG, Vec::new()));
    agent.send([frame(0x00, b""), frame(0x80, end)].concat()).await;
    let (first, success) = agent.read_frame().await;
    assert_eq!(first, TEXT);
    assert!(success.starts_with(b"{\"type\":\"auth_success\""), "{success:?}");
}

#[tokio::test]
async fn the_first_subprotocol_is_agreed_and_no_extension_is() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let wishes = [
        ("sec-websocket-protocol", "agent.v2, agent.v1"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ];
    let (mut agent, answer) = Tunnel::open(&gateway, AGENTS, &wishes).await.expect("a tunnel");
    assert_eq!(answer.headers()["sec-websocket-protocol"], "agent.v2");
    assert!(!answer.headers().contains_key("sec-websocket-extensions"));
    assert_eq!(introduced(&mut agent, by_key(&key)).await["type"], "auth_success");
    agent.check_open().await;
    let asked = upstream.next_request().await;
    assert_eq!(asked.field("sec-websocket-protocol"), Some("agent.v2"));
    assert_eq!(asked.field("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn with_a_credential_in_the_request_the_route_is_like_any_other() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let token = format!("Bearer {}", sign_in_admin(&gateway).await.access);
    for (name, value) in [
        ("x-api-key", key.as_str()),
        ("authorization", &token),
        ("authorization", &basic(ADMIN, ADMIN_PASSWORD)),
    ] {
        Tunnel::opened(&gateway, AGENTS, &[(name, value)]).await.check_open().await;
    }
    let wrong = Tunnel::open(&gateway, AGENTS, &[("authorization", "Bearer wrong")]).await;
    assert_eq!(wrong.err(), Some(401));
    let two = [("authorization", token.as_str()), ("x-api-key", &key)];
    assert_eq!(Tunnel::open(&gateway, AGENTS, &two).await.err(), Some(400));
}

#[tokio::test]
async fn only_an_upgrade_waits_for_a_message() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let anonymous = Client::anonymous(&gateway);
    for client in [anonymous.clone(), anonymous.h2()] {
        client.get(AGENTS).await.refused(401, "AUTHENTICATION_REQUIRED");
    }
    assert_eq!(Tunnel::open(&gateway, "/other", &[]).await.err(), Some(401));
    let mut old = raw(&gateway).await;
    old.send(handshake("").replace("Version: 13", "Version: 8")).await;
    old.read_response().await.refused(400, "BAD_REQUEST");
    let mut without_key = raw(&gateway).await;
    without_key.send(handshake("").replace("-Key: ", "-Kee: ")).await;
    without_key.read_response().await.refused(400, "BAD_REQUEST");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn roles_and_scopes_hold_for_agents() {
    let upstream = Upstream::websocket().await;
    let narrow = "roles = [\"operator\"]\nscopes = [\"report\"]\n";
    let gateway = gateway_to(&upstream, narrow).await;
    gateway.add_user("olga", "a password of hers", &["operator"]).await;
    for (owner, scopes, outcome) in [
        ("olga", &["report"][..], Ok(())),
        ("olga", &["other"], Err("scope_missing")),
        (ADMIN, &["report"], Err("role_missing")),
    ] {
        let (_, key) = gateway.create_server_key(owner, scopes).await;
        match outcome {
            Ok(()) => accepted(&gateway, by_key(&key)).await.check_open().await,
            Err(reason) => {
                let mut agent = Tunnel::opened(&gateway, AGENTS, &[]).await;
                assert_eq!(refused(&mut agent, by_key(&key)).await, Some(4401));
                let line = logged(&gateway, reason).await;
                assert_eq!(line["user"], owner, "{line}");
                assert_eq!(line["decision"], "refused", "{line}");
            }
        }
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn the_built_in_upstream_returns_messages_to_agents_and_to_others() {
    let agents = format!("[[route]]\npath = \"{AGENTS}\"\nupstream = \"echo\"\nagents = true\n");
    let gateway = Gateway::start(&(ECHO.to_owned() + &agents)).await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let (_, other_key) = gateway.create_key(ADMIN, &[], &[]).await;
    let agent = accepted(&gateway, by_key(&key)).await;
    let other = Tunnel::opened(&gateway, "/any/path", &[("x-api-key", &other_key)]).await;
    for mut tunnel in [agent, other] {
        tunnel.check_open().await;
        tunnel.check_echo(Message::text("")).await;
        tunnel.check_echo(Message::binary(vec![7; 1 << 20])).await;
        tunnel.send(Message::Ping("still?".into())).await;
        assert_eq!(tunnel.receive().await, Message::Pong("still?".into()));
        tunnel.send(Message::Close(None)).await;
        assert_eq!(tunnel.closed().await, None);
    }
}

#[tokio::test]
async fn the_built_in_upstream_ends_a_websocket_whose_frames_are_malformed() {
    let agents = format!("[[route]]\npath = \"{AGENTS}\"\nupstream = \"echo\"\nagents = true\n");
    let gateway = Gateway::start(&(ECHO.to_owned() + &agents)).await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    // A frame without a mask, and the end of a message that never began.
    for wrong in [b"\x81\x01x".to_vec(), frame(0x80, b"x")] {
        let mut agent = opened(&gateway).await;
        agent.send(frame(TEXT, by_key(&key).as_bytes())).await;
        agent.read_frame().await;
        agent.send([frame(0x01, b"be"), frame(PING, b""), frame(0x80, b"gun")].concat()).await;
        for expected in [(0x01, &b"be"[..]), (PONG, b""), (0x80, b"gun")] {
            assert_eq!(agent.read_frame().await, (expected.0, expected.1.to_vec()));
        }
        agent.send(wrong).await;
        assert_eq!(super::read_close(&mut agent).await, 1002);
    }
}
