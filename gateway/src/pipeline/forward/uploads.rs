//! What an HTTP/2 connection to an upstream runs. The body of each request is sent by a
//! task, which ends with the exchange: the library would wait for an upstream that does
//! not read to make room, with nobody left who wants its answer.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pipeline::body::BodyProgress;

/// Runs the tasks of one connection.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<Option<Arc<BodyProgress>>>>);

impl Uploads {
    /// The library reads this body for the first time. If it cannot send all of it, that
    /// is what it has run next; else the wait for the answer, which ends with the
    /// exchange as well. (hyper, from 1.12 on, reads before it asks for room: else a task
    /// would read for the first time, and the next one would be taken for its own.)
    pub fn begin(&self, progress: &Arc<BodyProgress>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(progress));
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
        if let Some(progress) = begun {
            progress.set_task(task.abort_handle());
        }
    }
}
