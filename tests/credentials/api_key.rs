//! API keys.

use serde_json::json;

use crate::support::client::{Answer, Client, basic, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

/// A key goes in its own field or in the one of all credentials.
async fn in_both_fields(gateway: &Gateway, key: &str) -> [Answer; 2] {
    [Client::api_key(gateway, key).get("/").await, Client::bearer(gateway, key).get("/").await]
}

#[tokio::test]
async fn a_key_acts_as_its_owner_in_either_field() {
    let gateway = Gateway::start(ECHO).await;
    let (id, key) = gateway.create_key(ADMIN, &["deploy"], &[]).await;
    assert!(key.starts_with("sk_live_") && key.len() >= "sk_live_".len() + 24, "{key}");
    for answer in in_both_fields(&gateway, &key).await {
        let seen = answer.expect(200).json()["headers"].clone();
        assert_eq!(seen["x-portcullis-scheme"], json!(["api-key"]));
        assert_eq!(seen["x-portcullis-username"], json!([ADMIN]));
        assert_eq!(seen["x-portcullis-key-id"], json!([id]));
        assert_eq!(seen["x-portcullis-scopes"], json!(["deploy"]));
        assert!(!seen.to_string().contains(&key), "the key is for the gateway alone: {seen}");
    }
}

#[tokio::test]
async fn a_missing_key_is_asked_for() {
    let gateway = Gateway::start(ECHO).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    let answer = Client::anonymous(&gateway).get("/").await;
    answer.refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn what_is_malformed_or_another_schemes_is_no_key() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    let swapped = key.replacen("sk_live_", "sk_test_", 1);
    let other_end = if key.ends_with('A') { 'B' } else { 'A' };
    for (case, text) in [
        ("an access token", pair.access.clone()),
        ("a password", ADMIN_PASSWORD.to_owned()),
        ("a Basic credential", basic(ADMIN, ADMIN_PASSWORD)),
        ("a scheme before it", format!("Bearer {key}")),
        ("the prefix only", "sk_live_".to_owned()),
        ("another prefix", swapped),
        ("without its prefix", key["sk_live_".len()..].to_owned()),
        ("another case", key.to_uppercase()),
        ("one character less", key[..key.len() - 1].to_owned()),
        ("one character more", format!("{key}0")),
        ("a typing error", format!("{}{other_end}", &key[..key.len() - 1])),
        ("characters of no key", format!("sk_live_{}", "_".repeat(key.len() - 8))),
        ("two keys", format!("{key},{key}")),
        ("far too long", format!("{key}{}", "0".repeat(16 << 10))),
    ] {
        let answer = Client::api_key(&gateway, &text).get("/").await;
        assert_eq!(answer.refusal(), (401, "INVALID_CREDENTIALS".to_owned()), "{case}");
    }
    let typo = format!("{}{other_end}", &key[..key.len() - 1]);
    for answer in in_both_fields(&gateway, &typo).await {
        answer.refused(401, "INVALID_CREDENTIALS");
    }
}

#[tokio::test]
async fn a_key_ends_by_itself() {
    let gateway = Gateway::start(ECHO).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &["--expires-in", "2s"]).await;
    let (_, lasting) = gateway.create_key(ADMIN, &[], &["--expires-in", "90d"]).await;
    let caller = Client::api_key(&gateway, &key);
    caller.get("/").await.expect(200);
    let refused = eventually("the key to expire", async || {
        let answer = caller.get("/").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    refused.refused(401, "INVALID_CREDENTIALS");
    Client::api_key(&gateway, &lasting).get("/").await.expect(200);
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_for_good() {
    let mut gateway = Gateway::start(ECHO).await;
    let (id, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let (_, other) = gateway.create_key(ADMIN, &[], &[]).await;
    let caller = Client::api_key(&gateway, &key);
    caller.get("/").await.expect(200);

    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;

    for answer in in_both_fields(&gateway, &key).await {
        answer.refused(401, "INVALID_CREDENTIALS");
    }
    gateway.kill();
    gateway.restart().await;
    caller.at(&gateway).get("/").await.refused(401, "INVALID_CREDENTIALS");
    Client::api_key(&gateway, &other).get("/").await.expect(200);
}

#[tokio::test]
async fn a_key_is_worth_nothing_while_its_owner_is_disabled() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("grace", "a password of hers", &[]).await;
    let (_, key) = gateway.create_key("grace", &[], &[]).await;
    let caller = Client::api_key(&gateway, &key);
    caller.get("/").await.expect(200);
    gateway.manage(&["user", "disable", "grace"], None).await;
    caller.get("/").await.refused(401, "INVALID_CREDENTIALS");
    gateway.manage(&["user", "enable", "grace"], None).await;
    caller.get("/").await.expect(200);
}

/// The text is shown at its making and never again, and no list or file has it.
#[tokio::test]
async fn a_key_is_kept_as_its_digest_only() {
    let mut gateway = Gateway::start(ECHO).await;
    let (id, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let listed = gateway.manage(&["key", "list"], None).await;
    assert!(listed.contains(&id) && !listed.contains(&key), "{listed}");
    assert!(gateway.stop().await.status.success());
    for entry in std::fs::read_dir(gateway.path("data")).expect("the store has a directory") {
        let path = entry.expect("a readable entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("a readable file");
            let found = bytes.windows(key.len()).any(|window| window == key.as_bytes());
            assert!(!found, "the key is in {}", path.display());
        }
    }
}

/// Clients that know nothing but Basic: twine, pip, git, container clients.
#[tokio::test]
async fn a_key_is_taken_as_the_password_of_basic_under_any_user_name() {
    let gateway = Gateway::start(ECHO).await;
    let (id, key) = gateway.create_key(ADMIN, &["deploy"], &[]).await;
    for name in ["__token__", ADMIN, "nobody", ""] {
        let client = Client::basic(&gateway, name, &key);
        let answer = client.get("/").await.expect(200);
        let seen = answer.json()["headers"].clone();
        assert_eq!(seen["x-portcullis-scheme"], json!(["api-key"]), "{name}");
        assert_eq!(seen["x-portcullis-key-id"], json!([id]), "{name}");
        assert_eq!(seen["x-portcullis-username"], json!([ADMIN]), "{name}");
        assert_eq!(seen["authorization"], json!(null), "{name}");
        let request_id = answer.field("x-request-id").to_owned();
        let line = gateway
            .wait_for_log(|line| line["type"] == "access" && line["request_id"] == *request_id)
            .await;
        assert_eq!(line["scheme"], "api-key", "{line}");
        // A browser keeps it, and sends it for any page.
        let foreign = client.with("sec-fetch-site", "cross-site");
        foreign.post("/").await.refused(403, "CSRF");
    }
}

/// The habit of APIs whose keys begin alike: `curl -u sk_live_…:`.
#[tokio::test]
async fn a_key_is_taken_as_the_user_name_of_basic_beside_an_empty_password() {
    let routes = format!(
        "{ECHO}[[route]]\npath = \"/keys\"\nupstream = \"echo\"\nschemes = [\"key\"]\n\
         [[route]]\npath = \"/tokens\"\nupstream = \"echo\"\nschemes = [\"bearer\"]\n"
    );
    let gateway = Gateway::start(&routes).await;
    let (id, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let caller = || Client::basic(&gateway, &key, "").from_address("203.0.113.9");
    for path in ["/", "/keys"] {
        let seen = caller().get(path).await.expect(200).json()["headers"].clone();
        assert_eq!(seen["x-portcullis-key-id"], json!([id]), "{path}");
        assert_eq!(seen["x-portcullis-scheme"], json!(["api-key"]), "{path}");
        assert_eq!(seen["authorization"], json!(null), "{path}");
    }
    caller().get("/tokens").await.refused(401, "AUTHENTICATION_REQUIRED");
    let foreign = caller().with("sec-fetch-site", "cross-site");
    foreign.post("/").await.refused(403, "CSRF");
    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;
    // More often than a password may be wrong.
    for _ in 0..10 {
        caller().get("/").await.refused(401, "INVALID_CREDENTIALS");
    }
    Client::admin(&gateway).from_address("203.0.113.9").get("/").await.expect(200);
}

/// Beside a password the name is a name, and the password is what is judged.
#[tokio::test]
async fn a_key_as_the_user_name_stands_for_no_password() {
    let gateway = Gateway::start(ECHO).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    for password in ["x", ADMIN_PASSWORD] {
        let caller = Client::basic(&gateway, &key, password);
        caller.get("/").await.refused(401, "INVALID_CREDENTIALS");
    }
}

#[tokio::test]
async fn a_key_as_a_password_is_good_for_what_it_is_elsewhere_and_costs_no_attempt() {
    let routes = format!(
        "{ECHO}[[route]]\npath = \"/deploys\"\nupstream = \"echo\"\nscopes = [\"deploy\"]\n\
         [[route]]\npath = \"/people\"\nupstream = \"echo\"\nkeys = \"none\"\n\
         [[route]]\npath = \"/keys\"\nupstream = \"echo\"\nschemes = [\"key\"]\n\
         [[route]]\npath = \"/tokens\"\nupstream = \"echo\"\nschemes = [\"bearer\"]\n"
    );
    let gateway = Gateway::start(&routes).await;
    let (id, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let (_, deploying) = gateway.create_key(ADMIN, &["deploy"], &[]).await;
    let caller = |key: &str| Client::basic(&gateway, "__token__", key).from_address("203.0.113.9");
    caller(&deploying).get("/deploys").await.expect(200);
    caller(&key).get("/deploys").await.refused(403, "FORBIDDEN");
    caller(&key).get("/people").await.refused(403, "FORBIDDEN");
    caller(&key).get("/keys").await.expect(200);
    caller(&key).get("/tokens").await.refused(401, "AUTHENTICATION_REQUIRED");
    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;
    // More often than a password may be wrong.
    for _ in 0..10 {
        caller(&key).get("/").await.refused(401, "INVALID_CREDENTIALS");
    }
    caller(&deploying).get("/").await.expect(200);
    Client::admin(&gateway).from_address("203.0.113.9").get("/").await.expect(200);
    // What is not a key by its checksum is a password, and counts.
    let typo = format!("{}!", &deploying[..deploying.len() - 1]);
    for _ in 0..5 {
        caller(&typo).get("/").await.refused(401, "INVALID_CREDENTIALS");
    }
    caller(&deploying).get("/").await.refused(429, "TOO_MANY_ATTEMPTS");
}
