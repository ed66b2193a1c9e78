//! gRPC: calls in both directions at once, outcomes in trailers, and refusals as
//! gRPC clients understand them.

use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;

use crate::support::client::{Answer, Body, Client, Protocol, body};
use crate::support::gateway::{ECHO, Gateway};
use crate::support::streaming::{fields, streaming};
use crate::support::upstream::{Refusing, Upstream};
use crate::support::within;

/// Five bytes of gRPC framing, then the message.
const HELLO: &[u8] = b"\0\0\0\0\x05hello";
const WORLD: &[u8] = b"\0\0\0\0\x05world";

fn call(method: &str, body: Body) -> Request<Body> {
    Request::post(format!("/echo.Echo/{method}"))
        .header(CONTENT_TYPE, "application/grpc+proto")
        .header(TE, "trailers")
        .body(body)
        .expect("a request")
}

async fn gateway_to(upstream: &Upstream) -> Gateway {
    Gateway::start(&upstream.routes()).await
}

#[tokio::test]
async fn a_unary_call_brings_a_message_and_a_status_in_trailers() {
    let upstream = Upstream::grpc().await;
    let gateway = gateway_to(&upstream).await;
    let answer = Client::admin(&gateway).h2().request(call("Say", body(HELLO))).await.expect(200);
    assert_eq!(answer.field("content-type"), "application/grpc");
    assert_eq!(answer.body, HELLO);
    assert_eq!(answer.trailers, Some(fields(&[("grpc-status", "0")])));
    let received = upstream.next_request().await;
    assert_eq!(received.field("te"), Some("trailers"));
    assert_eq!(received.field("x-portcullis-username"), Some("admin"));
}

#[tokio::test]
async fn a_failed_call_keeps_its_status_and_message() {
    let upstream = Upstream::grpc().await;
    let gateway = gateway_to(&upstream).await;
    let answer = Client::admin(&gateway).h2().request(call("Fail", body(HELLO))).await.expect(200);
    let outcome = fields(&[("grpc-status", "5"), ("grpc-message", "no such thing")]);
    assert_eq!(answer.trailers, Some(outcome));
}

#[tokio::test]
async fn messages_go_both_ways_during_one_call() {
    let upstream = Upstream::grpc().await;
    let gateway = gateway_to(&upstream).await;
    let mut connection = Client::admin(&gateway).h2().connect().await;
    let (pieces, body) = streaming();
    let mut messages = connection.begin(call("Chat", body)).await.into_body();
    for message in [HELLO, WORLD] {
        pieces.data(message).await;
        let frame = within("a message", messages.frame()).await.expect("a message");
        assert_eq!(frame.expect("a message").into_data().expect("a message"), message);
    }
    drop(pieces);
    let end = within("the trailers", messages.frame()).await.expect("trailers").expect("trailers");
    assert_eq!(end.into_trailers().expect("trailers"), fields(&[("grpc-status", "0")]));
}

/// 200 with the outcome in the head and nothing behind it: gRPC's Trailers-Only.
#[track_caller]
fn check_refusal(answer: &Answer, status: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("grpc-status"), status, "{answer:?}");
    assert!(answer.field("content-type").starts_with("application/grpc"), "{answer:?}");
    assert!(answer.body.is_empty(), "{answer:?}");
    assert_eq!(answer.trailers.clone().unwrap_or_default(), HeaderMap::new());
}

async fn say(client: &Client) -> Answer {
    client.request(call("Say", body(HELLO))).await
}

#[tokio::test]
async fn a_call_without_a_credential_ends_with_unauthenticated() {
    let upstream = Upstream::grpc().await;
    let gateway = gateway_to(&upstream).await;
    assert_eq!(say(&Client::admin(&gateway).h2()).await.body, HELLO);
    check_refusal(&say(&Client::anonymous(&gateway).h2()).await, "16");
    assert_eq!(upstream.requests().len(), 1);
}

/// What begins like gRPC's type, and is another, is refused like it.
#[tokio::test]
async fn a_refusal_is_in_the_form_of_its_calls_type() {
    let gateway = Gateway::start(ECHO).await;
    for (sent, answered) in [
        ("application/grpc", Some("application/grpc")),
        ("application/grpc+json", Some("application/grpc")),
        ("application/grpc;v=1", Some("application/grpc")),
        ("application/grpc-web", Some("application/grpc-web")),
        ("application/grpc-web+proto", Some("application/grpc-web+proto")),
        ("application/grpc-web-text", Some("application/grpc-web-text")),
        ("application/grpc-web-text+proto", Some("application/grpc-web-text+proto")),
        ("application/grpc-other", None),
        ("application/grpcx", None),
        ("application/connect+proto", None),
        ("application/proto", None),
    ] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let client = Client::anonymous(&gateway).protocol(protocol).with("content-type", sent);
            let answer = client.post("/echo.Echo/Say").await;
            let Some(answered) = answered else {
                answer.refused(401, "AUTHENTICATION_REQUIRED");
                continue;
            };
            check_refusal(&answer, "16");
            assert_eq!(answer.field("content-type"), answered);
        }
    }
}

#[tokio::test]
async fn a_call_without_the_role_ends_with_permission_denied() {
    let upstream = Upstream::grpc().await;
    let route = "[[route]]\nupstream = \"app\"\nroles = [\"admin\"]\n";
    let gateway = Gateway::start(&(upstream.section("app") + route)).await;
    gateway.add_user("alice", "alice's password", &["reader"]).await;
    assert_eq!(say(&Client::admin(&gateway).h2()).await.body, HELLO);
    let alice = Client::basic(&gateway, "alice", "alice's password").h2();
    check_refusal(&say(&alice).await, "7");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_call_too_many_ends_with_resource_exhausted() {
    let upstream = Upstream::grpc().await;
    let limits = "[limits]\nrequests_per_second = 1\nburst = 1\n";
    let gateway = Gateway::start(&(upstream.routes() + limits)).await;
    let client = Client::admin(&gateway).h2();
    let mut answer = say(&client).await;
    assert_eq!(answer.body, HELLO);
    // A slow machine may earn another call or two in between.
    for _ in 0..20 {
        if answer.headers.contains_key("grpc-status") {
            break;
        }
        answer = say(&client).await;
    }
    check_refusal(&answer, "8");
    assert!(!answer.field("retry-after").is_empty());
}

#[tokio::test]
async fn a_call_to_a_missing_upstream_ends_with_unavailable() {
    let refusing = Refusing::new();
    let route = format!("[[route]]\npath = \"/echo.Echo\"\nupstream = \"{}\"\n", refusing.url());
    let gateway = Gateway::start(&(route + ECHO)).await;
    let client = Client::admin(&gateway).h2();
    client.get("/").await.expect(200);
    check_refusal(&say(&client).await, "14");
}
