//! Connections to one upstream: HTTP/1.1 ones that are lent and come back, and
//! HTTP/2 ones that are shared.
//!
//! The pool is ours, on hyper's client connections, because its policy is: a cap
//! on connections with a bounded wait, the most recently used first, stream-aware
//! sharing of HTTP/2, and a request that was not sent is sent again elsewhere.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri, Version, header};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::config::{self, FieldNames, HttpTarget, UpstreamProtocol};
use crate::pipeline::body::RequestBody;
use crate::pipeline::reason::{Reason, Rejection};
use crate::trust;

use super::framing::MAX_FIELDS;
use super::gate::{Gate, Malformed, Question};
use super::lease::{Held, Http1Connection, Http1Lease, Http2Lease, Lease, StreamLease, Streams};
use super::share::Shares;
use super::uploads::Uploads;

pub(super) type Http1Sender = http1::SendRequest<RequestBody>;
type Http2Sender = http2::SendRequest<RequestBody>;

/// A connection that has just come back may need a moment to be ready.
const SETTLE: Duration = Duration::from_millis(10);
const KEEPALIVE: Duration = Duration::from_secs(60);
/// A connection idle this long may have been closed by its other end just now. On
/// busier ones a copy of every request would be kept for nothing.
const DOUBTFUL_AFTER: Duration = Duration::from_millis(2);
/// HTTP/2: what an answer may send that its client has not read yet, and how many share
/// a connection. Its window holds all of that, so that no answer waits for the client of
/// another (decision 0008).
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
pub(super) const STREAMS: u32 = 100;
const CONNECTION_WINDOW_BYTES: u32 = STREAMS * STREAM_WINDOW_BYTES;

pub struct Upstream {
    pub name: Arc<str>,
    pub field_names: FieldNames,
    target: HttpTarget,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    /// HTTP/1.1 connections in use and HTTP/2 connections there are. Idle ones hold
    /// none: whoever waits for a place gets it when a connection comes back.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Shared>>,
    /// Whether the last connection settled on HTTP/2.
    multiplexes: AtomicBool,
    /// One at a time opens a new HTTP/2 connection; the others wait for it.
    dialing: tokio::sync::Mutex<()>,
    /// A stream of an HTTP/2 connection has ended.
    freed: Arc<Notify>,
    /// What of it each account may have.
    pub(super) shares: Shares,
}

/// An HTTP/1.1 connection nobody uses now.
pub(super) struct Idle {
    pub(super) connection: Http1Connection,
    pub(super) since: Instant,
}

#[derive(Clone)]
struct Shared {
    sender: Http2Sender,
    uploads: Uploads,
    streams: Arc<Streams>,
    /// Streams it may have now: what the other end allows, and no more than ours; none when
    /// it has ended.
    allowed: Arc<AtomicUsize>,
    /// Held as long as the connection is in the list or in use.
    _permit: Arc<OwnedSemaphorePermit>,
}

enum Connected {
    Http1 { connection: Http1Connection, permit: OwnedSemaphorePermit, idle_for: Option<Duration> },
    Http2(Shared, StreamLease),
}

impl Upstream {
    #[must_use]
    pub fn new(
        config: &config::Upstream,
        target: HttpTarget,
        tls: Option<(TlsConnector, ServerName<'static>)>,
    ) -> Self {
        let http2 = target.protocol == UpstreamProtocol::Http2;
        Self {
            name: config.name.as_str().into(),
            field_names: config.field_names,
            shares: Shares::new(config, http2),
            multiplexes: AtomicBool::new(http2),
            target,
            tls,
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            permits: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            shared: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
            freed: Arc::default(),
        }
    }

    /// Sends a request and waits for the head of the answer, without a deadline.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(
        self: &Arc<Self>,
        mut parts: Parts,
        mut body: RequestBody,
        target: &PathAndQuery,
    ) -> Result<(Response<Incoming>, Lease), Rejection> {
        let host = parts.headers.remove(header::HOST);
        let host = host.ok_or_else(|| Rejection::from(Reason::HostMissing))?;
        let progress = body.progress();
        let replay = is_repeatable(&parts.method, &body);
        // How often a connection may turn out closed before somebody is told.
        let mut chances = 3;
        let mut fresh = false;
        loop {
            chances -= 1;
            match self.connection(fresh).await? {
                Connected::Http1 { connection, permit, idle_for } => {
                    frame_http1(&mut parts, &body, &host, target);
                    let spare = (replay && idle_for.is_some_and(|idle| idle > DOUBTFUL_AFTER))
                        .then(|| parts.clone());
                    let upstream = Arc::clone(self);
                    let request = Arc::clone(&progress);
                    // Held while we wait: should the client leave, the connection goes.
                    let mut lease = Http1Lease::new(Held { upstream, connection, permit, request });
                    let Some(Http1Connection { sender, question, .. }) = lease.connection() else {
                        return Err(Reason::Internal.into());
                    };
                    question.ask(&parts.method);
                    match sender.try_send_request(Request::from_parts(parts, body)).await {
                        Ok(response) => return Ok((response, Lease::Http1(lease))),
                        Err(mut error) => match (error.take_message(), spare) {
                            // Never left: the connection had been closed meanwhile.
                            (Some(request), _) if idle_for.is_some() && chances > 0 => {
                                (parts, body) = request.into_parts();
                            }
                            // Left on a connection that was closed as it did; safe and
                            // without a body, it may be sent again (RFC 9110 9.2.2).
                            (None, Some(again)) if is_closed(error.error()) => {
                                parts = again;
                                body = RequestBody::none();
                                fresh = true;
                            }
                            _ => return Err(failure(error.error())),
                        },
                    }
                }
                Connected::Http2(mut shared, stream) => {
                    frame_http2(&mut parts, &host, self.scheme(), target)?;
                    body.send_by(&shared.uploads);
                    // Held while we wait, as above.
                    let lease = Http2Lease::new(Arc::clone(&progress), stream);
                    match shared.sender.try_send_request(Request::from_parts(parts, body)).await {
                        Ok(response) => return Ok((response, Lease::Http2(lease))),
                        Err(mut error) => match error.take_message() {
                            Some(request) if chances > 0 => (parts, body) = request.into_parts(),
                            _ => return Err(failure(error.error())),
                        },
                    }
                }
            }
        }
    }

    /// Closes what has been idle too long.
    pub fn sweep(&self) {
        let now = Instant::now();
        lock(&self.idle).retain(|one| {
            !one.connection.sender.is_closed() && now - one.since < self.idle_timeout
        });
        lock(&self.shared).retain(|one| self.is_usable(one));
        self.shares.sweep();
    }

    pub(super) fn put_idle(&self, idle: Idle) {
        lock(&self.idle).push(idle);
    }

    /// Host and port as they are configured.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.target.authority.as_str()
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// A connection to use, within the time that connecting may take.
    async fn connection(self: &Arc<Self>, fresh: bool) -> Result<Connected, Rejection> {
        let deadline = Instant::now() + self.connect_timeout;
        if self.multiplexes.load(Ordering::Acquire) {
            return self.stream(deadline).await;
        }
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout_at(deadline, Arc::clone(&self.permits).acquire_owned())
                .await
                .map_err(|_| Rejection::from(Reason::UpstreamSaturated))?
                .map_err(|_| Rejection::from(Reason::Internal))?,
        };
        while let Some(mut idle) = self.pop_idle().filter(|_| !fresh) {
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
        self.dial(permit, deadline).await
    }

    /// A stream of an HTTP/2 connection, opening one when all are full.
    async fn stream(self: &Arc<Self>, deadline: Instant) -> Result<Connected, Rejection> {
        loop {
            if let Some(shared) = self.pick_shared() {
                return Ok(shared);
            }
            let turn = tokio::select! {
                turn = self.dialing.lock() => turn,
                () = self.freed.notified() => continue,
                () = sleep_until(deadline) => return Err(Reason::UpstreamConnectTimeout.into()),
            };
            // Whoever had the turn before may have opened one.
            if let Some(shared) = self.pick_shared() {
                return Ok(shared);
            }
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return self.dial(permit, deadline).await;
            }
            drop(turn);
            tokio::select! {
                () = self.freed.notified() => {}
                () = sleep_until(deadline) => return Err(Reason::UpstreamSaturated.into()),
            }
        }
    }

    fn pop_idle(&self) -> Option<Idle> {
        let mut idle = lock(&self.idle);
        while let Some(one) = idle.pop() {
            if !one.connection.sender.is_closed() && one.since.elapsed() < self.idle_timeout {
                return Some(one);
            }
        }
        None
    }

    /// Not closed, nor idle for too long. One that is given up closes itself.
    fn is_usable(&self, shared: &Shared) -> bool {
        !shared.sender.is_closed() && !shared.streams.are_idle_for(self.idle_timeout)
    }

    /// Gives accounts their shares of what the connections there are carry: the one that
    /// carries most counts. Of one that may have no stream, for now or any more, nothing
    /// is learnt.
    fn settle(&self) {
        // Until they are given: else what has changed meanwhile would be undone.
        let shared = lock(&self.shared);
        let carried = if self.multiplexes.load(Ordering::Acquire) {
            let allowed = |one: &Shared| one.allowed.load(Ordering::Acquire);
            shared.iter().map(allowed).max().unwrap_or(0)
        } else {
            1
        };
        if carried > 0 {
            self.shares.settle(carried);
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
                let stream = StreamLease::new(&one.streams, &self.freed);
                Connected::Http2(one.clone(), stream)
            })
    }

    async fn dial(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<Connected, Rejection> {
        // On the heap: few requests connect, and all would carry the room for it.
        timeout_at(deadline, Box::pin(self.open(permit)))
            .await
            .unwrap_or_else(|_| Err(Reason::UpstreamConnectTimeout.into()))
    }

    async fn open(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<Connected, Rejection> {
        let port = self.target.authority.port_u16().unwrap_or(match self.tls {
            Some(_) => 443,
            None => 80,
        });
        let host = self.target.authority.host();
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| Reason::UpstreamConnect.because(error))?;
        // Neither is vital: without the first small requests wait for the peer's delayed
        // acknowledgement, without the second a peer that vanished is noticed late.
        let _ = tcp.set_nodelay(true);
        let _ = SockRef::from(&tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        match &self.tls {
            None => {
                let http2 = self.target.protocol == UpstreamProtocol::Http2;
                self.handshake(tcp, http2, permit).await
            }
            Some((connector, name)) => {
                let tls = connector
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(|error| Reason::UpstreamTls.because(trust::describe(&error)))?;
                let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                self.handshake(tls, http2, permit).await
            }
        }
    }

    async fn handshake<IO>(
        self: &Arc<Self>,
        io: IO,
        http2: bool,
        permit: OwnedSemaphorePermit,
    ) -> Result<Connected, Rejection>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let protocol = |error: hyper::Error| Reason::UpstreamProtocol.because(error);
        self.multiplexes.store(http2, Ordering::Release);
        if !http2 {
            self.settle();
            let question = Arc::<Question>::default();
            let gate = Gate::new(io, Arc::clone(&question));
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(64 << 10)
                .max_headers(MAX_FIELDS)
                .handshake(TokioIo::new(gate))
                .await
                .map_err(protocol)?;
            let task = tokio::spawn(connection.with_upgrades());
            let connection = Http1Connection { sender, task, question };
            return Ok(Connected::Http1 { connection, permit, idle_for: None });
        }
        let uploads = Uploads::default();
        let (sender, connection) = http2::Builder::new(uploads.clone())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(64 << 10)
            .max_header_list_size(64 << 10)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .handshake(TokioIo::new(io))
            .await
            .map_err(protocol)?;
        let allowed = Arc::new(AtomicUsize::new(allowed_streams(&connection)));
        // It goes with the upstream, not the upstream with it.
        tokio::spawn(drive(connection, Arc::clone(&allowed), Arc::downgrade(self)));
        let (streams, permit) = (Arc::new(Streams::new()), Arc::new(permit));
        let shared = Shared { sender, uploads, streams, allowed, _permit: permit };
        let stream = StreamLease::new(&shared.streams, &self.freed);
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
    connection: http2::Connection<IO, RequestBody, Uploads>,
    allowed: Arc<AtomicUsize>,
    upstream: Weak<Upstream>,
) where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let mut connection = std::pin::pin!(connection);
    std::future::poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        let streams = if polled.is_ready() { 0 } else { allowed_streams(&connection) };
        if allowed.swap(streams, Ordering::AcqRel) != streams
            && let Some(upstream) = upstream.upgrade()
        {
            upstream.settle();
        }
        // Why it ended is told to the exchanges on it.
        polled.map(|_| ())
    })
    .await;
}

fn allowed_streams<IO>(connection: &http2::Connection<IO, RequestBody, Uploads>) -> usize
where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    connection.current_max_send_streams().min(STREAMS as usize)
}

/// Origin form, and explicit framing: hyper leaves out the body of a GET whose
/// length it does not know.
fn frame_http1(parts: &mut Parts, body: &RequestBody, host: &HeaderValue, target: &PathAndQuery) {
    parts.version = Version::HTTP_11;
    parts.uri = Uri::from(target.clone());
    let headers = &mut parts.headers;
    headers.insert(header::HOST, host.clone());
    // Beside a handshake `Connection` says something else already.
    if headers.contains_key(header::TE) && !headers.contains_key(header::UPGRADE) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    match body.size_hint().exact() {
        // A POST without a body says so; a GET needs no word.
        Some(0) if is_safe(&parts.method) || parts.method == Method::DELETE => {}
        Some(length) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

fn frame_http2(
    parts: &mut Parts,
    host: &HeaderValue,
    scheme: &'static str,
    target: &PathAndQuery,
) -> Result<(), Rejection> {
    parts.version = Version::HTTP_2;
    parts.uri = Uri::builder()
        .scheme(scheme)
        .authority(host.as_bytes())
        .path_and_query(target.clone())
        .build()
        .map_err(|_| Rejection::from(Reason::TargetMalformed))?;
    // Set for an HTTP/1.1 connection that turned out closed.
    for name in
        [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH]
    {
        parts.headers.remove(name);
    }
    Ok(())
}

/// Whether a request changes nothing and can be made again as it was.
fn is_repeatable(method: &Method, body: &RequestBody) -> bool {
    is_safe(method) && body.is_end_stream()
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_closed(error: &hyper::Error) -> bool {
    error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            .is_some_and(|io| {
                use std::io::ErrorKind as K;
                matches!(io.kind(), K::ConnectionReset | K::BrokenPipe | K::ConnectionAborted)
            })
}

fn failure(error: &hyper::Error) -> Rejection {
    if error.is_parse() || is_malformed(error) {
        Reason::UpstreamProtocol.because(describe(error))
    } else {
        Reason::UpstreamClosed.because(describe(error))
    }
}

/// Whether our own gate has stopped the answer.
fn is_malformed(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .is_some_and(|cause| cause.downcast_ref::<Malformed>().is_some())
}

/// The error with its causes: hyper's own words seldom suffice.
fn describe(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
