//! Clients that hold on to connections: by not reading, by not sending, by opening
//! many.

use http::Response;

use crate::support::client::{Client, body};
use crate::support::frames::{Http2, INITIAL_WINDOW_SIZE, NO_FLAGS, SETTINGS};
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::socket::Dial;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Upstream, ok};
use crate::support::{eventually, within};

const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];

/// Was: the connection and those behind it were held for ever.
#[tokio::test]
async fn an_http2_client_that_never_opens_a_window_is_let_go() {
    let upstream = Upstream::http1(|_| async { Response::new(body(vec![b'x'; 8 << 20])) }).await;
    let timeouts = "[timeouts]\nwrite_progress = \"300ms\"\nidle = \"300ms\"\n";
    let gateway = Gateway::start(&(upstream.routes() + timeouts)).await;
    let mut http2 = Http2::connect(&gateway).await;
    let settings = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &[0; 4]].concat();
    http2.send(SETTINGS, NO_FLAGS, 0, &settings).await;
    for stream in [1, 3, 5] {
        http2.request(stream, GET).await;
    }
    upstream.reached().await;
    within("the connection to end", http2.closed()).await;
    upstream.disconnected().await;
}

/// Was: gRPC was taken for a stream that may rest, over HTTP/1.1 as well.
#[tokio::test]
async fn a_grpc_body_over_http1_that_stalls_is_given_up() {
    let upstream = Upstream::http1(ok).await;
    let timeouts = "[timeouts]\nbody_progress = \"200ms\"\n";
    let gateway = Gateway::start(&(upstream.routes() + timeouts)).await;
    let mut stream = raw(&gateway).await;
    let head = "POST /open HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/grpc\r\nContent-Length: 10\r\n\r\n";
    stream.send(format!("{head}0123456789")).await;
    stream.read_response().await.expect(200);
    stream.send(format!("{head}01234")).await;
    // In gRPC's own terms: DEADLINE_EXCEEDED.
    assert_eq!(stream.read_response().await.expect(200).field("grpc-status"), "4");
    upstream.disconnected().await;
    assert_eq!(upstream.completed().len(), 1);
}

/// Was: a connection stopped counting when it became a tunnel.
#[tokio::test]
async fn a_tunnel_counts_as_a_connection_of_its_address() {
    let upstream = Upstream::websocket().await;
    let limits = "[limits]\nconnections_per_address = 2\n[client]\ntrusted_proxies = []\n";
    let gateway = Gateway::start(&(upstream.routes() + limits)).await;
    let mut first = Tunnel::opened(&gateway, "/open", &[]).await;
    let mut second = Tunnel::opened(&gateway, "/open", &[]).await;
    for tunnel in [&mut first, &mut second] {
        tunnel.check_open().await;
    }
    let dial = Dial::new(&gateway);
    assert!(dial.try_tls(dial.tcp().await).await.is_err(), "a third connection was served");
    drop(first);
    eventually("the place to be free again", async || dial.try_tls(dial.tcp().await).await.ok())
        .await;
    second.check_open().await;
}

/// Was: a proxy had the connections of a single client for all of its own.
#[tokio::test]
async fn a_trusted_proxy_has_as_many_connections_as_it_wants() {
    let public = "[[route]]\npublic = true\nupstream = \"echo\"\n";
    let limits = "[limits]\nconnections_per_address = 2\n";
    let gateway = Gateway::start(&format!("{public}{limits}")).await;
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push(Client::anonymous(&gateway).connect().await);
    }
    for connection in &mut connections {
        connection.get("/").await.expect(200);
    }
}
