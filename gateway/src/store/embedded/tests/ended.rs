//! Sessions that ended at once, over restarts and versions.

use redb::{Database, ReadableDatabase};

use super::super::EmbeddedArchive;
use super::super::records::{read_account, write_account};
use super::super::schema::{self, ACCOUNTS, NAMES};
use super::super::sessions;
use super::super::step::Step;
use super::archive::carried_over;
use super::*;
use crate::auth::account::Account;
use crate::auth::ports::{
    AccountLimits, Accounts as _, CLEARED_AT_ONCE, Creation, Rotated, SUPERSEDED_AT_ONCE,
    SessionOpening, Sessions as _, Store as _,
};
use crate::auth::session::Session;
use crate::auth::token::TokenId;
use crate::store::conformance::{NOW, account, later, rotation, session};

fn reopen(location: &Location) -> (EmbeddedStore, Arc<Standing>) {
    let standing = Arc::new(Standing::default());
    let store = EmbeddedStore::open(location, Arc::clone(&standing), TOKEN_TTL).unwrap();
    (store.with_limits(LIMITS), standing)
}

/// As many sessions as one account may have.
async fn furnish(store: &EmbeddedStore) -> (Account, Vec<Session>) {
    let ann = account(1);
    assert_eq!(store.create_account(ann.clone()).await.unwrap(), Creation::Created);
    let mut sessions = Vec::new();
    for number in (1_000..).take(LIMITS.sessions) {
        let session = session(number, &ann);
        let opened = store.open_session(session.clone(), ann.version).await.unwrap();
        assert_eq!(opened, SessionOpening::Opened { superseded: Vec::new() });
        sessions.push(session);
    }
    (ann, sessions)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Sessions,
    Account,
}

/// The first step, which is what was acknowledged; the process is killed before the next.
async fn begin(store: &EmbeddedStore, ann: &Account, ending: Ending) {
    let (id, names) = (ann.id, ann.names());
    let step = move |txn: &redb::WriteTransaction| {
        let mut account = read_account(txn, id)?.expect("it is there");
        sessions::end_all(txn, &mut account, None)?;
        match ending {
            Ending::Sessions => write_account(txn, &account)?,
            Ending::Account => {
                for name in &names {
                    txn.open_table(NAMES)?.remove(name.as_str())?;
                }
                txn.open_table(ACCOUNTS)?.remove(*id.0.as_bytes())?;
            }
        }
        Ok(Step::changed((), |_| ()))
    };
    store.writer.submit(step).await.unwrap();
}

#[tokio::test]
async fn what_a_kill_leaves_of_ended_sessions_has_ended_and_is_removed_later() {
    for ending in [Ending::Sessions, Ending::Account] {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::in_directory(directory.path());
        let (store, _) = reopen(&location);
        let (ann, sessions) = furnish(&store).await;
        begin(&store, &ann, ending).await;
        drop(store);
        let left = EmbeddedStore::check(&location).unwrap();
        assert_eq!(left.faults, Vec::<String>::new(), "{ending:?}");
        let rest = (LIMITS.sessions - CLEARED_AT_ONCE) as u64;
        assert_eq!(left.sessions, rest, "a part in a step");
        let known = if ending == Ending::Sessions { 1 + rest } else { 0 };
        assert_eq!(carried_over(&EmbeddedArchive::reopen(&location).unwrap()).await, known);

        let (store, standing) = reopen(&location);
        for session in &sessions {
            let judged = standing.holder(ann.id, session.current.access, session.id);
            assert!(judged.is_err(), "{ending:?} {:?}", session.id);
        }
        let last = sessions.last().unwrap();
        let refresh = rotation(last, last.current.refresh, 9_000, NOW);
        assert_eq!(store.rotate(refresh).await.unwrap(), Rotated::Unknown);
        assert_eq!(store.find_session(last.id, NOW).await.unwrap(), None);
        assert_eq!(store.list_sessions(None, None, 9).await.unwrap(), []);
        store.sweep(later(1), later(1)).await.unwrap();
        drop(store);
        let cleared = EmbeddedStore::check(&location).unwrap();
        assert_eq!((cleared.sessions, cleared.faults.len()), (0, 0), "{ending:?}");
    }
}

/// No other change waits for all of them, and no sweep is waited for.
#[tokio::test]
async fn what_ends_at_once_is_removed_step_after_step() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::in_directory(directory.path());
    let (store, standing) = reopen(&location);
    let (ann, _) = furnish(&store).await;
    assert!(store.end_sessions(ann.id, NOW).await.unwrap());
    assert_eq!(standing.sizes().ended, 0);
    drop(store);
    assert_eq!(EmbeddedStore::check(&location).unwrap().sessions, 0);
}

/// As where the limit was higher, or none.
#[tokio::test]
async fn an_account_with_many_more_sessions_than_may_be_comes_down_to_them_by_signing_in() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::in_directory(directory.path());
    let (store, _) = reopen(&location);
    let (ann, sessions) = furnish(&store).await;
    drop(store);
    let (store, standing) = reopen(&location);
    let store = store.with_limits(AccountLimits { sessions: 150, ..LIMITS });
    let mut oldest = sessions.iter().map(|session| session.id);
    for (number, ended) in [(5_000, SUPERSEDED_AT_ONCE), (5_001, 52), (5_002, 1)] {
        let opened = store.open_session(session(number, &ann), ann.version).await.unwrap();
        let superseded = oldest.by_ref().take(ended).collect();
        assert_eq!(opened, SessionOpening::Opened { superseded });
    }
    assert_eq!(store.list_sessions(Some(ann.id), None, 999).await.unwrap().len(), 150);
    let left = oldest.next().unwrap();
    assert!(standing.holder(ann.id, TokenId(ann.id.0), left).is_ok());
}

fn version(location: &Location) -> u32 {
    let Location::File(path) = location else { unreachable!("it is a file") };
    let database = Database::open(path).unwrap();
    let txn = database.begin_read().unwrap();
    let meta = txn.open_table(schema::META).unwrap();
    u32::from_be_bytes(meta.get("schema").unwrap().unwrap().value().try_into().unwrap())
}

/// The version before would take the access tokens of what ended so.
#[tokio::test]
async fn a_store_of_the_version_before_stays_one_until_sessions_end_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::in_directory(directory.path());
    let (store, _) = reopen(&location);
    let (ann, sessions) = furnish(&store).await;
    drop(store);
    // That version knows no such table.
    let Location::File(path) = &location else { unreachable!("it is a file") };
    let database = Database::open(path).unwrap();
    let txn = database.begin_write().unwrap();
    assert!(txn.delete_table(schema::CLEARING).unwrap());
    txn.commit().unwrap();
    drop(database);

    assert_eq!(EmbeddedStore::check(&location).unwrap().faults, Vec::<String>::new());
    let (store, standing) = reopen(&location);
    let first = &sessions[0];
    assert!(standing.holder(ann.id, TokenId(ann.id.0), first.id).is_ok());
    assert!(store.end_session(first.id, NOW).await.unwrap());
    drop(store);
    assert_eq!(version(&location), 2, "one by itself is told as ever");
    let (store, _) = reopen(&location);
    assert!(store.end_sessions(ann.id, NOW).await.unwrap());
    drop(store);
    assert_eq!(version(&location), 3);
    assert_eq!(EmbeddedStore::check(&location).unwrap().faults, Vec::<String>::new());
    let (_, standing) = reopen(&location);
    assert!(standing.holder(ann.id, TokenId(ann.id.0), sessions[9].id).is_err());
}
