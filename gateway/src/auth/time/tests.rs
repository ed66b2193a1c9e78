use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const START: Timestamp = Timestamp(1_800_000_000_000);

/// Looks once a minute for so many minutes, at a clock that is ahead by `ahead`.
fn look(steadiness: &mut Steadiness, minutes: std::ops::Range<u32>, ahead: i64) -> Vec<Gait> {
    let at = |minute: u32| {
        let elapsed = MINUTE * minute;
        let real = START.0 + u64::try_from(elapsed.as_millis()).unwrap();
        (Timestamp(real.checked_add_signed(ahead).unwrap()), elapsed)
    };
    minutes.map(at).map(|(now, elapsed)| steadiness.judge(now, elapsed)).collect()
}

const HOURS: i64 = 3_600_000;

#[test]
fn a_clock_is_steady_an_hour_after_the_start_and_stays_so() {
    let mut steadiness = Steadiness::default();
    let gaits = look(&mut steadiness, 0..600, 0);
    assert!(gaits[..60].iter().all(|gait| *gait == Gait::Unproven));
    assert!(gaits[60..].iter().all(|gait| *gait == Gait::Steady));
}

#[test]
fn a_clock_that_jumped_is_not_steady_for_a_day_in_either_direction() {
    for ahead in [9 * HOURS, -9 * HOURS, 61_000, -61_000] {
        let mut steadiness = Steadiness::default();
        look(&mut steadiness, 0..100, 0);
        let gaits = look(&mut steadiness, 100..1_700, ahead);
        let Gait::Jumped(by) = gaits[0] else { panic!("{ahead}: {:?}", gaits[0]) };
        assert_eq!(by.as_millis(), u128::from(ahead.unsigned_abs()), "{ahead}");
        assert!(gaits[1..1_440].iter().all(|gait| *gait == Gait::Unproven), "{ahead}");
        assert_eq!(gaits[1_440], Gait::Steady, "{ahead}");
    }
}

/// Wrong from the start and put right within the hour: no look of the wrong one counts.
#[test]
fn a_clock_that_was_wrong_at_the_start_is_not_believed_before_it_is_put_right() {
    let mut steadiness = Steadiness::default();
    let wrong = look(&mut steadiness, 0..30, 9 * HOURS);
    assert!(!wrong.contains(&Gait::Steady));
    let right = look(&mut steadiness, 30..1_400, 0);
    assert!(!right.contains(&Gait::Steady));
}

#[test]
fn a_clock_that_is_put_right_in_small_steps_is_steady() {
    let mut steadiness = Steadiness::default();
    look(&mut steadiness, 0..100, 0);
    assert_eq!(look(&mut steadiness, 100..101, 500), [Gait::Steady]);
    assert_eq!(look(&mut steadiness, 101..102, -500), [Gait::Steady]);
}
