//! Paths with two meanings are refused, and the meaning that decides is the one
//! that is forwarded. Over both protocols alike.

use crate::support::client::Client;
use crate::support::frames::{Http2, Outcome};
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::upstream::{Received, Upstream, ok};

use super::Stage;

/// What is forwarded of a target, or nothing.
const TARGETS: &[(&str, Option<&str>)] = &[
    // Plain.
    ("/open", Some("/open")),
    ("/open/", Some("/open/")),
    ("/open/a/b.c", Some("/open/a/b.c")),
    ("/open/-._~!$&'()*+,=:@", Some("/open/-._~!$&'()*+,=:@")),
    ("/open/...", Some("/open/...")),
    ("/open/..a/b../.c", Some("/open/..a/b../.c")),
    // One spelling for each character.
    ("/open/%61%7e%2D%5F", Some("/open/a~-_")),
    ("/op%65n/a", Some("/open/a")),
    ("/%6f%70%65%6E", Some("/open")),
    ("/open/a%20b", Some("/open/a%20b")),
    ("/open/caf%c3%a9", Some("/open/caf%C3%A9")),
    ("/open/%e2%82%ac", Some("/open/%E2%82%AC")),
    ("/open/%3fa%23b", Some("/open/%3Fa%23b")),
    ("/open/100%25", Some("/open/100%25")),
    ("/open/%25zz", Some("/open/%25zz")),
    // Another encoding than UTF-8, and a character that is cut off.
    ("/open/caf%e9", Some("/open/caf%E9")),
    ("/open/%c3/a", Some("/open/%C3/a")),
    ("/open/%80%bf", Some("/open/%80%BF")),
    ("/open/%ed%a0%80", Some("/open/%ED%A0%80")),
    ("/open/%e0%a4%85%f0%9f%a6%80", Some("/open/%E0%A4%85%F0%9F%A6%80")),
    // A query is the upstream's business.
    ("/open?%c0%af", Some("/open?%c0%af")),
    ("/open?", Some("/open?")),
    ("/open?a=//../..;%2f%5C%00\\%zz%2", Some("/open?a=//../..;%2f%5C%00\\%zz%2")),
    ("/open?/closed", Some("/open?/closed")),
    ("/open?a?b", Some("/open?a?b")),
    // No path at all.
    ("*", None),
    // Separators in disguise.
    ("/open/%2fclosed", None),
    ("/open%2Fa", None),
    ("/open/..%2fclosed", None),
    ("/open/%5c..%5cclosed", None),
    ("/open%5C", None),
    ("/open\\a", None),
    ("/open/..\\closed", None),
    // Controls.
    ("/open/%00", None),
    ("/open/a%00.html", None),
    ("/open/%01", None),
    ("/open/%0a", None),
    ("/open/%0D%0AX:y", None),
    ("/open/%09", None),
    ("/open/%1f", None),
    ("/open/%7F", None),
    // Dot segments.
    ("/open/.", None),
    ("/open/./a", None),
    ("/open/..", None),
    ("/open/../closed", None),
    ("/closed/../open", None),
    ("/./open", None),
    ("/../open", None),
    ("/open/%2e", None),
    ("/open/%2E%2e/closed", None),
    ("/open/.%2e/closed", None),
    ("/open/%2e./closed", None),
    // Empty segments.
    ("//open", None),
    ("/open//a", None),
    ("/open//", None),
    ("///", None),
    // Parameters.
    ("/open;a", None),
    ("/open;/closed", None),
    ("/open/..;/closed", None),
    ("/open/a;b=c/d", None),
    // Escapes of escapes.
    ("/open/%252e%252e/closed", None),
    ("/open/%252f", None),
    ("/open/%2500", None),
    ("/open/%25%32%66", None),
    ("/open/%2541", None),
    // Overlong forms, of the slash, the dot, NUL and others.
    ("/open%c0%afclosed", None),
    ("/open/%C0%AE%c0%ae/closed", None),
    ("/open/%e0%80%af", None),
    ("/open/%E0%9F%BF", None),
    ("/open/%f0%80%80%af", None),
    ("/open/%F0%8F%BF%BF", None),
    ("/open/%f8%80%80%80%af", None),
    ("/open/%fc%80%80%80%80%af", None),
    ("/open/%c0%80", None),
    // Bytes that no UTF-8 has.
    ("/open/%c1", None),
    ("/open/%f5", None),
    ("/open/%fe%ff", None),
    ("/open/a%FFb", None),
    // Broken escapes.
    ("/open/%", None),
    ("/open/%2", None),
    ("/open/%zz", None),
    ("/open/%2g", None),
    ("/open/%-1", None),
    ("/open/%u0041", None),
];

#[tokio::test]
async fn a_path_has_one_meaning_or_is_refused_over_http1() {
    check(async |stage, target| {
        let mut stream = raw(&stage.gateway).await;
        stream.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        Outcome::Answered(stream.read_response().await.status.as_u16())
    })
    .await;
}

#[tokio::test]
async fn a_path_has_one_meaning_or_is_refused_over_http2() {
    check(outcome).await;
}

/// Asks for every target, then says which of them went wrong.
async fn check(ask: impl AsyncFn(&Stage, &str) -> Outcome) {
    let stage = Stage::start().await;
    let mut failures = Vec::new();
    for (target, forwarded) in TARGETS {
        let before = stage.upstream.completed().len();
        let outcome = ask(&stage, target).await;
        let completed = stage.upstream.completed();
        let seen: Vec<&str> = completed[before..].iter().map(Received::target).collect();
        let as_expected = match (forwarded, outcome) {
            (Some(forwarded), Outcome::Answered(200)) => seen == [*forwarded],
            (None, Outcome::Answered(400) | Outcome::Reset(_)) => seen.is_empty(),
            _ => false,
        };
        if !as_expected {
            failures.push(format!("{target}: {outcome:?}, forwarded {seen:?}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    let passed = TARGETS.iter().filter(|(_, forwarded)| forwarded.is_some()).count();
    stage.check_still_serves(passed).await;
}

async fn outcome(stage: &Stage, target: &str) -> Outcome {
    let mut http2 = Http2::connect(&stage.gateway).await;
    let pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost")];
    http2.request(1, &[&pseudo[..], &[(":path", target)]].concat()).await;
    http2.outcome(1).await
}

#[tokio::test]
async fn a_fragment_has_no_place_in_a_request() {
    let stage = Stage::start().await;
    for target in ["/open#", "/open#a", "/open/a#b", "/open?a#b", "/open#/../closed"] {
        let mut stream = raw(&stage.gateway).await;
        stream.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(stream.read_response().await.status, 400, "{target}");
    }
    stage.check_still_serves(0).await;
}

#[tokio::test]
async fn another_spelling_of_a_path_needs_the_same_credential() {
    let stage = Stage::start().await;
    let anonymous = Client::anonymous(&stage.gateway);
    Client::admin(&stage.gateway).get("/closed/a").await.expect(200);
    for spelling in
        ["/closed/a", "/clos%65d/a", "/%63losed/a", "/closed/%61", "/closed?/open", "/closed/"]
    {
        let answer = anonymous.get(spelling).await;
        answer.refused(401, "AUTHENTICATION_REQUIRED");
    }
    // Neither a prefix of letters nor another case is the same path.
    for other in ["/closedness", "/openness", "/OPEN", "/Closed", "/open.html", "/", "/ope"] {
        anonymous.get(other).await.refused(404, "NOT_FOUND");
    }
    assert_eq!(stage.upstream.requests().len(), 1);
}

/// Neither a longer path, nor another spelling, nor who claims to ask.
#[tokio::test]
async fn what_is_public_is_public_by_its_exact_path() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let probe = Client::anonymous(&gateway).with("user-agent", "kube-probe/1.33");
    let probe = probe.with("x-health-check", "1").with("purpose", "health");
    probe.get("/health").await.expect(200);
    for path in ["/", "/health/", "/health/more", "/healthz", "/HEALTH", "/health.json", "/healt"] {
        probe.get(path).await.refused(401, "AUTHENTICATION_REQUIRED");
    }
    for path in ["/health;a", "/health/..", "/health%2fmore", "//health"] {
        probe.get(path).await.refused(400, "BAD_REQUEST");
    }
    probe.post("/health").await.refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn fields_that_name_another_path_or_method_change_nothing() {
    let stage = Stage::start().await;
    for name in [
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-uri",
        "x-original-uri",
        "x-forwarded-path",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-forwarded-method",
    ] {
        let value = if name.contains("method") { "DELETE" } else { "/open" };
        let client = Client::anonymous(&stage.gateway).with(name, value);
        client.get("/closed").await.refused(401, "AUTHENTICATION_REQUIRED");
        client.get("/open/a").await.expect(200);
        let received = stage.upstream.next_request().await;
        assert_eq!((received.method.as_str(), received.target()), ("GET", "/open/a"));
    }
}
