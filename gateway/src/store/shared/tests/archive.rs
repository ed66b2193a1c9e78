//! A shared store's records, read and written as they are, with gateways and without.

use super::*;
use crate::auth::api_key::KeyId;
use crate::auth::token::{SessionId, TokenId};
use crate::store::archive::conformance::{account, archive_conformance, everything, one_of_each};
use crate::store::archive::{Archive, Entry, Import, Kind, Left, Records, Written, copy, is_empty};
use crate::store::embedded::EmbeddedArchive;
use crate::store::record::Record as _;

async fn archive(prefix: &str) -> SharedArchive {
    let entropy = Arc::new(SystemEntropy::default());
    SharedArchive::open(settings(prefix), entropy).await.unwrap()
}

archive_conformance!(archive(&prefix()));

#[tokio::test]
async fn a_gateway_finds_what_was_imported_and_hears_what_is() {
    let prefix = prefix();
    let archive = archive(&prefix).await;
    archive.write(&one_of_each(1)).await.unwrap();
    let replica = server().replica(&prefix).await;
    let knows = |number: u128| {
        let id = |beside: u128| uuid::Uuid::from_u128(number + beside);
        let standing = &replica.standing;
        standing.account_by_name(&format!("user{number}")).is_some()
            && standing.key_by_id(KeyId(id(400))).is_some()
            && standing.check_token(TokenId(id(800)), SessionId(id(0))).is_err()
            && standing.check_token(TokenId(id(0)), SessionId(id(900))).is_err()
    };
    assert!(knows(1));
    archive.write(&one_of_each(2)).await.unwrap();
    eventually("the gateway hears of it", || knows(2)).await;
    // Made by the gateway, read by the archive.
    let added = replica.store.create_account(account(3)).await.unwrap();
    assert_eq!(added, crate::auth::ports::Creation::Created);
    let accounts = archive.read(Kind::Account, None, 500).await.unwrap();
    let made = crate::auth::account::Account { last_sign_in: None, ..account(3) };
    assert_eq!(accounts[2], Entry::Account(made), "nobody has signed in to it");
}

#[tokio::test]
async fn records_go_from_a_file_to_a_shared_store_and_back() {
    let (file, shared) = (EmbeddedArchive::scratch().unwrap(), archive(&prefix()).await);
    file.write(&one_of_each(1)).await.unwrap();
    copy(&file, &shared).await.unwrap();
    let back = EmbeddedArchive::scratch().unwrap();
    copy(&shared, &back).await.unwrap();
    assert_eq!(everything(&back, 500).await, one_of_each(1));
    assert_eq!(file.write(&everything(&back, 500).await).await.unwrap(), Written::Added(0));
}

async fn import(
    prefix: &str,
    export: &str,
    beginning: Beginning,
) -> Result<SharedImport, OpenError> {
    let entropy = Arc::new(SystemEntropy::default());
    SharedArchive::import(settings(prefix), entropy, export, beginning).await
}

#[track_caller]
fn is_marked<T>(opened: Result<T, OpenError>, by: &str) {
    match opened {
        Err(OpenError::Importing { export, .. }) => assert_eq!(export, by),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_which_an_import_was_cut_short_is_nobodys_until_it_is_resumed() {
    for pages in 0..3 {
        let prefix = prefix();
        let mut begun = import(&prefix, "one", Beginning::New).await.unwrap();
        for number in 0..pages {
            begun.write(&one_of_each(number + 1)).await.unwrap();
        }
        drop(begun);
        let standing = Arc::default();
        let entropy = Arc::new(SystemEntropy::default());
        is_marked(SharedStore::open(settings(&prefix), standing, entropy.clone()).await, "one");
        is_marked(SharedArchive::open(settings(&prefix), entropy).await, "one");
        is_marked(inspect(&settings(&prefix)).await, "one");
        is_marked(import(&prefix, "one", Beginning::New).await, "one");
        is_marked(import(&prefix, "two", Beginning::New).await, "one");
        is_marked(import(&prefix, "two", Beginning::Resume).await, "one");
        // By which earlier versions know it.
        let mut reads = redis::cmd("HGET");
        reads.arg(Names::new(&prefix).meta()).arg("reads");
        let reads: u64 = reads.query_async(&mut beside().await).await.unwrap();
        assert!(reads > 1);

        let mut resumed = import(&prefix, "one", Beginning::Resume).await.unwrap();
        for number in 0..3 {
            let new = if number < pages { 0 } else { 9 };
            let written = resumed.write(&one_of_each(number + 1)).await.unwrap();
            assert_eq!(written, Written::Added(new));
        }
        Box::new(resumed).finish().await.unwrap();
        assert_eq!(everything(&archive(&prefix).await, 500).await.len(), 27);
        let [replica] = replicas(&prefix).await;
        assert!(replica.standing.account_by_name("user3").is_some());
        assert!(
            replica
                .standing
                .check_token(TokenId(uuid::Uuid::from_u128(801)), SessionId(uuid::Uuid::nil()))
                .is_err()
        );
    }
}

/// It may have begun on the empty database a moment before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_has_seen_the_empty_database_writes_nothing_into_an_import() {
    let prefix = prefix();
    let [replica] = replicas(&prefix).await;
    let begun = import(&prefix, "one", Beginning::New).await.unwrap();
    assert!(replica.store.create_account(account(3)).await.is_err());
    assert!(is_empty(begun.records()).await.unwrap());
    // What begins after its end finds a database like any other.
    Box::new(begun).finish().await.unwrap();
    replicas::<1>(&prefix).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_given_up_before_it_added_anything_leaves_the_database_as_it_was() {
    let clash = |number| {
        let name = crate::auth::account::Username::parse("user1").unwrap();
        [Entry::Account(crate::auth::account::Account { username: name, ..account(number) })]
    };
    for beginning in [Beginning::New, Beginning::Resume] {
        let prefix = prefix();
        let [replica] = replicas(&prefix).await;
        replica.store.create_account(account(1)).await.unwrap();
        let mut begun = import(&prefix, "one", beginning).await.unwrap();
        assert!(matches!(begun.write(&clash(2)).await.unwrap(), Written::Refused { .. }));
        assert_eq!(Box::new(begun).give_up().await.unwrap(), Left::Nothing);
        eventually("it is followed again", || {
            replica.store.health().is_some_and(|health| health.state == StoreState::Live)
        })
        .await;
        let added = replica.store.create_account(account(3)).await.unwrap();
        assert_eq!(added, crate::auth::ports::Creation::Created);
        let [late] = replicas(&prefix).await;
        assert!(late.standing.account_by_name("user1").is_some());

        let mut begun = import(&prefix, "one", Beginning::Resume).await.unwrap();
        assert_eq!(begun.write(&one_of_each(4)).await.unwrap(), Written::Added(9));
        assert_eq!(Box::new(begun).give_up().await.unwrap(), Left::Part);
        // Also when it is a later run that has added nothing.
        let again = import(&prefix, "one", Beginning::Resume).await.unwrap();
        assert_eq!(Box::new(again).give_up().await.unwrap(), Left::Part);
        is_marked(inspect(&settings(&prefix)).await, "one");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_database_that_is_read_sessions_are_left_out_that_ended_meanwhile() {
    let prefix = prefix();
    let [replica] = replicas(&prefix).await;
    let mine = replica.with_account(1).await;
    let other = replica.with_account(2).await;
    let mut sessions = replica.with_sessions(1_000, &mine).await;
    sessions.push(replica.with_session(9_000, &other).await);
    let archive = archive(&prefix).await;
    let before = archive.read(Kind::Account, None, 500).await.unwrap();
    assert_eq!(before.len(), 2);
    // As a gateway leaves it that is killed before their records have gone.
    let mut ended = mine.clone();
    ended.end_sessions(sessions[299].id, Some(sessions[7].id));
    let mut mark = redis::cmd("SET");
    mark.arg(Names::new(&prefix).account(mine.id.0)).arg(ended.encode().unwrap());
    let _: Value = mark.query_async(&mut beside().await).await.unwrap();
    let live = [sessions[7].clone(), sessions[300].clone()].map(Entry::Session);
    for limit in [1, 7, 500] {
        let mut read = everything(&archive, limit).await;
        read.retain(|entry| entry.kind() == Kind::Session);
        assert_eq!(read, live, "in pages of {limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_an_account_that_is_gone_is_in_no_copy() {
    let prefix = prefix();
    let [replica] = replicas(&prefix).await;
    let account = replica.with_account(1).await;
    let sessions = replica.with_sessions(1_000, &account).await;
    let archive = archive(&prefix).await;
    let mut gone = redis::cmd("DEL");
    gone.arg(Names::new(&prefix).account(account.id.0));
    let _: Value = gone.query_async(&mut beside().await).await.unwrap();
    let mut unlisted = redis::cmd("ZREM");
    unlisted.arg(Names::new(&prefix).accounts()).arg(account.id.0.to_string());
    let _: Value = unlisted.query_async(&mut beside().await).await.unwrap();
    let scratch = EmbeddedArchive::scratch().unwrap();
    let copied = copy(&archive, &scratch).await.unwrap();
    assert_eq!(copied.orphans.counts[&Kind::Session], sessions.len() as u64);
    assert_eq!(copied.orphans.lost, None);
    assert!(is_empty(&scratch).await.unwrap());
}
