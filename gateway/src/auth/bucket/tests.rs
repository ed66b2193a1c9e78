use std::time::Duration;

use super::{Bucket, BucketLimit, Micros, SharedBucket};
use crate::auth::ports::{Allowance, Usage};
use crate::auth::source::Source;

const LIMIT: BucketLimit = BucketLimit { per_second: 20, burst: 60 };
const START: Micros = Micros(1_000_000_000);

fn spent(tokens: i32, counted_in: u64) -> Usage {
    Usage { source: Source::V4(1), tokens, age: Duration::ZERO, counted_in }
}

fn level(allowance: Allowance) -> String {
    format!("{:.1}", allowance.level)
}

fn at(milliseconds: u64) -> Micros {
    START.plus(Duration::from_millis(milliseconds))
}

#[test]
fn a_bucket_gives_its_burst_then_its_rate_and_says_how_long_until_the_next() {
    let mut bucket = Bucket::full(LIMIT, START);
    let took = (0..100).filter(|_| bucket.take(LIMIT, 1.0).is_ok()).count();
    assert_eq!(took, 60);
    assert_eq!(bucket.take(LIMIT, 1.0), Err(Duration::from_millis(50)));
    for milliseconds in 1..=1000 {
        bucket.refill(LIMIT, at(milliseconds));
    }
    let took = (0..100).filter(|_| bucket.take(LIMIT, 1.0).is_ok()).count();
    assert_eq!(took, 20);
    bucket.refill(LIMIT, START);
    assert!(bucket.take(LIMIT, 1.0).is_err(), "a clock that went back adds nothing");
}

#[test]
fn a_replica_alone_may_spend_all_and_several_their_part() {
    let mut shared = SharedBucket::new(LIMIT, START);
    let allowance = shared.book(LIMIT, START, spent(0, 0));
    assert_eq!(allowance, Allowance { level: 60.0, tokens: 60, reserved: 0 });
    let second = START.0 / 1_000_000;
    shared.book(LIMIT, START, spent(0, 0));
    shared.book(LIMIT, START, spent(0, 0));
    let allowance = shared.book(LIMIT, START, spent(12, 0));
    assert_eq!(allowance, Allowance { level: 48.0, tokens: 24, reserved: 0 });
    let again = shared.book(LIMIT, START, spent(0, second));
    assert_eq!(again, allowance, "who has reported in this second is not counted again");
}

#[test]
fn a_replica_that_is_silent_for_two_seconds_is_not_counted() {
    let mut shared = SharedBucket::new(LIMIT, START);
    for _ in 0..3 {
        shared.book(LIMIT, START, spent(0, 0));
    }
    let second = START.0 / 1_000_000;
    assert_eq!(shared.book(LIMIT, at(1000), spent(0, second)).tokens, 40);
    assert_eq!(shared.book(LIMIT, at(2000), spent(0, second + 1)).tokens, 60);
}

#[test]
fn a_single_token_goes_to_one_replica_only_and_can_be_given_back() {
    let mut shared = SharedBucket::new(LIMIT, START);
    shared.book(LIMIT, START, spent(29, 0));
    let first = shared.book(LIMIT, START, spent(30, 0));
    assert_eq!(first, Allowance { level: 1.0, tokens: 1, reserved: 1 });
    assert_eq!(shared.book(LIMIT, START, spent(0, 0)).tokens, 0);
    let back = shared.book(LIMIT, START, spent(-1, START.0 / 1_000_000));
    assert_eq!(back, first);
}

#[test]
fn a_debt_is_paid_back_before_anything_is_allowed_and_is_a_minutes_worth_at_most() {
    let mut shared = SharedBucket::new(LIMIT, START);
    let allowance = shared.book(LIMIT, START, spent(100, 0));
    assert_eq!(allowance, Allowance { level: -40.0, tokens: 0, reserved: 0 });
    assert_eq!(shared.book(LIMIT, at(2000), spent(0, 0)).tokens, 0);
    let second = at(2000).0 / 1_000_000;
    assert_eq!(shared.book(LIMIT, at(2050), spent(0, second)).tokens, 60);
    let allowance = shared.book(LIMIT, at(2050), spent(i32::MAX, 0));
    assert_eq!(level(allowance), "-1200.0");
}

#[test]
fn what_came_in_again_before_the_report_is_not_lost() {
    let late = |tokens| Usage { age: Duration::from_millis(500), ..spent(tokens, 0) };
    for (tokens, left) in [(10, "60.0"), (15, "55.0"), (60, "10.0")] {
        let mut shared = SharedBucket::new(LIMIT, START);
        assert_eq!(level(shared.book(LIMIT, at(500), late(tokens))), left);
    }
    let mut shared = SharedBucket::new(LIMIT, START);
    shared.book(LIMIT, at(500), late(10));
    assert_eq!(level(shared.book(LIMIT, at(500), late(10))), "50.0", "it came in once");
}

#[test]
fn a_bucket_is_full_when_it_holds_its_burst_and_not_a_token_less() {
    let mut bucket = Bucket::full(LIMIT, START);
    assert!(bucket.is_full(LIMIT));
    bucket.take(LIMIT, 1.0).unwrap();
    assert!(!bucket.is_full(LIMIT));
    bucket.refill(LIMIT, at(49));
    assert!(!bucket.is_full(LIMIT));
    bucket.refill(LIMIT, at(50));
    assert!(bucket.is_full(LIMIT));
    // As close to it as sums of small additions come.
    let mut bucket = Bucket { level: 59.0, at: START };
    for milliseconds in 1..=50 {
        bucket.refill(LIMIT, at(milliseconds));
    }
    assert!(bucket.is_full(LIMIT), "{}", bucket.level);
}

#[test]
fn the_wait_for_a_token_is_for_what_is_missing_of_it() {
    for (level, milliseconds) in [(0.75, 12.5), (0.5, 25.0), (0.0, 50.0), (-1.0, 100.0)] {
        let mut bucket = Bucket { level, at: START };
        let wait = Duration::from_secs_f64(milliseconds / 1000.0);
        assert_eq!(bucket.take(LIMIT, 1.0), Err(wait), "{level}");
    }
}

/// Only what came in while it was spent can have been spent; all before did not fit.
#[test]
fn a_bucket_that_was_full_for_long_gives_its_burst_and_what_came_in_since() {
    let mut shared = SharedBucket::new(LIMIT, START);
    let late = Usage { age: Duration::from_millis(500), ..spent(60, 0) };
    assert_eq!(level(shared.book(LIMIT, at(10_000), late)), "10.0");
}

/// A millionth of a token is what sums may lack.
#[test]
fn both_buckets_give_a_token_that_lacks_a_millionth() {
    const SLOW: BucketLimit = BucketLimit { per_second: 1, burst: 1 };
    let almost = START.plus(Duration::from_micros(999_999));
    let mut bucket = Bucket::full(SLOW, START);
    bucket.take(SLOW, 1.0).unwrap();
    bucket.refill(SLOW, almost);
    assert_eq!(bucket.take(SLOW, 1.0), Ok(()));
    let mut shared = SharedBucket::new(SLOW, START);
    shared.book(SLOW, START, spent(1, 0));
    assert_eq!(shared.book(SLOW, almost, spent(0, 0)).tokens, 1);
}

/// There is nobody to keep it from.
#[test]
fn a_replica_alone_has_nothing_reserved() {
    const SINGLE: BucketLimit = BucketLimit { per_second: 1, burst: 1 };
    let mut shared = SharedBucket::new(SINGLE, START);
    let allowance = shared.book(SINGLE, START, spent(0, 0));
    assert_eq!(allowance, Allowance { level: 1.0, tokens: 1, reserved: 0 });
    let allowance = shared.book(SINGLE, START, spent(0, 0));
    assert_eq!(allowance, Allowance { level: 1.0, tokens: 1, reserved: 1 }, "there are two now");
}
