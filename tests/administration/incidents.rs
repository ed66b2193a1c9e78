//! What is done when something has gone wrong: everybody out, and nobody new in.

use serde_json::{Value, json};

use super::{Caller, PASSWORD, id, refusal};
use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::gateway::{ADMIN, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;

const OPEN: &str = "[auth]\nregistration = \"open\"\n[limits]\nburst = 10000\n";

async fn start() -> Gateway {
    Gateway::start(&format!("{OPEN}{ECHO}")).await
}

/// The status of an attempt to make an account of this name.
async fn register(gateway: &Gateway, name: &str) -> u16 {
    let member = json!({
        "email": format!("{name}@example.com"), "firstName": "A", "lastName": "B",
        "password": "password123@",
    });
    let made = Client::anonymous(gateway).post_json("/api/auth/register", &member).await;
    made.status.as_u16()
}

/// More users than one step takes, all with one password.
async fn many_users(gateway: &Gateway) -> usize {
    let hashed =
        gateway.manage(&["hash-password", "--cost", "4"], Some(&format!("{PASSWORD}\n"))).await;
    let hash = hashed.trim();
    let lines: Vec<String> = (0..230).map(|n| format!("user{n}:{hash}\n")).collect();
    gateway.manage(&["user", "import", "-"], Some(&lines.concat())).await;
    lines.len()
}

#[tokio::test]
async fn all_sessions_of_all_users_end_if_that_is_said_twice() {
    let gateway = start().await;
    let users = many_users(&gateway).await + 1;
    let mut tokens = vec![sign_in_admin(&gateway).await];
    for name in ["user0", "user99", "user100", "user229"] {
        tokens.push(sign_in(&gateway, name, PASSWORD).await);
    }
    let key = gateway.create_key(ADMIN, &[], &[]).await.1;
    let unsaid = gateway.cli(&["session", "end", "--all"], None).await;
    assert_eq!(unsaid.status.code(), Some(2), "{unsaid:?}");
    assert!(unsaid.stderr.contains("--yes"), "{unsaid:?}");
    for pair in &tokens {
        Client::bearer(&gateway, &pair.access).get("/").await.expect(200);
    }
    let said = gateway.manage(&["session", "end", "--all", "--yes"], None).await;
    assert!(said.contains(&format!("{users} users")), "{said}");
    for pair in &tokens {
        Client::bearer(&gateway, &pair.access).get("/").await.refused(401, "INVALID_TOKEN");
        Client::anonymous(&gateway).refresh(&pair.refresh).await.expect(401);
    }
    // Keys and passwords are no sessions.
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    sign_in(&gateway, "user0", PASSWORD).await;
    let audit = |line: &Value| line["event"] == "session_end" && line["detail"] == "all users";
    let line = gateway.wait_for_log(audit).await;
    assert_eq!((&line["outcome"], &line["by"]), (&"success".into(), &"operator".into()), "{line}");
    for wrong in [
        ["session", "end", "--yes"].as_slice(),
        &["session", "end"],
        &["session", "end", "--all", "--user", "admin"],
    ] {
        let ended = gateway.cli(wrong, None).await;
        assert_eq!(ended.status.code(), Some(2), "{wrong:?}: {ended:?}");
    }
}

#[tokio::test]
async fn the_api_ends_all_sessions_if_that_is_said() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    admin.add_user("ann").await;
    let ann = sign_in(&gateway, "ann", PASSWORD).await;
    for query in ["", "?all=false", "?all=true&all=true", "?all=true&limit=1", "?user=x"] {
        let refused = admin.call("DELETE", &format!("/sessions{query}"), Value::Null).await;
        assert_eq!(refusal(&refused).0, 400, "{query}");
    }
    Client::bearer(&gateway, &ann.access).get("/").await.expect(200);
    let ended = admin.call("DELETE", "/sessions?all=true", Value::Null).await.expect(200);
    assert_eq!(ended.json(), json!({ "users": 2 }));
    Client::bearer(&gateway, &ann.access).get("/").await.refused(401, "INVALID_TOKEN");
    let line = gateway.wait_for_log(|l| l["event"] == "session_end").await;
    assert_eq!((&line["detail"], &line["acting_user"]), (&"all users".into(), &ADMIN.into()));
}

#[tokio::test]
async fn all_keys_of_a_user_end_at_once() {
    let gateway = start().await;
    gateway.add_user("ann", PASSWORD, &["user"]).await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(gateway.create_key("ann", &[], &[]).await);
    }
    let other = gateway.create_key(ADMIN, &[], &[]).await.1;
    for (_, key) in &keys {
        Client::api_key(&gateway, key).get("/").await.expect(200);
    }
    let said = gateway.manage(&["key", "revoke", "--owner", "ann", "--yes"], None).await;
    assert!(said.contains("3 keys revoked"), "{said}");
    for (id, key) in &keys {
        Client::api_key(&gateway, key).get("/").await.expect(401);
        let of_key = format!("key {id}");
        let line = gateway
            .wait_for_log(|l| l["event"] == "key_revoke" && l["detail"] == of_key.as_str())
            .await;
        assert_eq!(line["user"], "ann", "{line}");
    }
    Client::api_key(&gateway, &other).get("/").await.expect(200);
    let unknown = gateway.cli(&["key", "revoke", "--owner", "nobody", "--yes"], None).await;
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");

    // The same by the API.
    let admin = Caller::admin(&gateway);
    let ann = admin.get("/users").await["items"][1].clone();
    assert_eq!(ann["username"], "ann");
    let key = gateway.create_key("ann", &[], &[]).await.1;
    for query in ["", "?owner=", "?owner=x&owner=y", "?server=x"] {
        let refused = admin.call("DELETE", &format!("/keys{query}"), Value::Null).await;
        let expected = if query == "?owner=" { 404 } else { 400 };
        assert_eq!(refusal(&refused).0, expected, "{query}");
    }
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    let path = format!("/keys?owner={}", id(&ann));
    let revoked = admin.call("DELETE", &path, Value::Null).await.expect(200);
    assert_eq!(revoked.json(), json!({ "keys": 1 }));
    Client::api_key(&gateway, &key).get("/").await.expect(401);
}

#[tokio::test]
async fn registration_closes_at_once_and_stays_closed_over_restarts() {
    let mut gateway = start().await;
    assert_eq!(register(&gateway, "ann").await, 201, "control");
    let said = gateway.manage(&["registration", "close"], None).await;
    assert!(said.contains("closed in the store"), "{said}");
    let line = gateway.wait_for_log(|line| line["event"] == "registration_close").await;
    assert_eq!(line["by"], "operator", "{line}");
    for _ in 0..2 {
        assert_eq!(register(&gateway, "bob").await, 403);
        let status: Value = gateway.status().await;
        assert_eq!(status["registration"], "closed_in_store", "{status}");
        let checked = gateway.manage(&["check"], None).await;
        assert!(checked.contains("in the running gateway, registration is closed"), "{checked}");
        let shown = gateway.manage(&["registration", "status"], None).await;
        assert!(shown.contains("registration open takes that back"), "{shown}");
        gateway.restart().await;
    }
    let said = gateway.manage(&["registration", "open"], None).await;
    assert!(said.contains("registration is open"), "{said}");
    gateway.wait_for_log(|line| line["event"] == "registration_open").await;
    assert_eq!(register(&gateway, "bob").await, 201);
    assert_eq!(gateway.status().await["registration"], "open");
}

#[tokio::test]
async fn what_the_configuration_closes_is_never_opened() {
    let gateway = Gateway::start(ECHO).await;
    let said = gateway.manage(&["registration", "open"], None).await;
    assert!(said.contains("closed by the configuration (auth.registration)"), "{said}");
    assert_eq!(register(&gateway, "ann").await, 403);
    assert_eq!(gateway.status().await["registration"], "closed");
}

#[tokio::test]
async fn the_api_closes_registration_and_takes_that_back() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let record = |state: &str, stored: &str| json!({ "state": state, "configured": "open", "stored": stored });
    assert_eq!(admin.get("/registration").await, record("open", "open"));
    for (state, status) in [("closed", 403), ("closed", 403), ("open", 201)] {
        let set = admin.call("PUT", "/registration", json!({ "state": state })).await.expect(200);
        assert_eq!(set.json(), record(state, state));
        assert_eq!(admin.get("/registration").await, record(state, state));
        assert_eq!(register(&gateway, "ann").await, status);
    }
    let line = gateway.wait_for_log(|line| line["event"] == "registration_close").await;
    assert_eq!((&line["acting_user"], &line["outcome"]), (&ADMIN.into(), &"success".into()));
    for wrong in [json!({}), json!({ "state": "shut" }), json!({ "state": "open", "more": 1 })] {
        let refused = admin.call("PUT", "/registration", wrong).await;
        assert_eq!(refusal(&refused).0, 400);
    }
}

/// Without a gateway, and into another store.
#[tokio::test]
async fn a_closed_registration_is_stored_and_moves_with_the_store() {
    let config = format!("{OPEN}{ECHO}");
    let installation =
        Installation::new().file("config.toml", &config).env("SECRET_KEY", SECRET_KEY);
    let run = async |arguments: &[&str], input: Option<&str>| {
        let ended = installation.run(arguments, input).await;
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        ended.stdout
    };
    run(&["user", "add", "ann"], Some("a password of hers\n")).await;
    let open = run(&["registration", "status"], None).await;
    assert_eq!(open.trim(), "registration is open");
    run(&["store", "backup", "--output", "before.jsonl"], None).await;
    let before = std::fs::read_to_string(installation.path("before.jsonl")).expect("a backup");
    assert!(!before.contains("registration_closed"), "earlier versions can read it: {before}");

    run(&["registration", "close"], None).await;
    run(&["store", "check"], None).await;
    run(&["store", "backup", "--output", "after.jsonl"], None).await;
    let moved = installation.file("moved.toml", &format!("[store]\npath = \"moved\"\n{config}"));
    for (arguments, said) in [
        (["store", "import", "after.jsonl", "--config", "moved.toml"].as_slice(), ""),
        (&["registration", "status", "--config", "moved.toml"], "closed in the store"),
    ] {
        let ended = moved.run(arguments, None).await;
        assert!(ended.status.success() && ended.stdout.contains(said), "{arguments:?}: {ended:?}");
    }
}
