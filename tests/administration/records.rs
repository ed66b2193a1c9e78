//! What can be done with each kind of record, and what is refused.

use serde_json::{Value, json};

use super::{Caller, NOBODY, PASSWORD, id, refusal, start};
use crate::support::client::{Client, sign_in};
use crate::support::gateway::ADMIN;

fn has_members(record: &Value, names: &[&str]) {
    let members = record.as_object().expect("an object");
    let found: std::collections::BTreeSet<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(found, names.iter().copied().collect(), "{record}");
}

fn assert_time(value: &Value) {
    let text = value.as_str().expect("a time is text");
    assert!(text.len() == 24 && text.ends_with('Z') && text.as_bytes()[19] == b'.', "{text}");
}

#[tokio::test]
async fn a_user_is_added_shown_changed_and_removed() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let new = json!({
        "username": "Ann", "email": "ann@example.com", "password": PASSWORD,
        "roles": ["ops", "user"], "full_name": "Ann Lee", "first_name": null,
    });
    let ann = admin.post("/users", new).await;
    has_members(
        &ann,
        &[
            "id",
            "username",
            "email",
            "email_verified",
            "full_name",
            "first_name",
            "last_name",
            "avatar_url",
            "roles",
            "state",
            "github",
            "created",
            "last_sign_in",
        ],
    );
    assert_eq!(ann["username"], "Ann");
    assert_eq!((&ann["roles"], &ann["state"]), (&json!(["ops", "user"]), &json!("enabled")));
    assert_eq!((&ann["last_name"], &ann["github"]), (&Value::Null, &json!(false)));
    assert_eq!(ann["email_verified"], true, "whoever enters it answers for it");
    assert_time(&ann["created"]);
    let path = format!("/users/{}", id(&ann));
    assert_eq!(admin.get(&path).await, ann);

    let client = Client::basic(&gateway, "ann@example.com", PASSWORD);
    client.get("/").await.expect(200);
    sign_in(&gateway, "ann@example.com", PASSWORD).await;
    let known = admin.get(&path).await;
    assert_eq!(known["known_addresses"], 2, "each client comes from its own");
    assert_time(&known["last_noted"]);
    let changed = admin.patch(&path, json!({ "roles": ["user"], "state": "disabled" })).await;
    assert_eq!((&changed["roles"], &changed["state"]), (&json!(["user"]), &json!("disabled")));
    assert_eq!(admin.patch(&path, json!({})).await, changed, "nothing given, nothing changed");
    client.get("/").await.expect(401);
    admin.patch(&path, json!({ "state": "enabled" })).await;
    client.get("/").await.expect(200);

    let new = json!({ "password": "another of theirs" });
    admin.call("PUT", &format!("{path}/password"), new).await.expect(204);
    client.get("/").await.expect(401);
    Client::basic(&gateway, "ann", "another of theirs").get("/").await.expect(200);

    admin.delete(&path).await;
    assert_eq!(
        refusal(&admin.call("GET", &path, Value::Null).await),
        (404, "USER_NOT_FOUND".into())
    );
    admin.add_user("ann").await;
}

#[tokio::test]
async fn a_workspace_and_its_members_are_administered() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let made = admin.post("/workspaces", json!({ "name": "Research" })).await;
    has_members(&made, &["id", "name", "created"]);
    assert_time(&made["created"]);
    let path = format!("/workspaces/{}", id(&made));
    let renamed = admin.patch(&path, json!({ "name": "Science" })).await;
    assert_eq!(renamed["name"], "Science");
    assert_eq!(admin.get(&path).await, renamed);

    let ann = admin.add_user("ann").await;
    let member = format!("{path}/members/{}", id(&ann));
    let joined = admin.call("PUT", &member, json!({ "role": "editor" })).await.expect(200).json();
    assert_eq!(joined, json!({ "user_id": id(&ann), "username": "ann", "role": "editor" }));
    let promoted = admin.call("PUT", &member, json!({ "role": "owner" })).await.expect(200).json();
    let members = admin.get(&format!("{path}/members")).await;
    assert_eq!(members, json!({ "items": [promoted], "next": null }));
    admin.delete(&member).await;
    let again = admin.call("DELETE", &member, Value::Null).await;
    assert_eq!(refusal(&again), (404, "MEMBER_NOT_FOUND".into()));
    admin.delete(&path).await;
    let gone = admin.call("GET", &format!("{path}/members"), Value::Null).await;
    assert_eq!(refusal(&gone), (404, "WORKSPACE_NOT_FOUND".into()));
}

#[tokio::test]
async fn a_server_and_its_keys_are_administered() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let server = admin.post("/servers", json!({ "name": "web-1", "owner": id(&ann) })).await;
    has_members(&server, &["id", "name", "owner", "created"]);
    assert_eq!(server["owner"], ann["id"]);
    let path = format!("/servers/{}", id(&server));
    assert_eq!(admin.get(&path).await, server);
    let renamed = admin.patch(&path, json!({ "name": "web-2" })).await;
    assert_eq!((&renamed["name"], &renamed["owner"]), (&json!("web-2"), &ann["id"]));
    assert_eq!(admin.patch(&path, json!({ "owner": null })).await["owner"], Value::Null);

    let new = json!({
        "owner": id(&ann), "name": "agent", "server": id(&server), "scopes": ["metrics"],
        "expires": "2999-01-01T00:00:00Z",
    });
    let made = admin.post("/keys", new).await;
    has_members(
        &made,
        &[
            "id",
            "owner",
            "name",
            "shown",
            "server",
            "scopes",
            "created",
            "expires",
            "last_used",
            "api_key",
        ],
    );
    assert_eq!((&made["owner"], &made["server"]), (&ann["id"], &server["id"]));
    assert_eq!(made["expires"], "2999-01-01T00:00:00.000Z");
    let text = made["api_key"].as_str().expect("the key's text");
    assert!(text.starts_with(made["shown"].as_str().expect("its beginning")), "{made}");
    let key = format!("/keys/{}", id(&made));
    let shown = admin.get(&key).await;
    assert_eq!((&shown["api_key"], &shown["last_used"]), (&Value::Null, &Value::Null));
    Client::api_key(&gateway, text).get("/").await.expect(200);
    assert_time(&admin.get(&key).await["last_used"]);

    admin.delete(&key).await;
    Client::api_key(&gateway, text).get("/").await.expect(401);
    assert_eq!(refusal(&admin.call("GET", &key, Value::Null).await), (404, "KEY_NOT_FOUND".into()));
}

#[tokio::test]
async fn a_rotated_key_goes_on_beside_its_successor_for_the_overlap() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let owner = admin.get("/users").await["items"][0]["id"].clone();
    let old = admin.post("/keys", json!({ "owner": owner, "scopes": ["deploy"] })).await;
    let rotate = format!("/keys/{}/rotate", id(&old));
    let new = admin.post(&rotate, json!({ "overlap_seconds": 3600 })).await;
    assert_eq!((&new["scopes"], &new["owner"]), (&old["scopes"], &old["owner"]));
    let works = async |key: &Value, status| {
        let text = key["api_key"].as_str().expect("the key's text");
        Client::api_key(&gateway, text).get("/").await.expect(status);
    };
    works(&old, 200).await;
    works(&new, 200).await;
    assert_time(&admin.get(&format!("/keys/{}", id(&old))).await["expires"]);
    let next = admin.post(&rotate, json!({ "overlap_seconds": 0 })).await;
    works(&old, 401).await;
    works(&next, 200).await;
    let ended = admin.call("POST", &rotate, Value::Null).await;
    assert_eq!(refusal(&ended), (404, "KEY_NOT_FOUND".into()));
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let caller = Client::anonymous(&gateway);
    let first = caller.login("ann", PASSWORD).await.pair();
    let second = caller.login("ann", PASSWORD).await.pair();
    let other = caller.login(ADMIN, crate::support::gateway::ADMIN_PASSWORD).await.pair();
    let of_ann = format!("/users/{}/sessions", id(&ann));
    let listed = admin.get(&of_ann).await;
    assert_eq!(listed, admin.get(&format!("/sessions?user={}", id(&ann))).await);
    let sessions = listed["items"].as_array().expect("a list");
    assert_eq!(sessions.len(), 2, "{listed}");
    has_members(
        &sessions[0],
        &["id", "user_id", "address", "user_agent", "created", "last_used", "expires"],
    );
    assert_eq!(admin.get("/sessions").await["items"].as_array().map(Vec::len), Some(3));

    let works = async |token: &str, status| {
        Client::bearer(&gateway, token).get("/").await.expect(status);
    };
    let path = format!("/sessions/{}", id(&sessions[0]));
    admin.delete(&path).await;
    works(&first.access, 401).await;
    works(&second.access, 200).await;
    let again = admin.call("DELETE", &path, Value::Null).await;
    assert_eq!(refusal(&again), (404, "SESSION_NOT_FOUND".into()));
    admin.delete(&of_ann).await;
    works(&second.access, 401).await;
    works(&other.access, 200).await;
    caller.refresh(&second.refresh).await.expect(401);
}

#[tokio::test]
async fn a_lockout_is_listed_and_cleared() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    assert_eq!(admin.get("/lockouts").await, json!({ "items": [], "next": null }));
    let locked = Client::anonymous(&gateway).from_address("192.0.2.7");
    for _ in 0..5 {
        locked.login(ADMIN, "wrong wrong").await.expect(401);
    }
    let failing = Client::anonymous(&gateway).from_address("2001:db8:1:2:3::4");
    failing.login(ADMIN, "wrong wrong").await.expect(401);
    let listed = admin.get("/lockouts").await;
    let lockouts = listed["items"].as_array().expect("a list");
    assert_eq!(lockouts.len(), 2, "{listed}");
    has_members(&lockouts[0], &["address", "failures", "locked_until"]);
    assert_eq!(
        (&lockouts[0]["address"], &lockouts[0]["failures"]),
        (&json!("192.0.2.7"), &json!(5))
    );
    assert_time(&lockouts[0]["locked_until"]);
    assert_eq!(
        lockouts[1],
        json!({ "address": "2001:db8:1:2::", "failures": 1, "locked_until": null })
    );

    locked.login(ADMIN, "wrong wrong").await.expect(429);
    admin.delete("/lockouts/192.0.2.7").await;
    locked.login(ADMIN, "wrong wrong").await.expect(401);
    admin.delete("/lockouts/2001:db8:1:2:ffff::1").await;
    let again = admin.call("DELETE", "/lockouts/2001:db8:1:2::", Value::Null).await;
    assert_eq!(refusal(&again), (404, "LOCKOUT_NOT_FOUND".into()));
}

/// Method, path, body, status and code. `ID` is nobody's id, `ANN` a user's.
const REFUSED: &[(&str, &str, &str, u16, &str)] = &[
    (
        "POST",
        "/users",
        r#"{"username":"ann","password":"long enough"}"#,
        409,
        "USERNAME_ALREADY_EXISTS",
    ),
    (
        "POST",
        "/users",
        r#"{"username":"bob","email":"ann@example.com","password":"long enough"}"#,
        409,
        "EMAIL_ALREADY_EXISTS",
    ),
    ("POST", "/users", r#"{"username":"bob","password":"short"}"#, 422, "PASSWORD_NOT_ACCEPTABLE"),
    (
        "POST",
        "/users",
        r#"{"username":"a b","password":"long enough"}"#,
        422,
        "USERNAME_NOT_ACCEPTABLE",
    ),
    (
        "POST",
        "/users",
        r#"{"username":"eve@example.com","email":"ann@elsewhere.example","password":"long enough"}"#,
        422,
        "USERNAME_NOT_ACCEPTABLE",
    ),
    (
        "POST",
        "/users",
        r#"{"username":"bob","email":"bob","password":"long enough"}"#,
        422,
        "EMAIL_NOT_ACCEPTABLE",
    ),
    (
        "POST",
        "/users",
        r#"{"username":"bob","password":"long enough","roles":["a b"]}"#,
        422,
        "ROLE_NOT_ACCEPTABLE",
    ),
    (
        "POST",
        "/users",
        r#"{"username":"bob","password":"long enough","full_name":" "}"#,
        422,
        "NAME_NOT_ACCEPTABLE",
    ),
    ("POST", "/users", r#"{"username":"bob"}"#, 400, "BAD_REQUEST"),
    (
        "POST",
        "/users",
        r#"{"username":"bob","password":"long enough","admin":true}"#,
        400,
        "BAD_REQUEST",
    ),
    ("POST", "/users", r#"{"username":7,"password":"long enough"}"#, 400, "BAD_REQUEST"),
    ("POST", "/users", "not JSON", 400, "BAD_REQUEST"),
    ("GET", "/users?limit=0", "", 400, "BAD_REQUEST"),
    ("GET", "/users?limit=201", "", 400, "BAD_REQUEST"),
    ("GET", "/users?cursor=x", "", 400, "BAD_REQUEST"),
    ("GET", "/users?page=2", "", 400, "BAD_REQUEST"),
    ("GET", "/users/ID", "", 404, "USER_NOT_FOUND"),
    ("GET", "/users/ann", "", 404, "USER_NOT_FOUND"),
    ("GET", "/users/ID/sessions", "", 404, "USER_NOT_FOUND"),
    ("PATCH", "/users/ID", r#"{"state":"enabled"}"#, 404, "USER_NOT_FOUND"),
    ("PATCH", "/users/ANN", r#"{"roles":[""]}"#, 422, "ROLE_NOT_ACCEPTABLE"),
    ("PATCH", "/users/ANN", r#"{"email_verified":"yes"}"#, 400, "BAD_REQUEST"),
    ("PATCH", "/users/ANN", r#"{"state":"asleep"}"#, 400, "BAD_REQUEST"),
    ("PATCH", "/users/ANN", r#"{"username":"eve"}"#, 400, "BAD_REQUEST"),
    ("PUT", "/users/ID/password", r#"{"password":"long enough"}"#, 404, "USER_NOT_FOUND"),
    ("PUT", "/users/ANN/password", r#"{"password":"short"}"#, 422, "PASSWORD_NOT_ACCEPTABLE"),
    ("DELETE", "/users/ID", "", 404, "USER_NOT_FOUND"),
    ("DELETE", "/users/ID/sessions", "", 404, "USER_NOT_FOUND"),
    ("POST", "/users/ANN", "{}", 405, "METHOD_NOT_ALLOWED"),
    ("GET", "/sessions?user=ID", "", 404, "USER_NOT_FOUND"),
    ("DELETE", "/sessions/ID", "", 404, "SESSION_NOT_FOUND"),
    ("GET", "/keys?owner=ID", "", 404, "USER_NOT_FOUND"),
    ("GET", "/keys?server=ID", "", 404, "SERVER_NOT_FOUND"),
    ("POST", "/keys", r#"{"owner":"ID"}"#, 404, "USER_NOT_FOUND"),
    ("POST", "/keys", r#"{"owner":"ANN","server":"ID"}"#, 404, "SERVER_NOT_FOUND"),
    ("POST", "/keys", r#"{"owner":"ANN","scopes":["a b"]}"#, 422, "SCOPE_NOT_ACCEPTABLE"),
    ("POST", "/keys", r#"{"owner":"ANN","name":"\n"}"#, 422, "NAME_NOT_ACCEPTABLE"),
    ("POST", "/keys", r#"{"owner":"ANN","expires":"tomorrow"}"#, 400, "BAD_REQUEST"),
    ("GET", "/keys/ID", "", 404, "KEY_NOT_FOUND"),
    ("DELETE", "/keys/ID", "", 404, "KEY_NOT_FOUND"),
    ("POST", "/keys/ID/rotate", "", 404, "KEY_NOT_FOUND"),
    ("POST", "/keys/ID/rotate", r#"{"overlap_seconds":-1}"#, 400, "BAD_REQUEST"),
    ("POST", "/servers", r#"{"name":"x","owner":"ID"}"#, 404, "USER_NOT_FOUND"),
    ("POST", "/servers", r#"{"name":"\u0007"}"#, 422, "NAME_NOT_ACCEPTABLE"),
    ("GET", "/servers/ID", "", 404, "SERVER_NOT_FOUND"),
    ("PATCH", "/servers/ID", r#"{"name":"x"}"#, 404, "SERVER_NOT_FOUND"),
    ("DELETE", "/servers/ID", "", 404, "SERVER_NOT_FOUND"),
    ("POST", "/workspaces", "{}", 400, "BAD_REQUEST"),
    ("POST", "/workspaces", r#"{"name":"\u0007"}"#, 422, "NAME_NOT_ACCEPTABLE"),
    ("GET", "/workspaces/ID", "", 404, "WORKSPACE_NOT_FOUND"),
    ("PATCH", "/workspaces/ID", r#"{"name":"x"}"#, 404, "WORKSPACE_NOT_FOUND"),
    ("DELETE", "/workspaces/ID", "", 404, "WORKSPACE_NOT_FOUND"),
    ("GET", "/workspaces/ID/members", "", 404, "WORKSPACE_NOT_FOUND"),
    ("PUT", "/workspaces/ID/members/ANN", r#"{"role":"x"}"#, 404, "WORKSPACE_NOT_FOUND"),
    ("PUT", "/workspaces/WORK/members/ID", r#"{"role":"x"}"#, 404, "USER_NOT_FOUND"),
    ("PUT", "/workspaces/WORK/members/ANN", r#"{"role":"a b"}"#, 422, "ROLE_NOT_ACCEPTABLE"),
    ("DELETE", "/workspaces/WORK/members/ANN", "", 404, "MEMBER_NOT_FOUND"),
    ("DELETE", "/workspaces/WORK/members/ID", "", 404, "MEMBER_NOT_FOUND"),
    ("DELETE", "/lockouts/192.0.2.1", "", 404, "LOCKOUT_NOT_FOUND"),
    ("DELETE", "/lockouts/here", "", 400, "BAD_REQUEST"),
    ("DELETE", "/users/ANN", r#"{"really":true}"#, 400, "BAD_REQUEST"),
];

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_its_code_and_changes_nothing() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = json!({ "username": "ann", "email": "ann@example.com", "password": PASSWORD });
    let ann = admin.post("/users", ann).await;
    let work = admin.post("/workspaces", json!({ "name": "work" })).await;
    let before = admin.get("/users").await;
    for (method, path, body, status, code) in REFUSED {
        let fill = |text: &str| {
            text.replace("ID", NOBODY).replace("ANN", id(&ann)).replace("WORK", id(&work))
        };
        let answer = admin.send(method, &fill(path), &fill(body)).await;
        assert_eq!(refusal(&answer), (*status, (*code).to_owned()), "{method} {path} {body}");
    }
    assert_eq!(admin.get("/users").await, before);
    let untyped = admin.send_as(Some("text/plain"), "POST", "/users", "{}").await;
    assert_eq!(refusal(&untyped), (415, "UNSUPPORTED_MEDIA_TYPE".into()));
}
