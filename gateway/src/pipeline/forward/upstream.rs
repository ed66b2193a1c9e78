//! Connections to one upstream: HTTP/1.1 ones that are lent and come back, and
//! HTTP/2 ones that are shared.
//!
//! The pool is ours, on hyper's client connections, because its policy is: a cap
//! on connections with a bounded wait, the most recently used first, stream-aware
//! sharing of HTTP/2, and a request that was not sent is sent again elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Uri, Version, header};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::config::{self, HttpTarget, UpstreamProtocol};
use crate::pipeline::body::RequestBody;
use crate::pipeline::reason::{Reason, Rejection};

use super::lease::{Http1Lease, Lease, StreamLease};

pub(super) type Http1Sender = http1::SendRequest<RequestBody>;
type Http2Sender = http2::SendRequest<RequestBody>;

/// A connection that has just come back may need a moment to be ready.
const SETTLE: Duration = Duration::from_millis(10);
/// A connection idle this long may be about to be closed by its other end.
const DOUBTFUL_AFTER: Duration = Duration::from_millis(500);

pub struct Upstream {
    pub name: Arc<str>,
    target: HttpTarget,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Shared>>,
    /// One at a time opens a new HTTP/2 connection; the others wait for it.
    dialing: tokio::sync::Mutex<()>,
}

/// An HTTP/1.1 connection nobody uses now.
pub(super) struct Idle {
    pub(super) sender: Http1Sender,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) since: Instant,
}

#[derive(Clone)]
struct Shared {
    sender: Http2Sender,
    streams: Arc<AtomicUsize>,
    /// Streams the other end allows now.
    allowed: Arc<AtomicUsize>,
    /// Held as long as the connection is in the list or in use.
    _permit: Arc<OwnedSemaphorePermit>,
}

enum Connected {
    Http1 { sender: Http1Sender, permit: OwnedSemaphorePermit, idle_for: Option<Duration> },
    Http2(Shared, StreamLease),
}

impl Upstream {
    #[must_use]
    pub fn new(
        config: &config::Upstream,
        target: HttpTarget,
        tls: Option<(TlsConnector, ServerName<'static>)>,
    ) -> Self {
        Self {
            name: config.name.as_str().into(),
            target,
            tls,
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            permits: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            shared: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
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
        path: &str,
    ) -> Result<(Response<Incoming>, Lease), Rejection> {
        let progress = body.progress();
        let replay = body.is_end_stream() && is_safe(&parts.method);
        let mut fresh = false;
        loop {
            match self.connection(fresh).await? {
                Connected::Http1 { mut sender, permit, idle_for } => {
                    frame_http1(&mut parts, &body, path)?;
                    let spare = (replay && idle_for.is_some_and(|idle| idle > DOUBTFUL_AFTER))
                        .then(|| parts.clone());
                    match sender.try_send_request(Request::from_parts(parts, body)).await {
                        Ok(response) => {
                            let upstream = Arc::clone(self);
                            let request = progress;
                            let lease = Http1Lease { upstream, sender, permit, request };
                            return Ok((response, Lease::Http1(Box::new(lease))));
                        }
                        Err(mut error) => match (error.take_message(), spare) {
                            // Never left: the connection had been closed meanwhile.
                            (Some(request), _) if idle_for.is_some() => {
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
                    frame_http2(&mut parts, &self.target, self.scheme(), path)?;
                    match shared.sender.try_send_request(Request::from_parts(parts, body)).await {
                        Ok(response) => return Ok((response, Lease::Http2(stream))),
                        Err(mut error) => match error.take_message() {
                            Some(request) if !fresh => {
                                (parts, body) = request.into_parts();
                                fresh = true;
                            }
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
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| !one.sender.is_closed() && now - one.since < self.idle_timeout);
        drop(idle);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|one| !one.sender.is_closed());
    }

    pub(super) fn put_idle(&self, idle: Idle) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    async fn connection(&self, fresh: bool) -> Result<Connected, Rejection> {
        if !fresh {
            if let Some(shared) = self.pick_shared() {
                return Ok(shared);
            }
            while let Some(mut idle) = self.pop_idle() {
                let ready = idle.sender.is_ready()
                    || matches!(timeout(SETTLE, idle.sender.ready()).await, Ok(Ok(())));
                if ready {
                    let Idle { sender, permit, since } = idle;
                    let idle_for = Some(since.elapsed());
                    return Ok(Connected::Http1 { sender, permit, idle_for });
                }
            }
        }
        let shares = self.target.protocol == UpstreamProtocol::Http2
            || !self.shared.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if !shares {
            return self.dial().await;
        }
        let _turn = self.dialing.lock().await;
        match self.pick_shared() {
            Some(shared) if !fresh => Ok(shared),
            _ => self.dial().await,
        }
    }

    fn pop_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(one) = idle.pop() {
            if !one.sender.is_closed() && one.since.elapsed() < self.idle_timeout {
                return Some(one);
            }
        }
        None
    }

    /// The first HTTP/2 connection with room for a stream.
    fn pick_shared(&self) -> Option<Connected> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|one| !one.sender.is_closed());
        shared
            .iter()
            .find(|one| {
                let streams = one.streams.load(Ordering::Acquire);
                one.sender.is_ready() && streams < one.allowed.load(Ordering::Acquire)
            })
            .map(|one| Connected::Http2(one.clone(), StreamLease::new(&one.streams)))
    }

    async fn dial(&self) -> Result<Connected, Rejection> {
        let deadline = Instant::now() + self.connect_timeout;
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| Rejection::from(Reason::UpstreamSaturated))?
            .map_err(|_| Rejection::from(Reason::Internal))?;
        timeout_at(deadline, self.open(permit))
            .await
            .unwrap_or_else(|_| Err(Reason::UpstreamConnectTimeout.into()))
    }

    async fn open(&self, permit: OwnedSemaphorePermit) -> Result<Connected, Rejection> {
        let port = self.target.authority.port_u16().unwrap_or(match self.tls {
            Some(_) => 443,
            None => 80,
        });
        let host = self.target.authority.host();
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| Reason::UpstreamConnect.because(error))?;
        // Without it small requests wait for the peer's delayed acknowledgement.
        let _ = tcp.set_nodelay(true);
        match &self.tls {
            None => {
                let http2 = self.target.protocol == UpstreamProtocol::Http2;
                self.handshake(tcp, http2, permit).await
            }
            Some((connector, name)) => {
                let tls = connector
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(|error| Reason::UpstreamTls.because(error))?;
                let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                self.handshake(tls, http2, permit).await
            }
        }
    }

    async fn handshake<IO>(
        &self,
        io: IO,
        http2: bool,
        permit: OwnedSemaphorePermit,
    ) -> Result<Connected, Rejection>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let protocol = |error: hyper::Error| Reason::UpstreamProtocol.because(error);
        if !http2 {
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(64 << 10)
                .handshake(TokioIo::new(io))
                .await
                .map_err(protocol)?;
            tokio::spawn(connection.with_upgrades());
            return Ok(Connected::Http1 { sender, permit, idle_for: None });
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(256 << 10)
            .initial_connection_window_size(1 << 20)
            .max_send_buf_size(64 << 10)
            .max_header_list_size(64 << 10)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .handshake(TokioIo::new(io))
            .await
            .map_err(protocol)?;
        let allowed = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        tokio::spawn(drive(connection, Arc::clone(&allowed)));
        let permit = Arc::new(permit);
        let shared = Shared { sender, streams: Arc::default(), allowed, _permit: permit };
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).push(shared.clone());
        let stream = StreamLease::new(&shared.streams);
        Ok(Connected::Http2(shared, stream))
    }
}

/// Runs an HTTP/2 connection and keeps what its other end allows up to date.
async fn drive<IO>(
    connection: http2::Connection<IO, RequestBody, TokioExecutor>,
    allowed: Arc<AtomicUsize>,
) where
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let mut connection = std::pin::pin!(connection);
    std::future::poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        allowed.store(connection.current_max_send_streams(), Ordering::Release);
        // Why it ended is told to the exchanges on it.
        polled.map(|_| ())
    })
    .await;
}

/// Origin form, and explicit framing: hyper leaves out the body of a GET whose
/// length it does not know.
fn frame_http1(parts: &mut Parts, body: &RequestBody, path: &str) -> Result<(), Rejection> {
    parts.version = Version::HTTP_11;
    parts.uri = path.parse::<Uri>().map_err(|_| Rejection::from(Reason::TargetMalformed))?;
    if parts.headers.contains_key(header::TE) {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    parts.headers.remove(header::TRANSFER_ENCODING);
    parts.headers.remove(header::CONTENT_LENGTH);
    match body.size_hint().exact() {
        // A POST without a body says so; a GET needs no word.
        Some(0) if is_safe(&parts.method) || parts.method == Method::DELETE => {}
        Some(length) => {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    Ok(())
}

fn frame_http2(
    parts: &mut Parts,
    target: &HttpTarget,
    scheme: &'static str,
    path: &str,
) -> Result<(), Rejection> {
    parts.version = Version::HTTP_2;
    let malformed = || Rejection::from(Reason::TargetMalformed);
    let host = parts.headers.remove(header::HOST);
    let authority = host.as_ref().map_or(target.authority.as_str().as_bytes(), |h| h.as_bytes());
    parts.uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| malformed())?;
    // Set for an HTTP/1.1 connection that turned out closed.
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    Ok(())
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
    if error.is_parse() {
        Reason::UpstreamProtocol.because(describe(error))
    } else {
        Reason::UpstreamClosed.because(describe(error))
    }
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
