//! Requests that are refused like any other: in JSON, with an id, and in the log.

use http::Method;

use crate::support::client::{Client, Protocol, request};
use crate::support::gateway::Gateway;
use crate::support::raw::raw;

const PUBLIC_ECHO: &str = "[[route]]\npublic = true\nupstream = \"echo\"\n";

/// Was: only HTTP/1.1 counted.
#[tokio::test]
async fn a_request_has_so_many_fields_over_either_protocol() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        // `X-Forwarded-For` comes with every test's request, and over HTTP/1.1 `Host`.
        let own = if protocol == Protocol::Http1 { 2 } else { 1 };
        let with = |count: usize| {
            let client = Client::anonymous(&gateway).protocol(protocol);
            (own..count).fold(client, |client, number| client.with(&format!("x-{number}"), "a"))
        };
        with(100).get("/").await.expect(200);
        with(101).get("/").await.refused(431, "HEADERS_TOO_LARGE");
    }
}

/// Over HTTP/2 nothing but the pipeline looks at it.
#[tokio::test]
async fn a_target_has_so_many_bytes_over_either_protocol() {
    let narrow = format!("[limits]\nuri_size = \"300B\"\n{PUBLIC_ECHO}");
    for (config, limit) in [(PUBLIC_ECHO, 8 << 10), (&narrow, 300)] {
        let gateway = Gateway::start(config).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let client = Client::anonymous(&gateway).protocol(protocol);
            // The query counts as the path does.
            for begin in ["/", "/a?"] {
                let target = |bytes: usize| format!("{begin}{}", "b".repeat(bytes - begin.len()));
                client.get(&target(limit)).await.expect(200);
                client.get(&target(limit + 1)).await.refused(414, "URI_TOO_LONG");
            }
        }
    }
}

/// Was: the library answered 400 by itself, without a body, an id, or a line.
#[tokio::test]
async fn a_target_that_is_no_uri_is_refused_with_an_id_and_a_line_in_the_log() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    for target in ["/<", "/<?q=\"<>"] {
        let mut stream = raw(&gateway).await;
        stream.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        stream.read_response().await.expect(200);
        stream.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let answer = stream.read_response().await.refused(400, "BAD_REQUEST");
        let id = answer.field("x-request-id");
        let line =
            gateway.wait_for_log(|line| line["type"] == "access" && line["request_id"] == id).await;
        assert_eq!((&line["type"], &line["status"]), (&"access".into(), &400.into()), "{line}");
    }
}

/// Was: TRACE and CONNECT were refused without an `Allow` field (RFC 9110 15.5.6).
#[tokio::test]
async fn a_refused_method_is_told_which_are_taken() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    let forwarded = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    for (method, path, allow) in [
        ("TRACE", "/", forwarded),
        ("CONNECT", "localhost:443", forwarded),
        ("TRACE", "/api/auth/login", "POST"),
        ("PATCH", "/health", "GET, HEAD, OPTIONS"),
    ] {
        let mut stream = raw(&gateway).await;
        stream.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost:443\r\n\r\n")).await;
        let answer = stream.read_response().await.refused(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.field("allow"), allow, "{method} {path}");
    }
}

/// Was: over HTTP/2 the answer to HEAD brought a body, which is an error of protocol.
#[tokio::test]
async fn an_answer_to_head_has_a_length_and_no_body() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = Client::anonymous(&gateway).protocol(protocol);
        for (path, status) in [("/health", 200), ("/any", 200), ("/api/ws-token", 401)] {
            let answer = client.request(request(Method::HEAD, path)).await.expect(status);
            assert!(answer.body.is_empty(), "{answer:?}");
            assert_ne!(answer.field("content-length"), "0", "{answer:?}");
        }
    }
}
