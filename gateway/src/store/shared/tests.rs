//! The shared engine: the common suite on a real server, and what only several
//! replicas can show.

mod activity;
mod archive;
mod ended;
mod foreign;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::auth::account::{ADMIN_ROLE, Account, AccountId};
use crate::auth::bucket::BucketLimit;
use crate::auth::error::Verdict;
use crate::auth::guessed::Guessed;
use crate::auth::ports::{
    AccountChange, AccountChanged, Accounts as _, Administration, Attempts as _, Creation,
    FailureLimit, Sessions as _,
};
use crate::auth::source::Source;
use crate::auth::time::Seconds;
use crate::auth::token::{SessionId, TokenId};
use crate::crypto::entropy::SystemEntropy;
use crate::store::conformance::{
    Engine as Suite, LIMITS, NOW, TOKEN_TTL, account, conformance, failure, key, later,
};
use crate::store::failures::MAX_USERS;

struct Server {
    port: u16,
    /// Its standard input is ours: when this process is gone, the server is.
    process: Child,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("sh")
            .args(["-c", "redis-server \"$@\" & cat; kill -9 $!", "sh"])
            .args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("there is a shell");
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { port, process }
    }

    fn settings(&self, prefix: &str) -> Settings {
        let address = Address { host: "127.0.0.1".to_owned(), port: self.port };
        Settings {
            topology: Topology::Single(address),
            tls: None,
            username: None,
            password: None,
            database: 0,
            prefix: prefix.to_owned(),
            durability: Durability::Fast,
            timeout: Duration::from_secs(5),
            token_ttl: TOKEN_TTL,
            limits: LIMITS,
        }
    }

    async fn replica(&self, prefix: &str) -> Suite {
        let standing = Arc::new(Standing::default());
        let entropy = Arc::new(SystemEntropy::default());
        let settings = self.settings(prefix);
        let store = SharedStore::open(settings, Arc::clone(&standing), entropy).await.unwrap();
        assert_eq!(store.engine.health().state, StoreState::Live);
        Suite { store: Arc::new(store), standing }
    }

    /// A connection beside the gateways'.
    async fn connect(&self) -> redis::aio::MultiplexedConnection {
        let settings = self.settings("beside");
        let Topology::Single(address) = &settings.topology else { unreachable!("it is one") };
        link::connect(&settings, address, None).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A server for all tests of this process that leave the others' connections alone;
/// each has a prefix of its own.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

fn settings(prefix: &str) -> Settings {
    server().settings(prefix)
}

pub(super) async fn shared_store(prefix: &str) -> SharedStore {
    let entropy = Arc::new(SystemEntropy::default());
    SharedStore::open(settings(prefix), Arc::default(), entropy).await.unwrap()
}

pub(super) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn on_redis() -> Suite {
    tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(async { server().replica(&prefix()).await })
    })
}

conformance!(on_redis);

/// Several replicas on one database.
async fn replicas<const N: usize>(prefix: &str) -> [Suite; N] {
    let mut opened = Vec::new();
    for _ in 0..N {
        opened.push(server().replica(prefix).await);
    }
    opened.try_into().unwrap_or_else(|_| unreachable!("as many were opened"))
}

/// Waits until it is so; the test fails when it never is.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn beside() -> redis::aio::MultiplexedConnection {
    server().connect().await
}

/// Cuts every gateway's connections, and this one.
async fn cut_all(mut connection: redis::aio::MultiplexedConnection) {
    let mut cut = redis::cmd("CLIENT");
    cut.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("no");
    let _: Result<Value, _> = cut.query_async(&mut connection).await;
}

async fn open_error(settings: Settings) -> OpenError {
    let entropy = Arc::new(SystemEntropy::default());
    let opened = SharedStore::open(settings, Arc::default(), entropy).await;
    opened.err().expect("it is refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_changes_all_of_them_hear() {
    let [one, two] = replicas(&prefix()).await;
    let account = one.with_account(1).await;
    eventually("the account is heard of", || two.standing.account(account.id).is_some()).await;
    let session = two.with_session(11, &account).await;
    assert!(one.store.end_session(session.id, NOW).await.unwrap());
    let token = session.current.access;
    assert!(one.standing.check_token(token, session.id).is_err(), "at once where it was made");
    eventually("the end is heard of", || two.standing.check_token(token, session.id).is_err())
        .await;
    two.store.create_key(key(1, &account)).await.unwrap();
    eventually("the key is heard of", || one.standing.key(&[1; 32]).is_some()).await;
    one.store.delete_account(account.id, Administration::MayEnd, NOW).await.unwrap();
    eventually("the account is gone", || two.standing.account(account.id).is_none()).await;
    assert!(two.standing.key(&[1; 32]).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lockout_holds_on_every_replica() {
    let prefix = prefix();
    let [one, two] = replicas(&prefix).await;
    let limit = FailureLimit { attempts: 3, user_attempts: 1_000, window: Seconds(300) };
    let source = Source::V4(7);
    for (suite, expected) in [(&one, true), (&two, true), (&one, false)] {
        let counted = suite.store.count_failure(failure(source, None), limit, NOW).await.unwrap();
        assert_eq!(counted.address == Verdict::Allowed, expected);
    }
    eventually("the lock-out is heard of", || {
        two.standing.verdict(source, NOW) != Verdict::Allowed
    })
    .await;
    let [late] = replicas(&prefix).await;
    assert_ne!(late.standing.verdict(source, NOW), Verdict::Allowed, "who starts later knows");
    assert!(two.store.forgive(source).await.unwrap());
    eventually("it is forgiven", || one.standing.verdict(source, NOW) == Verdict::Allowed).await;
}

/// Was: each replica counted for itself, so with three of them a user was guessed at three
/// times as often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_is_guessed_at_is_slowed_on_every_replica() {
    let prefix = prefix();
    let [one, two] = replicas(&prefix).await;
    let limit = FailureLimit { attempts: 1_000, user_attempts: 3, window: Seconds(300) };
    let ann = Guessed(Uuid::from_u128(7));
    for (suite, address, expected) in
        [(&one, 1, None), (&two, 2, None), (&one, 3, Some(later(300)))]
    {
        let failure = failure(Source::V4(address), Some(ann));
        let counted = suite.store.count_failure(failure, limit, NOW).await.unwrap();
        assert_eq!(counted.slowed, expected);
    }
    assert!(one.standing.is_slowed(ann, NOW));
    eventually("the other hears of it", || two.standing.is_slowed(ann, NOW)).await;
    let [late] = replicas(&prefix).await;
    assert!(late.standing.is_slowed(ann, NOW), "who starts later knows");
}

/// Names cost whoever makes them up an attempt each, and the server no more than this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_were_guessed_at_are_forgotten_with_their_windows_and_beyond_a_number() {
    let store = shared_store(&prefix()).await;
    let engine = &store.engine;
    let limit = FailureLimit { attempts: 1_000_000, user_attempts: 2, window: Seconds(300) };
    let fail = async |user: u128, at| {
        let failure = failure(Source::V4(1), Some(Guessed(Uuid::from_u128(user))));
        store.count_failure(failure, limit, later(at)).await.unwrap().slowed
    };
    let held = async || -> (u64, u64) {
        let count = engine.query(redis::cmd("HLEN").arg(engine.names.guessed())).await.unwrap();
        let ends =
            engine.query(redis::cmd("ZCARD").arg(engine.names.guessed_ends())).await.unwrap();
        (count, ends)
    };
    for user in 1..=5 {
        fail(user, 0).await;
    }
    assert_eq!(held().await, (5, 5));
    fail(6, 300).await;
    assert_eq!(held().await, (1, 1));
    // As if there were as many as are kept.
    let mut crowd = redis::cmd("EVAL");
    crowd.arg("for i = 1, ARGV[1] do redis.call('ZADD', KEYS[1], ARGV[2], i) redis.call('HSET', KEYS[2], i, 1) end");
    crowd.arg(2).arg(engine.names.guessed_ends()).arg(engine.names.guessed());
    crowd.arg(MAX_USERS - 1).arg(later(500).0);
    engine.link.call(&crowd).await.unwrap();
    let most = MAX_USERS as u64;
    assert_eq!(held().await, (most, most));
    fail(7, 301).await;
    assert_eq!(held().await, (most, most), "the first that ends gives way");
    assert_eq!(fail(7, 302).await, Some(later(601)));
    let lives: i64 = engine.query(redis::cmd("PTTL").arg(engine.names.guessed())).await.unwrap();
    assert!(lives > 0, "without another guess all of it goes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_starts_later_knows_everything() {
    let prefix = prefix();
    let [one] = replicas(&prefix).await;
    let account = one.with_account(1).await;
    one.with_account(2).await;
    one.store.create_key(key(1, &account)).await.unwrap();
    one.store.record_key_uses(vec![(key(1, &account).id, later(5))]).await.unwrap();
    one.store.revoke_token(TokenId(Uuid::from_u128(5)), later(1_000)).await.unwrap();
    let session = one.with_session(11, &account).await;
    one.store.end_session(session.id, NOW).await.unwrap();
    let [two] = replicas(&prefix).await;
    assert_eq!(two.standing.sizes(), one.standing.sizes());
    assert_eq!(two.standing.key(&[1; 32]).unwrap().last_used.get(), Some(later(5)));
    let (token, none) = (TokenId(Uuid::from_u128(5)), SessionId(Uuid::nil()));
    assert!(two.standing.check_token(token, none).is_err());
    assert!(two.standing.check_token(TokenId(Uuid::nil()), session.id).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_the_stream_is_made_good_by_reading_everything() {
    let (server, names) = (Server::start(), Names::new("p"));
    let (one, two) = (server.replica("p").await, server.replica("p").await);
    let account = one.with_account(1).await;
    eventually("the account is heard of", || two.standing.account(account.id).is_some()).await;
    // What they have followed is gone, and something has changed of which nothing tells.
    let mut beside = server.connect().await;
    let mut list = redis::cmd("DEL");
    list.arg(names.changes()).arg(names.account(account.id.0));
    let _: Value = list.query_async(&mut beside).await.unwrap();
    cut_all(beside).await;
    eventually("both have read everything", || {
        [&one, &two].iter().all(|suite| suite.standing.account(account.id).is_none())
    })
    .await;
    eventually("both follow again", || {
        let live = |suite: &Suite| suite.store.health().map(|health| health.state);
        live(&one) == Some(StoreState::Live) && live(&two) == Some(StoreState::Live)
    })
    .await;
    let other = one.with_account(2).await;
    eventually("news are heard", || two.standing.account(other.id).is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_memory_lacks_is_looked_for_once() {
    let prefix = prefix();
    let [one, two] = replicas(&prefix).await;
    let account = one.with_account(1).await;
    one.store.create_key(key(1, &account)).await.unwrap();
    assert!(two.store.load_missing(Missing::Key([1; 32])).await.unwrap());
    assert!(two.standing.key(&[1; 32]).is_some());
    assert!(two.standing.account(account.id).is_some(), "its owner comes along");
    assert!(!two.store.load_missing(Missing::Key([9; 32])).await.unwrap());
    assert!(
        !two.store.load_missing(Missing::Account(AccountId(Uuid::from_u128(9)))).await.unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_somebody_else_or_of_a_later_version_is_left_alone() {
    let mut beside = beside().await;
    let (foreign, newer, odd) = (prefix(), prefix(), prefix());
    let set = |prefix: &str, fields: &[&str]| {
        let mut set = redis::cmd("HSET");
        set.arg(Names::new(prefix).meta()).arg(fields);
        set
    };
    let later = ["format", "portcullis", "schema", "9", "reads", "9", "installation", "x"];
    let _: Value = set(&newer, &later).query_async(&mut beside).await.unwrap();
    let _: Value = set(&foreign, &["format", "other"]).query_async(&mut beside).await.unwrap();
    let mut string = redis::cmd("SET");
    string.arg(Names::new(&odd).meta()).arg("1");
    let _: Value = string.query_async(&mut beside).await.unwrap();
    assert!(matches!(open_error(settings(&newer)).await, OpenError::Newer { found: 9, .. }));
    assert!(matches!(open_error(settings(&foreign)).await, OpenError::Foreign { .. }));
    assert!(matches!(open_error(settings(&odd)).await, OpenError::Foreign { .. }));
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{{{newer}}}*")).query_async(&mut beside).await.unwrap();
    assert_eq!(keys.len(), 1, "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_this_version_may_read_is_no_hindrance() {
    let prefix = prefix();
    let [one] = replicas(&prefix).await;
    let mut beside = beside().await;
    let mut raised = redis::cmd("HSET");
    raised.arg(Names::new(&prefix).meta()).arg("schema").arg(2);
    let _: Value = raised.query_async(&mut beside).await.unwrap();
    // A member and a kind of change that a later version has come up with.
    let account = one.with_account(1).await;
    let key = Names::new(&prefix).account(account.id.0);
    let text: String = redis::cmd("GET").arg(&key).query_async(&mut beside).await.unwrap();
    let extended = text.replacen('{', "{\"later\":7,", 1);
    let _: Value =
        redis::cmd("SET").arg(&key).arg(extended).query_async(&mut beside).await.unwrap();
    let mut told = redis::cmd("XADD");
    told.arg(Names::new(&prefix).changes()).arg("*").arg("changes").arg("[{\"later_kind\":[1]}]");
    let _: Value = told.query_async(&mut beside).await.unwrap();
    let [two] = replicas(&prefix).await;
    let roles = Some(vec!["admin".to_owned()]);
    let unchanged = AccountChange::of(account.id, Administration::MayEnd, NOW);
    two.store.change_account(AccountChange { roles, ..unchanged }).await.unwrap();
    eventually("the change is heard of", || {
        one.standing.account(account.id).is_some_and(|account| account.roles == ["admin"])
    })
    .await;
    let text: String = redis::cmd("GET").arg(&key).query_async(&mut beside).await.unwrap();
    assert!(text.contains("\"later\":7"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_refused_and_the_rest_goes_on() {
    let prefix = prefix();
    let [one] = replicas(&prefix).await;
    let (good, bad) = (one.with_account(1).await, one.with_account(2).await);
    let mut beside = beside().await;
    let key = Names::new(&prefix).account(bad.id.0);
    let _: Value =
        redis::cmd("SET").arg(&key).arg("{\"id\":").query_async(&mut beside).await.unwrap();
    let [two] = replicas(&prefix).await;
    assert!(two.standing.account(good.id).is_some());
    assert!(two.standing.account(bad.id).is_none());
    let error = two.store.find_account("user2").await.unwrap_err();
    assert!(error.to_string().contains(&key), "{error}");
    // Keys of another type are found before anything is written.
    let index = Names::new(&prefix).sessions_of(good.id.0);
    let _: Value = redis::cmd("SET").arg(&index).arg("x").query_async(&mut beside).await.unwrap();
    let session = crate::store::conformance::session(11, &good);
    let opened = two.store.open_session(session.clone(), good.version).await;
    assert!(opened.unwrap_err().to_string().contains("WRONGTYPE"));
    assert_eq!(two.store.find_session(session.id, NOW).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_changes_and_says_so_until_there_is_room() {
    let server = Server::start();
    let one = server.replica("p").await;
    let account = one.with_account(1).await;
    let mut beside = server.connect().await;
    let limit = |bytes: &'static str| {
        let mut limit = redis::cmd("CONFIG");
        limit.arg("SET").arg("maxmemory").arg(bytes);
        limit
    };
    let _: Value = limit("1").query_async(&mut beside).await.unwrap();
    let other = crate::store::conformance::account(2);
    let refused = one.store.create_account(other.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("OOM"), "{refused}");
    let state = || one.store.health().map(|health| health.state);
    assert_eq!(state(), Some(StoreState::Refusing));
    assert!(one.standing.account(account.id).is_some());
    let _: Value = limit("0").query_async(&mut beside).await.unwrap();
    eventually("changes are taken again", || state() == Some(StoreState::Live)).await;
    assert_eq!(one.store.create_account(other).await.unwrap(), Creation::Created);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_while_the_server_is_away_holds_here_and_is_delivered() {
    let server = Server::start();
    let (one, two) = (server.replica("p").await, server.replica("p").await);
    let account = one.with_account(1).await;
    let session = one.with_session(11, &account).await;
    one.store.create_key(key(1, &account)).await.unwrap();
    eventually("the key is heard of", || two.standing.key(&[1; 32]).is_some()).await;
    let mut beside = server.connect().await;
    let mut refuse = redis::cmd("CONFIG");
    refuse.arg("SET").arg("min-replicas-to-write").arg(1);
    let _: Value = refuse.query_async(&mut beside).await.unwrap();
    let held = |answer| assert!(matches!(answer, Err(StoreError::Held)), "{answer:?}");
    held(one.store.end_session(session.id, NOW).await);
    held(one.store.delete_key(key(1, &account).id, None).await);
    let token = session.current.access;
    assert!(one.standing.check_token(token, session.id).is_err());
    assert!(one.standing.key(&[1; 32]).is_none());
    assert!(one.store.load_missing(Missing::Key([1; 32])).await.is_ok());
    assert!(one.standing.key(&[1; 32]).is_none(), "it stays away");
    assert!(two.standing.check_token(token, session.id).is_ok());
    assert_eq!(one.store.health().map(|health| health.undelivered), Some(2));
    let mut accept = redis::cmd("CONFIG");
    accept.arg("SET").arg("min-replicas-to-write").arg(0);
    let _: Value = accept.query_async(&mut beside).await.unwrap();
    eventually("both ends are heard of", || {
        two.standing.check_token(token, session.id).is_err() && two.standing.key(&[1; 32]).is_none()
    })
    .await;
    eventually("nothing is left", || {
        one.store.health().is_some_and(|health| health.undelivered == 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_rights_of_the_reference_is_enough() {
    let reference = include_str!("../../../CONFIG.md");
    let rights = reference
        .lines()
        .find_map(|line| line.split_once("ACL SETUSER gate on >PASSWORD ")?.1.split('`').next())
        .expect("the reference names them");
    let server = Server::start();
    let mut beside = server.connect().await;
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("gate").arg("on").arg(">secret");
    user.arg(rights.split_whitespace().collect::<Vec<_>>());
    let _: Value = user.query_async(&mut beside).await.unwrap();
    let settings = Settings {
        username: Some("gate".to_owned()),
        password: Some(crate::auth::secret::Secret::new("secret".to_owned())),
        ..server.settings("portcullis")
    };
    assert!(inspect(&settings).await.is_ok());
    let wrong = Settings {
        password: Some(crate::auth::secret::Secret::new("wrong".to_owned())),
        ..settings.clone()
    };
    assert!(matches!(open_error(wrong).await, OpenError::Link(LinkError::Credentials(..))));
    let standing = Arc::new(Standing::default());
    let entropy = Arc::new(SystemEntropy::default());
    let store = SharedStore::open(settings, Arc::clone(&standing), entropy).await.unwrap();
    let suite = Suite { store: Arc::new(store), standing };
    let limit = BucketLimit { per_second: 1, burst: 1 };
    let buckets = suite.store.buckets().expect("replicas have buckets in common");
    buckets.report(limit, &[]).await.unwrap();
    crate::store::conformance::with_an_account_goes_what_it_had_and_nothing_else(suite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_confirmed_is_not_acknowledged_by_asking_again() {
    let server = Server::start();
    let settings = Settings { durability: Durability::Replicated(1), ..server.settings("p") };
    let fast = server.replica("p").await;
    let account = fast.with_account(1).await;
    let session = fast.with_session(11, &account).await;
    let entropy = Arc::new(SystemEntropy::default());
    let store = SharedStore::open(settings, Arc::default(), entropy).await.unwrap();
    // There is no replica that could confirm anything.
    let state = Some(crate::auth::account::AccountState::Disabled);
    let unchanged = AccountChange::of(account.id, Administration::MayEnd, NOW);
    let change = AccountChange { state, ..unchanged };
    for _ in 0..2 {
        assert!(store.change_account(change.clone()).await.is_err());
        assert!(store.end_session(session.id, NOW).await.is_err());
    }
    assert!(store.engine.standing().enabled_account(account.id).is_err(), "it holds all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_somebody_else_in_the_stream_hinders_nobody() {
    let prefix = prefix();
    let [one, two] = replicas(&prefix).await;
    let mut told = redis::cmd("XADD");
    told.arg(Names::new(&prefix).changes()).arg("*").arg("other").arg("field");
    let _: Value = told.query_async(&mut beside().await).await.unwrap();
    let account = one.with_account(1).await;
    eventually("what comes behind it", || two.standing.account(account.id).is_some()).await;
}

/// What either replica knows of the other's administrator is old when it decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_cannot_remove_the_last_two_administrators() {
    let prefix = prefix();
    let [one, two] = replicas(&prefix).await;
    for round in 0..10 {
        let roles = vec![ADMIN_ROLE.to_owned()];
        let [first, second] = [2 * round + 1, 2 * round + 2]
            .map(|number| Account { roles: roles.clone(), ..account(number) });
        for account in [&first, &second] {
            one.store.create_account(account.clone()).await.unwrap();
        }
        eventually("both are known", || two.standing.account(second.id).is_some()).await;
        let demotion = |of: &Account| AccountChange {
            roles: Some(vec!["user".to_owned()]),
            ..AccountChange::of(of.id, Administration::MustRemain, NOW)
        };
        let (left, right) = tokio::join!(
            one.store.change_account(demotion(&first)),
            two.store.change_account(demotion(&second))
        );
        let refused = [left.unwrap(), right.unwrap()]
            .iter()
            .filter(|changed| **changed == AccountChanged::LastAdministrator)
            .count();
        assert_eq!(refused, 1);
        for account in [first, second] {
            one.store.delete_account(account.id, Administration::MayEnd, NOW).await.unwrap();
            eventually("it is gone", || two.standing.account(account.id).is_none()).await;
        }
    }
}
