//! What every engine must do. Each test gets an empty engine; `conformance!`
//! makes the whole suite for one way of opening it.

use std::sync::Arc;

use uuid::Uuid;

use crate::auth::account::{Account, AccountId, AccountState, HashedPassword, Username};
use crate::auth::api_key::{ApiKey, KeyId, Moment};
use crate::auth::error::{Refusal, Verdict};
use crate::auth::ports::{
    Creation, FailureLimit, KeyCreation, Opening, PasswordChange, Replacement, Rotated, Rotation,
    RotationMode, Source, Store,
};
use crate::auth::standing::Standing;
use crate::auth::ticket::Ticket;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{Minted, Session, SessionId, TokenId};

/// An engine under test and the memory it publishes to.
pub(crate) struct Engine {
    pub store: Arc<dyn Store>,
    pub standing: Arc<Standing>,
}

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub(crate) const WEEK: Seconds = Seconds(604_800);
pub(crate) const TOKEN_TTL: Seconds = WEEK;
const GRACE: Seconds = Seconds(60);

pub(crate) fn later(seconds: u64) -> Timestamp {
    NOW.plus(Seconds(seconds))
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn account(number: u128) -> Account {
    Account {
        email: Some(format!("user{number}@example.com")),
        password: Some(HashedPassword("old".to_owned())),
        ..Account::new(
            AccountId(id(number)),
            Username::parse(&format!("User{number}")).unwrap(),
            NOW,
        )
    }
}

pub(crate) fn minted(number: u128, at: Timestamp) -> Minted {
    let (access, refresh) = (TokenId(id(number)), TokenId(id(number + 1)));
    Minted { access, refresh, issued_at: at, access_ttl: 28_800 }
}

pub(crate) fn session(number: u128, account: &Account) -> Session {
    Session {
        id: SessionId(id(number)),
        account: account.id,
        created: NOW,
        expires: NOW.plus(WEEK),
        current: minted(number * 100, NOW),
        replaced: None,
    }
}

pub(crate) fn rotation(
    session: &Session,
    presented: TokenId,
    successor: u128,
    at: Timestamp,
) -> Rotation {
    Rotation {
        session: session.id,
        presented,
        successor: minted(successor, at),
        now: at,
        mode: RotationMode::Rotate { grace: GRACE },
    }
}

pub(crate) fn ticket(account: &Account) -> Ticket {
    let (account, version) = (account.id, account.version);
    Ticket { account, version, token: None, expires: later(120) }
}

pub(crate) fn key(number: u8, owner: &Account) -> ApiKey {
    ApiKey {
        id: KeyId(id(number.into())),
        owner: owner.id,
        name: "ci".to_owned(),
        shown: "sk_live_abc".to_owned(),
        digest: [number; 32],
        server: None,
        scopes: vec!["read".to_owned()],
        created: NOW,
        expires: Some(later(1000)),
        superseded: Moment::default(),
        last_used: Moment::default(),
    }
}

pub(crate) fn change(account: &Account, new: &str, keep: Option<SessionId>) -> PasswordChange {
    PasswordChange {
        account: account.id,
        expected_version: Some(account.version),
        replacement: HashedPassword(new.to_owned()),
        keep,
        now: NOW,
    }
}

impl Engine {
    async fn with_account(&self, number: u128) -> Account {
        let account = account(number);
        assert_eq!(self.store.create_account(account.clone()).await.unwrap(), Creation::Created);
        account
    }

    async fn with_session(&self, number: u128, account: &Account) -> Session {
        let session = session(number, account);
        let opened = self.store.open_session(session.clone(), account.version).await.unwrap();
        assert_eq!(opened, Opening::Opened);
        session
    }

    fn is_ended(&self, session: &Session) -> bool {
        self.standing.check_token(TokenId(id(0)), session.id) == Err(Refusal::SessionEnded)
    }
}

pub(crate) async fn names_are_unique_without_case_and_across_kinds(engine: Engine) {
    let first = engine.with_account(1).await;
    let mut again = account(2);
    again.username = Username::parse("USER1").unwrap();
    assert_eq!(engine.store.create_account(again).await.unwrap(), Creation::NameTaken);
    let mut again = account(3);
    again.email = Some("User1@Example.com".to_owned());
    assert_eq!(engine.store.create_account(again).await.unwrap(), Creation::EmailTaken);
    // A name that is somebody's e-mail would sign in as somebody else.
    let mut again = account(4);
    again.username = Username::parse("user1@example.com").unwrap();
    assert_eq!(engine.store.create_account(again).await.unwrap(), Creation::NameTaken);
    for name in ["user1", "user1@example.com"] {
        assert_eq!(engine.store.find_account(name).await.unwrap(), Some(first.clone()));
    }
    assert_eq!(engine.store.find_account("user3").await.unwrap(), None);
    assert_eq!(engine.store.list_accounts(None, 9).await.unwrap(), [first]);
}

pub(crate) async fn of_many_creations_of_one_name_one_wins(engine: Engine) {
    let creations = (0..32).map(|number| {
        let store = Arc::clone(&engine.store);
        let mut account = account(number + 1);
        account.username = Username::parse("same").unwrap();
        tokio::spawn(async move { store.create_account(account).await.unwrap() })
    });
    let mut created = 0;
    for creation in creations.collect::<Vec<_>>() {
        created += u32::from(creation.await.unwrap() == Creation::Created);
    }
    assert_eq!(created, 1);
    assert_eq!(engine.store.list_accounts(None, 9).await.unwrap().len(), 1);
}

pub(crate) async fn a_password_is_replaced_only_where_it_was_read(engine: Engine) {
    let account = engine.with_account(1).await;
    let store = &engine.store;
    let replaced = store.replace_password(change(&account, "new", None)).await.unwrap();
    assert_eq!(replaced, Replacement::Replaced);
    let current = engine.standing.account(account.id).unwrap();
    assert_eq!(current.password, Some(HashedPassword("new".to_owned())));
    assert!(current.version > account.version);
    let stale = store.replace_password(change(&account, "newer", None)).await.unwrap();
    assert_eq!(stale, Replacement::Stale);
    let unknown = super::conformance::account(9);
    let stale = store.replace_password(change(&unknown, "newer", None)).await.unwrap();
    assert_eq!(stale, Replacement::Stale);
    let current = engine.standing.account(account.id).unwrap();
    assert_eq!(current.password, Some(HashedPassword("new".to_owned())));
}

pub(crate) async fn of_two_password_changes_at_once_one_wins(engine: Engine) {
    let account = engine.with_account(1).await;
    let change_to = |new: &str| engine.store.replace_password(change(&account, new, None));
    let (left, right) = tokio::join!(change_to("left"), change_to("right"));
    let outcomes = [left.unwrap(), right.unwrap()];
    assert!(outcomes.contains(&Replacement::Replaced) && outcomes.contains(&Replacement::Stale));
}

pub(crate) async fn a_password_change_ends_all_sessions_but_the_presented(engine: Engine) {
    let (mine, other) = (engine.with_account(1).await, engine.with_account(2).await);
    let kept = engine.with_session(11, &mine).await;
    let ended = engine.with_session(12, &mine).await;
    let others = engine.with_session(13, &other).await;
    engine.store.issue_ticket([1; 32], ticket(&mine)).await.unwrap();
    engine.store.issue_ticket([2; 32], ticket(&other)).await.unwrap();
    engine.store.replace_password(change(&mine, "new", Some(kept.id))).await.unwrap();
    assert!(!engine.is_ended(&kept) && engine.is_ended(&ended) && !engine.is_ended(&others));
    assert_eq!(engine.store.take_ticket([1; 32], NOW).await.unwrap(), None);
    assert_eq!(engine.store.take_ticket([2; 32], NOW).await.unwrap(), Some(ticket(&other)));
    let redeem = |session: &Session| {
        engine.store.rotate(rotation(session, session.current.refresh, 900, NOW))
    };
    assert_eq!(redeem(&ended).await.unwrap(), Rotated::Unknown);
    assert_eq!(redeem(&kept).await.unwrap(), Rotated::Pair(minted(900, NOW)));
}

pub(crate) async fn an_upgraded_hash_ends_nothing(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let better = HashedPassword("better".to_owned());
    let upgrade = |expected: &str| {
        let expected = HashedPassword(expected.to_owned());
        let (store, better) = (Arc::clone(&engine.store), better.clone());
        async move { store.upgrade_hash(account.id, &expected, better).await.unwrap() }
    };
    assert_eq!(upgrade("other").await, Replacement::Stale);
    assert_eq!(upgrade("old").await, Replacement::Replaced);
    let current = engine.standing.account(account.id).unwrap();
    assert_eq!((current.password.as_ref(), current.version), (Some(&better), account.version));
    assert!(!engine.is_ended(&session));
}

pub(crate) async fn a_session_opens_only_on_what_was_proven(engine: Engine) {
    let account = engine.with_account(1).await;
    engine.store.replace_password(change(&account, "new", None)).await.unwrap();
    let stale = engine.store.open_session(session(11, &account), account.version).await.unwrap();
    assert_eq!(stale, Opening::Stale);
    let current = engine.standing.account(account.id).unwrap();
    engine.store.set_state(account.id, AccountState::Disabled, NOW).await.unwrap();
    let stale = engine.store.open_session(session(11, &account), current.version).await.unwrap();
    assert_eq!(stale, Opening::Stale);
    let unknown = super::conformance::account(9);
    let stale = engine.store.open_session(session(12, &unknown), 1).await.unwrap();
    assert_eq!(stale, Opening::Stale);
}

pub(crate) async fn disabling_ends_sessions_and_tickets(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    engine.store.issue_ticket([1; 32], ticket(&account)).await.unwrap();
    assert!(engine.store.set_state(account.id, AccountState::Disabled, NOW).await.unwrap());
    let refused = engine.standing.enabled_account(account.id).err();
    assert_eq!(refused, Some(Refusal::AccountDisabled));
    assert!(engine.is_ended(&session));
    assert_eq!(engine.store.take_ticket([1; 32], NOW).await.unwrap(), None);
    assert!(engine.store.set_state(account.id, AccountState::Enabled, NOW).await.unwrap());
    assert!(engine.standing.enabled_account(account.id).is_ok());
    assert!(engine.is_ended(&session), "a session that ended stays ended");
    let unknown = AccountId(id(9));
    assert!(!engine.store.set_state(unknown, AccountState::Disabled, NOW).await.unwrap());
}

pub(crate) async fn a_refresh_token_has_one_successor(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let first = session.current.refresh;
    let rotations = (0..16).map(|number| {
        let store = Arc::clone(&engine.store);
        let rotation = rotation(&session, first, 1000 + number * 10, NOW);
        tokio::spawn(async move { store.rotate(rotation).await.unwrap() })
    });
    let mut outcomes = Vec::new();
    for rotation in rotations.collect::<Vec<_>>() {
        outcomes.push(rotation.await.unwrap());
    }
    assert!(matches!(outcomes[0], Rotated::Pair(_)));
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
}

pub(crate) async fn a_repeat_within_the_grace_gets_the_same_and_later_ends_all(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let first = session.current.refresh;
    let redeem =
        |token, successor, at| engine.store.rotate(rotation(&session, token, successor, at));
    let second = minted(200, NOW);
    assert_eq!(redeem(first, 200, NOW).await.unwrap(), Rotated::Pair(second));
    assert_eq!(redeem(first, 300, later(59)).await.unwrap(), Rotated::Pair(second));
    assert!(!engine.is_ended(&session));
    assert_eq!(redeem(first, 400, later(60)).await.unwrap(), Rotated::FamilyEnded);
    assert!(engine.is_ended(&session));
    assert_eq!(redeem(second.refresh, 500, later(61)).await.unwrap(), Rotated::Unknown);
}

pub(crate) async fn an_unknown_token_of_a_family_ends_it(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let stray = rotation(&session, TokenId(id(77)), 200, NOW);
    assert_eq!(engine.store.rotate(stray).await.unwrap(), Rotated::FamilyEnded);
    assert!(engine.is_ended(&session));
}

pub(crate) async fn a_kept_refresh_token_goes_on(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    for successor in [200, 300] {
        let mut rotation = rotation(&session, session.current.refresh, successor, NOW);
        rotation.mode = RotationMode::Keep;
        let outcome = engine.store.rotate(rotation).await.unwrap();
        assert_eq!(outcome, Rotated::Pair(minted(successor, NOW)));
    }
}

pub(crate) async fn no_access_token_outlives_its_session(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let mut late = rotation(&session, session.current.refresh, 200, later(604_790));
    late.mode = RotationMode::Keep;
    let Rotated::Pair(pair) = engine.store.rotate(late).await.unwrap() else {
        panic!("the token is good for ten seconds more");
    };
    assert_eq!(pair.access_ttl, 10);
}

pub(crate) async fn a_ticket_is_kept_only_on_what_was_proven(engine: Engine) {
    let account = engine.with_account(1).await;
    let issue = |digest, ticket| engine.store.issue_ticket([digest; 32], ticket);
    assert_eq!(issue(1, ticket(&account)).await.unwrap(), Opening::Opened);
    engine.store.replace_password(change(&account, "new", None)).await.unwrap();
    assert_eq!(issue(2, ticket(&account)).await.unwrap(), Opening::Stale);
    assert_eq!(engine.store.take_ticket([2; 32], NOW).await.unwrap(), None);
    let current = (*engine.standing.account(account.id).unwrap()).clone();
    engine.store.set_state(account.id, AccountState::Disabled, NOW).await.unwrap();
    assert_eq!(issue(3, ticket(&current)).await.unwrap(), Opening::Stale);
}

pub(crate) async fn a_session_ends_with_its_time(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let late = rotation(&session, session.current.refresh, 200, session.expires);
    assert_eq!(engine.store.rotate(late).await.unwrap(), Rotated::Unknown);
    let other = engine.with_session(12, &account).await;
    assert!(engine.store.end_session(other.id, NOW).await.unwrap());
    assert!(engine.is_ended(&other));
    assert!(!engine.store.end_session(other.id, NOW).await.unwrap());
}

pub(crate) async fn a_revoked_token_is_known_at_once(engine: Engine) {
    let token = TokenId(id(5));
    let other = SessionId(id(6));
    let before = engine.standing.generation();
    assert!(engine.standing.check_token(token, other).is_ok());
    engine.store.revoke_token(token, later(10)).await.unwrap();
    assert_eq!(engine.standing.check_token(token, other), Err(Refusal::TokenRevoked));
    assert!(engine.standing.generation() > before);
}

pub(crate) async fn a_ticket_is_taken_once(engine: Engine) {
    let account = engine.with_account(1).await;
    engine.store.issue_ticket([7; 32], ticket(&account)).await.unwrap();
    let takes = (0..24).map(|_| {
        let store = Arc::clone(&engine.store);
        tokio::spawn(async move { store.take_ticket([7; 32], NOW).await.unwrap() })
    });
    let mut taken = 0;
    for take in takes.collect::<Vec<_>>() {
        taken += u32::from(take.await.unwrap() == Some(ticket(&account)));
    }
    assert_eq!(taken, 1);
    engine.store.issue_ticket([8; 32], ticket(&account)).await.unwrap();
    assert_eq!(engine.store.take_ticket([8; 32], later(120)).await.unwrap(), None);
    assert_eq!(engine.store.take_ticket([9; 32], NOW).await.unwrap(), None);
}

pub(crate) async fn keys_are_known_by_digest_until_they_are_deleted(engine: Engine) {
    let (mine, other) = (engine.with_account(1).await, engine.with_account(2).await);
    let mine_key = key(1, &mine);
    assert_eq!(engine.store.create_key(mine_key.clone()).await.unwrap(), KeyCreation::Created);
    assert_eq!(engine.store.create_key(key(2, &other)).await.unwrap(), KeyCreation::Created);
    assert_eq!(engine.store.create_key(key(3, &account(9))).await.unwrap(), KeyCreation::NoOwner);
    assert_eq!(engine.standing.key(&[1; 32]).as_deref(), Some(&mine_key));
    assert_eq!(engine.standing.keys(Some(mine.id)), [Arc::new(mine_key.clone())]);
    assert_eq!(engine.store.list_keys(None, 9).await.unwrap().len(), 2);
    assert!(!engine.store.delete_key(mine_key.id, Some(other.id)).await.unwrap());
    assert!(engine.standing.key(&[1; 32]).is_some());
    assert!(engine.store.delete_key(mine_key.id, Some(mine.id)).await.unwrap());
    assert!(engine.standing.key(&[1; 32]).is_none());
    assert!(!engine.store.delete_key(mine_key.id, None).await.unwrap());
}

pub(crate) async fn failures_are_counted_in_a_window_that_does_not_move(engine: Engine) {
    let limit = FailureLimit { attempts: 5, window: Seconds(300) };
    let (here, there) = (Source::V4(1), Source::V6(1));
    let count = |source, at| engine.store.count_failure(source, limit, at);
    for second in 0..4 {
        assert_eq!(count(here, later(second)).await.unwrap(), Verdict::Allowed);
    }
    assert_eq!(engine.standing.verdict(here, later(4)), Verdict::Allowed);
    assert_eq!(count(here, later(4)).await.unwrap(), Verdict::LockedOut(later(300)));
    assert_eq!(engine.standing.verdict(here, later(299)), Verdict::LockedOut(later(300)));
    assert_eq!(engine.standing.verdict(there, later(299)), Verdict::Allowed);
    // Going on to fail does not make it longer.
    assert_eq!(count(here, later(200)).await.unwrap(), Verdict::LockedOut(later(300)));
    assert_eq!(engine.standing.verdict(here, later(300)), Verdict::Allowed);
    assert_eq!(count(here, later(300)).await.unwrap(), Verdict::Allowed);
}

pub(crate) async fn failures_at_once_are_all_counted(engine: Engine) {
    let limit = FailureLimit { attempts: 64, window: Seconds(300) };
    let counts = (0..64).map(|_| {
        let store = Arc::clone(&engine.store);
        tokio::spawn(async move { store.count_failure(Source::V4(1), limit, NOW).await.unwrap() })
    });
    let mut allowed = 0;
    for count in counts.collect::<Vec<_>>() {
        allowed += u32::from(count.await.unwrap() == Verdict::Allowed);
    }
    assert_eq!(allowed, 63);
}

pub(crate) async fn what_has_expired_is_swept_and_nothing_else(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let renewed = engine.with_session(12, &account).await;
    engine.store.revoke_token(TokenId(id(5)), later(10)).await.unwrap();
    engine.store.revoke_token(TokenId(id(6)), later(1_000_000)).await.unwrap();
    engine.store.issue_ticket([7; 32], ticket(&account)).await.unwrap();
    assert_eq!(engine.store.sweep(later(5)).await.unwrap(), 0);
    let (token, at) = (renewed.current.refresh, later(600_000));
    engine.store.rotate(rotation(&renewed, token, 200, at)).await.unwrap();

    let after = session.expires.plus(Seconds(1));
    engine.store.sweep(after).await.unwrap();
    let none = SessionId(id(0));
    assert!(engine.standing.check_token(TokenId(id(5)), none).is_ok());
    assert!(engine.standing.check_token(TokenId(id(6)), none).is_err());
    assert!(!engine.store.end_session(session.id, after).await.unwrap(), "it is gone");
    assert!(engine.store.end_session(renewed.id, after).await.unwrap(), "it was renewed");
}

pub(crate) async fn a_working_engine_says_so(engine: Engine) {
    engine.store.ping().await.unwrap();
}

/// The suite for one engine: `conformance!(open)`, where `open()` gives an empty one.
macro_rules! conformance {
    ($open:path) => {
        crate::store::conformance::conformance! { $open:
            names_are_unique_without_case_and_across_kinds
            of_many_creations_of_one_name_one_wins
            a_password_is_replaced_only_where_it_was_read
            of_two_password_changes_at_once_one_wins
            a_password_change_ends_all_sessions_but_the_presented
            an_upgraded_hash_ends_nothing
            a_session_opens_only_on_what_was_proven
            disabling_ends_sessions_and_tickets
            a_refresh_token_has_one_successor
            a_repeat_within_the_grace_gets_the_same_and_later_ends_all
            an_unknown_token_of_a_family_ends_it
            a_kept_refresh_token_goes_on
            no_access_token_outlives_its_session
            a_ticket_is_kept_only_on_what_was_proven
            a_session_ends_with_its_time
            a_revoked_token_is_known_at_once
            a_ticket_is_taken_once
            keys_are_known_by_digest_until_they_are_deleted
            failures_are_counted_in_a_window_that_does_not_move
            failures_at_once_are_all_counted
            what_has_expired_is_swept_and_nothing_else
            a_working_engine_says_so
        }
    };
    ($open:path: $($test:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            crate::store::conformance::$test($open()).await;
        }
    )*};
}
pub(crate) use conformance;
