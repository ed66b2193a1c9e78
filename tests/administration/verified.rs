//! Who vouches for e-mail addresses besides GitHub: operators and administrators.

use serde_json::{Value, json};

use super::{Caller, PASSWORD, id, refusal};
use crate::support::client::{Client, sign_in};
use crate::support::gateway::{ECHO, Gateway};

const OPEN: &str = "[auth]\nregistration = \"open\"\n[limits]\nburst = 10000\n";

async fn register(gateway: &Gateway, name: &str) {
    let email = format!("{name}@example.com");
    let new = json!({ "email": email, "username": name, "password": PASSWORD,
        "password_confirm": PASSWORD, "full_name": "Ann Lee" });
    Client::anonymous(gateway).post_json("/api/v1/auth/register", &new).await.expect(201);
}

async fn is_verified(gateway: &Gateway, name: &str) -> bool {
    let access = sign_in(gateway, name, PASSWORD).await.access;
    let me = Client::bearer(gateway, &access).get("/api/auth/me").await.expect(200).json();
    me["data"]["emailVerified"].as_bool().expect("a word")
}

/// Names of the users whose verification is in the audit log, in its order.
async fn audited(gateway: &Gateway, last: &str) -> Vec<String> {
    let wanted = |line: &Value| line["event"] == "user_verify" && line["user"] == last;
    gateway.wait_for_recent_log(wanted).await;
    let lines = gateway.log_lines();
    let lines = lines.iter().filter(|line| line["event"] == "user_verify");
    lines.map(|line| line["user"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn an_operator_vouches_for_one_address_or_for_all() {
    let gateway = Gateway::start(&format!("{OPEN}{ECHO}")).await;
    for name in ["ann", "bob", "cid"] {
        register(&gateway, name).await;
        assert!(!is_verified(&gateway, name).await, "nobody vouches for {name} yet");
    }
    let said = gateway.manage(&["user", "verify", "ann"], None).await;
    assert_eq!(said, "the e-mail address of ann is verified");
    assert!(is_verified(&gateway, "ann").await && !is_verified(&gateway, "bob").await);
    assert_eq!(audited(&gateway, "ann").await, ["ann"]);
    for verified in ["2", "0"] {
        let said = gateway.manage(&["user", "verify", "--all"], None).await;
        assert_eq!(said, format!("{verified} e-mail addresses verified"));
    }
    assert!(is_verified(&gateway, "bob").await && is_verified(&gateway, "cid").await);
    assert_eq!(audited(&gateway, "cid").await, ["ann", "bob", "cid"]);
}

#[tokio::test]
async fn an_administrator_vouches_for_an_address_and_takes_it_back() {
    let gateway = Gateway::start(&format!("{OPEN}{ECHO}")).await;
    register(&gateway, "ann").await;
    let admin = Caller::admin(&gateway);
    let users = admin.get("/users").await["items"].clone();
    let ann = users.as_array().expect("a list").iter().find(|user| user["username"] == "ann");
    let path = format!("/users/{}", id(ann.expect("registered")));
    for verified in [true, false] {
        let changed = admin.patch(&path, json!({ "email_verified": verified })).await;
        assert_eq!(changed["email_verified"], verified);
        assert_eq!(admin.get(&path).await["email_verified"], verified);
        assert_eq!(is_verified(&gateway, "ann").await, verified);
    }
    let bob = format!("/users/{}", id(&admin.add_user("bob").await));
    let answer = admin.call("PATCH", &bob, json!({ "email_verified": true })).await;
    assert_eq!(refusal(&answer), (404, "EMAIL_NOT_FOUND".into()), "there is no address");
}
