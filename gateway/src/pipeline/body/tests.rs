use std::future::poll_fn;

use futures_util::FutureExt;
use http::{HeaderValue, header};
use http_body_util::BodyExt;

use super::*;
use crate::auth::time::Timestamp;
use crate::pipeline::connection::{Connection, PeerSource, Protocol};

const HOUR: Duration = Duration::from_secs(3600);

fn body(limit: Option<u64>, window: Duration) -> RequestBody {
    RequestBody { limit, window, ..RequestBody::none() }
}

#[test]
fn why_a_body_failed_is_told_to_whoever_holds_its_progress() {
    for (error, told) in [
        (BodyError::TooLarge, BodyError::TooLarge),
        (BodyError::Stalled, BodyError::Stalled),
        (BodyError::Broken, BodyError::Broken),
    ] {
        let body = RequestBody::none();
        let progress = body.progress();
        assert_eq!(progress.failure(), None);
        assert_eq!(body.progress.fail(error), error);
        assert_eq!(progress.failure(), Some(told));
    }
}

#[test]
fn only_what_is_none_has_ended_at_once() {
    assert!(!BodyProgress::default().ended());
    let body = RequestBody::none();
    assert!(body.progress().ended() && body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
}

#[test]
fn a_body_may_be_as_long_as_its_limit_and_no_longer() {
    let mut limited = body(Some(10), Duration::MAX);
    assert_eq!(limited.note_data(4), Ok(()));
    assert_eq!(limited.note_data(6), Ok(()));
    assert_eq!((limited.progress.received(), limited.progress.failure()), (10, None));
    assert_eq!(limited.note_data(1), Err(BodyError::TooLarge));
    assert_eq!(limited.progress.failure(), Some(BodyError::TooLarge));
    assert_eq!(limited.progress.received(), 11);
    let mut unlimited = body(None, Duration::MAX);
    assert_eq!(unlimited.note_data(usize::MAX), Ok(()));
}

/// What is kept of a window after these bytes came, for which so long was waited.
fn window_after(waited: Option<Duration>, bytes: &[usize]) -> (bool, u64) {
    let mut body = body(None, HOUR);
    body.waiting_since = waited.map(|waited| Instant::now() - waited);
    for length in bytes {
        assert_eq!(body.note_data(*length), Ok(()));
    }
    assert_eq!(body.waiting_since, None);
    (body.waited.is_zero(), body.window_bytes)
}

#[test]
fn a_window_is_done_with_when_it_has_passed_and_enough_has_come() {
    assert_eq!(window_after(None, &[5, 2]), (true, 7), "no time was spent waiting");
    assert_eq!(window_after(Some(2 * HOUR), &[1024]), (true, 0));
    assert_eq!(window_after(Some(2 * HOUR), &[1023]), (false, 1023));
    assert_eq!(window_after(Some(HOUR / 2), &[4096]), (false, 4096));
}

/// Whether a wait for the client ends, and with that.
async fn stalls(body: &mut RequestBody) -> bool {
    let waiting = poll_fn(|cx| body.note_waiting(cx));
    let outcome = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    matches!(outcome, Ok(Some(Err(BodyError::Stalled))))
}

#[tokio::test]
async fn a_client_that_brings_too_little_in_a_window_has_stalled() {
    for brought in [0, 1023] {
        let mut body = body(None, Duration::from_millis(1));
        body.window_bytes = brought;
        assert!(stalls(&mut body).await, "{brought}");
        assert_eq!(body.progress.failure(), Some(BodyError::Stalled));
    }
}

#[tokio::test]
async fn a_client_that_brings_enough_in_a_window_gets_another() {
    let mut body = body(None, Duration::from_millis(1));
    (body.window_bytes, body.waited) = (1024, Duration::from_micros(1));
    let outcome = poll_fn(|cx| {
        let polled = body.note_waiting(cx);
        let decided = polled.is_ready() || body.window_bytes == 0;
        if decided { Poll::Ready(polled) } else { Poll::Pending }
    });
    let outcome = tokio::time::timeout(Duration::from_secs(10), outcome).await;
    assert!(outcome.is_ok_and(|polled| polled.is_pending()));
    assert!(body.waited.is_zero());
    assert!(stalls(&mut body).await, "the next begins with nothing");
}

#[tokio::test]
async fn a_client_is_waited_for_as_long_as_is_left_of_its_window() {
    let mut body = body(None, HOUR);
    for waited in [Duration::ZERO, HOUR / 2] {
        body.waited = waited;
        assert!(poll_fn(|cx| body.note_waiting(cx)).now_or_never().is_none());
        let since = body.waiting_since.expect("the beginning of the wait");
        let timer = body.timer.as_ref().expect("a timer");
        assert_eq!(timer.deadline(), since + HOUR - waited);
    }
}

#[tokio::test]
async fn without_a_window_or_once_there_is_an_answer_nobody_looks_at_the_clock() {
    let answered = body(None, HOUR);
    answered.progress().note_answer();
    for mut body in [body(None, Duration::MAX), answered] {
        assert!(poll_fn(|cx| body.note_waiting(cx)).now_or_never().is_none());
        assert!(body.timer.is_none());
    }
}

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
    let connection = Connection::new(peer, Protocol::Http2, None, 100, Timestamp(0), Box::new(()));
    let mut body = ResponseBody::full(vec![b'x'; length]);
    let outgoing = Arc::new(connection).begin_stream();
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
