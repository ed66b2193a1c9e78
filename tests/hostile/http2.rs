//! HTTP/2 requests that must not become HTTP/1.1 requests: what RFC 9113 calls
//! malformed, frame by frame.

use crate::support::client::Client;
use crate::support::frames::{CANCEL, DATA, END_STREAM, Http2, NO_FLAGS, Outcome, RST_STREAM};
use crate::support::socket::{Dial, read_to_end, send};

use super::Stage;

type Fields = &'static [(&'static str, &'static str)];

/// Changes to a sound request: fields left out, put in front of it, and put behind.
struct Case {
    name: &'static str,
    without: &'static [&'static str],
    front: Fields,
    behind: Fields,
}

const fn behind(name: &'static str, fields: Fields) -> Case {
    Case { name, without: &[], front: &[], behind: fields }
}

const fn instead(name: &'static str, without: &'static [&'static str], front: Fields) -> Case {
    Case { name, without, front, behind: &[] }
}

const SOUND: Fields =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];

impl Case {
    fn fields(&self) -> Vec<(&'static str, &'static str)> {
        let kept = SOUND.iter().filter(|(name, _)| !self.without.contains(name));
        self.front.iter().chain(kept).chain(self.behind).copied().collect()
    }
}

async fn outcome(stage: &Stage, case: &Case) -> Outcome {
    let mut http2 = Http2::connect(&stage.gateway).await;
    http2.request(1, &case.fields()).await;
    http2.outcome(1).await
}

#[tokio::test]
async fn sound_requests_pass() {
    let stage = Stage::start().await;
    let cases = [
        behind("as it is", &[]),
        behind("te: trailers", &[("te", "trailers")]),
        behind("a length of zero", &[("content-length", "0")]),
        behind("crumbs", &[("cookie", "a=1"), ("cookie", "b=2")]),
        behind("the same host again", &[("host", "localhost")]),
        behind("an empty value", &[("x-empty", "")]),
        instead("a port", &[":authority"], &[(":authority", "localhost:8443")]),
        instead("an address", &[":authority"], &[(":authority", "[::1]:8443")]),
    ];
    for case in &cases {
        assert_eq!(outcome(&stage, case).await, Outcome::Answered(200), "{}", case.name);
    }
    stage.check_still_serves(cases.len()).await;
}

const MALFORMED: &[Case] = &[
    behind("connection", &[("connection", "close")]),
    behind("connection: te", &[("connection", "te"), ("te", "trailers")]),
    behind("keep-alive", &[("keep-alive", "timeout=5")]),
    behind("proxy-connection", &[("proxy-connection", "keep-alive")]),
    behind("transfer-encoding", &[("transfer-encoding", "chunked")]),
    behind("upgrade", &[("upgrade", "websocket")]),
    behind("upgrade to h2c", &[("upgrade", "h2c"), ("http2-settings", "AAMAAABk")]),
    behind("te: gzip", &[("te", "gzip")]),
    behind("te: trailers, gzip", &[("te", "trailers, gzip")]),
    behind("a name in capitals", &[("X-Odd", "a")]),
    behind("one capital letter", &[("x-Odd", "a")]),
    behind("a host in capitals", &[("Host", "localhost")]),
    behind("no name", &[("", "a")]),
    behind("a space in a name", &[("x odd", "a")]),
    behind("a colon in a name", &[("x:odd", "a")]),
    behind("a NUL in a name", &[("x\0odd", "a")]),
    behind("a line break in a name", &[("x\r\nhost: evil\r\ny", "a")]),
    behind("a line break in a value", &[("x-odd", "a\r\ntransfer-encoding: chunked")]),
    behind("a line feed in a value", &[("x-odd", "a\nb")]),
    behind("a carriage return in a value", &[("x-odd", "a\rb")]),
    behind("a NUL in a value", &[("x-odd", "a\0b")]),
    behind("a pseudo-field behind a field", &[("x-odd", "a"), (":path", "/open")]),
    behind("an unknown pseudo-field", &[(":odd", "a")]),
    behind("a pseudo-field of answers", &[(":status", "200")]),
    behind("another host", &[("host", "evil.example")]),
    behind("two hosts", &[("host", "localhost"), ("host", "localhost")]),
    behind("two lengths", &[("content-length", "0"), ("content-length", "5")]),
    behind("a length of letters", &[("content-length", "zero")]),
    behind("a length with a sign", &[("content-length", "+0")]),
    behind("a length without a body", &[("content-length", "5")]),
    instead("two methods", &[], &[(":method", "GET")]),
    instead("two paths", &[], &[(":path", "/open")]),
    instead("two authorities", &[], &[(":authority", "localhost")]),
    instead("no method", &[":method"], &[]),
    instead("no scheme", &[":scheme"], &[]),
    instead("no path", &[":path"], &[]),
    instead("no authority", &[":authority"], &[]),
    instead("an empty method", &[":method"], &[(":method", "")]),
    instead("a space in the method", &[":method"], &[(":method", "GET /closed HTTP/1.1")]),
    instead("a line break in the method", &[":method"], &[(":method", "GET\r\nx")]),
    instead("a long method", &[":method"], &[(":method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG")]),
    instead("a tunnel", &[":method", ":scheme", ":path"], &[(":method", "CONNECT")]),
    instead("a tunnel with a path", &[":method"], &[(":method", "CONNECT")]),
    instead("trace", &[":method"], &[(":method", "TRACE")]),
    instead("an empty path", &[":path"], &[(":path", "")]),
    instead("a path without a slash", &[":path"], &[(":path", "open")]),
    instead("an asterisk", &[":path"], &[(":path", "*")]),
    instead("a path with a host", &[":path"], &[(":path", "https://localhost/open")]),
    instead("a space in the path", &[":path"], &[(":path", "/open HTTP/1.1")]),
    instead("a line break in the path", &[":path"], &[(":path", "/open HTTP/1.1\r\nx: y")]),
    instead("a NUL in the path", &[":path"], &[(":path", "/open\0")]),
    instead("a user", &[":authority"], &[(":authority", "user@localhost")]),
    instead("a path in the authority", &[":authority"], &[(":authority", "localhost/closed")]),
    instead("a space in the authority", &[":authority"], &[(":authority", "local host")]),
    instead(
        "a line break in the authority",
        &[":authority"],
        &[(":authority", "localhost\r\nx: y")],
    ),
    instead("an empty authority", &[":authority"], &[(":authority", "")]),
    instead("a port of letters", &[":authority"], &[(":authority", "localhost:https")]),
    instead("an odd scheme", &[":scheme"], &[(":scheme", "https://evil/?")]),
];

#[tokio::test]
async fn malformed_requests_are_refused_and_nothing_of_them_is_forwarded() {
    let stage = Stage::start().await;
    let mut failures = Vec::new();
    for case in MALFORMED {
        let before = stage.upstream.bytes().len();
        let outcome = outcome(&stage, case).await;
        let refused = match outcome {
            Outcome::Answered(status) => (400..500).contains(&status),
            Outcome::Reset(_) | Outcome::Closed(_) => true,
        };
        let forwarded = &stage.upstream.bytes()[before..];
        // A request that lies about its body is found out behind its head.
        if !refused || !forwarded.is_empty() && case.name != "a length without a body" {
            let forwarded = String::from_utf8_lossy(forwarded);
            failures.push(format!("{}: {outcome:?}, forwarded {forwarded:?}", case.name));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

const POST_OF_FIVE: Fields = &[
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "localhost"),
    (":path", "/open"),
    ("content-length", "5"),
];

#[tokio::test]
async fn a_body_is_as_long_as_announced_or_the_request_is_reset() {
    let stage = Stage::start().await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    http2.head(1, POST_OF_FIVE).await;
    http2.send(DATA, END_STREAM, 1, b"hello").await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
    assert_eq!(stage.upstream.next_request().await.body, b"hello");
    for lie in [&b"hello, and GET /smuggled HTTP/1.1"[..], b"hell", b""] {
        let mut http2 = Http2::connect(&stage.gateway).await;
        http2.head(1, POST_OF_FIVE).await;
        http2.send(DATA, END_STREAM, 1, lie).await;
        let outcome = http2.outcome(1).await;
        let refused =
            matches!(outcome, Outcome::Reset(_) | Outcome::Closed(_) | Outcome::Answered(400));
        assert!(refused, "{lie:?}: {outcome:?}");
    }
    assert_eq!(stage.upstream.completed().len(), 1);
}

/// The answer to what was announced may be under way before the rest arrives; that
/// much is a race. That the rest goes nowhere is not.
#[tokio::test]
async fn bytes_behind_the_announced_length_go_nowhere() {
    let stage = Stage::start().await;
    for _ in 0..10 {
        let mut http2 = Http2::connect(&stage.gateway).await;
        http2.head(1, POST_OF_FIVE).await;
        http2.send(DATA, NO_FLAGS, 1, b"hello").await;
        let behind = b"GET /open/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
        http2.send(DATA, END_STREAM, 1, behind).await;
        http2.outcome(1).await;
    }
    Client::anonymous(&stage.gateway).get("/open/last").await.expect(200);
    assert!(!String::from_utf8_lossy(&stage.upstream.bytes()).contains("smuggled"));
}

#[tokio::test]
async fn a_request_that_is_reset_halfway_is_not_completed() {
    let stage = Stage::start().await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    let mut post = SOUND.to_vec();
    post[0] = (":method", "POST");
    http2.head(1, &post).await;
    http2.send(DATA, NO_FLAGS, 1, b"half").await;
    stage.upstream.reached().await;
    http2.send(RST_STREAM, NO_FLAGS, 1, &CANCEL.to_be_bytes()).await;
    stage.upstream.disconnected().await;
    assert_eq!(stage.upstream.completed().len(), 0);
    // Only that stream is gone.
    http2.request(3, SOUND).await;
    assert_eq!(http2.outcome(3).await, Outcome::Answered(200));
}

#[tokio::test]
async fn another_protocol_behind_the_handshake_for_http2_is_hung_up_on() {
    let stage = Stage::start().await;
    let openings: [&[u8]; 3] = [
        b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        &[0; 64],
    ];
    for opening in openings {
        let mut stream = Dial::new(&stage.gateway).protocols(&["h2"]).tls().await;
        send(&mut stream, opening).await;
        let answer = read_to_end(&mut stream).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
    stage.check_still_serves(0).await;
}
