//! When sessions were last used and accounts last signed in.

use super::{Engine, NOW, account, later, rotation, session};
use crate::auth::account::AccountId;
use crate::auth::ports::{Administration, SessionOpening};
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::time::Timestamp;
use crate::auth::token::SessionId;

impl Engine {
    async fn sessions(&self, account: Option<AccountId>) -> Vec<Session> {
        self.store.list_sessions(account, None, 99).await.unwrap()
    }

    /// Each with the last use that was recorded, of all accounts.
    async fn used(&self) -> Vec<(SessionId, Option<Timestamp>)> {
        let listed = self.sessions(None).await;
        listed.iter().map(|session| (session.id, session.last_used)).collect()
    }
}

pub(crate) async fn the_last_use_of_a_session_is_kept_while_there_is_a_session(engine: Engine) {
    let account = engine.with_account(1).await;
    let one = engine.with_session(11, &account).await;
    let two = engine.with_session(12, &account).await;
    let unknown = SessionId(super::id(99));
    assert_eq!(engine.used().await, [(one.id, None), (two.id, None)]);
    assert_eq!(one.last_use(), NOW, "it was opened then");
    let record = async |session, at| {
        let uses = vec![(session, later(at)), (unknown, later(at))];
        engine.store.record_session_uses(uses).await.unwrap();
    };
    record(one.id, 5).await;
    assert_eq!(engine.used().await, [(one.id, Some(later(5))), (two.id, None)]);
    let of_account = engine.sessions(Some(account.id)).await;
    assert_eq!(of_account, engine.sessions(None).await, "either list tells");
    assert_eq!(of_account[0], Session { last_used: Some(later(5)), ..one.clone() });
    assert_eq!(of_account[0].last_use(), later(5));
    // Another gateway tells late what it has seen.
    record(one.id, 3).await;
    assert_eq!(engine.used().await[0], (one.id, Some(later(5))));

    let refreshed = rotation(&one, one.current.refresh, 900, later(7));
    engine.store.rotate(refreshed).await.unwrap();
    assert_eq!(engine.used().await[0], (one.id, Some(later(5))), "it is kept beside the record");
    assert_eq!(engine.sessions(None).await[0].last_use(), later(7), "a refresh is a use");
    record(one.id, 9).await;
    assert_eq!(engine.sessions(None).await[0].last_use(), later(9));

    engine.store.end_session(one.id, later(10)).await.unwrap();
    record(one.id, 11).await;
    assert_eq!(engine.used().await, [(two.id, None)]);
    engine.store.end_sessions(account.id, later(12)).await.unwrap();
    record(two.id, 13).await;
    assert_eq!(engine.used().await, []);
}

pub(crate) async fn the_last_sign_in_of_an_account_is_that_of_its_latest_session(engine: Engine) {
    let store = &engine.store;
    let [one, two] = [engine.with_account(1).await, engine.with_account(2).await];
    let listed = async || {
        let listed = store.list_accounts(None, 9).await.unwrap();
        let mut known = Vec::new();
        for account in listed {
            let last = store.last_sign_in(account.id).await.unwrap();
            assert_eq!(last, account.last_sign_in, "either question has one answer");
            known.push((account.id, last));
        }
        known
    };
    assert_eq!(listed().await, [(one.id, None), (two.id, None)]);
    let generation = engine.standing.generation();
    for (number, at) in [(11, 0), (12, 5)] {
        let session = Session { created: later(at), ..session(number, &one) };
        let opened = store.open_session(session, one.version).await.unwrap();
        assert!(matches!(opened, SessionOpening::Opened { .. }));
        assert_eq!(listed().await, [(one.id, Some(later(at))), (two.id, None)]);
    }
    assert_eq!(engine.standing.generation(), generation, "nothing is judged anew for it");
    let stale = Session { created: later(6), ..session(13, &one) };
    assert_eq!(store.open_session(stale, 9).await.unwrap(), SessionOpening::Stale);
    store.record_success(one.id, one.version, Source::V4(1), later(7)).await.unwrap();
    let used = SessionId(super::id(12));
    store.record_session_uses(vec![(used, later(8))]).await.unwrap();
    assert_eq!(listed().await[0], (one.id, Some(later(5))), "these are no sign-ins");

    let (three, first) = (account(3), session(31, &account(3)));
    let first = Session { created: later(9), ..first };
    store.register(three.clone(), first).await.unwrap();
    assert_eq!(listed().await[2], (three.id, Some(later(9))), "registering is one");
    store.end_sessions(one.id, later(10)).await.unwrap();
    store.end_sessions(three.id, later(10)).await.unwrap();
    assert_eq!(listed().await[0], (one.id, Some(later(5))), "sessions end, and it has been");

    // By the clock of a gateway that is behind.
    let earlier = Session { created: later(2), ..session(14, &one) };
    let opened = store.open_session(earlier, one.version).await.unwrap();
    assert!(matches!(opened, SessionOpening::Opened { .. }));
    assert_eq!(listed().await[0], (one.id, Some(later(5))), "none goes back");

    store.delete_account(one.id, Administration::MayEnd, later(11)).await.unwrap();
    assert_eq!(store.last_sign_in(one.id).await.unwrap(), None);
    assert_eq!(listed().await, [(two.id, None), (three.id, Some(later(9)))]);
}

pub(crate) async fn of_sign_ins_at_once_the_latest_is_the_last(engine: Engine) {
    let store = &engine.store;
    let account = engine.with_account(1).await;
    for round in 0..20 {
        let first = 100 + 4 * round;
        let opened = [3, 2, 1, 0].map(|number| {
            let at = later(first + number);
            let session = Session { created: at, ..session(u128::from(first + number), &account) };
            store.open_session(session, account.version)
        });
        for opened in futures_util::future::join_all(opened).await {
            assert!(matches!(opened.unwrap(), SessionOpening::Opened { .. }));
        }
        // Without a session only what was noted tells.
        store.end_sessions(account.id, later(first + 3)).await.unwrap();
        let last = store.last_sign_in(account.id).await.unwrap();
        assert_eq!(last, Some(later(first + 3)), "round {round}");
    }
}
