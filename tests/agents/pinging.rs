//! Pings that the gateway itself sends to agents.

use std::cell::Cell;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::eventually;
use crate::support::gateway::ADMIN;
use crate::support::raw::{RawStream, raw};
use crate::support::socket::send;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Upstream, read_head};

use super::{CLOSE, PING, PONG, TEXT, accepted, by_key, frame, gateway_to, handshake, opened};

const OFTEN: &str = "[timeouts]\nagent_ping = \"1s\"\n";

/// An agent that has been accepted and answers what it wants to.
async fn introduced(agent: &mut RawStream, key: &str) {
    agent.send(frame(TEXT, by_key(key).as_bytes())).await;
    let (first, success) = agent.read_frame().await;
    assert_eq!(first, TEXT);
    assert!(success.starts_with(b"{\"type\":\"auth_success\""), "{success:?}");
}

#[tokio::test]
async fn an_agent_that_answers_no_ping_is_closed_and_others_are_not() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, OFTEN).await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut silent = opened(&gateway).await;
    introduced(&mut silent, &key).await;
    let mut lives = accepted(&gateway, by_key(&key)).await;
    // With a key in the request it is an agent all the same.
    let mut other = raw(&gateway).await;
    other.send(handshake(&format!("X-API-Key: {key}\r\n"))).await;
    other.read_response().await.expect(101);
    // Answered while it reads.
    let living = lives.closed();
    let dying = async {
        for agent in [&mut silent, &mut other] {
            let (first, payload) = agent.read_frame().await;
            assert_eq!((first, payload.len()), (PING, 8));
            assert_eq!(agent.read_frame().await, (PING, payload));
            assert_eq!(agent.read_frame().await, (CLOSE, 1001_u16.to_be_bytes().to_vec()));
            assert!(agent.is_closed().await);
        }
    };
    tokio::select! {
        () = dying => {}
        code = living => panic!("closed: {code:?}"),
    }
    lives.send(Message::text("still there?")).await;
    let answer = loop {
        match lives.receive().await {
            Message::Ping(_) => {}
            other => break other,
        }
    };
    assert_eq!(answer, Message::text("still there?"));
    gateway.counted(&["agents_silent"], 2).await;
    let said = "tunnel of a silent agent closed";
    let line = gateway.wait_for_log(|line| line["message"] == said).await;
    assert!(line["request_id"].is_string(), "{line}");
}

#[tokio::test]
async fn a_pong_for_the_gateway_does_not_reach_the_upstream_and_its_own_does() {
    let upstream = Upstream::raw(|mut wire| async move {
        let head = read_head(&mut wire).await.expect("a handshake");
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
        let key = key.expect("a key").trim().to_owned();
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        send(&mut wire, answer.as_bytes()).await;
        send(&mut wire, b"\x89\x03own").await;
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    })
    .await;
    let gateway = gateway_to(&upstream, OFTEN).await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut agent = opened(&gateway).await;
    introduced(&mut agent, &key).await;
    assert_eq!(agent.read_frame().await, (PING, b"own".to_vec()));
    let (own, end) = (frame(PONG, b"own"), frame(TEXT, b"the end"));
    for _ in 0..2 {
        let (first, payload) = agent.read_frame().await;
        assert_eq!(first, PING);
        agent.send([frame(PONG, &payload), own.clone()].concat()).await;
    }
    agent.send(&end).await;
    let expected = [&own[..], &own, &end].concat();
    eventually("all that the agent said", async || {
        let bytes = upstream.bytes();
        let body = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        (bytes[body..].len() >= expected.len()).then(|| assert_eq!(bytes[body..], expected))
    })
    .await;
}

#[tokio::test]
async fn other_websockets_are_closed_when_they_are_idle_and_only_then() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "[timeouts]\ntunnel_idle = \"2s\"\n").await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut agent = accepted(&gateway, by_key(&key)).await;
    let (_, app_key) = gateway.create_key(ADMIN, &[], &[]).await;
    let fields = [("x-api-key", app_key.as_str())];
    let mut idle = Tunnel::opened(&gateway, "/app", &fields).await;
    let mut busy = Tunnel::opened(&gateway, "/app", &fields).await;
    let closed = Cell::new(false);
    let working = async {
        while !closed.get() {
            busy.check_open().await;
        }
    };
    let idling = async {
        assert_eq!(idle.closed().await, Some(1001));
        closed.set(true);
    };
    tokio::join!(working, idling);
    busy.check_open().await;
    agent.check_open().await;
    gateway.counted(&["tunnels_idle_closed"], 1).await;
}
