//! Who begins next, at times that are given.

use proptest::prelude::*;

use super::*;

const PAUSE: Duration = Duration::from_secs(2);

/// The last of them, so that what is drawn is known.
fn last(below: usize) -> usize {
    below - 1
}

fn waiter(number: u64) -> Waiter {
    let (begin, _) = oneshot::channel();
    Waiter { number, begin }
}

fn source(number: u64) -> Source {
    Source::V4(u32::try_from(number).unwrap() << 8)
}

impl Lane {
    fn with(&mut self, guest: Guest, number: u64) {
        assert!(self.join((guest, source(number)), waiter(number), &mut last).is_none());
    }

    /// Who begins, or in how many milliseconds somebody may.
    fn begins(&mut self, now: Instant, pause: Duration) -> Result<u64, Option<u128>> {
        match self.next(now, pause, &mut last) {
            Next::Begin(_, waiter) => Ok(waiter.number),
            Next::At(due) => Err(Some(due.duration_since(now).as_millis())),
            Next::Nobody => Err(None),
        }
    }
}

#[test]
fn strangers_begin_one_after_another_and_with_a_pause_when_they_are_slowed() {
    let mut lane = Lane::default();
    let now = Instant::now();
    for number in 1..=4 {
        lane.with(Guest::Stranger, number);
    }
    assert_eq!(lane.begins(now, Duration::ZERO), Ok(4));
    assert_eq!(lane.begins(now, Duration::ZERO), Err(None), "one is being judged");
    lane.end(Guest::Stranger);
    assert_eq!(lane.begins(now, Duration::ZERO), Ok(3), "nobody is guessed at: at once");
    // It was judged for a second, which counts.
    let judged = now + Duration::from_secs(1);
    assert_eq!(lane.begins(judged, PAUSE), Err(None));
    lane.end(Guest::Stranger);
    assert_eq!(lane.begins(judged, PAUSE), Err(Some(1_000)));
    assert_eq!(lane.begins(now + PAUSE, PAUSE), Ok(2));
    lane.end(Guest::Stranger);
    assert_eq!(lane.begins(now + PAUSE, PAUSE), Err(Some(2_000)));
    assert_eq!(lane.begins(now + 10 * PAUSE, PAUSE), Ok(1), "a pause that nobody used is over");
}

#[test]
fn one_place_is_a_strangers_and_one_is_for_who_is_known() {
    let mut lane = Lane::default();
    let now = Instant::now();
    for number in 1..=2 {
        lane.with(Guest::Stranger, number);
    }
    assert_eq!(lane.begins(now, PAUSE), Ok(2));
    lane.end(Guest::Stranger);
    for number in 11..=15 {
        lane.with(Guest::Known, number);
    }
    // Until a stranger's time comes both are for who is known.
    assert_eq!(lane.begins(now, PAUSE), Ok(11));
    assert_eq!(lane.begins(now, PAUSE), Ok(12));
    assert_eq!(lane.begins(now + PAUSE, PAUSE), Err(None), "two at once");
    lane.end(Guest::Known);
    assert_eq!(lane.begins(now + PAUSE, PAUSE), Ok(1), "its time has come");
    assert_eq!(lane.begins(now + PAUSE, PAUSE), Err(None));
    lane.end(Guest::Known);
    assert_eq!(lane.begins(now + PAUSE, PAUSE), Ok(13), "in the order in which they came");
    assert_eq!(lane.begins(now + PAUSE, PAUSE), Err(None));
}

#[test]
fn a_lane_is_kept_while_a_pause_counts() {
    let mut lane = Lane { pause: PAUSE, ..Lane::default() };
    let now = Instant::now();
    assert!(lane.is_idle(now));
    lane.with(Guest::Known, 1);
    assert!(!lane.is_idle(now));
    lane.leave(1);
    lane.with(Guest::Stranger, 2);
    assert!(!lane.is_idle(now));
    assert_eq!(lane.begins(now, PAUSE), Ok(2));
    assert!(!lane.is_idle(now + 2 * PAUSE), "it is being judged");
    lane.end(Guest::Stranger);
    assert!(!lane.is_idle(now + PAUSE / 2) && lane.is_idle(now + PAUSE));
}

#[test]
fn more_known_addresses_than_may_wait_are_refused() {
    let mut lane = Lane::default();
    let most = u64::try_from(MAX_KNOWN_WAITING).unwrap();
    for number in 0..most {
        lane.with(Guest::Known, number);
    }
    let over = lane.join((Guest::Known, source(most)), waiter(most), &mut last);
    assert_eq!(over.map(|waiter| waiter.number), Some(most));
}

proptest! {
    /// Whatever comes, begins, ends and leaves: never more than two at once, nor two
    /// strangers, nor two strangers within a pause; who is known waits only while others
    /// that are known are judged.
    #[test]
    fn the_bounds_hold_in_every_order(
        steps in prop::collection::vec((0u8..6, 0u64..3_000), 0..200),
        slowed: bool,
    ) {
        let pause = if slowed { PAUSE } else { Duration::ZERO };
        let (mut lane, mut now) = (Lane::default(), Instant::now());
        let (mut judged, mut last_stranger) = (Vec::new(), None::<Instant>);
        for (number, (step, passed)) in steps.into_iter().enumerate() {
            let number = number as u64;
            now += Duration::from_millis(passed);
            match step {
                0 | 1 => drop(lane.join((Guest::Stranger, source(number)), waiter(number), &mut last)),
                2 => lane.with(Guest::Known, number),
                3 => lane.leave(number / 2),
                _ => judged.pop().into_iter().for_each(|guest| lane.end(guest)),
            }
            while let Next::Begin(guest, _) = lane.next(now, pause, &mut last) {
                if guest == Guest::Stranger {
                    prop_assert!(last_stranger.is_none_or(|last| now >= last + pause));
                    last_stranger = Some(now);
                }
                judged.push(guest);
            }
            let strangers = judged.iter().filter(|guest| **guest == Guest::Stranger).count();
            prop_assert!(judged.len() <= 2 && strangers <= 1);
            let known = judged.len() - strangers;
            prop_assert!(lane.known.is_empty() || known >= 1);
        }
    }
}
