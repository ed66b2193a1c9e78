//! When sessions were last used.

use super::{Engine, NOW, later, rotation};
use crate::auth::account::AccountId;
use crate::auth::time::Timestamp;
use crate::auth::token::{Session, SessionId};

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
