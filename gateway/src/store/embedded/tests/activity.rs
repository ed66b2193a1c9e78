//! What a version leaves that knows nothing of when sessions were used and accounts signed in.

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use uuid::Uuid;

use super::super::schema::{ACCOUNT_SESSIONS, EXPIRIES, SESSION_USES, SESSIONS, SIGN_INS};
use super::super::{EmbeddedArchive, EmbeddedStore, Location};
use super::open;
use crate::auth::ports::SessionOpening;
use crate::auth::session::Session;
use crate::auth::token::SessionId;
use crate::store::archive::{Entry, Kind, Records};
use crate::store::conformance::{later, session};

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
    // By its id the second is the newest.
    let id = SessionId(Uuid::from_u128(u128::from(later(7).0) << 80));
    let second = Session { id, created: later(7), ..session(12, &account) };
    let opened = engine.store.open_session(second.clone(), account.version).await.unwrap();
    assert!(matches!(opened, SessionOpening::Opened { .. }));
    let sessions = [engine.with_session(11, &account).await, second];
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
        assert!(txn.delete_table(SIGN_INS).unwrap());
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
    let last = engine.store.last_sign_in(one.account).await.unwrap();
    assert_eq!(last, Some(later(7)), "the newest session tells");
    engine.store.record_session_uses(vec![(one.id, later(9))]).await.unwrap();
    let listed = engine.store.list_sessions(None, None, 9).await.unwrap();
    assert_eq!(listed, [Session { last_used: Some(later(9)), ..former }, two]);
    drop(engine);
    is_whole(&location);
}

/// The version before opens this one's store and removes sessions and accounts alone.
#[tokio::test]
async fn what_the_version_before_has_left_of_sessions_and_accounts_goes_when_the_store_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::in_directory(directory.path());
    let [one, two] = furnish(&location).await;
    {
        let database = database(&location);
        let txn = database.begin_write().unwrap();
        txn.open_table(SIGN_INS).unwrap().insert([9; 16], 5).unwrap();
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
    assert_eq!(txn.open_table(SIGN_INS).unwrap().len().unwrap(), 1, "of the account that is there");
}
