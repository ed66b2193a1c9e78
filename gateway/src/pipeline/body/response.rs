//! The body of a response: the gateway's own or an upstream's, at whose end the access record
//! is written.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;

use crate::pipeline::fields::remove_framing;
use crate::pipeline::outgoing::{ENOUGH_BYTES, Outgoing, Piece};
use crate::pipeline::record::RequestRecord;
use crate::pipeline::revocation::RevocationWatch;
use crate::upstream::Holding;
use crate::upstream::message::{BoxError, Received};

/// Why the body of a response did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseBodyError {
    #[error("the upstream's response was incomplete")]
    Broken,
    #[error("the credential behind the stream has ended")]
    CredentialEnded,
}

impl ResponseBodyError {
    /// Stable, for logs.
    fn code(self) -> &'static str {
        match self {
            ResponseBodyError::Broken => "upstream_broken",
            ResponseBodyError::CredentialEnded => "credential_ended",
        }
    }
}

/// How long the head of an answer may wait for the body behind it.
const MOMENT: Duration = Duration::from_secs(1);
/// In how many parts; they may be small, or even empty.
const PARTS: usize = 64;

/// The body of an answer.
pub struct ResponseBody {
    content: Content,
    /// Written to the access log when the body ends or is dropped.
    record: Option<Box<RequestRecord>>,
    /// Who writes it instead.
    hand_over: Option<oneshot::Sender<Box<RequestRecord>>>,
    /// What its client takes of it.
    outgoing: Option<Arc<Outgoing>>,
}

enum Content {
    Empty,
    Full(Bytes),
    /// All has been handed over but the end, with its trailers if there are some.
    Ending(Option<HeaderMap>),
    Upstream {
        /// What has been read of it ahead.
        ahead: Option<Box<Ahead>>,
        incoming: Received,
        lease: Option<Holding>,
        watch: Option<RevocationWatch>,
    },
}

/// Parts of an upstream's body that are read and not handed over; at its end none. On the
/// heap, for few bodies have them.
#[derive(Default)]
struct Ahead(VecDeque<Option<Result<Frame<Bytes>, BoxError>>>);

impl Ahead {
    fn bytes(&self) -> u64 {
        let frames = self.0.iter().filter_map(|part| part.as_ref()?.as_ref().ok());
        frames.filter_map(Frame::data_ref).map(|data| data.len() as u64).sum()
    }

    /// Whether nothing belongs before the rest any more.
    fn is_over(ahead: Option<&Self>) -> bool {
        ahead.is_none_or(|ahead| ahead.0.is_empty())
    }
}

impl ResponseBody {
    fn of(content: Content) -> Self {
        Self { content, record: None, hand_over: None, outgoing: None }
    }

    #[must_use]
    pub fn empty() -> Self {
        Self::of(Content::Empty)
    }

    /// None, and the request goes on where its record is received.
    #[must_use]
    pub fn handing_over(record: oneshot::Sender<Box<RequestRecord>>) -> Self {
        let mut body = Self::empty();
        body.hand_over = Some(record);
        body
    }

    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let content = if bytes.is_empty() { Content::Empty } else { Content::Full(bytes) };
        Self::of(content)
    }

    /// An upstream's body. `lease` goes back to the pool when it has been read to
    /// its end; dropped before, the connection is closed.
    #[must_use]
    pub fn upstream(incoming: Received, lease: Holding, watch: Option<RevocationWatch>) -> Self {
        if incoming.is_end_stream() {
            lease.give_back();
            return Self::empty();
        }
        let content = Content::Upstream { ahead: None, incoming, lease: Some(lease), watch };
        Self::of(content)
    }

    /// Leaves out what the gateway itself would say; answers how long that was.
    pub fn leave_out(&mut self) -> Option<usize> {
        let Content::Full(bytes) = &self.content else { return None };
        let length = bytes.len();
        self.content = Content::Empty;
        Some(length)
    }

    #[must_use]
    pub fn with_record(mut self, record: Box<RequestRecord>) -> Self {
        match self.hand_over.take() {
            // The receiver is there as long as the process is.
            Some(receiver) => drop(receiver.send(record)),
            None => self.record = Some(record),
        }
        self
    }

    /// What is handed over from now on is watched for being taken, and the request's places
    /// are kept until it is.
    pub fn watch(&mut self, outgoing: Arc<Outgoing>) {
        if let Some(record) = &mut self.record {
            outgoing.keep([record.place.take(), record.under_way.take()]);
        }
        self.outgoing = Some(outgoing);
    }

    /// Whether it comes piece by piece.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        matches!(self.content, Content::Upstream { .. })
    }

    /// Whether its head, if it tells of no success, makes the client end its upload short of
    /// the length that it has declared.
    #[must_use]
    pub fn cuts_upload_short(&self) -> bool {
        let progress = self.record.as_ref().and_then(|record| record.body.as_ref());
        progress.is_some_and(|body| body.declared().is_some() && !body.ended())
    }

    /// Waits for what can be handed over together with the head: all of a short body, or
    /// the beginning of a longer one. No longer than a moment.
    pub async fn read_ahead(&mut self) {
        let Content::Upstream { ahead, incoming, .. } = &mut self.content else { return };
        let ahead = ahead.get_or_insert_default();
        let reading = async {
            let mut bytes = 0;
            while bytes < ENOUGH_BYTES && ahead.0.len() < PARTS && !incoming.is_end_stream() {
                let part = incoming.frame().await;
                let data = part.as_ref().and_then(|part| part.as_ref().ok()?.data_ref());
                // Behind what is no data nothing comes.
                bytes += data.map_or(ENOUGH_BYTES, |data| data.len() as u64);
                ahead.0.push_back(part);
            }
        };
        // What has come until then goes as it is.
        let _ = tokio::time::timeout(MOMENT, reading).await;
    }

    fn holds_end(&self) -> bool {
        self.outgoing.as_ref().is_some_and(|outgoing| outgoing.holds_end())
    }

    fn finished(&mut self) {
        if let Some(record) = self.record.take() {
            record.complete();
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let outgoing = self.outgoing.as_ref();
            let stalled = outgoing.is_some_and(|outgoing| outgoing.is_stalled());
            let taken = outgoing.is_none_or(|outgoing| outgoing.is_taken());
            // What ends by itself has been completed above, but for bodies that
            // hyper knows to be empty or sends in one piece.
            match self.content {
                _ if stalled || record.has_stalled() => record.stall(),
                Content::Empty | Content::Full(_) => record.complete(),
                Content::Ending(_) if taken => record.complete(),
                Content::Ending(_) | Content::Upstream { .. } => record.abandon(),
            }
        }
    }
}

impl ResponseBody {
    fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let this = self;
        let polled = match &mut this.content {
            Content::Empty => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.content = Content::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Content::Ending(trailers) => {
                if let Some(outgoing) = &this.outgoing {
                    ready!(outgoing.poll_taken(cx));
                }
                let trailers = trailers.take();
                this.content = Content::Empty;
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Content::Upstream { ahead, incoming, lease, watch } => {
                if watch.as_mut().is_some_and(|watch| watch.has_ended(cx)) {
                    Poll::Ready(Some(Err(ResponseBodyError::CredentialEnded)))
                } else {
                    if let Some(outgoing) = &this.outgoing {
                        ready!(outgoing.poll_room(cx));
                    }
                    let part = match ahead.as_mut().and_then(|ahead| ahead.0.pop_front()) {
                        Some(part) => Poll::Ready(part),
                        None => Pin::new(incoming).poll_frame(cx),
                    };
                    match part {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(None) => {
                            if let Some(lease) = lease.take() {
                                lease.give_back();
                            }
                            this.content = Content::Empty;
                            Poll::Ready(None)
                        }
                        Poll::Ready(Some(frame)) => Poll::Ready(Some(
                            frame.map(clean_trailers).map_err(|_| ResponseBodyError::Broken),
                        )),
                    }
                }
            }
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(data), Some(record)) = (frame.data_ref(), &mut this.record) {
                    record.count_sent(data.len());
                }
                // A body of known length is not polled again after its last byte, and none
                // after its trailers.
                if let Content::Upstream { ahead, incoming, lease, .. } = &mut this.content
                    && (Ahead::is_over(ahead.as_deref()) && incoming.is_end_stream()
                        || frame.is_trailers())
                {
                    if let Some(lease) = lease.take() {
                        lease.give_back();
                    }
                    this.content = Content::Empty;
                }
            }
            Poll::Ready(Some(Err(error))) => {
                if let Some(record) = this.record.take() {
                    record.break_off(error.code());
                }
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }
}

impl Body for ResponseBody {
    type Data = Piece;
    type Error = ResponseBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, ResponseBodyError>>> {
        let this = &mut *self;
        loop {
            let frame = match ready!(this.poll_bytes(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if this.holds_end() => {
                    this.content = Content::Ending(None);
                    continue;
                }
                None => {
                    this.finished();
                    return Poll::Ready(None);
                }
            };
            let frame = match frame.into_trailers() {
                Ok(trailers) if this.holds_end() => {
                    this.content = Content::Ending(Some(trailers));
                    continue;
                }
                Ok(trailers) => Frame::trailers(trailers),
                Err(frame) => frame.map_data(|bytes| match &this.outgoing {
                    Some(outgoing) => outgoing.hand_over(bytes),
                    None => bytes.into(),
                }),
            };
            if matches!(this.content, Content::Empty) && this.holds_end() {
                this.content = Content::Ending(None);
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(_) | Content::Ending(_) => false,
            Content::Upstream { ahead, incoming, .. } => {
                Ahead::is_over(ahead.as_deref()) && incoming.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty | Content::Ending(_) => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Upstream { ahead, incoming, .. } => {
                let ahead = ahead.as_ref().map_or(0, |ahead| ahead.bytes());
                incoming
                    .size_hint()
                    .exact()
                    .map_or_else(SizeHint::new, |rest| SizeHint::with_exact(ahead + rest))
            }
        }
    }
}

/// Trailers that would change how the message is read have no business in a trailer.
fn clean_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            remove_framing(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

#[cfg(test)]
mod tests;
