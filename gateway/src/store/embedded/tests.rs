//! The embedded engine: the common suite in memory and on a file, and what only a
//! file can show.

mod activity;
mod archive;
mod damage;
pub(super) mod disk;
mod ended;
mod failure;
mod migration;
mod pending_revocations;
mod power;

use std::path::Path;
use std::sync::Arc;

use redb::TableDefinition;

use super::{EmbeddedStore, Location, OpenError};
use crate::auth::standing::Standing;
use crate::store::conformance::{Engine, LIMITS, TOKEN_TTL};

fn open(location: &Location) -> Result<Engine, OpenError> {
    let standing = Arc::new(Standing::default());
    let store = EmbeddedStore::open(location, Arc::clone(&standing), TOKEN_TTL)?;
    let store = store.with_limits(LIMITS);
    Ok(Engine { store: Arc::new(store), standing })
}

fn in_memory() -> Engine {
    open(&Location::Memory).unwrap()
}

mod memory {
    crate::store::conformance::conformance!(super::in_memory);
}

mod file {
    /// The directory goes when the process does: an open file needs no name.
    fn on_disk() -> super::Engine {
        let directory = tempfile::tempdir().unwrap();
        super::open(&super::Location::in_directory(directory.path())).unwrap()
    }

    crate::store::conformance::conformance!(on_disk);
}

mod restart {
    use super::*;
    use crate::auth::account::{Account, AccountId, HashedPassword, Username};
    use crate::auth::api_key::{ApiKey, AtomicTimestamp, KeyId};
    use crate::auth::error::Refusal;
    use crate::auth::time::Timestamp;
    use crate::auth::token::{SessionId, TokenId};
    use uuid::Uuid;

    fn account() -> Account {
        Account {
            password: Some(HashedPassword("hash".to_owned())),
            ..Account::new(
                AccountId(Uuid::from_u128(1)),
                Username::parse("ann").unwrap(),
                Timestamp(1),
            )
        }
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::in_directory(directory.path());
        let token = TokenId(Uuid::from_u128(5));
        let key = ApiKey {
            id: KeyId(Uuid::from_u128(3)),
            owner: account().id,
            name: String::new(),
            shown: String::new(),
            digest: [3; 32],
            server: None,
            scopes: Vec::new(),
            created: Timestamp(1),
            expires: None,
            superseded: AtomicTimestamp::default(),
            last_used: AtomicTimestamp::default(),
        };
        {
            let engine = open(&location).unwrap();
            engine.store.create_account(account()).await.unwrap();
            engine.store.create_key(key.clone()).await.unwrap();
            engine.store.revoke_token(token, Timestamp(u64::MAX / 2)).await.unwrap();
        }
        let engine = open(&location).unwrap();
        assert_eq!(engine.store.find_account("ann").await.unwrap(), Some(account()));
        assert_eq!(engine.standing.key(&[3; 32]).as_deref(), Some(&key));
        let revoked = engine.standing.check_token(token, SessionId(Uuid::from_u128(0)));
        assert_eq!(revoked, Err(Refusal::TokenRevoked));
    }
}

#[tokio::test]
async fn many_changes_at_once_share_few_commits() {
    use crate::auth::ports::Sessions;
    use crate::auth::time::Timestamp;
    use crate::auth::token::TokenId;
    let directory = tempfile::tempdir().unwrap();
    let location = Location::in_directory(directory.path());
    let standing = Arc::new(Standing::default());
    let store = Arc::new(EmbeddedStore::open(&location, standing, TOKEN_TTL).unwrap());
    let changes: Vec<_> = (0..500)
        .map(|number| {
            let (store, token) = (Arc::clone(&store), TokenId(uuid::Uuid::from_u128(number)));
            tokio::spawn(async move { store.revoke_token(token, Timestamp(u64::MAX / 2)).await })
        })
        .collect();
    for change in changes {
        change.await.unwrap().unwrap();
    }
    assert_eq!(store.standing.sizes().revoked, 500);
    assert!(store.writer.commits() < 250, "{} commits", store.writer.commits());
}

fn refused(path: &Path) -> OpenError {
    open(&Location::File(path.to_owned())).err().expect("the store is refused")
}

#[test]
fn a_second_opener_is_told_who_is_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::in_directory(directory.path());
    let first = open(&location).unwrap();
    assert!(matches!(open(&location), Err(OpenError::InUse { .. })));
    drop(first);
    assert!(open(&location).is_ok());
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.redb");
    for content in [b"not a database".as_slice(), b"", &[0; 4096], &[0xff; 10_000]] {
        std::fs::write(&path, content).unwrap();
        assert!(matches!(refused(&path), OpenError::Damaged { .. }), "{}", refused(&path));
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_torn_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.redb");
    drop(open(&Location::File(path.clone())).unwrap());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    assert!(matches!(refused(&path), OpenError::Damaged { .. }), "{}", refused(&path));
}

#[test]
fn another_programs_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.redb");
    let database = redb::Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<&str, u64>::new("theirs")).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert!(matches!(refused(&path), OpenError::Foreign { .. }), "{}", refused(&path));
}

#[test]
fn a_newer_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.redb");
    drop(open(&Location::File(path.clone())).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<&str, &[u8]>::new("meta"))
        .unwrap()
        .insert("schema", 99u32.to_be_bytes().as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(database);
    assert!(matches!(refused(&path), OpenError::Newer { found: 99, .. }), "{}", refused(&path));
}

#[test]
fn a_damaged_record_stops_the_start_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.redb");
    drop(open(&Location::File(path.clone())).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<[u8; 16], &[u8]>::new("accounts"))
        .unwrap()
        .insert([1; 16], b"{}".as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(database);
    let message = refused(&path).to_string();
    assert!(message.contains("account 01010101-0101-0101-0101-010101010101"), "{message}");
}
