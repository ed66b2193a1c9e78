//! What one account may have at once, and how many accounts one address may make.

use serde_json::{Value, json};

use crate::support::client::{Client, sign_in};
use crate::support::gateway::{ECHO, Gateway};

const PASSWORD: &str = "ann's own password";

fn config(limits: &str) -> String {
    format!("[auth]\nregistration = \"open\"\n[limits]\n{limits}\n{ECHO}")
}

async fn audited(gateway: &Gateway, event: &str) -> Value {
    gateway.wait_for_log(|line| line["type"] == "audit" && line["event"] == event).await
}

async fn counted(gateway: &Gateway, name: &str) -> Value {
    gateway.status().await["counters"][name].clone()
}

#[tokio::test]
async fn with_one_sign_in_more_than_may_be_the_oldest_ends_and_is_audited() {
    let gateway = Gateway::start(&config("sessions_per_account = 2")).await;
    gateway.add_user("ann", PASSWORD, &["user"]).await;
    let first = sign_in(&gateway, "ann", PASSWORD).await;
    let second = sign_in(&gateway, "ann", PASSWORD).await;
    Client::bearer(&gateway, &first.access).get("/").await.expect(200);
    let third = sign_in(&gateway, "ann", PASSWORD).await;
    Client::bearer(&gateway, &first.access).get("/").await.refused(401, "INVALID_TOKEN");
    let refresh = Client::anonymous(&gateway).refresh(&first.refresh).await;
    refresh.refused(401, "INVALID_REFRESH_TOKEN");
    for pair in [&second, &third] {
        Client::bearer(&gateway, &pair.access).get("/").await.expect(200);
    }
    let line = audited(&gateway, "session_superseded").await;
    assert_eq!((&line["user"], &line["outcome"]), (&json!("ann"), &json!("success")), "{line}");
    let detail = line["detail"].as_str().expect("which one");
    assert!(detail.strip_prefix("session ").is_some_and(|id| id.len() == 36), "{line}");
    assert_eq!(counted(&gateway, "sessions_superseded").await, 1);
    gateway.wait_for_log(|line| line["reason"] == "session_ended").await;
}

#[tokio::test]
async fn a_key_more_than_an_account_may_have_is_refused_counted_and_audited() {
    let gateway = Gateway::start(&config("keys_per_account = 1")).await;
    gateway.add_user("ann", PASSWORD, &["user"]).await;
    let ann = Client::basic(&gateway, "ann", PASSWORD);
    let make = async || ann.post_json("/api/v1/auth/keys", &json!({ "name": "ci" })).await;
    make().await.expect(201);
    make().await.expect(409);
    let refused = |line: &Value| line["event"] == "key_create" && line["outcome"] == "refused";
    let line = gateway.wait_for_log(refused).await;
    assert_eq!(
        (&line["user"], &line["reason"]),
        (&json!("ann"), &json!("limit_reached")),
        "{line}"
    );
    assert_eq!(counted(&gateway, "limits_reached").await, 1);
}

#[tokio::test]
async fn an_address_makes_so_many_accounts_an_hour_and_others_go_on() {
    let gateway = Gateway::start(&config("registrations = 2")).await;
    let register = async |address: &str, number: u8| {
        let person = json!({
            "email": format!("u{number}@example.com"), "username": format!("u{number}"),
            "full_name": "A User", "password": "password123", "password_confirm": "password123",
        });
        let client = Client::anonymous(&gateway).from_address(address);
        client.post_json("/api/v1/auth/register", &person).await
    };
    register("192.0.2.7", 1).await.expect(201);
    register("192.0.2.7", 1).await.expect(409);
    let refused = register("192.0.2.7", 2).await.expect(429);
    let wait: u64 = refused.field("retry-after").parse().expect("seconds");
    assert!((1..=3_600).contains(&wait), "{wait}");
    register("192.0.2.8", 3).await.expect(201);
    // Nothing has failed: the address signs in as before.
    let client = Client::anonymous(&gateway).from_address("192.0.2.7");
    client.login("u1", "password123").await.expect(200);
    let refused = |line: &Value| line["event"] == "register" && line["outcome"] == "refused";
    let over = |line: &Value| refused(line) && line["reason"] == "registrations_over_limit";
    gateway.wait_for_log(over).await;
    assert_eq!(counted(&gateway, "registrations_over_limit").await, 1);
}
