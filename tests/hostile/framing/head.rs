//! Request lines, hosts and fields.

use crate::support::raw::raw;

use super::Verdict::{Passes, Refused};
use super::{BAD, Case, Stage, Verdict, check, request, try_case, whole};

const VERSION: Verdict = Refused(&[400, 505]);

/// A GET with this request line.
fn line(name: &'static str, line: &[u8], verdict: Verdict) -> Case {
    request(name, line, b"", b"", verdict)
}

/// A GET with this instead of a host, each line with its end.
fn host(name: &'static str, lines: &[u8], verdict: Verdict) -> Case {
    whole(name, &[b"GET /open HTTP/1.1\r\n", lines, b"\r\n"].concat(), verdict)
}

/// A GET with one more field.
fn field(name: &'static str, field: &[u8], verdict: Verdict) -> Case {
    request(name, b"GET /open HTTP/1.1", field, b"", verdict)
}

#[tokio::test]
async fn a_request_line_is_three_words_or_refused() {
    check(&[
        line("three words", b"GET /open HTTP/1.1", Passes("")),
        line("an unknown method", b"BREW /open HTTP/1.1", Passes("")),
        line(
            "a method of 32 letters",
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF /open HTTP/1.1",
            Passes(""),
        ),
        line("a method of 33 letters", b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG /open HTTP/1.1", BAD),
        line("no method", b" /open HTTP/1.1", BAD),
        line("a method with a parenthesis", b"G(T /open HTTP/1.1", BAD),
        line("a method with a NUL", b"G\0T /open HTTP/1.1", BAD),
        line("no target", b"GET HTTP/1.1", VERSION),
        line("no version", b"GET /open", VERSION),
        line("four words", b"GET /open HTTP/1.1 more", VERSION),
        line("two spaces first", b"GET  /open HTTP/1.1", VERSION),
        line("two spaces last", b"GET /open  HTTP/1.1", VERSION),
        line("a space behind", b"GET /open HTTP/1.1 ", VERSION),
        line("tabs", b"GET\t/open\tHTTP/1.1", BAD),
        line("a form feed", b"GET\x0c/open HTTP/1.1", VERSION),
        line("a space in the target", b"GET /open /closed HTTP/1.1", VERSION),
        line("a NUL in the target", b"GET /open\0 HTTP/1.1", BAD),
        line("a control in the target", b"GET /open\x01 HTTP/1.1", BAD),
        line("a carriage return in the target", b"GET /open\r HTTP/1.1", BAD),
        line("no slash", b"GET open HTTP/1.1", BAD),
        line("an authority", b"GET a:443 HTTP/1.1", BAD),
        line("version 0.9", b"GET /open HTTP/0.9", VERSION),
        line("version 1.2", b"GET /open HTTP/1.2", VERSION),
        line("version 2.0", b"GET /open HTTP/2.0", VERSION),
        line("version 1.10", b"GET /open HTTP/1.10", VERSION),
        line("version 01.1", b"GET /open HTTP/01.1", VERSION),
        line("a small version", b"GET /open http/1.1", VERSION),
        line("another protocol", b"GET /open ICAP/1.0", VERSION),
        whole("a tunnel", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Refused(&[400, 405])),
        line("a tunnel with a path", b"CONNECT /open HTTP/1.1", Refused(&[400, 405])),
        whole("a preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
        whole("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", VERSION),
    ])
    .await;
}

#[tokio::test]
async fn a_request_names_one_valid_host_or_is_refused() {
    check(&[
        host("a name", b"Host: a\r\n", Passes("")),
        host("a name and a port", b"Host: a.example:8443\r\n", Passes("")),
        host("capitals", b"HOST: A.Example\r\n", Passes("")),
        host("an IPv4 address", b"Host: 127.0.0.1:1\r\n", Passes("")),
        host("an IPv6 address", b"Host: [::1]:8443\r\n", Passes("")),
        request("the same in the target", b"GET https://a/open HTTP/1.1", b"", b"", Passes("")),
        host("none", b"", BAD),
        whole("none but in the target", b"GET https://a/open HTTP/1.1\r\n\r\n", BAD),
        host("two", b"Host: a\r\nHost: b\r\n", BAD),
        host("the same twice", b"Host: a\r\nhost: a\r\n", BAD),
        request("another in the target", b"GET https://b/open HTTP/1.1", b"", b"", BAD),
        whole(
            "another port in the target",
            b"GET https://a:1/open HTTP/1.1\r\nHost: a:2\r\n\r\n",
            BAD,
        ),
        host("empty", b"Host:\r\n", BAD),
        host("a list", b"Host: a, b\r\n", BAD),
        host("a space", b"Host: a b\r\n", BAD),
        host("a tab", b"Host: a\tb\r\n", BAD),
        host("a user", b"Host: user@a\r\n", BAD),
        request("a user in the target", b"GET https://user@a/open HTTP/1.1", b"", b"", BAD),
        host("a path", b"Host: a/b\r\n", BAD),
        host("a query", b"Host: a?b\r\n", BAD),
        host("a fragment", b"Host: a#b\r\n", BAD),
        host("a backslash", b"Host: a\\b\r\n", BAD),
        host("a scheme", b"Host: https://a\r\n", BAD),
        host("a port of letters", b"Host: a:http\r\n", BAD),
        host("a port too large", b"Host: a:65536\r\n", BAD),
        host("two ports", b"Host: a:1:2\r\n", BAD),
        host("half a bracket", b"Host: [::1\r\n", BAD),
        host("a word in brackets", b"Host: [a]\r\n", BAD),
        host("a NUL", b"Host: a\0b\r\n", BAD),
        host("a control", b"Host: a\x01b\r\n", BAD),
        host("Latin letters", b"Host: caf\xe9\r\n", BAD),
        host("a space before the colon", b"Host : a\r\n", BAD),
        host("on the first line, indented", b" Host: a\r\n", BAD),
    ])
    .await;
}

#[tokio::test]
async fn field_lines_are_well_formed_or_refused() {
    check(&[
        field("any token", b"!#$%&'*+.^`|~09: x", Passes("")),
        field("an empty value", b"X:\r\nY: \t ", Passes("")),
        field("Latin letters in a value", b"X: caf\xe9", Passes("")),
        field("a tab and colons in a value", b"X: a\tb: c", Passes("")),
        whole("bare line feeds", b"GET /open HTTP/1.1\nHost: a\n\n", BAD),
        whole(
            "a bare line feed behind the request line",
            b"GET /open HTTP/1.1\nHost: a\r\n\r\n",
            BAD,
        ),
        whole(
            "a bare line feed behind a field",
            b"GET /open HTTP/1.1\r\nHost: a\nX: a\r\n\r\n",
            BAD,
        ),
        whole("a bare line feed at the end", b"GET /open HTTP/1.1\r\nHost: a\r\n\n", BAD),
        field("a bare line feed in a value", b"X: a\nTransfer-Encoding: chunked", BAD),
        field("a bare carriage return in a value", b"X: a\rb", BAD),
        whole(
            "a bare carriage return for a line end",
            b"GET /open HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            BAD,
        ),
        whole("two carriage returns", b"GET /open HTTP/1.1\r\nHost: a\r\r\n\r\n", BAD),
        field("folded by a space", b"X: a\r\n b", BAD),
        field("folded by a tab", b"X: a\r\n\tb", BAD),
        field("an empty fold", b"X: a\r\n ", BAD),
        whole(
            "a space before the first field",
            b"GET /open HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n",
            BAD,
        ),
        field("a space before the colon", b"X : a", BAD),
        field("a tab before the colon", b"X\t: a", BAD),
        field("no colon", b"X", BAD),
        field("no name", b": a", BAD),
        field("a space in a name", b"X Y: a", BAD),
        field("parentheses in a name", b"X(Y): a", BAD),
        field("a slash in a name", b"X/Y: a", BAD),
        field("an at sign in a name", b"X@Y: a", BAD),
        field("brackets in a name", b"X[Y]: a", BAD),
        field("a quote in a name", b"\"X\": a", BAD),
        field("a Latin letter in a name", b"X\xe9: a", BAD),
        field("a NUL in a name", b"X\0Y: a", BAD),
        field("a NUL in a value", b"X: a\0b", BAD),
        field("a control in a value", b"X: a\x01b", BAD),
        field("an escape in a value", b"X: \x1b[2J", BAD),
        field("a delete in a value", b"X: a\x7fb", BAD),
    ])
    .await;
}

/// A laxer reader would take these for whole; ours must not wait for an end of its
/// own that never comes.
#[tokio::test]
async fn bare_line_feeds_are_refused_without_waiting_for_more() {
    let stage = Stage::start().await;
    for message in ["GET /open HTTP/1.1\nHost: a\n\n", "GET /open HTTP/1.1\r\nHost: a\r\n\n"] {
        let mut stream = raw(&stage.gateway).await;
        stream.send(message).await;
        assert_eq!(stream.read_response().await.refusal(), (400, "BAD_REQUEST".to_owned()));
    }
    stage.check_still_serves(0).await;
}

#[tokio::test]
async fn a_head_has_bounds() {
    let stage = Stage::start().await;
    let get = |target: &str, lines: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
    };
    let field = |size: usize| format!("X: {}\r\n", "x".repeat(size));
    let many = |count: usize| {
        (0..count).map(|number| format!("X-{number}: x\r\n")).collect::<Vec<_>>().concat()
    };
    let target = |size: usize| format!("/open?{}", "x".repeat(size - "/open?".len()));
    let cases = [
        ("a large field", get("/open", &field(16 << 10)), Passes("")),
        ("a field too large", get("/open", &field(33 << 10)), Refused(&[431])),
        ("many large fields", get("/open", &field(4 << 10).repeat(9)), Refused(&[431])),
        ("many fields", get("/open", &many(80)), Passes("")),
        ("too many fields", get("/open", &many(101)), Refused(&[431])),
        ("a long target", get(&target(8 << 10), ""), Passes("")),
        ("a target too long", get(&target((8 << 10) + 1), ""), Refused(&[414])),
        ("a target far too long", get(&target(64 << 10), ""), Refused(&[414, 431])),
        (
            "a head without an end",
            [b"GET /open HTTP/1.1\r\n", "X: x\r\n".repeat(20_000).as_bytes()].concat(),
            Refused(&[431]),
        ),
        ("a line without an end", vec![b'G'; 256 << 10], Refused(&[400, 414, 431])),
    ];
    for (name, message, verdict) in cases {
        let outcome = try_case(&stage, &message, verdict).await;
        assert_eq!(outcome, Ok(()), "{name}");
    }
    stage.check_still_serves(6).await;
}
