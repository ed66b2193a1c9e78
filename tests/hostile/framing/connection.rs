//! What becomes of a connection behind a message.

use crate::support::socket::{Dial, read_to_end, send};

use super::Verdict::Answered;
use super::{BEHIND, HELLO, Stage, check, request, statuses};

#[tokio::test]
async fn a_sound_request_that_is_refused_leaves_the_connection_usable() {
    check(&[
        request("no credential", b"GET /closed HTTP/1.1", b"", b"", Answered(401)),
        request(
            "no credential, a small body",
            b"POST /closed HTTP/1.1",
            b"Content-Length: 5",
            b"hello",
            Answered(401),
        ),
        request(
            "no credential, chunks",
            b"POST /closed HTTP/1.1",
            b"Transfer-Encoding: chunked",
            HELLO,
            Answered(401),
        ),
        request(
            "a wrong credential",
            b"GET /closed HTTP/1.1",
            b"Authorization: Bearer x",
            b"",
            Answered(401),
        ),
        request("no route", b"GET /nowhere HTTP/1.1", b"", b"", Answered(404)),
        request(
            "no route, a small body",
            b"PUT /nowhere HTTP/1.1",
            b"Content-Length: 5",
            b"hello",
            Answered(404),
        ),
        request(
            "no route, a body like a request",
            b"PUT /nowhere HTTP/1.1",
            b"Content-Length: 48",
            b"GET /open/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Answered(404),
        ),
    ])
    .await;
}

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
async fn trace_is_not_forwarded() {
    let stage = Stage::start().await;
    for target in ["/open", "/closed", "/nowhere"] {
        let mut stream = Dial::new(&stage.gateway).tls().await;
        let request = format!("TRACE {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        send(&mut stream, request.as_bytes()).await;
        let answer = read_to_end(&mut stream).await;
        assert_eq!(statuses(&answer), [405], "{}", String::from_utf8_lossy(&answer));
    }
    stage.check_still_serves(0).await;
}
