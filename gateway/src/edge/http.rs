//! One connection's HTTP: hyper behind our gate, with idle, drain and abuse limits
//! around it. Which version it is was settled by ALPN; nothing is guessed.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::panics;
use crate::pipeline::body::response::ResponseBody;
use crate::pipeline::connection::{Abuse, Connection, Protocol, Upgrade};
use crate::pipeline::outgoing::Outgoing;
use crate::pipeline::reason::FramingFault;
use crate::pipeline::respond;

use super::blocks::BlockGate;
use super::framing::HeadLimits;
use super::gate::RequestGate;
use super::linger::{Transport, linger};
use super::meter::Meter;
use super::service::{Service, Serving};
use super::write_deadline::WriteDeadline;

/// Flow control: what a client may send on a stream that nobody has read yet. The window
/// of its connection holds that of all streams, so that none waits for another (decision
/// 0008).
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
/// What we hold for a client that does not read.
const SEND_BUFFER_BYTES: usize = 16 << 10;
const BUFFER_BYTES: usize = 32 << 10;
/// For GOAWAY and the last bytes of a connection that is ended.
const PARTING: Duration = Duration::from_millis(500);
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// For the answer to a PING, at least. A client of one thread that waits for what it is to
/// upload answers none meanwhile.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The service of one connection. hyper's part is on the heap, and made outside of
/// any future: a future would keep the room of what was moved into it as well.
pub type Served<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Serves HTTP/1.0 and 1.1 until the connection ends.
pub fn serve_http1<S: Service, T: Transport>(
    serving: &Arc<Serving<S>>,
    stream: WriteDeadline<T>,
    connection: Arc<Connection>,
) -> Served<'_> {
    let Serving { edge, rules, .. } = &**serving;
    let head = HeadLimits {
        bytes: rules.head_bytes,
        fields: rules.header_count,
        uri_bytes: rules.uri_bytes,
    };
    let gate = RequestGate::new(
        stream,
        Arc::clone(&connection),
        head,
        rules.timeouts.request_head,
        Arc::clone(&edge.counters),
    );
    let left = gate.left();
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        // The gate keeps the deadline, from a head's first byte instead of from idle.
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES.max(head.bytes + 1024))
        .serve_connection(TokioIo::new(gate), service(serving, &connection, None))
        .with_upgrades();
    let http = Box::pin(http);
    let shut_down = hyper::server::conn::http1::UpgradeableConnection::graceful_shutdown;
    Box::pin(async move {
        drive(serving, Arc::clone(&connection), http, shut_down).await;
        // hyper has gone by now, and its buffers.
        if let Some(stream) = left.take() {
            linger(serving, &connection, stream.into_inner().into_socket()).await;
        }
    })
}

/// Serves HTTP/2 until the connection ends.
pub fn serve_http2<S, T>(
    serving: &Arc<Serving<S>>,
    stream: WriteDeadline<T>,
    connection: Arc<Connection>,
) -> Served<'_>
where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let rules = &serving.rules;
    let stream = Meter::new(stream, Arc::clone(&connection));
    let stream = BlockGate::new(stream);
    let streams = Streams::of(&connection);
    let http = http2::Builder::new(streams.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(rules.h2_streams)
        .max_header_list_size(u32::try_from(rules.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(rules.h2_streams * STREAM_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT.max(rules.timeouts.body_progress_authenticated))
        .serve_connection(TokioIo::new(stream), service(serving, &connection, Some(streams)));
    let shut_down = hyper::server::conn::http2::Connection::graceful_shutdown;
    Box::pin(drive(serving, connection, Box::pin(http), shut_down))
}

/// Polls a connection and ends it when it has been idle too long, when the gateway
/// drains, or when the client abuses it.
async fn drive<S, C>(
    serving: &Serving<S>,
    connection: Arc<Connection>,
    mut http: Pin<Box<C>>,
    shut_down: impl Fn(Pin<&mut C>),
) where
    C: Future<Output = hyper::Result<()>>,
{
    let Serving { edge, rules, .. } = serving;
    let (idle_limit, write_limit) = (rules.timeouts.idle, rules.timeouts.write_progress);
    let idle_ms = millis(idle_limit);
    let mut look = std::pin::pin!(tokio::time::sleep(idle_limit.min(write_limit)));
    let mut drain = std::pin::pin!(edge.lifecycle.drain_started());
    let mut leaving = false;
    loop {
        tokio::select! {
            outcome = http.as_mut() => {
                if let Err(error) = outcome {
                    let of_the_socket =
                        error.source().and_then(|source| source.downcast_ref::<io::Error>());
                    if connection.protocol == Protocol::Http2 && of_the_socket.is_none() {
                        edge.counters.http2_faults.increment();
                    }
                    tracing::debug!(peer = %connection.peer, %error, "connection ended");
                }
                return;
            }
            () = &mut drain, if !leaving => {
                leaving = true;
                shut_down(http.as_mut());
            }
            // Being polled is all that hyper needs to see it.
            () = connection.body_let_go.notified() => {}
            () = connection.abort.notified() => {
                let (counter, what) = match connection.abuse() {
                    Abuse::Resets => (&edge.counters.reset_floods, "resets"),
                    Abuse::Frames => (&edge.counters.frame_floods, "frames without a reason"),
                };
                counter.increment();
                tracing::warn!(peer = %connection.peer, "HTTP/2 connection ended: too many {what}");
                shut_down(http.as_mut());
                let _ = tokio::time::timeout(PARTING, http).await;
                return;
            }
            () = &mut look => {
                let judged = connection.judge_streams(write_limit);
                edge.counters.streams_stalled.add(judged.reset);
                if judged.lost {
                    edge.counters.writes_stalled.increment();
                    connection.note_stalled();
                    return;
                }
                // Bytes that wait for the client are use, too.
                let waiting = judged.next.is_some() || connection.writes.is_blocked();
                let idle = connection.idle_for(edge.clock.now());
                let left = match idle.filter(|_| !waiting) {
                    Some(so_far) if so_far >= idle_ms => {
                        edge.counters.connections_idle_closed.increment();
                        shut_down(http.as_mut());
                        // A client that does not answer the GOAWAY is left all the same.
                        let _ = tokio::time::timeout(PARTING, http).await;
                        return;
                    }
                    Some(so_far) => Duration::from_millis(idle_ms - so_far),
                    None => idle_limit,
                };
                // What begins to wait from now on has until then.
                let left = left.min(judged.next.unwrap_or(write_limit)).min(write_limit);
                look.as_mut().reset(tokio::time::Instant::now() + left);
            }
        }
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Runs the streams of an HTTP/2 connection, each as a task that can be ended by itself.
#[derive(Clone)]
struct Streams {
    connection: Arc<Connection>,
    /// Of the request that the library has just called us for; next it has that run.
    begun: Arc<Mutex<Option<Arc<Outgoing>>>>,
}

impl Streams {
    fn of(connection: &Arc<Connection>) -> Self {
        Self { connection: Arc::clone(connection), begun: Arc::default() }
    }

    fn begin(&self) -> Arc<Outgoing> {
        let stream = self.connection.begin_stream();
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&stream));
        stream
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = begun.clone();
        let mut future = Box::pin(future);
        let mut future = std::future::poll_fn(move |cx| {
            let polled = future.as_mut().poll(cx);
            if let Some(stream) = &stream {
                // The library has the head by now, and what there is of the body.
                stream.release_writes();
            }
            polled.map(drop)
        });
        // A refusal that waits for nothing is complete before the connection writes any of
        // it. Else a client that stops its upload at the head would have the stream reset
        // for what is missing of it, and lose the rest of the response.
        let mut nobody = Context::from_waker(Waker::noop());
        let first = AssertUnwindSafe(|| Pin::new(&mut future).poll(&mut nobody));
        // A defect ends the stream and not the connection, as in a task of its own.
        if std::panic::catch_unwind(first).map_or(true, |polled| polled.is_ready()) {
            return;
        }
        let task = tokio::spawn(future);
        if let Some(stream) = begun {
            stream.set_task(task.abort_handle());
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

fn service<S: Service>(
    serving: &Arc<Serving<S>>,
    connection: &Arc<Connection>,
    streams: Option<Streams>,
) -> impl hyper::service::HttpService<
    Incoming,
    ResBody = ResponseBody,
    Error = Infallible,
    Future = Answering,
> + use<S> {
    let serving = Arc::clone(serving);
    let connection = Arc::clone(connection);
    service_fn(move |request: Request<Incoming>| {
        // Read here and not in the future: a later fault is of a later message.
        let fault = connection.fault();
        let outgoing = streams.as_ref().map(Streams::begin);
        let (serving, connection) = (Arc::clone(&serving), Arc::clone(&connection));
        let answering = answer(serving, connection, fault, request, outgoing);
        Box::pin(answering) as Answering
    })
}

async fn answer<S: Service>(
    serving: Arc<Serving<S>>,
    connection: Arc<Connection>,
    fault: Option<FramingFault>,
    request: Request<Incoming>,
    outgoing: Option<Arc<Outgoing>>,
) -> Result<Response<ResponseBody>, Infallible> {
    if fault == Some(FramingFault::HeadTimeout) {
        serving.edge.counters.heads_timed_out.increment();
    }
    let outcome = {
        // Dropped here: what follows has its room.
        let service = Arc::clone(&serving.service);
        let handling = service.answer(Arc::clone(&connection), fault, request);
        panics::caught(std::pin::pin!(handling)).await
    };
    let mut response = outcome.unwrap_or_else(|| {
        serving.edge.counters.panics.increment();
        tracing::error!("request handler panicked");
        connection.decide_upgrade(Upgrade::Refused);
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        if connection.protocol == Protocol::Http1 {
            // What was left of the request is not known.
            respond::close(response.headers_mut());
        }
        response
    });
    if let Some(outgoing) = outgoing {
        if response.status().as_u16() >= 300 && response.body().cuts_upload_short() {
            // curl ends the stream at such a head; for what is missing of the upload the
            // library then resets it, and drops what is not written of the response.
            Box::pin(response.body_mut().read_ahead()).await;
            outgoing.hold_writes();
        }
        response.body_mut().watch(outgoing);
    } else if response.body().is_streamed() {
        // Its connection is judged as a whole.
        response.body_mut().watch(Arc::new(Outgoing::new(Arc::clone(&connection.writes))));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    /// It is allocated and moved for every request; what few of them do is boxed.
    #[test]
    fn the_future_of_a_request_is_small() {
        fn size<A, B, C, D, E, F: Future>(_: impl Fn(A, B, C, D, E) -> F) -> usize {
            size_of::<F>()
        }
        let size = size(super::answer::<crate::pipeline::Gateway>);
        assert!(size <= 6 << 10, "{size} bytes");
    }
}
