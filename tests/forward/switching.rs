//! Connections that switch to another protocol: WebSockets to an upstream that would
//! rather speak HTTP/2.

use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::nginx::Nginx;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Kind, Upstream, ok};
use crate::support::websocket::open_socket;

use super::public_route;

/// nginx with HTTP/2 in front of a WebSocket server.
async fn nginx_before(sockets: &Upstream) -> Nginx {
    let url = sockets.url();
    Nginx::start(&format!(
        "location / {{ return 200 $protocol; }}\nlocation /ws {{ proxy_pass {url};\n\
         proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection upgrade; }}\nlocation /ws/refused {{ return 403; }}\n"
    ))
    .await
}

/// Was: 502 as soon as the upstream had been asked for anything, and before.
#[tokio::test]
async fn a_websocket_reaches_an_upstream_that_offers_http2() {
    let sockets = Upstream::websocket().await;
    let nginx = nginx_before(&sockets).await;
    let gateway = Gateway::start(&public_route(&nginx.section("app"), "")).await;
    let client = Client::anonymous(&gateway);
    // As the first request of all, behind others, and others behind it.
    for _ in 0..3 {
        let mut tunnel = Tunnel::opened(&gateway, "/ws", &[]).await;
        tunnel.check_open().await;
        assert_eq!(client.get("/").await.expect(200).body, "h2");
        tunnel.check_echo(Message::text("and on")).await;
        // A connection that is left over is for WebSockets alone.
        open_socket(&client, "/ws/refused").await.expect(403);
        assert_eq!(client.get("/").await.expect(200).body, "h2");
    }
    // A client of HTTP/2 has the same upstream.
    assert_eq!(client.h2().get("/").await.expect(200).body, "h2");
}

#[tokio::test]
async fn an_agent_reaches_an_upstream_that_offers_http2() {
    let sockets = Upstream::websocket().await;
    let nginx = nginx_before(&sockets).await;
    let config = format!(
        "{}[[route]]\npath = \"/ws\"\nagents = true\nupstream = \"app\"\n",
        nginx.section("app")
    );
    let gateway = Gateway::start(&config).await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut agent = Tunnel::opened(&gateway, "/ws", &[]).await;
    agent.send(Message::text(format!(r#"{{"type":"auth","api_key":"{key}"}}"#))).await;
    let Message::Text(said) = agent.receive().await else { panic!("the answer is text") };
    assert!(said.contains("auth_success"), "{said}");
    agent.check_open().await;
}

/// The HTTP/2 connection that nobody uses makes room.
#[tokio::test]
async fn an_upstream_with_one_connection_serves_requests_and_websockets_in_turn() {
    let sockets = Upstream::websocket().await;
    let nginx = nginx_before(&sockets).await;
    let section = nginx.section("app") + "max_connections = 1\nconnect_timeout = \"1s\"\n";
    let gateway = Gateway::start(&public_route(&section, "")).await;
    let client = Client::anonymous(&gateway);
    for _ in 0..2 {
        assert_eq!(client.get("/").await.expect(200).body, "h2");
        Tunnel::opened(&gateway, "/ws", &[]).await.check_open().await;
        eventually("the tunnel's place to be free", async || {
            let answer = client.get("/").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_websocket_to_an_upstream_of_http2_alone_is_refused_for_that_reason() {
    let by_choice = Upstream::http(Kind::TlsHttp2, ok).await;
    let clear = Upstream::http(Kind::H2c, ok).await;
    // It offers h2 and nothing else, whatever the configuration says.
    let offering = by_choice.section("app");
    let sections = [offering.replace("\"auto\"", "\"http2\""), offering, clear.section("app")];
    for section in sections {
        let gateway = Gateway::start(&public_route(&section, "")).await;
        let client = Client::anonymous(&gateway);
        client.get("/").await.expect(200);
        open_socket(&client, "/").await.refused(502, "BAD_GATEWAY");
        gateway.wait_for_log(|line| line["reason"] == "upstream_no_upgrade").await;
        let explained = gateway.manage(&["explain", "upstream_no_upgrade"], None).await;
        assert!(explained.contains("HTTP/1.1"), "{explained}");
        client.get("/").await.expect(200);
    }
}

/// A handshake of Java's and .NET's clients.
#[tokio::test]
async fn a_handshake_that_says_it_has_no_body_opens_a_tunnel() {
    let upstream = Upstream::websocket().await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for length in ["0", "00"] {
        let mut tunnel = Tunnel::opened(&gateway, "/open", &[("content-length", length)]).await;
        tunnel.check_open().await;
        let received = upstream.next_request().await;
        assert_eq!(received.field("content-length"), None);
    }
    for (name, value) in [("content-length", "1"), ("transfer-encoding", "chunked")] {
        let refused = Tunnel::open(&gateway, "/open", &[(name, value)]).await;
        assert_eq!(refused.err(), Some(400), "{name}: {value}");
    }
}
