//! Sessions that end at once, told to others and left behind.

use redis::cmd;
use serde_json::Value as Json;

use super::*;
use crate::auth::ports::{CLEARED_AT_ONCE, SessionOpening};
use crate::auth::session::Session;
use crate::store::conformance::session;
use crate::store::pending_revocations::{Delivery, Revocation};

fn is_ended(suite: &Suite, session: &Session) -> bool {
    suite.standing.holder(session.account, session.current.access, session.id).is_err()
}

/// All that the stream tells, in order.
async fn told(prefix: &str) -> Vec<Json> {
    let mut all = cmd("XRANGE");
    all.arg(Names::new(prefix).changes()).arg("-").arg("+");
    let entries: Vec<(String, Vec<(String, String)>)> =
        all.query_async(&mut beside().await).await.unwrap();
    let told = entries.into_iter().flat_map(|(_, fields)| fields);
    told.map(|(_, text)| serde_json::from_str(&text).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_hear_of_sessions_that_ended_at_once_by_their_account() {
    let prefix = prefix();
    let [one, two] = replicas(&prefix).await;
    let account = one.with_account(1).await;
    let sessions = one.with_sessions(1_000, &account).await;
    assert!(one.store.end_sessions(account.id, NOW).await.unwrap());
    eventually("all ends are heard of", || sessions.iter().all(|session| is_ended(&two, session)))
        .await;
    let [late] = replicas(&prefix).await;
    for suite in [&one, &two, &late] {
        assert!(sessions.iter().all(|session| is_ended(suite, session)));
        assert_eq!(suite.standing.sizes().ended, 0, "no replica keeps each");
    }
    // Those of the version before hear of each, a few at a time.
    let mut each = 0;
    for entry in told(&prefix).await {
        let changes = entry.as_array().unwrap();
        let ended: usize =
            changes.iter().filter_map(|change| change["ended"].as_array()).map(Vec::len).sum();
        assert!(ended <= CLEARED_AT_ONCE, "{ended}");
        let behind = changes.iter().any(|change| change["ended_at_once"].is_string());
        assert_eq!(behind, ended > 0, "{entry}");
        each += ended;
    }
    assert_eq!(each, sessions.len());
}

/// It reads the record without the mark, and writes it back, but tells without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_of_the_version_before_tells_of_an_account_revives_nothing() {
    let prefix = prefix();
    let [one, two] = replicas(&prefix).await;
    let account = one.with_account(1).await;
    let session = one.with_session(11, &account).await;
    assert!(one.store.end_sessions(account.id, NOW).await.unwrap());
    let told = told(&prefix).await;
    let of_account = |entry: &Json| {
        let mut changes = entry.as_array().unwrap().iter().rev();
        changes.find(|change| change["account"].is_object()).cloned()
    };
    let mut change = told.iter().rev().find_map(of_account).unwrap();
    let stored = change["account"].as_object_mut().unwrap();
    assert!(stored.remove("ended").is_some());
    stored.insert("roles".to_owned(), serde_json::json!(["ops"]));
    let mut tell = cmd("XADD");
    let entry = Json::from(vec![change]).to_string();
    tell.arg(Names::new(&prefix).changes()).arg("*").arg("changes").arg(entry);
    let _: Value = tell.query_async(&mut beside().await).await.unwrap();
    eventually("it is heard of", || {
        [&one, &two].iter().all(|suite| {
            suite.standing.account(account.id).is_some_and(|account| account.roles == ["ops"])
        })
    })
    .await;
    assert!(is_ended(&one, &session) && is_ended(&two, &session));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_gateway_leaves_of_ended_sessions_has_ended_and_is_removed_later() {
    let prefix = prefix();
    let [one] = replicas(&prefix).await;
    let account = one.with_account(1).await;
    let sessions = one.with_sessions(1_000, &account).await;
    let store = shared_store(&prefix).await;
    let (engine, id) = (&*store.engine, account.id);
    let begun = engine.transact(move |mut txn| async move {
        let mut account = engine.account(&mut txn, id).await?.expect("it is there");
        engine.end_all(&mut txn, &mut account, None, NOW).await?;
        engine.write_account(&mut txn, &account)?;
        Ok((txn, ()))
    });
    begun.await.unwrap();
    drop(store);
    eventually("the ends are heard of", || is_ended(&one, &sessions[0])).await;
    let left = async || -> usize {
        let mut count = cmd("ZCARD");
        count.arg(Names::new(&prefix).sessions_of(account.id.0));
        count.query_async(&mut beside().await).await.unwrap()
    };
    assert_eq!(left().await, sessions.len() - CLEARED_AT_ONCE, "a part in a step");
    let last = sessions.last().unwrap();
    assert!(is_ended(&one, last));
    assert_eq!(one.store.find_session(last.id, NOW).await.unwrap(), None);
    assert_eq!(one.store.list_sessions(None, None, 9).await.unwrap(), []);
    one.store.sweep(NOW, NOW).await.unwrap();
    assert_eq!(left().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_all_sessions_while_the_server_is_away_holds_here_and_is_delivered() {
    let server = Server::start();
    let (one, two) = (server.replica("p").await, server.replica("p").await);
    let account = one.with_account(1).await;
    let sessions = one.with_sessions(1_000, &account).await;
    eventually("the account is known", || two.standing.account(account.id).is_some()).await;
    let mut beside = server.connect().await;
    let mut set = async |replicas: u8| {
        let mut set = cmd("CONFIG");
        set.arg("SET").arg("min-replicas-to-write").arg(replicas);
        let _: Value = set.query_async(&mut beside).await.unwrap();
    };
    set(1).await;
    assert!(one.store.end_sessions(account.id, NOW).await.is_err(), "nothing was promised");
    assert!(sessions.iter().all(|session| is_ended(&one, session)), "and all of it holds");
    assert!(!is_ended(&two, &sessions[0]));
    assert_eq!(one.store.health().map(|health| health.undelivered), Some(1), "as one revocation");
    set(0).await;
    eventually("the ends are heard of", || sessions.iter().all(|session| is_ended(&two, session)))
        .await;
    let id = SessionId(Uuid::from_u128(u128::MAX / 2));
    let next = Session { id, ..session(12, &account) };
    two.store.open_session(next.clone(), account.version).await.unwrap();
    assert!(!is_ended(&one, &next) && !is_ended(&two, &next));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_in_before_an_earlier_ending_of_all_is_delivered_stays_signed_in() {
    for delivery in [Delivery::Late, Delivery::AtOnce] {
        let prefix = prefix();
        let [one] = replicas(&prefix).await;
        let account = one.with_account(1).await;
        let before = one.with_session(11, &account).await;
        let with_id =
            |id: u128| Session { id: SessionId(Uuid::from_u128(id)), ..session(12, &account) };
        let last = SessionId::last_of(NOW).0.as_u128();
        let since = with_id(last + 1);
        one.store.open_session(since.clone(), account.version).await.unwrap();
        let store = shared_store(&prefix).await;
        assert!(
            store.engine.revoke(Revocation::Sessions(account.id, NOW), delivery).await.unwrap()
        );
        let [late] = replicas(&prefix).await;
        let ended = [&before, &since].map(|session| is_ended(&late, session));
        assert_eq!(ended, [true, delivery == Delivery::AtOnce], "{delivery:?}");
        let listed = late.store.list_sessions(Some(account.id), None, 9).await.unwrap();
        assert_eq!(listed.len(), usize::from(delivery == Delivery::Late));
        // As memory says of it: no session comes between.
        let opened = late.store.open_session(with_id(last), account.version).await.unwrap();
        assert!(matches!(opened, SessionOpening::Behind(_)), "{opened:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_much_a_server_does_not_take_all_else_is_delivered() {
    let server = Server::start();
    let one = server.replica("p").await;
    let mut beside = server.connect().await;
    let mut set = async |words: &[&str]| {
        let mut set = cmd(words[0]);
        set.arg(&words[1..]);
        let _: Value = set.query_async(&mut beside).await.unwrap();
    };
    let mut accounts = Vec::new();
    for number in 1..=12 {
        let account = one.with_account(number).await;
        // But for the last, written by somebody else.
        if number < 12 {
            set(&["SET", &Names::new("p").tickets_of(account.id.0), "of another type"]).await;
        }
        accounts.push(account);
    }
    accounts.sort_by_key(|account| account.id.0);
    let session = one.with_session(11, accounts.last().unwrap()).await;
    set(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    for account in &accounts {
        assert!(one.store.end_sessions(account.id, NOW).await.is_err());
    }
    set(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    let undelivered = || one.store.health().map(|health| health.undelivered);
    assert_eq!(undelivered(), Some(12));
    eventually("the last is told", || undelivered() == Some(11)).await;
    let late = server.replica("p").await;
    assert!(is_ended(&late, &session));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_not_take_holds_up_nothing_else_that_ended() {
    let server = Server::start();
    let (one, two) = (server.replica("p").await, server.replica("p").await);
    let (mine, other) = (one.with_account(1).await, one.with_account(2).await);
    let session = one.with_session(11, &other).await;
    let mut beside = server.connect().await;
    let mut set = async |words: &[&str]| {
        let mut set = cmd(words[0]);
        set.arg(&words[1..]);
        let _: Value = set.query_async(&mut beside).await.unwrap();
    };
    // Written by somebody else.
    set(&["SET", &Names::new("p").tickets_of(mine.id.0), "of another type"]).await;
    set(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    assert!(one.store.end_sessions(mine.id, NOW).await.is_err());
    assert!(one.store.end_session(session.id, NOW).await.is_err());
    set(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    let undelivered = || one.store.health().map(|health| health.undelivered);
    eventually("the end of the other's is heard of", || is_ended(&two, &session)).await;
    eventually("one is left", || undelivered() == Some(1)).await;
    set(&["DEL", &Names::new("p").tickets_of(mine.id.0)]).await;
    eventually("nothing is left", || undelivered() == Some(0)).await;
}
