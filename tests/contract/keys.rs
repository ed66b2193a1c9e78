//! API keys over time: their last use, their rotation, their number.

use http::Method;
use serde_json::{Value, json};

use crate::support::client::{Client, request};
use crate::support::eventually;
use crate::support::gateway::{ECHO, Gateway};

const KEYS: &str = "/api/v1/auth/keys";

async fn create(client: &Client, body: &Value) -> (String, String) {
    let key = client.post_json(KEYS, body).await.expect(201).json();
    let text = |member: &str| key[member].as_str().expect("a text").to_owned();
    (text("keyId"), text("apiKey"))
}

async fn last_used(client: &Client, id: &str) -> Value {
    let keys = client.get(KEYS).await.expect(200).json();
    let mut keys = keys.as_array().expect("a bare list").iter();
    keys.find(|key| key["keyId"] == id).expect("the key is listed")["lastUsed"].clone()
}

/// S3-18.
#[tokio::test]
async fn the_last_use_of_a_key_is_kept_over_a_clean_stop() {
    let mut gateway = Gateway::start(ECHO).await;
    let admin = Client::admin(&gateway);
    let (used, text) = create(&admin, &json!({ "name": "used" })).await;
    let (unused, _) = create(&admin, &json!({ "name": "unused" })).await;
    assert_eq!(last_used(&admin, &used).await, Value::Null);
    Client::api_key(&gateway, &text).get("/").await.expect(200);
    let at = last_used(&admin, &used).await;
    assert!(at.is_string(), "{at}");
    gateway.restart().await;
    let admin = Client::admin(&gateway);
    assert_eq!(last_used(&admin, &used).await, at);
    assert_eq!(last_used(&admin, &unused).await, Value::Null);
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_the_overlap_and_no_longer() {
    let gateway = Gateway::start(ECHO).await;
    let admin = Client::admin(&gateway);
    let (id, old) = create(&admin, &json!({ "name": "ci", "scopes": ["deploy"] })).await;
    let path = format!("{KEYS}/{id}/rotate");
    let rotated = admin.post_json(&path, &json!({ "overlapSeconds": 1 })).await;
    let rotated = rotated.expect(201).json();
    assert_eq!(rotated["name"], "ci");
    let new = rotated["apiKey"].as_str().expect("a new key");
    let seen = Client::api_key(&gateway, new).get("/").await.expect(200).json();
    assert_eq!(seen["headers"]["x-portcullis-scopes"], json!(["deploy"]));
    eventually("the old key to end", async || {
        let answer = Client::api_key(&gateway, &old).get("/").await;
        (answer.status == 401).then_some(())
    })
    .await;
    Client::api_key(&gateway, new).get("/").await.expect(200);
    // What has ended has no successor.
    let again = admin.post_json(&path, &json!({})).await.expect(404).json();
    assert_eq!(again, json!({ "error": "API key not found" }));
}

/// S0-19: who says that a leaked key ends at once is not told 201 while it goes on.
#[tokio::test]
async fn a_key_is_not_rotated_when_the_overlap_has_another_name() {
    let gateway = Gateway::start(ECHO).await;
    let admin = Client::admin(&gateway);
    let (id, key) = create(&admin, &json!({ "name": "ci" })).await;
    let path = format!("{KEYS}/{id}/rotate");
    let refused = admin.post_json(&path, &json!({ "overlap_seconds": 0 })).await.expect(400).json();
    let named = refused["error"].as_str().expect("a text").contains("\"overlapSeconds\"");
    assert!(named, "{refused}");
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    admin.post_json(&path, &json!({ "overlapSeconds": 0 })).await.expect(201);
    Client::api_key(&gateway, &key).get("/").await.expect(401);
}

/// Else its maker has a key that is good for more than was asked for.
#[tokio::test]
async fn no_key_is_made_when_what_narrows_it_has_another_name() {
    let gateway = Gateway::start(ECHO).await;
    let admin = Client::admin(&gateway);
    for (body, named) in [
        (json!({ "expiresIn": "1h" }), "expiresAt"),
        (json!({ "ttl": 3600 }), "expiresAt"),
        (json!({ "permissions": ["read"] }), "scopes"),
        (json!({ "server_id": "x" }), "serverId"),
    ] {
        let refused = admin.post_json(KEYS, &body).await.expect(400).json();
        let named = refused["error"].as_str().expect("a text").contains(&format!("\"{named}\""));
        assert!(named, "{body}: {refused}");
    }
    assert_eq!(admin.get(KEYS).await.expect(200).json(), json!([]));
    create(&admin, &json!({ "name": "ci", "device_name": "laptop" })).await;
}

#[tokio::test]
async fn a_key_is_neither_made_nor_rotated_by_a_key() {
    let gateway = Gateway::start(ECHO).await;
    let (id, text) = create(&Client::admin(&gateway), &json!({})).await;
    let by_key = Client::api_key(&gateway, &text);
    by_key.post_json(KEYS, &json!({})).await.expect(403);
    by_key.get(KEYS).await.expect(403);
    by_key.post_json(&format!("{KEYS}/{id}/rotate"), &json!({})).await.expect(403);
    by_key.request(request(Method::DELETE, &format!("{KEYS}/{id}"))).await.expect(403);
    by_key.get("/").await.expect(200);
}

#[tokio::test]
async fn what_a_key_is_to_be_is_checked() {
    let gateway = Gateway::start(ECHO).await;
    let admin = Client::admin(&gateway);
    for (body, status) in [
        (json!({ "name": "x".repeat(201) }), 422),
        (json!({ "name": "a\u{0}" }), 422),
        (json!({ "scopes": ["with space"] }), 422),
        (json!({ "scopes": "read" }), 400),
        (json!({ "expiresAt": "2020-01-01T00:00:00Z" }), 422),
        (json!({ "expiresAt": "tomorrow" }), 400),
        (json!({ "expiresAt": 1 }), 400),
        (json!({ "serverId": "550e8400-e29b-41d4-a716-446655440000" }), 404),
        (json!({ "serverId": "nonsense" }), 404),
        (json!({ "expires_at": "2100-01-01T00:00:00Z" }), 400),
        (json!({ "scope": ["read"] }), 400),
        (json!({ "name": null, "expiresAt": "2100-01-01T00:00:00+01:00" }), 201),
    ] {
        let answer = admin.post_json(KEYS, &body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    for id in [
        "key_",
        "nonsense",
        "key_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "550e8400-e29b-41d4-a716-446655440000",
    ] {
        let answer = admin.request(request(Method::DELETE, &format!("{KEYS}/{id}"))).await;
        assert_eq!(answer.expect(404).json(), json!({ "error": "API key not found" }));
    }
}

/// S0-15: without these an owner cannot tell what a key of his may do, and where.
#[tokio::test]
async fn an_owner_sees_what_his_keys_are_narrowed_to_and_his_servers() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("ann", "a password of hers", &[]).await;
    let ann = Client::basic(&gateway, "ann", "a password of hers");
    assert_eq!(ann.get("/api/v1/auth/servers").await.expect(200).json(), json!([]));
    let hers = gateway.manage(&["server", "add", "web", "--owner", "ann"], None).await;
    gateway.manage(&["server", "add", "of nobody"], None).await;
    let servers = ann.get("/api/v1/auth/servers").await.expect(200).json();
    assert_eq!(servers.as_array().map(Vec::len), Some(1), "{servers}");
    assert_eq!((&servers[0]["serverId"], &servers[0]["name"]), (&json!(hers), &json!("web")));
    assert!(servers[0]["createdAt"].as_str().is_some_and(|time| time.ends_with('Z')));

    let narrow = json!({
        "name": "narrow", "serverId": hers, "scopes": ["read", "write"],
        "expiresAt": "2100-01-01T00:00:00Z",
    });
    create(&ann, &narrow).await;
    create(&ann, &json!({ "name": "wide" })).await;
    let keys = ann.get(KEYS).await.expect(200).json();
    for member in ["name", "serverId", "scopes", "expiresAt"] {
        assert_eq!(keys[0][member], narrow[member], "{keys}");
    }
    assert_eq!(keys[1]["scopes"], json!([]));
    assert_eq!((&keys[1]["serverId"], &keys[1]["expiresAt"]), (&Value::Null, &Value::Null));
    let (_, key) = gateway.create_key("ann", &[], &[]).await;
    Client::api_key(&gateway, &key).get("/api/v1/auth/servers").await.expect(403);
}
