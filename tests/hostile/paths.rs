//! Paths with two meanings are refused where another route has other rules, and what has
//! one meaning is forwarded as it was written. Over both protocols alike.

use crate::support::client::Client;
use crate::support::frames::{Http2, Outcome};
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::upstream::{Received, Upstream, ok};

use super::Stage;

/// Whether a target goes on, and then octet by octet as it was written. `/open` and
/// `/closed` have one upstream and other rules.
const TARGETS: &[(&str, bool)] = &[
    // Plain.
    ("/open", true),
    ("/open/", true),
    ("/open/a/b.c", true),
    ("/open/-._~!$&'()*+,=:@", true),
    ("/open/...", true),
    ("/open/..a/b../.c", true),
    // Every spelling of a character goes on as it came.
    ("/open/%61%7e%2D%5F", true),
    ("/op%65n/a", true),
    ("/%6f%70%65%6E", true),
    ("/open/a%20b", true),
    ("/open/caf%c3%a9", true),
    ("/open/%e2%82%ac", true),
    ("/open/%3fa%23b", true),
    ("/open/100%25", true),
    ("/open/%25zz", true),
    // Another encoding than UTF-8, and a character that is cut off.
    ("/open/caf%e9", true),
    ("/open/%c3/a", true),
    ("/open/%80%bf", true),
    ("/open/%ed%a0%80", true),
    ("/open/%e0%a4%85%f0%9f%a6%80", true),
    // A query is the upstream's business.
    ("/open?%c0%af", true),
    ("/open?", true),
    ("/open?a=//../..;%2f%5C%00\\%zz%2", true),
    ("/open?/closed", true),
    ("/open?a?b", true),
    // No path at all.
    ("*", false),
    // Separators in disguise.
    ("/open/%2fclosed", false),
    ("/open%2Fa", false),
    ("/open/..%2fclosed", false),
    ("/open/%5c..%5cclosed", false),
    ("/open%5C", false),
    ("/open\\a", false),
    ("/open/..\\closed", false),
    // Controls.
    ("/open/%00", false),
    ("/open/a%00.html", false),
    ("/open/%01", false),
    ("/open/%0a", false),
    ("/open/%0D%0AX:y", false),
    ("/open/%09", false),
    ("/open/%1f", false),
    ("/open/%7F", false),
    // Dot segments.
    ("/open/.", false),
    ("/open/./a", false),
    ("/open/..", false),
    ("/open/../closed", false),
    ("/closed/../open", false),
    ("/./open", false),
    ("/../open", false),
    ("/open/%2e", false),
    ("/open/%2E%2e/closed", false),
    ("/open/.%2e/closed", false),
    ("/open/%2e./closed", false),
    // Empty segments.
    ("//open", false),
    ("/open//a", false),
    ("/open//", false),
    ("///", false),
    // Parameters.
    ("/open;a", false),
    ("/open;/closed", false),
    ("/open/..;/closed", false),
    ("/open/a;b=c/d", false),
    ("/open/..%3B/closed", false),
    ("/open/..%3bx/closed", false),
    ("/open/a%3Bb", true),
    // Escapes of escapes.
    ("/open/%252e%252e/closed", false),
    ("/open/%252f", false),
    ("/open/%2500", false),
    ("/open/%25%32%66", false),
    ("/open/%2541", false),
    // Overlong forms, of the slash, the dot, NUL and others.
    ("/open%c0%afclosed", false),
    ("/open/%C0%AE%c0%ae/closed", false),
    ("/open/%e0%80%af", false),
    ("/open/%E0%9F%BF", false),
    ("/open/%f0%80%80%af", false),
    ("/open/%F0%8F%BF%BF", false),
    ("/open/%f8%80%80%80%af", false),
    ("/open/%fc%80%80%80%80%af", false),
    ("/open/%c0%80", false),
    // Bytes that no UTF-8 has.
    ("/open/%c1", false),
    ("/open/%f5", false),
    ("/open/%fe%ff", false),
    ("/open/a%FFb", false),
    // Broken escapes.
    ("/open/%", false),
    ("/open/%2", false),
    ("/open/%zz", false),
    ("/open/%2g", false),
    ("/open/%-1", false),
    ("/open/%u0041", false),
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
    for (target, passes) in TARGETS {
        let before = stage.upstream.completed().len();
        let outcome = ask(&stage, target).await;
        let completed = stage.upstream.completed();
        let seen: Vec<&str> = completed[before..].iter().map(Received::target).collect();
        let as_expected = match (passes, outcome) {
            (true, Outcome::Answered(200)) => seen == [*target],
            (false, Outcome::Answered(400) | Outcome::Reset(_)) => seen.is_empty(),
            _ => false,
        };
        if !as_expected {
            failures.push(format!("{target}: {outcome:?}, forwarded {seen:?}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    let passed = TARGETS.iter().filter(|(_, passes)| *passes).count();
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
