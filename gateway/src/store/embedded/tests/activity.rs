//! What a version leaves that knows nothing of when sessions were used.

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::super::schema::{ACCOUNT_SESSIONS, EXPIRIES, SESSION_USES, SESSIONS};
use super::super::{EmbeddedArchive, EmbeddedStore, Location};
use super::open;
use crate::auth::token::Session;
use crate::store::archive::{Entry, Kind, Records};
use crate::store::conformance::later;

fn database(location: &Location) -> Database {
    let Location::File(path) = location else { unreachable!("it is a file") };
    Database::open(path).unwrap()
}

fn is_whole(location: &Location) {
    assert_eq!(EmbeddedStore::check(location).unwrap().faults, Vec::<String>::new());
}

/// A store with two sessions, of which the first was used.
async fn furnish(location: &Location) -> [Session; 2] {
    let engine = open(location).unwrap();
    let account = engine.with_account(1).await;
    let sessions =
        [engine.with_session(11, &account).await, engine.with_session(12, &account).await];
    let uses = vec![(sessions[0].id, later(5))];
    engine.store.record_session_uses(uses).await.unwrap();
    sessions
}

#[tokio::test]
async fn a_store_of_the_version_before_is_read_as_it_is_and_takes_uses_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::in_directory(directory.path());
    let [one, two] = furnish(&location).await;
    // Without what that version did not write.
    {
        let database = database(&location);
        let txn = database.begin_write().unwrap();
        assert!(txn.delete_table(SESSION_USES).unwrap());
        {
            let mut sessions = txn.open_table(SESSIONS).unwrap();
            let id = *one.id.0.as_bytes();
            let stored = sessions.get(id).unwrap().unwrap().value().to_vec();
            let mut record: serde_json::Value = serde_json::from_slice(&stored).unwrap();
            let members = record.as_object_mut().unwrap();
            assert!(members.remove("address").is_some() && members.remove("user_agent").is_some());
            sessions.insert(id, record.to_string().as_bytes()).unwrap();
        }
        txn.commit().unwrap();
    }
    let former = Session { client: None, ..one.clone() };
    is_whole(&location);
    {
        let archive = EmbeddedArchive::reopen(&location).unwrap();
        let read = archive.read(Kind::Session, None, 9).await.unwrap();
        assert_eq!(read, [Entry::Session(former.clone()), Entry::Session(two.clone())]);
    }
    let engine = open(&location).unwrap();
    let listed = engine.store.list_sessions(None, None, 9).await.unwrap();
    assert_eq!(listed, [former.clone(), two.clone()]);
    engine.store.record_session_uses(vec![(one.id, later(9))]).await.unwrap();
    let listed = engine.store.list_sessions(None, None, 9).await.unwrap();
    assert_eq!(listed, [Session { last_used: Some(later(9)), ..former }, two]);
    drop(engine);
    is_whole(&location);
}

/// The version before opens this one's store and removes sessions without their uses.
#[tokio::test]
async fn uses_of_sessions_that_the_version_before_has_removed_go_when_the_store_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::in_directory(directory.path());
    let [one, two] = furnish(&location).await;
    {
        let database = database(&location);
        let txn = database.begin_write().unwrap();
        let id = *one.id.0.as_bytes();
        txn.open_table(SESSIONS).unwrap().remove(id).unwrap();
        let index = (*one.account.0.as_bytes(), id);
        txn.open_table(ACCOUNT_SESSIONS).unwrap().remove(index).unwrap();
        txn.open_table(EXPIRIES).unwrap().retain(|(_, _, of), ()| of != id.as_slice()).unwrap();
        txn.commit().unwrap();
    }
    is_whole(&location);
    let engine = open(&location).unwrap();
    assert_eq!(engine.store.list_sessions(None, None, 9).await.unwrap(), [two]);
    drop(engine);
    let database = database(&location);
    let txn = database.begin_read().unwrap();
    assert_eq!(txn.open_table(SESSION_USES).unwrap().len().unwrap(), 0);
}
