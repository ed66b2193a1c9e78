//! OPTIONS with Access-Control-Request-Method: never 401, and no upstream's but where
//! the route says so.

use crate::support::client::{Protocol, json_request};
use crate::support::upstream::{ok, text};

use super::*;

#[tokio::test]
async fn a_preflight_is_answered_without_a_credential_and_reaches_no_upstream() {
    let app = Upstream::http1(ok).await;
    let gateway = in_front_of(&app, &route(POLICY)).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = page(&gateway, PAGE).protocol(protocol);
        let asked = preflight("/things?a=b", "PUT", "authorization,content-type");
        let answer = client.request(asked).await.expect(204);
        assert_eq!(
            family(&answer),
            [
                "access-control-allow-headers: authorization, content-type, x-api-key",
                "access-control-allow-methods: GET, HEAD, POST, PUT, PATCH, DELETE",
                "access-control-allow-origin: https://app.example",
                "access-control-max-age: 600",
            ]
        );
        assert_varies(&answer);
        assert!(answer.body.is_empty());
        let line = access_line(&gateway, &answer).await;
        assert_eq!((&line["decision"], &line["reason"]), (&"own".into(), &"ok".into()), "{line}");
        assert_eq!(line["route"], "/", "{line}");
        // Control: OPTIONS that asks nothing is judged as ever.
        let plain = client.request(request(Method::OPTIONS, "/things")).await.expect(401);
        assert_readable(&plain);
        let same_origin = Client::anonymous(&gateway).request(preflight("/", "PUT", "")).await;
        same_origin.expect(401);
    }
    assert!(app.requests().is_empty());
}

#[tokio::test]
async fn a_page_that_is_not_listed_is_told_no_and_nothing_more() {
    let app = Upstream::http1(ok).await;
    let gateway = in_front_of(&app, &route(POLICY)).await;
    for (origin, detail) in [
        (FOREIGN, "https://evil.example is not in `cors.origins`"),
        ("https://sub.app.example", "https://sub.app.example is not in"),
        ("http://app.example", "http://app.example is not in"),
        ("https://app.example:8443", "https://app.example:8443 is not in"),
        ("null", "an origin that cannot be"),
    ] {
        let answer = page(&gateway, origin).request(preflight("/", "PUT", "")).await;
        let answer = answer.refused(403, "CORS");
        assert!(family(&answer).is_empty(), "{answer:?}");
        assert!(answer.fields("www-authenticate").is_empty(), "{answer:?}");
        assert_varies(&answer);
        check_logged(&gateway, &answer, "preflight_refused", detail).await;
    }
    let twice = page(&gateway, PAGE).with("origin", PAGE).request(preflight("/", "PUT", "")).await;
    assert!(family(&twice).is_empty(), "{twice:?}");
    check_logged(&gateway, &twice.expect(403), "preflight_refused", "more than one Origin").await;
    gateway.counted(&["preflights_refused"], 6).await;
    assert!(app.requests().is_empty());
}

#[tokio::test]
async fn where_nothing_is_said_a_preflight_is_refused_and_asked_for_no_credential() {
    let app = Upstream::http1(ok).await;
    let gateway = in_front_of(&app, &route("")).await;
    let client = page(&gateway, PAGE);
    let answer = client.request(preflight("/", "GET", "authorization")).await;
    let answer = answer.refused(403, "CORS");
    assert!(family(&answer).is_empty() && answer.fields("www-authenticate").is_empty());
    check_logged(&gateway, &answer, "preflight_refused", "the route has no `cors`").await;
    // One of our own endpoints too.
    let answer = client.request(preflight("/api/auth/login", "POST", "content-type")).await;
    check_logged(&gateway, &answer.expect(403), "preflight_refused", "no [cors]").await;
    assert!(app.requests().is_empty());
}

/// As before there was `cors`: whoever wrote such routes has an upstream that answers.
#[tokio::test]
async fn where_options_needs_no_credential_and_nothing_is_said_a_preflight_passes() {
    let app = Upstream::http1(ok).await;
    let open = route("path = \"/open\"\npublic = true\n");
    let let_through = format!(
        "{}{}",
        route("path = \"/app\"\n"),
        route("path = \"/app\"\nmethods = [\"OPTIONS\"]\npublic = true\n")
    );
    let gateway = in_front_of(&app, &format!("{open}{let_through}")).await;
    for path in ["/open", "/app"] {
        page(&gateway, PAGE).request(preflight(path, "PUT", "")).await.expect(200);
        let received = app.next_request().await;
        assert_eq!((received.method, received.uri.path()), (Method::OPTIONS, path));
    }
    page(&gateway, PAGE).request(json_request("/app", &Value::Null)).await.expect(401);
}

#[tokio::test]
async fn an_upstream_that_is_to_answer_preflights_gets_them_and_no_credential_with_them() {
    let app = Upstream::http1(|request| async {
        let mut answer = ok(request).await;
        answer.headers_mut().insert("access-control-allow-origin", "*".parse().expect("a value"));
        answer
    })
    .await;
    let keys = "cors = \"upstream\"\nforward_credential = true\nws_token = true\n";
    let gateway = in_front_of(&app, &route(keys)).await;
    let client = page(&gateway, FOREIGN)
        .with("authorization", "Bearer made-up")
        .with("x-api-key", "made-up")
        .with("cookie", "a=b")
        .with("x-portcullis-username", "admin");
    let answer = client.request(preflight("/x?token=made-up&a=b", "PUT", "x-custom")).await;
    assert_eq!(family(&answer.expect(200)), ["access-control-allow-origin: *"]);
    let received = app.next_request().await;
    assert_eq!(received.method, Method::OPTIONS);
    assert_eq!(received.uri.query(), Some("a=b"), "a ticket goes nowhere");
    assert_eq!(received.field("origin"), Some(FOREIGN));
    assert_eq!(received.field("access-control-request-method"), Some("PUT"));
    for name in ["authorization", "x-api-key", "cookie", "x-portcullis-username"] {
        assert_eq!(received.field(name), None, "{name}");
    }
    // What is no preflight of a browser's needs a credential as ever.
    let mut with_body = preflight("/x", "PUT", "");
    *with_body.body_mut() = body("a body");
    page(&gateway, PAGE).request(with_body).await.expect(401);
    let upgrade = page(&gateway, PAGE).with("connection", "upgrade").with("upgrade", "websocket");
    upgrade.request(preflight("/x", "PUT", "")).await.expect(401);
    page(&gateway, PAGE).get("/x").await.expect(401);
    assert_eq!(app.requests().len(), 1);
}

#[tokio::test]
async fn what_a_page_may_not_use_is_told_to_its_browser_and_to_the_log() {
    let policy = "cors = { origins = [\"https://app.example\"], methods = [\"GET\", \"PUT\"], \
                  fields = [\"X-Trace\"], max_age = \"5s\" }\n";
    let app = Upstream::http1(ok).await;
    let gateway = in_front_of(&app, &route(policy)).await;
    let ask = async |method, fields| {
        let answer = page(&gateway, PAGE).request(preflight("/", method, fields)).await;
        assert_eq!(answer.field("access-control-allow-origin"), PAGE);
        answer
    };
    let told = [
        "access-control-allow-headers: x-trace",
        "access-control-allow-methods: GET, PUT",
        "access-control-allow-origin: https://app.example",
        "access-control-max-age: 5",
    ];
    let good = ask("PUT", "X-TRACE").await.expect(204);
    assert_eq!(family(&good), told);
    check_logged(&gateway, &good, "ok", "").await;
    for (method, fields, detail) in [
        ("DELETE", "", "a method that `cors` does not allow here"),
        ("put", "", "a method that `cors` does not allow here"),
        ("GET", "x-trace,content-type", "content-type is not in `cors.fields`"),
    ] {
        let answer = ask(method, fields).await.expect(204);
        assert_eq!(family(&answer), told, "the browser compares");
        check_logged(&gateway, &answer, "preflight_refused", detail).await;
    }
    // Browsers compare no method that a form has (Fetch 4.8).
    let answer = ask("POST", "x-trace").await.refused(403, "CORS");
    check_logged(&gateway, &answer, "preflight_refused", "a method that").await;
    assert!(app.requests().is_empty());
}

#[tokio::test]
async fn the_method_that_a_page_would_use_chooses_the_route() {
    let app = Upstream::http1(ok).await;
    let routes = [
        route("id = \"read\"\npath = \"/x\"\nmethods = [\"GET\"]\npublic = true\n"),
        route(&format!("id = \"write\"\npath = \"/x\"\nmethods = [\"PUT\"]\n{POLICY}")),
    ];
    let gateway = in_front_of(&app, &routes.concat()).await;
    let ask = async |method| page(&gateway, PAGE).request(preflight("/x", method, "")).await;
    let put = ask("PUT").await.expect(204);
    assert_eq!(put.field("access-control-allow-methods"), "PUT");
    assert_eq!(access_line(&gateway, &put).await["route"], "write");
    let get = ask("GET").await.expect(403);
    assert_eq!(access_line(&gateway, &get).await["route"], "read");
    // Nobody takes it; the page is let read that.
    assert_readable(&ask("PATCH").await.refused(405, "METHOD_NOT_ALLOWED"));
    page(&gateway, PAGE).request(preflight("/y", "PUT", "")).await.refused(404, "NOT_FOUND");
    assert!(app.requests().is_empty());
}

#[tokio::test]
async fn preflights_count_as_requests_of_their_address() {
    let app = Upstream::http1(ok).await;
    let limits = "[limits]\nrequests_per_second = 1\nburst = 2\n";
    let gateway = in_front_of(&app, &format!("{limits}{}", route(POLICY))).await;
    let client = page(&gateway, PAGE);
    for _ in 0..2 {
        client.request(preflight("/", "PUT", "")).await.expect(204);
    }
    let answer = client.request(preflight("/", "PUT", "")).await.expect(429);
    assert_readable(&answer);
    assert!(!answer.field("retry-after").is_empty());
}

/// Pages of the internet are let into no private network: who does not answer refuses.
#[tokio::test]
async fn a_question_for_a_private_network_stays_without_an_answer() {
    let app = Upstream::http1(|_| async { text("ok") }).await;
    let gateway = in_front_of(&app, &route(POLICY)).await;
    let client = page(&gateway, PAGE).with("access-control-request-private-network", "true");
    let answer = client.request(preflight("/", "PUT", "")).await.expect(204);
    assert!(answer.fields("access-control-allow-private-network").is_empty(), "{answer:?}");
}
