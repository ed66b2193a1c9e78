//! Every change by the admin API leaves a line that says who did what to whom.

use serde_json::{Value, json};

use super::{Caller, NOBODY, PASSWORD, id, refusal, start};
use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::eventually;
use crate::support::frames::Http2;
use crate::support::gateway::{ADMIN, ECHO, Gateway};

/// The line of an event; every member that is expected is there and has that value.
async fn check(gateway: &Gateway, event: &str, expected: Value) {
    let wanted = |line: &Value| line["type"] == "audit" && line["event"] == event;
    let line = gateway.wait_for_recent_log(wanted).await;
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&line[name], value, "{name} of {line}");
    }
}

#[tokio::test]
async fn every_change_names_who_made_it_and_whom_it_is_about() {
    let gateway = start().await;
    let admin = Caller(Client::admin(&gateway).from_address("192.0.2.7"));
    let first = admin.get("/users").await["items"][0].clone();
    let by = |more: Value| {
        let mut line = json!({
            "by": "client", "acting_user": ADMIN, "acting_user_id": id(&first),
            "client": "192.0.2.7", "credential": "basic", "outcome": "success", "reason": "ok",
        });
        let members = more.as_object().expect("members").clone();
        line.as_object_mut().expect("members").extend(members);
        line
    };
    let about_ann = by(json!({ "user": "ann" }));
    let ann = admin.add_user("ann").await;
    let added = by(json!({ "user": "ann", "detail": "roles +user" }));
    check(&gateway, "user_add", added).await;
    let path = format!("/users/{}", id(&ann));
    admin.patch(&path, json!({ "roles": ["ops"], "state": "disabled" })).await;
    let roles = |detail: &str| by(json!({ "user": "ann", "detail": detail }));
    check(&gateway, "user_roles", roles("roles +ops -user")).await;
    check(&gateway, "user_disable", about_ann.clone()).await;
    admin.patch(&path, json!({ "state": "enabled" })).await;
    check(&gateway, "user_enable", about_ann.clone()).await;
    let new = json!({ "username": "bob", "email": "bob@example.com", "password": PASSWORD });
    let bob = format!("/users/{}", id(&admin.post("/users", new).await));
    for (verified, event) in [(false, "user_unverify"), (true, "user_verify")] {
        admin.patch(&bob, json!({ "email_verified": verified })).await;
        check(&gateway, event, by(json!({ "user": "bob" }))).await;
    }
    let password = json!({ "password": PASSWORD });
    admin.call("PUT", &format!("{path}/password"), password).await.expect(204);
    check(&gateway, "user_password", about_ann.clone()).await;

    let server = admin.post("/servers", json!({ "name": "web" })).await;
    let of_server = by(json!({ "detail": format!("server {}", id(&server)) }));
    check(&gateway, "server_add", of_server.clone()).await;
    admin.patch(&format!("/servers/{}", id(&server)), json!({ "name": "w" })).await;
    check(&gateway, "server_change", of_server.clone()).await;

    let key = admin.post("/keys", json!({ "owner": id(&ann), "server": id(&server) })).await;
    let of_key = by(json!({ "detail": format!("key {}", id(&key)), "user": "ann" }));
    check(&gateway, "key_create", of_key.clone()).await;
    let rotated = admin.post(&format!("/keys/{}/rotate", id(&key)), json!({})).await;
    let of_new = by(json!({ "detail": format!("key {}", id(&rotated)), "user": "ann" }));
    check(&gateway, "key_rotate", of_new).await;
    admin.delete(&format!("/keys/{}", id(&key))).await;
    check(&gateway, "key_revoke", of_key).await;
    admin.delete(&format!("/servers/{}", id(&server))).await;
    check(&gateway, "server_delete", of_server).await;

    let work = admin.post("/workspaces", json!({ "name": "work" })).await;
    let of_work = by(json!({ "detail": format!("workspace {}", id(&work)) }));
    check(&gateway, "workspace_add", of_work.clone()).await;
    admin.patch(&format!("/workspaces/{}", id(&work)), json!({ "name": "w" })).await;
    check(&gateway, "workspace_change", of_work.clone()).await;
    let member = format!("/workspaces/{}/members/{}", id(&work), id(&ann));
    admin.call("PUT", &member, json!({ "role": "member" })).await.expect(200);
    check(&gateway, "member_set", about_ann.clone()).await;
    admin.delete(&member).await;
    check(&gateway, "member_delete", about_ann.clone()).await;
    admin.delete(&format!("/workspaces/{}", id(&work))).await;
    check(&gateway, "workspace_delete", of_work).await;

    sign_in(&gateway, "ann", PASSWORD).await;
    let session = admin.get("/sessions").await["items"][0].clone();
    admin.delete(&format!("/sessions/{}", id(&session))).await;
    let ended = by(json!({ "user": "ann", "detail": format!("session {}", id(&session)) }));
    check(&gateway, "session_end", ended).await;
    Client::anonymous(&gateway).from_address("192.0.2.9").login("ann", "wrong").await.expect(401);
    admin.delete("/lockouts/192.0.2.9").await;
    check(&gateway, "lockout_clear", by(json!({ "detail": "address 192.0.2.9" }))).await;
    admin.delete(&path).await;
    check(&gateway, "user_delete", about_ann).await;
}

/// By the operator too, for everybody who was imported, and for what was refused.
#[tokio::test]
async fn the_roles_given_and_taken_are_named_whoever_changes_them() {
    let gateway = start().await;
    let roles = async |outcome: &str, detail: &str| {
        let wanted = |line: &Value| line["event"] == "user_roles" && line["detail"] == detail;
        assert_eq!(gateway.wait_for_log(wanted).await["outcome"], outcome);
    };
    gateway.manage(&["user", "roles", ADMIN, "admin", "ops", "audit"], None).await;
    roles("success", "roles +ops,audit").await;
    let admin = Caller::admin(&gateway);
    let path = format!("/users/{}", id(&admin.get("/users").await["items"][0]));
    admin.patch(&path, json!({ "roles": ["admin", "dev"] })).await;
    roles("success", "roles +dev -ops,audit").await;
    let answer = admin.call("PATCH", &path, json!({ "roles": ["user"] })).await;
    assert_eq!(refusal(&answer), (409, "LAST_ADMIN".into()));
    roles("refused", "roles +user -admin,dev").await;
    let import = ["user", "import", "-", "--role", "ops", "--role", "dev"];
    let hash = "$2b$04$abcdefghijklmnopqrstuuOGF3SSx4Ihdwj4Z8YbYkPOBWZZ4N4p6";
    gateway.manage(&import, Some(&format!("bob:{hash}\n"))).await;
    let added = json!({ "user": "bob", "detail": "roles +ops,dev" });
    check(&gateway, "user_add", added).await;
}

#[tokio::test]
async fn what_was_refused_is_audited_and_what_was_only_looked_at_is_not() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let path = format!("/users/{NOBODY}");
    let answer = admin.call("DELETE", &path, Value::Null).await;
    assert_eq!(refusal(&answer), (404, "USER_NOT_FOUND".into()));
    let refused = json!({ "outcome": "refused", "reason": "user_not_found", "user": null });
    check(&gateway, "user_delete", refused).await;
    let before = gateway.log_lines().iter().filter(|line| line["type"] == "audit").count();
    for list in ["/users", "/keys", "/servers", "/workspaces", "/sessions", "/lockouts"] {
        admin.get(list).await;
    }
    admin.post("/workspaces", json!({ "name": "last" })).await;
    check(&gateway, "workspace_add", json!({ "outcome": "success" })).await;
    let lines = gateway.log_lines();
    assert_eq!(lines.iter().filter(|line| line["type"] == "audit").count(), before + 1);
}

#[tokio::test]
async fn no_secret_is_in_any_line() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let owner = admin.get("/users").await["items"][0]["id"].clone();
    let key = admin.post("/keys", json!({ "owner": owner })).await;
    let secret = "hunter2 hunter2";
    let ann = admin.post("/users", json!({ "username": "ann", "password": secret })).await;
    let password = json!({ "password": secret });
    admin.call("PUT", &format!("/users/{}/password", id(&ann)), password).await.expect(204);
    check(&gateway, "user_password", json!({ "user": "ann" })).await;
    let log = format!("{:?}{}", gateway.log_lines(), gateway.stderr());
    let text = key["api_key"].as_str().expect("the key's text");
    assert!(!log.contains("hunter2") && !log.contains(text));
}

/// Whoever leaves as soon as it has asked must not change anything unseen.
#[tokio::test]
async fn a_change_whose_client_leaves_is_audited_all_the_same() {
    // Hashing takes longer than leaving.
    let gateway = Gateway::start(&format!("[auth]\nbcrypt_cost = 10\n{ECHO}")).await;
    let token = sign_in_admin(&gateway).await.access;
    let fields = [("authorization", &*format!("Bearer {token}"))];
    let mut number = 0;
    // Once more if it was gone before the change began.
    let added = eventually("a change that nobody waited for", async || {
        number += 1;
        let new = json!({ "username": format!("ann{number}"), "password": PASSWORD }).to_string();
        Http2::abandon(&gateway, "/api/admin/users", &fields, &new).await;
        gateway.audited_after_leaving("/api/admin/users")
    })
    .await;
    assert_eq!(added["event"], "user_add");
    assert_eq!(added["outcome"], "success");
    assert_eq!(added["acting_user"], ADMIN);
    assert!(added["user"].as_str().is_some_and(|user| user.starts_with("ann")), "{added}");
}
