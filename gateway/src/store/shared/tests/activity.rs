//! When sessions were last used and accounts last signed in, as it lies in Redis.

use redis::cmd;

use super::*;
use crate::auth::session::Session;
use crate::store::conformance::session;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_use_of_a_session_goes_with_it_and_after_its_time_in_any_case() {
    let prefix = prefix();
    let [one] = replicas(&prefix).await;
    let (beside, account) = (shared_store(&prefix).await, one.with_account(1).await);
    let engine = &beside.engine;
    let [ended, left] =
        [one.with_session(11, &account).await, one.with_session(12, &account).await];
    let uses = vec![(ended.id, later(5)), (left.id, later(5))];
    one.store.record_session_uses(uses).await.unwrap();
    one.store.end_session(ended.id, later(6)).await.unwrap();
    let lives = async |session: &Session| -> i64 {
        let name = engine.names.session_use(session.id.0);
        engine.query(cmd("PEXPIRETIME").arg(name)).await.unwrap()
    };
    assert_eq!(lives(&ended).await, -2, "there is none");
    // A version before this one would leave it behind.
    let of_record = engine.names.session(left.id.0);
    let of_record: i64 = engine.query(cmd("PEXPIRETIME").arg(of_record)).await.unwrap();
    assert_eq!(lives(&left).await, of_record);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_uses_that_several_gateways_tell_at_once_the_latest_is_kept() {
    let prefix = prefix();
    let [one, two] = replicas(&prefix).await;
    let account = one.with_account(1).await;
    let mut sessions = Vec::new();
    for number in 11..31 {
        sessions.push(one.with_session(number, &account).await.id);
    }
    for round in (0..10).map(|round| round * 10) {
        let uses = |at: u64| sessions.iter().map(move |id| (*id, later(round + at))).collect();
        let (first, second) = tokio::join!(
            one.store.record_session_uses(uses(1)),
            two.store.record_session_uses(uses(2)),
        );
        assert_eq!((first.is_ok(), second.is_ok()), (true, true));
        let listed = one.store.list_sessions(None, None, 99).await.unwrap();
        assert_eq!(listed.len(), sessions.len());
        for session in listed {
            assert_eq!(session.last_used, Some(later(round + 2)));
        }
    }
}

/// A gateway of the version before opens a session and notes no sign-in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_later_sign_in_was_not_noted_the_newest_session_tells() {
    let prefix = prefix();
    let [one] = replicas(&prefix).await;
    let beside = shared_store(&prefix).await;
    let engine = &beside.engine;
    let [ann, ben, cat] =
        [one.with_account(1).await, one.with_account(2).await, one.with_account(3).await];
    for (account, seconds) in [(&ann, 5), (&ann, 7), (&ben, 9)] {
        let id = u128::from(later(seconds).0) << 80 | account.id.0.as_u128();
        let id = SessionId(Uuid::from_u128(id));
        let opened = Session { id, created: later(seconds), ..session(12, account) };
        one.store.open_session(opened, account.version).await.unwrap();
    }
    let listed = async || -> Vec<_> {
        let listed = one.store.list_accounts(None, 9).await.unwrap();
        listed.iter().map(|account| account.last_sign_in).collect()
    };
    let expected = [Some(later(7)), Some(later(9)), None];
    assert_eq!(listed().await, expected);
    let (name, field) = (engine.names.sign_ins(), ann.id.0.to_string());
    let _: u64 = engine.query(cmd("HSET").arg(&name).arg(&field).arg(later(5).0)).await.unwrap();
    assert_eq!(listed().await, expected, "the last one was not noted");
    let _: u64 = engine.query(cmd("HDEL").arg(&name).arg(&field)).await.unwrap();
    assert_eq!(listed().await, expected, "none was noted");
    assert_eq!(one.store.last_sign_in(cat.id).await.unwrap(), None);
}
