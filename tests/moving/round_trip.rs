//! What goes out comes in again, to the letter.

use std::os::unix::fs::PermissionsExt;

use super::{PASSWORD, Site, done, elsewhere, read, refused, start};
use crate::support::gateway::{ADMIN_PASSWORD, Gateway};

#[tokio::test]
async fn a_store_goes_to_another_place_whole() {
    let mut site = Site::populated().await;
    let gateway = &mut site.gateway;
    // A key's last use is written down at the latest when the gateway stops.
    gateway.stop().await;
    let said = gateway.manage(&["store", "export", "--output", "moving.jsonl"], None).await;
    for words in ["2 accounts", "1 server", "1 workspace", "1 member", "1 key", "1 key use"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let text = read(gateway.path("moving.jsonl"));
    std::fs::rename(gateway.path("data"), gateway.path("left")).expect("it can be moved");
    let said = gateway.manage(&["store", "import", "moving.jsonl"], None).await;
    let records = text.lines().count() - 2;
    assert!(said.starts_with(&format!("{records} records added, 0 were there")), "{said}");
    assert_eq!(gateway.manage(&["store", "export"], None).await, text.trim_end());
    gateway.manage(&["store", "check"], None).await;

    gateway.restart().await;
    site.expect_whole().await;
}

#[tokio::test]
async fn an_export_beside_a_running_gateway_is_that_of_its_store_at_rest() {
    let Site { mut gateway, .. } = Site::populated().await;
    let running = gateway.manage(&["store", "export"], None).await;
    gateway
        .wait_for_log(|line| line["event"] == "store_export" && line["outcome"] == "success")
        .await;
    gateway.kill();
    assert_eq!(gateway.manage(&["store", "export"], None).await, running);
}

#[tokio::test]
async fn an_export_holds_no_secret_and_is_its_owners_to_read() {
    let Site { gateway, here, key, .. } = Site::populated().await;
    gateway.manage(&["store", "backup", "--output", "backup.jsonl"], None).await;
    let path = gateway.path("backup.jsonl");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = read(&path);
    for secret in [PASSWORD, ADMIN_PASSWORD, &key, &here.access, &here.refresh] {
        assert!(!text.contains(secret), "{secret}");
    }
    let said = gateway.manage(&["store", "check", "backup.jsonl"], None).await;
    assert!(said.starts_with("the export is whole: 2 accounts, 1 server"), "{said}");
}

#[tokio::test]
async fn a_backup_that_fails_leaves_the_one_before() {
    let mut gateway = start().await;
    gateway.manage(&["store", "backup", "--output", "backup.jsonl"], None).await;
    let before = read(gateway.path("backup.jsonl"));
    gateway.stop().await;
    damage_an_account(&gateway);
    let failed = gateway.cli(&["store", "backup", "--output", "backup.jsonl"], None).await;
    refused(&failed, &["a stored record is damaged: account"]);
    assert_eq!(read(gateway.path("backup.jsonl")), before);
    let left = std::fs::read_dir(gateway.path("")).expect("a directory").flatten();
    let is_partial = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".partial");
    assert_eq!(left.filter(|entry| is_partial(&entry.file_name())).count(), 0);
}

#[tokio::test]
async fn backups_into_one_file_at_once_are_each_whole_and_go_where_a_link_leads() {
    let gateway = start().await;
    let (link, target) = (gateway.path("latest.jsonl"), gateway.path("today.jsonl"));
    std::os::unix::fs::symlink("today.jsonl", &link).expect("a link");
    let backup = async || gateway.cli(&["store", "backup", "--output", "latest.jsonl"], None).await;
    let backups = tokio::join!(backup(), backup(), backup(), backup());
    for ended in [backups.0, backups.1, backups.2, backups.3] {
        done(ended);
    }
    assert!(link.is_symlink() && !target.is_symlink());
    let said = gateway.manage(&["store", "check", "today.jsonl"], None).await;
    assert!(said.starts_with("the export is whole"), "{said}");
}

/// Whatever its name was to be: nobody would look for the hashes in it.
#[tokio::test]
async fn what_a_killed_backup_left_is_removed_by_the_next_into_that_directory() {
    const LINK: &str = "link.0123456789abcdef.partial";
    let gateway = start().await;
    let backup = async |name: &str| {
        gateway.manage(&["store", "backup", "--output", name], None).await;
    };
    backup("monday.jsonl").await;
    let text = read(gateway.path("monday.jsonl"));
    let left = [
        ("tuesday.jsonl.0123456789abcdef.partial", &text[..text.len() - 9]),
        ("half.00000000000000ff.partial", &text[..99]),
    ];
    let others = [
        ("film.0123456789abcdef.partial", "something else"),
        ("tuesday.jsonl", &text[..99]),
        // Somebody's own.
        ("nightly.partial", &text),
    ];
    for (name, text) in left.into_iter().chain(others) {
        std::fs::write(gateway.path(name), text).expect("a file");
    }
    // One that is being written is another command's.
    let busy = gateway.path("busy.0123456789abcdef.partial");
    std::fs::write(&busy, &text[..99]).expect("a file");
    let busy_file = std::fs::File::open(&busy).expect("it is there");
    busy_file.lock().expect("it can be locked");
    std::os::unix::fs::symlink("monday.jsonl", gateway.path(LINK)).expect("a link");

    backup("wednesday.jsonl").await;
    for (name, _) in left {
        assert!(!gateway.path(name).exists(), "{name}");
    }
    for (name, text) in others {
        assert_eq!(read(gateway.path(name)), text, "{name}");
    }
    assert!(busy.exists() && gateway.path(LINK).is_symlink());
    assert_eq!(read(gateway.path("monday.jsonl")), text);
    drop(busy_file);
    backup("thursday.jsonl").await;
    assert!(!busy.exists());
}

fn damage_an_account(gateway: &Gateway) {
    use redb::{Database, ReadableTable, TableDefinition};
    let accounts = TableDefinition::<[u8; 16], &[u8]>::new("accounts");
    let database = Database::open(gateway.path("data/portcullis.redb")).expect("a store");
    let txn = database.begin_write().expect("it can be written");
    {
        let mut accounts = txn.open_table(accounts).expect("a table");
        let first = accounts.first().expect("it reads").expect("an account").0.value();
        accounts.insert(first, b"{".as_slice()).expect("it can be written");
    }
    txn.commit().expect("it can be written");
}

#[tokio::test]
async fn where_no_store_is_none_is_exported_and_none_is_made() {
    let place = elsewhere();
    refused(&place.run(&["store", "export"], None).await, &["there is no store yet"]);
    assert!(!place.path("data").exists());
}

#[tokio::test]
async fn an_import_goes_into_an_empty_store_that_no_gateway_has_open() {
    let gateway = start().await;
    gateway.manage(&["store", "backup", "--output", "backup.jsonl"], None).await;
    let import = ["store", "import", "backup.jsonl"];
    refused(&gateway.cli(&import, None).await, &["in use by another process"]);
    let mut gateway = gateway;
    gateway.stop().await;
    refused(&gateway.cli(&import, None).await, &["holds records already", "--resume"]);
    let resumed = gateway.cli(&["store", "import", "--resume", "backup.jsonl"], None).await;
    let said = done(resumed);
    assert!(said.starts_with("0 records added, 1 were there already"), "{said}");
}
