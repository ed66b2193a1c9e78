//! What a message means is left alone: methods, statuses, cookies, framing.

use http::header::{ALLOW, CONTENT_LENGTH, ETAG, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode, Version};

use crate::support::client::{Client, Protocol, body, request};
use crate::support::gateway::Gateway;
use crate::support::streaming::streaming;
use crate::support::upstream::{Kind, Upstream, ok};

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

#[tokio::test]
async fn statuses_and_fields_of_upstreams_pass_unchanged() {
    let upstream = Upstream::http1(|request| async move {
        let status: u16 = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(200);
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = Response::builder()
            .status(status)
            .header(LOCATION, "http://elsewhere.example:81/path?query#fragment")
            .header(ETAG, "\"as it was\"")
            .header(ALLOW, "GET, BREW")
            .header(WWW_AUTHENTICATE, "Digest realm=\"upstream\"")
            .header(SET_COOKIE, "a=1; Path=/")
            .header(SET_COOKIE, "b=2; Secure");
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        answer.body(body(if bodiless { "" } else { "{\"as\":\"it is\"}" })).expect("an answer")
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in BOTH {
        let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
        for status in
            [200, 201, 204, 301, 302, 303, 304, 307, 308, 401, 404, 405, 429, 500, 502, 599]
        {
            let answer = connection.get(&format!("/open/thing?{status}")).await.expect(status);
            assert_eq!(answer.field("location"), "http://elsewhere.example:81/path?query#fragment");
            assert_eq!(answer.field("etag"), "\"as it was\"");
            assert_eq!(answer.field("allow"), "GET, BREW");
            assert_eq!(answer.field("www-authenticate"), "Digest realm=\"upstream\"");
            assert_eq!(answer.fields("set-cookie"), ["a=1; Path=/", "b=2; Secure"]);
            let bodiless = status == 204 || status == 304;
            assert_eq!(answer.body, if bodiless { "" } else { "{\"as\":\"it is\"}" });
        }
    }
}

#[tokio::test]
async fn the_answer_to_head_has_a_length_and_no_body() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in BOTH {
        let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
        let answer = connection.send(request(Method::HEAD, "/open/page")).await.expect(200);
        assert_eq!((answer.field("content-length"), &answer.body[..]), ("2", &b""[..]));
        // Were a body read or sent here, the next answer would be out of step.
        assert_eq!(connection.get("/open/page").await.expect(200).body, "ok");
    }
}

#[tokio::test]
async fn methods_arrive_as_they_were_sent() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in BOTH {
        let client = Client::anonymous(&gateway).protocol(protocol);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"] {
            let method: Method = method.parse().expect("a method");
            client.request(request(method.clone(), "/open/thing")).await.expect(200);
            assert_eq!(upstream.next_request().await.method, method);
        }
    }
}

#[tokio::test]
async fn crumbs_of_a_cookie_arrive_as_one_line() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway).h2();
    client
        .with("cookie", "a=1")
        .with("cookie", "b=2")
        .with("cookie", "c=3")
        .get("/open")
        .await
        .expect(200);
    assert_eq!(upstream.next_request().await.field("cookie"), Some("a=1; b=2; c=3"));
}

#[tokio::test]
async fn a_body_of_a_get_request_over_http2_is_framed_for_http1() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway).h2();

    let known = Request::get("/open/search").body(body("a query")).expect("a request");
    client.request(known).await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("content-length"), Some("7"));
    assert_eq!(received.field("transfer-encoding"), None);
    assert_eq!(received.body, b"a query");

    let (pieces, body) = streaming();
    let unknown = Request::get("/open/search").body(body).expect("a request");
    let (answer, ()) = tokio::join!(client.request(unknown), async {
        pieces.data("a query").await;
        drop(pieces);
    });
    answer.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("content-length"), None);
    assert_eq!(received.field("transfer-encoding"), Some("chunked"));
    assert_eq!(received.body, b"a query");
}

#[tokio::test]
async fn the_host_and_target_of_the_client_are_the_ones_of_the_upstream() {
    for protocol in BOTH {
        for kind in [Kind::Http1, Kind::H2c] {
            let upstream = Upstream::http(kind, ok).await;
            let gateway = Gateway::start(&upstream.routes()).await;
            let client = Client::anonymous(&gateway).protocol(protocol).host("app.example:8443");
            client.get("/open/a%20b/C?x=%2f&x=//..&token=kept").await.expect(200);
            let received = upstream.next_request().await;
            let version = if kind == Kind::H2c { Version::HTTP_2 } else { Version::HTTP_11 };
            assert_eq!(received.version, version);
            let authority = received.uri.authority().map(http::uri::Authority::as_str);
            assert_eq!(received.field("host").or(authority), Some("app.example:8443"));
            assert_eq!(received.target(), "/open/a%20b/C?x=%2f&x=//..&token=kept");
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let upstream = Upstream::saying("HTTP/1.1 200 OK\r\n\r\nuntil I close").await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in BOTH {
        let answer = Client::anonymous(&gateway).protocol(protocol).get("/open").await.expect(200);
        assert_eq!(answer.body, "until I close");
        assert!(!answer.headers.contains_key(CONTENT_LENGTH));
    }
}
