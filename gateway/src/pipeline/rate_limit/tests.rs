use std::sync::Arc;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Policy, RateLimit, coarse, retry_seconds};
use crate::auth::source::Source;
use crate::pipeline::reason::Reason;

const HERE: Source = Source::V4(0x7f00_0001);
const THERE: Source = Source::V6(42);

#[test]
fn sixty_pass_at_once_then_twenty_each_second() {
    let clock = FakeRelativeClock::default();
    let admission = RateLimit::with_clock(20, 60, clock.clone());
    let admitted = (0..100).filter(|_| admission.take(HERE).is_ok()).count();
    assert_eq!(admitted, 60);
    clock.advance(Duration::from_secs(1));
    let admitted = (0..100).filter(|_| admission.take(HERE).is_ok()).count();
    assert_eq!(admitted, 20);
    clock.advance(Duration::from_mins(1));
    let admitted = (0..100).filter(|_| admission.take(HERE).is_ok()).count();
    assert_eq!(admitted, 60);
}

#[test]
fn addresses_do_not_share_a_bucket() {
    let admission = RateLimit::with_clock(1, 1, FakeRelativeClock::default());
    assert!(admission.take(HERE).is_ok());
    assert!(admission.take(HERE).is_err());
    assert!(admission.take(THERE).is_ok());
}

#[test]
fn the_refusal_says_when_the_next_token_comes() {
    let admission = RateLimit::with_clock(20, 1, FakeRelativeClock::default());
    admission.take(HERE).unwrap();
    let retry_after = admission.take(HERE).unwrap_err();
    assert_eq!(retry_after, Duration::from_millis(50));
    let policy = Policy { name: "ip", burst: 1, window_seconds: 1 };
    assert_eq!(admission.refusal(retry_after), Reason::RateLimited { retry_after, policy });
}

#[test]
fn a_sweep_forgets_full_buckets_and_keeps_the_others() {
    let clock = FakeRelativeClock::default();
    let admission = RateLimit::with_clock(1, 2, clock.clone());
    admission.take(HERE).unwrap();
    clock.advance(Duration::from_secs(10));
    admission.take(THERE).unwrap();
    admission.take(THERE).unwrap();
    admission.sweep();
    assert_eq!(admission.limiter.len(), 1);
    assert!(admission.take(THERE).is_err());
}

#[test]
fn retry_after_is_rounded_up_and_never_zero() {
    assert_eq!(retry_seconds(Duration::ZERO), 1);
    assert_eq!(retry_seconds(Duration::from_millis(50)), 1);
    assert_eq!(retry_seconds(Duration::from_secs(2)), 2);
    assert_eq!(retry_seconds(Duration::from_millis(2001)), 3);
}

#[test]
fn in_a_crowd_neighbours_share_a_bucket() {
    for (source, network) in [
        (Source::V4(0xc0a8_0000), Source::V4(0xc0a8_0000)),
        (Source::V4(0xc0a8_1234), Source::V4(0xc0a8_0000)),
        (Source::V4(0xc0a9_1234), Source::V4(0xc0a9_0000)),
        (Source::V6(0x2001_0db8_0001_0002), Source::V6(0x2001_0db8_0000_0000)),
        (Source::V6(0x2001_0db9_0001_0002), Source::V6(0x2001_0db9_0000_0000)),
    ] {
        assert_eq!(coarse(source), network);
    }
}

fn buckets(per_second: u32, burst: u32) -> Arc<RateLimit> {
    Arc::new(RateLimit::new(per_second, burst))
}

fn waiting(admission: &Arc<RateLimit>, done: &mpsc::Sender<u32>, number: u32) -> JoinHandle<()> {
    let (admission, done) = (Arc::clone(admission), done.clone());
    tokio::spawn(async move {
        admission.wait(HERE).await;
        done.send(number).await.unwrap();
    })
}

#[tokio::test]
async fn those_who_wait_for_an_address_get_its_tokens_in_the_order_of_their_coming() {
    let admission = buckets(200, 1);
    admission.take(HERE).unwrap();
    let (done, mut order) = mpsc::channel(32);
    let mut tasks: Vec<_> = (0..20).map(|number| waiting(&admission, &done, number)).collect();
    tokio::task::yield_now().await;
    // Who leaves keeps nobody.
    for leaving in [7, 0] {
        tasks.remove(leaving).abort();
    }
    let mut came = Vec::new();
    while came.len() < 18 {
        came.push(order.recv().await.unwrap());
    }
    let expected: Vec<u32> = (1..20).filter(|number| *number != 7).collect();
    assert_eq!(came, expected);
    for task in tasks {
        task.await.unwrap();
    }
    admission.sweep();
    assert_eq!(admission.lines.holders(), 0);
}

#[tokio::test]
async fn nobody_waits_for_another_address() {
    let admission = buckets(1, 1);
    admission.take(HERE).unwrap();
    let (done, _order) = mpsc::channel(32);
    let here = waiting(&admission, &done, 0);
    tokio::task::yield_now().await;
    admission.wait(THERE).await;
    assert!(!here.is_finished());
    assert_eq!(admission.expected_wait(HERE), Duration::from_secs(1));
    assert_eq!(admission.expected_wait(THERE), Duration::ZERO);
    here.abort();
}

#[test]
fn a_routes_buckets_are_named_so() {
    let policy = RateLimit::of_route(5, 11).policy;
    assert_eq!(policy, Policy { name: "route", burst: 11, window_seconds: 3 });
}
