//! What connections cost that offer much and take nothing: memory of the gateway's,
//! for each of them.

use std::future::pending;

use bytes::Bytes;
use http::Response;
use tokio::task::JoinSet;

use crate::support::client::{Client, body};
use crate::support::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, Http2, INITIAL_WINDOW_SIZE, NO_FLAGS, SETTINGS,
    WINDOW_UPDATE, block,
};
use crate::support::gateway::Gateway;
use crate::support::socket::{Dial, read_until, send};
use crate::support::upstream::{Kind, Upstream, read_head};

const KIB: u64 = 1 << 10;
/// What a connection may cost, and a stream; each offers or asks for far more.
const MOST: u64 = 512 * KIB;
/// What an answer may cost that its client does not read, with its share of everything
/// else, in a build that is not optimised. Was: some 400.
const UNREAD: u64 = 224 * KIB;
/// What it may cost more where the upstream's side has a window of its own.
const UNREAD_WINDOW: u64 = 96 * KIB;
/// And where its client has sent more requests than are looked at.
const IN_ADVANCE: u64 = 96 * KIB;
/// And where only the socket is left of a connection.
const LINGERING: u64 = 24 * KIB;
const OFFERED: usize = 16 << 20;
/// Of each, before anything is measured: what is allocated once is nobody's cost.
const FIRST: u32 = 16;
const MORE: u32 = 128;
/// Requests of another client, after which all that was sent has been dealt with.
const MEANWHILE: usize = 50;

const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];

struct Stage {
    gateway: Gateway,
    _upstream: Upstream,
}

impl Stage {
    async fn before(upstream: Upstream) -> Self {
        let quiet = "[[route]]\npath = \"/quiet\"\npublic = true\nupstream = \"echo\"\n";
        let limits = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n";
        let config = upstream.routes() + quiet + limits;
        Self { gateway: Gateway::start(&config).await, _upstream: upstream }
    }

    async fn resident_bytes(&self) -> u64 {
        let mut connection = Client::anonymous(&self.gateway).connect().await;
        for _ in 0..MEANWHILE {
            connection.get("/quiet").await.expect(200);
        }
        self.gateway.resident_bytes()
    }

    /// Each connection that `open` opens costs at most so much.
    async fn check<T>(&self, most: u64, open: impl AsyncFn(&Gateway) -> T) {
        let mut held = Vec::new();
        for _ in 0..FIRST {
            held.push(open(&self.gateway).await);
        }
        let before = self.resident_bytes().await;
        for _ in 0..MORE {
            held.push(open(&self.gateway).await);
        }
        let each = self.resident_bytes().await.saturating_sub(before) / u64::from(MORE);
        assert!(each <= most, "{} KiB each", each / KIB);
    }
}

/// Answers of 4 MiB, from an upstream of each kind that streams differently.
async fn with_large_answers(kind: Kind) -> Stage {
    let large = Bytes::from(vec![b'x'; 4 << 20]);
    let answer = move |_| {
        let large = large.clone();
        async { Response::new(body(large)) }
    };
    Stage::before(Upstream::http(kind, answer).await).await
}

const KINDS: [(Kind, u64); 2] = [(Kind::Http1, UNREAD), (Kind::TlsHttp2, UNREAD + UNREAD_WINDOW)];

/// A client that has asked and reads nothing.
async fn asking(gateway: &Gateway, requests: usize) -> impl Sized + use<> {
    let mut stream = Dial::new(gateway).tls().await;
    let request = "GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(requests);
    send(&mut stream, request.as_bytes()).await;
    stream
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_not_kept() {
    for (kind, most) in KINDS {
        with_large_answers(kind).await.check(most, async |gateway| asking(gateway, 1).await).await;
    }
}

#[tokio::test]
async fn requests_in_advance_of_answers_that_nobody_reads_are_not_kept() {
    for (kind, most) in KINDS {
        let stage = with_large_answers(kind).await;
        stage.check(most + IN_ADVANCE, async |gateway| asking(gateway, 500).await).await;
    }
}

/// So many streams with windows of this size, and nobody who reads them.
async fn check_unread_streams(streams: u32, window: u32) {
    const LARGEST: u32 = 0x7fff_ffff;
    const INITIAL: u32 = 0xffff;
    let check = async |gateway: &Gateway| {
        let mut http2 = Http2::connect(gateway).await;
        let settings = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
        http2.send(SETTINGS, NO_FLAGS, 0, &settings).await;
        http2.send(WINDOW_UPDATE, NO_FLAGS, 0, &(LARGEST - INITIAL).to_be_bytes()).await;
        for stream in 0..streams {
            http2.request(2 * stream + 1, GET).await;
        }
        http2
    };
    for (kind, most) in KINDS {
        with_large_answers(kind).await.check(u64::from(streams) * most, check).await;
    }
}

#[tokio::test]
async fn answers_behind_closed_windows_are_not_kept() {
    check_unread_streams(1, 0).await;
}

#[tokio::test]
async fn answers_that_open_windows_promise_to_read_are_not_kept() {
    check_unread_streams(1, 0x7fff_ffff).await;
}

#[tokio::test]
async fn many_answers_of_one_connection_are_not_kept() {
    check_unread_streams(10, 0x7fff_ffff).await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_kept_up_to_its_limit() {
    Stage::before(Upstream::http1(|_| async { Response::new(body("")) }).await)
        .await
        .check(128 * KIB, async |gateway| {
            let mut stream = Dial::new(gateway).tls().await;
            let head = format!("GET /open HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(30 << 10));
            send(&mut stream, head.as_bytes()).await;
            stream
        })
        .await;
}

/// The table keeps one field of 3,900 bytes; each further byte stands for all of it.
#[tokio::test]
async fn a_header_bomb_is_not_unpacked() {
    let value = "x".repeat(3900);
    let mut bomb = block(&[("x-bomb", &*value)]);
    bomb[0] = 0x40;
    bomb.extend([0xbe; 12_000]);
    let bomb = [block(GET), bomb].concat();
    Stage::before(Upstream::http1(|_| async { Response::new(body("")) }).await)
        .await
        .check(MOST, async |gateway| {
            let mut http2 = Http2::connect(gateway).await;
            let (first, rest) = bomb.split_at(bomb.len() / 2);
            http2.send(HEADERS, END_STREAM, 1, first).await;
            http2.send(CONTINUATION, END_HEADERS, 1, rest).await;
            http2.outcome(1).await;
            http2
        })
        .await;
}

#[tokio::test]
async fn an_upload_that_no_upstream_reads_is_not_kept() {
    let upstream = Upstream::raw(|mut wire| async move {
        read_head(&mut wire).await;
        pending::<()>().await;
    });
    let stage = Stage::before(upstream.await).await;
    let piece = vec![b'x'; 64 << 10];
    stage
        .check(MOST, async |gateway| {
            let mut stream = Dial::new(gateway).tls().await;
            let head =
                format!("POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: {OFFERED}\r\n\r\n");
            send(&mut stream, head.as_bytes()).await;
            let mut uploading = JoinSet::new();
            let piece = piece.clone();
            uploading.spawn(async move {
                use tokio::io::AsyncWriteExt as _;
                for _ in 0..OFFERED / piece.len() {
                    if stream.write_all(&piece).await.is_err() {
                        return;
                    }
                }
                pending::<()>().await;
            });
            uploading
        })
        .await;
}

#[tokio::test]
async fn of_a_connection_that_lingers_little_is_left() {
    Stage::before(Upstream::http1(|_| async { Response::new(body("")) }).await)
        .await
        .check(LINGERING, async |gateway| {
            let mut stream = Dial::new(gateway).tls().await;
            let head =
                format!("POST /closed HTTP/1.1\r\nHost: a\r\nContent-Length: {OFFERED}\r\n\r\n");
            send(&mut stream, head.as_bytes()).await;
            let response = read_until(&mut stream, "\r\n\r\n").await.expect("a response");
            assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
            stream
        })
        .await;
}
