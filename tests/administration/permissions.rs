//! Who may call the admin API.

use serde_json::{Value, json};

use super::{Caller, PASSWORD, id, refusal, start};
use crate::support::client::{Client, Protocol, sign_in, sign_in_admin};
use crate::support::gateway::{ADMIN, Gateway};

/// A request to each endpoint, none of which finds anything.
const ENDPOINTS: &[(&str, &str)] = &[
    ("GET", "/users"),
    ("POST", "/users"),
    ("GET", "/users/x"),
    ("PATCH", "/users/x"),
    ("DELETE", "/users/x"),
    ("PUT", "/users/x/password"),
    ("GET", "/users/x/sessions"),
    ("DELETE", "/users/x/sessions"),
    ("GET", "/sessions"),
    ("DELETE", "/sessions"),
    ("DELETE", "/sessions/x"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("DELETE", "/keys"),
    ("GET", "/keys/x"),
    ("DELETE", "/keys/x"),
    ("POST", "/keys/x/rotate"),
    ("GET", "/servers"),
    ("POST", "/servers"),
    ("GET", "/servers/x"),
    ("PATCH", "/servers/x"),
    ("DELETE", "/servers/x"),
    ("GET", "/workspaces"),
    ("POST", "/workspaces"),
    ("GET", "/workspaces/x"),
    ("PATCH", "/workspaces/x"),
    ("DELETE", "/workspaces/x"),
    ("GET", "/workspaces/x/members"),
    ("PUT", "/workspaces/x/members/x"),
    ("DELETE", "/workspaces/x/members/x"),
    ("GET", "/lockouts"),
    ("DELETE", "/lockouts/192.0.2.1"),
    ("GET", "/registration"),
    ("PUT", "/registration"),
];

async fn check(gateway: &Gateway, client: Client, status: u16, code: &str) {
    let caller = Caller(client);
    for (method, path) in ENDPOINTS {
        let answer = caller.send(method, path, "").await;
        assert_eq!(refusal(&answer), (status, code.to_owned()), "{method} {path}");
        assert!(!answer.fields("x-request-id").is_empty(), "{method} {path}");
    }
    assert!(gateway.stderr().is_empty(), "nothing panicked");
}

#[tokio::test]
async fn nobody_administers_without_a_credential_that_is_good() {
    let gateway = start().await;
    let caller = Client::anonymous(&gateway);
    check(&gateway, caller.clone(), 401, "AUTHENTICATION_REQUIRED").await;
    let refused = Caller(caller).call("GET", "/users", Value::Null).await;
    refused.assert_challenge();
    check(&gateway, Client::bearer(&gateway, "garbage"), 401, "INVALID_TOKEN").await;
}

#[tokio::test]
async fn only_the_role_administers_and_only_while_it_is_held() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let path = format!("/users/{}", id(&ann));
    let basic = Client::basic(&gateway, "ann", PASSWORD);
    check(&gateway, basic.clone(), 403, "FORBIDDEN").await;
    let token = sign_in(&gateway, "ann", PASSWORD).await.access;
    let bearer = Client::bearer(&gateway, &token).protocol(Protocol::Http2);
    check(&gateway, bearer.clone(), 403, "FORBIDDEN").await;

    admin.patch(&path, json!({ "roles": ["user", "admin"] })).await;
    Caller(basic.clone()).get("/users").await;
    Caller(bearer.clone()).get("/users").await;
    admin.patch(&path, json!({ "roles": ["user", "administrator"] })).await;
    for client in [basic, bearer] {
        let answer = Caller(client).call("GET", "/users", Value::Null).await;
        assert_eq!(refusal(&answer), (403, "FORBIDDEN".into()), "the old token says nothing");
    }
}

#[tokio::test]
async fn a_key_administers_only_if_it_was_made_for_that() {
    let gateway = start().await;
    gateway.add_user("ann", PASSWORD, &["user"]).await;
    let key = async |owner, scopes: &[&str]| {
        let (_, text) = gateway.create_key(owner, scopes, &[]).await;
        Client::api_key(&gateway, &text)
    };
    check(&gateway, key(ADMIN, &["deploy"]).await, 403, "FORBIDDEN").await;
    check(&gateway, key("ann", &["admin"]).await, 403, "FORBIDDEN").await;
    let good = Caller(key(ADMIN, &["deploy", "admin"]).await);
    good.get("/users").await;
    good.add_user("bob").await;
}

#[tokio::test]
async fn a_token_that_was_logged_out_administers_no_more() {
    let gateway = start().await;
    let bearer = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access);
    let caller = Caller(bearer.clone());
    caller.get("/users").await;
    bearer.post("/api/logout").await.expect(200);
    let answer = caller.call("GET", "/users", Value::Null).await;
    assert_eq!(refusal(&answer), (401, "INVALID_TOKEN".into()));
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let users = admin.get("/users").await;
    let path = format!("/users/{}", id(&users["items"][0]));
    let refused = async |method: &str, body: Value| {
        let answer = admin.call(method, &path, body).await;
        assert_eq!(refusal(&answer), (409, "LAST_ADMIN".into()), "{method}");
    };
    // Somebody who cannot sign in does not count.
    let idle = json!({ "username": "idle", "password": PASSWORD, "roles": ["admin"] });
    let idle = admin.post("/users", idle).await;
    let idle = format!("/users/{}", id(&idle));
    admin.patch(&idle, json!({ "state": "disabled" })).await;
    refused("DELETE", Value::Null).await;
    refused("PATCH", json!({ "state": "disabled" })).await;
    refused("PATCH", json!({ "roles": ["user"] })).await;
    refused("PATCH", json!({ "roles": [] })).await;
    assert_eq!(admin.get("/users").await["items"][0], users["items"][0], "nothing was changed");
    admin.patch(&path, json!({ "roles": ["ops", "admin"] })).await;
    admin.delete(&idle).await;

    let other = json!({ "username": "other", "password": PASSWORD, "roles": ["admin"] });
    admin.post("/users", other).await;
    admin.delete(&path).await;
    let answer = admin.call("GET", "/users", Value::Null).await;
    assert_eq!(answer.status, 401, "who removed himself is gone");
    // An operator at the machine can always add another one.
    gateway.manage(&["user", "disable", "other"], None).await;
}

#[tokio::test]
async fn of_administrators_who_remove_each_other_one_stays() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let first = admin.get("/users").await["items"][0].clone();
    for round in 0..10 {
        let name = format!("rival{round}");
        let rival = json!({ "username": name, "password": PASSWORD, "roles": ["admin"] });
        let rival = admin.post("/users", rival).await;
        let other = Caller(Client::basic(&gateway, &name, PASSWORD));
        other.get("/users").await;
        let (one, two) = (format!("/users/{}", id(&rival)), format!("/users/{}", id(&first)));
        let demotion = json!({ "roles": ["user"] });
        let (left, right) = tokio::join!(
            admin.call("PATCH", &one, demotion.clone()),
            other.call("PATCH", &two, demotion.clone())
        );
        let statuses = [left.status.as_u16(), right.status.as_u16()];
        assert!(statuses.contains(&200), "{statuses:?}");
        let listed = gateway.manage(&["user", "list", "--format", "json"], None).await;
        let users: Value = serde_json::from_str(&listed).expect("JSON");
        let is_admin = |user: &&Value| user["roles"] == json!(["admin"]);
        let users = users.as_array().expect("a list");
        assert_eq!(users.iter().filter(is_admin).count(), 1, "{statuses:?}");
        gateway.manage(&["user", "roles", ADMIN, "admin"], None).await;
        gateway.manage(&["user", "remove", &name, "--yes"], None).await;
    }
}
