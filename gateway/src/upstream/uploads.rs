//! What an HTTP/2 connection to an upstream runs. The body of each request is sent by a
//! task, which ends with the exchange: the library would wait for an upstream that does
//! not read to make room, with nobody left who wants its response.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use super::replay::Upload;

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
