//! Connections to one endpoint: HTTP/1.1 ones that are lent and come back, and
//! HTTP/2 ones that are shared.
//!
//! The pool is ours, on hyper's client connections, because its policy is: a cap
//! on connections with a bounded wait, the most recently used first, stream-aware
//! sharing of HTTP/2, and a request that was not sent, or not looked at, is sent again
//! elsewhere.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::{HeaderMap, header};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::config::{self, HttpTarget, UpstreamProtocol};
use crate::trust::Fault;

use super::connection::{Http1Connection, Http2Connection, STREAMS, StreamLease, Streams};
use super::error::{Cause, Failure, describe, failure};
use super::framing::MAX_FIELDS;
use super::gate::{Question, ResponseGate};
use super::idle::{Idle, IdleConnections};
use super::preface;
use super::replay::Sent;
use super::retry::ConnectionChoice;
use super::tls::{Need, OutboundTls, speaks_http2};
use super::uploads::Uploads;

/// A connection that has just come back may need a moment to be ready.
const SETTLE: Duration = Duration::from_millis(10);
const KEEPALIVE: Duration = Duration::from_secs(60);
/// HTTP/2: what an answer may send that its client has not read yet, and how many share
/// a connection. Its window holds all of that, so that no answer waits for the client of
/// another (decision 0008).
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = STREAMS * STREAM_WINDOW_BYTES;

pub struct Pool {
    target: HttpTarget,
    tls: Option<OutboundTls>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    max_connections: usize,
    /// HTTP/1.1 connections in use and HTTP/2 connections there are. Idle ones hold
    /// none: whoever waits for a place gets it when a connection comes back.
    permits: Arc<Semaphore>,
    idle: IdleConnections,
    shared: Mutex<Vec<Http2Connection>>,
    /// Whether the last connection settled on HTTP/2.
    multiplexes: AtomicBool,
    /// One at a time opens a new HTTP/2 connection; the others wait for it.
    dialing: tokio::sync::Mutex<()>,
    /// A stream of an HTTP/2 connection has ended.
    freed: Arc<Notify>,
    learn: Learn,
}

/// What connections teach about their upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    /// One carries so many requests at once.
    Carries(usize),
    /// It asks for a client certificate; the gateway has none.
    AsksForCertificate,
}

/// Hears of it. Called under a lock of the pool, so it must not wait.
pub(super) type Learn = Box<dyn Fn(Learned) + Send + Sync>;

pub(super) enum Connected {
    Http1 { connection: Http1Connection, permit: OwnedSemaphorePermit, idle_for: Option<Duration> },
    Http2(Http2Connection, StreamLease),
}

impl Pool {
    #[must_use]
    pub(super) fn new(
        config: &config::Upstream,
        target: HttpTarget,
        tls: Option<OutboundTls>,
        learn: Learn,
    ) -> Self {
        Self {
            multiplexes: AtomicBool::new(target.protocol == UpstreamProtocol::Http2),
            target,
            tls,
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            max_connections: config.max_connections,
            permits: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            idle: IdleConnections::new(config.idle_timeout),
            shared: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
            freed: Arc::default(),
            learn,
        }
    }

    /// No request more goes over a connection that its other end is about to close; those
    /// that it carries may end.
    pub(super) fn retire(&self, leaving: &Http2Connection) {
        lock(&self.shared).retain(|one| !Arc::ptr_eq(&one.streams, &leaving.streams));
    }

    /// What a request needs. The only `Upgrade` field on its way upstream is the gateway's
    /// own, where it takes a handshake further.
    pub(super) fn need(&self, fields: &HeaderMap) -> Result<Need, Failure> {
        if !fields.contains_key(header::UPGRADE) {
            return Ok(Need::Any);
        }
        if self.target.protocol == UpstreamProtocol::Http2 {
            return Err(Cause::NoUpgrade.with_detail("protocol is \"http2\""));
        }
        // Of others each connection speaks HTTP/1.1.
        let chooses = self.tls.as_ref().is_some_and(OutboundTls::chooses);
        Ok(if chooses { Need::Http1 } else { Need::Any })
    }

    /// Closes what has been idle too long.
    pub fn sweep(&self) {
        self.idle.sweep();
        lock(&self.shared).retain(|one| self.is_usable(one));
    }

    /// A connection that can carry another request.
    pub(super) fn take_back(&self, connection: Http1Connection) {
        self.idle.put(connection);
    }

    /// What an error on a connection says about the upstream.
    pub(super) fn failure(&self, error: &hyper::Error) -> Failure {
        let Some(tls) = self.tls.as_ref() else { return failure(error) };
        if tls.judge(error) == Fault::WantsCertificate {
            return Cause::ClientCertificate.with_detail(describe(error));
        }
        let mut failure = failure(error);
        if let Some(detail) = &mut failure.detail
            && failure.cause == Cause::Closed
            && tls.has_been_asked()
        {
            detail.push_str("; it has asked for a client certificate, and the gateway has none");
        }
        failure
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// A connection to use, within the time that connecting may take.
    pub(super) async fn connection(
        self: &Arc<Self>,
        need: Need,
        which: ConnectionChoice,
    ) -> Result<Connected, Failure> {
        let deadline = Instant::now() + self.connect_timeout;
        if need == Need::Any && self.multiplexes.load(Ordering::Acquire) {
            return self.stream(deadline).await;
        }
        let permit = self.permit(deadline).await?;
        while let Some(mut idle) = self.idle.pop(need).filter(|_| which == ConnectionChoice::Any) {
            let sender = &mut idle.connection.sender;
            let ready =
                sender.is_ready() || matches!(timeout(SETTLE, sender.ready()).await, Ok(Ok(())));
            if ready {
                let Idle { connection, since } = idle;
                return Ok(Connected::Http1 {
                    connection,
                    permit,
                    idle_for: Some(since.elapsed()),
                });
            }
        }
        self.dial(need, permit, deadline).await
    }

    /// The right to a connection of HTTP/1.1.
    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        self.close_unused_shared();
        timeout_at(deadline, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| Cause::Saturated)?
            .map_err(|_| Cause::Internal.into())
    }

    /// One HTTP/2 connection without a stream makes room for another connection.
    fn close_unused_shared(&self) {
        let mut shared = lock(&self.shared);
        if let Some(at) = shared.iter().position(|one| one.streams.open() == 0) {
            shared.swap_remove(at);
        }
    }

    /// A stream of an HTTP/2 connection, opening one when all are full.
    async fn stream(self: &Arc<Self>, deadline: Instant) -> Result<Connected, Failure> {
        loop {
            if let Some(shared) = self.pick_shared() {
                return Ok(shared);
            }
            let turn = tokio::select! {
                turn = self.dialing.lock() => turn,
                () = self.freed.notified() => continue,
                () = sleep_until(deadline) => return Err(Cause::ConnectTimeout.into()),
            };
            // Whoever had the turn before may have opened one.
            if let Some(shared) = self.pick_shared() {
                return Ok(shared);
            }
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return self.dial(Need::Any, permit, deadline).await;
            }
            drop(turn);
            tokio::select! {
                () = self.freed.notified() => {}
                // A tunnel has ended, say: then there is one for this turn.
                permit = self.permits.acquire() => drop(permit),
                () = sleep_until(deadline) => return Err(Cause::Saturated.into()),
            }
        }
    }

    /// Not closed, nor idle for too long. One that is given up closes itself.
    fn is_usable(&self, shared: &Http2Connection) -> bool {
        !shared.sender.is_closed() && !shared.streams.are_idle_for(self.idle_timeout)
    }

    /// Tells how much the connections there are carry: the one that carries most counts. Of
    /// one that may have no stream, for now or any more, nothing is learnt.
    fn settle(&self) {
        // Until it is told: else what has changed meanwhile would be undone.
        let shared = lock(&self.shared);
        let carried = if self.multiplexes.load(Ordering::Acquire) {
            let allowed = |one: &Http2Connection| one.allowed.load(Ordering::Acquire);
            shared.iter().map(allowed).max().unwrap_or(0)
        } else {
            1
        };
        if carried > 0 {
            (self.learn)(Learned::Carries(carried));
        }
    }

    /// The first HTTP/2 connection with room for a stream.
    fn pick_shared(&self) -> Option<Connected> {
        let mut shared = lock(&self.shared);
        shared.retain(|one| self.is_usable(one));
        shared
            .iter()
            .find(|one| {
                one.sender.is_ready() && one.streams.open() < one.allowed.load(Ordering::Acquire)
            })
            .map(|one| {
                let stream = StreamLease::new(&one.streams, &self.freed, &one.permit);
                Connected::Http2(one.clone(), stream)
            })
    }

    async fn dial(
        self: &Arc<Self>,
        need: Need,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<Connected, Failure> {
        self.make_room();
        // On the heap: few requests connect, and all would carry the room for it.
        timeout_at(deadline, Box::pin(self.open(need, permit)))
            .await
            .unwrap_or_else(|_| Err(Cause::ConnectTimeout.into()))
    }

    /// Idle connections that are of no use to who connects count as well.
    fn make_room(&self) {
        let in_use = self.max_connections.saturating_sub(self.permits.available_permits());
        self.idle.keep_at_most(self.max_connections - in_use);
    }

    async fn open(
        self: &Arc<Self>,
        need: Need,
        permit: OwnedSemaphorePermit,
    ) -> Result<Connected, Failure> {
        let port = self.target.authority.port_u16().unwrap_or(match self.tls {
            Some(_) => 443,
            None => 80,
        });
        let host = self.target.authority.host();
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| Cause::Connect.with_detail(error))?;
        // Neither is vital: without the first small requests wait for the peer's delayed
        // acknowledgement, without the second a peer that vanished is noticed late.
        let _ = tcp.set_nodelay(true);
        let _ = SockRef::from(&tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        match &self.tls {
            None => {
                let http2 = self.target.protocol == UpstreamProtocol::Http2;
                self.handshake(tcp, need, http2, permit).await
            }
            Some(outbound) => {
                let tls = outbound.connect(tcp, need).await?;
                if outbound.has_been_asked() {
                    (self.learn)(Learned::AsksForCertificate);
                }
                let http2 = speaks_http2(&tls);
                self.handshake(tls, need, http2, permit).await
            }
        }
    }

    async fn handshake<IO>(
        self: &Arc<Self>,
        io: IO,
        need: Need,
        http2: bool,
        permit: OwnedSemaphorePermit,
    ) -> Result<Connected, Failure>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let protocol = |error: hyper::Error| Cause::Protocol.with_detail(error);
        // What a connection for a switch of protocols speaks says nothing of others.
        if need == Need::Any {
            self.multiplexes.store(http2, Ordering::Release);
        }
        if !http2 {
            self.settle();
            let question = Arc::<Question>::default();
            let gate = ResponseGate::new(io, Arc::clone(&question));
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(64 << 10)
                .max_headers(MAX_FIELDS)
                .handshake(TokioIo::new(gate))
                .await
                .map_err(protocol)?;
            let task = tokio::spawn(connection.with_upgrades());
            let connection = Http1Connection { sender, task, question, opened_for: need };
            return Ok(Connected::Http1 { connection, permit, idle_for: None });
        }
        let (uploads, answered_http1) = (Uploads::default(), Arc::<AtomicBool>::default());
        let (sender, connection) = http2::Builder::new(uploads.clone())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(64 << 10)
            .max_header_list_size(64 << 10)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .handshake(TokioIo::new(preface::watch(io, Arc::clone(&answered_http1))))
            .await
            .map_err(protocol)?;
        let allowed = Arc::new(AtomicUsize::new(allowed_streams(&connection)));
        // It goes with the upstream, not the upstream with it.
        tokio::spawn(drive(connection, Arc::clone(&allowed), Arc::downgrade(self)));
        let (streams, permit) = (Arc::new(Streams::new()), Arc::new(permit));
        let shared = Http2Connection { sender, uploads, streams, allowed, answered_http1, permit };
        let stream = StreamLease::new(&shared.streams, &self.freed, &shared.permit);
        lock(&self.shared).push(shared.clone());
        self.settle();
        // Those who waited for this one find room on it.
        self.freed.notify_waiters();
        Ok(Connected::Http2(shared, stream))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs an HTTP/2 connection and keeps what its other end allows up to date.
async fn drive<IO>(
    connection: http2::Connection<IO, Sent, Uploads>,
    allowed: Arc<AtomicUsize>,
    pool: Weak<Pool>,
) where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let mut connection = std::pin::pin!(connection);
    std::future::poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        let streams = if polled.is_ready() { 0 } else { allowed_streams(&connection) };
        if allowed.swap(streams, Ordering::AcqRel) != streams
            && let Some(pool) = pool.upgrade()
        {
            pool.settle();
        }
        // Why it ended is told to the exchanges on it.
        polled.map(|_| ())
    })
    .await;
}

fn allowed_streams<IO>(connection: &http2::Connection<IO, Sent, Uploads>) -> usize
where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    connection.current_max_send_streams().min(STREAMS as usize)
}

#[cfg(test)]
mod tests;
