//! The judge judged: histories made by hand, good ones and bad ones.

use std::time::Duration;

use super::Event::{Ended, Made, Redeemed, Refreshed, Registered, Repeated, Used};
use super::Outcome::{Done, Held, Refused, Unknown};
use super::{Event, History, Operation, Outcome};

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Operations of one replica each, in milliseconds from and to.
fn history(operations: Vec<(usize, u64, u64, Event)>) -> History {
    let operations = operations.into_iter().map(|(replica, began, ended, event)| Operation {
        replica,
        began: ms(began),
        ended: ms(ended),
        event,
    });
    History { operations: operations.collect(), ..History::default() }
}

fn made() -> Event {
    Made("it".to_owned())
}

fn ended(outcome: Outcome) -> Event {
    Ended("it".to_owned(), outcome)
}

fn used(outcome: Outcome) -> Event {
    Used("it".to_owned(), outcome)
}

fn redeemed(outcome: Outcome) -> Event {
    Redeemed("it".to_owned(), outcome)
}

fn registered(outcome: Outcome) -> Event {
    Registered("it".to_owned(), outcome)
}

fn refreshed(successor: &str) -> Event {
    Refreshed("it".to_owned(), Some(successor.to_owned()))
}

#[track_caller]
fn keeps(history: &History) {
    assert_eq!(history.broken(), Vec::<String>::new());
}

#[track_caller]
fn breaks(history: &History, how: &str) {
    let broken = history.broken();
    assert!(broken.len() == 1 && broken[0].contains(how), "{how}: {broken:?}");
}

const AFTER_ITS_END: &str = "after its end";
const NO_REASON: &str = "without a reason";

#[test]
fn an_end_is_known_everywhere_after_the_staleness() {
    let seen = |replica, at, outcome| {
        history(vec![(0, 0, 1, made()), (0, 10, 20, ended(Done)), (replica, at, at, used(outcome))])
    };
    keeps(&seen(1, 1019, Done));
    breaks(&seen(1, 1021, Done), AFTER_ITS_END);
    keeps(&seen(1, 1021, Refused));
    keeps(&seen(1, 1021, Unknown));
    // Where it was ended, at once.
    keeps(&seen(0, 15, Done));
    breaks(&seen(0, 21, Done), AFTER_ITS_END);
}

#[test]
fn a_replica_that_is_cut_off_is_excused_until_it_has_had_time_to_hear() {
    let mut seen = history(vec![(0, 10, 20, ended(Done)), (1, 3000, 3001, used(Done))]);
    seen.cut_off = vec![(1, ms(15), ms(2500))];
    keeps(&seen);
    seen.cut_off = vec![(1, ms(15), ms(1999))];
    breaks(&seen, AFTER_ITS_END);
    // Nobody else is, nor who was cut off later.
    seen.cut_off = vec![(2, ms(15), ms(2500)), (1, ms(3001), ms(4000))];
    breaks(&seen, AFTER_ITS_END);
    // What it acknowledged itself it knows.
    let mut seen = history(vec![(1, 10, 20, ended(Done)), (1, 30, 31, used(Done))]);
    seen.cut_off = vec![(1, ms(15), ms(2500))];
    breaks(&seen, AFTER_ITS_END);
}

#[test]
fn an_end_that_is_held_is_known_where_it_was_asked_for_and_everywhere_once_delivered() {
    let seen =
        |replica, at| history(vec![(0, 10, 20, ended(Held)), (replica, at, at + 1, used(Done))]);
    breaks(&seen(0, 21), AFTER_ITS_END);
    keeps(&seen(1, 5000));
    let mut delivered = seen(1, 5000);
    delivered.settled = vec![ms(5), ms(3000)];
    breaks(&delivered, AFTER_ITS_END);
    delivered.settled = vec![ms(5), ms(4500)];
    keeps(&delivered);
    // A kill takes what only memory knew.
    let mut killed = seen(0, 5000);
    killed.kills = vec![(0, ms(100), ms(200))];
    keeps(&killed);
    killed.settled = vec![ms(3000)];
    keeps(&killed);
    killed.kills = vec![(0, ms(3500), ms(3600))];
    breaks(&killed, AFTER_ITS_END);
    killed.kills = vec![(1, ms(100), ms(200))];
    breaks(&killed, AFTER_ITS_END);
}

#[test]
fn an_end_without_an_answer_may_have_happened_or_not() {
    for outcome in [Done, Refused] {
        keeps(&history(vec![
            (0, 0, 1, made()),
            (0, 10, 20, ended(Unknown)),
            (0, 5000, 5001, used(outcome)),
        ]));
    }
}

#[test]
fn what_was_acknowledged_is_not_lost() {
    let seen = |replica, at, outcome| {
        history(vec![(0, 0, 10, made()), (replica, at, at + 10, used(outcome))])
    };
    keeps(&seen(0, 9, Refused));
    breaks(&seen(0, 10, Refused), NO_REASON);
    keeps(&seen(0, 10, Unknown));
    // Elsewhere it takes a while, and longer for who is cut off.
    keeps(&seen(1, 1010, Refused));
    let mut late = seen(1, 1011, Refused);
    breaks(&late, NO_REASON);
    late.cut_off = vec![(1, ms(5), ms(50))];
    keeps(&late);
    // An end is a reason from when it began, and if it was not refused.
    let ending = |began, outcome| {
        history(vec![
            (0, 0, 10, made()),
            (0, 100, 200, used(Refused)),
            (2, began, 900, ended(outcome)),
        ])
    };
    keeps(&ending(200, Done));
    keeps(&ending(200, Unknown));
    breaks(&ending(201, Done), NO_REASON);
    let nothing_to_end = history(vec![(0, 0, 10, made()), (0, 20, 30, ended(Refused))]);
    breaks(&nothing_to_end, NO_REASON);
}

#[test]
fn a_ticket_is_taken_once_and_refused_only_for_that() {
    let made = (0, 0, 1, made());
    let once = "more than once";
    breaks(&history(vec![(0, 10, 20, redeemed(Done)), (1, 5, 25, redeemed(Done))]), once);
    for first in [Done, Unknown] {
        let second = (1, 5, 25, redeemed(Refused));
        keeps(&history(vec![made.clone(), (0, 10, 20, redeemed(first)), second]));
    }
    let lost = vec![made, (0, 10, 20, redeemed(Refused)), (1, 30, 40, redeemed(Refused))];
    assert_eq!(history(lost).broken().len(), 2);
}

#[test]
fn a_name_is_registered_once_and_refused_only_for_that() {
    let both = vec![(0, 10, 20, registered(Done)), (1, 5, 25, registered(Done))];
    breaks(&history(both), "more than once");
    let one = vec![(0, 10, 20, registered(Unknown)), (1, 5, 25, registered(Refused))];
    keeps(&history(one));
    breaks(&history(vec![(1, 5, 25, registered(Refused))]), NO_REASON);
}

#[test]
fn a_registration_that_is_repeated_after_a_503_is_made_once_and_never_refused() {
    let first = (0, 0, 10, registered(Unknown));
    let again = |began, outcome| (1, began, began + 5, Repeated("it".to_owned(), outcome));
    keeps(&history(vec![first.clone(), again(20, Unknown), again(30, Done)]));
    breaks(&history(vec![first.clone(), again(20, Refused)]), "who repeated it");
    breaks(&history(vec![first, again(20, Done), again(30, Done)]), "more than once");
}

#[test]
fn a_refresh_token_has_one_successor() {
    keeps(&history(vec![(0, 0, 1, refreshed("a")), (1, 0, 9, refreshed("a"))]));
    let forked = vec![(0, 0, 1, refreshed("a")), (1, 0, 9, refreshed("b"))];
    breaks(&history(forked), "several successors");
    let refused = (1, 20, 30, Refreshed("it".to_owned(), None));
    breaks(&history(vec![(0, 0, 1, made()), refused.clone()]), NO_REASON);
    keeps(&history(vec![(0, 0, 1, made()), (0, 15, 25, ended(Unknown)), refused]));
}
