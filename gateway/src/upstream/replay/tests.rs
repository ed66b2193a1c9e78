use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::*;

/// The body of a request that a client sends, and the client's end of its connection.
async fn body(head: &str) -> (Option<Content>, DuplexStream) {
    let (mut client, server) = duplex(1 << 20);
    let (sender, mut received) = mpsc::channel::<Incoming>(1);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let sender = sender.clone();
        async move {
            sender.send(request.into_body()).await.unwrap();
            std::future::pending::<Result<http::Response<String>, std::io::Error>>().await
        }
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let incoming = received.recv().await.unwrap();
    (Some(Box::pin(incoming.map_err(Into::into))), client)
}

/// What is sent now, as the library would see it.
fn lend(body: Sent) -> (Sent, Lent) {
    body.lend(&Uploads::default()).expect("the body is there")
}

/// So many bytes more.
async fn read(body: &mut Sent, bytes: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < bytes {
        read.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    read
}

#[tokio::test]
async fn a_body_that_was_read_is_sent_again_from_its_beginning() {
    let (body, mut client) = body("content-length: 10").await;
    client.write_all(b"hello").await.unwrap();
    let (mut first, lent) = lend(Sent::new(body));
    assert_eq!(read(&mut first, 5).await, b"hello");
    let again = lent.take_back().expect("all of it is kept");
    assert_eq!(again.size_hint().exact(), Some(10));
    // The library may go on for a while with what it has.
    assert!(first.frame().await.is_some_and(|frame| frame.is_err_and(|why| why.is::<TakenBack>())));
    let (mut second, _lent) = lend(again);
    assert_eq!(read(&mut second, 5).await, b"hello");
    client.write_all(b"world").await.unwrap();
    assert_eq!(read(&mut second, 5).await, b"world");
    assert!(second.is_end_stream());
}

#[tokio::test]
async fn a_body_is_sent_again_more_than_once_and_over_http1_too() {
    let (body, mut client) = body("content-length: 5").await;
    client.write_all(b"hello").await.unwrap();
    let mut sent = Sent::new(body);
    for _ in 0..3 {
        let (mut now, lent) = lend(sent);
        assert_eq!(read(&mut now, 5).await, b"hello");
        assert!(now.is_end_stream());
        sent = lent.take_back().expect("all of it is kept");
    }
    let mut over_http1 = sent.once().expect("the body is there");
    assert_eq!(over_http1.size_hint().exact(), Some(5));
    assert_eq!(read(&mut over_http1, 5).await, b"hello");
    assert!(over_http1.is_end_stream());
}

#[tokio::test]
async fn a_body_of_which_too_much_was_read_is_not_sent_again() {
    let (body, mut client) = body("transfer-encoding: chunked").await;
    let chunk = [b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat();
    client.write_all(&chunk).await.unwrap();
    let (mut first, lent) = lend(Sent::new(body));
    read(&mut first, KEPT_BYTES).await;
    let again = lent.take_back().expect("so much is kept");
    let (mut second, lent) = lend(again);
    read(&mut second, KEPT_BYTES).await;
    client.write_all(b"1\r\nx\r\n").await.unwrap();
    read(&mut second, 1).await;
    assert!(lent.take_back().is_none());
}

#[tokio::test]
async fn nothing_is_kept_of_a_body_that_says_it_is_large() {
    let (body, mut client) = body("content-length: 1000000").await;
    let (unread, lent) = lend(Sent::new(body));
    drop(unread);
    // Nothing was read, so nothing is missing.
    let (mut first, lent) = lend(lent.take_back().expect("it is unread"));
    client.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut first, 5).await, b"hello");
    assert!(lent.take_back().is_none());
}

#[tokio::test]
async fn an_answered_body_is_kept_no_longer_and_still_read_to_its_end() {
    let (body, mut client) = body("content-length: 10").await;
    client.write_all(b"hello").await.unwrap();
    let (mut first, lent) = lend(Sent::new(body));
    read(&mut first, 5).await;
    let (mut second, lent) = lend(lent.take_back().expect("all of it is kept"));
    // Before what was kept has been sent again.
    lent.settle();
    assert_eq!(read(&mut second, 5).await, b"hello");
    client.write_all(b"world").await.unwrap();
    assert_eq!(read(&mut second, 5).await, b"world");
    assert!(lent.take_back().is_none());
}

#[tokio::test]
async fn a_client_that_breaks_off_is_not_replaced_by_what_it_has_sent() {
    let (body, mut client) = body("content-length: 10").await;
    client.write_all(b"hello").await.unwrap();
    let (mut first, lent) = lend(Sent::new(body));
    read(&mut first, 5).await;
    drop(client);
    assert!(first.frame().await.unwrap().is_err());
    assert!(lent.take_back().is_none());
}

/// Was: a body that was read on behind its failure had ended, and its connection was used again.
#[test]
fn a_body_that_has_failed_has_not_ended() {
    let upload = Upload::default();
    upload.note_failure();
    upload.note_end();
    assert!(upload.has_failed() && !upload.has_ended());
    upload.begin_again();
    upload.note_end();
    assert!(upload.has_ended());
}
