//! Exports that are cut, changed or of another kind, and records that clash with what
//! is there: named, and nothing overwritten.

use serde_json::{Value, json};
use uuid::Uuid;

use super::interrupted::{META, settle};
use super::{account, done, elsewhere, export_of, refused, sealed};
use crate::support::redis::RedisServer;

/// What happened to an export of three accounts, and what is said about it.
type Damage = (&'static str, fn(&str) -> String, &'static str);

const DAMAGES: &[Damage] = &[
    ("empty", |_| String::new(), "line 1, column 1: the file is cut off here"),
    ("cut in a line", |text| text[..120].to_owned(), "line 2, column 79: the file is cut off here"),
    (
        "cut between lines",
        |text| first_lines(text, 3),
        "line 4, column 1: the file is cut off here",
    ),
    ("its last line gone", |text| first_lines(text, 4), "line 5, column 1: the file is cut off"),
    ("a line gone", |text| without_line(text, 3), "line 4, column 1: the checksum is another"),
    ("a value changed", |text| text.replace("bob", "rob"), "line 5, column 1: the checksum is"),
    ("a count changed", |text| text.replace("\"account\":3", "\"account\":2"), "the checksum is"),
    ("its sum changed", |text| text.replace("sha256\":\"", "sha256\":\"0"), "the checksum is"),
    (
        "something behind it",
        |text| format!("{text}\n"),
        "line 6, column 1: something follows the last line",
    ),
    ("a line of other text", |text| text.replace("{\"created", "created"), "line 2, column 1: "),
    ("a wrong value", |text| text.replace(":false", ":0"), "expected a boolean"),
    (
        "of a newer version",
        |text| text.replace("\"schema\":2", "\"schema\":3"),
        "line 1, column 1: written by a newer version (schema 3; this one knows 2)",
    ),
    (
        "of another program",
        |text| text.replace("portcullis-export", "other-export"),
        "line 1, column 1: this is not an export of portcullis",
    ),
    (
        "a record of a newer version",
        |text| text.replace("\"v\":1", "\"v\":2"),
        "line 2, column 1: account of version 2; this program knows version 1",
    ),
    (
        "a record of no known kind",
        |text| text.replace("\"kind\":\"account\"", "\"kind\":\"badge\""),
        "unknown variant `badge`",
    ),
];

fn first_lines(text: &str, lines: usize) -> String {
    text.split_inclusive('\n').take(lines).collect()
}

fn without_line(text: &str, line: usize) -> String {
    let lines = text.split_inclusive('\n').enumerate();
    lines.filter(|(index, _)| index + 1 != line).map(|(_, text)| text).collect()
}

fn three() -> String {
    export_of([account(1, "ann"), account(2, "bob"), account(3, "cleo")])
}

#[tokio::test]
async fn of_an_export_that_is_not_whole_nothing_is_imported() {
    let place = elsewhere();
    for (what, damage, words) in DAMAGES {
        let damaged = damage(&three());
        assert_ne!(damaged, three(), "{what}");
        place.write("moving.jsonl", &damaged);
        for command in [["store", "import", "moving.jsonl"], ["store", "check", "moving.jsonl"]] {
            let ended = place.run(&command, None).await;
            refused(&ended, &["moving.jsonl: line ", words]);
            assert!(!place.path("data").exists(), "{what}: {ended:?}");
        }
    }
}

/// A pipe cannot be read twice, and is not imported before it has been read once.
#[tokio::test]
async fn of_a_pipe_that_is_cut_off_nothing_is_imported() {
    let place = elsewhere();
    let cut = first_lines(&three(), 3);
    let ended = place.run(&["store", "import", "-"], Some(&cut)).await;
    refused(&ended, &["standard input: line 4, column 1: the file is cut"]);
    assert!(!place.path("data").exists());
    let said = done(place.run(&["store", "import", "-"], Some(&three())).await);
    assert_eq!(said, "3 records added, 0 were there already: 3 accounts");
}

#[tokio::test]
async fn of_an_export_with_a_clash_nothing_is_imported() {
    let place = elsewhere();
    let names = (1..=1_200).map(|number| account(number, &format!("user{}", number % 1_199)));
    place.write("moving.jsonl", &export_of(names));
    let ended = place.run(&["store", "import", "moving.jsonl"], None).await;
    refused(&ended, &["line 1201: account", "has the name \"user1\"", "nothing was imported"]);
    let left = std::fs::read_dir(place.path("data")).expect("it was made").count();
    assert_eq!(left, 0, "neither a store nor the beginning of one");
}

/// Records that cannot come beside those of [`there`], and what is said of them.
fn clashes() -> Vec<(Value, String)> {
    let id = |number| Uuid::from_u128(number);
    let key = |owner, server| {
        json!({
            "kind": "key", "v": 1, "id": id(9), "owner": id(owner), "name": "", "shown": "",
            "digest": vec![0; 32], "server": server, "scopes": [], "created": 1,
        })
    };
    let session = json!({
        "kind": "session", "v": 1, "id": id(9), "account": id(8), "created": 1, "expires": 2,
        "current": { "access": id(1), "refresh": id(2), "issued_at": 1, "access_ttl": 1 },
    });
    let member =
        json!({ "kind": "member", "v": 1, "workspace": id(9), "account": id(1), "role": "user" });
    let address = |number, name| {
        let mut account = account(number, name);
        account["email"] = json!("Eve@example.com");
        account
    };
    vec![
        (account(1, "other"), "exists with other content".to_owned()),
        (account(4, "ANN"), "has the name \"ann\", which belongs to another account".to_owned()),
        (
            address(4, "dan"),
            "has the name \"eve@example.com\", which belongs to another account".to_owned(),
        ),
        (key(8, None), format!("belongs to account {}, which does not exist", id(8))),
        (key(1, Some(id(8))), format!("belongs to server {}, which does not exist", id(8))),
        (session, "belongs to account".to_owned()),
        (member, "belongs to workspace".to_owned()),
        (json!({ "kind": "key_use", "v": 1, "key": id(8), "at": 1 }), "belongs to key".to_owned()),
    ]
}

fn there() -> String {
    export_of([account(1, "ann"), account(2, "bob"), account(5, "eve@example.com")])
}

#[tokio::test]
async fn a_record_that_clashes_is_named_and_changes_nothing() {
    let place = elsewhere();
    place.write("moving.jsonl", &there());
    done(place.run(&["store", "import", "moving.jsonl"], None).await);
    let before = done(place.run(&["store", "export"], None).await);
    for (record, words) in clashes() {
        place.write("clash.jsonl", &sealed(&format!("{record}\n")));
        for more in [[].as_slice(), &["--dry-run"]] {
            let import = [&["store", "import", "clash.jsonl", "--resume"], more].concat();
            refused(&place.run(&import, None).await, &["line 2: ", &words]);
            assert_eq!(done(place.run(&["store", "export"], None).await), before, "{record}");
        }
    }
}

/// Neither is it marked as one that no gateway may use.
#[tokio::test]
async fn a_record_that_clashes_leaves_a_shared_store_to_its_gateways() {
    let redis = RedisServer::start().await;
    let mut place = elsewhere();
    settle(&mut place, redis.address());
    place.write("moving.jsonl", &there());
    done(place.run(&["store", "import", "moving.jsonl"], None).await);
    let whose = async || redis.tell(&["HGETALL", META]).await;
    let (before, owner) = (done(place.run(&["store", "export"], None).await), whose().await);
    for (record, words) in clashes() {
        place.write("clash.jsonl", &sealed(&format!("{record}\n")));
        for more in [[].as_slice(), &["--dry-run"]] {
            let import = [&["store", "import", "clash.jsonl", "--resume"], more].concat();
            refused(&place.run(&import, None).await, &["line 2: ", &words]);
            assert_eq!(whose().await, owner, "{record}");
            assert_eq!(done(place.run(&["store", "export"], None).await), before, "{record}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_makes_nothing() {
    let place = elsewhere();
    place.write("moving.jsonl", &three());
    let import = ["store", "import", "--dry-run", "moving.jsonl"];
    let said = done(place.run(&import, None).await);
    assert_eq!(said, "3 records would be added, 0 are there already: 3 accounts");
    assert!(!place.path("data").exists());
    place.write("moving.jsonl", &export_of([account(1, "ann"), account(2, "Ann")]));
    refused(&place.run(&import, None).await, &["line 3: account", "has the name \"ann\""]);
}

/// What an upstream could not be told unaltered has no way in.
#[tokio::test]
async fn a_record_with_a_role_an_address_or_a_name_that_is_none_is_refused() {
    let id = |number| Uuid::from_u128(number);
    let with = |member: &str, value: serde_json::Value| {
        let mut account = account(1, "ann");
        account[member] = value;
        account
    };
    let key = |scopes: &[&str], name: &str| {
        json!({
            "kind": "key", "v": 1, "id": id(9), "owner": id(1), "name": name, "shown": "",
            "digest": vec![0; 32], "scopes": scopes, "created": 1,
        })
    };
    let workspace = |name: &str| json!({ "kind": "workspace", "v": 1, "id": id(7), "name": name, "created": 1 });
    let member = |role: &str| json!({ "kind": "member", "v": 1, "workspace": id(7), "account": id(1), "role": role });
    let sound = [account(1, "ann"), workspace("w"), member("a-b"), key(&["c.d"], "Büro")];
    let place = elsewhere();
    place.write("sound.jsonl", &export_of(sound));
    done(place.run(&["store", "check", "sound.jsonl"], None).await);
    let unsound = [
        with("roles", json!(["user,admin"])),
        with("roles", json!(["a\r\nX-Portcullis-Roles: admin"])),
        with("email", json!("ann@example.com\r\nx: y")),
        with("email", json!("ann@example.com, ceo@example.com")),
        with("username", json!("github/583231")),
        key(&["read,write"], ""),
        key(&[], "a\u{1b}[2J"),
        workspace("a\nb"),
        member("member,admin"),
    ];
    for record in unsound {
        place.write("unsound.jsonl", &sealed(&format!("{record}\n")));
        for command in [["store", "import", "unsound.jsonl"], ["store", "check", "unsound.jsonl"]] {
            let ended = place.run(&command, None).await;
            refused(&ended, &["line 2, column 1: a value is out of its range"]);
            assert!(!place.path("data").exists(), "{record}: {ended:?}");
        }
    }
}
