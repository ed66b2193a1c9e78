//! What is in the tokens, how long they live, and logging out.

use crate::support::client::{Client, sign_in_admin};
use crate::support::gateway::{ECHO, Gateway, SECRET_KEY};
use crate::support::token::{HEADER, claim, encode, is_signed_with, lifetime, parts};

const HOUR: u64 = 3_600;

/// S1-09.
#[tokio::test]
async fn the_access_lifetime_comes_from_the_file_the_environment_or_is_eight_hours() {
    let in_file = format!("[dialect.status]\naccess_ttl = \"5m\"\n{ECHO}");
    for (config, variable, seconds) in [
        (ECHO, None, 8 * HOUR),
        (ECHO, Some("30m"), HOUR / 2),
        (ECHO, Some("2h"), 2 * HOUR),
        (ECHO, Some("90"), 90),
        (&in_file, None, 300),
        (&in_file, Some("30m"), 300),
    ] {
        let mut builder = Gateway::builder().config(config);
        if let Some(duration) = variable {
            builder = builder.env("JWT_EXPIRE_DURATION", duration);
        }
        let gateway = builder.start().await;
        let pair = sign_in_admin(&gateway).await;
        assert_eq!(lifetime(&pair.access), seconds, "JWT_EXPIRE_DURATION={variable:?}, {config}");
        let renewed = Client::anonymous(&gateway).refresh(&pair.refresh).await.pair();
        assert_eq!(lifetime(&renewed.access), seconds, "renewed");
    }
}

/// S1-10, S1-11, S1-12, S1-13.
#[tokio::test]
async fn both_tokens_are_hs256_under_the_secret_key_and_say_what_they_are() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    for (token, kind) in [(&pair.access, "access"), (&pair.refresh, "refresh")] {
        assert!(token.starts_with("eyJhbGciOi"), "{token}");
        assert_eq!(parts(token)[0], encode(HEADER));
        assert!(is_signed_with(token, SECRET_KEY), "{token}");
        assert_eq!(claim(token, "type"), kind);
    }
    assert_eq!(lifetime(&pair.refresh), 7 * 24 * HOUR);
    assert_eq!(claim(&pair.access, "sub"), claim(&pair.refresh, "sub"));
    assert_eq!(claim(&pair.access, "sid"), claim(&pair.refresh, "sid"));
    assert_ne!(claim(&pair.access, "jti"), claim(&pair.refresh, "jti"));
}

/// S1-14.
#[tokio::test]
async fn a_refresh_token_is_refused_on_protected_routes() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    for path in ["/", "/api/things", "/api/ws-token"] {
        Client::bearer(&gateway, &pair.access).get(path).await.expect(200);
        let answer = Client::bearer(&gateway, &pair.refresh).get(path).await;
        answer.refused(401, "INVALID_TOKEN").assert_token_challenge();
    }
    let logout = Client::bearer(&gateway, &pair.refresh).post("/api/logout").await;
    logout.refused(401, "INVALID_TOKEN");
}

/// S1-16, S1-17.
#[tokio::test]
async fn logout_ends_the_token_it_was_called_with_and_no_other() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    let other = sign_in_admin(&gateway).await;
    let caller = Client::bearer(&gateway, &pair.access);
    caller.get("/").await.expect(200);

    let answer = caller.post("/api/logout").await.expect(200);
    assert_eq!(answer.json(), serde_json::json!({ "status": "success" }));

    for path in ["/", "/api/things", "/api/ws-token"] {
        caller.get(path).await.refused(401, "INVALID_TOKEN");
    }
    caller.post("/api/logout").await.refused(401, "INVALID_TOKEN");
    Client::bearer(&gateway, &other.access).get("/").await.expect(200);
    let renewed = Client::anonymous(&gateway).refresh(&pair.refresh).await.pair();
    Client::bearer(&gateway, &renewed.access).get("/").await.expect(200);
}

/// S1-18: the answer is a promise, whatever becomes of the process after it.
#[tokio::test]
async fn a_revocation_outlives_the_process() {
    let mut gateway = Gateway::start(ECHO).await;
    let ended = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access);
    let going_on = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access);
    ended.post("/api/logout").await.expect(200);
    gateway.kill();
    for how in ["after SIGKILL", "after SIGTERM"] {
        gateway.restart().await;
        assert_eq!(going_on.clone().at(&gateway).get("/").await.status, 200, "{how}");
        let answer = ended.clone().at(&gateway).get("/").await;
        assert_eq!(answer.refusal(), (401, "INVALID_TOKEN".to_owned()), "{how}");
    }
}

/// S1-19.
#[tokio::test]
async fn logout_with_basic_succeeds_and_changes_nothing() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    let basic = Client::admin(&gateway);

    let answer = basic.post("/api/logout").await.expect(200);
    assert_eq!(answer.json(), serde_json::json!({ "status": "success" }));

    basic.get("/").await.expect(200);
    Client::bearer(&gateway, &pair.access).get("/").await.expect(200);
    Client::anonymous(&gateway).refresh(&pair.refresh).await.expect(200);
}
