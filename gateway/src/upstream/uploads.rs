//! What an HTTP/2 connection to an upstream runs. The body of each request is sent by a
//! task, which ends with the exchange: the library would wait for an upstream that does
//! not read to make room, with nobody left who wants its response.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// The sending of a body, shared between the connection that has it and the exchange.
#[derive(Debug, Default)]
pub struct Upload {
    state: AtomicU8,
    /// What sends it, over HTTP/2.
    task: Mutex<Option<AbortHandle>>,
}

const UNDER_WAY: u8 = 0;
const ENDED: u8 = 1;
const FAILED: u8 = 2;

impl Upload {
    /// Whether all of the body has been read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    /// Whether the source of the body has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.state.load(Ordering::Acquire) == FAILED
    }

    /// What sends it from now on, and is to end with the exchange.
    pub fn set_task(&self, task: AbortHandle) {
        *self.task() = Some(task);
    }

    /// Nobody waits for the upstream any more: what is not sent yet never is.
    pub fn abandon(&self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }

    /// All of the body has been read. A failure is not forgotten for that.
    pub fn note_end(&self) {
        let _ = self.state.compare_exchange(UNDER_WAY, ENDED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The source of the body has failed.
    pub fn note_failure(&self) {
        self.state.store(FAILED, Ordering::Release);
    }

    /// It is read from its beginning once more.
    pub fn begin_again(&self) {
        self.state.store(UNDER_WAY, Ordering::Release);
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the tasks of one connection.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<Option<Arc<Upload>>>>);

impl Uploads {
    /// The library reads this body for the first time. If it cannot send all of it, that
    /// is what it has run next; else the wait for the response, which ends with the
    /// exchange as well. (hyper, from 1.12 on, reads before it asks for room: else a task
    /// would read for the first time, and the next one would be taken for its own.)
    pub fn begin(&self, upload: Arc<Upload>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(upload);
    }
}

impl<F> hyper::rt::Executor<F> for Uploads
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let task = tokio::spawn(future);
        if let Some(upload) = begun {
            upload.set_task(task.abort_handle());
        }
    }
}
