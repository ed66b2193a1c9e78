//! Work whose defect ends that work and nothing else.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Does work to its end, which is `None` where it panics. It is not polled again then; what it
/// has borrowed is left as it was at that moment.
pub fn caught<F: Future>(mut work: Pin<&mut F>) -> impl Future<Output = Option<F::Output>> {
    poll_fn(move |cx| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)))
            .map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn work_that_panics_ends_and_other_work_goes_on() {
        let mut steps = Vec::new();
        let outcome = caught(pin!(async {
            steps.push("before");
            tokio::task::yield_now().await;
            steps.push("after it has waited");
            assert!(steps.is_empty(), "a defect");
        }))
        .await;
        assert_eq!((outcome, steps), (None, vec!["before", "after it has waited"]));
        assert_eq!(caught(pin!(async { "done" })).await, Some("done"));
    }
}
