//! Revocations that the store has not been sent: it took no changes when they were made. They
//! hold in memory at once and are sent as soon as it takes changes. None is acknowledged to its
//! caller: a process that ends before that takes it along.

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

/// Beyond this no revocation holds, and its caller hears that nothing was done.
const MAX_PENDING: usize = 10_000;
/// Of keys that one owner asks for, whose ids anybody can make up.
const MAX_OF_OWNER: usize = 100;

/// What is to end. By ids, so that it can end what this memory knows nothing of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revocation {
    /// A token, and when it would have expired.
    Token(TokenId, Timestamp),
    /// A session, and when it was ended.
    Session(SessionId, Timestamp),
    /// Every session of an account up to a moment.
    Sessions(AccountId, Timestamp),
    /// A key, of this owner only when one is named.
    Key(KeyId, Option<AccountId>),
}

/// When a revocation is sent to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    AtOnce,
    /// After it has held here for a while. Who signed in meanwhile stays signed in.
    Late,
}

/// What ends, and for whom: what one owner asks of a key says nothing for another.
type Id = (Uuid, Option<AccountId>);

impl Revocation {
    fn id(self) -> Id {
        match self {
            Revocation::Token(token, _) => (token.0, None),
            Revocation::Session(session, _) => (session.0, None),
            Revocation::Sessions(account, _) => (account.0, None),
            Revocation::Key(key, owner) => (key.0, owner),
        }
    }
}

#[derive(Default)]
pub(super) struct PendingRevocations {
    list: Mutex<List>,
    /// How long the list is, for who asks only that.
    count: AtomicUsize,
}

#[derive(Default)]
struct List {
    revocations: BTreeMap<Id, Revocation>,
    /// How many of them each owner has asked for.
    of_owners: BTreeMap<AccountId, usize>,
    /// Where the next turn goes on.
    behind: Option<Id>,
}

impl List {
    fn has_room(&self, id: Id) -> bool {
        let of_owner = id.1.and_then(|owner| self.of_owners.get(&owner)).copied();
        self.revocations.contains_key(&id)
            || self.revocations.len() < MAX_PENDING && of_owner.unwrap_or(0) < MAX_OF_OWNER
    }

    fn insert(&mut self, revocation: Revocation) {
        let id = revocation.id();
        if self.revocations.insert(id, revocation).is_none()
            && let Some(owner) = id.1
        {
            *self.of_owners.entry(owner).or_default() += 1;
        }
    }

    fn remove(&mut self, id: Id) {
        if self.revocations.remove(&id).is_some()
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

impl PendingRevocations {
    /// Looks at the list, or changes it.
    fn with<T>(&self, work: impl FnOnce(&mut List) -> T) -> T {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut list);
        self.count.store(list.revocations.len(), Ordering::Release);
        done
    }

    /// Lets a revocation hold here that could not be sent. `token_ttl` is the longest lifetime
    /// of a token that names a session.
    ///
    /// # Errors
    /// [`StoreError::Held`] when it holds; else what was answered.
    pub(super) fn keep_unless_sent<T>(
        &self,
        standing: &Standing,
        (revocation, token_ttl): (Revocation, Seconds),
        sent: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !matches!(sent, Err(StoreError::Unavailable(_) | StoreError::Busy)) {
            return sent;
        }
        self.with(|list| {
            if !list.has_room(revocation.id()) {
                return sent;
            }
            let holds = match revocation {
                Revocation::Token(token, expires) => {
                    standing.revoke_token(token, expires);
                    true
                }
                Revocation::Session(session, now) => {
                    standing.end_sessions(&[(session, now.plus(token_ttl))]);
                    true
                }
                Revocation::Sessions(account, now) => {
                    standing.end_all_sessions(account, now);
                    true
                }
                Revocation::Key(key, owner) => standing.withhold_key(key, owner),
            };
            if !holds {
                return sent;
            }
            list.insert(revocation);
            Err(StoreError::Held)
        })
    }

    /// Some of them, others each time until all have had a turn: what the store does not
    /// take holds up no other.
    pub(super) fn next(&self, limit: usize) -> Vec<Revocation> {
        self.with(|list| {
            let behind = list.behind.take();
            let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
            let later = list.revocations.range((from, Bound::Unbounded));
            let earlier = behind.map(|behind| list.revocations.range(..=behind));
            let all = later.chain(earlier.into_iter().flatten());
            let some: Vec<Revocation> =
                all.take(limit).map(|(_, revocation)| *revocation).collect();
            list.behind = some.last().map(|revocation| revocation.id());
            some
        })
    }

    /// The store has it.
    pub(super) fn sent(&self, standing: &Standing, revocation: Revocation) {
        self.with(|list| {
            // A later one of the same has not been sent yet.
            if list.revocations.get(&revocation.id()) == Some(&revocation) {
                list.remove(revocation.id());
                if let Revocation::Key(key, owner) = revocation {
                    standing.release_key(key, owner);
                }
            }
        });
    }

    /// Forgets tokens that have expired.
    pub(super) fn sweep(&self, now: Timestamp) {
        let long_ago = now.minus(SWEEP_SLACK);
        self.with(|list| {
            list.revocations.retain(|_, revocation| match revocation {
                Revocation::Token(_, expires) => *expires > long_ago,
                Revocation::Session(..) | Revocation::Sessions(..) | Revocation::Key(..) => true,
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

    fn token(number: u128) -> Revocation {
        Revocation::Token(TokenId(Uuid::from_u128(number)), Timestamp(9_000))
    }

    #[test]
    fn what_ends_once_more_before_the_store_is_told_is_told_too() {
        let (pending, standing) = (PendingRevocations::default(), Standing::default());
        let account = AccountId(Uuid::from_u128(1));
        let [first, second] = [1, 2].map(|at| Revocation::Sessions(account, Timestamp(at)));
        for revocation in [first, second] {
            let sent = pending.keep_unless_sent(&standing, (revocation, Seconds(1)), away());
            assert!(matches!(sent, Err(StoreError::Held)));
        }
        pending.sent(&standing, first);
        assert_eq!(pending.next(9), [second]);
        pending.sent(&standing, second);
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn what_another_asks_of_a_key_lifts_no_end_of_it() {
        let (pending, standing) = (PendingRevocations::default(), Standing::default());
        let account = crate::store::conformance::account(1);
        let key = crate::store::conformance::key(1, &account);
        standing.put_key(key.clone());
        let anybody = Revocation::Key(key.id, Some(AccountId(Uuid::from_u128(99))));
        for revocation in [Revocation::Key(key.id, None), anybody] {
            let _ = pending.keep_unless_sent(&standing, (revocation, Seconds(1)), away());
        }
        // Its record is read again, before and after the store has heard of one of both.
        for _ in 0..2 {
            standing.put_key(key.clone());
            assert!(standing.key(&key.digest).is_none());
            pending.sent(&standing, anybody);
        }
        pending.sent(&standing, Revocation::Key(key.id, None));
        standing.put_key(key.clone());
        assert!(standing.key(&key.digest).is_some());
    }

    #[test]
    fn what_is_too_much_does_not_hold_and_says_so() {
        let (pending, standing) = (PendingRevocations::default(), Standing::default());
        let hold =
            |revocation| pending.keep_unless_sent(&standing, (revocation, Seconds(1)), away());
        for number in 0..MAX_PENDING as u128 {
            assert!(matches!(hold(token(number)), Err(StoreError::Held)));
        }
        let over = MAX_PENDING as u128;
        assert!(matches!(hold(token(over)), Err(StoreError::Unavailable(_))));
        let session = SessionId(Uuid::nil());
        assert!(standing.check_token(TokenId(Uuid::from_u128(over)), session).is_ok());
        assert!(matches!(hold(token(0)), Err(StoreError::Held)), "it is held already");
        pending.sent(&standing, token(0));
        assert!(matches!(hold(token(over)), Err(StoreError::Held)));
        assert_eq!(pending.len(), MAX_PENDING);
    }

    #[test]
    fn one_owner_leaves_room_for_others() {
        let (pending, standing) = (PendingRevocations::default(), Standing::default());
        let [mine, other] = [1, 2].map(|owner| Some(AccountId(Uuid::from_u128(owner))));
        let key = |number, owner| Revocation::Key(KeyId(Uuid::from_u128(number)), owner);
        let hold =
            |revocation| pending.keep_unless_sent(&standing, (revocation, Seconds(1)), away());
        let most = MAX_OF_OWNER as u128;
        for number in 0..most {
            assert!(matches!(hold(key(number, mine)), Err(StoreError::Held)));
        }
        assert!(matches!(hold(key(most, mine)), Err(StoreError::Unavailable(_))));
        assert!(matches!(hold(key(0, mine)), Err(StoreError::Held)), "it is held already");
        for owner in [other, None] {
            assert!(matches!(hold(key(most, owner)), Err(StoreError::Held)), "{owner:?}");
        }
        pending.sent(&standing, key(0, mine));
        assert!(matches!(hold(key(most, mine)), Err(StoreError::Held)));
    }

    #[test]
    fn each_has_its_turn_whatever_becomes_of_those_before() {
        let (pending, standing) = (PendingRevocations::default(), Standing::default());
        assert_eq!(pending.next(2), []);
        for number in 1..=5 {
            let _ = pending.keep_unless_sent(&standing, (token(number), Seconds(1)), away());
        }
        let turns: Vec<_> = (0..4).flat_map(|_| pending.next(2)).collect();
        assert_eq!(turns, [1, 2, 3, 4, 5, 1, 2, 3].map(token));
        pending.sent(&standing, token(3));
        assert_eq!(pending.next(9), [4, 5, 1, 2].map(token), "each once");
    }

    #[test]
    fn a_token_is_held_for_a_day_longer_than_it_lives() {
        let (pending, standing) = (PendingRevocations::default(), Standing::default());
        let session = Revocation::Session(SessionId(Uuid::from_u128(2)), Timestamp(1));
        for revocation in [token(1), session] {
            let _ = pending.keep_unless_sent(&standing, (revocation, Seconds(1)), away());
        }
        let forgotten = Timestamp(9_000).plus(SWEEP_SLACK);
        pending.sweep(Timestamp(forgotten.0 - 1));
        assert_eq!(pending.len(), 2);
        pending.sweep(forgotten);
        assert_eq!((pending.len(), pending.next(9)), (1, vec![session]));
    }

    #[test]
    fn what_was_stored_or_is_damaged_is_not_held() {
        let (pending, standing) = (PendingRevocations::default(), Standing::default());
        assert!(pending.keep_unless_sent(&standing, (token(1), Seconds(1)), Ok(())).is_ok());
        let damaged = Err::<(), _>(StoreError::Damaged("it".to_owned()));
        let answer = pending.keep_unless_sent(&standing, (token(1), Seconds(1)), damaged);
        assert!(matches!(answer, Err(StoreError::Damaged(_))));
        assert_eq!(pending.len(), 0);
        assert_eq!(standing.sizes().revoked, 0);
    }
}
