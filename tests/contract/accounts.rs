//! Accounts as the contracts make and show them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::client::{Client, sign_in};
use crate::support::gateway::{ECHO, Gateway};

fn open() -> String {
    format!("[auth]\nregistration = \"open\"\nhash_queue = 4096\n{ECHO}")
}

fn form(email: &str, username: &str) -> Value {
    json!({ "email": email, "username": username, "password": "password123",
        "password_confirm": "password123", "full_name": "Full Name" })
}

fn envelope(email: &str) -> Value {
    json!({ "email": email, "firstName": "Jane", "lastName": "Smith", "password": "SecurePass1@" })
}

const FORM: &str = "/api/v1/auth/register";
const ENVELOPE: &str = "/api/auth/register";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_registrations_of_one_address_at_once_one_wins() {
    let gateway = Gateway::start(&open()).await;
    let mut registrations = JoinSet::new();
    for number in 0..1_000 {
        // Each from an address of its own; both contracts, one account store.
        let client = Client::anonymous(&gateway);
        registrations.spawn(async move {
            let answer = if number % 2 == 0 {
                client.post_json(FORM, &form("One@Example.com", &format!("u{number}"))).await
            } else {
                client.post_json(ENVELOPE, &envelope("one@example.com")).await
            };
            answer.status.as_u16()
        });
    }
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for status in registrations.join_all().await {
        *counts.entry(status).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([(201, 1), (409, 999)]));
}

/// C9.
#[tokio::test]
async fn what_one_contract_registers_the_others_know() {
    let gateway = Gateway::start(&open()).await;
    let client = Client::anonymous(&gateway);
    client.post_json(FORM, &form("user@example.com", "username")).await.expect(201);
    client.post_json(ENVELOPE, &envelope("jane@example.com")).await.expect(201);
    // By either name, in each contract.
    for name in ["username", "user@example.com", "USER@example.com"] {
        let access = sign_in(&gateway, name, "password123").await.access;
        let me = Client::bearer(&gateway, &access).get("/api/auth/me").await.expect(200).json();
        assert_eq!(me["data"]["firstName"], "Full");
        assert_eq!(me["data"]["lastName"], "Name");
        assert_eq!(me["data"]["email"], "user@example.com");
        assert_eq!(me["data"]["avatarUrl"], Value::Null);
        assert_eq!(me["data"]["emailVerified"], false, "nobody vouches for it yet");
    }
    let plain = json!({ "username": "jane@example.com", "password": "SecurePass1@" });
    let user = client.post_json("/api/v1/auth/login", &plain).await.expect(200).json();
    assert_eq!(user["user"]["username"], "jane@example.com");
    assert_eq!(user["user"]["email"], "jane@example.com");
}

#[tokio::test]
async fn nobody_waits_under_the_address_of_somebody_else() {
    let gateway = Gateway::start(&open()).await;
    let client = Client::anonymous(&gateway);
    let squatter = form("mallory@example.com", "victim@example.com");
    let refused = client.post_json(FORM, &squatter).await.expect(422).json();
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("own")), "{refused}");
    client.post_json(ENVELOPE, &envelope("victim@example.com")).await.expect(201);
    client.post_json(FORM, &form("own@example.com", "own@example.com")).await.expect(201);
}

#[tokio::test]
async fn names_that_break_their_rule_are_refused_with_its_words() {
    let gateway = Gateway::start(&open()).await;
    let client = Client::anonymous(&gateway);
    for email in ["", "plain", "a@b", "a b@example.com", "@example.com", "a@", "ä@example.com"] {
        let answer = client.post_json(ENVELOPE, &envelope(email)).await;
        assert_eq!(answer.status, 422, "{email:?}");
        assert_eq!(answer.json()["error"]["code"], "EMAIL_NOT_ACCEPTABLE", "{email:?}");
    }
    for username in ["", "a:b", "a,b", "a/b", "ä", "a b"] {
        let answer = client.post_json(FORM, &form("fine@example.com", username)).await;
        assert_eq!(answer.status, 422, "{username:?}");
    }
    let nameless = json!({ "email": "fine@example.com", "firstName": " ", "lastName": "L",
        "password": "SecurePass1@" });
    let answer = client.post_json(ENVELOPE, &nameless).await.expect(422).json();
    assert_eq!(answer["error"]["code"], "NAME_NOT_ACCEPTABLE");
    let control = json!({ "email": "fine@example.com", "firstName": "a\u{7}", "lastName": "L",
        "password": "SecurePass1@" });
    client.post_json(ENVELOPE, &control).await.expect(422);
}
