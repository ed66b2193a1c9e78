//! What every engine must do. Each test gets an empty engine; `conformance!`
//! makes the whole suite for one way of opening it.

mod activity;
mod ended;
mod guesses;
mod known;
mod limits;
mod memory;

use std::net::Ipv6Addr;
use std::sync::Arc;

use uuid::Uuid;

use crate::auth::account::former::FormerPassword;
use crate::auth::account::{
    ADMIN_ROLE, Account, AccountId, AccountState, HashedPassword, Username,
};
use crate::auth::api_key::{ApiKey, AtomicTimestamp, KeyId, KeyRotation, Successor};
use crate::auth::error::{Refusal, StoreError, Verdict};
use crate::auth::guessed::Guessed;
use crate::auth::ports::{
    AccountChange, AccountChanged, AccountLimits, Administration, Creation, Failure, FailureCount,
    FailureLimit, GithubLink, KeyCreation, KeyRotated, MemberChange, NewOwner, Notice, Opening,
    PasswordChange, Replacement, Rotated, Rotation, RotationMode, ServerChange, ServerChanged,
    SessionOpening, Store,
};
use crate::auth::register::Registering;
use crate::auth::server::{Server, ServerId};
use crate::auth::session::Session;
use crate::auth::session_client::{SessionClient, UserAgent};
use crate::auth::source::Source;
use crate::auth::standing::Standing;
use crate::auth::ticket::Ticket;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{Minted, SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};

/// An engine under test and the memory it publishes to.
pub(crate) struct Engine {
    pub store: Arc<dyn Store>,
    pub standing: Arc<Standing>,
}

pub(crate) const NOW: Timestamp = Timestamp(4_000_000_000_000);
pub(crate) const WEEK: Seconds = Seconds(604_800);
pub(crate) const TOKEN_TTL: Seconds = WEEK;
/// More sessions than records go in one step.
pub(crate) const LIMITS: AccountLimits = AccountLimits { sessions: 300, keys: 40 };
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

pub(crate) fn client() -> SessionClient {
    let user_agent = UserAgent::read(b"curl/7.88.1");
    SessionClient { address: Ipv6Addr::LOCALHOST.into(), user_agent }
}

pub(crate) fn session(number: u128, account: &Account) -> Session {
    Session {
        id: SessionId(id(number)),
        account: account.id,
        created: NOW,
        expires: NOW.plus(WEEK),
        current: minted(number * 100, NOW),
        replaced: None,
        client: Some(client()),
        last_used: None,
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
        superseded: AtomicTimestamp::default(),
        last_used: AtomicTimestamp::default(),
    }
}

pub(crate) fn change(account: &Account, new: &str, keep: Option<SessionId>) -> PasswordChange {
    PasswordChange {
        verify_email: false,
        account: account.id,
        expected_version: Some(account.version),
        replacement: HashedPassword(new.to_owned()),
        former: None,
        keep,
        now: NOW,
    }
}

pub(crate) fn failure(source: Source, user: Option<Guessed>) -> Failure {
    Failure { source, user }
}

impl Engine {
    pub(crate) async fn with_account(&self, number: u128) -> Account {
        let account = account(number);
        assert_eq!(self.store.create_account(account.clone()).await.unwrap(), Creation::Created);
        account
    }

    pub(crate) async fn with_session(&self, number: u128, account: &Account) -> Session {
        let (session, opened) = self.open(number, account).await;
        assert_eq!(opened, SessionOpening::Opened { superseded: Vec::new() });
        session
    }

    async fn open(&self, number: u128, account: &Account) -> (Session, SessionOpening) {
        let session = session(number, account);
        let opened = self.store.open_session(session.clone(), account.version).await.unwrap();
        (session, opened)
    }

    async fn with_server(&self, number: u128, owner: &Account) -> Server {
        let (id, owner) = (ServerId(id(number)), Some(owner.id));
        let server = Server { id, name: "web".to_owned(), owner, created: NOW };
        assert!(self.store.create_server(server.clone()).await.unwrap());
        server
    }

    async fn with_workspace(&self, number: u128) -> Workspace {
        let id = WorkspaceId(id(number));
        let workspace = Workspace { id, name: "work".to_owned(), created: NOW };
        self.store.create_workspace(workspace.clone()).await.unwrap();
        workspace
    }

    fn is_ended(&self, session: &Session) -> bool {
        match self.standing.holder(session.account, TokenId(id(0)), session.id) {
            Err(Refusal::SessionEnded) => true,
            // Of an account that is gone everything has ended.
            Err(Refusal::UserUnknown) => self.standing.account(session.account).is_none(),
            _ => false,
        }
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

pub(crate) async fn an_account_registers_with_its_first_session_or_not_at_all(engine: Engine) {
    let first = Account { registered_from: Some(Box::new([7; 32])), ..account(1) };
    let opened = session(11, &first);
    let registered = engine.store.register(first.clone(), opened.clone()).await.unwrap();
    assert_eq!(registered, Creation::Created);
    assert_eq!(engine.store.find_session(opened.id, NOW).await.unwrap(), Some(opened));
    let found = engine.store.find_account("user1").await.unwrap();
    assert_eq!(found.as_ref(), Some(&first), "where from is kept");
    let second = Account { username: first.username.clone(), ..account(2) };
    let other = session(12, &second);
    let taken = engine.store.register(second, other.clone()).await.unwrap();
    assert_eq!(taken, Creation::NameTaken);
    assert_eq!(engine.store.find_session(other.id, NOW).await.unwrap(), None);
    engine.store.forget_registration(first.id).await.unwrap();
    let answered = engine.store.find_account("user1").await.unwrap().unwrap();
    assert_eq!(answered, Account { registered_from: None, ..first });
    let nobody = AccountId(id(99));
    engine.store.forget_registration(nobody).await.unwrap();
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

pub(crate) async fn a_password_set_with_the_address_ends_keys_made_before_it(engine: Engine) {
    let account = engine.with_account(1).await;
    let store = &engine.store;
    store.create_key(key(1, &account)).await.unwrap();
    // Nobody has vouched for the address until now.
    let doubted = engine.standing.account(account.id).unwrap();
    assert!(doubted.email.is_some() && !doubted.email_verified);
    let plain = change(&doubted, "new", None);
    assert_eq!(store.replace_password(plain).await.unwrap(), Replacement::Replaced);
    assert_eq!(engine.standing.keys(Some(account.id)).len(), 1);
    let current = engine.standing.account(account.id).unwrap();
    let verified = PasswordChange { verify_email: true, ..change(&current, "newer", None) };
    assert_eq!(store.replace_password(verified).await.unwrap(), Replacement::Replaced);
    let current = engine.standing.account(account.id).unwrap();
    assert!(current.email_verified);
    assert_eq!(engine.standing.keys(Some(account.id)).len(), 0);
    assert_eq!(store.list_keys(None, 9).await.unwrap().len(), 0);
}

pub(crate) async fn a_former_password_is_kept_until_its_end_or_the_next_change(engine: Engine) {
    let (account, other) = (engine.with_account(1).await, engine.with_account(2).await);
    let former = |mac: u8, at| Some(FormerPassword { mac: [mac; 32], ends: later(at) });
    let replace = async |account: &Account, kept: Option<FormerPassword>| {
        let account = engine.standing.account(account.id).unwrap();
        let change = PasswordChange { former: kept.clone(), ..change(&account, "new", None) };
        let replaced = engine.store.replace_password(change).await.unwrap();
        assert_eq!(replaced, Replacement::Replaced);
        let changed = engine.standing.account(account.id).unwrap();
        assert_eq!((&changed.former, changed.version), (&kept, account.version + 1));
    };
    let kept = async |account: &Account| {
        let known = engine.standing.account(account.id).unwrap();
        let name = account.username.canonical();
        let stored = engine.store.find_account(&name).await.unwrap().unwrap();
        assert_eq!(*known, stored);
        stored.former
    };
    replace(&account, former(1, 300)).await;
    replace(&other, former(2, 900)).await;
    // What else changes leaves it alone.
    let upgraded = HashedPassword("new".to_owned());
    engine.store.upgrade_hash(account.id, &upgraded, upgraded.clone()).await.unwrap();
    engine.store.sweep(later(300), later(300)).await.unwrap();
    assert_eq!(kept(&account).await, former(1, 300), "until its end and not before");
    // A change that keeps one for longer, and one that keeps none.
    replace(&account, former(3, 600)).await;
    engine.store.sweep(later(301), later(301)).await.unwrap();
    assert_eq!(kept(&account).await, former(3, 600));
    engine.store.sweep(later(601), later(601)).await.unwrap();
    assert_eq!(kept(&account).await, None);
    assert_eq!(kept(&other).await, former(2, 900));
    let version = engine.standing.account(account.id).unwrap().version;
    assert_eq!(version, account.version + 2, "a sweep ends nothing");
    replace(&other, None).await;
    assert_eq!(kept(&other).await, None);
    engine.store.sweep(later(901), later(901)).await.unwrap();
    let gone = engine.with_account(3).await;
    replace(&gone, former(4, 1000)).await;
    engine.store.delete_account(gone.id, Administration::MayEnd, NOW).await.unwrap();
    engine.store.sweep(later(1001), later(1001)).await.unwrap();
    assert_eq!(engine.store.find_account("user3").await.unwrap(), None);
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
    assert_eq!(stale, SessionOpening::Stale);
    let current = engine.standing.account(account.id).unwrap();
    engine.store.set_state(account.id, AccountState::Disabled, NOW).await.unwrap();
    let stale = engine.store.open_session(session(11, &account), current.version).await.unwrap();
    assert_eq!(stale, SessionOpening::Stale);
    let unknown = super::conformance::account(9);
    let stale = engine.store.open_session(session(12, &unknown), 1).await.unwrap();
    assert_eq!(stale, SessionOpening::Stale);
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
    let limit = FailureLimit { attempts: 5, user_attempts: 1000, window: Seconds(300) };
    let (here, there) = (Source::V4(1), Source::V6(1));
    let count = async |source, at| {
        engine.store.count_failure(failure(source, None), limit, at).await.map(|it| it.address)
    };
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
    let limit = FailureLimit { attempts: 64, user_attempts: 1000, window: Seconds(300) };
    let counts = (0..64).map(|_| {
        let store = Arc::clone(&engine.store);
        let failure = failure(Source::V4(1), None);
        tokio::spawn(async move { store.count_failure(failure, limit, NOW).await.unwrap() })
    });
    let mut allowed = 0;
    for count in counts.collect::<Vec<_>>() {
        allowed += u32::from(count.await.unwrap().address == Verdict::Allowed);
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
    assert_eq!(engine.store.sweep(later(5), later(5)).await.unwrap(), 0);
    let (token, at) = (renewed.current.refresh, later(600_000));
    engine.store.rotate(rotation(&renewed, token, 200, at)).await.unwrap();

    // A session is kept for a day more, so that its end can still be said.
    let clock_ahead = session.expires.plus(Seconds(86_399));
    engine.store.sweep(clock_ahead, clock_ahead).await.unwrap();
    assert!(engine.store.find_session(session.id, NOW).await.unwrap().is_some());
    let after = session.expires.plus(Seconds(86_401));
    engine.store.sweep(after, after).await.unwrap();
    let none = SessionId(id(0));
    assert!(engine.standing.check_token(TokenId(id(5)), none).is_ok());
    assert!(engine.standing.check_token(TokenId(id(6)), none).is_err());
    assert!(!engine.store.end_session(session.id, after).await.unwrap(), "it is gone");
    assert!(engine.store.end_session(renewed.id, after).await.unwrap(), "it was renewed");
}

pub(crate) async fn lists_come_in_parts_in_the_order_of_ids(engine: Engine) {
    let (store, mut accounts, mut keys) = (&engine.store, Vec::new(), Vec::new());
    for number in [3, 1, 4, 2] {
        accounts.push(engine.with_account(number).await);
        let key = key(u8::try_from(number).unwrap(), accounts.last().unwrap());
        assert_eq!(store.create_key(key.clone()).await.unwrap(), KeyCreation::Created);
        keys.push(Arc::new(key));
    }
    accounts.sort_by_key(|account| account.id);
    keys.sort_by_key(|key| key.id);
    assert_eq!(store.list_accounts(None, 2).await.unwrap(), accounts[..2]);
    assert_eq!(store.list_accounts(Some(accounts[1].id), 9).await.unwrap(), accounts[2..]);
    assert_eq!(store.list_accounts(Some(accounts[3].id), 9).await.unwrap(), []);
    assert_eq!(store.list_keys(None, 3).await.unwrap(), keys[..3]);
    assert_eq!(store.list_keys(Some(keys[2].id), 9).await.unwrap(), keys[3..]);
    assert_eq!(store.find_key(keys[1].id).await.unwrap().as_ref(), Some(&keys[1]));
    assert_eq!(store.find_key(KeyId(id(9))).await.unwrap(), None);
}

pub(crate) async fn sessions_are_found_and_listed_until_they_end(engine: Engine) {
    let (mine, other) = (engine.with_account(1).await, engine.with_account(2).await);
    let mut sessions = Vec::new();
    for (number, owner) in [(11, &mine), (12, &other), (13, &mine), (14, &mine)] {
        sessions.push(engine.with_session(number, owner).await);
    }
    let [first, second, third, fourth] = &sessions[..] else { panic!("four were opened") };
    let list = async |account: Option<&Account>, after: Option<&Session>, limit| {
        let (account, after) = (account.map(|it| it.id), after.map(|it| it.id));
        engine.store.list_sessions(account, after, limit).await.unwrap()
    };
    assert_eq!(list(None, None, 9).await, sessions);
    assert_eq!(&list(None, Some(second), 1).await[..], std::slice::from_ref(third));
    assert_eq!(list(Some(&mine), None, 2).await, [first.clone(), third.clone()]);
    assert_eq!(&list(Some(&mine), Some(third), 2).await[..], std::slice::from_ref(fourth));
    let find =
        async |session: &Session, at| engine.store.find_session(session.id, at).await.unwrap();
    assert_eq!(find(first, NOW).await.as_ref(), Some(first));
    assert_eq!(find(first, first.expires).await, None);
    engine.store.end_session(first.id, NOW).await.unwrap();
    assert_eq!(find(first, NOW).await, None);

    engine.store.issue_ticket([1; 32], ticket(&mine)).await.unwrap();
    assert!(engine.store.end_sessions(mine.id, NOW).await.unwrap());
    assert!(engine.is_ended(third) && engine.is_ended(fourth) && !engine.is_ended(second));
    assert_eq!(&list(None, None, 9).await[..], std::slice::from_ref(second));
    assert_eq!(engine.store.take_ticket([1; 32], NOW).await.unwrap(), None);
    let kept = engine.standing.account(mine.id).unwrap();
    assert_eq!(kept.version, mine.version, "the password is as good as before");
    assert!(!engine.store.end_sessions(AccountId(id(9)), NOW).await.unwrap());
}

pub(crate) async fn new_roles_end_nothing_and_count_at_once(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let change = |roles: &[&str], state| AccountChange {
        roles: Some(roles.iter().map(|&role| role.to_owned()).collect()),
        state,
        ..AccountChange::of(account.id, Administration::MustRemain, NOW)
    };
    let former = |changed| match changed {
        AccountChanged::Changed(former) => former.roles.join(","),
        other => panic!("{other:?}"),
    };
    let changed = engine.store.change_account(change(&["ops"], None)).await.unwrap();
    assert_eq!(former(changed), "user", "nobody administers here who could be the last");
    let current = engine.standing.account(account.id).unwrap();
    assert_eq!((current.roles.as_slice(), current.version), (&["ops".to_owned()][..], 1));
    assert!(!engine.is_ended(&session));
    let both = change(&["none"], Some(AccountState::Disabled));
    let changed = engine.store.change_account(both.clone()).await.unwrap();
    assert_eq!(former(changed), "ops");
    let current = engine.standing.account(account.id).unwrap();
    assert_eq!((current.main_role(), current.state), ("none", AccountState::Disabled));
    assert!(engine.is_ended(&session));
    let unknown = AccountChange { account: AccountId(id(9)), ..both };
    let changed = engine.store.change_account(unknown).await.unwrap();
    assert_eq!(changed, AccountChanged::NoAccount);
}

/// A way of taking an account's administration away.
#[derive(Debug, Clone, Copy)]
enum Removal {
    Demotion,
    Disabling,
    Deletion,
}

impl Engine {
    async fn with_administrator(&self, number: u128) -> Account {
        let roles = vec!["user".to_owned(), ADMIN_ROLE.to_owned()];
        let account = Account { roles, ..account(number) };
        assert_eq!(self.store.create_account(account.clone()).await.unwrap(), Creation::Created);
        account
    }

    async fn remove(
        &self,
        account: &Account,
        removal: Removal,
        administration: Administration,
    ) -> AccountChanged {
        let (roles, state) = match removal {
            Removal::Demotion => (Some(vec!["user".to_owned()]), None),
            Removal::Disabling => (None, Some(AccountState::Disabled)),
            Removal::Deletion => {
                return self.store.delete_account(account.id, administration, NOW).await.unwrap();
            }
        };
        let unchanged = AccountChange::of(account.id, administration, NOW);
        let change = AccountChange { roles, state, ..unchanged };
        self.store.change_account(change).await.unwrap()
    }
}

pub(crate) async fn the_last_administrator_stays_unless_an_operator_wants_otherwise(
    engine: Engine,
) {
    let last = engine.with_administrator(1).await;
    let other = engine.with_administrator(2).await;
    // Who cannot sign in does not count, and may go.
    engine.store.set_state(other.id, AccountState::Disabled, NOW).await.unwrap();
    let must = Administration::MustRemain;
    for removal in [Removal::Demotion, Removal::Disabling, Removal::Deletion] {
        let refused = engine.remove(&last, removal, must).await;
        assert_eq!(refused, AccountChanged::LastAdministrator, "{removal:?}");
    }
    assert_eq!(engine.standing.account(last.id).as_deref(), Some(&last), "nothing was changed");
    let gone = engine.remove(&other, Removal::Deletion, must).await;
    assert!(matches!(gone, AccountChanged::Changed(_)));
    // As long as it remains one, everything else of it may change.
    let roles = Some(vec![ADMIN_ROLE.to_owned()]);
    let change = AccountChange { roles, ..AccountChange::of(last.id, must, NOW) };
    let changed = engine.store.change_account(change).await.unwrap();
    assert!(matches!(changed, AccountChanged::Changed(_)));
    let gone = engine.remove(&last, Removal::Disabling, Administration::MayEnd).await;
    assert!(matches!(gone, AccountChanged::Changed(_)));
}

/// Each sees the other when it begins.
pub(crate) async fn of_administrators_who_remove_each_other_at_once_one_stays(engine: Engine) {
    use Removal::{Deletion, Demotion, Disabling};
    let pairs = [(Demotion, Demotion), (Disabling, Deletion), (Deletion, Demotion)];
    for (round, (left, right)) in (0..).zip(pairs.into_iter().cycle().take(12)) {
        let one = engine.with_administrator(10 * round + 1).await;
        let two = engine.with_administrator(10 * round + 2).await;
        let must = Administration::MustRemain;
        let outcomes =
            tokio::join!(engine.remove(&one, left, must), engine.remove(&two, right, must));
        let refused = [&outcomes.0, &outcomes.1]
            .into_iter()
            .filter(|outcome| **outcome == AccountChanged::LastAdministrator)
            .count();
        assert_eq!(refused, 1, "{outcomes:?}");
        let accounts = engine.store.list_accounts(None, 99).await.unwrap();
        let left: Vec<_> = accounts.iter().filter(|account| account.administers()).collect();
        assert_eq!(left.len(), 1, "{outcomes:?}");
        engine.remove(left[0], Deletion, Administration::MayEnd).await;
    }
}

pub(crate) async fn an_address_is_verified_and_nothing_ends(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    let verify = async |account: AccountId, email_verified| {
        let unchanged = AccountChange::of(account, Administration::MustRemain, NOW);
        let change = AccountChange { email_verified: Some(email_verified), ..unchanged };
        let changed = engine.store.change_account(change).await.unwrap();
        assert!(matches!(changed, AccountChanged::Changed(_)));
        engine.standing.account(account).unwrap()
    };
    // What verified it once must not do so again: the version tells, and no session ends.
    for (verified, grown) in [(true, 0), (true, 0), (false, 1)] {
        let current = verify(account.id, verified).await;
        assert_eq!((current.email_verified, current.version), (verified, account.version + grown));
        let kept = engine.store.find_account("user1").await.unwrap();
        assert_eq!(kept.as_ref(), Some(&*current));
    }
    assert!(!engine.is_ended(&session));
    let bare = Account { email: None, ..self::account(2) };
    engine.store.create_account(bare.clone()).await.unwrap();
    assert!(!verify(bare.id, true).await.email_verified, "there is nothing to vouch for");
}

/// Whatever the core should have refused and has not.
pub(crate) async fn what_could_not_be_read_again_is_not_written(engine: Engine) {
    let (store, standing) = (&engine.store, &engine.standing);
    let refused = |error: StoreError| assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    let bad = Account { roles: vec!["user,admin".to_owned()], ..account(1) };
    refused(store.create_account(bad).await.unwrap_err());
    let bad = Account { email: Some("a@b.example\r\nx: y".to_owned()), ..account(1) };
    refused(store.create_account(bad).await.unwrap_err());
    let ann = engine.with_account(1).await;
    let (roles, state) = (Some(vec!["a\nb".to_owned()]), Some(AccountState::Disabled));
    let unchanged = AccountChange::of(ann.id, Administration::MayEnd, NOW);
    let change = AccountChange { roles, state, ..unchanged };
    refused(store.change_account(change).await.unwrap_err());
    let bad = ApiKey { scopes: vec!["a,b".to_owned()], ..key(1, &ann) };
    refused(store.create_key(bad).await.unwrap_err());
    let workspace = Workspace { id: WorkspaceId(id(6)), name: "w".to_owned(), created: NOW };
    store.create_workspace(workspace.clone()).await.unwrap();
    let role = Some("a b".to_owned());
    refused(store.set_member(workspace.id, ann.id, role).await.unwrap_err());
    assert_eq!(standing.accounts().len(), 1);
    assert_eq!(standing.account(ann.id).as_deref(), Some(&ann), "nothing was changed");
    assert!(standing.key(&[1; 32]).is_none() && standing.members(workspace.id).is_empty());
    let kept = store.find_account("user1").await.unwrap();
    assert_eq!(kept, Some(ann), "and its names are its own");
}

pub(crate) async fn a_notice_is_given_once(engine: Engine) {
    let store = &engine.store;
    assert!(store.take_notice(Notice::UnverifiedEmail).await.unwrap());
    assert!(!store.take_notice(Notice::UnverifiedEmail).await.unwrap());
    assert!(store.take_notice(Notice::ServerKeys).await.unwrap(), "each by itself");
}

pub(crate) async fn with_an_account_goes_what_it_had_and_nothing_else(engine: Engine) {
    let (gone, stays) = (engine.with_account(1).await, engine.with_account(2).await);
    let (ended, kept) =
        (engine.with_session(11, &gone).await, engine.with_session(12, &stays).await);
    let (store, standing) = (&engine.store, &engine.standing);
    store.create_key(key(1, &gone)).await.unwrap();
    store.create_key(key(2, &stays)).await.unwrap();
    store.issue_ticket([1; 32], ticket(&gone)).await.unwrap();
    let (workspace, mine, others) = (
        engine.with_workspace(21).await,
        engine.with_server(31, &gone).await,
        engine.with_server(32, &stays).await,
    );
    for account in [&gone, &stays] {
        store.set_member(workspace.id, account.id, Some("member".to_owned())).await.unwrap();
    }
    let delete = || store.delete_account(gone.id, Administration::MustRemain, NOW);
    let AccountChanged::Changed(former) = delete().await.unwrap() else { panic!("it is there") };
    assert_eq!(former.id, gone.id);
    assert_eq!(delete().await.unwrap(), AccountChanged::NoAccount);
    assert!(standing.account(gone.id).is_none() && standing.account_by_name("user1").is_none());
    assert!(engine.is_ended(&ended) && !engine.is_ended(&kept));
    assert!(standing.key(&[1; 32]).is_none() && standing.key(&[2; 32]).is_some());
    assert_eq!(store.take_ticket([1; 32], NOW).await.unwrap(), None);
    assert_eq!(standing.members(workspace.id).len(), 1);
    assert_eq!(standing.server(mine.id).unwrap().owner, None);
    assert_eq!(standing.server(others.id).unwrap().owner, Some(stays.id));
    let stays = Account { last_sign_in: Some(NOW), ..stays };
    assert_eq!(store.list_accounts(None, 9).await.unwrap(), [stays]);
    let again = Account { id: AccountId(id(3)), ..gone };
    assert_eq!(store.create_account(again).await.unwrap(), Creation::Created, "its names are free");
}

pub(crate) async fn a_github_number_is_linked_once(engine: Engine) {
    let (first, second) = (engine.with_account(1).await, engine.with_account(2).await);
    let link = |account: &Account, version, takeover| {
        let avatar = Some("https://example.com/a.png".to_owned());
        let (account, number) = (account.id, 77);
        engine.store.link_github(GithubLink {
            account,
            version,
            number,
            avatar,
            takeover,
            now: NOW,
        })
    };
    let session = engine.with_session(11, &first).await;
    assert_eq!(link(&first, first.version + 1, false).await.unwrap(), Replacement::Stale);
    assert_eq!(link(&first, first.version, false).await.unwrap(), Replacement::Replaced);
    let linked = engine.standing.account_by_github(77).unwrap();
    assert!(engine.standing.account_by_name("github/77").is_none(), "nobody signs in with it");
    assert_eq!(engine.store.find_account("github/77").await.unwrap(), None);
    assert_eq!((linked.id, linked.github, linked.email_verified), (first.id, Some(77), true));
    assert_eq!((linked.version, linked.avatar.is_some()), (first.version, true));
    assert!(!engine.is_ended(&session) && linked.password.is_some());
    assert_eq!(link(&first, linked.version, false).await.unwrap(), Replacement::Stale, "twice");
    assert_eq!(link(&second, second.version, false).await.unwrap(), Replacement::Stale, "taken");
}

/// Whoever set the password had waited under an address that was not theirs.
pub(crate) async fn a_link_that_takes_over_ends_what_was(engine: Engine) {
    let account = engine.with_account(1).await;
    let session = engine.with_session(11, &account).await;
    engine.store.create_key(key(1, &account)).await.unwrap();
    engine.store.issue_ticket([1; 32], ticket(&account)).await.unwrap();
    let (account_id, version) = (account.id, account.version);
    let link = GithubLink {
        account: account_id,
        version,
        number: 77,
        avatar: None,
        takeover: true,
        now: NOW,
    };
    assert_eq!(engine.store.link_github(link).await.unwrap(), Replacement::Replaced);
    let linked = engine.standing.account(account.id).unwrap();
    assert!(linked.password.is_none() && linked.version > version);
    assert!(engine.is_ended(&session) && engine.standing.key(&[1; 32]).is_none());
    assert_eq!(engine.store.take_ticket([1; 32], NOW).await.unwrap(), None);
    let late = engine.store.open_session(self::session(12, &account), version).await.unwrap();
    assert_eq!(late, SessionOpening::Stale, "a sign-in that had begun before");
}

pub(crate) async fn a_server_has_an_owner_that_exists_and_keys_that_go_with_it(engine: Engine) {
    let account = engine.with_account(1).await;
    let server = engine.with_server(31, &account).await;
    let store = &engine.store;
    let nobody = Some(AccountId(id(9)));
    let wrong = Server { id: ServerId(id(32)), owner: nobody, ..server.clone() };
    assert!(!store.create_server(wrong).await.unwrap());
    let change = |server, name: Option<&str>, owner| {
        store.change_server(ServerChange { server, name: name.map(str::to_owned), owner })
    };
    let renamed = Server { name: "new".to_owned(), ..server.clone() };
    let outcome = change(server.id, Some("new"), NewOwner::Same).await.unwrap();
    assert_eq!(outcome, ServerChanged::Changed(renamed.clone()));
    assert_eq!(engine.standing.server(server.id).as_deref(), Some(&renamed));
    let outcome = change(server.id, None, NewOwner::Account(AccountId(id(9)))).await.unwrap();
    assert_eq!(outcome, ServerChanged::NoOwner);
    let disowned = Server { owner: None, ..renamed };
    let outcome = change(server.id, None, NewOwner::Nobody).await.unwrap();
    assert_eq!(outcome, ServerChanged::Changed(disowned));
    let outcome = change(ServerId(id(32)), None, NewOwner::Nobody).await.unwrap();
    assert_eq!(outcome, ServerChanged::NoServer, "nothing is made by a change");

    let bound = |number, server| ApiKey { server: Some(server), ..key(number, &account) };
    let stray = bound(3, ServerId(id(32)));
    assert_eq!(store.create_key(stray).await.unwrap(), KeyCreation::NoServer);
    store.create_key(bound(1, server.id)).await.unwrap();
    store.create_key(key(2, &account)).await.unwrap();
    assert_eq!(engine.standing.keys_of_server(server.id).len(), 1);
    assert!(store.delete_server(server.id).await.unwrap());
    assert!(!store.delete_server(server.id).await.unwrap());
    assert!(engine.standing.key(&[1; 32]).is_none() && engine.standing.key(&[2; 32]).is_some());
    assert!(engine.standing.server(server.id).is_none());
    assert_eq!(store.list_keys(None, 9).await.unwrap().len(), 1);
}

pub(crate) async fn a_workspace_has_members_that_exist_and_go_with_it(engine: Engine) {
    let (ann, ben) = (engine.with_account(1).await, engine.with_account(2).await);
    let (workspace, other) = (engine.with_workspace(21).await, engine.with_workspace(22).await);
    let (store, unknown) = (&engine.store, WorkspaceId(id(29)));
    let set = |workspace: WorkspaceId, account, role: Option<&str>| {
        store.set_member(workspace, account, role.map(str::to_owned))
    };
    let nobody = AccountId(id(9));
    for (outcome, expected) in [
        (set(workspace.id, ann.id, Some("member")).await, MemberChange::Done),
        (set(workspace.id, ben.id, Some("member")).await, MemberChange::Done),
        (set(other.id, ann.id, Some("member")).await, MemberChange::Done),
        (set(workspace.id, ann.id, Some("owner")).await, MemberChange::Done),
        (set(unknown, ann.id, Some("member")).await, MemberChange::NoWorkspace),
        (set(workspace.id, nobody, Some("member")).await, MemberChange::NoAccount),
        (set(workspace.id, nobody, None).await, MemberChange::NoMember),
        (set(other.id, ben.id, None).await, MemberChange::NoMember),
    ] {
        assert_eq!(outcome.unwrap(), expected);
    }
    let role = |account: &Account| {
        engine.standing.membership(workspace.id, account.id).map(|held| held.role.to_string())
    };
    assert_eq!((role(&ann).as_deref(), role(&ben).as_deref()), (Some("owner"), Some("member")));
    set(workspace.id, ben.id, None).await.unwrap();
    assert_eq!(role(&ben), None);

    let renamed = store.rename_workspace(workspace.id, "new".to_owned()).await.unwrap();
    assert_eq!(renamed, Some(Workspace { name: "new".to_owned(), ..workspace.clone() }));
    assert_eq!(engine.standing.workspace(workspace.id).as_deref(), renamed.as_ref());
    assert_eq!(store.rename_workspace(unknown, "new".to_owned()).await.unwrap(), None);
    assert!(engine.standing.workspace(unknown).is_none(), "nothing is made by a new name");
    assert!(store.delete_workspace(workspace.id).await.unwrap());
    assert!(!store.delete_workspace(workspace.id).await.unwrap());
    assert_eq!(role(&ann), None);
    assert!(engine.standing.membership(other.id, ann.id).is_some());
}

pub(crate) async fn a_rotated_key_ends_with_its_overlap_or_before(engine: Engine) {
    let account = engine.with_account(1).await;
    let (store, standing) = (&engine.store, &engine.standing);
    store.create_key(key(1, &account)).await.unwrap();
    let rotation = |owner: Option<&Account>, number: u8, at: u64, until: u64| KeyRotation {
        key: KeyId(id(1)),
        owner: owner.map(|owner| owner.id),
        successor: Successor {
            id: KeyId(id(number.into())),
            shown: "sk_live_xyz".to_owned(),
            digest: [number; 32],
            created: later(at),
        },
        until: later(until),
    };
    let stranger = super::conformance::account(2);
    let refused = store.rotate_key(rotation(Some(&stranger), 2, 0, 60)).await.unwrap();
    assert_eq!(refused, KeyRotated::NoKey);
    let rotated = store.rotate_key(rotation(Some(&account), 2, 10, 60)).await.unwrap();
    let KeyRotated::Rotated(new) = rotated else { panic!("{rotated:?}") };
    assert_eq!((new.owner, new.scopes.as_slice()), (account.id, &["read".to_owned()][..]));
    assert_eq!(new.expires, Some(later(1_010)), "it lives as long as the old one was to");
    assert_eq!(standing.key(&[2; 32]).as_deref(), Some(&new));
    let old = standing.key(&[1; 32]).unwrap();
    assert!(!old.has_ended(later(59)) && old.has_ended(later(60)));
    let again = store.rotate_key(rotation(None, 3, 20, 900)).await.unwrap();
    assert!(matches!(again, KeyRotated::Rotated(_)), "{again:?}");
    assert_eq!(old.ends(), Some(later(60)), "no rotation gives it more time");
    let ended = store.rotate_key(rotation(None, 4, 60, 900)).await.unwrap();
    assert_eq!(ended, KeyRotated::NoKey, "a key that has ended has no successor");
    assert!(standing.key(&[4; 32]).is_none());
}

pub(crate) async fn the_use_of_a_key_is_kept_while_there_is_a_key(engine: Engine) {
    let account = engine.with_account(1).await;
    let (store, standing) = (&engine.store, &engine.standing);
    store.create_key(key(1, &account)).await.unwrap();
    let known = standing.key(&[1; 32]).unwrap();
    assert_eq!(known.last_used.get(), None);
    standing.note_use(&known, later(5));
    assert_eq!(standing.take_uses(), [(KeyId(id(1)), later(5))]);
    assert_eq!(standing.take_uses(), []);
    let uses = vec![(KeyId(id(1)), later(5)), (KeyId(id(9)), later(5))];
    store.record_key_uses(uses).await.unwrap();
    let found = store.find_key(KeyId(id(1))).await.unwrap().unwrap();
    assert_eq!(found.last_used.get(), Some(later(5)));
    store.delete_key(KeyId(id(1)), None).await.unwrap();
    store.record_key_uses(vec![(KeyId(id(1)), later(6))]).await.unwrap();
    assert_eq!(store.find_key(KeyId(id(1))).await.unwrap(), None);
}

pub(crate) async fn failures_are_listed_and_forgiven(engine: Engine) {
    let limit = FailureLimit { attempts: 2, user_attempts: 1000, window: Seconds(300) };
    let (here, there) = (Source::V4(1), Source::V6(1));
    for (source, at) in [(here, 0), (here, 1), (there, 100)] {
        engine.store.count_failure(failure(source, None), limit, later(at)).await.unwrap();
    }
    let list = async |at| {
        let mut counts = engine.store.list_failures(later(at)).await.unwrap();
        counts.sort_by_key(|count| count.source);
        counts
    };
    let count = |source, failures, ends| FailureCount { source, failures, ends: later(ends) };
    assert_eq!(list(200).await, [count(here, 2, 300), count(there, 1, 400)]);
    assert_eq!(list(300).await, [count(there, 1, 400)], "a window that has ended counts no more");
    assert!(engine.store.forgive(here).await.unwrap());
    assert_eq!(engine.standing.verdict(here, later(2)), Verdict::Allowed);
    let counted = engine.store.count_failure(failure(here, None), limit, later(2)).await.unwrap();
    assert_eq!(counted.address, Verdict::Allowed, "it begins anew");
    assert!(engine.store.forgive(there).await.unwrap());
    assert!(!engine.store.forgive(there).await.unwrap());
}

pub(crate) async fn registration_is_closed_until_that_is_taken_back(engine: Engine) {
    assert_eq!(engine.standing.registration(), Registering::Open);
    for registering in [
        Registering::Closed,
        Registering::Closed,
        Registering::Open,
        Registering::Open,
        Registering::Closed,
    ] {
        engine.store.set_registration(registering).await.unwrap();
        assert_eq!(engine.standing.registration(), registering);
    }
}

pub(crate) async fn a_working_engine_says_so(engine: Engine) {
    engine.store.ping().await.unwrap();
}

/// The suite for one engine: `conformance!(open)`, where `open()` gives an empty one.
macro_rules! conformance {
    ($open:path) => {
        crate::store::conformance::conformance! { $open:
            names_are_unique_without_case_and_across_kinds
            an_account_registers_with_its_first_session_or_not_at_all
            of_many_creations_of_one_name_one_wins
            a_password_is_replaced_only_where_it_was_read
            a_password_set_with_the_address_ends_keys_made_before_it
            a_former_password_is_kept_until_its_end_or_the_next_change
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
            lists_come_in_parts_in_the_order_of_ids
            sessions_are_found_and_listed_until_they_end
            new_roles_end_nothing_and_count_at_once
            an_address_is_verified_and_nothing_ends
            a_notice_is_given_once
            what_could_not_be_read_again_is_not_written
            the_last_administrator_stays_unless_an_operator_wants_otherwise
            of_administrators_who_remove_each_other_at_once_one_stays
            with_an_account_goes_what_it_had_and_nothing_else
            a_github_number_is_linked_once
            a_link_that_takes_over_ends_what_was
            a_server_has_an_owner_that_exists_and_keys_that_go_with_it
            a_workspace_has_members_that_exist_and_go_with_it
            a_rotated_key_ends_with_its_overlap_or_before
            the_use_of_a_key_is_kept_while_there_is_a_key
            the_last_use_of_a_session_is_kept_while_there_is_a_session
            the_last_sign_in_of_an_account_is_that_of_its_latest_session
            of_sign_ins_at_once_the_latest_is_the_last
            failures_are_listed_and_forgiven
            failures_count_together_by_clocks_that_differ_a_little
            failures_on_a_user_count_together_wherever_they_come_from
            a_user_is_slowed_once_in_a_window_that_does_not_move
            of_failures_on_a_user_at_once_one_slows_it
            an_account_is_known_where_it_was_proven_until_it_changes
            of_addresses_the_one_that_is_oldest_gives_way
            the_end_of_a_session_is_remembered_as_long_as_a_token_may_name_it
            a_revocation_is_remembered_until_its_time
            a_lock_out_outlasts_every_sweep_until_its_window_ends
            registration_is_closed_until_that_is_taken_back
            however_many_sessions_end_at_once_nothing_is_kept_of_each
            what_has_ended_with_others_is_not_kept_by_a_later_change
            no_session_opens_behind_those_that_have_ended
            with_an_account_go_all_its_sessions_however_many
            with_one_session_more_than_may_be_the_oldest_ends
            sessions_that_have_expired_give_way_before_any_other
            the_session_that_went_on_is_the_oldest
            sessions_that_open_at_once_are_no_more_than_may_be
            keys_that_come_at_once_are_no_more_than_may_be
            keys_that_have_ended_make_room_for_new_ones
            a_key_that_cannot_be_stored_takes_the_place_of_none
            a_key_rotated_without_an_overlap_leaves_the_list_at_once
            registrations_are_counted_in_a_window_and_lock_nobody_out
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
pub(crate) use activity::{
    of_sign_ins_at_once_the_latest_is_the_last,
    the_last_sign_in_of_an_account_is_that_of_its_latest_session,
    the_last_use_of_a_session_is_kept_while_there_is_a_session,
};
pub(crate) use conformance;
pub(crate) use ended::{
    however_many_sessions_end_at_once_nothing_is_kept_of_each,
    no_session_opens_behind_those_that_have_ended,
    what_has_ended_with_others_is_not_kept_by_a_later_change,
    with_an_account_go_all_its_sessions_however_many,
};
pub(crate) use guesses::{
    a_user_is_slowed_once_in_a_window_that_does_not_move,
    failures_count_together_by_clocks_that_differ_a_little,
    failures_on_a_user_count_together_wherever_they_come_from,
    of_failures_on_a_user_at_once_one_slows_it,
};
pub(crate) use known::{
    an_account_is_known_where_it_was_proven_until_it_changes,
    of_addresses_the_one_that_is_oldest_gives_way,
};
pub(crate) use limits::{
    a_key_rotated_without_an_overlap_leaves_the_list_at_once,
    a_key_that_cannot_be_stored_takes_the_place_of_none,
    keys_that_come_at_once_are_no_more_than_may_be, keys_that_have_ended_make_room_for_new_ones,
    registrations_are_counted_in_a_window_and_lock_nobody_out,
    sessions_that_have_expired_give_way_before_any_other,
    sessions_that_open_at_once_are_no_more_than_may_be, the_session_that_went_on_is_the_oldest,
    with_one_session_more_than_may_be_the_oldest_ends,
};
pub(crate) use memory::{
    a_lock_out_outlasts_every_sweep_until_its_window_ends,
    a_revocation_is_remembered_until_its_time,
    the_end_of_a_session_is_remembered_as_long_as_a_token_may_name_it,
};
