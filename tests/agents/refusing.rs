//! Agents that do not get through: the same words whatever was wrong, a code, and the
//! reason in the log.

use serde_json::json;

use crate::support::client::{Client, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::tunnel::Tunnel;
use crate::support::upstream::Upstream;

use super::{
    AGENTS, CLOSE, TEXT, accepted, by_key, by_token, frame, gateway_to, logged, opened, read_close,
    read_refusal, refused,
};

const UNLIMITED: &str = "[limits]\nmax_login_attempts = 1000\n";

/// A first message, what the WebSocket is closed with, and the reason that is logged.
fn unacceptable() -> Vec<(Vec<u8>, u16, &'static str)> {
    let text = |text: &str| frame(TEXT, text.as_bytes());
    let padded = format!("{}{}", by_key("k"), " ".repeat(4096));
    vec![
        (text("hello"), 4401, "first_message_malformed"),
        (text(r#"{"type":"auth"}"#), 4401, "first_message_malformed"),
        (text(r#"{"type":"login","api_key":"k"}"#), 4401, "first_message_malformed"),
        (text(r#"{"type":"auth","api_key":"k","token":"t"}"#), 4401, "first_message_malformed"),
        (text(&by_key("sk_live_no_key_at_all")), 4401, "key_malformed"),
        (text(&by_token("sk_live_no_token_at_all")), 4401, "token_malformed"),
        (text(&padded), 1009, "first_message_too_large"),
        ([frame(0x01, b"{"), frame(0x00, &[b' '; 4096])].concat(), 1009, "first_message_too_large"),
        // No more than its header: what is too large is not waited for.
        (b"\x81\xff\0\0\0\0\x7f\0\0\0mask".to_vec(), 1009, "first_message_too_large"),
        (frame(0x89, b"").repeat(65), 1008, "first_message_too_large"),
        (frame(0x82, by_key("k").as_bytes()), 1003, "first_message_malformed"),
        (frame(TEXT, b"{\"type\":\"\xff\"}"), 1007, "first_message_malformed"),
        (b"\x81\x05plain".to_vec(), 1002, "first_message_malformed"),
        (frame(0xc1, b"{}"), 1002, "first_message_malformed"),
        (frame(0x80, b"{}"), 1002, "first_message_malformed"),
    ]
}

#[tokio::test]
async fn a_first_message_is_one_of_two_and_nothing_else() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, UNLIMITED).await;
    for (message, code, reason) in unacceptable() {
        let mut agent = opened(&gateway).await;
        agent.send(&message).await;
        let shown = String::from_utf8_lossy(&message).into_owned();
        if code == 1008 {
            for _ in 0..64 {
                agent.read_frame().await;
            }
        }
        assert_eq!(read_refusal(&mut agent).await, code, "{shown}");
        let line = logged(&gateway, reason).await;
        for (member, value) in [("status", json!(101)), ("decision", json!("refused"))] {
            assert_eq!(line[member], value, "{member} of {line}");
        }
        assert!(line["user"].is_null() && line["upstream"].is_null(), "{line}");
    }
    assert!(upstream.requests().is_empty());
    let said = gateway.log_lines().iter().map(ToString::to_string).collect::<String>();
    assert!(!said.contains("no_key_at_all") && !said.contains("no_token_at_all"));
}

/// S0-17: `server_id` is always there.
#[tokio::test]
async fn agents_are_refused_with_a_key_of_no_server_and_with_a_token_unless_those_are_taken() {
    let upstream = Upstream::websocket().await;
    let agents = format!(
        "[[route]]\npath = \"{AGENTS}\"\nupstream = \"app\"\nagents = true\n\
         [[route]]\npath = \"/loose\"\nupstream = \"app\"\nagents = \"any\"\nkeys = \"any\"\n"
    );
    let gateway = Gateway::start(&(upstream.section("app") + &agents)).await;
    let (_, free) = gateway.create_key(ADMIN, &[], &[]).await;
    let (_, bound) = gateway.create_server_key(ADMIN, &[]).await;
    let token = sign_in_admin(&gateway).await.access;
    for (path, message, reason) in [
        (AGENTS, by_key(&free), "key_not_bound"),
        (AGENTS, by_token(&token), "first_message_token"),
        ("/loose", by_key(&free), "key_not_bound"),
    ] {
        let mut agent = Tunnel::opened(&gateway, path, &[]).await;
        assert_eq!(refused(&mut agent, message).await, Some(4401), "{path} {reason}");
        logged(&gateway, reason).await;
    }
    assert!(upstream.requests().is_empty());
    // Control.
    accepted(&gateway, by_key(&bound)).await.check_open().await;
    let mut agent = Tunnel::opened(&gateway, "/loose", &[]).await;
    let success = super::introduced(&mut agent, by_token(&token)).await;
    assert_eq!(success["type"], "auth_success");
}

#[tokio::test]
async fn bad_keys_lock_their_address_out_where_they_are_counted() {
    let upstream = Upstream::websocket().await;
    let limits = "[limits]\nmax_login_attempts = 3\ncount = \"all\"\n";
    let gateway = gateway_to(&upstream, limits).await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let token = sign_in_admin(&gateway).await.access;
    let here = [("x-forwarded-for", "192.0.2.7")];
    let there = [("x-forwarded-for", "192.0.2.8")];
    for _ in 0..3 {
        let mut agent = Tunnel::opened(&gateway, AGENTS, &here).await;
        assert_eq!(refused(&mut agent, by_key("sk_live_wrong")).await, Some(4401));
    }
    // Right or wrong, and here or at another endpoint, nothing is looked at any more.
    let mut agent = Tunnel::opened(&gateway, AGENTS, &here).await;
    assert_eq!(refused(&mut agent, by_key(&key)).await, Some(4401));
    logged(&gateway, "locked_out").await;
    let client = Client::api_key(&gateway, &key).from_address("192.0.2.7");
    client.get("/").await.refused(429, "TOO_MANY_ATTEMPTS");
    for (fields, message) in [(&here, by_token(&token)), (&there, by_key(&key))] {
        let mut agent = Tunnel::opened(&gateway, AGENTS, fields).await;
        assert_eq!(super::introduced(&mut agent, message).await["type"], "auth_success");
    }
    let lockout = gateway.wait_for_log(|line| line["event"] == "lockout").await;
    assert_eq!(lockout["client"], "192.0.2.7");
}

#[tokio::test]
async fn bad_tokens_and_bad_messages_are_not_counted() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "[limits]\nmax_login_attempts = 1\n").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    for message in [by_token("wrong"), "hello".to_owned(), by_token(&key)] {
        let mut agent = Tunnel::opened(&gateway, AGENTS, &[]).await;
        assert_eq!(refused(&mut agent, message).await, Some(4401));
    }
    accepted(&gateway, by_key(&key)).await.check_open().await;
}

async fn hasty() -> (Upstream, Gateway) {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "[timeouts]\nagent_message = \"300ms\"\n").await;
    (upstream, gateway)
}

#[tokio::test]
async fn who_says_nothing_is_refused_after_the_deadline() {
    let (upstream, gateway) = hasty().await;
    let mut agent = opened(&gateway).await;
    assert_eq!(read_refusal(&mut agent).await, 4401);
    logged(&gateway, "first_message_late").await;
    gateway.counted(&["agents_timed_out"], 1).await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn pings_and_pieces_do_not_lengthen_the_deadline() {
    let (_upstream, gateway) = hasty().await;
    let mut agent = opened(&gateway).await;
    agent.send(frame(0x01, b"{")).await;
    for _ in 0..60 {
        agent.send(frame(0x89, b"")).await;
    }
    for _ in 0..60 {
        assert_eq!(agent.read_frame().await.0, super::PONG);
    }
    assert_eq!(read_refusal(&mut agent).await, 4401);
    logged(&gateway, "first_message_late").await;
}

/// What a known agent does not say is nobody's business.
#[tokio::test]
async fn the_deadline_is_for_the_first_message_only() {
    let (_upstream, gateway) = hasty().await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut agent = accepted(&gateway, by_key(&key)).await;
    let mut silent = opened(&gateway).await;
    assert_eq!(read_refusal(&mut silent).await, 4401);
    agent.check_open().await;
}

#[tokio::test]
async fn who_leaves_before_the_first_message_is_let_go() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    drop(opened(&gateway).await);
    assert_eq!(logged(&gateway, "client_left").await["status"], 101);
    let mut agent = opened(&gateway).await;
    agent.send(frame(CLOSE, &1001u16.to_be_bytes())).await;
    assert_eq!(read_close(&mut agent).await, 1000);
    let left = async || {
        let lines = gateway.log_lines();
        let left = lines.iter().filter(|line| line["reason"] == "client_left").count();
        (left == 2).then_some(())
    };
    eventually("both to be logged", left).await;
    assert!(upstream.requests().is_empty());
}
