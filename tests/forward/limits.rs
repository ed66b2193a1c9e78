//! How much body a route takes, whether its length is announced or not.

use http::Request;

use crate::support::client::{Client, Protocol, typed_request};
use crate::support::gateway::Gateway;
use crate::support::streaming::streaming;
use crate::support::upstream::{Upstream, ok};

use super::public_route;

const LIMIT: usize = 1024;

async fn gateway_to(upstream: &Upstream) -> Gateway {
    Gateway::start(&public_route(&upstream.section("app"), "body_size = \"1KiB\"")).await
}

#[tokio::test]
async fn a_body_announced_too_large_is_refused_and_never_forwarded() {
    let upstream = Upstream::http1(ok).await;
    let gateway = gateway_to(&upstream).await;
    let upload = |size| typed_request("/", "application/octet-stream", vec![b'x'; size]);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = Client::anonymous(&gateway).protocol(protocol);
        client.request(upload(LIMIT)).await.expect(200);
        assert_eq!(upstream.next_request().await.body.len(), LIMIT);
        client.request(upload(LIMIT + 1)).await.refused(413, "BODY_TOO_LARGE");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_refused_and_never_completed() {
    let upstream = Upstream::http1(ok).await;
    let gateway = gateway_to(&upstream).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = Client::anonymous(&gateway).protocol(protocol);
        let (pieces, body) = streaming();
        let upload = Request::post("/").body(body).expect("a request");
        let (answer, ()) = tokio::join!(client.request(upload), async {
            pieces.data(vec![b'x'; LIMIT]).await;
            drop(pieces);
        });
        answer.expect(200);
        assert_eq!(upstream.next_request().await.body.len(), LIMIT);

        let (pieces, body) = streaming();
        let upload = Request::post("/").body(body).expect("a request");
        // The body never ends: the answer comes because of what was sent of it
        // already.
        let (answer, ()) = tokio::join!(client.request(upload), async {
            pieces.data(vec![b'x'; LIMIT]).await;
            pieces.data("x").await;
        });
        answer.refused(413, "BODY_TOO_LARGE");
        drop(pieces);
    }
    assert_eq!(upstream.completed().len(), 2);
}
