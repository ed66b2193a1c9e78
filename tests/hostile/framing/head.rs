//! Request lines, hosts and fields.

use crate::support::raw::raw;

use super::{
    Answered, CODING, Case, Defence, FIELD, HOST, LENGTH, LINE_ENDING, Last, METHOD, Passes,
    REQUEST_LINE, Refused, Stage, Table, VERSION, Verdict,
};

const MALFORMED_METHOD: Defence = (400, "method_malformed");
const NO_HOST: Defence = (400, "host_missing");
const OTHER_HOST: Defence = (400, "host_mismatch");
const TARGET: Defence = (400, "target_malformed");
const PATH: Defence = (400, "path_ambiguous");
const LONG_TARGET: Defence = (414, "uri_too_long");
const LARGE_HEAD: Defence = (431, "head_too_large");
const MANY_FIELDS: Defence = (431, "framing_field_count");

pub(super) const TABLES: &[Table] =
    &[REQUEST_LINES, VERSIONS, TARGETS, HOSTS, ABSOLUTE, FIELDS, FOLDS, LINE_ENDS];

const REQUEST_LINES: Table = Table {
    fact: "a request line is three words with a space between",
    before: b"",
    after: b"\r\nHost: a\r\n\r\n",
    rows: &[
        ("three words", b"GET /open HTTP/1.1", Passes("")),
        ("an empty line before it", b"\r\nGET /open HTTP/1.1", Passes("")),
        ("two empty lines before it", b"\r\n\r\nGET /open HTTP/1.1", Refused(REQUEST_LINE)),
        ("a bare line feed before it", b"\nGET /open HTTP/1.1", Refused(REQUEST_LINE)),
        ("a bare carriage return before it", b"\rGET /open HTTP/1.1", Refused(LINE_ENDING)),
        ("an unknown method", b"BREW /open HTTP/1.1", Passes("")),
        ("a small method", b"get /open HTTP/1.1", Refused(MALFORMED_METHOD)),
        ("a mark in the method", b"GET! /open HTTP/1.1", Refused(MALFORMED_METHOD)),
        ("a digit in the method", b"GET2 /open HTTP/1.1", Refused(MALFORMED_METHOD)),
        ("a small trace", b"trace /open HTTP/1.1", Refused(MALFORMED_METHOD)),
        ("a small connect", b"connect /open HTTP/1.1", Refused(MALFORMED_METHOD)),
        ("32 letters", b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF /open HTTP/1.1", Passes("")),
        (
            "33 letters",
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG /open HTTP/1.1",
            Refused(MALFORMED_METHOD),
        ),
        ("no method", b" /open HTTP/1.1", Refused(REQUEST_LINE)),
        ("a parenthesis", b"G(T /open HTTP/1.1", Refused(REQUEST_LINE)),
        ("a colon in the method", b"GET: /open HTTP/1.1", Refused(REQUEST_LINE)),
        ("a NUL in the method", b"G\0T /open HTTP/1.1", Refused(REQUEST_LINE)),
        ("a byte order mark", b"\xef\xbb\xbfGET /open HTTP/1.1", Refused(REQUEST_LINE)),
        ("no target", b"GET HTTP/1.1", Refused(REQUEST_LINE)),
        ("four words", b"GET /open HTTP/1.1 more", Refused(REQUEST_LINE)),
        ("two spaces first", b"GET  /open HTTP/1.1", Refused(REQUEST_LINE)),
        ("two spaces last", b"GET /open  HTTP/1.1", Refused(REQUEST_LINE)),
        ("a space behind", b"GET /open HTTP/1.1 ", Refused(REQUEST_LINE)),
        ("a tab behind", b"GET /open HTTP/1.1\t", Refused(REQUEST_LINE)),
        ("tabs between", b"GET\t/open\tHTTP/1.1", Refused(REQUEST_LINE)),
        ("a form feed between", b"GET\x0c/open HTTP/1.1", Refused(REQUEST_LINE)),
        ("a vertical tab between", b"GET\x0b/open HTTP/1.1", Refused(REQUEST_LINE)),
        ("a bare line feed inside", b"GET /open\n HTTP/1.1", Refused(LINE_ENDING)),
        ("a bare carriage return inside", b"GET /open\r HTTP/1.1", Refused(LINE_ENDING)),
        ("folded", b"GET /open\r\n HTTP/1.1", Refused(REQUEST_LINE)),
        ("TRACE", b"TRACE /open HTTP/1.1", Refused(METHOD)),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Refused(REQUEST_LINE)),
    ],
};

const VERSIONS: Table = Table {
    fact: "a request is of HTTP/1.1 or 1.0, and of no other version",
    before: b"GET /open",
    after: b"\r\nHost: a\r\n\r\n",
    rows: &[
        ("1.0", b" HTTP/1.0", Last("")),
        ("none", b"", Refused(REQUEST_LINE)),
        ("none, and a space", b" ", Refused(REQUEST_LINE)),
        ("0.9", b" HTTP/0.9", Refused(VERSION)),
        ("1.2", b" HTTP/1.2", Refused(VERSION)),
        ("2.0", b" HTTP/2.0", Refused(VERSION)),
        ("3.0", b" HTTP/3.0", Refused(VERSION)),
        ("2", b" HTTP/2", Refused(REQUEST_LINE)),
        ("1.10", b" HTTP/1.10", Refused(REQUEST_LINE)),
        ("01.1", b" HTTP/01.1", Refused(REQUEST_LINE)),
        ("a comma", b" HTTP/1,1", Refused(REQUEST_LINE)),
        ("small letters", b" http/1.1", Refused(REQUEST_LINE)),
        ("a space inside", b" HTTP /1.1", Refused(REQUEST_LINE)),
        ("a NUL", b" HTTP/1.1\0", Refused(REQUEST_LINE)),
        ("another protocol", b" ICAP/1.0", Refused(REQUEST_LINE)),
    ],
};

const TARGETS: Table = Table {
    fact: "a target is a path",
    before: b"GET ",
    after: b" HTTP/1.1\r\nHost: a\r\n\r\n",
    rows: &[
        ("a path", b"/open", Passes("")),
        ("a path and a query", b"/open?a=b", Passes("")),
        ("quotes in a query", b"/open?a=\"<b>\"", Passes("")),
        ("Latin in a query", b"/open?a=\xe9", Passes("")),
        ("a second question mark", b"/open?a?\"", Passes("")),
        ("an angle bracket in a path", b"/open<?a", Refused(TARGET)),
        ("Latin in a path", b"/open\xe9?a", Refused(TARGET)),
        ("a space behind a quote", b"/open?\" b", Refused(REQUEST_LINE)),
        ("a tab in a query", b"/open?a\t", Refused(REQUEST_LINE)),
        ("a NUL in a query", b"/open?\"\0", Refused(REQUEST_LINE)),
        ("a delete in a query", b"/open?\x7f\"", Refused(REQUEST_LINE)),
        ("a line end in a query", b"/open?\"\r\nX: a", Refused(REQUEST_LINE)),
        ("a space", b"/open /closed", Refused(REQUEST_LINE)),
        ("a NUL", b"/open\0", Refused(REQUEST_LINE)),
        ("a control", b"/open\x01", Refused(REQUEST_LINE)),
        ("a tab", b"/open\t", Refused(REQUEST_LINE)),
        ("a delete", b"/open\x7f", Refused(REQUEST_LINE)),
        ("a fragment", b"/open#a", Refused(REQUEST_LINE)),
        ("a fragment in a query", b"/open?a#b", Refused(REQUEST_LINE)),
        ("a fragment behind a quote", b"/open?\"#b", Refused(REQUEST_LINE)),
        ("no slash", b"open", Refused(OTHER_HOST)),
        ("the host", b"a", Answered(PATH)),
        ("an asterisk", b"*", Answered(PATH)),
        ("a query alone", b"?a", Refused(REQUEST_LINE)),
        ("an authority", b"a:443", Refused(OTHER_HOST)),
        ("an authority and a path", b"a:443/open", Refused(REQUEST_LINE)),
        ("two slashes", b"//open", Answered(PATH)),
        ("a backslash", b"\\open", Refused(REQUEST_LINE)),
    ],
};

const HOSTS: Table = Table {
    fact: "a request names one valid host",
    before: b"GET /open HTTP/1.1\r\n",
    after: b"\r\n",
    rows: &[
        ("a name", b"Host: a\r\n", Passes("")),
        ("a name and a port", b"Host: a.example:8443\r\n", Passes("")),
        ("capitals", b"HOST: A.Example\r\n", Passes("")),
        ("an IPv4 address", b"Host: 127.0.0.1:1\r\n", Passes("")),
        ("an IPv6 address", b"Host: [::1]:8443\r\n", Passes("")),
        ("behind other fields", b"X: a\r\nHost: a\r\n", Passes("")),
        ("none", b"", Refused(NO_HOST)),
        ("two", b"Host: a\r\nHost: b\r\n", Refused(HOST)),
        ("two, apart", b"Host: a\r\nX: a\r\nHost: b\r\n", Refused(HOST)),
        ("the same twice", b"Host: a\r\nhost: a\r\n", Refused(HOST)),
        ("one of two empty", b"Host:\r\nHost: a\r\n", Refused(HOST)),
        ("empty", b"Host:\r\n", Refused(HOST)),
        ("spaces", b"Host:   \r\n", Refused(HOST)),
        ("a list", b"Host: a, b\r\n", Refused(HOST)),
        ("a comma", b"Host: a,\r\n", Refused(HOST)),
        ("a space", b"Host: a b\r\n", Refused(HOST)),
        ("a tab", b"Host: a\tb\r\n", Refused(HOST)),
        ("a user", b"Host: user@a\r\n", Refused(HOST)),
        ("a user and a password", b"Host: user:x@a\r\n", Refused(HOST)),
        ("a path", b"Host: a/b\r\n", Refused(HOST)),
        ("a query", b"Host: a?b\r\n", Refused(HOST)),
        ("a fragment", b"Host: a#b\r\n", Refused(HOST)),
        ("a backslash", b"Host: a\\b\r\n", Refused(HOST)),
        ("a percent sign", b"Host: a%2eb\r\n", Refused(HOST)),
        ("a scheme", b"Host: https://a\r\n", Refused(HOST)),
        ("a quote", b"Host: \"a\"\r\n", Refused(HOST)),
        ("a port of letters", b"Host: a:http\r\n", Refused(HOST)),
        ("an empty port", b"Host: a:\r\n", Refused(HOST)),
        ("a port with a sign", b"Host: a:+80\r\n", Refused(HOST)),
        ("a port and junk", b"Host: a:80@b\r\n", Refused(HOST)),
        ("a port too large", b"Host: a:65536\r\n", Refused(HOST)),
        ("a port of six digits", b"Host: a:000080\r\n", Refused(HOST)),
        ("two ports", b"Host: a:1:2\r\n", Refused(HOST)),
        ("a port alone", b"Host: :80\r\n", Refused(HOST)),
        ("a dot alone", b"Host: .\r\n", Refused(HOST)),
        ("half a bracket", b"Host: [::1\r\n", Refused(HOST)),
        ("a word in brackets", b"Host: [a]\r\n", Refused(HOST)),
        ("a word behind brackets", b"Host: [::1]a\r\n", Refused(HOST)),
        ("a zone", b"Host: [fe80::1%25eth0]\r\n", Refused(HOST)),
        ("no brackets", b"Host: ::1\r\n", Refused(HOST)),
        ("a NUL", b"Host: a\0b\r\n", Refused(FIELD)),
        ("a control", b"Host: a\x01b\r\n", Refused(FIELD)),
        ("Latin letters", b"Host: caf\xe9\r\n", Refused(HOST)),
        ("a space before the colon", b"Host : a\r\n", Refused(FIELD)),
        ("indented", b" Host: a\r\n", Refused(FIELD)),
        ("an underscore for a name", b"Host_: a\r\n", Refused(NO_HOST)),
    ],
};

const ABSOLUTE: Table = Table {
    fact: "an absolute target names the host of the Host field, and is forwarded as a path",
    before: b"GET ",
    after: b"\r\n\r\n",
    rows: &[
        ("the same", b"https://a/open HTTP/1.1\r\nHost: a", Passes("")),
        ("the same in capitals", b"https://A/open HTTP/1.1\r\nHost: a", Passes("")),
        ("in clear", b"http://a/open HTTP/1.1\r\nHost: a", Passes("")),
        ("a quote in its query", b"http://a/open?\" HTTP/1.1\r\nHost: a", Passes("")),
        ("another", b"https://b/open HTTP/1.1\r\nHost: a", Refused(OTHER_HOST)),
        ("another port", b"https://a:1/open HTTP/1.1\r\nHost: a:2", Refused(OTHER_HOST)),
        ("no field", b"https://a/open HTTP/1.1\r\nX: a", Refused(NO_HOST)),
        ("two fields", b"https://a/open HTTP/1.1\r\nHost: a\r\nHost: a", Refused(HOST)),
        ("a user", b"https://user@a/open HTTP/1.1\r\nHost: a", Refused(OTHER_HOST)),
        ("a user in both", b"https://user@a/open HTTP/1.1\r\nHost: user@a", Refused(HOST)),
        ("a fragment", b"https://a/open#b HTTP/1.1\r\nHost: a", Refused(REQUEST_LINE)),
        ("no host", b"https:///open HTTP/1.1\r\nHost: a", Refused(REQUEST_LINE)),
        ("no path", b"https://a HTTP/1.1\r\nHost: a", Answered((404, "route_unknown"))),
        (
            "a query for a path",
            b"https://a?/open HTTP/1.1\r\nHost: a",
            Answered((404, "route_unknown")),
        ),
        ("another scheme", b"ftp://a/open HTTP/1.1\r\nHost: a", Refused(TARGET)),
        ("a scheme alone", b"https: HTTP/1.1\r\nHost: a", Refused(OTHER_HOST)),
    ],
};

const FIELDS: Table = Table {
    fact: "a field is a name, a colon and a value",
    before: b"GET /open HTTP/1.1\r\nHost: a\r\n",
    after: b"\r\n\r\n",
    rows: &[
        ("any token", b"!#$%&'*+.^`|~09: x", Passes("")),
        ("empty values", b"X:\r\nY: \t ", Passes("")),
        ("Latin letters in a value", b"X: caf\xe9", Passes("")),
        ("a tab and colons in a value", b"X: a\tb: c", Passes("")),
        ("a bare line feed in a value", b"X: a\nTransfer-Encoding: chunked", Refused(LINE_ENDING)),
        ("a bare line feed in a name", b"X\nY: a", Refused(LINE_ENDING)),
        ("a bare carriage return in a value", b"X: a\rb", Refused(LINE_ENDING)),
        ("a bare carriage return in a name", b"X\rY: a", Refused(LINE_ENDING)),
        ("a bare carriage return before the colon", b"X\r: a", Refused(LINE_ENDING)),
        ("a bare carriage return at the end", b"X: a\r", Refused(LINE_ENDING)),
        ("a space before the colon", b"X : a", Refused(FIELD)),
        ("a tab before the colon", b"X\t: a", Refused(FIELD)),
        ("a no-break space before the colon", b"X\xa0: a", Refused(FIELD)),
        ("no colon", b"X", Refused(FIELD)),
        ("no name", b": a", Refused(FIELD)),
        ("a space in a name", b"X Y: a", Refused(FIELD)),
        ("parentheses in a name", b"X(Y): a", Refused(FIELD)),
        ("a slash in a name", b"X/Y: a", Refused(FIELD)),
        ("an at sign in a name", b"X@Y: a", Refused(FIELD)),
        ("a comma in a name", b"X,Y: a", Refused(FIELD)),
        ("a semicolon in a name", b"X;Y: a", Refused(FIELD)),
        ("an equals sign in a name", b"X=Y: a", Refused(FIELD)),
        ("brackets in a name", b"X[Y]: a", Refused(FIELD)),
        ("braces in a name", b"X{Y}: a", Refused(FIELD)),
        ("angles in a name", b"X<Y>: a", Refused(FIELD)),
        ("a backslash in a name", b"X\\Y: a", Refused(FIELD)),
        ("a quote in a name", b"\"X\": a", Refused(FIELD)),
        ("a Latin letter in a name", b"X\xe9: a", Refused(FIELD)),
        ("a NUL in a name", b"X\0Y: a", Refused(FIELD)),
        ("a NUL in a value", b"X: a\0b", Refused(FIELD)),
        ("a control in a value", b"X: a\x01b", Refused(FIELD)),
        ("a backspace in a value", b"X: a\x08b", Refused(FIELD)),
        ("a vertical tab in a value", b"X: a\x0bb", Refused(FIELD)),
        ("an escape in a value", b"X: \x1b[2J", Refused(FIELD)),
        ("a delete in a value", b"X: a\x7fb", Refused(FIELD)),
    ],
};

const FOLDS: Table = Table {
    fact: "no field goes on in another line",
    before: b"POST /open HTTP/1.1\r\n",
    after: b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    rows: &[
        ("by a space", b"Host: a\r\nX: a\r\n b", Refused(FIELD)),
        ("by a tab", b"Host: a\r\nX: a\r\n\tb", Refused(FIELD)),
        ("by spaces alone", b"Host: a\r\nX: a\r\n  ", Refused(FIELD)),
        ("a host", b"Host: a\r\n .example", Refused(FIELD)),
        ("a host that begins so", b"Host:\r\n a", Refused(FIELD)),
        ("before the first field", b" X: a\r\nHost: a", Refused(FIELD)),
        ("a coding", b"Host: a\r\nTransfer-Encoding:\r\n chunked", Refused(CODING)),
        ("a coding that goes on", b"Host: a\r\nTransfer-Encoding: chunked\r\n , a", Refused(FIELD)),
        ("a length", b"Host: a\r\nContent-Length:\r\n 5", Refused(LENGTH)),
        ("a length that goes on", b"Host: a\r\nContent-Length: 1\r\n 5", Refused(FIELD)),
        ("into another field", b"Host: a\r\nX: a\r\n Transfer-Encoding: chunked", Refused(FIELD)),
    ],
};

const LINE_ENDS: Table = Table {
    fact: "a line ends in CRLF",
    before: b"GET /open HTTP/1.1",
    after: b"",
    rows: &[
        ("line feeds alone", b"\nHost: a\n\n", Refused(LINE_ENDING)),
        ("behind the request line", b"\nHost: a\r\n\r\n", Refused(LINE_ENDING)),
        ("behind a field", b"\r\nHost: a\nX: a\r\n\r\n", Refused(LINE_ENDING)),
        ("behind the last field", b"\r\nHost: a\n\r\n", Refused(LINE_ENDING)),
        ("at the end", b"\r\nHost: a\r\n\n", Refused(LINE_ENDING)),
        ("carriage returns alone", b"\rHost: a\r\r", Refused(LINE_ENDING)),
        ("a carriage return behind a field", b"\r\nHost: a\rX: b\r\n\r\n", Refused(LINE_ENDING)),
        ("two carriage returns", b"\r\nHost: a\r\r\n\r\n", Refused(LINE_ENDING)),
        ("the wrong way round", b"\n\rHost: a\n\r\n\r", Refused(LINE_ENDING)),
        ("a next line of Latin", b"\x85Host: a\x85\x85\r\n\r\n", Refused(REQUEST_LINE)),
    ],
};

pub(super) fn bounds() -> impl Iterator<Item = Case> {
    let get = |target: &str, lines: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
    };
    let field = |size: usize| format!("X: {}\r\n", "x".repeat(size));
    let many = |count: usize| {
        (0..count).map(|number| format!("X-{number}: x\r\n")).collect::<Vec<_>>().concat()
    };
    let target = |size: usize| format!("/open?{}", "x".repeat(size - "/open?".len()));
    let endless = [b"GET /open HTTP/1.1\r\n", "X: x\r\n".repeat(20_000).as_bytes()].concat();
    let name = format!("{}: x\r\n", "X".repeat(33 << 10));
    let quotes = |size: usize| format!("/open?{}", "\"".repeat(size));
    let rows: [(_, _, Verdict); 16] = [
        ("a large field", get("/open", &field(16 << 10)), Passes("")),
        ("a field too large", get("/open", &field(33 << 10)), Refused(LARGE_HEAD)),
        ("a name too large", get("/open", &name), Refused(LARGE_HEAD)),
        ("many large fields", get("/open", &field(4 << 10).repeat(9)), Refused(LARGE_HEAD)),
        ("many fields", get("/open", &many(80)), Passes("")),
        ("too many fields", get("/open", &many(101)), Refused(MANY_FIELDS)),
        ("too many of one name", get("/open", &"X: x\r\n".repeat(101)), Refused(MANY_FIELDS)),
        ("a long target", get(&target(8 << 10), ""), Passes("")),
        ("a target too long", get(&target((8 << 10) + 1), ""), Refused(LONG_TARGET)),
        ("a target far too long", get(&target(64 << 10), ""), Refused(LONG_TARGET)),
        ("quotes as many as fit", get(&quotes(2728), &field(16 << 10)), Passes("")),
        ("quotes that make a target too long", get(&quotes(3 << 10), ""), Refused(LONG_TARGET)),
        (
            "quotes that make a head too large",
            get(&quotes(2 << 10), &field(29 << 10)),
            Refused(LARGE_HEAD),
        ),
        ("a method without an end", vec![b'G'; 256 << 10], Refused(LONG_TARGET)),
        ("fields without an end", endless, Refused(LARGE_HEAD)),
        ("line ends without an end", b"\r\n".repeat(64 << 10), Refused(REQUEST_LINE)),
    ];
    rows.into_iter().map(|(row, message, verdict)| Case {
        name: format!("a head has bounds: {row}"),
        message,
        verdict,
    })
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
