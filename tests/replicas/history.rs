//! What callers of several replicas saw, and the judge of it: could one store that
//! keeps its promises have been behind these answers?
//!
//! Who has no answer knows nothing: such an operation may have happened, at any time
//! since it began, or never.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A replica that reaches the store knows of a change so long after it was acknowledged.
pub(super) const STALENESS: Duration = Duration::from_secs(1);

/// Since the history began.
pub(super) type Moment = Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Refused,
    /// Answered 503, and yet in force at the replica that answered; elsewhere once delivered.
    Held,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A credential that was given out: a token, a key, a ticket, a password.
    Made(String),
    /// The end of a credential: a logout, a key's deletion, a password's change.
    Ended(String, Outcome),
    Used(String, Outcome),
    /// The use of what can be used once.
    Redeemed(String, Outcome),
    /// A refresh token, and the one that came for it; none when it was refused.
    Refreshed(String, Option<String>),
    Registered(String, Outcome),
    /// The same registration again, after one that was answered 503 and by nobody else.
    Repeated(String, Outcome),
}

#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) replica: usize,
    pub(super) began: Moment,
    pub(super) ended: Moment,
    pub(super) event: Event,
}

#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) operations: Vec<Operation>,
    /// A replica did not reach the store, or was not there.
    pub(super) cut_off: Vec<(usize, Moment, Moment)>,
    /// A replica lost its memory, and had it again.
    pub(super) kills: Vec<(usize, Moment, Moment)>,
    /// All replicas reached the store and had nothing left to deliver.
    pub(super) settled: Vec<Moment>,
}

impl History {
    /// Every promise that was broken, in words.
    pub(super) fn broken(&self) -> Vec<String> {
        let mut by_credential: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            let (Event::Made(name)
            | Event::Ended(name, _)
            | Event::Used(name, _)
            | Event::Redeemed(name, _)
            | Event::Refreshed(name, _)
            | Event::Registered(name, _)
            | Event::Repeated(name, _)) = &operation.event;
            by_credential.entry(name).or_default().push(operation);
        }
        let mut broken = Vec::new();
        for (name, operations) in by_credential {
            self.uses_after_the_end(name, &operations, &mut broken);
            self.refusals_of_what_is_good(name, &operations, &mut broken);
            what_happens_once(name, &operations, &mut broken);
            successors(name, &operations, &mut broken);
        }
        broken
    }

    fn uses_after_the_end(&self, name: &str, operations: &[&Operation], broken: &mut Vec<String>) {
        let ends = operations.iter().filter(|one| matches!(one.event, Event::Ended(..)));
        for end in ends {
            for usage in operations.iter().filter(|one| one.event.is_use(Outcome::Done)) {
                if self.must_know(end, usage) {
                    broken.push(format!("{name} was accepted after its end: {usage:?}, {end:?}"));
                }
            }
        }
    }

    /// What was acknowledged is not lost: it is good until something can have ended it.
    fn refusals_of_what_is_good(
        &self,
        name: &str,
        operations: &[&Operation],
        broken: &mut Vec<String>,
    ) {
        for refusal in operations {
            let made = operations.iter().find(|one| matches!(one.event, Event::Made(_)));
            let needs_a_reason = match (&refusal.event, made) {
                (
                    Event::Used(_, Outcome::Refused) | Event::Ended(_, Outcome::Refused),
                    Some(made),
                ) => {
                    let here = made.replica == refusal.replica && made.ended <= refusal.began;
                    here || self.has_heard(refusal, made.ended)
                }
                // These are judged by the store itself, not by what a replica has heard.
                (Event::Redeemed(_, Outcome::Refused) | Event::Refreshed(_, None), Some(made)) => {
                    made.ended <= refusal.began
                }
                (Event::Registered(_, Outcome::Refused), _) => true,
                // Nothing can have come between.
                (Event::Repeated(_, Outcome::Refused), _) => {
                    broken.push(format!("{name} was refused to who repeated it: {refusal:?}"));
                    false
                }
                _ => false,
            };
            let mut others = operations.iter().filter(|one| one.began <= refusal.ended);
            if needs_a_reason && !others.any(|one| one.event.may_spend()) {
                broken.push(format!("{name} was refused without a reason: {refusal:?}"));
            }
        }
    }

    /// Whether the replica of `usage` must have known of `end`.
    fn must_know(&self, end: &Operation, usage: &Operation) -> bool {
        let Event::Ended(_, outcome) = &end.event else { return false };
        let here = usage.replica == end.replica && usage.began > end.ended;
        let remembers = |until: Moment| {
            let mut kills = self.kills.iter().filter(|(replica, ..)| *replica == end.replica);
            !kills.any(|&(_, lost, back)| lost <= until && end.began <= back)
        };
        match outcome {
            Outcome::Done => here || self.has_heard(usage, end.ended),
            Outcome::Held => {
                let delivered = self.settled.iter().find(|&&moment| moment > end.ended);
                (here && remembers(usage.began))
                    || delivered
                        .is_some_and(|&moment| remembers(moment) && self.has_heard(usage, moment))
            }
            Outcome::Refused | Outcome::Unknown => false,
        }
    }

    /// Whether the replica of `usage` has reached the store long enough to know what was
    /// acknowledged at `moment`.
    fn has_heard(&self, usage: &Operation, moment: Moment) -> bool {
        let since = usage.began.saturating_sub(STALENESS);
        let reached = !self.cut_off.iter().any(|&(replica, from, until)| {
            replica == usage.replica && from <= usage.began && since <= until
        });
        moment < since && reached
    }
}

impl Event {
    fn is_use(&self, wanted: Outcome) -> bool {
        matches!(self, Event::Used(_, outcome) if *outcome == wanted)
    }

    /// Something that a credential or a name can have come to its end by.
    fn may_spend(&self) -> bool {
        match self {
            Event::Ended(_, outcome) => *outcome != Outcome::Refused,
            Event::Redeemed(_, outcome) | Event::Registered(_, outcome) => {
                matches!(outcome, Outcome::Done | Outcome::Unknown)
            }
            _ => false,
        }
    }
}

fn what_happens_once(name: &str, operations: &[&Operation], broken: &mut Vec<String>) {
    let done = operations.iter().filter(|one| {
        matches!(
            one.event,
            Event::Redeemed(_, Outcome::Done)
                | Event::Registered(_, Outcome::Done)
                | Event::Repeated(_, Outcome::Done)
        )
    });
    let done: Vec<_> = done.collect();
    if done.len() > 1 {
        broken.push(format!("{name} was taken more than once: {done:?}"));
    }
}

fn successors(name: &str, operations: &[&Operation], broken: &mut Vec<String>) {
    let successors: BTreeSet<&String> = operations
        .iter()
        .filter_map(|one| match &one.event {
            Event::Refreshed(_, successor) => successor.as_ref(),
            _ => None,
        })
        .collect();
    if successors.len() > 1 {
        broken.push(format!("{name} has several successors: {successors:?}"));
    }
}

mod tests;
