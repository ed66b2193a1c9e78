//! Signing in with GitHub.

mod audited;
mod browser;
mod provider;
mod providers;
mod sign_in;

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::gateway::{ECHO, Gateway};
use crate::support::github::{CLIENT_SECRET, GitHub};

const PATH: &str = "/api/auth/github";

/// A gateway at which anybody of this GitHub may sign in.
async fn start() -> (GitHub, Gateway) {
    let github = GitHub::start().await;
    let gateway = gateway(&github, "", "").await;
    (github, gateway)
}

/// With more of `[github]`, and tables of its own.
async fn gateway(github: &GitHub, more: &str, tables: &str) -> Gateway {
    let open = if tables.contains("[auth]") { "" } else { "[auth]\nregistration = \"open\"\n" };
    let config = format!("{}{more}{open}{tables}{ECHO}", github.section());
    Gateway::builder().config(&config).env("GITHUB_CLIENT_SECRET", CLIENT_SECRET).start().await
}

async fn sign_in(gateway: &Gateway, code: &str) -> Answer {
    Client::anonymous(gateway).post_json(PATH, &json!({ "code": code })).await
}

/// What a success holds; its envelope is checked.
#[track_caller]
fn data(answer: &Answer) -> Value {
    assert!(answer.status.is_success(), "{answer:?}");
    let mut body = answer.json();
    assert_eq!(body["success"], true, "{answer:?}");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(3), "{answer:?}");
    check_time(&body);
    body["data"].take()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["success"], false, "{answer:?}");
    assert_eq!(body["error"]["code"], code, "{answer:?}");
    assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    check_time(&body);
}

/// As in `2026-03-05T12:00:00.000Z`.
#[track_caller]
fn check_time(body: &Value) {
    let time = body["timestamp"].as_str().expect("a time");
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
}

/// Every account's user name, in the order they were made.
async fn users(gateway: &Gateway) -> Vec<String> {
    let listed = gateway.manage(&["user", "list", "--format", "json"], None).await;
    let listed: Value = serde_json::from_str(&listed).expect("a list is JSON");
    let accounts = listed.as_array().expect("a list").iter();
    accounts.map(|account| account["username"].as_str().expect("a name").to_owned()).collect()
}
