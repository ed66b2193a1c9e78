//! The body of a request: from its client, within the route's limit and at a pace that is
//! progress, to whoever reads it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::auth::principal::Principal;
use crate::config::Timeouts;
use crate::pipeline::connection::Connection;
use crate::pipeline::forward::field_names::TrailerFilter;
use crate::pipeline::message::trim_values;

use super::progress::{BodyProgress, RequestBodyError};

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
        let progress = Arc::new(BodyProgress::new(incoming.size_hint().exact(), expect.is_some()));
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
        let ended =
            self.progress.ended() || self.progress.failure() == Some(RequestBodyError::Broken);
        if let Some(incoming) = self.incoming.take().filter(|body| !ended && !body.is_end_stream())
        {
            self.progress.rest().let_go(incoming);
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
    /// [`RequestBodyError::TooLarge`] when the declared length is over the limit.
    pub fn new(
        body: ClientBody,
        limit: Option<u64>,
        window: Duration,
        trailers: Option<TrailerFilter>,
    ) -> Result<Self, RequestBodyError> {
        let Some(mut coming) = body.0 else {
            return Ok(Self::none());
        };
        let declared = coming.progress.declared();
        if declared.zip(limit).is_some_and(|(declared, limit)| declared > limit) {
            return Err(RequestBodyError::TooLarge);
        }
        let progress = Arc::clone(&coming.progress);
        coming.trailers = trailers;
        Ok(Self { limit, window, ..Self::of(Some(coming), progress) })
    }

    /// A body without content.
    #[must_use]
    pub fn none() -> Self {
        Self::of(None, Arc::new(BodyProgress::nothing()))
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
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        if self.window == Duration::MAX || self.progress.is_answered() {
            return Poll::Pending;
        }
        let now = Instant::now();
        let since = *self.waiting_since.get_or_insert_with(|| {
            self.progress.note_pause(true);
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
            return Poll::Ready(Some(Err(self.progress.fail(RequestBodyError::Stalled))));
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

    fn note_data(&mut self, length: usize) -> Result<(), RequestBodyError> {
        let length = length as u64;
        let total = self.progress.note_received(length);
        self.window_bytes += length;
        if let Some(since) = self.waiting_since.take() {
            self.progress.note_pause(false);
            self.waited += since.elapsed();
            // Only time spent waiting for the client counts, and a window in
            // which enough came is done with; a drip never lengthens one.
            if self.waited >= self.window && self.window_bytes >= MIN_PROGRESS_BYTES {
                self.begin_window();
            }
        }
        match self.limit {
            Some(limit) if total > limit => Err(self.progress.fail(RequestBodyError::TooLarge)),
            _ => Ok(()),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        match inner.poll_frame(cx) {
            Poll::Pending => this.note_waiting(cx),
            Poll::Ready(None) => {
                this.progress.note_end();
                this.inner = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(_))) => {
                let error = this.progress.fail(RequestBodyError::Broken);
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
                    this.progress.note_end();
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

#[cfg(test)]
mod tests;
