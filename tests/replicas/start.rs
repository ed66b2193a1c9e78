//! A store that cannot be used as it is: said at the start, with what to change, and
//! nothing in it is touched.

use super::fleet::join;
use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::gateway::{ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;
use crate::support::redis::talk::Reply;
use crate::support::redis::{PASSWORD, RedisServer};

/// A start that fails, with these lines in `[store]`.
async fn start(store: &str, password: &str) -> Ended {
    let config =
        format!("[[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\n[store]\n{store}\n{ECHO}");
    let installation = Installation::new()
        .file("config.toml", &config)
        .env("SECRET_KEY", SECRET_KEY)
        .env("STORE_PASSWORD", password);
    installation.run(&["run"], None).await
}

#[track_caller]
fn says(ended: &Ended, words: &[&str]) {
    let code = ended.status.code();
    assert!(code == Some(1) || code == Some(78), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is missing: {}", ended.stderr);
    }
    for secret in [PASSWORD, SECRET_KEY] {
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains(secret), "{ended:?}");
    }
}

fn fast(redis: &RedisServer) -> String {
    format!("url = \"{}\"\ndurability = \"fast\"", redis.url())
}

/// Was: it took the first one's admin socket, and removed it when it ended.
#[tokio::test]
async fn a_second_gateway_in_a_directory_leaves_the_first_its_admin_socket() {
    let redis = RedisServer::start().await;
    let config = format!("[store]\n{}\n{ECHO}", fast(&redis));
    let builder = Gateway::builder().config(&config).env("STORE_PASSWORD", PASSWORD);
    let gateway = builder.start().await;
    let second = gateway.cli(&["run"], None).await;
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(second.stderr.contains("another gateway runs in "), "{second:?}");
    gateway.manage(&["healthcheck"], None).await;
}

#[tokio::test]
async fn a_wrong_password_is_named() {
    let redis = RedisServer::start().await;
    says(&start(&fast(&redis), "wrong").await, &["password", &redis.address().to_string()]);
}

#[tokio::test]
async fn a_certificate_of_another_name_or_authority_is_named() {
    let redis = RedisServer::builder().tls_as("redis.example").start().await;
    let store = |roots: &RedisServer| {
        let roots = roots.certificate();
        let url = redis.tls_url();
        format!("url = \"{url}\"\ndurability = \"fast\"\nroots = \"{}\"", roots.display())
    };
    says(&start(&store(&redis), PASSWORD).await, &["TLS", "redis.example"]);
    let other = RedisServer::builder().tls().start().await;
    says(&start(&store(&other), PASSWORD).await, &["TLS"]);
}

#[tokio::test]
async fn over_tls_it_works() {
    let redis = RedisServer::builder().tls().start().await;
    let roots = redis.certificate();
    let config = format!("[store]\nroots = \"{}\"\n{ECHO}", roots.display());
    let gateway = join(&redis.tls_url(), &config).await;
    sign_in_admin(&gateway).await;
}

#[tokio::test]
async fn a_server_without_what_durability_needs_is_named() {
    let old = RedisServer::start().await;
    let store = format!("url = \"{}\"", old.url());
    says(&start(&store, PASSWORD).await, &["7.2", "durability", "7.0"]);
    let forgetful = RedisServer::builder().valkey().set("appendonly no").start().await;
    let store = format!("url = \"{}\"", forgetful.url());
    says(&start(&store, PASSWORD).await, &["appendonly yes", "durability"]);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    for foreign in [
        &["SET", "{portcullis}:meta", "something"][..],
        &["HSET", "{portcullis}:meta", "format", "something"],
        &["HSET", "{portcullis}:meta", "another", "thing"],
    ] {
        let redis = RedisServer::start().await;
        redis.tell(foreign).await;
        let before = redis.tell(&["DUMP", "{portcullis}:meta"]).await;
        says(&start(&fast(&redis), PASSWORD).await, &["another program", "store.prefix"]);
        assert_eq!(redis.tell(&["DUMP", "{portcullis}:meta"]).await, before);
        assert_eq!(redis.tell(&["DBSIZE"]).await, Reply::Number(1));
    }
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let redis = RedisServer::start().await;
    drop(join(&redis.url(), ECHO).await);
    redis.tell(&["HSET", "{portcullis}:meta", "schema", "7", "reads", "7"]).await;
    let before = redis.tell(&["DBSIZE"]).await;
    says(&start(&fast(&redis), PASSWORD).await, &["schema 7", "later version"]);
    assert_eq!(redis.tell(&["DBSIZE"]).await, before);
}

/// A later program may add to records what this one can pass over.
#[tokio::test]
async fn a_later_version_that_this_one_can_read_is_served_beside() {
    let redis = RedisServer::start().await;
    let gateway = join(&redis.url(), ECHO).await;
    redis.tell(&["HSET", "{portcullis}:meta", "schema", "2"]).await;
    gateway.add_user("ann", "a password of hers", &[]).await;
    let listed = redis.tell(&["KEYS", "{portcullis}:account:*"]).await.texts();
    for key in &listed {
        let record = redis.tell(&["GET", key]).await.text();
        let grown = record.replacen('{', "{\"of_a_later_version\":{\"a\":[1]},", 1);
        redis.tell(&["SET", key, &grown]).await;
    }
    let entry = "[{\"of_a_later_version\":[1]}]";
    redis.tell(&["XADD", "{portcullis}:changes", "*", "changes", entry]).await;
    let newcomer = join(&redis.url(), ECHO).await;
    sign_in(&newcomer, "ann", "a password of hers").await;
    newcomer.manage(&["user", "disable", "ann"], None).await;
    for key in &listed {
        let record = redis.tell(&["GET", key]).await.text();
        assert!(record.contains("of_a_later_version"), "{record}");
    }
    assert_eq!(newcomer.status().await["store"]["state"], "live");
}

#[tokio::test]
async fn a_record_that_was_damaged_by_hand_is_refused_and_named_and_the_rest_goes_on() {
    for damage in ["garbage", "{}", "[]", "", "{\"id\":"] {
        let redis = RedisServer::start().await;
        let gateway = join(&redis.url(), ECHO).await;
        for name in ["ann", "ben"] {
            gateway.add_user(name, "a password of theirs", &[]).await;
        }
        let id = redis.tell(&["GET", "{portcullis}:name:ann"]).await.text();
        let key = format!("{{portcullis}}:account:{id}");
        redis.tell(&["SET", &key, damage]).await;
        let newcomer = join(&redis.url(), ECHO).await;
        let named =
            |line: &serde_json::Value| line["level"] == "error" && line.to_string().contains(&key);
        newcomer.wait_for_log(named).await;
        for gateway in [&gateway, &newcomer] {
            sign_in(gateway, "ben", "a password of theirs").await;
            let answer = Client::anonymous(gateway).login("ann", "a password of theirs").await;
            assert!([401, 503].contains(&answer.status.as_u16()), "{damage}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_change_that_is_nonsense_is_named_and_the_rest_goes_on() {
    let redis = RedisServer::start().await;
    let gateway = join(&redis.url(), ECHO).await;
    for nonsense in ["garbage", "{}", "[{\"account\":7}]", "[{\"revoked\":[]}]", ""] {
        redis.tell(&["XADD", "{portcullis}:changes", "*", "changes", nonsense]).await;
    }
    redis.tell(&["XADD", "{portcullis}:changes", "*", "other", "field"]).await;
    gateway.wait_for_log(|line| line["level"] == "error").await;
    let other = join(&redis.url(), ECHO).await;
    let access = sign_in_admin(&other).await.access;
    Client::bearer(&other, &access).post("/api/logout").await.expect(200);
    crate::support::eventually("the logout to be heard of", async || {
        (Client::bearer(&gateway, &access).get("/").await.status == 401).then_some(())
    })
    .await;
}
