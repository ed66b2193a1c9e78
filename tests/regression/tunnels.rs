//! Handshakes that once came to nothing, or to the wrong thing.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::socket::send;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Upstream, read_head};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// "Hello" as a client sends it (RFC 6455 5.7).
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

/// Was: the gate still waited for the end of the upgrade to h2c, and put its own
/// text in the place of the client's frames.
#[tokio::test]
async fn a_tunnel_opens_behind_a_request_that_asked_for_h2c() {
    let upstream = Upstream::raw(|mut wire| async move {
        while let Some(head) = read_head(&mut wire).await {
            if !head.contains(KEY) {
                send(&mut wire, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                continue;
            }
            let accept = derive_accept_key(KEY.as_bytes());
            let agreement = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            send(&mut wire, agreement.as_bytes()).await;
            // What follows is noted by the wire.
            let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
            return;
        }
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut stream = raw(&gateway).await;
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
               HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: 0\r\n";
    stream.send(format!("POST /open HTTP/1.1\r\nHost: localhost\r\n{h2c}\r\n")).await;
    assert_eq!(stream.read_response().await.expect(200).body, "ok");
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    stream.send(format!("GET /open HTTP/1.1\r\nHost: localhost\r\n{websocket}{key}\r\n")).await;
    stream.read_response().await.expect(101);
    stream.send(HELLO).await;
    let tunnelled = eventually("a frame at the upstream", async || {
        let bytes = upstream.bytes();
        let end = bytes.windows(4).rposition(|window| window == b"\r\n\r\n")? + 4;
        (bytes.len() >= end + HELLO.len()).then(|| bytes[end..].to_vec())
    })
    .await;
    assert_eq!(tunnelled, HELLO);
}

/// Was: `Connection: TE` took the place of `Connection: Upgrade`, so nothing opened.
#[tokio::test]
async fn a_handshake_that_accepts_trailers_opens() {
    let upstream = Upstream::websocket().await;
    let gateway = Gateway::start(&upstream.routes()).await;
    Tunnel::opened(&gateway, "/open", &[("te", "trailers")]).await.check_open().await;
    assert_eq!(upstream.next_request().await.field("connection"), Some("Upgrade"));
}
