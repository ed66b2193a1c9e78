//! What ended here while the store could not be told. It holds in memory at once, is told
//! as soon as the store takes changes, and is acknowledged by nobody: a process that ends
//! before takes it along.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::error::StoreError;
use crate::auth::standing::Standing;
use crate::auth::time::{SWEEP_SLACK, Seconds, Timestamp};
use crate::auth::token::{SessionId, TokenId};

/// Beyond this nothing more holds, and its caller hears that nothing was done.
const MAX_HELD: usize = 10_000;
/// Of keys that one owner asks for, whose ids anybody can make up.
const MAX_OF_OWNER: usize = 100;

/// By ids, so that it can end what this memory knows nothing of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// A token, and when it would have expired.
    Token(TokenId, Timestamp),
    /// A session, and when it was ended.
    Session(SessionId, Timestamp),
    /// Every session of an account up to a moment.
    Sessions(AccountId, Timestamp),
    /// A key, of this owner only when one is named.
    Key(KeyId, Option<AccountId>),
}

/// When the store hears of an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    AtOnce,
    /// After it has held here for a while. Who signed in meanwhile stays signed in.
    Late,
}

/// Of what ends, and for whom: what one owner asks of a key says nothing for another.
type Id = (Uuid, Option<AccountId>);

impl Ending {
    fn id(self) -> Id {
        match self {
            Ending::Token(token, _) => (token.0, None),
            Ending::Session(session, _) => (session.0, None),
            Ending::Sessions(account, _) => (account.0, None),
            Ending::Key(key, owner) => (key.0, owner),
        }
    }
}

#[derive(Default)]
pub(super) struct Held {
    list: Mutex<List>,
    /// How long the list is, for who asks only that.
    count: AtomicUsize,
}

#[derive(Default)]
struct List {
    endings: BTreeMap<Id, Ending>,
    /// How many of them each owner has asked for.
    of_owners: BTreeMap<AccountId, usize>,
    /// Where the next turn goes on.
    behind: Option<Id>,
}

impl List {
    fn has_room(&self, id: Id) -> bool {
        let of_owner = id.1.and_then(|owner| self.of_owners.get(&owner)).copied();
        self.endings.contains_key(&id)
            || self.endings.len() < MAX_HELD && of_owner.unwrap_or(0) < MAX_OF_OWNER
    }

    fn insert(&mut self, ending: Ending) {
        let id = ending.id();
        if self.endings.insert(id, ending).is_none()
            && let Some(owner) = id.1
        {
            *self.of_owners.entry(owner).or_default() += 1;
        }
    }

    fn remove(&mut self, id: Id) {
        if self.endings.remove(&id).is_some()
            && let Some(owner) = id.1
            && let Some(count) = self.of_owners.get_mut(&owner)
        {
            *count -= 1;
            if *count == 0 {
                self.of_owners.remove(&owner);
            }
        }
    }
}

impl Held {
    /// Looks at the list, or changes it.
    fn with<T>(&self, work: impl FnOnce(&mut List) -> T) -> T {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut list);
        self.count.store(list.endings.len(), Ordering::Release);
        done
    }

    /// Lets hold here what the store could not be told. `token_ttl` is the longest lifetime
    /// of a token that names a session.
    ///
    /// # Errors
    /// [`StoreError::Held`] when it holds; else what was answered.
    pub(super) fn hold<T>(
        &self,
        standing: &Standing,
        (ending, token_ttl): (Ending, Seconds),
        told: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !matches!(told, Err(StoreError::Unavailable(_) | StoreError::Busy)) {
            return told;
        }
        self.with(|list| {
            if !list.has_room(ending.id()) {
                return told;
            }
            let holds = match ending {
                Ending::Token(token, expires) => {
                    standing.revoke_token(token, expires);
                    true
                }
                Ending::Session(session, now) => {
                    standing.end_sessions(&[(session, now.plus(token_ttl))]);
                    true
                }
                Ending::Sessions(account, now) => {
                    standing.end_all_sessions(account, now);
                    true
                }
                Ending::Key(key, owner) => standing.withhold_key(key, owner),
            };
            if !holds {
                return told;
            }
            list.insert(ending);
            Err(StoreError::Held)
        })
    }

    /// Some of them, others each time until all have had a turn: what the store does not
    /// take holds up no other.
    pub(super) fn turn(&self, limit: usize) -> Vec<Ending> {
        self.with(|list| {
            let behind = list.behind.take();
            let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
            let later = list.endings.range((from, Bound::Unbounded));
            let earlier = behind.map(|behind| list.endings.range(..=behind));
            let all = later.chain(earlier.into_iter().flatten());
            let some: Vec<Ending> = all.take(limit).map(|(_, ending)| *ending).collect();
            list.behind = some.last().map(|ending| ending.id());
            some
        })
    }

    /// The store has been told.
    pub(super) fn release(&self, standing: &Standing, ending: Ending) {
        self.with(|list| {
            // A later one of the same is not told yet.
            if list.endings.get(&ending.id()) == Some(&ending) {
                list.remove(ending.id());
                if let Ending::Key(key, owner) = ending {
                    standing.release_key(key, owner);
                }
            }
        });
    }

    /// Forgets tokens that have expired.
    pub(super) fn sweep(&self, now: Timestamp) {
        let long_ago = now.minus(SWEEP_SLACK);
        self.with(|list| {
            list.endings.retain(|_, ending| match ending {
                Ending::Token(_, expires) => *expires > long_ago,
                Ending::Session(..) | Ending::Sessions(..) | Ending::Key(..) => true,
            });
        });
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Result<(), StoreError> {
        Err(StoreError::Unavailable("away".to_owned()))
    }

    fn token(number: u128) -> Ending {
        Ending::Token(TokenId(Uuid::from_u128(number)), Timestamp(9_000))
    }

    #[test]
    fn what_ends_once_more_before_the_store_is_told_is_told_too() {
        let (held, standing) = (Held::default(), Standing::default());
        let account = AccountId(Uuid::from_u128(1));
        let [first, second] = [1, 2].map(|at| Ending::Sessions(account, Timestamp(at)));
        for ending in [first, second] {
            let told = held.hold(&standing, (ending, Seconds(1)), away());
            assert!(matches!(told, Err(StoreError::Held)));
        }
        held.release(&standing, first);
        assert_eq!(held.turn(9), [second]);
        held.release(&standing, second);
        assert_eq!(held.len(), 0);
    }

    #[test]
    fn what_another_asks_of_a_key_lifts_no_end_of_it() {
        let (held, standing) = (Held::default(), Standing::default());
        let account = crate::store::conformance::account(1);
        let key = crate::store::conformance::key(1, &account);
        standing.put_key(key.clone());
        let anybody = Ending::Key(key.id, Some(AccountId(Uuid::from_u128(99))));
        for ending in [Ending::Key(key.id, None), anybody] {
            let _ = held.hold(&standing, (ending, Seconds(1)), away());
        }
        // Its record is read again, before and after the store has heard of one of both.
        for _ in 0..2 {
            standing.put_key(key.clone());
            assert!(standing.key(&key.digest).is_none());
            held.release(&standing, anybody);
        }
        held.release(&standing, Ending::Key(key.id, None));
        standing.put_key(key.clone());
        assert!(standing.key(&key.digest).is_some());
    }

    #[test]
    fn what_is_too_much_does_not_hold_and_says_so() {
        let (held, standing) = (Held::default(), Standing::default());
        let hold = |ending| held.hold(&standing, (ending, Seconds(1)), away());
        for number in 0..MAX_HELD as u128 {
            assert!(matches!(hold(token(number)), Err(StoreError::Held)));
        }
        let over = MAX_HELD as u128;
        assert!(matches!(hold(token(over)), Err(StoreError::Unavailable(_))));
        let session = SessionId(Uuid::nil());
        assert!(standing.check_token(TokenId(Uuid::from_u128(over)), session).is_ok());
        assert!(matches!(hold(token(0)), Err(StoreError::Held)), "it is held already");
        held.release(&standing, token(0));
        assert!(matches!(hold(token(over)), Err(StoreError::Held)));
        assert_eq!(held.len(), MAX_HELD);
    }

    #[test]
    fn one_owner_leaves_room_for_others() {
        let (held, standing) = (Held::default(), Standing::default());
        let [mine, other] = [1, 2].map(|owner| Some(AccountId(Uuid::from_u128(owner))));
        let key = |number, owner| Ending::Key(KeyId(Uuid::from_u128(number)), owner);
        let hold = |ending| held.hold(&standing, (ending, Seconds(1)), away());
        let most = MAX_OF_OWNER as u128;
        for number in 0..most {
            assert!(matches!(hold(key(number, mine)), Err(StoreError::Held)));
        }
        assert!(matches!(hold(key(most, mine)), Err(StoreError::Unavailable(_))));
        assert!(matches!(hold(key(0, mine)), Err(StoreError::Held)), "it is held already");
        for owner in [other, None] {
            assert!(matches!(hold(key(most, owner)), Err(StoreError::Held)), "{owner:?}");
        }
        held.release(&standing, key(0, mine));
        assert!(matches!(hold(key(most, mine)), Err(StoreError::Held)));
    }

    #[test]
    fn each_has_its_turn_whatever_becomes_of_those_before() {
        let (held, standing) = (Held::default(), Standing::default());
        assert_eq!(held.turn(2), []);
        for number in 1..=5 {
            let _ = held.hold(&standing, (token(number), Seconds(1)), away());
        }
        let turns: Vec<_> = (0..4).flat_map(|_| held.turn(2)).collect();
        assert_eq!(turns, [1, 2, 3, 4, 5, 1, 2, 3].map(token));
        held.release(&standing, token(3));
        assert_eq!(held.turn(9), [4, 5, 1, 2].map(token), "each once");
    }

    #[test]
    fn a_token_is_held_for_a_day_longer_than_it_lives() {
        let (held, standing) = (Held::default(), Standing::default());
        let session = Ending::Session(SessionId(Uuid::from_u128(2)), Timestamp(1));
        for ending in [token(1), session] {
            let _ = held.hold(&standing, (ending, Seconds(1)), away());
        }
        let forgotten = Timestamp(9_000).plus(SWEEP_SLACK);
        held.sweep(Timestamp(forgotten.0 - 1));
        assert_eq!(held.len(), 2);
        held.sweep(forgotten);
        assert_eq!((held.len(), held.turn(9)), (1, vec![session]));
    }

    #[test]
    fn what_was_stored_or_is_damaged_is_not_held() {
        let (held, standing) = (Held::default(), Standing::default());
        assert!(held.hold(&standing, (token(1), Seconds(1)), Ok(())).is_ok());
        let damaged = Err::<(), _>(StoreError::Damaged("it".to_owned()));
        let answer = held.hold(&standing, (token(1), Seconds(1)), damaged);
        assert!(matches!(answer, Err(StoreError::Damaged(_))));
        assert_eq!(held.len(), 0);
        assert_eq!(standing.sizes().revoked, 0);
    }
}
