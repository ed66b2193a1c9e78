//! A store's records as a file: exports, backups, imports, and the freeze under which
//! a running gateway's store moves.

mod damage;
mod freeze;
mod interrupted;
mod orphans;
mod round_trip;
mod shared;

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::client::{Client, Pair, sign_in};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;

const PASSWORD: &str = "a password of theirs";

async fn start() -> Gateway {
    Gateway::start(&format!("[limits]\nburst = 10000\n{ECHO}keys = \"any\"\n")).await
}

/// A record of every kind, and the secrets that belong to some.
struct Site {
    gateway: Gateway,
    here: Pair,
    left: Pair,
    key: String,
}

impl Site {
    async fn populated() -> Self {
        let gateway = start().await;
        gateway.add_user("ann", PASSWORD, &["ops"]).await;
        let server = gateway.manage(&["server", "add", "web", "--owner", "ann"], None).await;
        let work = gateway.manage(&["workspace", "add", "Science"], None).await;
        gateway.manage(&["workspace", "join", &work, "ann", "--role", "chair"], None).await;
        let (_, key) = gateway.create_key("ann", &["deploy"], &["--server", &server]).await;
        Client::api_key(&gateway, &key).get("/").await.expect(200);
        let (here, left) =
            (sign_in(&gateway, "ann", PASSWORD).await, sign_in(&gateway, "ann", PASSWORD).await);
        Client::bearer(&gateway, &left.access).post("/api/logout").await.expect(200);
        let ended = sign_in(&gateway, "ann", PASSWORD).await;
        let listed = gateway.manage(&["session", "list", "--user", "ann"], None).await;
        let newest =
            listed.lines().last().and_then(|line| line.split(' ').next()).expect("a session");
        gateway.manage(&["session", "end", newest], None).await;
        Client::bearer(&gateway, &ended.access).get("/").await.expect(401);
        Self { gateway, here, left, key }
    }

    /// All that was good is, and what had ended has.
    async fn expect_whole(&self) {
        let Self { gateway, here, left, key } = self;
        Client::basic(gateway, "ann", PASSWORD).get("/").await.expect(200);
        Client::basic(gateway, ADMIN, ADMIN_PASSWORD).get("/").await.expect(200);
        Client::api_key(gateway, key).get("/").await.expect(200);
        Client::bearer(gateway, &here.access).get("/").await.expect(200);
        Client::anonymous(gateway).refresh(&here.refresh).await.expect(200);
        Client::bearer(gateway, &left.access).get("/").await.refused(401, "INVALID_TOKEN");
    }
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
