//! HTTP/2 requests that must not become HTTP/1.1 requests: what RFC 9113 calls
//! malformed, frame by frame. What the upstream may receive is in each row, as is
//! what becomes of the stream; behind each goes a sound request on the same
//! connection.

use std::net::Ipv4Addr;

use futures_util::StreamExt as _;
use futures_util::stream::iter;

use crate::support::client::Client;
use crate::support::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, NO_ERROR, NO_FLAGS,
    Outcome, PING, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    block, frame,
};
use crate::support::socket::{Dial, read_to_end, send};

use super::Stage;
use super::witness::{Message, Witness, address};

type Fields = &'static [(&'static str, &'static str)];

const SOUND: Fields =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];
const POST: Fields =
    &[(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];
const BEHIND: Fields = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "localhost"),
    (":path", "/open/behind"),
];

/// Connections at a time.
const AT_ONCE: usize = 16;

/// What becomes of the first stream. But for `Ends`, the request behind
/// it is answered.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    /// Forwarded as one message with this body.
    Passes(&'static str),
    /// Answered with this status, and nothing of it is forwarded.
    Answered(u16),
    /// Reset with PROTOCOL_ERROR, and nothing of it is forwarded.
    Reset,
    /// Refused or reset when its head may be on its way; it is never completed.
    Broken,
    /// The connection ends with an error.
    Ends,
}
use Verdict::{Answered, Broken, Ends, Passes, Reset};

struct Case {
    name: &'static str,
    frames: Vec<u8>,
    verdict: Verdict,
}

/// Changes to a sound request: fields left out, put in front of it, and put behind.
type Change = (&'static str, &'static [&'static str], Fields, Fields, Verdict);

const fn behind(name: &'static str, fields: Fields, verdict: Verdict) -> Change {
    (name, &[], &[], fields, verdict)
}

/// The fields of these names, in front and instead of the sound ones.
const fn instead(name: &'static str, fields: Fields, verdict: Verdict) -> Change {
    (name, &[], fields, &[], verdict)
}

const fn without(name: &'static str, names: &'static [&'static str], verdict: Verdict) -> Change {
    (name, names, &[], &[], verdict)
}

fn changed(&(name, without, front, behind, verdict): &Change) -> Case {
    let replaced =
        |name: &str| without.contains(&name) || front.iter().any(|(new, _)| *new == name);
    let kept = SOUND.iter().filter(|(name, _)| !replaced(name));
    let fields: Vec<_> = front.iter().chain(kept).chain(behind).copied().collect();
    let frames = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields));
    Case { name, frames, verdict }
}

const CHANGES: &[Change] = &[
    behind("as it is", &[], Passes("")),
    behind("te: trailers", &[("te", "trailers")], Passes("")),
    behind("a length of zero", &[("content-length", "0")], Passes("")),
    behind("crumbs", &[("cookie", "a=1"), ("cookie", "b=2")], Passes("")),
    behind("the same host again", &[("host", "localhost")], Passes("")),
    behind("an empty value", &[("x-empty", "")], Passes("")),
    instead("a port", &[(":authority", "localhost:8443")], Passes("")),
    instead("an address", &[(":authority", "[::1]:8443")], Passes("")),
    behind("an underscore", &[("transfer_encoding", "chunked")], Passes("")),
    behind("a dot", &[("transfer.encoding", "chunked")], Passes("")),
    behind("an expectation", &[("expect", "100-continue")], Passes("")),
    behind("settings", &[("http2-settings", "AAMAAABk")], Passes("")),
    // Fields of one connection.
    behind("connection", &[("connection", "close")], Reset),
    behind("connection: te", &[("connection", "te"), ("te", "trailers")], Reset),
    behind("keep-alive", &[("keep-alive", "timeout=5")], Reset),
    behind("proxy-connection", &[("proxy-connection", "keep-alive")], Reset),
    behind("transfer-encoding", &[("transfer-encoding", "chunked")], Reset),
    behind("transfer-encoding: identity", &[("transfer-encoding", "identity")], Reset),
    behind("upgrade", &[("upgrade", "websocket")], Reset),
    behind("upgrade to h2c", &[("upgrade", "h2c"), ("http2-settings", "AAMAAABk")], Reset),
    behind("te: gzip", &[("te", "gzip")], Reset),
    behind("te: trailers, gzip", &[("te", "trailers, gzip")], Reset),
    behind("te: nothing", &[("te", "")], Reset),
    // Names.
    behind("a name in capitals", &[("X-Odd", "a")], Ends),
    behind("one capital letter", &[("x-Odd", "a")], Ends),
    behind("a host in capitals", &[("Host", "localhost")], Ends),
    behind("a coding in capitals", &[("Transfer-Encoding", "chunked")], Ends),
    behind("no name", &[("", "a")], Ends),
    behind("a space in a name", &[("x odd", "a")], Ends),
    behind("a space behind a name", &[("x-odd ", "a")], Ends),
    behind("a tab in a name", &[("x\todd", "a")], Ends),
    behind("a colon in a name", &[("x:odd", "a")], Ends),
    behind("a colon behind a name", &[("transfer-encoding:", "chunked")], Ends),
    behind("a NUL in a name", &[("x\0odd", "a")], Ends),
    behind("a carriage return in a name", &[("x\rodd", "a")], Ends),
    behind("a line feed in a name", &[("x\nodd", "a")], Ends),
    behind("a whole line in a name", &[("x: a\r\ntransfer-encoding", "chunked")], Ends),
    behind("a letter of two octets in a name", &[("x-\u{e9}", "a")], Ends),
    behind("a delete in a name", &[("x\x7f", "a")], Ends),
    // Values.
    behind("a whole line in a value", &[("x-odd", "a\r\ntransfer-encoding: chunked")], Ends),
    behind("a line feed in a value", &[("x-odd", "a\nb")], Ends),
    behind("a carriage return in a value", &[("x-odd", "a\rb")], Ends),
    behind("a line feed behind a value", &[("x-odd", "a\n")], Ends),
    behind("a NUL in a value", &[("x-odd", "a\0b")], Ends),
    behind("a control in a value", &[("x-odd", "a\x01b")], Ends),
    behind("a delete in a value", &[("x-odd", "a\x7fb")], Ends),
    // Pseudo-fields.
    behind("a pseudo-field behind a field", &[("x-odd", "a"), (":path", "/open")], Reset),
    behind("an unknown pseudo-field", &[(":odd", "a")], Ends),
    behind("a pseudo-field without a name", &[(":", "a")], Ends),
    behind("a pseudo-field of answers", &[(":status", "200")], Reset),
    behind("a protocol", &[(":protocol", "websocket")], Reset),
    behind("two methods", &[(":method", "GET")], Reset),
    behind("two schemes", &[(":scheme", "https")], Reset),
    behind("two paths", &[(":path", "/open")], Reset),
    behind("two authorities", &[(":authority", "localhost")], Reset),
    without("no method", &[":method"], Reset),
    without("no scheme", &[":scheme"], Reset),
    without("no path", &[":path"], Reset),
    without("no authority", &[":authority"], Answered(400)),
    without("nothing", &[":method", ":scheme", ":path", ":authority"], Reset),
    instead("an empty method", &[(":method", "")], Ends),
    instead("a space in the method", &[(":method", "GET /closed HTTP/1.1")], Ends),
    instead("a line break in the method", &[(":method", "GET\r\nx")], Ends),
    instead("a NUL in the method", &[(":method", "GET\0")], Ends),
    instead("32 letters", &[(":method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF")], Passes("")),
    instead("33 letters", &[(":method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG")], Answered(400)),
    instead("a tunnel with a path", &[(":method", "CONNECT")], Reset),
    (
        "a tunnel",
        &[":scheme", ":path"],
        &[(":method", "CONNECT"), (":authority", "localhost:443")],
        &[],
        Answered(405),
    ),
    instead("trace", &[(":method", "TRACE")], Answered(405)),
    instead("an empty path", &[(":path", "")], Reset),
    instead("a path without a slash", &[(":path", "open")], Answered(400)),
    instead("a query without a path", &[(":path", "?a")], Answered(400)),
    instead("an asterisk", &[(":path", "*")], Answered(400)),
    instead("a path with a host", &[(":path", "https://localhost/open")], Answered(400)),
    instead("two slashes", &[(":path", "//localhost/open")], Answered(400)),
    instead("a space in the path", &[(":path", "/open HTTP/1.1")], Answered(400)),
    instead("a line in the path", &[(":path", "/open HTTP/1.1\r\nx: y")], Answered(400)),
    instead("a carriage return in the path", &[(":path", "/open\r")], Answered(400)),
    instead("a NUL in the path", &[(":path", "/open\0")], Answered(400)),
    instead("a tab in the path", &[(":path", "/open\t")], Answered(400)),
    instead("a backslash in the path", &[(":path", "/open\\a")], Answered(400)),
    instead("a user", &[(":authority", "user@localhost")], Answered(400)),
    instead("a list", &[(":authority", "localhost,evil")], Answered(400)),
    instead("a path in the authority", &[(":authority", "localhost/closed")], Reset),
    instead("a query in the authority", &[(":authority", "localhost?a")], Reset),
    instead("a fragment in the authority", &[(":authority", "localhost#a")], Reset),
    instead("a space in the authority", &[(":authority", "local host")], Reset),
    instead("a line in the authority", &[(":authority", "localhost\r\nx: y")], Reset),
    instead("an empty authority", &[(":authority", "")], Reset),
    instead("a port alone", &[(":authority", ":443")], Answered(400)),
    instead("a port of letters", &[(":authority", "localhost:https")], Answered(400)),
    instead("two ports", &[(":authority", "localhost:1:2")], Reset),
    instead("an open bracket", &[(":authority", "[::1")], Reset),
    instead("another scheme", &[(":scheme", "ftp")], Answered(400)),
    instead("an empty scheme", &[(":scheme", "")], Answered(400)),
    instead("a scheme with a host", &[(":scheme", "https://evil/?")], Reset),
    instead("a line break in the scheme", &[(":scheme", "https\r\nx")], Reset),
    // Two fields that have to agree.
    behind("another host", &[("host", "evil.example")], Answered(400)),
    behind("two hosts", &[("host", "localhost"), ("host", "localhost")], Answered(400)),
    behind("an empty host", &[("host", "")], Answered(400)),
    behind("two lengths", &[("content-length", "0"), ("content-length", "5")], Reset),
    behind("two equal lengths", &[("content-length", "0"), ("content-length", "0")], Passes("")),
    behind("a length of letters", &[("content-length", "zero")], Reset),
    behind("an empty length", &[("content-length", "")], Answered(400)),
    behind("a length with a plus", &[("content-length", "+0")], Reset),
    behind("a length with a minus", &[("content-length", "-0")], Reset),
    behind("a length in hexadecimal", &[("content-length", "0x0")], Reset),
    behind("a list of lengths", &[("content-length", "0, 0")], Reset),
    behind("2^64", &[("content-length", "18446744073709551616")], Reset),
    behind("a length without a body", &[("content-length", "5")], Broken),
];

/// A frame of a POST behind its head.
enum Part {
    Data(&'static str),
    /// The last one.
    End(&'static str),
    Trailers(Fields),
    /// A header block that does not end the stream.
    Fields(Fields),
}
use Part::{Data, End, Fields as Block, Trailers};

type Body = (&'static str, Option<&'static str>, &'static [Part], Verdict);

fn with_body((name, length, parts, verdict): &Body) -> Case {
    let length = length.map(|length| ("content-length", length));
    let head: Vec<_> = POST.iter().copied().chain(length).collect();
    let mut frames = frame(HEADERS, END_HEADERS, 1, &block(&head));
    for part in *parts {
        frames.extend(match part {
            Data(data) => frame(DATA, NO_FLAGS, 1, data.as_bytes()),
            End(data) => frame(DATA, END_STREAM, 1, data.as_bytes()),
            Trailers(fields) => frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields)),
            Block(fields) => frame(HEADERS, END_HEADERS, 1, &block(fields)),
        });
    }
    Case { name, frames, verdict: *verdict }
}

const BODIES: &[Body] = &[
    ("no length", None, &[Data("hel"), End("lo")], Passes("hello")),
    ("an empty frame at the end", None, &[Data("hello"), End("")], Passes("hello")),
    ("no body", None, &[End("")], Passes("")),
    ("a length", Some("5"), &[Data("hel"), End("lo")], Passes("hello")),
    ("a length with zeros", Some("005"), &[End("hello")], Passes("hello")),
    ("a length of zero", Some("0"), &[End("")], Passes("")),
    (
        "a body like chunks",
        None,
        &[End("0\r\n\r\nGET /x HTTP/1.1")],
        Passes("0\r\n\r\nGET /x HTTP/1.1"),
    ),
    ("less than the length", Some("5"), &[End("hell")], Broken),
    ("nothing of the length", Some("5"), &[End("")], Broken),
    ("more than the length", Some("5"), &[End("hello, and GET /smuggled HTTP/1.1")], Broken),
    ("more than the length, by frames", Some("5"), &[Data("hell"), End("o, and more")], Broken),
    ("more than a length of zero", Some("0"), &[End("GET /smuggled HTTP/1.1")], Broken),
    (
        "less than the length, and trailers",
        Some("5"),
        &[Data("hell"), Trailers(&[("x", "a")])],
        Broken,
    ),
    ("trailers", None, &[Data("hello"), Trailers(&[("x-sum", "5")])], Passes("hello")),
    (
        "trailers behind a length",
        Some("5"),
        &[Data("hello"), Trailers(&[("x-sum", "5")])],
        Passes("hello"),
    ),
    (
        "an identity in trailers",
        None,
        &[Data("hello"), Trailers(&[("x-portcullis-username", "a")])],
        Passes("hello"),
    ),
    (
        "framing in trailers",
        None,
        &[Data("hello"), Trailers(&[("content-length", "9")])],
        Passes("hello"),
    ),
    (
        "a coding in trailers",
        None,
        &[Data("hello"), Trailers(&[("transfer-encoding", "chunked")])],
        Broken,
    ),
    // The library would drop these before anybody sees them.
    ("a path in trailers", None, &[Data("hello"), Trailers(&[(":path", "/closed")])], Broken),
    ("a status in trailers", None, &[Data("hello"), Trailers(&[(":status", "200")])], Broken),
    (
        "a method among trailers",
        None,
        &[Data("hello"), Trailers(&[("x-sum", "5"), (":method", "PUT")])],
        Broken,
    ),
    (
        "a line in trailers",
        None,
        &[Data("hello"), Trailers(&[("x", "a\r\n\r\nGET /x HTTP/1.1")])],
        Ends,
    ),
    ("capitals in trailers", None, &[Data("hello"), Trailers(&[("X-Sum", "5")])], Ends),
    ("trailers that end nothing", None, &[Data("hello"), Block(&[("x-sum", "5")])], Broken),
    ("a second head", None, &[Block(POST), End("hello")], Broken),
];

const PADDED: u8 = 0x8;

/// Frames that no stream survives.
fn lawless() -> Vec<Case> {
    let head = |flags, stream| frame(HEADERS, flags, stream, &block(SOUND));
    let whole = END_HEADERS | END_STREAM;
    let ping = frame(PING, NO_FLAGS, 0, b"portcull");
    let padded = [&[0xff][..], &block(SOUND)].concat();
    let cases: Vec<(_, Vec<u8>, Verdict)> = vec![
        ("DATA before HEADERS", frame(DATA, END_STREAM, 1, b"hello"), Ends),
        ("DATA of no stream", frame(DATA, END_STREAM, 0, b"hello"), Ends),
        ("HEADERS of no stream", head(whole, 0), Ends),
        ("HEADERS of a server's stream", head(whole, 2), Ends),
        ("a stream behind a later one", [head(whole, 5), head(whole, 1)].concat(), Ends),
        (
            "DATA behind the end",
            [head(whole, 1), frame(DATA, END_STREAM, 1, b"GET")].concat(),
            Ends,
        ),
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, &block(SOUND)), Ends),
        (
            "CONTINUATION behind the end",
            [head(whole, 1), frame(CONTINUATION, END_HEADERS, 1, &block(SOUND))].concat(),
            Ends,
        ),
        ("PING in a header block", [head(END_STREAM, 1), ping].concat(), Ends),
        (
            "another stream's CONTINUATION",
            [head(END_STREAM, 1), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
            Ends,
        ),
        ("a promise", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), Ends),
        ("more padding than frame", frame(HEADERS, whole | PADDED, 1, &padded), Ends),
        ("a frame too large", frame(DATA, NO_FLAGS, 1, &[0; (16 << 10) + 1]), Ends),
        ("PING of nine octets", frame(PING, NO_FLAGS, 0, &[0; 9]), Ends),
        ("SETTINGS of five octets", frame(SETTINGS, NO_FLAGS, 0, &[0; 5]), Ends),
        ("SETTINGS of a stream", frame(SETTINGS, NO_FLAGS, 1, &[]), Ends),
        ("PRIORITY of four octets", frame(PRIORITY, NO_FLAGS, 1, &[0; 4]), Ends),
        ("RST_STREAM of no stream", frame(RST_STREAM, NO_FLAGS, 0, &CANCEL.to_be_bytes()), Ends),
        (
            "RST_STREAM of a stream to come",
            frame(RST_STREAM, NO_FLAGS, 1, &CANCEL.to_be_bytes()),
            Ends,
        ),
        ("an empty WINDOW_UPDATE", frame(WINDOW_UPDATE, NO_FLAGS, 0, &[0; 4]), Ends),
        ("a broken header block", frame(HEADERS, whole, 1, &[0xff; 8]), Ends),
        ("an index beyond the table", frame(HEADERS, whole, 1, &[0xfe]), Ends),
    ];
    cases.into_iter().map(|(name, frames, verdict)| Case { name, frames, verdict }).collect()
}

#[tokio::test]
async fn an_http2_request_becomes_one_http1_request_or_none() {
    let changes = CHANGES.iter().map(changed);
    let cases: Vec<Case> = changes.chain(BODIES.iter().map(with_body)).chain(lawless()).collect();
    let witness = Witness::start().await;
    let talks =
        cases.iter().enumerate().map(|(number, case)| {
            let (witness, client) = (&witness, address(number));
            async move {
                judge(witness, client, case).await.map_err(|why| format!("{}: {why}", case.name))
            }
        });
    let outcomes: Vec<_> = iter(talks).buffer_unordered(AT_ONCE).collect().await;
    let failures: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    witness.check((0..cases.len()).map(address)).await;
}

async fn judge(witness: &Witness, client: Ipv4Addr, case: &Case) -> Result<(), String> {
    let dial = Dial::new(&witness.gateway).source(client);
    let mut http2 = Http2::over(dial).await;
    http2.write(&case.frames).await;
    let outcome = http2.outcome(1).await;
    let as_expected = match case.verdict {
        Passes(_) => outcome == Outcome::Answered(200),
        Answered(status) => outcome == Outcome::Answered(status),
        Reset => outcome == Outcome::Reset(PROTOCOL_ERROR),
        Broken => matches!(outcome, Outcome::Reset(_) | Outcome::Answered(400)),
        Ends => true,
    };
    if let Ends = case.verdict {
        let ended = http2.closed().await;
        if ended.is_none_or(|error| error == NO_ERROR) {
            return Err(format!("{outcome:?}, ended with {ended:?}"));
        }
    } else {
        http2.request(3, BEHIND).await;
        let behind = http2.outcome(3).await;
        if !as_expected || behind != Outcome::Answered(200) {
            return Err(format!("{outcome:?}, behind it {behind:?}"));
        }
    }
    let seen = witness.messages_of(client);
    let of_it = |message: &&Message| !message.line.contains("/behind ");
    let first: Vec<&Message> = seen.iter().filter(of_it).collect();
    let arrived = match (case.verdict, &first[..]) {
        (Passes(body), [message]) => message.whole && message.body == body.as_bytes(),
        (Answered(_) | Reset, []) => true,
        (Broken, messages) => messages.iter().all(|message| !message.whole),
        // Of streams that were sound themselves.
        (Ends, messages) => messages.iter().all(|message| message.body.is_empty()),
        _ => false,
    };
    arrived.then_some(()).ok_or_else(|| format!("{outcome:?}, but {seen:?} arrived"))
}

const POST_OF_FIVE: Fields = &[
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "localhost"),
    (":path", "/open"),
    ("content-length", "5"),
];

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
    http2.head(1, POST).await;
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
