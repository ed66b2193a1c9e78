use std::task::Wake;

use futures_util::FutureExt;

use crate::config::Timeouts;

use super::*;

const START: Timestamp = Timestamp(1_800_000_000_000);
const MAX_RESETS: u32 = 3;

impl ConnectionRules {
    /// For tests of connections that are held to little.
    #[must_use]
    pub fn lenient(h2_resets: u32) -> Arc<Self> {
        let hour = Duration::from_secs(3600);
        let timeouts = Timeouts {
            tls_handshake: hour,
            request_head: hour,
            idle: hour,
            body_progress: hour,
            body_progress_authenticated: hour,
            write_progress: hour,
            agent_message: hour,
            agent_ping: None,
            tunnel_idle: None,
            drain_delay: hour,
            drain: hour,
        };
        Arc::new(Self {
            connections: 10_000,
            connections_per_address: 256,
            timeouts,
            trusted_proxies: Vec::new(),
            tls: crate::edge::certificates::no_certificate().expect("a provider").into(),
            head_bytes: 64 << 10,
            header_count: 100,
            uri_bytes: 8 << 10,
            h2_streams: 100,
            h2_resets,
        })
    }
}

fn connection(protocol: Protocol, tls: Option<Tls>) -> Arc<Connection> {
    let peer = (SocketAddr::from(([192, 0, 2, 1], 4711)), PeerSource::Socket);
    Arc::new(Connection::new(
        peer,
        protocol,
        tls,
        ConnectionRules::lenient(MAX_RESETS),
        START,
        Box::new(()),
    ))
}

fn after(ms: u64) -> Timestamp {
    Timestamp(START.0 + ms)
}

#[test]
fn scheme_and_name_are_those_of_the_handshake() {
    let tls = |sni: Option<&str>| {
        Some(Tls { version: "1.3", alpn: Some("h2"), sni: sni.map(str::to_owned) })
    };
    for (tls, scheme, sni) in [
        (None, "http", None),
        (tls(None), "https", None),
        (tls(Some("app.example")), "https", Some("app.example")),
    ] {
        let connection = connection(Protocol::Http2, tls);
        assert_eq!((connection.scheme(), connection.sni()), (scheme, sni));
    }
}

#[test]
fn an_address_of_ipv4_is_one_on_a_socket_for_both() {
    let peer = "[::ffff:192.0.2.1]:4711".parse().expect("an address");
    let peer = (peer, PeerSource::Socket);
    let mapped = Connection::new(
        peer,
        Protocol::Http1,
        None,
        ConnectionRules::lenient(0),
        START,
        Box::new(()),
    );
    assert_eq!(mapped.peer_ip(), IpAddr::from([192, 0, 2, 1]));
}

#[test]
fn of_a_connection_s_faults_the_first_is_told() {
    for fault in FramingFault::ALL {
        let connection = connection(Protocol::Http1, None);
        assert_eq!(connection.fault(), None);
        connection.set_fault(fault);
        assert_eq!(connection.fault(), Some(fault));
        for other in FramingFault::ALL {
            connection.set_fault(other);
        }
        assert_eq!(connection.fault(), Some(fault));
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn who_waits_for_what_became_of_an_upgrade_is_woken_when_it_is_decided() {
    for decision in [Upgrade::Tunnel, Upgrade::Refused] {
        let connection = connection(Protocol::Http1, None);
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(connection.upgrade(), Upgrade::Undecided);
        assert_eq!(connection.poll_upgrade(&mut cx), Poll::Pending);
        assert!(!woken.0.load(Ordering::SeqCst));
        connection.decide_upgrade(decision);
        assert!(woken.0.load(Ordering::SeqCst));
        assert_eq!(connection.upgrade(), decision);
        assert_eq!(connection.poll_upgrade(&mut cx), Poll::Ready(decision));
    }
}

#[test]
fn a_connection_idles_since_its_last_answer_and_not_while_one_is_under_way() {
    let connection = connection(Protocol::Http1, None);
    assert_eq!(connection.idle_for(after(7)), Some(7));
    let (one, two) = (connection.begin_request(), connection.begin_request());
    assert_eq!(connection.idle_for(after(20)), None);
    one.touch(after(30));
    drop(one);
    assert_eq!(connection.idle_for(after(40)), None);
    two.touch(after(50));
    drop(two);
    assert_eq!(connection.idle_for(after(90)), Some(40));
}

fn is_ended(connection: &Connection) -> bool {
    connection.abort.notified().now_or_never().is_some()
}

#[test]
fn more_resets_than_allowed_within_a_window_end_an_http2_connection() {
    let reset = |protocol, times: &[u64]| {
        let connection = connection(protocol, None);
        for ms in times {
            connection.count_reset(Left::UnderWay, after(*ms));
        }
        (is_ended(&connection), connection.abuse())
    };
    assert_eq!(reset(Protocol::Http2, &[0; 3]), (false, Abuse::Resets));
    assert_eq!(reset(Protocol::Http2, &[0; 4]), (true, Abuse::Resets));
    // To the last millisecond of the window, and then they count anew.
    assert!(reset(Protocol::Http2, &[0, 0, 0, 10_000]).0);
    assert!(!reset(Protocol::Http2, &[0, 0, 0, 10_001]).0);
    assert!(!reset(Protocol::Http2, &[0, 0, 0, 10_001, 10_002, 20_001]).0);
    assert!(reset(Protocol::Http2, &[0, 0, 0, 10_001, 10_002, 20_001, 20_001]).0);
    // Over HTTP/1 a client that leaves ends the connection itself.
    assert!(!reset(Protocol::Http1, &[0; 20]).0);
}

#[test]
fn ten_streams_that_were_left_while_they_waited_count_as_one_that_was_under_way() {
    let connection = connection(Protocol::Http2, None);
    for _ in 0..30 {
        connection.count_reset(Left::Waiting, after(0));
    }
    assert!(!is_ended(&connection));
    connection.count_reset(Left::Waiting, after(0));
    assert!(is_ended(&connection));
}

#[test]
fn what_a_connection_is_ended_for_is_told() {
    for abuse in [Abuse::Frames, Abuse::Resets] {
        let connection = connection(Protocol::Http2, None);
        assert!(!is_ended(&connection));
        connection.end_for(abuse);
        assert!(is_ended(&connection));
        assert_eq!(connection.abuse(), abuse);
    }
}

#[test]
fn interim_responses_are_of_the_exchange_that_is_waited_for() {
    let connection = connection(Protocol::Http1, None);
    let first = connection.begin_interim();
    assert_eq!(connection.take_interim(), None);
    connection.push_interim(first, b"one ");
    assert!(connection.interim_pushed.notified().now_or_never().is_some());
    connection.push_interim(first, b"two");
    assert_eq!(connection.take_interim().as_deref(), Some(&b"one two"[..]));
    assert_eq!(connection.take_interim(), None);

    let second = connection.begin_interim();
    connection.push_interim(first, b"late");
    assert_eq!(connection.take_interim(), None);
    connection.push_interim(second, b"three");
    // The end of another closes nothing.
    assert!(connection.end_interim(first, false).now_or_never().is_some());
    connection.push_interim(second, b" four");
    assert_eq!(connection.take_interim().as_deref(), Some(&b"three four"[..]));

    connection.push_interim(second, b"never written");
    assert!(connection.end_interim(second, false).now_or_never().is_some(), "at once");
    assert_eq!(connection.take_interim(), None);
    connection.push_interim(second, b"late");
    assert_eq!(connection.take_interim(), None);
}

#[test]
fn only_so_much_of_interim_responses_waits() {
    let connection = connection(Protocol::Http1, None);
    let exchange = connection.begin_interim();
    connection.push_interim(exchange, &[b'x'; MAX_INTERIM_BYTES - 2]);
    connection.push_interim(exchange, b"xxx");
    connection.push_interim(exchange, b"yy");
    connection.push_interim(exchange, b"z");
    let queued = connection.take_interim().expect("what had room");
    assert_eq!(queued.len(), MAX_INTERIM_BYTES);
    assert!(queued.ends_with(b"xyy"));
}

#[tokio::test]
async fn a_good_answer_lets_interim_responses_go_first_for_some_turns() {
    let connection = connection(Protocol::Http1, None);
    let exchange = connection.begin_interim();
    assert!(connection.end_interim(exchange, true).now_or_never().is_some(), "there is none");

    let exchange = connection.begin_interim();
    connection.push_interim(exchange, b"hint");
    let mut ending = Box::pin(connection.end_interim(exchange, true));
    assert!(futures_util::poll!(&mut ending).is_pending());
    assert_eq!(connection.take_interim().as_deref(), Some(&b"hint"[..]));
    ending.await;

    // A socket without room for them holds up no answer.
    let exchange = connection.begin_interim();
    connection.push_interim(exchange, b"hint");
    connection.end_interim(exchange, true).await;
    assert_eq!(connection.take_interim(), None);
}

#[test]
fn the_list_of_streams_grows_with_those_that_are_open() {
    let connection = connection(Protocol::Http2, None);
    let _open = [(); 3].map(|()| connection.begin_stream());
    for _ in 0..1_000 {
        drop(connection.begin_stream());
    }
    assert!(connection.lock_streams().len() <= 8);
}
