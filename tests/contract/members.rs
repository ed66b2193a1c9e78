//! The members of bodies: further ones are ignored, an error names the member.

use serde_json::{Value, json};

use crate::support::client::{Client, sign_in_admin, typed_request};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

const FORM: &str = "application/x-www-form-urlencoded";

fn config() -> String {
    format!("[auth]\nregistration = \"open\"\n{ECHO}")
}

/// Clients send what they know of a sign-in, whether or not it is documented.
#[tokio::test]
async fn bodies_with_further_members_are_taken() {
    let gateway = Gateway::start(&config()).await;
    let client = Client::anonymous(&gateway);
    let pair = sign_in_admin(&gateway).await;
    let more = json!({ "remember": true, "device_name": ["a", {}], "expires_at": null });
    let with = |mut body: Value| {
        let members = body.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        body
    };
    for (path, body, status) in [
        ("/api/auth/login", json!({ "username": ADMIN, "password": ADMIN_PASSWORD }), 200),
        ("/api/v1/auth/login", json!({ "username": ADMIN, "password": ADMIN_PASSWORD }), 200),
        ("/api/auth/refresh", json!({ "refresh_token": pair.refresh }), 200),
        (
            "/api/auth/register",
            json!({ "email": "a@example.com", "firstName": "A", "lastName": "B",
                    "password": "a password!" }),
            201,
        ),
        (
            "/api/v1/auth/register",
            json!({ "email": "b@example.com", "username": "bea", "full_name": "B",
                    "password": "a password!", "password_confirm": "a password!" }),
            201,
        ),
    ] {
        client.post_json(path, &with(body)).await.expect(status);
    }
    let fields = format!("grant_type=password&username={ADMIN}&password={ADMIN_PASSWORD}&device=a");
    client.request(typed_request("/api/v1/auth/login", FORM, fields)).await.expect(200);
    // The members that tell contracts apart still do (C3).
    let both = json!({ "username": ADMIN, "email": "a@example.com", "password": ADMIN_PASSWORD });
    let refused = client.post_json("/api/auth/login", &both).await.expect(400).json();
    assert_eq!(refused["status"], "error", "the path's default contract refuses: {refused}");
}

#[tokio::test]
async fn an_error_names_the_member_and_repeats_no_value() {
    let gateway = Gateway::start(&config()).await;
    let client = Client::anonymous(&gateway);
    let secret = "s3cret of somebody";
    for (path, body, at, problem) in [
        ("/api/auth/login", json!({ "username": secret }), "/error", "\"password\" is missing"),
        (
            "/api/auth/login",
            json!({ "email": secret, "password": 7 }),
            "/error/message",
            "\"password\" must be a string",
        ),
        ("/api/v1/auth/login", json!({ "password": secret }), "/error", "\"username\" is missing"),
        (
            "/api/v1/auth/register",
            json!({ "email": null, "password": secret, "password_confirm": secret }),
            "/detail",
            "\"email\" must be a string",
        ),
    ] {
        let refused = client.post_json(path, &body).await.expect(400).json();
        let said = refused.pointer(at).and_then(Value::as_str).expect("words");
        assert!(said.contains(problem), "{path}: {said}");
        assert!(!refused.to_string().contains(secret), "{refused}");
    }
    let twice = format!("username=a&username=b&password={secret}");
    let refused = client.request(typed_request("/api/v1/auth/login", FORM, twice)).await;
    let said = refused.expect(400).json().to_string();
    assert!(said.contains("username") && said.contains("more than once"), "{said}");
}

/// What an operator writes means something: a member that is passed over could be a role.
#[tokio::test]
async fn the_admin_api_refuses_members_that_it_does_not_take() {
    let gateway = Gateway::start(ECHO).await;
    let body = json!({ "username": "ann", "password": "a password of hers", "role": "admin" });
    let refused = Client::admin(&gateway).post_json("/api/admin/users", &body).await.expect(400);
    let said = refused.json()["error"]["message"].clone();
    assert!(said.as_str().is_some_and(|said| said.contains("roles")), "{said}");
}

#[tokio::test]
async fn an_account_without_an_address_shows_null() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("ann", "a password of hers", &[]).await;
    let client = Client::basic(&gateway, "ann", "a password of hers");
    let me = client.get("/api/auth/me").await.expect(200).json();
    assert_eq!(me["data"]["email"], Value::Null);
    let body = json!({ "username": "ann", "password": "a password of hers" });
    let plain = client.post_json("/api/v1/auth/login", &body).await.expect(200).json();
    assert_eq!(plain["user"]["email"], Value::Null);
    let token = plain["token"].as_str().expect("a token");
    let renewed = Client::bearer(&gateway, token).post("/api/auth/refresh").await.expect(200);
    assert_eq!(renewed.json()["data"]["user"]["email"], Value::Null);
}
