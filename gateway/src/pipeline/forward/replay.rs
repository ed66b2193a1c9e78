//! A request's body that can be sent again: what has been read of it is kept as long as
//! that is little, and given to the next connection first.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::pipeline::body::{BodyError, BodyProgress, RequestBody};

use super::uploads::Uploads;

/// Kept of one body while its answer is awaited over HTTP/2. Forms, JSON and unary calls
/// fit; a connection's hundred streams keep 1.6 MiB at most.
pub const KEPT_BYTES: usize = 16 << 10;

/// A body, with what has been read of it.
pub struct Replayed {
    body: RequestBody,
    read: BytesMut,
    /// How much of what was read has been given out again.
    at: usize,
    /// Nothing that was read is lost.
    whole: bool,
}

impl Replayed {
    fn new(body: RequestBody) -> Self {
        Self { body, read: BytesMut::new(), at: 0, whole: true }
    }

    /// From its beginning, if that is there and the client has not failed.
    fn rewound(mut self) -> Option<Self> {
        self.at = 0;
        (self.whole && self.body.progress().failure().is_none()).then_some(self)
    }

    /// Nobody will send it again.
    fn forget(&mut self) {
        self.whole = false;
        if self.at == self.read.len() {
            self.read = BytesMut::new();
            self.at = 0;
        }
    }

    fn note(&mut self, data: &Bytes, most: usize) {
        let fits = self.read.len() + data.len() <= most && self.size_hint().lower() <= most as u64;
        if self.whole && fits {
            self.read.extend_from_slice(data);
            self.at = self.read.len();
        } else if !data.is_empty() {
            self.forget();
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.at < self.read.len() {
            let again = Bytes::copy_from_slice(&self.read[self.at..]);
            self.at = self.read.len();
            if !self.whole {
                self.forget();
            }
            return Poll::Ready(Some(Ok(Frame::data(again))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => self.note(data, most),
                // Trailers are not kept.
                None => self.forget(),
            },
            Some(Err(_)) => self.forget(),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.read.len() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = (self.read.len() - self.at) as u64;
        let mut hint = self.body.size_hint();
        // The upper bound first: it may not be below the lower.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

/// A body as it is given to a connection.
pub enum Sent {
    /// Over HTTP/1.1: what has been read is on its way, and nobody learns how far it came.
    Once(Replayed),
    Again(Shared),
}

impl Sent {
    #[must_use]
    pub fn new(body: RequestBody) -> Self {
        Sent::Once(Replayed::new(body))
    }

    /// For a connection of HTTP/2 that runs `uploads`, which hears of it when it is read
    /// for the first time. The second is for taking it back.
    #[must_use]
    pub fn lend(self, uploads: &Uploads) -> Option<(Self, Lent)> {
        let body = self.take()?;
        let progress = body.body.progress();
        let lent = Lent(Arc::new(Mutex::new(Some(body))));
        let first = Some((uploads.clone(), progress));
        Some((Sent::Again(Shared { body: lent.clone(), first }), lent))
    }

    /// For a connection of HTTP/1.1.
    #[must_use]
    pub fn once(self) -> Option<Self> {
        self.take().map(Sent::Once)
    }

    fn take(self) -> Option<Replayed> {
        match self {
            Sent::Once(body) => Some(body),
            Sent::Again(shared) => shared.body.lock().take(),
        }
    }
}

/// What the connection has of a body that can be taken back.
pub struct Shared {
    body: Lent,
    first: Option<(Uploads, Arc<BodyProgress>)>,
}

/// A body that is on its way. The library keeps its own for as long as it likes: only
/// what is taken from it is surely not sent any more.
#[derive(Clone)]
pub struct Lent(Arc<Mutex<Option<Replayed>>>);

impl Lent {
    /// The body from its beginning; none when it is not there any more.
    #[must_use]
    pub fn take_back(&self) -> Option<Sent> {
        self.lock().take().and_then(Replayed::rewound).map(Sent::Once)
    }

    /// The upstream has answered: it will not be sent again.
    pub fn settle(&self) {
        if let Some(body) = &mut *self.lock() {
            body.forget();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Replayed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Sent::Once(body) => body.poll(cx, 0),
            Sent::Again(shared) => {
                if let Some((uploads, progress)) = shared.first.take() {
                    uploads.begin(&progress);
                }
                match &mut *shared.body.lock() {
                    Some(body) => body.poll(cx, KEPT_BYTES),
                    // It goes on elsewhere.
                    None => Poll::Ready(Some(Err(BodyError::Broken))),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Sent::Once(body) => body.is_end_stream(),
            Sent::Again(shared) => shared.body.lock().as_ref().is_some_and(Replayed::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Sent::Once(body) => body.size_hint(),
            Sent::Again(shared) => {
                shared.body.lock().as_ref().map_or_else(SizeHint::default, Replayed::size_hint)
            }
        }
    }
}

#[cfg(test)]
mod tests;
