use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

fn after(millis: u64) -> Timestamp {
    Timestamp(NOW.0 + millis)
}

#[test]
fn the_use_of_a_session_is_noted_once_a_second_and_never_an_earlier_one() {
    let uses = SessionUses::default();
    let used = uses.of(session(1));
    assert_eq!((uses.last(session(1)), uses.take()), (None, Vec::new()));
    for (millis, noted) in [(0, true), (0, false), (999, false), (1_000, true), (500, false)] {
        uses.of(session(1)).note(after(millis));
        let expected = if noted { vec![(session(1), after(millis))] } else { Vec::new() };
        assert_eq!(uses.take(), expected, "{millis} ms");
    }
    used.note(after(2_000));
    assert_eq!(uses.last(session(1)), Some(after(2_000)), "every holder notes in one place");
    assert_eq!(uses.last(session(2)), None);
}

#[test]
fn uses_that_could_not_be_saved_are_kept_unless_there_are_later_ones() {
    let uses = SessionUses::default();
    let used = [1, 2].map(|number| uses.of(session(number)));
    for used in &used {
        used.note(NOW);
    }
    let unsaved = uses.take();
    assert_eq!((unsaved.len(), uses.take().len()), (2, 0));
    used[0].note(after(1_000));
    uses.give_back(unsaved);
    let mut taken = uses.take();
    taken.sort_unstable();
    assert_eq!(taken, [(session(1), after(1_000)), (session(2), NOW)]);
}

#[test]
fn a_session_is_forgotten_when_its_use_is_saved_and_nobody_holds_it() {
    let uses = SessionUses::default();
    let held = uses.of(session(1));
    held.note(NOW);
    uses.of(session(2)).note(NOW);
    assert_eq!(uses.take().len(), 2);
    assert_eq!(uses.len(), 2, "saving may fail yet");
    drop(uses.take());
    assert_eq!((uses.last(session(1)), uses.len()), (Some(NOW), 1));
    drop(held);
    drop(uses.take());
    assert_eq!(uses.len(), 0);
}

#[test]
fn no_more_sessions_are_remembered_than_may_be() {
    let uses = SessionUses::default();
    for number in 0..=MAX_SESSIONS as u128 {
        uses.of(session(number)).note(NOW);
    }
    assert_eq!((uses.len(), uses.take().len()), (MAX_SESSIONS, MAX_SESSIONS));
}

/// A note that is made while uses are taken is in what is taken then or the next time.
#[test]
fn no_use_is_lost_that_is_noted_while_others_are_taken() {
    const ROUNDS: u64 = 20_000;
    let uses = SessionUses::default();
    let taken = std::thread::scope(|scope| {
        let noting = scope.spawn(|| {
            for round in 1..=ROUNDS {
                uses.of(session(1)).note(after(round * 1_000));
            }
        });
        let mut taken = Vec::new();
        while !noting.is_finished() {
            taken.extend(uses.take());
        }
        taken.extend(uses.take());
        taken
    });
    assert!(taken.is_sorted_by_key(|(_, at)| *at), "{taken:?}");
    assert_eq!(taken.last(), Some(&(session(1), after(ROUNDS * 1_000))));
}
