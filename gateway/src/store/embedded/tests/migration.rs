//! A store as schema 1 wrote it is brought up to date by opening it.

use std::collections::BTreeSet;
use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition, TableHandle};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{EmbeddedStore, Location, open};
use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::error::Refusal;
use crate::auth::ports::{AccountChanged, Administration};
use crate::auth::server::{Server, ServerId};
use crate::auth::token::{SessionId, TokenId};
use crate::store::conformance::NOW;

type Id = [u8; 16];

const ANN: u128 = 1;
const KEY: u128 = 2;
const SESSION: u128 = 3;
const REVOKED: u128 = 4;
const LONG: u64 = u64::MAX / 2;

fn bytes(number: u128) -> Id {
    Uuid::from_u128(number).into_bytes()
}

/// The tables of schema 1, with one record in each that lasts.
fn write_schema_1(path: &Path) {
    let database = Database::create(path).unwrap();
    let txn = database.begin_write().unwrap();
    {
        let mut meta = txn.open_table(TableDefinition::<&str, &[u8]>::new("meta")).unwrap();
        meta.insert("format", b"portcullis".as_slice()).unwrap();
        meta.insert("schema", 1u32.to_be_bytes().as_slice()).unwrap();
        let put = |table: &str, id: u128, record: Value| {
            let definition = TableDefinition::<Id, &[u8]>::new(table);
            let mut table = txn.open_table(definition).unwrap();
            table.insert(bytes(id), record.to_string().as_bytes()).unwrap();
        };
        let uuid = |number| Uuid::from_u128(number).to_string();
        let account = json!({
            "id": uuid(ANN), "username": "Ann", "email": "ann@example.com", "roles": ["ops"],
            "password": "$2b$04$hash", "disabled": false, "created": 1, "version": 7,
        });
        put("accounts", ANN, account);
        let minted = json!({
            "access": uuid(30), "refresh": uuid(31), "issued_at": 1, "access_ttl": 60,
        });
        let session = json!({
            "id": uuid(SESSION), "account": uuid(ANN), "created": 1, "expires": LONG,
            "current": minted,
        });
        put("sessions", SESSION, session);
        let key = json!({
            "id": uuid(KEY), "owner": uuid(ANN), "name": "ci", "shown": "sk_live_abc",
            "digest": vec![3; 32], "scopes": ["deploy"], "created": 1,
        });
        put("api_keys", KEY, key);
        let mut names = txn.open_table(TableDefinition::<&str, &Id>::new("names")).unwrap();
        for name in ["ann", "ann@example.com"] {
            names.insert(name, &bytes(ANN)).unwrap();
        }
        let index = TableDefinition::<(Id, Id), ()>::new("account_sessions");
        txn.open_table(index).unwrap().insert((bytes(ANN), bytes(SESSION)), ()).unwrap();
        let revoked = TableDefinition::<Id, u64>::new("revoked_tokens");
        txn.open_table(revoked).unwrap().insert(bytes(REVOKED), LONG).unwrap();
        txn.open_table(TableDefinition::<Id, u64>::new("ended_sessions")).unwrap();
        txn.open_table(TableDefinition::<[u8; 32], &[u8]>::new("tickets")).unwrap();
        let expiries = TableDefinition::<(u64, u8, &[u8]), ()>::new("expiries");
        let mut expiries = txn.open_table(expiries).unwrap();
        expiries.insert((LONG, 1, bytes(SESSION).as_slice()), ()).unwrap();
        expiries.insert((LONG, 2, bytes(REVOKED).as_slice()), ()).unwrap();
    }
    txn.commit().unwrap();
}

fn schema(path: &Path) -> (Vec<u8>, BTreeSet<String>) {
    let database = Database::open(path).unwrap();
    let txn = database.begin_read().unwrap();
    let meta = txn.open_table(TableDefinition::<&str, &[u8]>::new("meta")).unwrap();
    let schema = meta.get("schema").unwrap().unwrap().value().to_vec();
    let tables = txn.list_tables().unwrap().map(|table| table.name().to_owned());
    (schema, tables.collect())
}

#[tokio::test]
async fn a_store_of_schema_1_keeps_all_it_held_and_takes_what_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.redb");
    write_schema_1(&path);
    let location = Location::File(path.clone());
    {
        let engine = open(&location).unwrap();
        let (store, standing) = (&engine.store, &engine.standing);
        let ann = standing.account_by_name("ann@example.com").unwrap();
        assert_eq!((ann.id, ann.version), (AccountId(Uuid::from_u128(ANN)), 7));
        assert_eq!((ann.main_role(), ann.email_verified, ann.github), ("ops", false, None));
        let key = standing.key(&[3; 32]).unwrap();
        assert_eq!((key.id, key.server), (KeyId(Uuid::from_u128(KEY)), None));
        assert_eq!((key.ends(), key.last_used.get()), (None, None));
        let session = SessionId(Uuid::from_u128(SESSION));
        assert!(store.find_session(session, NOW).await.unwrap().is_some());
        let revoked = standing.check_token(TokenId(Uuid::from_u128(REVOKED)), session);
        assert_eq!(revoked, Err(Refusal::TokenRevoked));

        let (id, owner) = (ServerId(Uuid::from_u128(5)), Some(ann.id));
        let server = Server { id, name: "web".to_owned(), owner, created: NOW };
        assert!(store.create_server(server).await.unwrap());
        store.record_key_uses(vec![(key.id, NOW)]).await.unwrap();
    }
    let engine = open(&location).unwrap();
    assert_eq!(engine.standing.servers().len(), 1);
    assert_eq!(engine.standing.key(&[3; 32]).unwrap().last_used.get(), Some(NOW));
    let ann = AccountId(Uuid::from_u128(ANN));
    let deleted = engine.store.delete_account(ann, Administration::MayEnd, NOW).await.unwrap();
    assert!(matches!(deleted, AccountChanged::Changed(_)));
    drop(engine);
    let checked = EmbeddedStore::check(&location).unwrap();
    assert!(checked.faults.is_empty(), "{:?}", checked.faults);
    let fresh = directory.path().join("fresh.redb");
    drop(open(&Location::File(fresh.clone())).unwrap());
    assert_eq!(schema(&path), schema(&fresh), "as one that was begun now");
}

/// Opened to be looked at, it is brought up to date as well: the tables are needed.
#[test]
fn a_store_of_schema_1_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.redb");
    write_schema_1(&path);
    let checked = EmbeddedStore::check(&Location::File(path)).unwrap();
    assert!(checked.faults.is_empty(), "{:?}", checked.faults);
    assert_eq!((checked.accounts, checked.keys, checked.sessions), (1, 1, 1));
}
