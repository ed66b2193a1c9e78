//! Connections that cost more than they should: each ends by itself, and nobody
//! else notices.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use http::Response;

use crate::support::client::{Client, body, sign_in_admin};
use crate::support::frames::{
    ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, INITIAL_WINDOW_SIZE,
    NO_FLAGS, Outcome, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::upstream::{Script, Upstream, ok, text};

use super::Stage;

const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];
const POST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];

/// The first `count` streams of a client.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

#[tokio::test]
async fn requests_reset_in_quick_succession_end_the_connection() {
    let (mut script, handler) = Script::new();
    let stage = Stage::before(Upstream::http1(handler).await, "").await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    let resets = streams(250).flat_map(|stream| {
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(GET));
        [head, frame(RST_STREAM, NO_FLAGS, stream, &CANCEL.to_be_bytes())].concat()
    });
    http2.write(&resets.collect::<Vec<u8>>()).await;
    http2.closed().await;
    stage.gateway.counted(&["reset_floods", "http2_faults"], 1).await;
    assert!(stage.upstream.requests().len() < 250);
    let client = Client::anonymous(&stage.gateway);
    let answering = async {
        loop {
            let exchange = script.next().await;
            if exchange.request.uri().path() == "/open/other" {
                return exchange.answer(text("ok"));
            }
        }
    };
    let (answer, ()) = tokio::join!(client.get("/open/other"), answering);
    answer.expect(200);
}

#[tokio::test]
async fn requests_reset_after_they_were_forwarded_end_the_connection() {
    const ALLOWED: usize = 20;
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let stage = Stage::before(upstream, &format!("h2_resets = {ALLOWED}\n")).await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    let mut forwarded = 0;
    for stream in streams(250) {
        http2.request(stream, GET).await;
        tokio::select! {
            _exchange = script.next() => forwarded += 1,
            _error = http2.closed() => break,
        }
        http2.send(RST_STREAM, NO_FLAGS, stream, &CANCEL.to_be_bytes()).await;
    }
    assert!(forwarded >= ALLOWED, "the connection ended after {forwarded} resets");
    assert!(forwarded < 250, "no number of resets ends the connection");
    stage.gateway.counted(&["reset_floods"], 1).await;
}

#[tokio::test]
async fn a_few_resets_are_an_ordinary_thing() {
    let (mut script, handler) = Script::new();
    let stage = Stage::before(Upstream::http1(handler).await, "h2_resets = 20\n").await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    for stream in streams(15) {
        http2.request(stream, GET).await;
        let mut exchange = script.next().await;
        http2.send(RST_STREAM, NO_FLAGS, stream, &CANCEL.to_be_bytes()).await;
        exchange.abandoned().await;
    }
    assert!(http2.answers_ping().await);
}

/// Streams the gateway has to reset because of the client count like the client's
/// own resets.
#[tokio::test]
async fn resets_provoked_from_the_gateway_end_the_connection() {
    let too_much = |stream| {
        let mut head = POST.to_vec();
        head.push(("content-length", "1"));
        let head = frame(HEADERS, END_HEADERS, stream, &block(&head));
        [head, frame(DATA, NO_FLAGS, stream, b"more than one")].concat()
    };
    let no_window = |stream| {
        let head = frame(HEADERS, END_HEADERS, stream, &block(POST));
        [head, frame(WINDOW_UPDATE, NO_FLAGS, stream, &0_u32.to_be_bytes())].concat()
    };
    let overflowing_window = |stream| {
        let head = frame(HEADERS, END_HEADERS, stream, &block(POST));
        let largest = frame(WINDOW_UPDATE, NO_FLAGS, stream, &0x7fff_ffff_u32.to_be_bytes());
        [head, largest].concat()
    };
    let provocations: [&dyn Fn(u32) -> Vec<u8>; 3] = [&too_much, &no_window, &overflowing_window];
    for provocation in provocations {
        let (script, handler) = Script::new();
        let stage = Stage::before(Upstream::http1(handler).await, "h2_resets = 20\n").await;
        let mut http2 = Http2::connect(&stage.gateway).await;
        http2.write(&streams(250).flat_map(provocation).collect::<Vec<u8>>()).await;
        http2.closed().await;
        stage.gateway.counted(&["reset_floods", "http2_faults"], 1).await;
        assert_eq!(stage.upstream.completed().len(), 0);
        drop(script);
    }
}

#[tokio::test]
async fn a_header_block_without_an_end_ends_the_connection() {
    let stage = Stage::start().await;
    let field = block(&[("x-more", "and more")]);
    for fragment in [&field[..], &[]] {
        let mut http2 = Http2::connect(&stage.gateway).await;
        http2.send(HEADERS, END_STREAM, 1, &block(GET)).await;
        http2.write(&frame(CONTINUATION, NO_FLAGS, 1, fragment).repeat(10_000)).await;
        http2.closed().await;
    }
    stage.gateway.counted(&["http2_faults"], 2).await;
    stage.check_still_serves(0).await;
}

#[tokio::test]
async fn a_header_list_larger_than_allowed_is_refused() {
    let stage = Stage::start().await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    http2.request(1, GET).await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
    let sent_in_full = block(&[("x-large", &*"x".repeat(15 << 10))]).repeat(5);
    // A bomb: the table keeps one field of 3900 bytes, each further byte stands for
    // all of it.
    let value = "x".repeat(3900);
    let mut bomb = block(&[("x-bomb", &*value)]);
    bomb[0] = 0x40;
    bomb.extend([0xbe; 12_000]);
    for fields in [sent_in_full, bomb] {
        let mut http2 = Http2::connect(&stage.gateway).await;
        let whole = [block(GET), fields].concat();
        let mut fragments = whole.chunks(16 << 10).peekable();
        http2.send(HEADERS, END_STREAM, 1, fragments.next().expect("a fragment")).await;
        while let Some(fragment) = fragments.next() {
            let flags = if fragments.peek().is_some() { NO_FLAGS } else { END_HEADERS };
            http2.send(CONTINUATION, flags, 1, fragment).await;
        }
        let outcome = http2.outcome(1).await;
        let refused = match outcome {
            Outcome::Answered(status) => status == 431,
            Outcome::Reset(_) | Outcome::Closed(_) => true,
        };
        assert!(refused, "{outcome:?}");
    }
    stage.check_still_serves(1).await;
}

#[tokio::test]
async fn frames_that_ask_for_work_and_bring_none_end_the_connection() {
    let stage = Stage::start().await;
    let one = 1_u32.to_be_bytes();
    let floods = [
        frame(PING, NO_FLAGS, 0, &[0; 8]),
        frame(PING, ACK, 0, &[0; 8]),
        frame(SETTINGS, NO_FLAGS, 0, &[]),
        frame(WINDOW_UPDATE, NO_FLAGS, 0, &one),
        frame(WINDOW_UPDATE, NO_FLAGS, 1, &one),
        frame(PRIORITY, NO_FLAGS, 1, &[0, 0, 0, 0, 16]),
        frame(DATA, NO_FLAGS, 1, &[]),
        // A kind that does not exist.
        frame(0xfa, NO_FLAGS, 0, &[]),
    ];
    let count = floods.len() as u64;
    for flood in floods {
        let mut http2 = Http2::connect(&stage.gateway).await;
        http2.head(1, POST).await;
        http2.write(&flood.repeat(10_000)).await;
        http2.closed().await;
    }
    stage.gateway.counted(&["frame_floods", "http2_faults"], count).await;
    stage.gateway.counted(&["frame_floods"], 1).await;
    stage.check_still_serves(0).await;
}

/// Two frames for each piece of an answer, as some clients do it.
#[tokio::test]
async fn room_for_an_answer_is_no_flood() {
    let upstream = Upstream::http1(|_| async { Response::new(body(vec![b'x'; 256 << 10])) }).await;
    let stage = Stage::before(upstream, "").await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    let window = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &256_u32.to_be_bytes()].concat();
    http2.send(SETTINGS, NO_FLAGS, 0, &window).await;
    http2.request(1, GET).await;
    let pieces = http2.read_body(1).await;
    assert!(pieces > 1000, "{pieces} pieces");
    assert!(http2.answers_ping().await);
}

#[tokio::test]
async fn streams_beyond_the_allowed_number_are_refused() {
    let (mut script, handler) = Script::new();
    let stage = Stage::before(Upstream::http1(handler).await, "h2_streams = 4\n").await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    for stream in streams(8) {
        http2.request(stream, GET).await;
    }
    let outcome = http2.outcome(15).await;
    assert!(matches!(outcome, Outcome::Reset(_) | Outcome::Closed(_)), "{outcome:?}");
    assert!(stage.upstream.requests().len() <= 4);
    // Those that were in time are unharmed, unless the client was thrown out.
    if matches!(outcome, Outcome::Reset(_)) {
        for _ in 0..4 {
            script.next().await.answer(text("ok"));
        }
        assert!(http2.answers_ping().await);
    }
}

#[tokio::test]
async fn a_connection_that_reads_nothing_does_not_hold_up_others() {
    let upstream = Upstream::http1(|_| async { Response::new(body(vec![b'x'; 1 << 20])) }).await;
    let stage = Stage::before(upstream, "").await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    // Their answers wait behind windows that are never opened again.
    for stream in streams(100) {
        http2.request(stream, GET).await;
    }
    let mut connection = Client::anonymous(&stage.gateway).connect().await;
    for _ in 0..5 {
        assert_eq!(connection.get("/open/other").await.expect(200).body.len(), 1 << 20);
    }
    drop(http2);
}

/// Each address has its attempts to itself, so only the hashing is short: it is shed,
/// and who needs none of it does not notice.
#[tokio::test]
async fn a_flood_of_wrong_passwords_from_many_addresses_holds_up_passwords_only() {
    let upstream = Upstream::http1(ok).await;
    let pool = "[auth]\nbcrypt_cost = 10\nhash_threads = 1\nhash_queue = 2\n";
    let gateway = Gateway::start(&format!("{}{pool}", upstream.routes())).await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;

    let over = AtomicBool::new(false);
    // Each at another user: at one, strangers take turns.
    let attack = async |number: usize| {
        let (name, mut answers) = (format!("user{number}"), Vec::new());
        while !over.load(Ordering::Relaxed) {
            answers.push(Client::anonymous(&gateway).login(&name, "a guess").await);
        }
        answers
    };
    let others = async {
        gateway.wait_for_log(|line| line["reason"] == "hasher_busy").await;
        for _ in 0..10 {
            Client::bearer(&gateway, &token).get("/").await.expect(200);
            Client::api_key(&gateway, &key).get("/").await.expect(200);
        }
        over.store(true, Ordering::Relaxed);
    };
    let (answers, ()) = tokio::join!(join_all((0..16).map(attack)), others);
    for answer in answers.into_iter().flatten() {
        if answer.status == 503 {
            let seconds: u64 = answer.field("retry-after").parse().expect("a number of seconds");
            assert!(seconds > 0);
            answer.refused(503, "SERVICE_UNAVAILABLE");
        } else {
            answer.refused(401, "INVALID_CREDENTIALS");
        }
    }
    sign_in_admin(&gateway).await;
}
