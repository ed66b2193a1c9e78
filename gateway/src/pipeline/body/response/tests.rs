use futures_util::FutureExt;
use http::{HeaderValue, header};
use http_body_util::BodyExt;

use super::*;
use crate::auth::time::Timestamp;
use crate::pipeline::connection::rules::ConnectionRules;
use crate::pipeline::connection::{Connection, PeerSource, Protocol};

#[tokio::test]
async fn a_body_of_our_own_is_its_bytes_and_can_be_left_out() {
    let mut full = ResponseBody::full("three");
    assert!(!full.is_end_stream());
    assert_eq!(full.size_hint().exact(), Some(5));
    assert_eq!(full.leave_out(), Some(5));
    for mut empty in [full, ResponseBody::full(""), ResponseBody::empty()] {
        assert!(empty.is_end_stream());
        assert_eq!(empty.size_hint().exact(), Some(0));
        assert_eq!(empty.leave_out(), None);
        assert!(empty.frame().await.is_none());
    }
    let read = ResponseBody::full("three").collect().await.expect("the whole");
    assert_eq!(read.to_bytes(), "three");
}

#[test]
fn a_trailer_does_not_say_how_its_message_is_read() {
    let forbidden = [
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::HOST,
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::SET_COOKIE,
        header::COOKIE,
        header::EXPECT,
    ];
    let value = HeaderValue::from_static("x");
    let mut trailers: HeaderMap = forbidden.map(|name| (name, value.clone())).into_iter().collect();
    trailers.insert("grpc-status", value.clone());
    let cleaned = clean_trailers(Frame::trailers(trailers)).into_trailers().expect("trailers");
    assert_eq!(cleaned.keys().collect::<Vec<_>>(), ["grpc-status"]);
    let data = clean_trailers(Frame::data(Bytes::from_static(b"data")));
    assert_eq!(data.into_data().expect("data"), "data");
}

/// An answer over HTTP/2 whose client has taken nothing yet, and a body of so much.
fn answer_over_http2(length: usize) -> ResponseBody {
    let peer = (std::net::SocketAddr::from(([192, 0, 2, 1], 1)), PeerSource::Socket);
    let rules = ConnectionRules::lenient(100);
    let connection =
        Connection::new(peer, Protocol::Http2, None, rules, Timestamp(0), Box::new(()));
    let mut body = ResponseBody::full(vec![b'x'; length]);
    let outgoing = connection.begin_stream();
    outgoing.set_task(tokio::spawn(std::future::pending::<()>()).abort_handle());
    body.watch(outgoing);
    body
}

#[tokio::test]
async fn the_end_of_a_long_answer_comes_when_all_else_is_taken() {
    for whole in [true, false] {
        let mut body = answer_over_http2(100_000);
        let frame = body.frame().await.expect("a piece").expect("data");
        let mut piece = frame.into_data().ok().expect("data");
        assert!(!body.is_end_stream());
        assert!(body.frame().now_or_never().is_none());
        bytes::Buf::advance(&mut piece, 99_999);
        assert!(body.frame().now_or_never().is_none());
        // Written to the end, or given up with the stream.
        if whole {
            bytes::Buf::advance(&mut piece, 1);
        }
        let rest = tokio::spawn(async move { body.frame().await.is_none() });
        drop(piece);
        assert!(rest.await.expect("it ends"));
    }
}

#[tokio::test]
async fn a_short_answer_ends_at_once() {
    let mut body = answer_over_http2(65_535);
    let _piece = body.frame().await.expect("a piece").expect("data");
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}
