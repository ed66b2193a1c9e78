//! Sessions that end all at once: a mark on the account says it, however many they are.

use super::{Engine, LIMITS, NOW, change, id, later, rotation, ticket};
use crate::auth::account::Account;
use crate::auth::ports::{AccountChanged, Administration, Replacement, Rotated, SessionOpening};
use crate::auth::session::Session;
use crate::auth::token::SessionId;

impl Engine {
    /// As many sessions of an account as it may have.
    pub(crate) async fn with_sessions(&self, first: u128, account: &Account) -> Vec<Session> {
        let mut sessions = Vec::new();
        for number in (first..).take(LIMITS.sessions) {
            sessions.push(self.with_session(number, account).await);
        }
        sessions
    }

    async fn is_gone(&self, session: &Session) -> bool {
        let refresh = rotation(session, session.current.refresh, 900_000, NOW);
        self.store.rotate(refresh).await.unwrap() == Rotated::Unknown
            && self.store.find_session(session.id, NOW).await.unwrap().is_none()
            && !self.store.end_session(session.id, NOW).await.unwrap()
    }

    pub(super) async fn listed(&self, account: Option<&Account>) -> Vec<SessionId> {
        let account = account.map(|account| account.id);
        let listed = self.store.list_sessions(account, None, 1_000).await.unwrap();
        listed.into_iter().map(|session| session.id).collect()
    }
}

pub(crate) async fn however_many_sessions_end_at_once_nothing_is_kept_of_each(engine: Engine) {
    let (mine, other) = (engine.with_account(1).await, engine.with_account(2).await);
    let sessions = engine.with_sessions(1_000, &mine).await;
    let others = engine.with_session(5_000, &other).await;
    engine.store.issue_ticket([1; 32], ticket(&mine)).await.unwrap();
    assert!(engine.store.end_sessions(mine.id, NOW).await.unwrap());
    assert!(sessions.iter().all(|session| engine.is_ended(session)));
    for session in [&sessions[0], &sessions[150], &sessions[LIMITS.sessions - 1]] {
        assert!(engine.is_gone(session).await, "{:?}", session.id);
    }
    assert_eq!(engine.standing.sizes().ended, 0);
    assert_eq!(engine.store.take_ticket([1; 32], NOW).await.unwrap(), None);
    assert_eq!(engine.listed(None).await, [others.id]);
    assert_eq!(engine.listed(Some(&mine)).await, []);

    let next = engine.with_session(6_000, &mine).await;
    engine.store.sweep(later(1), later(1)).await.unwrap();
    assert!(!engine.is_ended(&next) && !engine.is_ended(&others));
    assert!(sessions.iter().all(|session| engine.is_ended(session)));
    assert_eq!(engine.listed(Some(&mine)).await, [next.id]);
}

/// Who asked for the change was judged before the session ended.
pub(crate) async fn what_has_ended_with_others_is_not_kept_by_a_later_change(engine: Engine) {
    let account = engine.with_account(1).await;
    let ended = engine.with_session(11, &account).await;
    assert!(engine.store.end_sessions(account.id, NOW).await.unwrap());
    let replaced = engine.store.replace_password(change(&account, "new", Some(ended.id))).await;
    assert_eq!(replaced.unwrap(), Replacement::Replaced);
    assert!(engine.is_ended(&ended) && engine.is_gone(&ended).await);
    let current = engine.standing.account(account.id).unwrap();
    let kept = engine.with_session(13, &current).await;
    for _ in 0..2 {
        let current = engine.standing.account(account.id).unwrap();
        engine.store.replace_password(change(&current, "new", Some(kept.id))).await.unwrap();
        assert!(!engine.is_ended(&kept), "however often");
        assert_eq!(engine.listed(Some(&account)).await, [kept.id]);
    }
    assert!(engine.store.end_session(kept.id, NOW).await.unwrap());
    assert!(engine.is_ended(&kept) && engine.is_gone(&kept).await);
}

/// The store decides by the order of ids, and no clock does.
pub(crate) async fn no_session_opens_behind_those_that_have_ended(engine: Engine) {
    let account = engine.with_account(1).await;
    engine.with_session(20, &account).await;
    assert!(engine.store.end_sessions(account.id, NOW).await.unwrap());
    for number in [15, 20] {
        let (_, opened) = engine.open(number, &account).await;
        assert_eq!(opened, SessionOpening::Behind(SessionId(id(20))));
    }
    let next = engine.with_session(21, &account).await;
    assert!(!engine.is_ended(&next));
}

pub(crate) async fn with_an_account_go_all_its_sessions_however_many(engine: Engine) {
    let account = engine.with_account(1).await;
    let sessions = engine.with_sessions(1_000, &account).await;
    let gone = engine.store.delete_account(account.id, Administration::MayEnd, NOW).await;
    assert!(matches!(gone.unwrap(), AccountChanged::Changed(_)));
    assert!(engine.is_gone(&sessions[0]).await && engine.is_gone(&sessions[299]).await);
    assert_eq!(engine.listed(None).await, []);
    assert!(sessions.iter().all(|session| engine.is_ended(session)));
}
