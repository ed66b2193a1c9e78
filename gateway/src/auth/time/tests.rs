use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const START: Timestamp = Timestamp(1_800_000_000_000);
const HOURS: i64 = 3_600_000;

fn shifted(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp(at.0.checked_add_signed(millis).unwrap())
}

fn real(minute: u32) -> Timestamp {
    Timestamp(START.0 + millis(MINUTE * minute))
}

fn started(ahead: i64) -> PassedTime {
    PassedTime::from(shifted(START, ahead), Duration::ZERO)
}

/// Looks once a minute for so many minutes, at a clock that is ahead by `ahead`; answers by
/// how much what has passed is ahead.
fn look(time: &mut PassedTime, minutes: std::ops::Range<u32>, ahead: i64) -> Vec<i64> {
    let mut looks = Vec::new();
    for minute in minutes {
        let Passed { past, .. } = time.look(shifted(real(minute), ahead), MINUTE * minute);
        looks.push(past.0.cast_signed() - real(minute).0.cast_signed());
    }
    looks
}

#[test]
fn nothing_has_passed_until_a_machine_may_have_found_the_time() {
    let mut time = started(0);
    for minute in 1..15 {
        assert_eq!(time.look(real(minute), MINUTE * minute).past, Timestamp(0), "{minute}");
    }
    assert!(look(&mut time, 15..3_000, 0).iter().all(|ahead| *ahead == 0));
}

#[test]
fn a_clock_that_is_put_forward_is_believed_a_day_later() {
    for ahead in [9 * HOURS, 61_000] {
        let mut time = started(0);
        look(&mut time, 1..100, 0);
        let Passed { jumped, .. } = time.look(shifted(real(100), ahead), MINUTE * 100);
        assert_eq!(jumped, Some(Duration::from_millis(ahead.unsigned_abs())));
        assert!(look(&mut time, 101..1_540, ahead).iter().all(|passed| *passed == 0), "{ahead}");
        assert_eq!(look(&mut time, 1_540..1_541, ahead), [ahead]);
    }
}

#[test]
fn a_clock_that_is_put_back_is_believed_at_once() {
    for behind in [-9 * HOURS, -61_000] {
        let mut time = started(0);
        look(&mut time, 1..100, 0);
        let Passed { past, jumped } = time.look(shifted(real(100), behind), MINUTE * 100);
        assert_eq!(past, shifted(real(100), behind));
        assert_eq!(jumped, Some(Duration::from_millis(behind.unsigned_abs())));
    }
}

/// Wrong from the start and put right soon: no look at the wrong one counts.
#[test]
fn a_clock_that_was_ahead_at_the_start_is_not_believed_before_it_is_put_right() {
    let mut time = started(9 * HOURS);
    for minute in 1..10 {
        let wrong = shifted(real(minute), 9 * HOURS);
        assert_eq!(time.look(wrong, MINUTE * minute).past, Timestamp(0));
    }
    assert!(look(&mut time, 10..3_000, 0)[5..].iter().all(|ahead| *ahead == 0));
}

/// As that of a machine that is put to sleep every night, for which no monotonic clock runs.
#[test]
fn under_a_clock_that_jumps_forward_every_day_time_passes() {
    let mut time = started(0);
    for day in 0..10 {
        let awake = day * 480 + 1..(day + 1) * 480;
        let passed = look(&mut time, awake, i64::from(day) * 16 * HOURS);
        assert!(passed[20..].iter().all(|ahead| *ahead == 0), "as long as it was awake");
    }
}

#[test]
fn a_clock_that_is_put_right_in_small_steps_has_not_jumped() {
    let mut time = started(0);
    look(&mut time, 1..100, 0);
    for (minute, by) in [(100, 500), (101, -500)] {
        let Passed { past, jumped } = time.look(shifted(real(minute), by), MINUTE * minute);
        assert_eq!(jumped, None);
        assert_eq!(past, shifted(real(minute), by.min(0)));
    }
}
