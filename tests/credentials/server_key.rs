//! A key that is bound to a server speaks for the server's agents, and only where they
//! come.

use http::Method;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, sign_in_admin};
use crate::support::gateway::{ADMIN, Gateway};

const ROUTES: &str = r#"
[limits]
burst = 10000
[[route]]
path = "/default"
upstream = "echo"
[[route]]
path = "/agents"
upstream = "echo"
agents = true
[[route]]
path = "/any"
upstream = "echo"
keys = "any"
[[route]]
path = "/servers"
upstream = "echo"
keys = "servers"
[[route]]
path = "/none"
upstream = "echo"
keys = "none"
[[route]]
path = "/agents/people"
upstream = "echo"
agents = true
keys = "none"
"#;

/// The keys of an administrator that are bound to a server and to none, good for all.
async fn keys(gateway: &Gateway) -> (String, String) {
    let server = gateway.manage(&["server", "add", "web"], None).await;
    let (_, bound) = gateway.create_key(ADMIN, &["admin"], &["--server", &server]).await;
    let (_, free) = gateway.create_key(ADMIN, &["admin"], &[]).await;
    (bound, free)
}

/// The reason in the access line of a response.
async fn reason(gateway: &Gateway, answer: &Answer) -> Value {
    let id = answer.field("x-request-id");
    let of_it = |line: &Value| line["type"] == "access" && line["request_id"] == id;
    gateway.wait_for_recent_log(of_it).await["reason"].clone()
}

#[tokio::test]
async fn a_route_takes_the_keys_that_it_names_and_people_always() {
    let gateway = Gateway::start(ROUTES).await;
    let (bound, free) = keys(&gateway).await;
    let token = sign_in_admin(&gateway).await.access;
    let cases = [
        ("/default", "ok", "key_bound_to_server"),
        ("/agents", "key_not_bound", "ok"),
        ("/any", "ok", "ok"),
        ("/servers", "key_not_bound", "ok"),
        ("/none", "not_for_keys", "not_for_keys"),
        ("/agents/people", "not_for_keys", "not_for_keys"),
    ];
    for (path, of_free, of_bound) in cases {
        Client::admin(&gateway).get(path).await.expect(200);
        Client::bearer(&gateway, &token).get(path).await.expect(200);
        for (key, expected) in [(&free, of_free), (&bound, of_bound)] {
            for client in [Client::api_key(&gateway, key), Client::bearer(&gateway, key).h2()] {
                let status = if expected == "ok" { 200 } else { 403 };
                let answer = client.get(path).await.expect(status);
                assert_eq!(reason(&gateway, &answer).await, expected, "{path}");
            }
        }
    }
}

/// Its owner is an administrator, and the key has the scope for that.
#[tokio::test]
async fn a_key_of_a_server_does_not_act_with_its_owners_power() {
    let gateway = Gateway::start(ROUTES).await;
    let (bound, free) = keys(&gateway).await;
    let (bound, free) = (Client::api_key(&gateway, &bound), Client::api_key(&gateway, &free));
    free.get("/api/auth/me").await.expect(200);
    free.get("/api/admin/users").await.expect(200);
    let new = json!({ "username": "eve", "password": "a password of hers" });
    let calls = [
        (Method::GET, "/api/auth/me", Value::Null),
        (Method::GET, "/api/ws-token", Value::Null),
        (Method::POST, "/api/logout", Value::Null),
        (Method::GET, "/api/v1/auth/keys", Value::Null),
        (Method::POST, "/api/v1/auth/keys", json!({ "name": "successor" })),
        (Method::GET, "/api/admin/users", Value::Null),
        (Method::POST, "/api/admin/users", new),
    ];
    for (method, path, body) in calls {
        let answer = match method {
            Method::GET => bound.get(path).await,
            _ if body.is_null() => bound.post(path).await,
            _ => bound.post_json(path, &body).await,
        };
        let answer = answer.expect(403);
        assert_eq!(reason(&gateway, &answer).await, "key_bound_to_server", "{path}");
    }
    let users = gateway.manage(&["user", "list"], None).await;
    assert!(!users.contains("eve"), "{users}");
}

#[tokio::test]
async fn check_warns_of_a_route_for_keys_that_refuses_those_of_servers() {
    let scopes = "[[route]]\npath = \"/metrics\"\nupstream = \"echo\"\nscopes = [\"metrics\"]\n";
    let gateway = Gateway::start(&format!("{ROUTES}{scopes}")).await;
    let checked = gateway.manage(&["check"], None).await;
    assert_eq!(checked.matches("[server_keys_refused]").count(), 1, "{checked}");
    assert!(checked.contains("route /metrics refuses keys"), "{checked}");
    for silent in [format!("{ROUTES}{scopes}keys = \"none\"\n"), scopes.to_owned()] {
        let gateway = Gateway::start(&silent).await;
        let checked = gateway.manage(&["check"], None).await;
        assert!(!checked.contains("server_keys_refused"), "{checked}");
    }
}

/// As a store of the version before is: nothing says that anybody was told.
#[tokio::test]
async fn the_first_start_says_once_how_many_keys_are_refused_where_they_were_not() {
    let mut gateway = Gateway::start(ROUTES).await;
    keys(&gateway).await;
    gateway.create_key(ADMIN, &[], &[]).await;
    let said = |gateway: &Gateway| {
        let lines = gateway.log_lines();
        let keys = |message: &str| {
            let wanted = |line: &&Value| line["message"] == message;
            lines.iter().find(wanted).map(|line| line["keys"].clone())
        };
        [
            keys("keys bound to a server refused on most routes"),
            keys("keys bound to no server refused on routes with agents"),
        ]
    };
    gateway.stop().await;
    gateway.manage(&["store", "export", "--output", "old.jsonl"], None).await;
    std::fs::remove_dir_all(gateway.path("data")).expect("it can go");
    gateway.manage(&["store", "import", "old.jsonl"], None).await;
    gateway.restart().await;
    assert_eq!(said(&gateway), [Some(json!(1)), Some(json!(2))]);
    gateway.restart().await;
    assert_eq!(said(&gateway), [None, None], "once is enough");
}
