//! HTTP Basic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::{Client, basic, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

const USER: &str = "Grace.Hopper";
const PASSWORD: &str = "pass: word; with, \"signs\" & ümlauts";

#[tokio::test]
async fn a_right_name_and_password_are_accepted_in_every_spelling_of_the_scheme() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user(USER, PASSWORD, &[]).await;
    for (name, password) in [(ADMIN, ADMIN_PASSWORD), (USER, PASSWORD), ("grace.hopper", PASSWORD)]
    {
        let value = basic(name, password);
        for scheme in ["Basic", "basic", "BASIC"] {
            let value = value.replacen("Basic", scheme, 1);
            let answer = Client::anonymous(&gateway).with("authorization", &value).get("/").await;
            assert_eq!(answer.status, 200, "{name} by {scheme}");
        }
    }
}

#[tokio::test]
async fn a_missing_basic_credential_is_asked_for() {
    let gateway = Gateway::start(ECHO).await;
    Client::admin(&gateway).get("/").await.expect(200);
    let answer = Client::anonymous(&gateway).get("/").await;
    answer.refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn what_is_malformed_wrong_or_another_schemes_is_no_basic_credential() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    Client::admin(&gateway).get("/").await.expect(200);
    let right = STANDARD.encode(format!("{ADMIN}:{ADMIN_PASSWORD}"));
    let encoded = |bytes: &[u8]| format!("Basic {}", STANDARD.encode(bytes));
    for (case, value) in [
        ("an access token", format!("Basic {}", pair.access)),
        ("an access token as the password", basic(ADMIN, &pair.access)),
        ("an API key", format!("Basic {key}")),
        ("an API key as the user name of a password", basic(&key, ADMIN_PASSWORD)),
        ("an API key with more behind it", basic(ADMIN, &format!("{key}0"))),
        ("not encoded", format!("Basic {ADMIN}:{ADMIN_PASSWORD}")),
        ("not base64", "Basic !!!".to_owned()),
        ("half a character", format!("Basic {}", &right[..right.len() - 3])),
        ("two credentials in one", format!("Basic {right} {right}")),
        ("a list", format!("Basic {right}, Basic {right}")),
        ("a parameter", format!("Basic {right}; charset=UTF-8")),
        ("without a colon", encoded(ADMIN.as_bytes())),
        ("empty name and password", encoded(b":")),
        ("an empty name", basic("", ADMIN_PASSWORD)),
        ("an empty password", basic(ADMIN, "")),
        ("a wrong password", basic(ADMIN, "not the password")),
        ("another case", basic(ADMIN, &ADMIN_PASSWORD.to_uppercase())),
        ("a space more", basic(ADMIN, &format!("{ADMIN_PASSWORD} "))),
        ("a NUL and more", basic(ADMIN, &format!("{ADMIN_PASSWORD}\0more"))),
        ("a line end", basic(ADMIN, &format!("{ADMIN_PASSWORD}\n"))),
        ("more than bcrypt reads", basic(ADMIN, &"p".repeat(73))),
        ("an unknown user", basic("nobody", ADMIN_PASSWORD)),
        ("not UTF-8", encoded(b"admin:\xff\xfe")),
    ] {
        let answer = Client::anonymous(&gateway).with("authorization", &value).get("/").await;
        assert_eq!(answer.refusal(), (401, "INVALID_CREDENTIALS".to_owned()), "{case}");
        answer.assert_challenge();
    }
}

#[tokio::test]
async fn an_unknown_scheme_opens_nothing() {
    let gateway = Gateway::start(ECHO).await;
    Client::admin(&gateway).get("/").await.expect(200);
    for value in ["Digest username=\"admin\"", "Negotiate YII=", "Basic", "Bearer", "", "x"] {
        let answer = Client::anonymous(&gateway).with("authorization", value).get("/").await;
        assert_eq!(answer.refusal().0, 401, "{value:?}");
    }
}

/// Expired, for a password, is replaced; the proof from memory must not outlive it.
#[tokio::test]
async fn a_replaced_password_is_refused_at_once() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user(USER, PASSWORD, &[]).await;
    let before = Client::basic(&gateway, USER, PASSWORD);
    before.get("/").await.expect(200);
    gateway.manage(&["user", "passwd", USER], Some("another password\n")).await;
    before.get("/").await.refused(401, "INVALID_CREDENTIALS");
    Client::basic(&gateway, USER, "another password").get("/").await.expect(200);
}

#[tokio::test]
async fn a_disabled_user_is_refused_until_enabled() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user(USER, PASSWORD, &[]).await;
    let caller = Client::basic(&gateway, USER, PASSWORD);
    caller.get("/").await.expect(200);
    gateway.manage(&["user", "disable", USER], None).await;
    caller.get("/").await.refused(401, "INVALID_CREDENTIALS");
    gateway.manage(&["user", "enable", USER], None).await;
    caller.get("/").await.expect(200);
}
