use std::net::SocketAddr;

use crate::auth::time::Timestamp;
use crate::pipeline::connection::{PeerSource, Protocol};

use super::*;

const WINDOW: Duration = Duration::from_secs(30);

fn connection() -> Arc<Connection> {
    let peer = (SocketAddr::from(([192, 0, 2, 1], 1)), PeerSource::Socket);
    Arc::new(Connection::new(peer, Protocol::Http2, None, 100, Timestamp(0), Box::new(())))
}

fn piece(stream: &Arc<Outgoing>, length: usize) -> Piece {
    stream.hand_over(vec![b'x'; length].into())
}

/// A time of the connection's clock so long after it was opened.
fn after(seconds: u64) -> u64 {
    // The connection is younger than this test's patience.
    seconds * 1000 + 60_000
}

/// As if the present window had begun when the connection was a minute old.
fn begin(stream: &Outgoing) {
    stream.window_began.store(after(0), Ordering::Release);
}

#[test]
fn nobody_waits_before_something_is_handed_over_and_once_it_is_taken() {
    let stream = connection().begin_stream();
    assert_eq!(stream.pace(WINDOW, after(100)), Pace::Idle, "the upstream has said nothing");
    let mut event = piece(&stream, 10);
    begin(&stream);
    assert_eq!(stream.pace(WINDOW, after(10)), Pace::Waiting(Duration::from_secs(20)));
    event.advance(9);
    assert_eq!(stream.pace(WINDOW, after(20)), Pace::Waiting(Duration::from_secs(10)));
    event.advance(1);
    assert_eq!(stream.pace(WINDOW, after(100)), Pace::Idle);
    drop(event);
    assert_eq!(stream.pace(WINDOW, after(100)), Pace::Idle);
}

#[test]
fn a_piece_that_is_given_up_is_not_waited_for() {
    let stream = connection().begin_stream();
    let mut given_up = piece(&stream, 5000);
    given_up.advance(100);
    drop(given_up);
    assert_eq!(stream.pace(WINDOW, after(100)), Pace::Idle);
}

#[test]
fn a_drip_does_not_begin_a_new_window_and_a_kibibyte_does() {
    let stream = connection().begin_stream();
    let mut large = piece(&stream, 60_000);
    begin(&stream);
    for _ in 0..1023 {
        large.advance(1);
    }
    assert_eq!(stream.window_began.load(Ordering::Acquire), after(0));
    assert_eq!(stream.pace(WINDOW, after(29)), Pace::Waiting(Duration::from_secs(1)));
    assert_eq!(stream.pace(WINDOW, after(30)), Pace::Stalled);
    large.advance(1);
    assert!(stream.window_began.load(Ordering::Acquire) < after(0), "it began just now");
    // What is handed over meanwhile begins none.
    begin(&stream);
    let _more = piece(&stream, 1);
    assert_eq!(stream.window_began.load(Ordering::Acquire), after(0));
}

#[tokio::test]
async fn only_the_stream_that_stalls_is_ended() {
    let connection = connection();
    let [unread, read, quiet] = [(); 3].map(|()| connection.begin_stream());
    let tasks = [&unread, &read, &quiet].map(|stream| {
        let task = tokio::spawn(std::future::pending::<()>());
        stream.set_task(task.abort_handle());
        task
    });
    let _waiting = [&unread, &read].map(|stream| {
        let piece = piece(stream, 1 << 20);
        begin(stream);
        piece
    });
    read.window_began.store(after(25), Ordering::Release);
    let judge = || {
        let streams = [&unread, &read, &quiet].map(Arc::clone);
        Outgoing::judge(streams.into_iter(), WINDOW, after(30))
    };
    let next = Some(Duration::from_secs(25));
    assert_eq!(judge(), Judged { reset: 1, lost: false, next });
    let [ended, goes_on, too] = tasks;
    assert!(ended.await.is_err_and(|error| error.is_cancelled()));
    assert!(!goes_on.is_finished() && !too.is_finished());
    assert!(unread.is_stalled() && !read.is_stalled() && !quiet.is_stalled());
    assert_eq!(judge(), Judged { reset: 0, lost: false, next }, "it is counted once");
}

#[tokio::test]
async fn what_only_the_library_still_holds_of_a_stream_ends_the_connection() {
    let stream = connection().begin_stream();
    let task = tokio::spawn(async {});
    stream.set_task(task.abort_handle());
    task.await.expect("it ends");
    let _rest = piece(&stream, 10);
    begin(&stream);
    let judged = Outgoing::judge([Arc::clone(&stream)].into_iter(), WINDOW, after(30));
    assert_eq!(judged, Judged { reset: 0, lost: true, next: None });
}

#[test]
fn a_connection_remembers_streams_no_longer_than_anything_of_them_is_left() {
    let connection = connection();
    let (one, two) = (connection.begin_stream(), connection.begin_stream());
    let last = piece(&one, 2000);
    drop(one);
    let waits = || connection.judge_streams(WINDOW).next.is_some();
    assert!(waits(), "its last piece is not written yet");
    drop(last);
    assert!(!waits());
    drop(two);
    assert_eq!(Arc::strong_count(&connection), 1);
}
