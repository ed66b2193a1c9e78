use std::time::Duration;

use governor::clock::FakeRelativeClock;

use super::{Admission, coarse, retry_seconds};
use crate::auth::ports::Source;
use crate::pipeline::reason::Reason;

const HERE: Source = Source::V4(0x7f00_0001);
const THERE: Source = Source::V6(42);

#[test]
fn sixty_pass_at_once_then_twenty_each_second() {
    let clock = FakeRelativeClock::default();
    let admission = Admission::with_clock(20, 60, clock.clone());
    let admitted = (0..100).filter(|_| admission.admit(HERE).is_ok()).count();
    assert_eq!(admitted, 60);
    clock.advance(Duration::from_secs(1));
    let admitted = (0..100).filter(|_| admission.admit(HERE).is_ok()).count();
    assert_eq!(admitted, 20);
    clock.advance(Duration::from_mins(1));
    let admitted = (0..100).filter(|_| admission.admit(HERE).is_ok()).count();
    assert_eq!(admitted, 60);
}

#[test]
fn addresses_do_not_share_a_bucket() {
    let admission = Admission::with_clock(1, 1, FakeRelativeClock::default());
    assert!(admission.admit(HERE).is_ok());
    assert!(admission.admit(HERE).is_err());
    assert!(admission.admit(THERE).is_ok());
}

#[test]
fn the_refusal_says_when_the_next_token_comes() {
    let admission = Admission::with_clock(20, 1, FakeRelativeClock::default());
    admission.admit(HERE).unwrap();
    let rejection = admission.admit(HERE).unwrap_err();
    assert_eq!(rejection.reason, Reason::RateLimited { retry_after: Duration::from_millis(50) });
}

#[test]
fn a_sweep_forgets_full_buckets_and_keeps_the_others() {
    let clock = FakeRelativeClock::default();
    let admission = Admission::with_clock(1, 2, clock.clone());
    admission.admit(HERE).unwrap();
    clock.advance(Duration::from_secs(10));
    admission.admit(THERE).unwrap();
    admission.admit(THERE).unwrap();
    admission.sweep();
    assert_eq!(admission.limiter.len(), 1);
    assert!(admission.admit(THERE).is_err());
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
