//! The use of an upstream connection by one exchange.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::gate::Question;
use super::pool::{Http1Sender, Idle, Pool};
use super::replay::{Lent, Upload};
use super::tls::Need;

/// Given back when the exchange is complete on both sides; dropped otherwise,
/// which closes the connection (HTTP/1.1) or resets the stream (HTTP/2).
pub enum Lease {
    Http1(Http1Lease),
    Http2(Http2Lease),
}

/// An HTTP/1.1 connection in use.
pub struct Http1Lease(Option<Box<Held>>);

pub(super) struct Held {
    pub(super) pool: Arc<Pool>,
    pub(super) connection: Http1Connection,
    /// One of those that may be in use at once.
    pub(super) permit: OwnedSemaphorePermit,
    /// The sending of the request's body, if it has one.
    pub(super) upload: Option<Arc<Upload>>,
}

/// Where to send, and the task that carries it.
pub(super) struct Http1Connection {
    pub(super) sender: Http1Sender,
    pub(super) task: JoinHandle<hyper::Result<()>>,
    /// What its gate expects an answer to.
    pub(super) question: Arc<Question>,
    /// It carries what needs no more, and goes back among those.
    pub(super) opened_for: Need,
}

impl Lease {
    /// The answer has been read to its end. A connection whose request body is
    /// still under way is not for anybody else (CVE-2025-4366).
    pub fn give_back(self) {
        match self {
            Lease::Http1(lease) => lease.give_back(),
            // The stream ends with it, and nobody else gets it.
            Lease::Http2(_) => {}
        }
    }

    /// The connection has become a tunnel: its task ends with that.
    pub fn into_tunnel(mut self) -> Option<OwnedSemaphorePermit> {
        match &mut self {
            Lease::Http1(lease) => lease.0.take().map(|held| held.permit),
            Lease::Http2(_) => None,
        }
    }
}

impl Http1Lease {
    pub(super) fn new(held: Held) -> Self {
        Self(Some(Box::new(held)))
    }

    pub(super) fn connection(&mut self) -> Option<&mut Http1Connection> {
        self.0.as_mut().map(|held| &mut held.connection)
    }

    fn give_back(mut self) {
        let complete = self.0.as_ref().is_some_and(|held| {
            let Http1Connection { sender, question, .. } = &held.connection;
            let sent = held.upload.as_ref().is_none_or(|upload| upload.has_ended());
            sent && !question.is_unheard() && !sender.is_closed()
        });
        if complete && let Some(held) = self.0.take() {
            let Held { pool, connection, permit, .. } = *held;
            pool.put_idle(Idle { connection, since: Instant::now() });
            // After: whoever waits for it finds the connection there.
            drop(permit);
        }
    }
}

impl Drop for Http1Lease {
    /// hyper would go on sending a body to an upstream that has answered already;
    /// the connection must not outlive its place among those in use.
    fn drop(&mut self) {
        let Some(held) = self.0.take() else {
            return;
        };
        let Held { connection, permit, .. } = *held;
        connection.task.abort();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // The next in line connects when this one is closed, and not before.
            runtime.spawn(async move {
                let _ = connection.task.await;
                drop(permit);
            });
        }
    }
}

/// A stream of an HTTP/2 connection in use.
pub struct Http2Lease {
    upload: Option<Arc<Upload>>,
    _stream: StreamLease,
}

impl Http2Lease {
    pub(super) fn new(body: &Lent, stream: StreamLease) -> Self {
        Self { upload: body.upload(), _stream: stream }
    }
}

impl Drop for Http2Lease {
    /// A body that is still under way has nothing to bring any more, not even when the
    /// answer is complete, and would keep the streams on both sides open.
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abandon();
        }
    }
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
