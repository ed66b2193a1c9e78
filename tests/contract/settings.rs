//! What an operator can set about the contracts.

use http::Method;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, request, typed_request};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

/// With what the quick start opens.
fn open(more: &str) -> String {
    format!("{more}\n[auth]\nregistration = \"open\"\n{ECHO}")
}

async fn form_login(client: &Client, path: &str, name: &str, password: &str) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("username", name)
        .append_pair("password", password)
        .finish();
    client.request(typed_request(path, "application/x-www-form-urlencoded", body)).await
}

fn plain_login(name: &str, password: &str) -> Value {
    json!({ "username": name, "password": password })
}

#[tokio::test]
async fn a_moved_contract_answers_below_its_prefix_and_nowhere_else() {
    let config = "[dialect.plain]\nprefix = \"/plain\"\n[dialect.envelope]\nprefix = \"/v2/api\"";
    let gateway = Gateway::start(&open(config)).await;
    let client = Client::anonymous(&gateway);
    let right = plain_login(ADMIN, ADMIN_PASSWORD);
    let answer = client.post_json("/plain/auth/login", &right).await.expect(200);
    assert_eq!(answer.json()["expires_in"], 3600);
    client.get("/v2/api/auth/providers").await.expect(200);
    // Where it was, `form` is alone now.
    let alone = client.post_json("/api/v1/auth/login", &right).await.expect(415).json();
    assert!(alone["detail"].is_string(), "{alone}");
    let gone = client.get("/api/auth/providers").await;
    gone.refused(401, "AUTHENTICATION_REQUIRED");
    // Refusals follow the prefix, too.
    for (path, member) in [("/plain/x", "error"), ("/api/v1/x", "detail"), ("/v2/api/x", "success")]
    {
        let refusal = client.get(path).await.expect(401).json();
        assert!(!refusal[member].is_null(), "{path}: {refusal}");
        assert!(refusal["status"].is_null(), "{path}: {refusal}");
    }
}

#[tokio::test]
async fn a_contract_that_is_switched_off_leaves_its_paths_to_the_routes() {
    let off = ["form", "envelope", "plain"]
        .map(|name| format!("[dialect.{name}]\nenabled = false\n"))
        .concat();
    let gateway = Gateway::start(&open(&off)).await;
    let admin = Client::admin(&gateway);
    for (method, path) in [
        (Method::POST, "/api/v1/auth/login"),
        (Method::POST, "/api/v1/auth/register"),
        (Method::GET, "/api/v1/auth/keys"),
        (Method::GET, "/api/auth/me"),
        (Method::GET, "/api/auth/providers"),
    ] {
        let seen = admin.request(request(method, path)).await.expect(200).json();
        assert_eq!(seen["path"], path, "the upstream answers");
    }
    let refused = Client::anonymous(&gateway).get("/api/v1/servers").await;
    refused.refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn without_keys_the_contract_has_no_endpoints_for_them() {
    let gateway = Gateway::start(&open("[dialect.plain]\nkeys = false")).await;
    let admin = Client::admin(&gateway);
    let seen = admin.post_json("/api/v1/auth/keys", &json!({})).await.expect(200).json();
    assert_eq!(seen["path"], "/api/v1/auth/keys", "the upstream answers");
    let keys = gateway.manage(&["key", "list", "--format", "json"], None).await;
    assert_eq!(keys.trim(), "[]");
}

/// S3-06, S3-07, C11.
#[tokio::test]
async fn whether_a_user_exists_is_told_only_where_the_operator_wants_it() {
    for (setting, expected) in [("false", "Invalid credentials"), ("true", "User not found")] {
        let config = format!("[dialect.plain]\nreveal_unknown_user = {setting}");
        let gateway = Gateway::start(&open(&config)).await;
        let path = "/api/v1/auth/login";
        let login = async |name, password| {
            Client::anonymous(&gateway).post_json(path, &plain_login(name, password)).await
        };
        let unknown = login("nobody", ADMIN_PASSWORD).await.expect(401).json();
        assert_eq!(unknown, json!({ "error": expected }));
        let wrong = login(ADMIN, "not the password").await.expect(401).json();
        assert_eq!(wrong, json!({ "error": "Invalid credentials" }));
        // Nobody else tells, whatever this contract does.
        let client = Client::anonymous(&gateway);
        let others = [
            form_login(&client, path, "nobody", ADMIN_PASSWORD).await,
            client.login("nobody", ADMIN_PASSWORD).await,
            Client::basic(&gateway, "nobody", ADMIN_PASSWORD).get("/").await,
        ];
        for answer in others {
            let text = answer.expect(401).json().to_string();
            assert!(text.contains("Invalid credentials"), "{text}");
        }
    }
}

/// S2-09, S2-13, S2-16.
#[tokio::test]
async fn without_local_accounts_no_password_signs_in() {
    let config = open("").replace("[auth]", "[auth]\nlocal_accounts = false");
    let gateway = Gateway::start(&config).await;
    let client = Client::anonymous(&gateway);
    let path = "/api/auth/login";
    let answer = client.post_json(path, &json!({ "email": "a@b.example", "password": "x" })).await;
    let body = answer.expect(403).json();
    assert_eq!(body["error"]["code"], "LOCAL_AUTH_DISABLED");
    assert_eq!(body["success"], false);
    client.login(ADMIN, ADMIN_PASSWORD).await.refused(403, "LOCAL_AUTH_DISABLED");
    Client::admin(&gateway).get("/").await.refused(403, "LOCAL_AUTH_DISABLED");
    let providers = client.get("/api/auth/providers").await.expect(200).json();
    assert_eq!(providers["data"], json!({ "local": false, "login": false, "github": false }));
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    Client::api_key(&gateway, &key).get("/").await.expect(200);
}

#[tokio::test]
async fn nobody_registers_unless_the_operator_opens_it() {
    let gateway = Gateway::start(ECHO).await;
    let client = Client::anonymous(&gateway);
    let envelope = json!({ "email": "ann@example.com", "firstName": "Ann", "lastName": "Lee",
        "password": "SecurePass1@" });
    let refused = client.post_json("/api/auth/register", &envelope).await.expect(403).json();
    assert_eq!(refused["error"]["code"], "LOCAL_AUTH_DISABLED");
    let form = json!({ "email": "ann@example.com", "username": "ann", "password": "password123",
        "password_confirm": "password123", "full_name": "Ann Lee" });
    let refused = client.post_json("/api/v1/auth/register", &form).await.expect(403).json();
    assert_eq!(refused, json!({ "detail": "Registration is closed here" }));
    let users = gateway.manage(&["user", "list", "--format", "json"], None).await;
    let users: Value = serde_json::from_str(&users).expect("a list");
    assert_eq!(users.as_array().map(Vec::len), Some(1), "{users}");
}

/// C10.
#[tokio::test]
async fn each_contract_has_its_own_password_rule_above_the_floor() {
    let gateway = Gateway::start(&open("[dialect.form]\nrequire_special = true")).await;
    let client = Client::anonymous(&gateway);
    for (number, (password, status)) in [
        ("password123", 422),
        ("pass word 123", 422),
        ("short1!", 422),
        (&*format!("{}!", "x".repeat(72)), 422),
        ("password123!", 201),
        ("pässwörd123¡", 201),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "email": format!("u{number}@example.com"), "password": password,
            "username": format!("u{number}"), "password_confirm": password, "full_name": "U" });
        let answer = client.post_json("/api/v1/auth/register", &body).await;
        assert_eq!(answer.status, status, "{password}: {answer:?}");
    }
}

#[tokio::test]
async fn the_admin_api_can_be_moved_and_switched_off() {
    let users = |prefix: &str| format!("{prefix}/users");
    let moved = Gateway::start(&open("[admin]\nprefix = \"/gate\"")).await;
    let admin = Client::admin(&moved);
    assert!(admin.get(&users("/gate")).await.expect(200).json()["items"].is_array());
    let seen = admin.get(&users("/api/admin")).await.expect(200).json();
    assert_eq!(seen["path"], users("/api/admin"), "the upstream answers");
    let off = Gateway::start(&open("[admin]\nenabled = false")).await;
    let seen = Client::admin(&off).get(&users("/api/admin")).await.expect(200).json();
    assert_eq!(seen["path"], users("/api/admin"), "the upstream answers");
}
