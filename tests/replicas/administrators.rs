//! Two administrators who remove each other at the same time, each at another gateway.

use http::{Method, Request};
use serde_json::{Value, json};

use super::UNLIMITED;
use super::fleet::{is_live, join};
use crate::support::client::{Answer, Client, body};
use crate::support::eventually;
use crate::support::gateway::{ECHO, Gateway};
use crate::support::redis::RedisServer;

const PASSWORD: &str = "a password of theirs";
const NAMES: [&str; 2] = ["ann", "bob"];

async fn demote(gateway: &Gateway, by: &str, id: &str) -> Answer {
    let request = Request::builder()
        .method(Method::PATCH)
        .uri(format!("/api/admin/users/{id}"))
        .header("content-type", "application/json")
        .body(body(json!({ "roles": ["user"] }).to_string()))
        .expect("a request");
    Client::basic(gateway, by, PASSWORD).request(request).await
}

async fn users(gateway: &Gateway) -> Vec<Value> {
    let listed = gateway.manage(&["user", "list", "--format", "json"], None).await;
    serde_json::from_str(&listed).expect("users as JSON")
}

fn administrators(users: &[Value]) -> usize {
    users.iter().filter(|user| user["roles"] == json!(["admin"])).count()
}

#[tokio::test]
async fn one_of_two_administrators_who_remove_each_other_at_two_gateways_stays() {
    let redis = RedisServer::start().await;
    let config = format!("{ECHO}{UNLIMITED}");
    let [one, two] = [join(&redis.url(), &config).await, join(&redis.url(), &config).await];
    for gateway in [&one, &two] {
        is_live(gateway).await;
    }
    one.manage(&["user", "roles", "admin", "user"], None).await;
    for name in NAMES {
        one.add_user(name, PASSWORD, &["admin"]).await;
    }
    let listed = users(&one).await;
    let id = |name: &str| {
        let user = listed.iter().find(|user| user["username"] == name).expect("a user");
        user["id"].as_str().expect("an id").to_owned()
    };
    let [ann, bob] = NAMES.map(id);
    for _ in 0..12 {
        for name in NAMES {
            one.manage(&["user", "roles", name, "admin"], None).await;
        }
        // Both are known as administrators at both.
        eventually("both to hear of it", async || {
            (administrators(&users(&two).await) == 2).then_some(())
        })
        .await;
        for (gateway, name) in [(&one, "ann"), (&two, "bob")] {
            eventually("the administrator to be let in", async || {
                let listed = Client::basic(gateway, name, PASSWORD).get("/api/admin/users").await;
                (listed.status == 200).then_some(())
            })
            .await;
        }
        let (left, right) = tokio::join!(demote(&one, "ann", &bob), demote(&two, "bob", &ann));
        let statuses = [left.status.as_u16(), right.status.as_u16()];
        assert!(statuses.contains(&200), "{statuses:?}");
        assert_eq!(administrators(&users(&one).await), 1, "{statuses:?}");
    }
}
