//! What the edge and the pipeline tell each other about one connection.

pub mod rules;
pub mod writes;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::auth::time::Timestamp;

use super::outgoing::{Judged, Outgoing};
use super::rate_limit::proven::Proven;
use super::reason::FramingFault;
use rules::ConnectionRules;
use writes::Writes;

/// One accepted connection, shared by its driver, its byte gate and its requests.
pub struct Connection {
    /// The peer, or who the PROXY header says it is.
    pub peer: SocketAddr,
    pub peer_source: PeerSource,
    pub protocol: Protocol,
    /// Where it was accepted.
    pub listener: Option<Arc<str>>,
    /// What the handshake settled; `None` in clear.
    pub tls: Option<Tls>,
    /// Those under which it began.
    pub rules: Arc<ConnectionRules>,
    fault: AtomicU8,
    upgrade: AtomicU8,
    /// Of the gate, while it waits for that.
    upgrade_waiter: Mutex<Option<Waker>>,
    in_flight: AtomicUsize,
    /// When the last request ended (ms), for the idle limit.
    last_active: AtomicU64,
    /// What its socket takes.
    pub writes: Arc<Writes>,
    /// The client took nothing for too long.
    stalled: AtomicBool,
    /// HTTP/2: answers under way, and some that have ended. A closed window shows nowhere else.
    streams: Mutex<Vec<Weak<Outgoing>>>,
    resets: Mutex<ResetWindow>,
    /// Ends the connection at once.
    pub abort: Notify,
    flooded: AtomicBool,
    /// Over HTTP/1 somebody let go of a request's body while its next bytes were waited for,
    /// which by itself wakes nobody.
    pub body_let_go: Notify,
    /// Interim responses (1xx) waiting to be written in front of the final one.
    interim: Mutex<Interim>,
    /// Wakes the request, and with it the connection, when there are some.
    pub interim_pushed: Notify,
    /// What those who wait for their turn may be known by.
    pub proven: Proven,
    /// Its places among the open connections. A tunnel that goes on after HTTP
    /// keeps the connection, and with it these.
    _places: Box<dyn Send + Sync>,
}

#[derive(Debug, Clone)]
pub struct Tls {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    pub alpn: Option<&'static str>,
    /// The name asked for, in the form that hosts are compared in.
    pub sni: Option<String>,
}

/// Who says who the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerSource {
    Socket,
    /// Whoever spoke the PROXY protocol.
    ProxyHeader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// What an HTTP/2 client did too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abuse {
    Resets,
    Frames,
}

/// What a stream that its client cancelled has cost: one that waited for a token was looked
/// at and went nowhere. A page that is loaded anew leaves many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Waiting = 1,
    UnderWay = 10,
}

/// What became of a request to switch protocols; the gate holds back the bytes
/// that follow it until this is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    Undecided,
    Tunnel,
    Refused,
}

/// One request's talk with its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange(u64);

#[derive(Default)]
struct Interim {
    bytes: BytesMut,
    /// The exchange that is waited for, and the number of the next.
    exchange: Option<u64>,
    next: u64,
}

struct ResetWindow {
    began: Timestamp,
    weight: u64,
}

const RESET_WINDOW_MS: u64 = 10_000;
/// More interim bytes than this are not worth a client's time.
const MAX_INTERIM_BYTES: usize = 16 << 10;

/// Turns of the connection's task that interim responses may wait for the socket.
const INTERIM_CHANCES: u32 = 64;

impl Connection {
    #[must_use]
    pub fn new(
        (peer, peer_source): (SocketAddr, PeerSource),
        protocol: Protocol,
        tls: Option<Tls>,
        rules: Arc<ConnectionRules>,
        now: Timestamp,
        places: Box<dyn Send + Sync>,
    ) -> Self {
        Self {
            peer,
            peer_source,
            protocol,
            listener: None,
            tls,
            rules,
            fault: AtomicU8::new(0),
            upgrade: AtomicU8::new(Upgrade::Undecided as u8),
            upgrade_waiter: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            last_active: AtomicU64::new(now.0),
            writes: Arc::default(),
            stalled: AtomicBool::new(false),
            streams: Mutex::default(),
            resets: Mutex::new(ResetWindow { began: now, weight: 0 }),
            abort: Notify::new(),
            flooded: AtomicBool::new(false),
            body_let_go: Notify::new(),
            interim: Mutex::default(),
            interim_pushed: Notify::new(),
            proven: Proven::default(),
            _places: places,
        }
    }

    #[must_use]
    pub fn accepted_at(self, listener: Arc<str>) -> Self {
        Self { listener: Some(listener), ..self }
    }

    #[must_use]
    pub fn peer_ip(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The name asked for in the TLS handshake.
    #[must_use]
    pub fn sni(&self) -> Option<&str> {
        self.tls.as_ref()?.sni.as_deref()
    }

    /// Notes what is wrong with the bytes; the first fault stays.
    pub fn set_fault(&self, fault: FramingFault) {
        let number =
            FramingFault::ALL.iter().position(|known| *known == fault).map_or(1, |at| at + 1);
        let number = u8::try_from(number).unwrap_or(1);
        let _ = self.fault.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire);
    }

    #[must_use]
    pub fn fault(&self) -> Option<FramingFault> {
        let number = usize::from(self.fault.load(Ordering::Acquire));
        FramingFault::ALL.get(number.wrapping_sub(1)).copied()
    }

    pub fn decide_upgrade(&self, upgrade: Upgrade) {
        self.upgrade.store(upgrade as u8, Ordering::Release);
        let waiter = self.upgrade_waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Resolves when it is decided what became of the request to switch.
    pub fn poll_upgrade(&self, cx: &mut Context<'_>) -> Poll<Upgrade> {
        if self.upgrade() == Upgrade::Undecided {
            let mut waiter = self.upgrade_waiter.lock().unwrap_or_else(PoisonError::into_inner);
            *waiter = Some(cx.waker().clone());
        }
        // Again, for it may have been decided before the waker was in place.
        match self.upgrade() {
            Upgrade::Undecided => Poll::Pending,
            decided => Poll::Ready(decided),
        }
    }

    #[must_use]
    pub fn upgrade(&self) -> Upgrade {
        match self.upgrade.load(Ordering::Acquire) {
            1 => Upgrade::Tunnel,
            2 => Upgrade::Refused,
            _ => Upgrade::Undecided,
        }
    }

    pub fn begin_request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(self))
    }

    /// Milliseconds without a request, or `None` while one is in flight.
    #[must_use]
    pub fn idle_for(&self, now: Timestamp) -> Option<u64> {
        let idle = now.since(Timestamp(self.last_active.load(Ordering::Acquire)));
        (self.in_flight.load(Ordering::Acquire) == 0).then_some(idle)
    }

    /// The connection ends because its client takes nothing.
    pub fn note_stalled(&self) {
        self.stalled.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }

    /// A stream whose answer is to be watched.
    #[must_use]
    pub fn begin_stream(&self) -> Arc<Outgoing> {
        let stream = Arc::new(Outgoing::new(Arc::clone(&self.writes)));
        let mut streams = self.lock_streams();
        if streams.len() == streams.capacity() {
            // What has ended makes room, so that the list grows with what is open.
            streams.retain(|stream| stream.strong_count() > 0);
        }
        streams.push(Arc::downgrade(&stream));
        stream
    }

    /// Ends the streams whose client has taken nothing for so long.
    pub fn judge_streams(&self, window: Duration) -> Judged {
        let streams: Vec<_> = self.lock_streams().iter().filter_map(Weak::upgrade).collect();
        let mut judged = Outgoing::judge(&streams, window, self.writes.flow());
        // What is left of a window does not become less with each look.
        judged.next = judged.next.map(|next| next.max(window / 16));
        judged
    }

    fn lock_streams(&self) -> MutexGuard<'_, Vec<Weak<Outgoing>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a stream that ended before its answer did. hyper and h2 count only
    /// resets of requests not yet accepted; requests accepted, forwarded and then
    /// cancelled would be unlimited (CVE-2023-44487).
    pub fn count_reset(&self, left: Left, now: Timestamp) {
        if self.protocol != Protocol::Http2 {
            return;
        }
        let mut window = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(window.began) > RESET_WINDOW_MS {
            *window = ResetWindow { began: now, weight: 0 };
        }
        window.weight = window.weight.saturating_add(left as u64);
        if window.weight > u64::from(self.rules.h2_resets) * Left::UnderWay as u64 {
            self.end_for(Abuse::Resets);
        }
    }

    /// Ends the connection at once.
    pub fn end_for(&self, abuse: Abuse) {
        self.flooded.store(abuse == Abuse::Frames, Ordering::Release);
        self.abort.notify_one();
    }

    /// What it is being ended for.
    #[must_use]
    pub fn abuse(&self) -> Abuse {
        if self.flooded.load(Ordering::Acquire) { Abuse::Frames } else { Abuse::Resets }
    }

    /// Opens the way for the interim responses of one exchange.
    #[must_use]
    pub fn begin_interim(&self) -> Exchange {
        let mut interim = self.lock_interim();
        interim.exchange = Some(interim.next);
        interim.next += 1;
        Exchange(interim.next - 1)
    }

    /// Queues one, if its exchange is the one that is waited for: what comes late
    /// would stand inside another answer.
    pub fn push_interim(&self, exchange: Exchange, bytes: &[u8]) {
        let mut interim = self.lock_interim();
        if interim.exchange == Some(exchange.0)
            && interim.bytes.len() + bytes.len() <= MAX_INTERIM_BYTES
        {
            interim.bytes.extend_from_slice(bytes);
            self.interim_pushed.notify_one();
        }
    }

    /// Closes the way. What has come for a good answer gets the chance to be written
    /// before it.
    pub async fn end_interim(&self, exchange: Exchange, answered: bool) {
        for _ in 0..INTERIM_CHANCES {
            if !answered || self.lock_interim().bytes.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut interim = self.lock_interim();
        if interim.exchange == Some(exchange.0) {
            interim.exchange = None;
            interim.bytes.clear();
        }
    }

    #[must_use]
    pub fn take_interim(&self) -> Option<Bytes> {
        let mut interim = self.lock_interim();
        (!interim.bytes.is_empty()).then(|| interim.bytes.split().freeze())
    }

    fn lock_interim(&self) -> MutexGuard<'_, Interim> {
        self.interim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while a request and its answer are under way.
pub struct InFlight(Arc<Connection>);

impl InFlight {
    /// Marks the connection as used until `now`; called as the answer ends.
    pub fn touch(&self, now: Timestamp) {
        self.0.last_active.store(now.0, Ordering::Release);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
