//! Damaged, foreign and newer stores.

use std::path::Path;

use redb::{Database, ReadableTable, TableDefinition};

use crate::support::client::{Client, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

const SESSIONS: TableDefinition<[u8; 16], &[u8]> = TableDefinition::new("sessions");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const THEIRS: TableDefinition<&str, u64> = TableDefinition::new("theirs");

/// What happened to the file, and what is said about it.
type Damage = (&'static str, fn(&Path), &'static str);

const DAMAGES: &[Damage] = &[
    ("emptied", |path| write(path, |_| Vec::new()), "is not readable"),
    (
        "cut in half",
        |path| write(path, |bytes| bytes[..bytes.len() / 2].to_vec()),
        "is not readable",
    ),
    (
        "its last page gone",
        |path| write(path, |bytes| bytes[..bytes.len() - 4096].to_vec()),
        "is not readable",
    ),
    ("zeroed", |path| write(path, |bytes| vec![0; bytes.len()]), "is not readable"),
    (
        "begins with zeros",
        |path| write(path, |bytes| [&[0; 4096], &bytes[4096..]].concat()),
        "is not readable",
    ),
    ("one bit flipped", |path| write(path, flip_in_a_record), "is not readable"),
    ("a text", |path| write(path, |_| b"not a store\n".to_vec()), "is not readable"),
    (
        "of another program",
        |path| {
            std::fs::remove_file(path).expect("a file can be removed");
            let database = Database::create(path).expect("a database can be made");
            let txn = database.begin_write().expect("it can be written");
            txn.open_table(THEIRS)
                .and_then(|mut theirs| Ok(theirs.insert("theirs", 1).map(drop)?))
                .expect("a table");
            txn.commit().expect("it can be written");
        },
        "is a database of another program",
    ),
    (
        "of another program, and empty",
        |path| {
            std::fs::remove_file(path).expect("a file can be removed");
            drop(Database::create(path).expect("a database can be made"));
        },
        "is a database of another program",
    ),
    (
        "newer",
        |path| {
            let database = Database::open(path).expect("a store is a database");
            let txn = database.begin_write().expect("it can be written");
            txn.open_table(META)
                .and_then(|mut meta| {
                    Ok(meta.insert("schema", 4u32.to_be_bytes().as_slice()).map(drop)?)
                })
                .expect("a store has a version");
            txn.commit().expect("it can be written");
        },
        "was written by a newer version (schema 4",
    ),
];

fn write(path: &Path, damage: fn(&[u8]) -> Vec<u8>) {
    let bytes = std::fs::read(path).expect("a readable file");
    std::fs::write(path, damage(&bytes)).expect("a file can be written");
}

/// In the name of an account.
fn flip_in_a_record(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let name = b"\"username\":\"admin\"";
    let places: Vec<usize> = bytes
        .windows(name.len())
        .enumerate()
        .filter(|(_, window)| window == name)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the account is in the file");
    for at in places {
        bytes[at + 12] ^= 1;
    }
    bytes
}

#[tokio::test]
async fn a_store_that_is_none_is_refused_and_never_written_over() {
    for (case, damage, message) in DAMAGES {
        let mut gateway = Gateway::start(ECHO).await;
        sign_in_admin(&gateway).await;
        assert!(gateway.stop().await.status.success());
        let path = gateway.path("data/portcullis.redb");
        damage(&path);
        let before = std::fs::read(&path).expect("a readable file");
        for command in [&["run"][..], &["store", "check"], &["user", "list"]] {
            let refused = gateway.cli(command, None).await;
            assert_eq!(refused.status.code(), Some(1), "{case}: {refused:?}");
            assert!(refused.stderr.contains("data/portcullis.redb"), "{case}: {refused:?}");
            assert!(refused.stderr.contains(message), "{case}: {refused:?}");
            assert!(!refused.stderr.contains("panicked"), "{case}: {refused:?}");
        }
        if *message == "is not readable" {
            assert!(std::fs::read(&path).expect("a readable file") == before, "{case}: changed");
        }
    }
}

/// A session is read when it is used. The store is whole but for one record.
#[tokio::test]
async fn a_damaged_session_cannot_be_renewed_and_everything_else_works() {
    let mut gateway = Gateway::start(ECHO).await;
    let damaged = sign_in_admin(&gateway).await;
    assert!(gateway.stop().await.status.success());
    {
        let database = Database::open(gateway.path("data/portcullis.redb")).expect("a store");
        let txn = database.begin_write().expect("it can be written");
        let mut sessions = txn.open_table(SESSIONS).expect("a store has sessions");
        let id = sessions.first().expect("readable").expect("a session").0.value();
        sessions.insert(id, b"{".as_slice()).expect("it can be written");
        drop(sessions);
        txn.commit().expect("it can be written");
    }
    let checked = gateway.cli(&["store", "check"], None).await;
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(
        checked.stderr.contains("the store is damaged:\na stored record is damaged: session"),
        "{checked:?}"
    );

    gateway.restart().await;
    let caller = Client::anonymous(&gateway);
    caller.refresh(&damaged.refresh).await.refused(503, "SERVICE_UNAVAILABLE");
    let other = caller.login(ADMIN, ADMIN_PASSWORD).await.pair();
    caller.refresh(&other.refresh).await.pair();
    // Its end needs no record.
    gateway.manage(&["user", "disable", ADMIN], None).await;
    gateway.manage(&["user", "enable", ADMIN], None).await;
    for access in [damaged.access, other.access] {
        Client::bearer(&gateway, &access).get("/").await.refused(401, "INVALID_TOKEN");
    }
}
