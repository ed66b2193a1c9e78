//! Stores that earlier builds made, in directories named by their commits
//! (`tests/earlier/make`), opened by this one: nothing in them is lost, and every
//! credential is worth what it was worth there.
//!
//! Of what expires it is known when, and how it is judged from then on: no test fails for
//! its age.

use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::support::client::{Answer, Client};
use crate::support::gateway::{Builder, Gateway};
use crate::support::redis::RedisServer;

/// What an earlier build said of a store that it had made.
struct Told(Value);

impl Told {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the file is there");
        Self(serde_json::from_str(&text).expect("it is JSON"))
    }

    fn members(&self, name: &str) -> &Map<String, Value> {
        self.0[name].as_object().expect("an object")
    }

    /// A gateway of this build, to be given the store.
    fn gateway(&self) -> Builder {
        let config = std::fs::read_to_string(place().join("config.toml"));
        let secret_key = self.0["secret_key"].as_str().expect("a text");
        Gateway::builder().config(&config.expect("it is there")).env("SECRET_KEY", secret_key)
    }
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/earlier")
}

/// The directories of all builds that have made stores.
fn builds() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place()).expect("the directory is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let builds: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    assert!(!builds.is_empty(), "no build has made a store");
    builds
}

#[tokio::test]
async fn a_file_of_an_earlier_build_is_opened_and_loses_nothing() {
    for build in builds() {
        let unpacked = Command::new("gzip").arg("-dc").arg(build.join("store.redb.gz")).output();
        let unpacked = unpacked.expect("gzip is there");
        assert!(unpacked.status.success(), "{unpacked:?}");
        let told = Told::read(&build.join("store.json"));
        let gateway = told.gateway().store(&unpacked.stdout).start().await;
        is_whole(&told, gateway).await;
    }
}

#[tokio::test]
async fn a_database_of_an_earlier_build_is_served_and_loses_nothing() {
    for build in builds() {
        let redis = RedisServer::builder().dump(&build.join("dump.rdb")).start().await;
        let told = Told::read(&build.join("dump.json"));
        let gateway = told.gateway().shared_store(&redis.url()).start().await;
        is_whole(&told, gateway).await;
    }
}

async fn is_whole(told: &Told, mut gateway: Gateway) {
    for (kind, before) in told.members("lists") {
        has_kept(&gateway, kind, before).await;
    }
    // Of a refresh token the first use counts.
    let lasts = |&(_, credential): &(&String, &Value)| credential.get("refresh").is_none();
    for (what, credential) in told.members("credentials").iter().filter(lasts) {
        is_judged_as_before(&gateway, what, credential).await;
    }
    gateway.stop().await;
    gateway.manage(&["store", "check"], None).await;
    gateway.restart().await;
    for (what, credential) in told.members("credentials") {
        is_judged_as_before(&gateway, what, credential).await;
    }
}

/// Whether all that is listed of a kind was there before, and the other way round.
async fn has_kept(gateway: &Gateway, kind: &str, before: &Value) {
    let command: &[&str] = match kind {
        "accounts" => &["user", "list"],
        "keys" => &["key", "list"],
        "servers" => &["server", "list"],
        "workspaces" => &["workspace", "list"],
        "members" => &["workspace", "members", "Science"],
        "sessions" => &["session", "list"],
        _ => panic!("how {kind} are listed is unknown"),
    };
    let listed = gateway.manage(&[command, &["--format", "json"]].concat(), None).await;
    let listed: Vec<Value> = serde_json::from_str(&listed).expect("it is JSON");
    let before = before.as_array().expect("a list");
    for thing in before {
        let says_as_much = |now: &&Value| {
            let thing = thing.as_object().expect("an object");
            thing.iter().all(|(member, value)| now.get(member) == Some(value))
        };
        let kept = listed.iter().any(|now| says_as_much(&now));
        assert!(kept || has_expired(thing), "{kind}: {thing} is not in {listed:#?}");
    }
    assert!(listed.len() <= before.len(), "{kind}: there are more, {listed:#?}");
}

fn has_expired(thing: &Value) -> bool {
    let expires = thing["expires"].as_str();
    expires.is_some_and(|expires| expires.parse::<Timestamp>().expect("a time") <= Timestamp::now())
}

async fn is_judged_as_before(gateway: &Gateway, what: &str, credential: &Value) {
    let Answer { status, body, .. } = present(gateway, credential).await;
    let number = |member: &str| credential[member].as_i64();
    let is_over = number("until").is_some_and(|until| until <= Timestamp::now().as_second());
    let expected = number(if is_over { "afterwards" } else { "status" });
    assert_eq!(Some(i64::from(status.as_u16())), expected, "{what}: {body:?}");
    if is_over {
        return;
    }
    if let Some(code) = credential["code"].as_str() {
        let body: Value = serde_json::from_slice(&body).expect("a refusal is JSON");
        let told = body["code"].as_str().or(body["error"]["code"].as_str());
        assert_eq!(told, Some(code), "{what}: {body}");
    }
}

/// Just as `tests/earlier/make` did.
async fn present(gateway: &Gateway, credential: &Value) -> Answer {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let anybody = Client::anonymous(gateway);
    let (kind, value) = ["basic", "bearer", "login", "refresh", "link", "register"]
        .into_iter()
        .find_map(|kind| Some((kind, credential.get(kind)?)))
        .expect("a kind of credential");
    match kind {
        "basic" => {
            let client = Client::basic(gateway, &text(&value[0]), &text(&value[1]));
            match credential["address"].as_str() {
                Some(address) => client.from_address(address).get("/").await,
                None => client.get("/").await,
            }
        }
        "bearer" => Client::bearer(gateway, &text(value)).get("/").await,
        "login" => anybody.login(&text(&value[0]), &text(&value[1])).await,
        "refresh" => anybody.refresh(&text(value)).await,
        "link" => {
            // Not good enough, so that the link is only tried.
            anybody.post_json("/api/links", &json!({ "link": value, "password": "short" })).await
        }
        _ => {
            let name = text(value);
            let body = json!({
                "username": name, "email": format!("{name}@corp.example"),
                "full_name": "Gil of Corp", "password": format!("the password of {name}"),
                "password_confirm": format!("the password of {name}"),
            });
            anybody.post_json("/api/v1/auth/register", &body).await
        }
    }
}
