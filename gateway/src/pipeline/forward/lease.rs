//! The use of an upstream connection by one exchange.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::pipeline::body::BodyProgress;

use super::upstream::{Http1Sender, Idle, Upstream};

/// Given back when the exchange is complete on both sides; dropped otherwise,
/// which closes the connection (HTTP/1.1) or resets the stream (HTTP/2).
pub enum Lease {
    Http1(Box<Http1Lease>),
    Http2(StreamLease),
}

pub struct Http1Lease {
    pub(super) upstream: Arc<Upstream>,
    pub(super) sender: Http1Sender,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) request: Arc<BodyProgress>,
}

/// Counts one stream of a connection.
pub struct StreamLease(pub(super) Arc<AtomicUsize>);

impl Lease {
    /// The answer has been read to its end. A connection whose request body is
    /// still under way is not for anybody else (CVE-2025-4366).
    pub fn give_back(self) {
        match self {
            Lease::Http1(lease) => {
                let Http1Lease { upstream, sender, permit, request } = *lease;
                if request.ended() && !sender.is_closed() {
                    upstream.put_idle(Idle { sender, permit, since: Instant::now() });
                }
            }
            Lease::Http2(_) => {}
        }
    }
}

impl StreamLease {
    pub(super) fn new(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(streams))
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
