use std::future::poll_fn;

use futures_util::FutureExt;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn body(limit: Option<u64>, window: Duration) -> RequestBody {
    RequestBody { limit, window, ..RequestBody::none() }
}

#[test]
fn why_a_body_failed_is_told_to_whoever_holds_its_progress() {
    for (error, told) in [
        (RequestBodyError::TooLarge, RequestBodyError::TooLarge),
        (RequestBodyError::Stalled, RequestBodyError::Stalled),
        (RequestBodyError::Broken, RequestBodyError::Broken),
    ] {
        let body = RequestBody::none();
        let progress = body.progress();
        assert_eq!(progress.failure(), None);
        assert_eq!(body.progress.fail(error), error);
        assert_eq!(progress.failure(), Some(told));
    }
}

#[test]
fn only_what_is_none_has_ended_at_once() {
    assert!(!BodyProgress::default().ended());
    let body = RequestBody::none();
    assert!(body.progress().ended() && body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
}

#[test]
fn a_body_may_be_as_long_as_its_limit_and_no_longer() {
    let mut limited = body(Some(10), Duration::MAX);
    assert_eq!(limited.note_data(4), Ok(()));
    assert_eq!(limited.note_data(6), Ok(()));
    assert_eq!((limited.progress.received(), limited.progress.failure()), (10, None));
    assert_eq!(limited.note_data(1), Err(RequestBodyError::TooLarge));
    assert_eq!(limited.progress.failure(), Some(RequestBodyError::TooLarge));
    assert_eq!(limited.progress.received(), 11);
    let mut unlimited = body(None, Duration::MAX);
    assert_eq!(unlimited.note_data(usize::MAX), Ok(()));
}

/// What is kept of a window after these bytes came, for which so long was waited.
fn window_after(waited: Option<Duration>, bytes: &[usize]) -> (bool, u64) {
    let mut body = body(None, HOUR);
    body.waiting_since = waited.map(|waited| Instant::now() - waited);
    for length in bytes {
        assert_eq!(body.note_data(*length), Ok(()));
    }
    assert_eq!(body.waiting_since, None);
    (body.waited.is_zero(), body.window_bytes)
}

#[test]
fn a_window_is_done_with_when_it_has_passed_and_enough_has_come() {
    assert_eq!(window_after(None, &[5, 2]), (true, 7), "no time was spent waiting");
    assert_eq!(window_after(Some(2 * HOUR), &[1024]), (true, 0));
    assert_eq!(window_after(Some(2 * HOUR), &[1023]), (false, 1023));
    assert_eq!(window_after(Some(HOUR / 2), &[4096]), (false, 4096));
}

/// Whether a wait for the client ends, and with that.
async fn stalls(body: &mut RequestBody) -> bool {
    let waiting = poll_fn(|cx| body.note_waiting(cx));
    let outcome = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    matches!(outcome, Ok(Some(Err(RequestBodyError::Stalled))))
}

#[tokio::test]
async fn a_client_that_brings_too_little_in_a_window_has_stalled() {
    for brought in [0, 1023] {
        let mut body = body(None, Duration::from_millis(1));
        body.window_bytes = brought;
        assert!(stalls(&mut body).await, "{brought}");
        assert_eq!(body.progress.failure(), Some(RequestBodyError::Stalled));
    }
}

#[tokio::test]
async fn a_client_that_brings_enough_in_a_window_gets_another() {
    let mut body = body(None, Duration::from_millis(1));
    (body.window_bytes, body.waited) = (1024, Duration::from_micros(1));
    let outcome = poll_fn(|cx| {
        let polled = body.note_waiting(cx);
        let decided = polled.is_ready() || body.window_bytes == 0;
        if decided { Poll::Ready(polled) } else { Poll::Pending }
    });
    let outcome = tokio::time::timeout(Duration::from_secs(10), outcome).await;
    assert!(outcome.is_ok_and(|polled| polled.is_pending()));
    assert!(body.waited.is_zero());
    assert!(stalls(&mut body).await, "the next begins with nothing");
}

#[tokio::test]
async fn a_client_is_waited_for_as_long_as_is_left_of_its_window() {
    let mut body = body(None, HOUR);
    for waited in [Duration::ZERO, HOUR / 2] {
        body.waited = waited;
        assert!(poll_fn(|cx| body.note_waiting(cx)).now_or_never().is_none());
        let since = body.waiting_since.expect("the beginning of the wait");
        let timer = body.timer.as_ref().expect("a timer");
        assert_eq!(timer.deadline(), since + HOUR - waited);
    }
}

#[tokio::test]
async fn without_a_window_or_once_there_is_an_answer_nobody_looks_at_the_clock() {
    let answered = body(None, HOUR);
    answered.progress().note_answer();
    for mut body in [body(None, Duration::MAX), answered] {
        assert!(poll_fn(|cx| body.note_waiting(cx)).now_or_never().is_none());
        assert!(body.timer.is_none());
    }
}
