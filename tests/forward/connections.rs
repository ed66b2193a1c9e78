//! Connections to upstreams: kept, shared between clients, replaced when they have
//! died.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Response};

use crate::support::client::{Client, body, request};
use crate::support::gateway::Gateway;
use crate::support::socket::send;
use crate::support::upstream::{Kind, Script, Upstream, ok, read_head, text};

use super::public_route;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn an_upstream_connection_serves_one_request_after_another() {
    for kind in [Kind::Http1, Kind::H2c, Kind::TlsHttp1, Kind::TlsHttp2] {
        let upstream = Upstream::http(kind, ok).await;
        let gateway = Gateway::start(&upstream.routes()).await;
        for _ in 0..10 {
            // Clients come and go; the connection behind them is not theirs.
            Client::anonymous(&gateway).get("/open").await.expect(200);
        }
        // It counts as free a moment after its answer ended, so there may be a
        // second one.
        assert!(upstream.connections() <= 2, "{kind:?}: {} connections", upstream.connections());
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_http2_connection() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(Kind::H2c, handler).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway);
    // The connection exists before they race for it.
    let (first, ()) =
        tokio::join!(client.get("/open"), async { script.next().await.answer(text("ok")) });
    first.expect(200);
    let (left, right, ()) = tokio::join!(client.get("/open"), client.get("/open"), async {
        let (one, two) = (script.next().await, script.next().await);
        one.answer(text("ok"));
        two.answer(text("ok"));
    });
    left.expect(200);
    right.expect(200);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced_without_an_error() {
    // Each connection promises to stay, answers once and is gone.
    let upstream = Upstream::saying(OK).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway);
    for used in 1..=5 {
        assert_eq!(client.get("/open").await.expect(200).body, "ok");
        upstream.disconnected().await;
        assert_eq!(upstream.connections(), used);
    }
}

#[tokio::test]
async fn a_connection_the_upstream_wants_closed_is_not_used_again() {
    let upstream = Upstream::raw(|mut wire| async move {
        read_head(&mut wire).await;
        send(&mut wire, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            .await;
        // Kept open on purpose: it is for the gateway to hold to what was said.
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway);
    for _ in 0..3 {
        assert_eq!(client.get("/open").await.expect(200).body, "ok");
    }
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn a_request_that_must_not_be_repeated_is_sent_once() {
    let heads = Arc::new(AtomicUsize::new(0));
    let upstream = closing_after(0, &heads).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway);
    client.get("/open").await.expect(200);
    client.post("/open").await.refused(502, "BAD_GATEWAY");
    assert_eq!(heads.load(Ordering::SeqCst), 2, "the POST was sent once");
}

/// Answers one head on the first connection and so many on every other one, and closes
/// each as it reads the next. All that arrive are counted.
async fn closing_after(others: usize, heads: &Arc<AtomicUsize>) -> Upstream {
    let (heads, connections) = (Arc::clone(heads), AtomicUsize::new(0));
    Upstream::raw(move |mut wire| {
        let heads = Arc::clone(&heads);
        let is_first = connections.fetch_add(1, Ordering::SeqCst) == 0;
        let mut left = if is_first { 1 } else { others };
        async move {
            while read_head(&mut wire).await.is_some() {
                heads.fetch_add(1, Ordering::SeqCst);
                if left == 0 {
                    return;
                }
                left -= 1;
                send(&mut wire, OK).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_safe_request_that_left_as_its_connection_was_closed_is_sent_once_more() {
    let with_body = |method| {
        let mut request = request(method, "/open");
        *request.body_mut() = body("a body");
        request
    };
    // What is asked, how many requests a new connection takes, how it ends, and how many
    // heads arrive in all, the first of them before.
    for (asked, others, status, arrived) in [
        (request(Method::GET, "/open"), 1, 200, 3),
        (request(Method::HEAD, "/open"), 1, 200, 3),
        (request(Method::GET, "/open"), 0, 502, 3),
        (with_body(Method::GET), 1, 502, 2),
        (request(Method::POST, "/open"), 1, 502, 2),
        (request(Method::DELETE, "/open"), 1, 502, 2),
    ] {
        let what = format!("{} {others}", asked.method());
        let heads = Arc::new(AtomicUsize::new(0));
        let upstream = closing_after(others, &heads).await;
        let gateway = Gateway::start(&upstream.routes()).await;
        let client = Client::anonymous(&gateway);
        client.get("/open").await.expect(200);
        // A connection is in doubt when it was idle for longer than two milliseconds; the
        // rest is for a busy machine to put it aside.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(client.request(asked).await.status, status, "{what}");
        assert_eq!(heads.load(Ordering::SeqCst), arrived, "{what}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    for kind in [Kind::Http1, Kind::H2c] {
        let upstream = Upstream::http(kind, ok).await;
        let section = upstream.section("app") + "idle_timeout = \"100ms\"\n";
        let gateway = Gateway::start(&public_route(&section, "")).await;
        Client::anonymous(&gateway).get("/").await.expect(200);
        upstream.disconnected().await;
    }
}

#[tokio::test]
async fn a_full_upstream_is_not_given_more_connections() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let section = upstream.section("app") + "max_connections = 1\n";
    let gateway = Gateway::start(&public_route(&section, "timeout = \"1s\"")).await;
    let client = Client::anonymous(&gateway);
    let mut connection = client.connect().await;
    let answering = async { script.next().await.answer_streaming(Response::builder()) };
    let (held, pieces) = tokio::join!(connection.begin(request(Method::GET, "/held")), answering);
    // The one connection is busy with an answer that goes on.
    let refused = client.get("/more").await;
    assert!([503, 504].contains(&refused.status.as_u16()), "{refused:?}");
    assert_eq!(upstream.connections(), 1);
    drop((held, pieces));
}
