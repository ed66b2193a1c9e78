//! What is left of a request's body when its response is decided. Many a client sends all of
//! it before it reads: were its stream reset or its connection closed at once, it would lose
//! the response that says why (RFC 9113 8.1, RFC 9112 9.6). So the rest is read and
//! discarded, within bounds of bytes, time and number.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::auth::source::Source;
use crate::lifecycle::Lifecycle;
use crate::slots::{Place, Slot, Slots};
use crate::telemetry::counters::Counters;

use super::connection::Connection;

/// A connection of HTTP/1.1 goes on behind so much of a body. Behind a longer rest, or one
/// of unknown length, it closes, and its response says so.
pub const SHORT_BYTES: u64 = 64 << 10;
/// How much is read and discarded of one body.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// A rest that declares no greater length is read to its end.
    moderate_bytes: u64,
    /// Of any other so much at least, and for so long at least.
    enough_bytes: u64,
    enough_time: Duration,
    /// For all of it, whatever it is.
    in_all: Duration,
}

const BOUNDS: Bounds = Bounds {
    moderate_bytes: 16 << 20,
    enough_bytes: 64 << 10,
    enough_time: Duration::from_secs(1),
    in_all: Duration::from_secs(30),
};

/// What a client that lingers still has once the gateway drains.
pub const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Bodies and closed connections that are read on: in all, and of one address.
const BODIES: (usize, usize) = (4096, 512);
const SOCKETS: (usize, usize) = (1024, 128);
/// How often a connection's task may have its turn to bring what has arrived of a body.
const TURNS: u32 = 64;

/// How many clients may go on sending what nobody wants.
pub struct Lingering {
    bodies: Arc<Slots>,
    sockets: Arc<Slots>,
    lifecycle: Lifecycle,
    counters: Arc<Counters>,
}

/// One of them; freed when dropped.
pub struct Permit {
    _slot: Slot,
    _place: Option<Place>,
}

impl Lingering {
    #[must_use]
    pub fn new(lifecycle: Lifecycle, counters: Arc<Counters>) -> Self {
        let slots = |(total, per_address)| Slots::new(total, per_address);
        Self { bodies: slots(BODIES), sockets: slots(SOCKETS), lifecycle, counters }
    }

    /// A place among the closed connections that are read on. Without a source it counts
    /// for no address.
    #[must_use]
    pub fn socket(&self, source: Option<Source>) -> Option<Permit> {
        self.take(&self.sockets, source)
    }

    fn body(&self, source: Option<Source>) -> Option<Permit> {
        self.take(&self.bodies, source)
    }

    fn take(&self, slots: &Arc<Slots>, source: Option<Source>) -> Option<Permit> {
        let permit = slots.take().and_then(|slot| {
            let place = source.map(|source| slots.take_for(source)).transpose()?;
            Ok(Permit { _slot: slot, _place: place })
        });
        if permit.is_err() {
            self.counters.lingering_over_limit.increment();
        }
        permit.ok()
    }

    /// Resolves when those who linger should come to an end.
    pub fn drain_started(&self) -> impl Future<Output = ()> + Send + use<> {
        self.lifecycle.drain_started()
    }

    /// Forgets addresses of which nobody lingers.
    pub fn sweep(&self) {
        self.bodies.sweep();
        self.sockets.sweep();
    }
}

/// What becomes of the rest. The response is decided, and whoever had the body lets go of
/// it, in either order.
#[derive(Default)]
pub struct Rest(Mutex<State>);

enum State {
    /// There is no response yet; this has been let go of.
    Undecided(Option<Incoming>),
    /// To be discarded when it is let go of.
    Discard(Discarder),
    Discarding(AbortHandle),
    /// To be dropped when it is let go of.
    GivenUp,
}

impl Default for State {
    fn default() -> Self {
        State::Undecided(None)
    }
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl Rest {
    /// Nobody will read this.
    pub(super) fn let_go(&self, incoming: Incoming) {
        let mut state = self.lock();
        *state = match std::mem::replace(&mut *state, State::GivenUp) {
            State::Undecided(_) => State::Undecided(Some(incoming)),
            State::Discard(discarder) => discarder.start(incoming),
            decided => decided,
        };
    }

    /// It is read and discarded, once it is let go of. Who lingers counts for `source`.
    pub(super) fn discard(
        &self,
        lingering: Arc<Lingering>,
        connection: Arc<Connection>,
        source: Option<Source>,
    ) {
        let discarder = Discarder { lingering, connection, source };
        let mut state = self.lock();
        *state = match std::mem::replace(&mut *state, State::GivenUp) {
            State::Undecided(Some(incoming)) => discarder.start(incoming),
            State::Undecided(None) => State::Discard(discarder),
            decided => decided,
        };
    }

    /// The stream or connection ends, and nothing of it is to be waited for.
    pub(super) fn give_up(&self) {
        let state = std::mem::replace(&mut *self.lock(), State::GivenUp);
        if let State::Discarding(task) = state {
            task.abort();
        }
    }

    /// Reads what has arrived; whether that was all.
    pub(super) async fn has_arrived(&self) -> bool {
        let State::Undecided(Some(mut incoming)) = std::mem::take(&mut *self.lock()) else {
            return false;
        };
        let mut bytes = 0;
        for _ in 0..TURNS {
            let polled =
                std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut incoming).poll_frame(cx)));
            match polled.await {
                Poll::Ready(None) => return true,
                Poll::Ready(Some(Ok(frame))) => {
                    bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(Some(Err(_))) => return false,
                Poll::Pending => tokio::task::yield_now().await,
            }
            if bytes > SHORT_BYTES {
                break;
            }
        }
        self.let_go(incoming);
        false
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads on for one client.
struct Discarder {
    lingering: Arc<Lingering>,
    connection: Arc<Connection>,
    /// Of the client; none of one that speaks for others.
    source: Option<Source>,
}

impl Discarder {
    fn start(self, incoming: Incoming) -> State {
        let (Ok(runtime), Some(permit)) = (Handle::try_current(), self.lingering.body(self.source))
        else {
            return State::GivenUp;
        };
        let draining = self.lingering.drain_started();
        let task = runtime.spawn(async move {
            discard(incoming, BOUNDS, draining).await;
            self.connection.body_let_go.notify_one();
            drop(permit);
        });
        State::Discarding(task.abort_handle())
    }
}

/// Reads a body until it ends, or its client has had its chance to read the response.
async fn discard<B>(mut body: B, bounds: Bounds, draining: impl Future<Output = ()>)
where
    B: Body<Data = Bytes> + Unpin,
{
    let moderate = body.size_hint().exact().is_some_and(|rest| rest <= bounds.moderate_bytes);
    let began = Instant::now();
    let mut end = pin!(sleep_until(began + bounds.in_all));
    let mut draining = pin!(draining);
    let (mut taken, mut drains) = (0, false);
    loop {
        tokio::select! {
            frame = body.frame() => {
                let Some(Ok(frame)) = frame else { return };
                taken += frame.data_ref().map_or(0, |data| data.len() as u64);
                let enough = began + bounds.enough_time;
                if !moderate && taken >= bounds.enough_bytes && end.deadline() > enough {
                    end.as_mut().reset(enough);
                }
            }
            () = &mut end => return,
            () = &mut draining, if !drains => {
                drains = true;
                let latest = Instant::now() + DRAIN_TIME;
                if end.deadline() > latest {
                    end.as_mut().reset(latest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
