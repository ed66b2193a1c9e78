use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use futures_util::FutureExt;
use serde_json::Value;

use super::*;
use crate::auth::tests::SetClock;
use crate::pipeline::body::response::ResponseBody;
use crate::pipeline::connection::PeerSource;
use crate::pipeline::connection::rules::ConnectionRules;
use crate::telemetry::sink::SinkGuard;

const START: u64 = 1_800_000_000_000;

struct Lines(SyncSender<Vec<u8>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection that may reset nothing, its clock and its log.
struct Scene {
    clock: Arc<SetClock>,
    connection: Arc<Connection>,
    sink: Sink,
    guard: SinkGuard,
    written: Receiver<Vec<u8>>,
}

impl Scene {
    fn new(protocol: Protocol) -> Self {
        let (lines, written) = sync_channel(16);
        let (sink, guard) = Sink::start(Style::Json, Lines(lines), io::sink()).expect("a thread");
        let peer = (SocketAddr::from(([192, 0, 2, 1], 4711)), PeerSource::Socket);
        let (places, now) = (Box::new(()), Timestamp(START));
        let rules = ConnectionRules::lenient(0);
        let connection = Arc::new(Connection::new(peer, protocol, None, rules, now, places));
        let clock = Arc::new(SetClock(AtomicU64::new(START)));
        Self { clock, connection, sink, guard, written }
    }

    fn record(&self) -> Box<RequestRecord> {
        Box::new(RequestRecord::new(
            &self.connection,
            "request".into(),
            &Request::new(()),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            self.sink.clone(),
        ))
    }

    fn set(&self, after_ms: u64) -> Timestamp {
        self.clock.0.store(START + after_ms, std::sync::atomic::Ordering::SeqCst);
        Timestamp(START + after_ms)
    }

    fn was_reset(&self) -> bool {
        self.connection.abort.notified().now_or_never().is_some()
    }

    /// What was logged: reason, status and bytes sent of each.
    fn told(self) -> Vec<(String, u64, u64)> {
        drop(self.guard);
        let bytes: Vec<u8> = self.written.try_iter().flatten().collect();
        let line = |line: &[u8]| {
            let line: Value = serde_json::from_slice(line).expect("an object");
            let number = |name: &str| line[name].as_u64().expect("a number");
            let reason = line["reason"].as_str().expect("a reason").to_owned();
            (reason, number("status"), number("bytes_out"))
        };
        bytes.split(|byte| *byte == b'\n').filter(|part| !part.is_empty()).map(line).collect()
    }
}

fn entry(reason: &str, status: u64, bytes_out: u64) -> (String, u64, u64) {
    (reason.to_owned(), status, bytes_out)
}

#[test]
fn a_request_whose_handling_panics_is_logged_as_a_defect() {
    let scene = Scene::new(Protocol::Http1);
    let guard = CancelGuard(Some(scene.record()));
    let handling = || {
        let _guard = guard;
        panic!("a defect")
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(handling)).is_err());
    assert_eq!(scene.told(), [entry("internal", 500, 0)]);
}

#[test]
fn an_answer_that_came_to_its_end_is_logged_with_what_was_sent() {
    let scene = Scene::new(Protocol::Http2);
    let mut record = scene.record();
    record.count_sent(3);
    record.count_sent(4);
    record.complete();
    assert!(!scene.was_reset());
    assert_eq!(scene.told(), [entry("ok", 200, 7)]);
}

#[test]
fn an_answer_that_broke_off_is_logged_with_the_reason_and_is_no_reset() {
    let scene = Scene::new(Protocol::Http2);
    scene.record().break_off("upstream_broken");
    assert!(!scene.was_reset());
    assert_eq!(scene.told(), [entry("upstream_broken", 200, 0)]);
}

#[test]
fn who_leaves_before_the_end_has_reset_and_a_refusal_keeps_its_reason() {
    let scene = Scene::new(Protocol::Http2);
    scene.record().abandon();
    assert!(scene.was_reset());
    let mut refused = scene.record();
    refused.access.reason = "route_unknown";
    refused.abandon();
    assert_eq!(scene.told(), [entry("incomplete", 200, 0), entry("route_unknown", 200, 0)]);
}

#[test]
fn a_request_that_is_given_up_before_its_answer_is_logged_as_such() {
    let scene = Scene::new(Protocol::Http2);
    CancelGuard::new(*scene.record()).into_record().complete();
    assert!(!scene.was_reset());
    drop(CancelGuard::new(*scene.record()));
    assert!(scene.was_reset());
    assert_eq!(scene.told(), [entry("ok", 200, 0), entry("client_left", 499, 0)]);
}

#[test]
fn a_connection_is_busy_until_its_request_is_logged() {
    let scene = Scene::new(Protocol::Http1);
    let record = scene.record();
    let now = scene.set(500);
    assert_eq!(record.now(), now);
    assert_eq!(scene.connection.idle_for(now), None);
    record.complete();
    assert_eq!(scene.connection.idle_for(scene.set(700)), Some(200));
}

#[test]
fn what_was_decided_and_when_the_upstream_answered_is_remembered() {
    let scene = Scene::new(Protocol::Http1);
    let mut record = scene.record();
    assert_eq!(record.access.decision, Decision::Refused, "until somebody allows it");
    record.allow(Decision::Public, None);
    assert_eq!(record.access.decision, Decision::Public);
    assert_eq!(record.access.upstream_us, None);
    record.note_upstream(Instant::now());
    assert!(record.access.upstream_us.is_some());
    for (length, expected) in [
        (Duration::from_nanos(999), 0),
        (Duration::from_millis(3), 3000),
        (Duration::MAX, u64::MAX),
    ] {
        assert_eq!(microseconds(length), expected);
    }
}

#[tokio::test]
async fn a_body_of_our_own_is_logged_once_whether_or_not_it_is_read() {
    use bytes::Buf;
    use http_body_util::BodyExt;

    let scene = Scene::new(Protocol::Http2);
    let mut read = ResponseBody::full("seven b").with_record(scene.record());
    let frame = read.frame().await.expect("a frame").expect("data");
    let data = frame.into_data().ok().expect("data");
    assert_eq!(data.chunk(), b"seven b");
    assert!(read.frame().await.is_none());
    assert!(scene.connection.idle_for(Timestamp(START)).is_some(), "logged at the end");
    drop(read);
    // hyper does not ask for what it knows to be empty.
    drop(ResponseBody::empty().with_record(scene.record()));
    drop(ResponseBody::full("never sent").with_record(scene.record()));
    assert!(!scene.was_reset());
    assert_eq!(scene.told(), [entry("ok", 200, 7), entry("ok", 200, 0), entry("ok", 200, 0)]);
}
