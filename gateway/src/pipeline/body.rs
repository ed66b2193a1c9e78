//! Bodies on their way through: streamed, counted, bounded, never collected.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::auth::principal::Principal;
use crate::config::Timeouts;
use crate::upstream::Holding;
use crate::upstream::message::{BoxError, Received};

use super::connection::Connection;
use super::forward::field_names::TrailerFilter;
use super::message::trim_values;
use super::outgoing::{ENOUGH_BYTES, Outgoing, Piece};
use super::record::RequestRecord;
use super::rest::{self, Rest};
use super::watch::PrincipalWatch;

/// Why a body did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than the route allows")]
    TooLarge,
    #[error("the client stopped sending")]
    Stalled,
    #[error("the client's message broke off or was malformed")]
    Broken,
    #[error("the upstream's answer broke off")]
    UpstreamBroken,
    #[error("the credential behind the stream has ended")]
    CredentialEnded,
}

/// Shared between a request body, which an upstream connection owns once sent,
/// and the pipeline, which must know how it fared.
#[derive(Debug, Default)]
pub struct BodyProgress {
    /// What its head says it is long, if it does.
    declared: Option<u64>,
    /// The client asked for a word before it sends the body (RFC 9110 10.1.1).
    expects: bool,
    received: AtomicU64,
    failure: AtomicU8,
    ended: AtomicBool,
    /// The client is waited for, and has a deadline of its own.
    paused: AtomicBool,
    /// Once the upstream has begun to answer, the two talk at their own pace.
    answered: AtomicBool,
    pub(super) rest: Rest,
}

impl BodyProgress {
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether everything the client had to send has been read.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the client is to blame for nothing coming, and only for so long.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Whether a connection of HTTP/1.1 can go on behind the body, and be told so before it
    /// has come: what is left is short, and the client is bound to send it.
    pub(super) async fn comes_soon(&self) -> bool {
        if self.ended() {
            return true;
        }
        let received = self.received();
        if self.expects && received == 0 {
            // It may leave the body out now, or send it.
            return false;
        }
        match self.declared {
            Some(declared) => declared.saturating_sub(received) <= rest::SHORT_BYTES,
            None => self.rest.has_arrived().await,
        }
    }

    /// The upstream has begun to answer: the deadline for progress is lifted.
    pub fn note_answer(&self) {
        self.answered.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn failure(&self) -> Option<BodyError> {
        match self.failure.load(Ordering::Acquire) {
            1 => Some(BodyError::TooLarge),
            2 => Some(BodyError::Stalled),
            3 => Some(BodyError::Broken),
            _ => None,
        }
    }

    fn fail(&self, error: BodyError) -> BodyError {
        let number = match error {
            BodyError::TooLarge => 1,
            BodyError::Stalled => 2,
            _ => 3,
        };
        self.failure.store(number, Ordering::Release);
        error
    }
}

/// The body of a request, from its client. Whoever drops it before it has ended leaves the
/// rest to be discarded.
pub struct ClientBody(Option<Box<Coming>>);

/// One that has not ended; on the heap, for many futures have room for it.
struct Coming {
    /// There until it is dropped.
    incoming: Option<Incoming>,
    progress: Arc<BodyProgress>,
    connection: Arc<Connection>,
    trailers: Option<TrailerFilter>,
}

impl ClientBody {
    #[must_use]
    pub fn new(
        incoming: Incoming,
        expect: Option<&HeaderValue>,
        connection: &Arc<Connection>,
    ) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        let progress = Arc::new(BodyProgress {
            declared: incoming.size_hint().exact(),
            expects: expect.is_some(),
            ..BodyProgress::default()
        });
        let connection = Arc::clone(connection);
        Self(Some(Box::new(Coming {
            incoming: Some(incoming),
            progress,
            connection,
            trailers: None,
        })))
    }

    /// Whether the request ends with its head.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Of a body that there is.
    #[must_use]
    pub fn progress(&self) -> Option<Arc<BodyProgress>> {
        self.0.as_ref().map(|coming| Arc::clone(&coming.progress))
    }
}

impl Coming {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.incoming.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let ended = self.progress.ended() || self.progress.failure() == Some(BodyError::Broken);
        if let Some(incoming) = self.incoming.take().filter(|body| !ended && !body.is_end_stream())
        {
            self.progress.rest.let_go(incoming);
            self.connection.body_let_go.notify_one();
        }
    }
}

/// How long a client may take to bring a little more of a body. Who has proven to be somebody
/// may pause: an application may make what it uploads meanwhile.
#[must_use]
pub fn window(timeouts: &Timeouts, principal: Option<&Principal>) -> Duration {
    match principal {
        Some(_) => timeouts.body_progress_authenticated.max(timeouts.body_progress),
        None => timeouts.body_progress,
    }
}

/// A client sends at least this much in each window of the progress deadline.
const MIN_PROGRESS_BYTES: u64 = 1024;

/// The body of a request, as the upstream's connection pulls it.
pub struct RequestBody {
    inner: Option<Box<Coming>>,
    progress: Arc<BodyProgress>,
    limit: Option<u64>,
    window: Duration,
    /// Time spent waiting for the client in this window, and bytes it brought.
    waited: Duration,
    waiting_since: Option<Instant>,
    window_bytes: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    /// # Errors
    /// [`BodyError::TooLarge`] when the declared length is over the limit.
    pub fn new(
        body: ClientBody,
        limit: Option<u64>,
        window: Duration,
        trailers: Option<TrailerFilter>,
    ) -> Result<Self, BodyError> {
        let Some(mut coming) = body.0 else {
            return Ok(Self::none());
        };
        let declared = coming.progress.declared;
        if declared.zip(limit).is_some_and(|(declared, limit)| declared > limit) {
            return Err(BodyError::TooLarge);
        }
        let progress = Arc::clone(&coming.progress);
        coming.trailers = trailers;
        Ok(Self { limit, window, ..Self::of(Some(coming), progress) })
    }

    /// A body without content.
    #[must_use]
    pub fn none() -> Self {
        let progress = Arc::new(BodyProgress::default());
        progress.ended.store(true, Ordering::Release);
        Self::of(None, progress)
    }

    fn of(inner: Option<Box<Coming>>, progress: Arc<BodyProgress>) -> Self {
        Self {
            inner,
            progress,
            limit: None,
            window: Duration::MAX,
            waited: Duration::ZERO,
            waiting_since: None,
            window_bytes: 0,
            timer: None,
        }
    }

    #[must_use]
    pub fn progress(&self) -> Arc<BodyProgress> {
        Arc::clone(&self.progress)
    }

    fn note_waiting(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.window == Duration::MAX || self.progress.answered.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let now = Instant::now();
        let since = *self.waiting_since.get_or_insert_with(|| {
            self.progress.paused.store(true, Ordering::Release);
            now
        });
        let deadline = since + self.window.saturating_sub(self.waited);
        let timer = match &mut self.timer {
            Some(timer) => {
                if timer.deadline() != deadline {
                    timer.as_mut().reset(deadline);
                }
                timer
            }
            None => self.timer.insert(Box::pin(tokio::time::sleep_until(deadline))),
        };
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if self.window_bytes < MIN_PROGRESS_BYTES {
            return Poll::Ready(Some(Err(self.progress.fail(BodyError::Stalled))));
        }
        self.begin_window();
        self.waiting_since = Some(now);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn filter(&self) -> Option<&TrailerFilter> {
        self.inner.as_ref()?.trailers.as_ref()
    }

    fn begin_window(&mut self) {
        self.waited = Duration::ZERO;
        self.window_bytes = 0;
    }

    fn note_data(&mut self, length: usize) -> Result<(), BodyError> {
        let length = length as u64;
        let total = self.progress.received.fetch_add(length, Ordering::Relaxed) + length;
        self.window_bytes += length;
        if let Some(since) = self.waiting_since.take() {
            self.progress.paused.store(false, Ordering::Release);
            self.waited += since.elapsed();
            // Only time spent waiting for the client counts, and a window in
            // which enough came is done with; a drip never lengthens one.
            if self.waited >= self.window && self.window_bytes >= MIN_PROGRESS_BYTES {
                self.begin_window();
            }
        }
        match self.limit {
            Some(limit) if total > limit => Err(self.progress.fail(BodyError::TooLarge)),
            _ => Ok(()),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        match inner.poll_frame(cx) {
            Poll::Pending => this.note_waiting(cx),
            Poll::Ready(None) => {
                this.progress.ended.store(true, Ordering::Release);
                this.inner = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(_))) => {
                let error = this.progress.fail(BodyError::Broken);
                this.inner = None;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                let frame = match frame.into_data() {
                    Ok(data) => {
                        this.note_data(data.len())?;
                        Frame::data(data)
                    }
                    Err(frame) => match (frame.into_trailers(), this.filter()) {
                        (Ok(mut trailers), filter) => {
                            trim_values(&mut trailers);
                            Frame::trailers(match filter {
                                Some(filter) => filter.clean(trailers),
                                None => trailers,
                            })
                        }
                        (Err(frame), _) => frame,
                    },
                };
                if this.inner.as_ref().is_some_and(|body| body.is_end_stream()) {
                    this.progress.ended.store(true, Ordering::Release);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
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
        watch: Option<PrincipalWatch>,
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
    pub fn upstream(incoming: Received, lease: Holding, watch: Option<PrincipalWatch>) -> Self {
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
        progress.is_some_and(|body| body.declared.is_some() && !body.ended())
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
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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
                    Poll::Ready(Some(Err(BodyError::CredentialEnded)))
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
                            frame.map(clean_trailers).map_err(|_| BodyError::UpstreamBroken),
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
                    record.break_off(match error {
                        BodyError::CredentialEnded => "credential_ended",
                        _ => "upstream_broken",
                    });
                }
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }
}

impl Body for ResponseBody {
    type Data = Piece;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
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

/// Fields that RFC 9110 6.5.1 forbids in a trailer section.
pub fn remove_framing(trailers: &mut HeaderMap) {
    for name in [
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::HOST,
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::SET_COOKIE,
        header::COOKIE,
        header::EXPECT,
    ] {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests;
