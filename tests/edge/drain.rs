//! SIGTERM: what has begun is finished, what has not is sent elsewhere, and the
//! process ends well.

use http::Response;
use rustix::process::Signal;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::frames::{Http2, NO_ERROR, Outcome};
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::socket::Dial;
use crate::support::upstream::{Script, Upstream, ok, text};

const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];

/// Waits until a connection that is used for nothing else hears that draining has
/// begun, and leaves.
async fn told_to_go(mut bystander: Http2) {
    bystander.told_to_go().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered_and_its_connection_closed() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let mut gateway = Gateway::start(&upstream.routes()).await;
    let bystander = Http2::connect(&gateway).await;
    let mut stream = raw(&gateway).await;
    stream.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let exchange = script.next().await;
    let (ended, ()) = tokio::join!(gateway.stop(), async {
        // The sign that draining has begun.
        told_to_go(bystander).await;
        exchange.answer(text("just in time"));
        let answer = stream.read_response().await.expect(200);
        assert_eq!(answer.body, "just in time");
        assert_eq!(answer.field("connection").to_lowercase(), "close");
        assert!(stream.is_closed().await);
    });
    assert_eq!(ended.status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_waits_for_nobody() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let mut gateway = Gateway::start(&upstream.routes()).await;
    let bystander = Http2::connect(&gateway).await;
    let mut stream = raw(&gateway).await;
    stream.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let exchange = script.next().await;
    gateway.signal(Signal::INT);
    told_to_go(bystander).await;
    // Long before the drain deadline, with a request under way.
    let ended = gateway.stop().await;
    assert!(stream.is_closed().await);
    assert_eq!(ended.status.code(), Some(0));
    drop(exchange);
}

#[tokio::test]
async fn a_second_signal_waits_for_no_balancer_either() {
    let config = "[timeouts]\ndrain_delay = \"1d\"\n\n[[route]]\nupstream = \"echo\"\n";
    let mut gateway = Gateway::start(config).await;
    gateway.signal(Signal::TERM);
    gateway.wait_for_log(|line| line["message"] == "stopping").await;
    assert_eq!(gateway.stop().await.status.code(), Some(0));
}

#[tokio::test]
async fn signals_that_would_kill_a_process_that_does_not_know_them_are_logged_and_ignored() {
    let gateway = Gateway::start("[[route]]\nupstream = \"echo\"\n").await;
    for (signal, name) in
        [(Signal::HUP, "SIGHUP"), (Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2")]
    {
        gateway.signal(signal);
        gateway.wait_for_log(|line| line["signal"] == name).await;
    }
    assert_eq!(Client::anonymous(&gateway).get("/health").await.status, 200);
}

#[tokio::test]
async fn an_http2_connection_is_told_to_go_and_its_streams_are_finished() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let mut gateway = Gateway::start(&upstream.routes()).await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.request(1, GET).await;
    let exchange = script.next().await;
    let (ended, ()) = tokio::join!(gateway.stop(), async {
        assert_eq!(http2.told_to_go().await, NO_ERROR);
        exchange.answer(text("just in time"));
        assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
        assert_eq!(http2.closed().await, Some(NO_ERROR));
    });
    assert_eq!(ended.status.code(), Some(0));
}

#[tokio::test]
async fn an_answer_that_has_begun_is_finished() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let mut gateway = Gateway::start(&upstream.routes()).await;
    let bystander = Http2::connect(&gateway).await;
    let mut stream = raw(&gateway).await;
    stream.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let pieces = script.next().await.answer_streaming(Response::builder());
    pieces.data("the beginning, ").await;
    let (ended, ()) = tokio::join!(gateway.stop(), async {
        told_to_go(bystander).await;
        pieces.data("and the end").await;
        drop(pieces);
        let answer = stream.read_response().await.expect(200);
        assert_eq!(answer.body, "the beginning, and the end");
        assert!(stream.is_closed().await);
    });
    assert_eq!(ended.status.code(), Some(0));
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let upstream = Upstream::http1(ok).await;
    let mut gateway = Gateway::start(&upstream.routes()).await;
    let mut used = raw(&gateway).await;
    used.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    used.read_response().await.expect(200);
    let mut fresh = raw(&gateway).await;
    let mut http2 = Http2::connect(&gateway).await;
    let (ended, ()) = tokio::join!(gateway.stop(), async {
        assert!(used.is_closed().await);
        assert!(fresh.is_closed().await);
        assert_eq!(http2.closed().await, Some(NO_ERROR));
    });
    assert_eq!(ended.status.code(), Some(0));
    upstream.disconnected().await;
}

#[tokio::test]
async fn before_draining_the_gateway_says_that_it_will() {
    let upstream = Upstream::http1(ok).await;
    // Longer than the test: it ends with a kill.
    let delay = "[timeouts]\ndrain_delay = \"1h\"\n";
    let mut gateway = Gateway::start(&(upstream.routes() + delay)).await;
    let client = Client::anonymous(&gateway);
    let health = client.get("/health").await.expect(200).json();
    assert_eq!(health["status"], "healthy");
    let mut kept = raw(&gateway).await;
    let request = "GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n";
    kept.send(request).await;
    assert!(kept.read_response().await.expect(200).fields("connection").is_empty());
    let scenario = async {
        eventually("the gateway to be unhealthy", async || {
            Some(client.get("/health").await).filter(|answer| answer.status == 503)
        })
        .await;
        // New requests are still served, over old and new connections, and for the
        // last time.
        kept.send(request).await;
        let answer = kept.read_response().await.expect(200);
        assert_eq!(answer.field("connection").to_lowercase(), "close");
        assert!(kept.is_closed().await);
        client.get("/open").await.expect(200);
    };
    tokio::select! {
        ended = gateway.stop() => panic!("it did not wait for its delay: {ended:?}"),
        () = scenario => {}
    }
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_gateway_alive() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let drain = "[timeouts]\ndrain = \"200ms\"\n";
    let mut gateway = Gateway::start(&(upstream.routes() + drain)).await;
    let mut stream = raw(&gateway).await;
    stream.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut exchange = script.next().await;
    gateway.stop().await;
    exchange.abandoned().await;
    stream.read_to_end().await;
}

#[tokio::test]
async fn nobody_gets_in_any_more() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let mut gateway = Gateway::start(&upstream.routes()).await;
    let dial = Dial::new(&gateway);
    let bystander = Http2::connect(&gateway).await;
    let mut stream = raw(&gateway).await;
    stream.send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let exchange = script.next().await;
    let address = gateway.address();
    let (ended, ()) = tokio::join!(gateway.stop(), async {
        told_to_go(bystander).await;
        eventually("new connections to be refused", async || {
            let Ok(tcp) = tokio::net::TcpStream::connect(address).await else { return Some(()) };
            dial.try_tls(tcp).await.is_err().then_some(())
        })
        .await;
        exchange.answer(text("the last one"));
        stream.read_response().await.expect(200);
    });
    assert_eq!(ended.status.code(), Some(0));
}
