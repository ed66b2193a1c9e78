//! A store's records as a file: exports, backups, imports, and the freeze under which
//! a running gateway's store moves.

mod damage;
mod freeze;
mod interrupted;
mod round_trip;

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::gateway::{ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;

const PASSWORD: &str = "a password of theirs";

async fn start() -> Gateway {
    Gateway::start(&format!("[limits]\nburst = 10000\n{ECHO}")).await
}

/// A place without a store.
fn elsewhere() -> Installation {
    Installation::new().file("config.toml", ECHO).env("SECRET_KEY", SECRET_KEY)
}

/// Does its work, and says so.
#[track_caller]
fn done(ended: Ended) -> String {
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout
}

#[track_caller]
fn refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).expect("a file can be read")
}

fn account(number: u128, name: &str) -> Value {
    json!({
        "kind": "account", "v": 1, "id": uuid::Uuid::from_u128(number), "username": name,
        "roles": ["user"], "disabled": false, "created": 1_800_000_000_000_u64, "version": 1,
    })
}

/// An export of these records.
fn export_of(records: impl IntoIterator<Item = Value>) -> String {
    let lines = records.into_iter().map(|record| record.to_string() + "\n").collect();
    sealed(&lines)
}

/// Puts the first line before these and the last one behind them.
fn sealed(lines: &String) -> String {
    let mut counts: serde_json::Map<String, Value> = [
        "account",
        "server",
        "workspace",
        "member",
        "session",
        "key",
        "key_use",
        "revoked_token",
        "ended_session",
    ]
    .map(|kind| (kind.to_owned(), json!(0)))
    .into_iter()
    .collect();
    for line in lines.lines() {
        let kind = serde_json::from_str::<Value>(line).expect("a record")["kind"].clone();
        let count = &mut counts[kind.as_str().expect("a kind")];
        *count = json!(count.as_u64().expect("a number") + 1);
    }
    let head = "{\"format\":\"portcullis-export\",\"schema\":2}\n";
    let sum = digest(&SHA256, format!("{head}{lines}").as_bytes());
    let sum = data_encoding::HEXLOWER.encode(sum.as_ref());
    format!(
        "{head}{lines}{}\n",
        format_args!("{{\"counts\":{},\"sha256\":\"{sum}\"}}", json!(counts))
    )
}
