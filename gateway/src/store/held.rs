//! What ended here while the store could not be told. It holds in memory at once, is told
//! as soon as the store takes changes, and is acknowledged by nobody: a process that ends
//! before takes it along.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::error::StoreError;
use crate::auth::standing::Standing;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{SessionId, TokenId};

/// Beyond this nothing more holds, and its caller hears that nothing was done.
const MAX_HELD: usize = 10_000;

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
pub(super) struct Held(Mutex<BTreeMap<Id, Ending>>);

impl Held {
    fn endings(&self) -> MutexGuard<'_, BTreeMap<Id, Ending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut endings = self.endings();
        if endings.len() >= MAX_HELD && !endings.contains_key(&ending.id()) {
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
        endings.insert(ending.id(), ending);
        Err(StoreError::Held)
    }

    pub(super) fn first(&self, limit: usize) -> Vec<Ending> {
        self.endings().values().take(limit).copied().collect()
    }

    /// The store has been told.
    pub(super) fn release(&self, standing: &Standing, ending: Ending) {
        let mut endings = self.endings();
        // A later one of the same is not told yet.
        if endings.get(&ending.id()) == Some(&ending) {
            endings.remove(&ending.id());
            if let Ending::Key(key, owner) = ending {
                standing.release_key(key, owner);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.endings().len()
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
        assert_eq!(held.first(9), [second]);
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
