//! What caches on the way to a client may keep.

use http::{Method, Request, Response, StatusCode};
use tokio::net::TcpStream;

use crate::support::client::{Answer, Body, Client, body, request};
use crate::support::gateway::{ECHO, Gateway};
use crate::support::socket::ask;
use crate::support::upstream::{Recording, Upstream};

/// Answers with the fields that the query names.
async fn fields_of_the_query(request: Request<Recording>) -> Response<Body> {
    let mut response = Response::new(body("ok"));
    for pair in request.uri().query().unwrap_or_default().split('&') {
        match pair.split_once('=') {
            Some(("status", "304")) => *response.status_mut() = StatusCode::NOT_MODIFIED,
            Some(("control", value)) => {
                response.headers_mut().insert("cache-control", value.parse().expect("a value"));
            }
            Some((name, value)) => {
                let name: http::HeaderName = name.parse().expect("a name");
                response.headers_mut().insert(name, value.parse().expect("a value"));
            }
            None => {}
        }
    }
    response
}

#[track_caller]
fn check(answer: &Answer, control: &[&str], vary: &[&str]) {
    assert_eq!(answer.fields("cache-control"), control, "{answer:?}");
    assert_eq!(answer.fields("vary"), vary, "{answer:?}");
}

const OWN: &str = "Authorization, X-API-Key";

#[tokio::test]
async fn a_protected_response_is_private_where_the_upstream_says_nothing() {
    let upstream = Upstream::http1(fields_of_the_query).await;
    let config = format!("console.enabled = false\n{}", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let client = Client::admin(&gateway);
    for client in [client.clone(), client.h2()] {
        check(&client.get("/").await.expect(200), &["private"], &[OWN]);
        let answer = client.get("/?vary=Accept").await.expect(200);
        check(&answer, &["private"], &["Accept", OWN]);
        check(&client.get("/?control=max-age=60").await.expect(200), &["max-age=60"], &[]);
        check(&client.get("/?expires=0").await.expect(200), &[], &[]);
        check(&client.get("/?status=304").await.expect(304), &[], &[]);
        check(&client.post("/").await.expect(200), &[], &[]);
        // Nobody is asked for a credential there, so everybody gets the same.
        check(&client.get("/open").await.expect(200), &[], &[]);
        let head = request(Method::HEAD, "/");
        check(&client.request(head).await.expect(200), &["private"], &[OWN]);
    }
}

#[tokio::test]
async fn where_cookies_sign_in_a_protected_response_varies_by_them() {
    let by_contract = "console.enabled = false\n[dialect.form]\ndelivery = \"cookie\"\n";
    for by in [by_contract, ""] {
        let gateway = Gateway::start(&format!("{by}{ECHO}")).await;
        let answer = Client::admin(&gateway).get("/").await.expect(200);
        check(&answer, &["private"], &["Authorization, X-API-Key, Cookie"]);
    }
}

#[tokio::test]
async fn browsers_are_told_to_come_by_tls_only_by_a_switch_and_over_tls() {
    let upstream = Upstream::http1(fields_of_the_query).await;
    let listeners = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
                     [[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\n";
    let routes = upstream.routes();
    let hsts = |answer: &Answer| {
        let lines = answer.fields("strict-transport-security");
        lines.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let off = Gateway::start(&routes).await;
    assert!(hsts(&Client::admin(&off).get("/").await.expect(200)).is_empty());

    let config = format!("[tls]\nhsts = \"180d\"\n{listeners}{routes}");
    let gateway = Gateway::start(&config).await;
    let ours = "max-age=15552000";
    assert_eq!(hsts(&Client::admin(&gateway).get("/").await.expect(200)), [ours]);
    assert_eq!(hsts(&Client::anonymous(&gateway).get("/").await.expect(401)), [ours]);
    assert_eq!(hsts(&Client::anonymous(&gateway).get("/health").await.expect(200)), [ours]);
    let theirs = "/open?strict-transport-security=max-age=1";
    let answer = Client::anonymous(&gateway).get(theirs).await.expect(200);
    assert_eq!(hsts(&answer), ["max-age=1"], "the upstream's own stays");
    let stream = TcpStream::connect(gateway.addresses()[1]).await.expect("it listens");
    let mut clear = request(Method::GET, "/open");
    clear.headers_mut().insert("host", "localhost".parse().expect("a value"));
    let answer = ask(stream, clear).await.expect(200);
    assert!(hsts(&answer).is_empty(), "{answer:?}");

    let config = format!("[tls]\nhsts = \"1d\"\nhsts_subdomains = true\n{routes}");
    let gateway = Gateway::start(&config).await;
    let answer = Client::admin(&gateway).get("/").await.expect(200);
    assert_eq!(hsts(&answer), ["max-age=86400; includeSubDomains"]);
}
