//! What goes to an upstream and comes back, in no library's words, and one request's way
//! over one connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use super::error::{Cause, Failure};
use super::gate::Malformed;
use super::lease::{Held, Http1Connection, Http1Lease, Http2Lease, Lease, StreamLease};
use super::pool::{Pool, Shared};
use super::replay::Sent;
use super::retry::{Reached, Unprocessed, is_safe};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What follows the head of a request. Read once, from its beginning to its end; what it
/// fails with ends the exchange with [`Cause::Body`].
pub type Content = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// Hears of interim responses (RFC 9110 15.2) but 101, as they come over HTTP/1.1.
pub type Interim = Arc<dyn Fn(StatusCode, &HeaderMap) + Send + Sync>;

/// A request, as its upstream is to get it. Fields of framing are the connection's: those
/// that are here are replaced.
#[derive(Clone)]
pub struct Head {
    pub method: Method,
    pub target: PathAndQuery,
    /// What is asked for, unless the upstream is configured to be asked by another name.
    pub host: HeaderValue,
    pub fields: HeaderMap,
    pub interim: Option<Interim>,
}

/// A response's head, and its body as it comes.
pub type Response = http::Response<Received>;

/// The body of a response.
pub struct Received(Incoming);

impl Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A connection that has switched to another protocol, once the head of its 101 is read.
pub struct Switched {
    stream: OnUpgrade,
    /// One of those that may be in use at once, until this is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

impl Switched {
    /// Of a response with status 101.
    pub(super) fn new(response: &mut Response, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream: hyper::upgrade::on(response), permit }
    }

    /// What lies behind the head, and what is to be held as long as it is in use.
    ///
    /// # Errors
    /// When the connection ended before.
    pub async fn open(
        self,
    ) -> Result<(impl AsyncRead + AsyncWrite + Unpin + Send, impl Send), BoxError> {
        Ok((TokioIo::new(self.stream.await?), self.permit))
    }
}

/// What became of one try.
pub(super) enum Tried {
    Answered(Response, Lease),
    Failed {
        failure: Failure,
        /// The request, when it can be sent once more.
        rest: Option<(Head, Sent)>,
    },
}

/// Sends a request over a connection of HTTP/1.1 and waits for the head of its response.
///
/// Nothing that is handed to the library is part of the future, which is part of every
/// request's.
///
/// # Errors
/// A defect of the gateway.
pub(super) fn over_http1(
    pool: &Arc<Pool>,
    (connection, permit): (Http1Connection, OwnedSemaphorePermit),
    (head, body): (Head, Sent),
    copy: bool,
) -> Result<impl Future<Output = Tried>, Cause> {
    let body = body.once().ok_or(Cause::Internal)?;
    let (upload, interim) = (body.upload(), head.interim.clone());
    let copy = copy.then(|| Box::new(head.clone()));
    // Held while we wait: should the client leave, the connection goes.
    let held = Held { pool: Arc::clone(pool), connection, permit, upload: upload.clone() };
    let mut lease = Http1Lease::new(held);
    let Http1Connection { sender, question, .. } = lease.connection().ok_or(Cause::Internal)?;
    question.ask(&head.method);
    let sending = sender.try_send_request(frame_http1(head, body));
    let pool = Arc::clone(pool);
    Ok(async move {
        let mut error = match sending.await {
            Ok(response) => return Tried::Answered(response.map(Received), Lease::Http1(lease)),
            Err(error) => error,
        };
        // Never left: the connection had been closed meanwhile.
        if let Some(request) = error.take_message() {
            let failure = Failure { reached: Reached::Gateway, ..pool.failure(error.error()) };
            return Tried::Failed { failure, rest: unframe_http1(request, interim) };
        }
        if upload.is_some_and(|upload| upload.has_failed()) {
            return Tried::body_failed(error.error());
        }
        // Left on a connection that was closed as it did, or later.
        let closed = is_closed(error.error());
        let reached = if closed { Reached::Connection } else { Reached::Upstream };
        let failure = Failure { reached, ..pool.failure(error.error()) };
        Tried::Failed { failure, rest: copy.map(|head| (*head, Sent::Nothing)) }
    })
}

/// Sends a request as a stream of a connection of HTTP/2, and waits for its response. As
/// above.
///
/// # Errors
/// When it cannot be put into a request, or by a defect of the gateway.
pub(super) fn over_http2(
    pool: &Arc<Pool>,
    (mut shared, stream): (Shared, StreamLease),
    (head, body): (Head, Sent),
) -> Result<impl Future<Output = Tried>, Cause> {
    let (now, lent) = body.lend(&shared.uploads).ok_or(Cause::Internal)?;
    // What the upstream does not look at is not given back.
    let copy = Box::new(head.clone());
    let request = frame_http2(head, now, pool.scheme())?;
    // Held while we wait, as above.
    let lease = Http2Lease::new(&lent, stream);
    let sending = shared.sender.try_send_request(request);
    let pool = Arc::clone(pool);
    Ok(async move {
        let mut error = match sending.await {
            Ok(response) => {
                lent.settle();
                return Tried::Answered(response.map(Received), Lease::Http2(lease));
            }
            Err(error) => error,
        };
        if shared.answered_http1.load(Ordering::Acquire) {
            let failure = Cause::NoHttp2.with_detail("it answers in HTTP/1");
            let failure = Failure { reached: Reached::Upstream, ..failure };
            return Tried::Failed { failure, rest: None };
        }
        let reached = match (error.take_message(), unprocessed(error.error())) {
            (Some(_), _) => Reached::Gateway,
            (None, Some(why)) => {
                if why != Unprocessed::Refused {
                    pool.retire(&shared);
                }
                Reached::Unprocessed(why)
            }
            (None, None) => Reached::Upstream,
        };
        if lent.has_failed() {
            return Tried::body_failed(error.error());
        }
        let failure = Failure { reached, ..pool.failure(error.error()) };
        Tried::Failed { failure, rest: lent.take_back().map(|body| (*copy, body)) }
    })
}

impl Tried {
    fn body_failed(error: &hyper::Error) -> Self {
        let failure =
            Failure { reached: Reached::Upstream, ..Cause::Body.with_detail(describe(error)) };
        Tried::Failed { failure, rest: None }
    }
}

/// Whether the connection was closed under what was sent.
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

/// h2 gives the error of a GOAWAY only to streams above its last id, and to requests that
/// come too late to be a stream of it.
fn unprocessed(error: &hyper::Error) -> Option<Unprocessed> {
    let cause = std::error::Error::source(error)?.downcast_ref::<h2::Error>()?;
    let reason = cause.reason().filter(|_| cause.is_remote())?;
    if cause.is_go_away() {
        let graceful = reason == h2::Reason::NO_ERROR;
        Some(if graceful { Unprocessed::Leaving } else { Unprocessed::Failing })
    } else {
        (cause.is_reset() && reason == h2::Reason::REFUSED_STREAM).then_some(Unprocessed::Refused)
    }
}

/// What an error of the library says of the upstream, without what TLS knows of it.
pub(super) fn failure(error: &hyper::Error) -> Failure {
    let cause =
        if error.is_parse() || is_malformed(error) { Cause::Protocol } else { Cause::Closed };
    cause.with_detail(describe(error))
}

/// Whether our own gate has stopped the response.
fn is_malformed(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .is_some_and(|cause| cause.downcast_ref::<Malformed>().is_some())
}

/// The error with its causes: the library's own words seldom suffice.
pub(super) fn describe(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Origin form, and explicit framing: hyper leaves out the body of a GET whose
/// length it does not know.
fn frame_http1<B: Body>(head: Head, body: B) -> http::Request<B> {
    let Head { method, target, host, fields: mut headers, interim } = head;
    headers.insert(header::HOST, host);
    // Beside a handshake `Connection` says something else already.
    if headers.contains_key(header::TE) && !headers.contains_key(header::UPGRADE) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    match body.size_hint().exact() {
        // A POST without a body says so; a GET needs no word.
        Some(0) if is_safe(&method) || method == Method::DELETE => {}
        Some(length) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(target);
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    if let Some(interim) = interim {
        hyper::ext::on_informational(&mut request, move |response| {
            interim(response.status(), response.headers());
        });
    }
    request
}

/// What a request was made of that was not sent.
fn unframe_http1<B>(request: http::Request<B>, interim: Option<Interim>) -> Option<(Head, B)> {
    let (parts, body) = request.into_parts();
    let (method, mut fields) = (parts.method, parts.headers);
    let target = parts.uri.into_parts().path_and_query?;
    let host = fields.remove(header::HOST)?;
    Some((Head { method, target, host, fields, interim }, body))
}

fn frame_http2<B>(head: Head, body: B, scheme: &'static str) -> Result<http::Request<B>, Cause> {
    let Head { method, target, host, fields: mut headers, .. } = head;
    // Set for an HTTP/1.1 connection that turned out closed.
    for name in
        [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH]
    {
        headers.remove(name);
    }
    let mut request = http::Request::new(body);
    *request.uri_mut() = Uri::builder()
        .scheme(scheme)
        .authority(host.as_bytes())
        .path_and_query(target)
        .build()
        .map_err(|_| Cause::Target)?;
    *request.method_mut() = method;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
mod tests;
