//! gRPC by grpcio, gRPC-web by Google's client and by Buf's, Connect by Buf's.

use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::BodyExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::{Body, body, sign_in_admin};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Recording, Upstream};

use super::{CLIENTS, node, python, succeeds, url};

#[tokio::test]
async fn grpcio_calls_streams_and_is_told_outcomes() {
    let upstream = Upstream::grpc().await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let token = sign_in_admin(&gateway).await.access;
    let mut client = python("grpc_client.py");
    client
        .arg(format!("localhost:{}", gateway.address().port()))
        .args([gateway.path("server.pem").to_str().expect("a path of text"), &token]);
    succeeds(client, &gateway).await;
    let seen = upstream.next_request().await;
    assert_eq!(seen.field("x-trace-bin"), Some("AP8"));
    assert_eq!(seen.field("my_key.x"), Some("1"));
}

#[tokio::test]
async fn grpc_web_calls_and_is_told_outcomes() {
    let upstream = Upstream::http1(serve).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let token = sign_in_admin(&gateway).await.access;
    let mut client = node("grpc_web.js");
    client.args([&url(&gateway, "https"), &token]);
    succeeds(client, &gateway).await;
}

/// Its Connect calls read a refusal by its status.
#[tokio::test]
async fn connect_web_calls_and_is_told_outcomes() {
    let upstream = Upstream::http1(serve).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let token = sign_in_admin(&gateway).await.access;
    let mut client = node("connect_web.mjs");
    client.arg(CLIENTS.join("package.json")).args([&url(&gateway, "https"), &token]);
    succeeds(client, &gateway).await;
}

/// Returns the message, and a frame of trailers; as text where the call is text.
async fn serve(request: Request<Recording>) -> Response<Body> {
    let content_type = request.headers()[CONTENT_TYPE].clone();
    let is_text = content_type.as_bytes().starts_with(b"application/grpc-web-text");
    let sent = request.into_body().collect().await.expect("a whole request").to_bytes();
    let decoded = if is_text { STANDARD.decode(&sent).expect("base64") } else { sent.to_vec() };
    let trailers = b"grpc-status:0\r\n";
    let length = u8::try_from(trailers.len()).expect("short trailers");
    let answer = [&decoded[..], &[0x80, 0, 0, 0, length], trailers].concat();
    let answer = if is_text { STANDARD.encode(answer).into_bytes() } else { answer };
    Response::builder().header(CONTENT_TYPE, content_type).body(body(answer)).expect("an answer")
}
