//! Connections of either kind, as the pool keeps them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::gate::Question;
use super::replay::Sent;
use super::tls::Need;
use super::uploads::Uploads;

pub(super) type Http1Sender = http1::SendRequest<Sent>;
pub(super) type Http2Sender = http2::SendRequest<Sent>;

/// How many streams share a connection of HTTP/2.
pub(super) const STREAMS: u32 = 100;

/// Where to send, and the task that carries it.
pub(super) struct Http1Connection {
    pub(super) sender: Http1Sender,
    pub(super) task: JoinHandle<hyper::Result<()>>,
    /// What its gate expects an answer to.
    pub(super) question: Arc<Question>,
    /// It carries what needs no more, and goes back among those.
    pub(super) opened_for: Need,
}

/// How many streams a connection has.
pub(super) struct Streams {
    open: AtomicUsize,
    begun: Instant,
    /// When the last one ended, in milliseconds since then.
    ended: AtomicU64,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { open: AtomicUsize::new(0), begun: Instant::now(), ended: AtomicU64::new(0) }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn are_idle_for(&self, limit: Duration) -> bool {
        let ended = Duration::from_millis(self.ended.load(Ordering::Acquire));
        self.open() == 0 && self.begun.elapsed().saturating_sub(ended) >= limit
    }

    fn end_one(&self) {
        // First: whoever finds none open finds since when.
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ended.store(now, Ordering::Release);
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts one stream of a connection.
pub struct StreamLease {
    streams: Arc<Streams>,
    freed: Arc<Notify>,
    /// Its connection is in use as long as one of its streams, also when nobody else gets it.
    _connection: Arc<OwnedSemaphorePermit>,
}

impl StreamLease {
    pub(super) fn new(
        streams: &Arc<Streams>,
        freed: &Arc<Notify>,
        connection: &Arc<OwnedSemaphorePermit>,
    ) -> Self {
        streams.open.fetch_add(1, Ordering::AcqRel);
        let (streams, freed) = (Arc::clone(streams), Arc::clone(freed));
        Self { streams, freed, _connection: Arc::clone(connection) }
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.streams.end_one();
        self.freed.notify_one();
    }
}

#[derive(Clone)]
pub(super) struct Http2Connection {
    pub(super) sender: Http2Sender,
    pub(super) uploads: Uploads,
    pub(super) streams: Arc<Streams>,
    /// Streams it may have now: what the other end allows, and no more than ours; none when
    /// it has ended.
    pub(super) allowed: Arc<AtomicUsize>,
    /// Whether its other end has answered in HTTP/1.
    pub(super) answered_http1: Arc<AtomicBool>,
    /// Held as long as the connection is in the list, and by each of its streams.
    pub(super) permit: Arc<OwnedSemaphorePermit>,
}
