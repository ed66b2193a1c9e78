//! Tasks that go on beside requests until their owner is gone.

use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

/// What fails at once each time must not take a processor for itself.
const PAUSE: Duration = Duration::from_secs(1);

/// Tasks of one owner; dropping it ends them.
#[derive(Default)]
pub struct Background(Vec<AbortOnDropHandle<()>>);

impl Background {
    /// As [`keep_running`].
    pub fn keep_running<F>(&mut self, task: &'static str, make: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.push(keep_running(task, make));
    }

    /// Runs what has an end of its own, once.
    pub fn run_once(&mut self, task: &'static str, run: impl Future<Output = ()> + Send + 'static) {
        self.0.push(run_once(task, run));
    }
}

/// Runs what must not begin again where it has failed, or has an end of its own. Dropping the
/// handle ends it.
pub fn run_once(
    task: &'static str,
    run: impl Future<Output = ()> + Send + 'static,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        if ends_by_a_panic(run).await {
            tracing::error!(task, "background task failed");
        }
    }))
}

/// Runs what others rely on as long as the process lives: after a panic it begins again.
/// Dropping the handle ends it.
pub fn keep_running<F>(
    task: &'static str,
    make: impl Fn() -> F + Send + 'static,
) -> AbortOnDropHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(run_again(task, PAUSE, make)))
}

async fn run_again<F>(task: &'static str, pause: Duration, make: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while ends_by_a_panic(make()).await {
        tracing::error!(task, "background task failed, restarting");
        tokio::time::sleep(pause).await;
    }
}

async fn ends_by_a_panic(run: impl Future<Output = ()> + Send + 'static) -> bool {
    // In a task of its own, where a panic ends that one only.
    let ended = AbortOnDropHandle::new(tokio::spawn(run)).await;
    ended.is_err_and(|error| error.is_panic())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_panics_begins_again_until_it_ends() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        run_again("test", Duration::ZERO, move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(number >= 2, "the first two fail") }
        })
        .await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn what_has_no_owner_any_more_is_ended() {
        let (held, ended) = oneshot::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(Some(held)));
        let mut background = Background::default();
        background.keep_running("test", move || {
            let held = held.lock().unwrap().take();
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        });
        tokio::task::yield_now().await;
        drop(background);
        assert!(ended.await.is_err(), "it goes with what it held");
    }

    #[tokio::test]
    async fn what_runs_once_and_fails_is_not_begun_again() {
        let (done, seen) = oneshot::channel::<()>();
        let mut background = Background::default();
        background.run_once("test", async move {
            let _done = done;
            panic!("it fails");
        });
        assert!(seen.await.is_err());
    }
}
