//! One request's way over one connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderValue, Method, Uri, Version, header};
use http_body::Body;
use tokio::sync::OwnedSemaphorePermit;

use super::connection::{Http1Connection, Http2Connection, StreamLease};
use super::error::{Cause, Failure, describe};
use super::lease::{Held, Http1Lease, Http2Lease, Lease};
use super::message::{Head, Interim, Received, Response};
use super::pool::Pool;
use super::replay::Sent;
use super::retry::{Reached, Unprocessed, is_safe};

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
    (mut shared, stream): (Http2Connection, StreamLease),
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
        // Nothing is read of it behind this.
        let rest = lent.take_back().map(|body| (*copy, body));
        if lent.has_failed() {
            return Tried::body_failed(error.error());
        }
        let failure = Failure { reached, ..pool.failure(error.error()) };
        Tried::Failed { failure, rest }
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
