//! What becomes of a connection behind a message.

use crate::support::socket::{Dial, read_to_end, send};

use super::{
    Answered, BEHIND, Defence, HOST, Last, METHOD, Passes, Refused, Stage, Table, statuses,
};

const CREDENTIAL: Defence = (401, "credential_missing");
const TOKEN: Defence = (401, "token_malformed");
const ROUTE: Defence = (404, "route_unknown");
const UPGRADE: Defence = (400, "upgrade_malformed");

pub(super) const TABLES: &[Table] = &[REFUSALS, VERSION_1_0, EXPECTATIONS, UPGRADES, TUNNELS];

const REFUSALS: Table = Table {
    fact: "a sound request that is refused leaves the connection usable",
    before: b"",
    after: b"",
    rows: &[
        ("no credential", b"GET /closed HTTP/1.1\r\nHost: a\r\n\r\n", Answered(CREDENTIAL)),
        (
            "no credential, a small body",
            b"POST /closed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            Answered(CREDENTIAL),
        ),
        (
            "no credential, chunks",
            b"POST /closed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
              5\r\nhello\r\n0\r\n\r\n",
            Answered(CREDENTIAL),
        ),
        (
            "a wrong credential",
            b"GET /closed HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n",
            Answered(TOKEN),
        ),
        ("no route", b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", Answered(ROUTE)),
        (
            "no route, a small body",
            b"PUT /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            Answered(ROUTE),
        ),
        (
            "no route, a body like a request",
            b"PUT /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 48\r\n\r\n\
              GET /open/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Answered(ROUTE),
        ),
    ],
};

const VERSION_1_0: Table = Table {
    fact: "HTTP/1.0 closes unless it asks to stay",
    before: b"GET /open HTTP/1.0\r\n",
    after: b"\r\n",
    rows: &[
        ("as it is", b"Host: a\r\n", Last("")),
        ("kept alive", b"Host: a\r\nConnection: keep-alive\r\n", Passes("")),
        ("kept alive by the wrong field", b"Host: a\r\nKeep-Alive: timeout=5\r\n", Last("")),
        ("closed and kept alive", b"Host: a\r\nConnection: close, keep-alive\r\n", Last("")),
        // Upstreams get one all the same: their own.
        ("no host", b"", Last("")),
        ("two hosts", b"Host: a\r\nHost: a\r\n", Refused(HOST)),
    ],
};

const EXPECTATIONS: Table = Table {
    fact: "an expectation changes nothing about where a message ends",
    before: b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: ",
    after: b"\r\n\r\nhello",
    rows: &[
        ("100-continue", b"100-continue", Passes("hello")),
        ("capitals", b"100-Continue", Passes("hello")),
        ("another", b"200-ok", Passes("hello")),
        ("a list", b"100-continue, 200-ok", Passes("hello")),
        ("twice", b"100-continue\r\nExpect: 100-continue", Passes("hello")),
        ("nothing", b"", Passes("hello")),
    ],
};

const UPGRADES: Table = Table {
    fact: "no protocol but WebSocket is switched to",
    before: b"GET /open HTTP/1.1\r\nHost: a\r\n",
    after: b"\r\n\r\n",
    rows: &[
        ("h2c", b"Connection: Upgrade\r\nUpgrade: h2c", Passes("")),
        (
            "h2c with settings",
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
            Passes(""),
        ),
        (
            "h2c with settings, not nominated",
            b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
            Passes(""),
        ),
        ("settings alone", b"HTTP2-Settings: AAMAAABk", Passes("")),
        ("settings with a dot", b"HTTP2.Settings: AAMAAABk", Passes("")),
        ("TLS", b"Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1", Passes("")),
        ("nothing", b"Connection: Upgrade\r\nUpgrade:", Passes("")),
        ("an empty connection", b"Connection:\r\nUpgrade: websocket", Passes("")),
        ("no connection", b"Upgrade: websocket", Passes("")),
        ("quotes", b"Connection: Upgrade\r\nUpgrade: \"websocket\"", Passes("")),
        ("another version of it", b"Connection: Upgrade\r\nUpgrade: websocket/2", Passes("")),
        ("a length, too", b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0", Passes("")),
    ],
};

const TUNNELS: Table = Table {
    fact: "a malformed handshake opens no tunnel",
    before: b"",
    after: b"\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    rows: &[
        ("no key", b"GET /open HTTP/1.1", Refused(UPGRADE)),
        ("a short key", b"GET /open HTTP/1.1\r\nSec-WebSocket-Key: YQ==", Refused(UPGRADE)),
        (
            "two keys",
            b"GET /open HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            Refused(UPGRADE),
        ),
        (
            "another method",
            b"POST /open HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            Refused(UPGRADE),
        ),
        (
            "another version",
            b"GET /open HTTP/1.0\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            Refused(UPGRADE),
        ),
        (
            "a body",
            b"GET /open HTTP/1.1\r\nContent-Length: 1\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            Refused(UPGRADE),
        ),
        (
            "an upstream that agrees to nothing",
            b"GET /open HTTP/1.1\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            Passes(""),
        ),
        ("CONNECT", b"CONNECT a:443 HTTP/1.1", Refused(METHOD)),
        ("CONNECT to a path", b"CONNECT /open HTTP/1.1", Refused(METHOD)),
    ],
};

#[tokio::test]
async fn a_body_nobody_read_is_never_taken_for_a_request() {
    let stage = Stage::start().await;
    // More than anybody drains, full of what would be requests.
    let request = "GET /open/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let body = request.repeat(100_000);
    for target in ["/closed", "/nowhere", "/api/auth/login"] {
        let mut stream = Dial::new(&stage.gateway).tls().await;
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        send(&mut stream, head.as_bytes()).await;
        // From the first answer on the gateway may close at any time.
        let (mut reading, mut writing) = tokio::io::split(stream);
        let (answer, ()) =
            tokio::join!(read_to_end(&mut reading), send(&mut writing, body.as_bytes()));
        let statuses = statuses(&answer);
        assert!(
            matches!(statuses[..], [401 | 404 | 413 | 415]),
            "{target}: {statuses:?}: {}",
            String::from_utf8_lossy(&answer[..answer.len().min(2000)])
        );
    }
    stage.check_still_serves(0).await;
}

#[tokio::test]
async fn http_1_0_is_served_and_its_connection_closed() {
    let stage = Stage::start().await;
    let mut stream = Dial::new(&stage.gateway).tls().await;
    let request = b"GET /open HTTP/1.0\r\nHost: a\r\n\r\n";
    send(&mut stream, &[request, BEHIND].concat()).await;
    let answer = read_to_end(&mut stream).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.0 200 ") || text.starts_with("HTTP/1.1 200 "), "{text}");
    assert!(text.ends_with("\r\n\r\nok"), "{text}");
    assert!(!text.to_lowercase().contains("transfer-encoding"), "{text}");
    stage.check_still_serves(1).await;
}

#[tokio::test]
async fn nobody_uploads_to_be_told_that_a_credential_is_missing() {
    let stage = Stage::start().await;
    for expectation in ["", "Expect: 100-continue\r\n"] {
        let mut stream = Dial::new(&stage.gateway).tls().await;
        let head = "POST /closed HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n";
        send(&mut stream, format!("{head}{expectation}\r\n").as_bytes()).await;
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&answer));
    }
    stage.check_still_serves(0).await;
}
