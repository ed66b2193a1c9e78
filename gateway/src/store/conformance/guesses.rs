//! Guesses at one user from many addresses.

use std::sync::Arc;

use super::{Engine, NOW, failure, later};
use crate::auth::error::Verdict;
use crate::auth::guessed::Guessed;
use crate::auth::ports::FailureLimit;
use crate::auth::source::Source;
use crate::auth::time::{Seconds, Timestamp};

const LIMIT: FailureLimit =
    FailureLimit { attempts: 1_000, user_attempts: 3, window: Seconds(300) };
const ANN: Guessed = Guessed(uuid::Uuid::from_u128(1));
const BEN: Guessed = Guessed(uuid::Uuid::from_u128(2));

impl Engine {
    /// Until when a failure of this address on a user has slowed it, if it is the one.
    async fn fail_on(&self, user: Guessed, address: u32, at: Timestamp) -> Option<Timestamp> {
        let failure = failure(Source::V4(address), Some(user));
        let counted = self.store.count_failure(failure, LIMIT, at).await.unwrap();
        assert_eq!(counted.address, Verdict::Allowed);
        counted.slowed
    }
}

pub(crate) async fn failures_on_a_user_count_together_wherever_they_come_from(engine: Engine) {
    for address in 1..=2 {
        assert_eq!(engine.fail_on(ANN, address, NOW).await, None);
        assert_eq!(engine.fail_on(BEN, address, NOW).await, None);
    }
    assert!(!engine.standing.is_slowed(ANN, NOW));
    assert_eq!(engine.fail_on(ANN, 3, NOW).await, Some(later(300)));
    assert!(engine.standing.is_slowed(ANN, later(299)) && !engine.standing.is_slowed(BEN, NOW));
    assert!(!engine.standing.is_slowed(ANN, later(300)));
    assert_eq!(engine.standing.sizes().lockouts, 0, "nobody is locked out");
    // What cannot be told whose it is counts for its address alone.
    let nobody = failure(Source::V4(9), None);
    assert_eq!(engine.store.count_failure(nobody, LIMIT, NOW).await.unwrap().slowed, None);
}

/// Who looked at the clock first need not count first, and those of replicas differ.
pub(crate) async fn failures_count_together_by_clocks_that_differ_a_little(engine: Engine) {
    let limit = FailureLimit { attempts: 3, ..LIMIT };
    let counted = async |at: u64| {
        let failure = failure(Source::V4(1), Some(ANN));
        engine.store.count_failure(failure, limit, Timestamp(at)).await.unwrap()
    };
    counted(NOW.0).await;
    counted(NOW.0 - 1).await;
    let third = counted(NOW.0 - 5_000).await;
    assert_eq!(third.address, Verdict::LockedOut(later(300)));
    assert_eq!(third.slowed, Some(later(300)));
    // A clock that was set back by more begins a window of its own.
    assert_eq!(counted(NOW.0 - 400_000).await.address, Verdict::Allowed);
}

pub(crate) async fn a_user_is_slowed_once_in_a_window_that_does_not_move(engine: Engine) {
    for at in [0, 100] {
        assert_eq!(engine.fail_on(ANN, 1, later(at)).await, None);
    }
    engine.store.sweep(later(150), later(150)).await.unwrap();
    assert_eq!(engine.fail_on(ANN, 1, later(200)).await, Some(later(300)));
    assert_eq!(engine.fail_on(ANN, 1, later(250)).await, None, "it is slow already");
    engine.store.sweep(later(299), later(299)).await.unwrap();
    assert!(engine.standing.is_slowed(ANN, later(299)));
    // The next window begins with nothing.
    for at in [300, 301] {
        assert_eq!(engine.fail_on(ANN, 1, later(at)).await, None);
    }
    assert!(!engine.standing.is_slowed(ANN, later(301)));
    assert_eq!(engine.fail_on(ANN, 1, later(302)).await, Some(later(600)));
    // A replica may hear of its own change once more, by the stream.
    for _ in 0..1_000 {
        engine.store.sweep(later(700), later(700)).await.unwrap();
        if engine.standing.sizes().slowed == 0 {
            return;
        }
    }
    panic!("nothing is kept for ever");
}

pub(crate) async fn of_failures_on_a_user_at_once_one_slows_it(engine: Engine) {
    let limit = FailureLimit { user_attempts: 40, ..LIMIT };
    let counts = (0..64).map(|address| {
        let (store, failure) = (Arc::clone(&engine.store), failure(Source::V4(address), Some(ANN)));
        tokio::spawn(async move { store.count_failure(failure, limit, NOW).await.unwrap().slowed })
    });
    let mut slowed = Vec::new();
    for count in counts.collect::<Vec<_>>() {
        slowed.extend(count.await.unwrap());
    }
    assert_eq!(slowed, [later(300)]);
}
