//! Whole bodies and trailers, on every way through the gateway.

use bytes::Bytes;
use http::header::{TE, TRAILER};
use http::{Method, Request, Response};

use crate::support::client::{Body, Client, Protocol, request, typed_request};
use crate::support::gateway::Gateway;
use crate::support::streaming::{fields, streaming};
use crate::support::upstream::{Kind, Recording, Upstream, mirror, ok};

use super::on_every_way;

const LARGE: usize = 8 << 20;

on_every_way!(
    large_bodies_arrive_intact_both_ways,
    trailers_arrive_both_ways,
    a_body_of_a_get_request_arrives,
    requests_without_a_body_arrive_without_one,
);

async fn large_bodies_arrive_intact_both_ways(protocol: Protocol, kind: Kind) {
    let upstream = Upstream::http(kind, mirror).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let sent: Bytes = (0..=250).cycle().take(LARGE).collect();
    let upload = typed_request("/open/upload", "application/octet-stream", sent.clone());
    let answer = Client::anonymous(&gateway).protocol(protocol).request(upload).await;
    assert_eq!(answer.status, 200);
    // Not assert_eq: nobody wants to read 16 MiB of differences.
    assert!(answer.body == sent, "{} bytes came back", answer.body.len());
    let received = upstream.next_request().await.body;
    assert!(received == sent, "{} bytes arrived upstream", received.len());
}

async fn trailers_arrive_both_ways(protocol: Protocol, kind: Kind) {
    let upstream = Upstream::http(kind, answer_with_trailers).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let (pieces, body) = streaming();
    let upload = Request::post("/open/upload").header(TRAILER, "x-sent").header(TE, "trailers");
    let upload = upload.body(body).expect("a request");
    let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
    let (answer, ()) = tokio::join!(connection.send(upload), async {
        pieces.data("sum me up").await;
        pieces.trailers(fields(&[("x-sent", "9")])).await;
    });
    let received = upstream.next_request().await;
    assert_eq!(received.body, b"sum me up");
    assert_eq!(received.trailers, fields(&[("x-sent", "9")]));
    let answer = answer.expect(200);
    assert_eq!(answer.body, "summed up");
    assert_eq!(answer.trailers, Some(fields(&[("x-answered", "10")])));
}

async fn answer_with_trailers(request: Request<Recording>) -> Response<Body> {
    ok(request).await;
    let (pieces, body) = streaming();
    tokio::spawn(async move {
        pieces.data("summed up").await;
        pieces.trailers(fields(&[("x-answered", "10")])).await;
    });
    Response::builder().header(TRAILER, "x-answered").body(body).expect("a valid answer")
}

async fn a_body_of_a_get_request_arrives(protocol: Protocol, kind: Kind) {
    let upstream = Upstream::http(kind, ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut search = typed_request("/open/search", "text/plain", "a query");
    *search.method_mut() = Method::GET;
    Client::anonymous(&gateway).protocol(protocol).request(search).await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.method, Method::GET);
    assert_eq!(received.body, b"a query");
}

async fn requests_without_a_body_arrive_without_one(protocol: Protocol, kind: Kind) {
    let upstream = Upstream::http(kind, ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway).protocol(protocol);
    for method in [Method::GET, Method::DELETE, Method::OPTIONS] {
        client.request(request(method.clone(), "/open/thing")).await.expect(200);
        let received = upstream.next_request().await;
        assert_eq!(received.method, method);
        assert_eq!(received.body, b"");
        // A framing made up for it would be one more thing to disagree about.
        assert_eq!(received.field("transfer-encoding"), None);
        assert!(matches!(received.field("content-length"), None | Some("0")), "{received:?}");
    }
}
