//! Clients that take their time: each phase of a connection has a limit, and
//! dripping does not move it.

use std::time::Duration;

use http::Response;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::support::client::{Client, body};
use crate::support::frames::{
    CANCEL, DATA, END_STREAM, HEADERS, Http2, INITIAL_WINDOW_SIZE, NO_ERROR, NO_FLAGS, Outcome,
    SETTINGS, WINDOW_UPDATE, block,
};
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::socket::{Dial, read_to_end, send};
use crate::support::upstream::{Kind, Script, Upstream, ok, text};
use crate::support::within;

use super::PUBLIC_ECHO;

const POST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];

/// A gateway with these timeouts, which serves who is quick enough.
async fn impatient(timeouts: &str) -> Gateway {
    let gateway = Gateway::start(&format!("{PUBLIC_ECHO}[timeouts]\n{timeouts}\n")).await;
    Client::anonymous(&gateway).get("/").await.expect(200);
    gateway
}

/// Nothing came before the close, or only the word that it took too long.
fn is_timeout(answer: &[u8]) -> bool {
    answer.is_empty() || answer.get(9..12) == Some(b"408")
}

#[tokio::test]
async fn a_handshake_that_does_not_begin_or_end_is_given_up() {
    let gateway = impatient("tls_handshake = \"1s\"").await;
    // Nothing, and the beginning of a ClientHello of 512 bytes.
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = Dial::new(&gateway).tcp().await;
        send(&mut stream, beginning).await;
        read_to_end(&mut stream).await;
    }
    gateway.counted(&["handshakes_timed_out"], 2).await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_answered_with_a_timeout() {
    let gateway = impatient("request_head = \"1s\"").await;
    let mut stream = raw(&gateway).await;
    stream.send("GET / HTTP/1.1\r\nHost: ").await;
    stream.send("localhost\r\n\r\n").await;
    stream.read_response().await.expect(200);
    let mut stream = raw(&gateway).await;
    stream.send("GET / HTTP/1.1\r\nHost: ").await;
    stream.read_response().await.refused(408, "REQUEST_TIMEOUT");
    assert!(stream.is_closed().await);
    gateway.counted(&["heads_timed_out"], 1).await;
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let gateway = impatient("request_head = \"1s\"\nidle = \"1s\"").await;
    for protocol in ["http/1.1", "h2"] {
        let mut stream = Dial::new(&gateway).protocols(&[protocol]).tls().await;
        let answer = read_to_end(&mut stream).await;
        assert!(protocol == "h2" || is_timeout(&answer), "{answer:?}");
    }
    gateway.counted(&["heads_timed_out", "connections_idle_closed"], 2).await;
}

#[tokio::test]
async fn a_first_head_is_waited_for_as_long_as_any() {
    let gateway = impatient("request_head = \"1s\"").await;
    let mut stream = Dial::new(&gateway).tls().await;
    assert_eq!(read_to_end(&mut stream).await, b"");
    gateway.counted(&["heads_timed_out"], 1).await;
}

/// Goes on sending a byte now and then, and returns what is answered to that.
async fn answer_to_drip(gateway: &Gateway, beginning: &str) -> Vec<u8> {
    let stream = Dial::new(gateway).tls().await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    send(&mut writing, beginning.as_bytes()).await;
    let dripping = async {
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        while writing.write_all(b"x").await.is_ok() && writing.flush().await.is_ok() {
            beat.tick().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = read_to_end(&mut reading) => answer,
        () = dripping => unreachable!("it goes on or waits"),
    }
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let gateway = impatient("request_head = \"1s\"").await;
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nX: ";
    let answer = answer_to_drip(&gateway, head).await;
    assert!(is_timeout(&answer), "{}", String::from_utf8_lossy(&answer));
    gateway.counted(&["heads_timed_out"], 1).await;
}

#[tokio::test]
async fn a_body_that_drips_is_not_waited_for() {
    let upstream = Upstream::http1(ok).await;
    let config = format!("{}[timeouts]\nbody_progress = \"300ms\"\n", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let head = "POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    let answer = answer_to_drip(&gateway, head).await;
    assert!(is_timeout(&answer), "{}", String::from_utf8_lossy(&answer));
    upstream.disconnected().await;
    assert_eq!(upstream.completed().len(), 0);
    gateway.counted(&["bodies_stalled"], 1).await;
}

#[tokio::test]
async fn an_http2_head_that_does_not_end_is_not_waited_for() {
    let gateway = impatient("request_head = \"1s\"\nidle = \"1s\"").await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.send(HEADERS, END_STREAM, 1, &block(POST)).await;
    http2.closed().await;
    gateway.counted(&["connections_idle_closed"], 1).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let gateway = impatient("idle = \"1s\"").await;
    let mut stream = raw(&gateway).await;
    for _ in 0..2 {
        stream.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        stream.read_response().await.expect(200);
    }
    assert!(stream.is_closed().await);
    gateway.counted(&["connections_idle_closed"], 1).await;
}

#[tokio::test]
async fn an_idle_http2_connection_is_told_to_go() {
    let gateway = impatient("idle = \"1s\"").await;
    let mut http2 = Http2::connect(&gateway).await;
    let mut get = POST.to_vec();
    get[0] = (":method", "GET");
    http2.request(1, &get).await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
    http2.told_to_go().await;
    http2.closed().await;
    gateway.counted(&["connections_idle_closed"], 1).await;
}

#[tokio::test]
async fn a_request_in_flight_is_not_idle() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let config = format!("{}[timeouts]\nidle = \"1s\"\n", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let waiting = Client::anonymous(&gateway);
    let mut idle = raw(&gateway).await;
    let (answer, ()) = tokio::join!(waiting.get("/open/slow"), async {
        let exchange = script.next().await;
        // Whoever idles meanwhile is gone; who waits for an answer is not.
        let (answered, ()) =
            tokio::join!(script.next(), idle.send("GET /open HTTP/1.1\r\nHost: a\r\n\r\n"));
        answered.answer(text(""));
        idle.read_response().await.expect(200);
        assert!(idle.is_closed().await);
        exchange.answer(text("at last"));
    });
    assert_eq!(answer.expect(200).body, "at last");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_and_never_completed() {
    let upstream = Upstream::http1(ok).await;
    let config = format!("{}[timeouts]\nbody_progress = \"200ms\"\n", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let mut stream = raw(&gateway).await;
    let head = "POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
    stream.send(format!("{head}0123456789")).await;
    stream.read_response().await.expect(200);
    stream.send(format!("{head}01234")).await;
    let answer = stream.read_to_end().await;
    assert!(is_timeout(&answer), "{}", String::from_utf8_lossy(&answer));

    let mut http2 = Http2::connect(&gateway).await;
    http2.head(1, POST).await;
    http2.send(DATA, NO_FLAGS, 1, b"01234").await;
    let outcome = http2.outcome(1).await;
    assert_eq!(outcome, Outcome::Answered(408));
    upstream.disconnected().await;
    assert_eq!(upstream.completed().len(), 1);
    gateway.counted(&["bodies_stalled"], 2).await;
}

/// A call of gRPC sends messages when it likes; one of gRPC-Web has a single one to send.
#[tokio::test]
async fn a_message_of_grpc_web_that_stalls_is_given_up() {
    let upstream = Upstream::http1(ok).await;
    let config = format!("{}[timeouts]\nbody_progress = \"200ms\"\n", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.head(1, &[POST, &[("content-type", "application/grpc-web+proto")]].concat()).await;
    http2.send(DATA, NO_FLAGS, 1, b"\0\0\0\0\x05").await;
    let outcome = http2.outcome(1).await;
    assert!(matches!(outcome, Outcome::Answered(200) | Outcome::Reset(_)), "{outcome:?}");
    upstream.disconnected().await;
    gateway.counted(&["bodies_stalled"], 1).await;
}

/// Answers the next request without end, until the gateway lets go of it.
async fn answer_until_abandoned(script: &mut Script) {
    let pieces = script.next().await.answer_streaming(Response::builder());
    let answering = async { while pieces.try_data(vec![b'x'; 64 << 10]).await {} };
    within("an answer nobody reads to be let go of", answering).await;
}

async fn wanting_readers() -> (Script, Upstream, Gateway) {
    wanting_readers_of(Kind::Http1).await
}

async fn wanting_readers_of(kind: Kind) -> (Script, Upstream, Gateway) {
    let (script, handler) = Script::new();
    let upstream = Upstream::http(kind, handler).await;
    let config = format!("{}[timeouts]\nwrite_progress = \"200ms\"\n", upstream.routes());
    let gateway = Gateway::start(&config).await;
    (script, upstream, gateway)
}

#[tokio::test]
async fn an_http1_client_that_does_not_read_is_given_up() {
    let (mut script, _upstream, gateway) = wanting_readers().await;
    let mut stream = Dial::new(&gateway).tls().await;
    send(&mut stream, b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    answer_until_abandoned(&mut script).await;
    gateway.counted(&["writes_stalled"], 1).await;
    gateway.wait_for_log(is_stalled).await;
}

fn is_stalled(line: &Value) -> bool {
    line["reason"] == "write_stalled"
}

#[tokio::test]
async fn an_http2_stream_whose_window_stays_shut_is_reset() {
    let (mut script, _upstream, gateway) = wanting_readers().await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.request(1, &get("/open")).await;
    // Room on the connection, so that the stream's own window is all that is in the
    // way.
    http2.send(WINDOW_UPDATE, NO_FLAGS, 0, &(1_u32 << 20).to_be_bytes()).await;
    answer_until_abandoned(&mut script).await;
    check_reset_alone(&mut http2, &gateway).await;
}

async fn check_reset_alone(http2: &mut Http2, gateway: &Gateway) {
    assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
    assert_eq!(http2.outcome(1).await, Outcome::Reset(CANCEL));
    gateway.counted(&["streams_stalled"], 1).await;
    gateway.wait_for_log(is_stalled).await;
    assert!(http2.answers_ping().await, "the connection goes on");
}

/// Was: the upload kept the streams on both sides, and nobody judged them again.
#[tokio::test]
async fn an_answer_that_is_not_read_is_reset_beside_an_upload_that_goes_on() {
    // The upstream reads nothing either, and has room for a MiB.
    for uploaded in [5, (1 << 20) + (64 << 10)] {
        let (mut script, _upstream, gateway) = wanting_readers_of(Kind::H2c).await;
        let mut http2 = Http2::connect(&gateway).await;
        http2.send(WINDOW_UPDATE, NO_FLAGS, 0, &(1_u32 << 20).to_be_bytes()).await;
        http2.head(1, POST).await;
        http2.upload(1, uploaded).await;
        answer_until_abandoned(&mut script).await;
        check_reset_alone(&mut http2, &gateway).await;
    }
}

/// Was: it went on as long as its client wanted, and counted for nobody.
#[tokio::test]
async fn an_upload_to_an_http2_upstream_ends_with_its_answer() {
    let (sender, mut uploads) = mpsc::channel(1);
    let upstream = Upstream::http(Kind::H2c, move |request| {
        let sender = sender.clone();
        tokio::spawn(async move {
            let complete = request.into_body().collect().await.is_ok();
            sender.send(complete).await
        });
        async { text("enough") }
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.head(1, POST).await;
    http2.upload(1, 5).await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
    let complete = within("the upstream's end of it", uploads.recv()).await;
    assert_eq!(complete, Some(false));
    // What its client goes on sending is taken for a while, and is nobody's.
    http2.upload(1, 64 << 10).await;
    assert_eq!(http2.outcome(1).await, Outcome::Reset(NO_ERROR));
}

fn get(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
}

/// Large answers to clients that must read, but below `/open/small`.
async fn wanting_readers_of_much() -> (Upstream, Gateway) {
    let upstream = Upstream::http1(|request| {
        let small = request.uri().path().starts_with("/open/small");
        let answer = if small { text("ok") } else { Response::new(body(vec![b'x'; 4 << 20])) };
        async { answer }
    });
    let upstream = upstream.await;
    let config = format!(
        "{}[timeouts]\nwrite_progress = \"1s\"\n[limits]\nrequests_per_second = 1000\nburst = 1000\n",
        upstream.routes()
    );
    let gateway = Gateway::start(&config).await;
    (upstream, gateway)
}

/// Was: any answer that was read counted for all of the connection.
#[tokio::test]
async fn a_stream_that_is_not_read_is_reset_beside_others_that_are() {
    let (_upstream, gateway) = wanting_readers_of_much().await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.send(WINDOW_UPDATE, NO_FLAGS, 0, &(1_u32 << 20).to_be_bytes()).await;
    http2.request(1, &get("/open/large")).await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    let mut next = 3;
    let reset = async {
        loop {
            tokio::select! {
                outcome = http2.outcome(1) => break outcome,
                _ = beat.tick() => {
                    http2.request(next, &get("/open/small")).await;
                    next += 2;
                }
            }
        }
    };
    let outcome = within("the stream to be reset", reset).await;
    assert_eq!(outcome, Outcome::Reset(CANCEL));
    gateway.counted(&["streams_stalled"], 1).await;
    http2.request(next, &get("/open/small")).await;
    assert_eq!(http2.outcome(next).await, Outcome::Answered(200));
}

/// Was: a byte of room for each now and then kept all of them.
#[tokio::test]
async fn streams_that_are_read_a_byte_at_a_time_are_reset() {
    const STREAMS: u32 = 20;
    let (_upstream, gateway) = wanting_readers_of_much().await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.send(WINDOW_UPDATE, NO_FLAGS, 0, &(16_u32 << 20).to_be_bytes()).await;
    let streams: Vec<u32> = (0..STREAMS).map(|number| 2 * number + 1).collect();
    for &stream in &streams {
        http2.request(stream, &get("/open/large")).await;
    }
    let mut all_reset = std::pin::pin!(gateway.counted(&["streams_stalled"], u64::from(STREAMS)));
    let mut beat = tokio::time::interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            () = &mut all_reset => break,
            // Whatever comes is read.
            error = http2.closed() => panic!("the connection has ended: {error:?}"),
            _ = beat.tick() => {
                for &stream in &streams {
                    http2.send(WINDOW_UPDATE, NO_FLAGS, stream, &1_u32.to_be_bytes()).await;
                }
            }
        }
    }
    assert!(http2.answers_ping().await, "the connection goes on");
}

/// Was: while the socket had no room nobody was judged, and a KiB of it for all of them
/// now and then was enough.
#[tokio::test]
async fn a_client_that_lets_its_socket_trickle_is_given_up() {
    const STREAMS: u32 = 100;
    let (_upstream, gateway) = wanting_readers_of_much().await;
    let mut http2 = Http2::over(Dial::new(&gateway).receive_buffer(16 << 10)).await;
    http2.send(WINDOW_UPDATE, NO_FLAGS, 0, &(1_u32 << 30).to_be_bytes()).await;
    for stream in 0..STREAMS {
        http2.request(2 * stream + 1, &get("/open/large")).await;
    }
    let trickling = async {
        let mut beat = tokio::time::interval(Duration::from_millis(250));
        while http2.sip(12 << 10).await {
            beat.tick().await;
        }
    };
    tokio::select! {
        () = gateway.counted(&["streams_stalled"], u64::from(STREAMS / 2)) => {}
        // Is the socket without room when they are judged, all of it is given up.
        () = trickling => gateway.counted(&["streams_stalled", "writes_stalled"], 1).await,
    }
    gateway.wait_for_log(is_stalled).await;
}

/// Was: the library had all of it, and only the connection's end took it from there.
#[tokio::test]
async fn the_end_of_an_answer_that_is_not_read_leaves_other_streams_alone() {
    let (mut script, _upstream, gateway) = wanting_readers().await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.send(WINDOW_UPDATE, NO_FLAGS, 0, &(1_u32 << 20).to_be_bytes()).await;
    http2.request(1, &get("/open/events")).await;
    let pieces = script.next().await.answer_streaming(Response::builder());
    pieces.data("an event").await;
    http2.request(3, &get("/open/unread")).await;
    script.next().await.answer(Response::new(body(vec![b'x'; 100 << 10])));
    assert_eq!(http2.outcome(3).await, Outcome::Answered(200));
    assert_eq!(http2.outcome(3).await, Outcome::Reset(CANCEL));
    gateway.counted(&["streams_stalled"], 1).await;
    let line = gateway.wait_for_log(is_stalled).await;
    assert_eq!(line["path"], "/open/unread", "{line}");
    pieces.data("another").await;
    drop(pieces);
    assert_eq!(http2.read_body(1).await, 2, "the other piece and the end");
}

/// Was: the last bytes of an answer were no use of the connection.
#[tokio::test]
async fn a_connection_whose_client_still_reads_is_not_idle() {
    let upstream = Upstream::http1(|_| async { text("ok") }).await;
    let config = format!("{}[timeouts]\nidle = \"1s\"\n", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let mut reading = Http2::connect(&gateway).await;
    let one = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &1_u32.to_be_bytes()].concat();
    reading.send(SETTINGS, NO_FLAGS, 0, &one).await;
    reading.request(1, &get("/open")).await;
    assert_eq!(reading.outcome(1).await, Outcome::Answered(200));
    // Two more, one after the other, are idle meanwhile and end.
    for _ in 0..2 {
        let mut idle = Http2::connect(&gateway).await;
        idle.request(1, &get("/open")).await;
        idle.closed().await;
    }
    assert_eq!(reading.read_body(1).await, 2, "a byte, and one more");
}

/// What is complete but for bytes in the library's hands is no stream of ours any more.
#[tokio::test]
async fn the_end_of_an_answer_that_is_not_read_ends_the_connection() {
    let (_upstream, gateway) = wanting_readers_of_much().await;
    let mut http2 = Http2::connect(&gateway).await;
    let one = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &1_u32.to_be_bytes()].concat();
    http2.send(SETTINGS, NO_FLAGS, 0, &one).await;
    http2.request(1, &get("/open/small")).await;
    http2.closed().await;
    gateway.counted(&["writes_stalled"], 1).await;
}

#[tokio::test]
async fn an_answer_in_which_the_upstream_pauses_is_not_unread() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let config = format!("{}[timeouts]\nwrite_progress = \"200ms\"\n", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let (mut quiet, mut unread) = (Http2::connect(&gateway).await, Http2::connect(&gateway).await);
    quiet.request(1, &get("/open/quiet")).await;
    let pieces = script.next().await.answer_streaming(Response::builder());
    pieces.data("an event").await;
    // Whoever reads nothing meanwhile is given up, twice.
    for stream in [1, 3] {
        unread.send(WINDOW_UPDATE, NO_FLAGS, 0, &(1_u32 << 20).to_be_bytes()).await;
        unread.request(stream, &get("/open")).await;
        answer_until_abandoned(&mut script).await;
    }
    pieces.data("another").await;
    drop(pieces);
    assert_eq!(quiet.read_body(1).await, 3, "two pieces and the end");
}
