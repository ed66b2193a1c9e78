//! How a tunnel does not open: what was meant for it stays HTTP.

use http::{Response, StatusCode};

use crate::support::client::body;
use crate::support::raw::raw;
use crate::support::socket::send;
use crate::support::upstream::{Upstream, ok, read_head};

use super::{gateway_to, handshake};

#[tokio::test]
async fn an_upstream_that_declines_answers_in_plain_http() {
    for status in [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::UPGRADE_REQUIRED] {
        let upstream = Upstream::http1(move |_| async move {
            let answer = Response::builder().status(status).header("x-why", "not today");
            answer.body(body("no sockets here")).expect("an answer")
        })
        .await;
        let gateway = gateway_to(&upstream, "").await;
        let mut stream = raw(&gateway).await;
        stream.send(handshake("/open")).await;
        let answer = stream.read_response().await.expect(status.as_u16());
        assert_eq!(answer.field("x-why"), "not today");
        assert_eq!(answer.body, "no sockets here");
        // Still HTTP: the next bytes are a request, and it is judged like any other.
        stream.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        stream.read_response().await.expect(status.as_u16());
        stream.send("GET /closed HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        stream.read_response().await.refused(401, "AUTHENTICATION_REQUIRED");
        assert_eq!(upstream.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_request_pipelined_behind_a_handshake_is_no_tunnel_content() {
    // The upstream declines, but stays to read whatever would be tunnelled to it.
    let upstream = Upstream::raw(|mut wire| async move {
        read_head(&mut wire).await;
        send(&mut wire, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    })
    .await;
    let gateway = gateway_to(&upstream, "").await;
    let mut stream = raw(&gateway).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.send(handshake("/open") + smuggled).await;
    stream.read_response().await.expect(403);
    // Refused by the gateway or not answered at all; either way it stays here.
    let rest = stream.read_to_end().await;
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 401 "));
    assert!(!String::from_utf8_lossy(&upstream.bytes()).contains("smuggled"));
}

#[tokio::test]
async fn a_handshake_that_is_none_opens_nothing() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "").await;
    let sound = [
        "GET /open HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let check = async |lines: &[&str]| {
        let mut stream = raw(&gateway).await;
        stream.send(lines.join("\r\n") + "\r\n\r\n").await;
        stream.read_response().await.status
    };
    assert_eq!(check(&sound).await, 101);
    let spoilt = [
        (0, "POST /open HTTP/1.1"),
        (0, "GET /open HTTP/1.0"),
        (4, "Sec-WebSocket-Version: 8"),
        (4, "X-Nothing: 1"),
        (5, "X-Nothing: 1"),
        (5, "Sec-WebSocket-Key: short"),
        (
            5,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        (5, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 4"),
    ];
    for (at, line) in spoilt {
        let mut lines = sound;
        lines[at] = line;
        let status = check(&lines).await;
        assert!(status.is_client_error() || status.is_server_error(), "{line}: {status}");
        let handshakes =
            upstream.requests().iter().filter(|request| request.field("upgrade").is_some()).count();
        assert_eq!(handshakes, 1, "{line} reached the upstream");
    }
}

#[tokio::test]
async fn upgrades_to_anything_else_are_not_passed_on() {
    let upstream = Upstream::http1(ok).await;
    let gateway = gateway_to(&upstream, "").await;
    for protocol in ["h2c", "HTTP/2.0", "TLS/1.0", "websocket2", "h2c, websocket"] {
        let mut stream = raw(&gateway).await;
        stream
            .send(format!(
                "GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                 Upgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
                 Connection: close\r\n\r\n"
            ))
            .await;
        let answer = stream.read_response().await;
        assert!([200, 400].contains(&answer.status.as_u16()), "{protocol}: {answer:?}");
    }
    let received = upstream.requests();
    assert!(!received.is_empty(), "a request to upgrade may be answered without upgrading");
    for request in received {
        assert_eq!(request.field("upgrade"), None);
        assert_eq!(request.field("http2-settings"), None);
    }
}
