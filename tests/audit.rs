//! The audit log: everything that changes who may come in leaves one line, with
//! who, from where, by which credential, and what came of it.

use http::Method;
use portcullis::dialect::notation::parse_id;
use serde_json::{Value, json};

use crate::support::client::{Client, request, sign_in};
use crate::support::eventually;
use crate::support::frames::Http2;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

const USER: &str = "ann";
const PASSWORD: &str = "ann's own password";

async fn gateway() -> Gateway {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user(USER, PASSWORD, &["user"]).await;
    gateway
}

/// The line of an event, without what differs from run to run.
async fn audited(gateway: &Gateway, event: &str, outcome: &str) -> Value {
    let wanted = |line: &Value| {
        line["type"] == "audit" && line["event"] == event && line["outcome"] == outcome
    };
    gateway.wait_for_log(wanted).await
}

/// Every member that is expected is there and has that value.
fn check(line: &Value, expected: Value) {
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&line[name], value, "{name} of {line}");
    }
}

#[tokio::test]
async fn what_clients_do_with_credentials_is_audited() {
    let gateway = gateway().await;
    let client = Client::anonymous(&gateway).from_address("192.0.2.7");
    let pair = client.login(USER, PASSWORD).await.expect(200).pair();
    let login = audited(&gateway, "login", "success").await;
    check(
        &login,
        json!({ "user": USER, "client": "192.0.2.7", "credential": "password", "by": "client",
                "reason": "ok" }),
    );
    let access = gateway.wait_for_log(|line| line["path"] == "/api/auth/login").await;
    assert_eq!(login["request_id"], access["request_id"], "the two lines belong together");

    client.login(USER, "not it at all").await.expect(401);
    let refused = audited(&gateway, "login", "refused").await;
    check(&refused, json!({ "user": USER, "reason": "password_wrong" }));

    let renewed = client.refresh(&pair.refresh).await.expect(200).pair();
    let refresh = audited(&gateway, "refresh", "success").await;
    check(&refresh, json!({ "user": USER, "credential": "refresh-token" }));

    let bearer = Client::bearer(&gateway, &renewed.access).from_address("192.0.2.8");
    bearer.get("/api/ws-token").await.expect(200);
    let ticket = audited(&gateway, "ws_token", "success").await;
    check(&ticket, json!({ "user": USER, "credential": "bearer", "client": "192.0.2.8" }));
    assert!(ticket["session_id"].is_string(), "{ticket}");

    let change = json!({ "current_password": PASSWORD, "new_password": "ann's second one" });
    bearer.post_json("/api/change-password", &change).await.expect(200);
    check(&audited(&gateway, "password_change", "success").await, json!({ "user": USER }));
    bearer.post_json("/api/change-password", &change).await.expect(401);
    let refused = audited(&gateway, "password_change", "refused").await;
    check(&refused, json!({ "user": USER, "reason": "password_wrong" }));

    bearer.post("/api/logout").await.expect(200);
    let logout = audited(&gateway, "logout", "success").await;
    check(&logout, json!({ "user": USER, "session_id": ticket["session_id"] }));
}

/// Somebody may have typed a password into the wrong field.
#[tokio::test]
async fn a_name_that_nobody_has_is_not_written_down() {
    let gateway = gateway().await;
    Client::anonymous(&gateway).login("hunter2 hunter2", "x").await.expect(401);
    let refused = audited(&gateway, "login", "refused").await;
    check(&refused, json!({ "reason": "user_unknown", "user": null }));
    assert!(!format!("{:?}", gateway.log_lines()).contains("hunter2"));
}

/// Was: the line was written by the request, and went with it.
#[tokio::test]
async fn an_attempt_whose_client_leaves_is_audited_all_the_same() {
    // Hashing takes longer than leaving.
    let config = "[auth]\nbcrypt_cost = 10\n[limits]\nmax_login_attempts = 1000\n";
    let gateway = Gateway::start(&format!("{config}{ECHO}")).await;
    let wrong = json!({ "username": ADMIN, "password": "not the password" }).to_string();
    // Once more if it was gone before its attempt began.
    let refused = eventually("an attempt that nobody waited for", async || {
        Http2::abandon(&gateway, "/api/auth/login", &[], &wrong).await;
        gateway.audited_after_leaving("/api/auth/login")
    })
    .await;
    check(&refused, json!({ "event": "login", "user": ADMIN, "reason": "password_wrong" }));
}

#[tokio::test]
async fn a_lockout_is_audited_once() {
    let gateway = gateway().await;
    let client = Client::anonymous(&gateway).from_address("192.0.2.9");
    for _ in 0..5 {
        client.login(USER, "wrong wrong").await.expect(401);
    }
    for _ in 0..3 {
        client.login(USER, PASSWORD).await.expect(429);
    }
    let lockout = audited(&gateway, "lockout", "success").await;
    check(&lockout, json!({ "client": "192.0.2.9", "reason": "locked_out" }));
    // The lines come in order, so that a second one would stand before this.
    sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    audited(&gateway, "login", "success").await;
    let lockouts = gateway.log_lines().iter().filter(|line| line["event"] == "lockout").count();
    assert_eq!(lockouts, 1);
}

#[tokio::test]
async fn what_operators_do_is_audited() {
    let gateway = gateway().await;
    let operator = json!({ "by": "operator", "user": USER });
    check(&audited(&gateway, "user_add", "success").await, operator.clone());
    let (key, _) = gateway.create_key(USER, &["deploy"], &[]).await;
    gateway.manage(&["key", "revoke", &key, "--yes"], None).await;
    gateway.manage(&["user", "passwd", USER], Some("ann's second one\n")).await;
    gateway.manage(&["user", "disable", USER], None).await;
    gateway.manage(&["user", "enable", USER], None).await;
    for event in ["key_create", "key_revoke", "user_password", "user_disable", "user_enable"] {
        let line = audited(&gateway, event, "success").await;
        check(&line, operator.clone());
        assert!(line["uid"].is_u64(), "{line}");
        if event.starts_with("key") {
            assert_eq!(line["detail"], format!("key {key}"), "{line}");
        }
    }
    gateway.cli(&["user", "roles", USER, "a b"], None).await;
    check(&audited(&gateway, "user_roles", "refused").await, operator);
}

/// What a user does to keys of their own is as much a change as what an operator does.
#[tokio::test]
async fn what_a_user_does_with_keys_is_audited() {
    const KEYS: &str = "/api/v1/auth/keys";
    let gateway = gateway().await;
    let user = Client::basic(&gateway, USER, PASSWORD).from_address("192.0.2.10");
    let text = |answer: &Value, member: &str| answer[member].as_str().expect("a text").to_owned();
    let made = user.post_json(KEYS, &json!({ "name": "ci" })).await.expect(201).json();
    let id = text(&made, "keyId");
    let path = format!("{KEYS}/{id}");
    let body = json!({ "overlapSeconds": 60 });
    let rotated = user.post_json(&format!("{path}/rotate"), &body).await.expect(201).json();
    let successor = text(&rotated, "keyId");
    let deleted = user.request(request(Method::DELETE, &path)).await;
    assert!(deleted.status.is_success(), "{deleted:?}");
    user.request(request(Method::DELETE, &path)).await.expect(404);
    for (event, outcome, id) in [
        ("key_create", "success", &id),
        ("key_rotate", "success", &successor),
        ("key_revoke", "success", &id),
        ("key_revoke", "refused", &id),
    ] {
        let line = audited(&gateway, event, outcome).await;
        let by = json!({ "by": "client", "user": USER, "client": "192.0.2.10" });
        check(&line, by);
        let key = line["detail"].as_str().and_then(|detail| detail.strip_prefix("key "));
        assert_eq!(key.and_then(parse_id), parse_id(id), "{event}: {line}");
        let access = |access: &Value| {
            access["type"] == "access" && access["request_id"] == line["request_id"]
        };
        gateway.wait_for_log(access).await;
    }
}
