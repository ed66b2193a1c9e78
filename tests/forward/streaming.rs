//! Nothing is held back: each piece goes on before the next one comes, and who
//! leaves is let go.

use http::{Method, Request, Response};

use crate::support::client::{Client, Protocol, request};
use crate::support::gateway::Gateway;
use crate::support::streaming::streaming;
use crate::support::upstream::{Kind, Script, Upstream, next_piece, text};
use crate::support::within;

use super::on_every_way;

on_every_way!(
    an_upstream_sees_each_piece_before_the_client_sends_the_next,
    a_client_sees_each_event_before_the_upstream_sends_the_next,
    a_client_that_leaves_takes_its_request_with_it,
    a_client_that_leaves_ends_the_answer_it_was_reading,
    a_request_that_breaks_off_never_looks_complete,
);

async fn an_upstream_sees_each_piece_before_the_client_sends_the_next(
    protocol: Protocol,
    kind: Kind,
) {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(kind, handler).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
    let (pieces, body) = streaming();
    let upload = Request::post("/open/upload").body(body).expect("a request");
    let (answer, ()) = tokio::join!(connection.send(upload), async {
        pieces.data("one").await;
        let mut exchange = script.next().await;
        assert_eq!(exchange.piece().await.as_deref(), Some(b"one".as_slice()));
        pieces.data("two").await;
        assert_eq!(exchange.piece().await.as_deref(), Some(b"two".as_slice()));
        drop(pieces);
        assert_eq!(exchange.piece().await, None);
        exchange.answer(text("thanks"));
    });
    assert_eq!(answer.expect(200).body, "thanks");
}

async fn a_client_sees_each_event_before_the_upstream_sends_the_next(
    protocol: Protocol,
    kind: Kind,
) {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(kind, handler).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
    let answering = async {
        let head = Response::builder().header("content-type", "text/event-stream");
        script.next().await.answer_streaming(head)
    };
    // The head arrives before the first event exists.
    let (response, events) =
        tokio::join!(connection.begin(request(Method::GET, "/open/events")), answering);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    for event in ["data: one\n\n", "data: two\n\n"] {
        events.data(event).await;
        let piece = within("an event", next_piece(&mut body)).await.expect("an event");
        assert_eq!(piece.expect("an event"), event);
    }
    drop(events);
    assert!(within("the end of the events", next_piece(&mut body)).await.is_none());
}

async fn a_client_that_leaves_takes_its_request_with_it(protocol: Protocol, kind: Kind) {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(kind, handler).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
    let calling = tokio::spawn(async move {
        connection.begin(request(Method::GET, "/open/slow")).await;
    });
    let mut exchange = script.next().await;
    calling.abort();
    exchange.abandoned().await;
}

async fn a_client_that_leaves_ends_the_answer_it_was_reading(protocol: Protocol, kind: Kind) {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(kind, handler).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
    let answering = async { script.next().await.answer_streaming(Response::builder()) };
    let (response, pieces) =
        tokio::join!(connection.begin(request(Method::GET, "/open/events")), answering);
    drop((response, connection));
    pieces.abandoned().await;
}

async fn a_request_that_breaks_off_never_looks_complete(protocol: Protocol, kind: Kind) {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(kind, handler).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
    let (pieces, body) = streaming();
    let upload = Request::post("/open/upload").body(body).expect("a request");
    let calling = tokio::spawn(async move {
        connection.begin(upload).await;
    });
    pieces.data("half of ").await;
    let mut exchange = script.next().await;
    assert_eq!(exchange.piece().await.as_deref(), Some(b"half of ".as_slice()));
    pieces.fail().await;
    assert!(exchange.try_piece().await.is_err());
    assert_eq!(upstream.completed().len(), 0, "half a request was ended as if it were whole");
    calling.abort();
}
