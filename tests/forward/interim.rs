//! Interim answers: 100 when a body is wanted, 103 for what a page will need, and
//! neither before a refusal.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::socket::{Dial, read_until, send};
use crate::support::upstream::{Upstream, ok, read_head};

#[tokio::test]
async fn early_hints_arrive_before_the_answer_exists() {
    let go_on = Arc::new(Notify::new());
    let upstream = hinting_until(&go_on).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut stream = Dial::new(&gateway).tls().await;
    send(&mut stream, b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let hints = read_until(&mut stream, "\r\n\r\n").await.expect("hints").to_lowercase();
    assert!(hints.starts_with("http/1.1 103 "), "{hints}");
    assert!(hints.contains("\r\nlink: </style.css>; rel=preload\r\n"), "{hints}");
    go_on.notify_one();
    let answer = read_until(&mut stream, "\r\n\r\n").await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(read_until(&mut stream, "ok").await.as_deref(), Some("ok"));
}

/// Sends hints at once, and the answer when told to.
async fn hinting_until(go_on: &Arc<Notify>) -> Upstream {
    let go_on = Arc::clone(go_on);
    Upstream::raw(move |mut wire| {
        let go_on = Arc::clone(&go_on);
        async move {
            if read_head(&mut wire).await.is_some() {
                let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
                send(&mut wire, hints).await;
                go_on.notified().await;
                send(&mut wire, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
        }
    })
    .await
}

/// A head whose body comes when it is asked for.
fn expecting_100(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\
         Expect: 100-continue\r\n\r\n"
    )
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it_and_then_its_answer() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut stream = Dial::new(&gateway).tls().await;
    send(&mut stream, expecting_100("/open").as_bytes()).await;
    let interim = read_until(&mut stream, "\r\n\r\n").await.expect("an interim answer");
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    send(&mut stream, b"body").await;
    let answer = read_until(&mut stream, "\r\n\r\n").await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(upstream.next_request().await.body, b"body");
}

#[tokio::test]
async fn a_refusal_comes_before_the_body_is_asked_for_or_sent() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for expectation in ["", "Expect: 100-continue\r\n"] {
        let mut stream = raw(&gateway).await;
        let head = format!("HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n{expectation}\r\n");
        // With the body where it is open to all, without where it is not.
        stream.send(format!("POST /open {head}body")).await;
        stream.read_response().await.expect(200);
        stream.send(format!("POST /closed {head}")).await;
        stream.read_response().await.refused(401, "AUTHENTICATION_REQUIRED");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_not_preceded_by_100_continue() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut stream = Dial::new(&gateway).tls().await;
    send(&mut stream, expecting_100("/closed").as_bytes()).await;
    let answer = read_until(&mut stream, "\r\n\r\n").await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
