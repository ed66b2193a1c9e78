//! Damaged stores: the whole file, single records, single references.

use std::fmt::Debug;

use redb::{Database, ReadableTable, WriteTransaction};
use uuid::Uuid;

use super::disk::{Dice, Disk};
use super::{Engine, open, refused};
use crate::auth::error::{Refusal, StoreError};
use crate::auth::ports::Rotated;
use crate::auth::session::Session;
use crate::auth::token::{SessionId, TokenId};
use crate::store::conformance::{NOW, account, change, key, later, rotation, session, ticket};
use crate::store::embedded::schema::{
    ACCOUNT_SESSIONS, ACCOUNTS, ENDED, EXPIRIES, Expiring, KEYS, NAMES, REVOKED, SESSIONS, TICKETS,
};
use crate::store::embedded::{EmbeddedStore, Location, OpenError};

/// Some of everything.
async fn furnish(engine: &Engine) {
    let (store, ann) = (&engine.store, account(1));
    store.create_account(ann.clone()).await.unwrap();
    for number in [11, 12, 13] {
        store.open_session(session(number, &ann), ann.version).await.unwrap();
    }
    store.end_session(session(13, &ann).id, NOW).await.unwrap();
    for number in 1..=40 {
        store.create_key(key(number, &ann)).await.unwrap();
        store.revoke_token(TokenId(Uuid::from_u128(number.into())), later(9)).await.unwrap();
    }
    store.issue_ticket([1; 32], ticket(&ann)).await.unwrap();
}

/// All that requests are judged by.
fn known(engine: &Engine) -> impl PartialEq + Debug + use<> {
    let refused: Vec<_> = (0..=50)
        .map(|number| (TokenId(Uuid::from_u128(number)), SessionId(Uuid::from_u128(number))))
        .map(|(token, session)| engine.standing.check_token(token, session))
        .collect();
    (engine.standing.accounts(), engine.standing.keys(None), refused)
}

/// A furnished store that was closed.
async fn furnished() -> Disk {
    let disk = Disk::default();
    furnish(&open(&Location::Simulated(disk.clone())).unwrap()).await;
    disk
}

/// Writes into a store behind its back.
fn alter(disk: &Disk, write: impl FnOnce(&WriteTransaction)) {
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let txn = database.begin_write().unwrap();
    write(&txn);
    txn.commit().unwrap();
}

/// What redb keeps before the first page: the way to the last commits.
const HEADER: usize = 320;

fn id(number: u128) -> [u8; 16] {
    *Uuid::from_u128(number).as_bytes()
}

#[tokio::test]
async fn a_flipped_bit_stops_the_start_or_changes_nothing() {
    let disk = furnished().await;
    let sound = disk.image();
    let expected = known(&open(&Location::Simulated(Disk::holding(sound.clone()))).unwrap());
    // All of the header, and bytes all over the pages that hold anything.
    let used: Vec<usize> = (HEADER..sound.len()).filter(|&at| sound[at] != 0).collect();
    let mut dice = Dice(1);
    let mut throw = |below: usize| usize::try_from(dice.number() % below as u64).unwrap();
    let header = (0..HEADER).map(|at| (at, at % 8));
    let positions: Vec<_> = header.chain((0..400).map(|_| (used[throw(used.len())], 3))).collect();
    let mut stopped = 0;
    for (at, bit) in positions {
        let mut image = sound.clone();
        image[at] ^= 1 << bit;
        match open(&Location::Simulated(Disk::holding(image))) {
            Ok(engine) => assert_eq!(known(&engine), expected, "byte {at}, bit {bit}"),
            Err(OpenError::Damaged { .. }) => stopped += 1,
            Err(error) => panic!("byte {at}, bit {bit}: {error}"),
        }
    }
    assert!(stopped > 150, "{stopped} were noticed");
}

#[tokio::test]
async fn a_store_that_has_lost_its_end_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portcullis.redb");
    furnish(&open(&Location::File(path.clone())).unwrap()).await;
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 511, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = refused(&path);
        assert!(matches!(error, OpenError::Damaged { .. }), "{length}: {error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), &whole[..length], "{length}");
    }
}

/// What requests are judged by is read at the start; sessions are read when they are used.
#[tokio::test]
async fn a_damaged_session_is_refused_by_its_id_and_ends_with_the_others() {
    let disk = furnished().await;
    alter(&disk, |txn| {
        txn.open_table(SESSIONS).unwrap().insert(id(11), b"{".as_slice()).unwrap();
    });
    let engine = open(&Location::Simulated(disk.clone())).unwrap();
    let ann = account(1);
    let [damaged, other] = [11, 12].map(|number| session(number, &ann));
    let redeem = |session: &Session| rotation(session, session.current.refresh, 500, NOW);
    let refused = engine.store.rotate(redeem(&damaged)).await;
    let Err(StoreError::Damaged(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains(&damaged.id.0.to_string()), "{reason}");
    assert!(matches!(engine.store.rotate(redeem(&other)).await, Ok(Rotated::Pair(_))));

    engine.store.replace_password(change(&ann, "new", None)).await.unwrap();
    for session in [damaged, other] {
        let judged = engine.standing.holder(ann.id, session.current.access, session.id);
        assert_eq!(judged.err(), Some(Refusal::SessionEnded));
        assert_eq!(engine.store.rotate(redeem(&session)).await.unwrap(), Rotated::Unknown);
    }
}

#[tokio::test]
async fn a_damaged_session_is_swept_without_a_trace() {
    let disk = furnished().await;
    alter(&disk, |txn| {
        txn.open_table(SESSIONS).unwrap().insert(id(11), b"{".as_slice()).unwrap();
    });
    let engine = open(&Location::Simulated(disk.clone())).unwrap();
    engine.store.sweep(later(10_000_000), later(10_000_000)).await.unwrap();
    drop(engine);
    let checked = EmbeddedStore::check(&Location::Simulated(disk)).unwrap();
    assert_eq!(checked.faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_key_stops_the_start_and_is_named() {
    let disk = furnished().await;
    alter(&disk, |txn| {
        txn.open_table(KEYS).unwrap().insert(id(7), b"{}".as_slice()).unwrap();
    });
    let error = open(&Location::Simulated(disk)).err().expect("the store is refused").to_string();
    assert!(error.contains(&format!("key {}", Uuid::from_u128(7))), "{error}");
}

#[tokio::test]
async fn a_check_counts_what_there_is() {
    let checked = EmbeddedStore::check(&Location::Simulated(furnished().await)).unwrap();
    assert_eq!(checked.faults, Vec::<String>::new());
    let counts = [checked.accounts, checked.sessions, checked.keys, checked.tickets];
    assert_eq!((counts, checked.revocations), ([1, 2, 40, 1], 41));
}

type Alteration = fn(&WriteTransaction);

/// A record that is missing, or is there when it should not be.
const FAULTS: &[(&str, Alteration)] = &[
    ("lies under another id", |txn| {
        let mut accounts = txn.open_table(ACCOUNTS).unwrap();
        let stored = accounts.get(id(1)).unwrap().unwrap().value().to_vec();
        accounts.insert(id(2), stored.as_slice()).unwrap();
    }),
    ("is not found by its name \"user1\"", |txn| {
        txn.open_table(NAMES).unwrap().remove("user1").unwrap();
    }),
    ("is not found by its name \"user1@example.com\"", |txn| {
        txn.open_table(NAMES).unwrap().insert("user1@example.com", &id(2)).unwrap();
    }),
    ("is nobody's", |txn| {
        txn.open_table(NAMES).unwrap().insert("nobody", &id(1)).unwrap();
    }),
    ("session 00000000-0000-0000-0000-00000000000b is of no account", |txn| {
        txn.open_table(ACCOUNTS).unwrap().remove(id(1)).unwrap();
    }),
    ("would not end with its account's others", |txn| {
        txn.open_table(ACCOUNT_SESSIONS).unwrap().remove((id(1), id(11))).unwrap();
    }),
    ("in vain", |txn| {
        txn.open_table(SESSIONS).unwrap().remove(id(11)).unwrap();
    }),
    ("has ended and can be renewed", |txn| {
        txn.open_table(ENDED).unwrap().insert(id(11), 1).unwrap();
    }),
    ("session 00000000-0000-0000-0000-00000000000b would never be removed", |txn| {
        txn.open_table(EXPIRIES).unwrap().retain(|(_, _, note), ()| note != id(11)).unwrap();
    }),
    ("key 00000000-0000-0000-0000-000000000003 is of no account", |txn| {
        txn.open_table(ACCOUNTS).unwrap().remove(id(1)).unwrap();
    }),
    ("is the same as another", |txn| {
        let mut keys = txn.open_table(KEYS).unwrap();
        let stored = keys.get(id(3)).unwrap().unwrap().value().to_vec();
        keys.insert(id(99), stored.as_slice()).unwrap();
    }),
    ("would be forgotten at 5, before its time", |txn| {
        let note = (5, Expiring::Revocation as u8, id(3));
        txn.open_table(EXPIRIES).unwrap().insert((note.0, note.1, note.2.as_slice()), ()).unwrap();
    }),
    ("revocation of token 00000000-0000-0000-0000-000000000062 would never", |txn| {
        txn.open_table(REVOKED).unwrap().insert(id(98), 5).unwrap();
    }),
    ("end of session 00000000-0000-0000-0000-000000000063 would never", |txn| {
        txn.open_table(ENDED).unwrap().insert(id(99), 5).unwrap();
    }),
    ("a stored record is damaged: ticket", |txn| {
        txn.open_table(TICKETS).unwrap().insert([1; 32], b"{".as_slice()).unwrap();
    }),
    ("a ticket is of no account", |txn| {
        txn.open_table(ACCOUNTS).unwrap().remove(id(1)).unwrap();
    }),
    ("a ticket would never be removed", |txn| {
        txn.open_table(EXPIRIES).unwrap().retain(|(_, _, note), ()| note != [1; 32]).unwrap();
    }),
];

#[tokio::test]
async fn a_check_finds_what_one_record_says_wrongly_of_another() {
    for (expected, write) in FAULTS {
        let disk = furnished().await;
        alter(&disk, write);
        let faults = EmbeddedStore::check(&Location::Simulated(disk)).unwrap().faults;
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:#?}");
    }
}
