//! The use of an upstream connection by one exchange.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::connection::{Http1Connection, StreamLease};
use super::pool::Pool;
use super::replay::Lent;
use super::uploads::Upload;

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
            pool.take_back(connection);
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
