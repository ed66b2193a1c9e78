//! Fields and trailers that are the gateway's word, in disguise.

use http::header::TRAILER;
use http::{HeaderName, Request};

use crate::support::client::{Client, Protocol};
use crate::support::gateway::Gateway;
use crate::support::streaming::{fields, streaming};
use crate::support::upstream::{Upstream, ok};

/// Was: only names with `-` and `_` were known, and many servers read `.` as either.
#[tokio::test]
async fn names_with_dots_do_not_go_upstream() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = ["X.Original.URL", "X.Real.IP", "X.Api.Key", "x.other"]
            .into_iter()
            .fold(Client::anonymous(&gateway), |client, name| client.with(name, "forged"));
        client.protocol(protocol).get("/open").await.expect(200);
        let received = upstream.next_request().await;
        let dotted = received.headers.keys().map(HeaderName::as_str);
        let dotted: Vec<&str> = dotted.filter(|name| name.contains('.')).collect();
        assert_eq!(dotted, [""; 0]);
        assert_eq!(received.fields("x-original-url"), [""; 0]);
        assert_eq!(received.fields("x-real-ip"), [""; 0]);
        assert_eq!(received.fields("x-api-key"), [""; 0]);
    }
}

/// Was: of trailers only identities were removed.
#[tokio::test]
async fn trailers_name_neither_the_request_nor_a_credential() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
        let (pieces, body) = streaming();
        let upload = Request::post("/open")
            .header(TRAILER, "x-request-id, x-api-key, x-checksum")
            .body(body)
            .expect("a request");
        let forged = fields(&[("x-request-id", "1"), ("x-api-key", "2"), ("x-checksum", "3")]);
        let (answer, ()) = tokio::join!(connection.send(upload), async {
            pieces.data("body").await;
            pieces.trailers(forged).await;
        });
        answer.expect(200);
        let received = upstream.next_request().await;
        assert_eq!(received.trailers, fields(&[("x-checksum", "3")]));
        assert_ne!(received.field("x-request-id"), Some("1"));
    }
}
