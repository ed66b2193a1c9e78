//! A request's body that can be sent again: what has been read of it is kept as long as
//! that is little, and given to the next connection first.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::message::{BoxError, Content};
use super::uploads::{Upload, Uploads};

/// Kept of one body while its response is awaited over HTTP/2. Forms, JSON and unary calls
/// fit; a connection's hundred streams keep 1.6 MiB at most.
pub const KEPT_BYTES: usize = 16 << 10;

/// A body, with what has been read of it.
pub struct Replayed {
    content: Content,
    upload: Arc<Upload>,
    read: BytesMut,
    /// How much of what was read has been given out again.
    at: usize,
    /// Nothing that was read is lost.
    whole: bool,
}

impl Replayed {
    fn new(content: Content) -> Self {
        let upload = Arc::<Upload>::default();
        Self { content, upload, read: BytesMut::new(), at: 0, whole: true }
    }

    /// From its beginning, if that is there.
    fn rewound(mut self) -> Option<Self> {
        if !self.whole {
            return None;
        }
        self.at = 0;
        if !self.read.is_empty() {
            self.upload.begin_again();
        }
        Some(self)
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
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.at < self.read.len() {
            let again = Bytes::copy_from_slice(&self.read[self.at..]);
            self.at = self.read.len();
            if !self.whole {
                self.forget();
            }
            self.note_end();
            return Poll::Ready(Some(Ok(Frame::data(again))));
        }
        let frame = ready!(self.content.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => self.note(data, most),
                // Trailers are not kept.
                None => self.forget(),
            },
            Some(Err(_)) => {
                self.upload.note_failure();
                self.forget();
            }
            None => {}
        }
        if frame.is_none() {
            self.upload.note_end();
        } else {
            self.note_end();
        }
        Poll::Ready(frame)
    }

    /// Of a body whose length is known the end is not read.
    fn note_end(&self) {
        if self.is_end_stream() {
            self.upload.note_end();
        }
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.read.len() && self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = (self.read.len() - self.at) as u64;
        let mut hint = self.content.size_hint();
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
    /// The request ends with its head.
    Nothing,
    /// Over HTTP/1.1: what has been read is on its way, and nobody learns how far it came.
    Once(Replayed),
    /// Over HTTP/2: it can be taken back as long as nothing of it is lost.
    OnLoan(OnLoan),
}

impl Sent {
    #[must_use]
    pub fn new(content: Option<Content>) -> Self {
        content.map_or(Sent::Nothing, |content| Sent::Once(Replayed::new(content)))
    }

    /// For a connection of HTTP/2 that runs `uploads`, which hears of it when it is read
    /// for the first time. The second is for taking it back.
    #[must_use]
    pub fn lend(self, uploads: &Uploads) -> Option<(Self, Lent)> {
        let body = match self {
            Sent::Nothing => return Some((Sent::Nothing, Lent(None))),
            sent => sent.take()?,
        };
        let upload = Arc::clone(&body.upload);
        let lent = Arc::new(Kept { body: Mutex::new(Some(body)), upload });
        let first = Some(uploads.clone());
        Some((Sent::OnLoan(OnLoan { kept: Arc::clone(&lent), first }), Lent(Some(lent))))
    }

    /// For a connection of HTTP/1.1.
    #[must_use]
    pub fn once(self) -> Option<Self> {
        match self {
            Sent::Nothing => Some(Sent::Nothing),
            sent => sent.take().map(Sent::Once),
        }
    }

    /// How its sending fares.
    #[must_use]
    pub fn upload(&self) -> Option<Arc<Upload>> {
        match self {
            Sent::Nothing => None,
            Sent::Once(body) => Some(Arc::clone(&body.upload)),
            Sent::OnLoan(loan) => Some(Arc::clone(&loan.kept.upload)),
        }
    }

    fn take(self) -> Option<Replayed> {
        match self {
            Sent::Nothing => None,
            Sent::Once(body) => Some(body),
            Sent::OnLoan(loan) => loan.kept.lock().take(),
        }
    }
}

/// A body that is on its way. The library keeps its own for as long as it likes: only
/// what is taken from here is surely not sent any more.
struct Kept {
    body: Mutex<Option<Replayed>>,
    upload: Arc<Upload>,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Option<Replayed>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the connection has of a body that can be taken back.
pub struct OnLoan {
    kept: Arc<Kept>,
    first: Option<Uploads>,
}

/// The right to take a body back, if there is one.
#[derive(Clone)]
pub struct Lent(Option<Arc<Kept>>);

impl Lent {
    /// The body from its beginning; none when it is not there any more.
    #[must_use]
    pub fn take_back(&self) -> Option<Sent> {
        match &self.0 {
            None => Some(Sent::Nothing),
            Some(kept) => kept.lock().take().and_then(Replayed::rewound).map(Sent::Once),
        }
    }

    /// The upstream has answered: it will not be sent again.
    pub fn settle(&self) {
        if let Some(kept) = &self.0
            && let Some(body) = &mut *kept.lock()
        {
            body.forget();
        }
    }

    /// Whether the source of the body has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.as_ref().is_some_and(|kept| kept.upload.has_failed())
    }

    /// How its sending fares.
    #[must_use]
    pub fn upload(&self) -> Option<Arc<Upload>> {
        self.0.as_ref().map(|kept| Arc::clone(&kept.upload))
    }
}

/// The body goes on over another connection, and this one has no more of it.
#[derive(Debug, thiserror::Error)]
#[error("the body was taken back")]
struct TakenBack;

impl Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Sent::Nothing => Poll::Ready(None),
            Sent::Once(body) => body.poll(cx, 0),
            Sent::OnLoan(loan) => {
                if let Some(uploads) = loan.first.take() {
                    uploads.begin(Arc::clone(&loan.kept.upload));
                }
                match &mut *loan.kept.lock() {
                    Some(body) => body.poll(cx, KEPT_BYTES),
                    None => Poll::Ready(Some(Err(TakenBack.into()))),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Sent::Nothing => true,
            Sent::Once(body) => body.is_end_stream(),
            Sent::OnLoan(loan) => loan.kept.lock().as_ref().is_some_and(Replayed::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Sent::Nothing => SizeHint::with_exact(0),
            Sent::Once(body) => body.size_hint(),
            Sent::OnLoan(loan) => {
                loan.kept.lock().as_ref().map_or_else(SizeHint::default, Replayed::size_hint)
            }
        }
    }
}

#[cfg(test)]
mod tests;
