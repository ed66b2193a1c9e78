use std::net::SocketAddr;

use crate::auth::time::Timestamp;
use crate::pipeline::connection::rules::ConnectionRules;
use crate::pipeline::connection::{Connection, PeerSource, Protocol};

use super::*;

const WINDOW: Duration = Duration::from_secs(30);

fn connection() -> Arc<Connection> {
    let peer = (SocketAddr::from(([192, 0, 2, 1], 1)), PeerSource::Socket);
    Arc::new(Connection::new(
        peer,
        Protocol::Http2,
        None,
        ConnectionRules::lenient(100),
        Timestamp(0),
        Box::new(()),
    ))
}

fn piece(stream: &Arc<Outgoing>, length: usize) -> Piece {
    stream.hand_over(vec![b'x'; length].into())
}

/// So long after the connection was opened, with room on the socket all the time.
fn after(seconds: u64) -> Flow {
    // The connection is younger than this test's patience.
    Flow { age_ms: seconds * 1000 + 60_000, ..Flow::default() }
}

/// As if the present window had begun then.
fn begin_at(stream: &Outgoing, flow: Flow) {
    stream.lock_window().flow = flow;
}

/// As if it had begun when the connection was a minute old.
fn begin(stream: &Outgoing) {
    begin_at(stream, after(0));
}

/// Of a stream that nobody else waits beside.
fn pace(stream: &Outgoing, now: Flow) -> Pace {
    stream.pace(WINDOW, now, 1)
}

#[test]
fn nobody_waits_before_something_is_handed_over_and_once_it_is_taken() {
    let stream = connection().begin_stream();
    assert_eq!(pace(&stream, after(100)), Pace::Idle, "the upstream has said nothing");
    let mut event = piece(&stream, 10);
    begin(&stream);
    assert_eq!(pace(&stream, after(10)), Pace::Waiting(Duration::from_secs(20)));
    event.advance(9);
    assert_eq!(pace(&stream, after(20)), Pace::Waiting(Duration::from_secs(10)));
    event.advance(1);
    assert_eq!(pace(&stream, after(100)), Pace::Idle);
    drop(event);
    assert_eq!(pace(&stream, after(100)), Pace::Idle);
}

#[test]
fn a_piece_that_is_given_up_is_not_waited_for() {
    let stream = connection().begin_stream();
    let mut given_up = piece(&stream, 5000);
    given_up.advance(100);
    drop(given_up);
    assert_eq!(pace(&stream, after(100)), Pace::Idle);
}

#[test]
fn a_drip_does_not_begin_a_new_window_and_a_kibibyte_does() {
    let stream = connection().begin_stream();
    let mut large = piece(&stream, 60_000);
    begin(&stream);
    for _ in 0..1023 {
        large.advance(1);
    }
    assert_eq!(stream.lock_window().flow, after(0));
    assert_eq!(pace(&stream, after(29)), Pace::Waiting(Duration::from_secs(1)));
    assert_eq!(pace(&stream, after(30)), Pace::Stalled);
    large.advance(1);
    assert!(stream.lock_window().flow.age_ms < after(0).age_ms, "it began just now");
    // What is handed over meanwhile begins none.
    begin(&stream);
    let _more = piece(&stream, 1);
    assert_eq!(stream.lock_window().flow, after(0));
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
    begin_at(&read, after(25));
    let streams = [&unread, &read, &quiet].map(Arc::clone);
    let judge = |seconds| Outgoing::judge(&streams, WINDOW, after(seconds));
    let next = Some(Duration::from_secs(25));
    assert_eq!(judge(30), Judged { reset: 1, lost: false, next });
    let [ended, goes_on, too] = tasks;
    assert!(ended.await.is_err_and(|error| error.is_cancelled()));
    assert!(!goes_on.is_finished() && !too.is_finished());
    assert!(unread.is_stalled() && !read.is_stalled() && !quiet.is_stalled());
    begin_at(&read, after(59));
    let next = Some(Duration::from_secs(1));
    assert_eq!(judge(59), Judged { reset: 0, lost: false, next }, "it is counted once");
    // Its end has not freed what is held of it.
    assert!(judge(60).lost);
}

#[tokio::test]
async fn what_only_the_library_still_holds_of_a_stream_ends_the_connection() {
    let stream = connection().begin_stream();
    let task = tokio::spawn(async {});
    stream.set_task(task.abort_handle());
    task.await.expect("it ends");
    let _rest = piece(&stream, 10);
    begin(&stream);
    let judged = Outgoing::judge(&[stream], WINDOW, after(30));
    assert_eq!(judged, Judged { reset: 0, lost: true, next: None });
}

/// Streams over a socket that has room for so many bytes a second, all of which wait; they
/// have their turns one after another, a frame each, or those of them that take anything.
struct Crowded {
    streams: Vec<Arc<Outgoing>>,
    pieces: Vec<Piece>,
    /// Of the first of them only.
    taking: usize,
    now: Flow,
    turns: usize,
}

impl Crowded {
    const FRAME_BYTES: u64 = 16 << 10;

    fn new(streams: usize, taking: usize) -> Self {
        Self::of(1 << 20, streams, taking)
    }

    fn of(length: usize, streams: usize, taking: usize) -> Self {
        let connection = connection();
        let streams: Vec<_> = (0..streams).map(|_| connection.begin_stream()).collect();
        let pieces = streams.iter().map(|stream| piece(stream, length)).collect();
        for stream in &streams {
            stream.set_task(tokio::spawn(std::future::pending::<()>()).abort_handle());
            begin(stream);
        }
        Self { streams, pieces, taking, now: after(0), turns: 0 }
    }

    /// A second of a socket that never has room for all; what becomes of the streams.
    fn go_on(&mut self, bytes: u64) -> Judged {
        self.now.age_ms += 1000;
        self.now.blocked_ms += 1000;
        self.now.written += bytes;
        while self.now.written >= (self.turns as u64 + 1) * Self::FRAME_BYTES {
            let now = self.now;
            self.streams[self.turns % self.taking].take(Self::FRAME_BYTES, || now);
            self.turns += 1;
        }
        Outgoing::judge(&self.streams, WINDOW, self.now)
    }
}

#[tokio::test]
async fn a_slow_client_that_reads_all_its_streams_in_turn_keeps_them() {
    // Each has its turn every 80 seconds.
    let mut slow = Crowded::new(10, 10);
    for second in 0..600 {
        let judged = slow.go_on(2 << 10);
        assert_eq!((judged.reset, judged.lost), (0, false), "after {second} s");
    }
    assert!(slow.pieces.iter().all(Buf::has_remaining));
}

/// Was: what all had been written was held against the few that were left.
#[tokio::test]
async fn of_many_streams_that_end_together_the_last_are_kept() {
    const FRAMES: usize = 13;
    let mut slow = Crowded::of(FRAMES * (16 << 10), 100, 100);
    while slow.turns < FRAMES * 100 {
        let judged = slow.go_on(40 << 10);
        assert_eq!((judged.reset, judged.lost), (0, false), "after {} frames", slow.turns);
    }
}

#[tokio::test]
async fn a_client_that_takes_less_than_its_streams_owe_together_loses_them() {
    // A KiB in a window, as was enough for one.
    let mut trickling = Crowded::new(100, 1);
    let reset: u64 = (0..60).map(|_| trickling.go_on(35).reset).sum();
    assert_eq!(reset, 100);
}

#[tokio::test]
async fn a_stream_that_misses_its_turns_on_a_full_socket_is_ended_alone() {
    // A download as fast as the socket can, beside an answer that nobody reads.
    let mut beside = Crowded::new(2, 1);
    let judged: Vec<_> = (0..40).map(|_| beside.go_on(64 << 10)).collect();
    assert_eq!(judged.iter().map(|judged| judged.reset).sum::<u64>(), 1);
    let [read, unread] = &beside.streams[..] else { unreachable!() };
    assert!(unread.is_stalled() && !read.is_stalled());
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
    assert_eq!(Arc::strong_count(&connection.writes), 1);
}

#[test]
fn nothing_of_a_connection_is_written_while_an_answer_is_handed_over() {
    let connection = connection();
    let (first, second) = (connection.begin_stream(), connection.begin_stream());
    let woken = Arc::new(AtomicBool::new(false));
    let waker = Waker::from(Arc::new(Flag(Arc::clone(&woken))));
    let mut seen = 0;
    let mut is_writable = || {
        let mut cx = Context::from_waker(&waker);
        connection.writes.poll_ready(&mut cx, &mut seen).is_ready()
    };
    assert!(is_writable());
    first.hold_writes();
    first.hold_writes();
    second.hold_writes();
    assert!(!is_writable());
    first.release_writes();
    first.release_writes();
    assert!(woken.swap(false, Ordering::Relaxed));
    assert!(!is_writable(), "the second still holds them");
    // One that ends, however it does, holds nothing any more.
    drop(second);
    assert!(woken.swap(false, Ordering::Relaxed));
    assert!(!is_writable(), "what was handed over meanwhile is to go with it");
    assert!(woken.load(Ordering::Relaxed));
    assert!(is_writable());
}

struct Flag(Arc<AtomicBool>);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
