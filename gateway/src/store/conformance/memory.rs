//! How long memory holds what ends a credential: not a sweep less, and not for ever.

use super::{Engine, NOW, TOKEN_TTL, WEEK, change, id, later};
use crate::auth::account::AccountState;
use crate::auth::error::{Refusal, Verdict};
use crate::auth::ports::{AccountChanged, Administration, FailureLimit};
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{SessionId, TokenId};

/// What replicas' clocks may differ by, and a second.
const SLACK: Seconds = Seconds(61);
/// What a clock may be ahead.
const DAY: Seconds = Seconds(86_400);

impl Engine {
    async fn sweep_at(&self, at: Timestamp) {
        self.store.sweep(at, at).await.unwrap();
    }
}

/// By whatever a session ends. Its last token may be as old as the end, and is good for
/// as long as a token lives.
pub(crate) async fn the_end_of_a_session_is_remembered_as_long_as_a_token_may_name_it(
    engine: Engine,
) {
    // Late in the session's life, so that its own time is not what counts.
    let ended_at = later(WEEK.0 - 10);
    let mut ended: Vec<Session> = Vec::new();
    for number in 1..=6 {
        let account = engine.with_account(number).await;
        ended.push(engine.with_session(10 + number, &account).await);
    }
    let (store, owner) = (&engine.store, |number: usize| ended[number].account);
    let account = |number| engine.standing.account(owner(number)).unwrap();
    assert!(store.end_session(ended[0].id, ended_at).await.unwrap());
    assert!(store.end_sessions(owner(1), ended_at).await.unwrap());
    let mut reset = change(&account(2), "new", None);
    reset.now = ended_at;
    store.replace_password(reset).await.unwrap();
    assert!(store.set_state(owner(3), AccountState::Disabled, ended_at).await.unwrap());
    let deleted = store.delete_account(owner(4), Administration::MayEnd, ended_at).await.unwrap();
    assert!(matches!(deleted, AccountChanged::Changed(_)));
    let stray = super::rotation(&ended[5], TokenId(id(77)), 900, ended_at);
    store.rotate(stray).await.unwrap();

    let last_token_ends = ended_at.plus(TOKEN_TTL);
    for at in [ended_at.plus(Seconds(2)), later(WEEK.0 + 1), Timestamp(last_token_ends.0 - 1)] {
        engine.sweep_at(at).await;
        for session in &ended {
            assert!(engine.is_ended(session), "{:?} at {at:?}", session.id);
        }
    }
    // By a clock that is ahead.
    engine.sweep_at(last_token_ends.plus(Seconds(DAY.0 - 1))).await;
    assert!(ended.iter().all(|session| engine.is_ended(session)));
    engine.sweep_at(last_token_ends.plus(DAY).plus(SLACK)).await;
    assert_eq!(engine.standing.sizes().ended, 0, "nothing is kept for ever");
}

pub(crate) async fn a_revocation_is_remembered_until_its_time(engine: Engine) {
    let (token, session) = (TokenId(id(5)), SessionId(id(6)));
    engine.store.revoke_token(token, later(100)).await.unwrap();
    for at in [NOW, later(1), later(99)] {
        engine.sweep_at(at).await;
        let judged = engine.standing.check_token(token, session);
        assert_eq!(judged, Err(Refusal::TokenRevoked), "{at:?}");
    }
    engine.sweep_at(later(99).plus(DAY)).await;
    assert!(engine.standing.check_token(token, session).is_err(), "by a clock that is ahead");
    engine.sweep_at(later(100).plus(DAY).plus(SLACK)).await;
    assert_eq!(engine.standing.sizes().revoked, 0);
}

pub(crate) async fn a_lock_out_outlasts_every_sweep_until_its_window_ends(engine: Engine) {
    let limit = FailureLimit { attempts: 2, user_attempts: 1_000, window: Seconds(300) };
    let source = Source::V4(1);
    let count = async |at| {
        let failure = super::failure(source, None);
        engine.store.count_failure(failure, limit, later(at)).await.map(|counted| counted.address)
    };
    assert_eq!(count(0).await.unwrap(), Verdict::Allowed);
    engine.sweep_at(later(60)).await;
    assert_eq!(count(61).await.unwrap(), Verdict::LockedOut(later(300)), "the sweep forgave it");
    for at in [61, 120, 299] {
        engine.sweep_at(later(at)).await;
        let verdict = engine.standing.verdict(source, later(at));
        assert_eq!(verdict, Verdict::LockedOut(later(300)), "at {at} s");
        assert_eq!(count(at).await.unwrap(), Verdict::LockedOut(later(300)), "at {at} s");
    }
    engine.sweep_at(later(300).plus(SLACK)).await;
    assert_eq!(engine.standing.sizes().lockouts, 0);
}
