//! What an upstream says first on a connection that was opened for HTTP/2: a server of
//! HTTP/1 takes the preface (RFC 9113 3.4) for a bad request, and answers it as one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncRead;
use tokio_util::io::InspectReader;

/// What every response of HTTP/1 begins with. As a frame of HTTP/2 it would have more than
/// four million bytes, which no server may send before it is asked for so much.
const HTTP1: &[u8] = b"HTTP/1";

/// Sets the flag once the first bytes that are read are those of an answer of HTTP/1.
pub(super) fn watch<S: AsyncRead>(
    io: S,
    answered_http1: Arc<AtomicBool>,
) -> InspectReader<S, impl FnMut(&[u8])> {
    // What is still to come of them; `None` once that is decided.
    let mut awaited = Some(HTTP1);
    InspectReader::new(io, move |bytes: &[u8]| {
        let Some(rest) = awaited else { return };
        let (now, later) = rest.split_at(bytes.len().min(rest.len()));
        awaited = bytes.starts_with(now).then_some(later);
        if awaited.is_some_and(<[u8]>::is_empty) {
            answered_http1.store(true, Ordering::Release);
            awaited = None;
        }
    })
}
