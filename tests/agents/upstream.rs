//! What an agent sees of an upstream that is not there, or does not agree.

use http::{Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::support::client::body;
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::raw::raw;
use crate::support::socket::send;
use crate::support::upstream::{Refusing, Upstream, read_head};

use super::{AGENTS, TEXT, by_key, frame, gateway_to, handshake, logged, read_close};

/// Known, and told so; and then closed with 1014, for this reason.
async fn check(gateway: &Gateway, fields: &str, reason: &str) {
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut agent = raw(gateway).await;
    agent.send(handshake(fields)).await;
    agent.read_response().await.expect(101);
    agent.send(frame(TEXT, by_key(&key).as_bytes())).await;
    let (_, success) = agent.read_frame().await;
    assert!(success.starts_with(b"{\"type\":\"auth_success\""), "{success:?}");
    assert_eq!(read_close(&mut agent).await, 1014);
    let line = logged(gateway, reason).await;
    assert_eq!(line["user"], ADMIN, "{line}");
    assert_eq!(line["status"], 101, "{line}");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_closes_with_bad_gateway() {
    let nobody = Refusing::new();
    let gateway = Gateway::start(&format!(
        "[[route]]\npath = \"{AGENTS}\"\nupstream = \"{}\"\nagents = true\n",
        nobody.url()
    ))
    .await;
    check(&gateway, "", "upstream_connect").await;
}

#[tokio::test]
async fn an_upstream_that_declines_closes_with_bad_gateway() {
    let upstream = Upstream::http1(|_| async {
        let answer = Response::builder().status(StatusCode::FORBIDDEN);
        answer.body(body("no sockets here")).expect("an answer")
    })
    .await;
    check(&gateway_to(&upstream, "").await, "", "upstream_upgrade").await;
}

/// An upstream that agrees, with these fields besides.
async fn agreeing(fields: &'static str) -> Upstream {
    Upstream::raw(move |mut wire| async move {
        let Some(head) = read_head(&mut wire).await else { return };
        let accept = derive_accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert!(head.contains("dGhlIHNhbXBsZSBub25jZQ=="), "{head}");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
        );
        send(&mut wire, answer.as_bytes()).await;
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    })
    .await
}

#[tokio::test]
async fn an_upstream_agrees_to_what_the_client_was_promised_or_to_nothing() {
    let offer = "Sec-WebSocket-Protocol: agent.v2, agent.v1\r\n";
    for (asked, answered) in [
        (offer, "Sec-WebSocket-Protocol: agent.v1\r\n"),
        (offer, ""),
        ("", "Sec-WebSocket-Protocol: agent.v1\r\n"),
        ("", "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    ] {
        let upstream = agreeing(answered).await;
        check(&gateway_to(&upstream, "").await, asked, "upstream_upgrade").await;
    }
}
