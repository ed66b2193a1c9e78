//! Which request the work at hand is for, so that each event that it logs carries its id.
//!
//! A task-local value and not a span of `tracing`: a span is written down for each request
//! whether or not anything is logged, and this costs two stores for each poll.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static REQUEST_ID: Arc<str>;
}

/// Does work for the request with this id.
pub fn within<F: Future>(request_id: Arc<str>, work: F) -> TaskLocalFuture<Arc<str>, F> {
    REQUEST_ID.scope(request_id, work)
}

/// As [`within`], for work that is pinned where it stands.
pub fn poll_within<F: Future>(
    request_id: &Arc<str>,
    mut work: Pin<&mut F>,
) -> impl Future<Output = F::Output> {
    poll_fn(move |cx| REQUEST_ID.sync_scope(Arc::clone(request_id), || work.as_mut().poll(cx)))
}

/// Starts a task that works for the request at hand, if there is one.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    spawn_for(request_id(), work)
}

/// Starts a task that works for a request, or for none.
pub fn spawn_for<F>(request_id: Option<Arc<str>>, work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match request_id {
        Some(request_id) => tokio::spawn(within(request_id, work)),
        None => tokio::spawn(work),
    }
}

/// The id of the request at hand.
#[must_use]
pub fn request_id() -> Option<Arc<str>> {
    REQUEST_ID.try_with(Arc::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_for_the_request_that_began_it_in_its_own_tasks_too() {
        assert_eq!(request_id(), None);
        let seen = within("the-request".into(), async {
            let own = request_id();
            let spawned = spawn(async { request_id() }).await.unwrap();
            [own, spawned]
        })
        .await;
        assert_eq!(seen, [Some("the-request".into()), Some("the-request".into())]);
        assert_eq!(spawn(async { request_id() }).await.unwrap(), None);
    }
}
