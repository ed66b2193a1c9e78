//! How the body of a request fares, for whoever waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::auth::source::Source;
use crate::pipeline::connection::{Connection, Protocol};
use crate::pipeline::reason::{Reason, Rejection};
use crate::pipeline::rest::{Lingering, Rest, SHORT_BYTES};

/// Why the body of a request did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestBodyError {
    #[error("the body is larger than the route allows")]
    TooLarge = 1,
    #[error("the client stopped sending")]
    Stalled,
    #[error("the client's message was incomplete or malformed")]
    Broken,
}

impl RequestBodyError {
    const ALL: [Self; 3] = [Self::TooLarge, Self::Stalled, Self::Broken];
}

/// What it means for its request.
impl From<RequestBodyError> for Rejection {
    fn from(error: RequestBodyError) -> Self {
        let reason = match error {
            RequestBodyError::TooLarge => Reason::BodyTooLarge,
            RequestBodyError::Stalled => Reason::BodyStalled,
            RequestBodyError::Broken => Reason::BodyBroken,
        };
        reason.into()
    }
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
    rest: Rest,
}

impl BodyProgress {
    /// Of a body that is to come.
    pub(super) fn new(declared: Option<u64>, expects: bool) -> Self {
        Self { declared, expects, ..Self::default() }
    }

    /// Of a request without a body.
    pub(super) fn nothing() -> Self {
        Self { ended: AtomicBool::new(true), ..Self::default() }
    }

    /// What its head says it is long, if it does.
    pub(super) fn declared(&self) -> Option<u64> {
        self.declared
    }

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
    async fn comes_soon(&self) -> bool {
        if self.ended() {
            return true;
        }
        let received = self.received();
        if self.expects && received == 0 {
            // It may leave the body out now, or send it.
            return false;
        }
        match self.declared {
            Some(declared) => declared.saturating_sub(received) <= SHORT_BYTES,
            None => self.rest.has_arrived().await,
        }
    }

    /// Decides what becomes of the rest of it, before its response's head is written;
    /// whether the connection has to close behind the response. Who lingers counts for
    /// `source`.
    pub async fn settle(
        &self,
        (lingering, source): (&Arc<Lingering>, Option<Source>),
        connection: &Arc<Connection>,
        closes: bool,
    ) -> bool {
        let keeps = match connection.protocol {
            Protocol::Http2 => true,
            // On the heap: few requests are answered before their body has come.
            Protocol::Http1 => !closes && Box::pin(self.comes_soon()).await,
        };
        if keeps {
            self.rest.discard(Arc::clone(lingering), Arc::clone(connection), source);
        } else {
            // The connection lingers when it has closed.
            self.rest.give_up();
        }
        !keeps
    }

    /// What is left, where nobody reads it any more.
    pub(super) fn rest(&self) -> &Rest {
        &self.rest
    }

    /// The stream or connection ends, and nothing of it is to be waited for.
    pub fn give_up_rest(&self) {
        self.rest.give_up();
    }

    /// So much more has come; answers how much that is in all.
    pub(super) fn note_received(&self, length: u64) -> u64 {
        self.received.fetch_add(length, Ordering::Relaxed) + length
    }

    pub(super) fn note_end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether the client is waited for from now on.
    pub(super) fn note_pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    /// The upstream has begun to answer: the deadline for progress is lifted.
    pub fn note_answer(&self) {
        self.answered.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn failure(&self) -> Option<RequestBodyError> {
        let number = self.failure.load(Ordering::Acquire);
        RequestBodyError::ALL.into_iter().find(|error| *error as u8 == number)
    }

    pub(super) fn fail(&self, error: RequestBodyError) -> RequestBodyError {
        self.failure.store(error as u8, Ordering::Release);
        error
    }
}
