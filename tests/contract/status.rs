//! Dialect `status` (S1): Basic or bearer, token pairs, revocation, tickets, limits.

mod bodies;
mod health;
mod limits;
mod password;
mod refresh;
mod ticket;
mod tokens;

use http::StatusCode;
use serde_json::json;

use crate::support::client::{Answer, Client, basic, sign_in, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::raw::raw;

/// S1-01, S1-02, S1-03.
#[tokio::test]
async fn a_protected_route_takes_basic_or_bearer() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    let callers =
        [("basic", Client::admin(&gateway)), ("bearer", Client::bearer(&gateway, &token))];
    for (scheme, caller) in callers {
        let seen = caller.get("/api/things").await.expect(200).json();
        assert_eq!(seen["headers"]["x-portcullis-scheme"], json!([scheme]));
        assert_eq!(seen["headers"]["x-portcullis-username"], json!([ADMIN]));
    }
    let refused = Client::anonymous(&gateway).get("/api/things").await;
    refused.refused(401, "AUTHENTICATION_REQUIRED").assert_challenge();
}

/// S1-04.
#[tokio::test]
async fn health_is_public_and_everything_else_under_api_is_authenticated() {
    let gateway = Gateway::start(ECHO).await;
    let anonymous = Client::anonymous(&gateway);
    for path in ["/health", "/api/health"] {
        anonymous.get(path).await.expect(200);
    }
    for path in ["/api", "/api/", "/api/things", "/api/health/more", "/api/ws-token"] {
        Client::admin(&gateway).get(path).await.expect(200);
        anonymous.get(path).await.refused(401, "AUTHENTICATION_REQUIRED");
    }
    for path in ["/api/logout", "/api/change-password"] {
        anonymous.post(path).await.refused(401, "AUTHENTICATION_REQUIRED");
    }
}

/// S1-05: byte for byte what `curl -u USER:PASS https://localhost:8443/api/…` sends.
#[tokio::test]
async fn the_documented_curl_line_with_basic_works() {
    let gateway = Gateway::start(ECHO).await;
    assert_eq!(curl(&gateway, &basic(ADMIN, ADMIN_PASSWORD)).await.status, StatusCode::OK);
    curl(&gateway, &basic(ADMIN, "another password")).await.refused(401, "INVALID_CREDENTIALS");
}

/// S1-06: `curl -H "Authorization: Bearer $TOKEN" …` after a login.
#[tokio::test]
async fn the_documented_curl_line_with_a_token_works() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    assert_eq!(curl(&gateway, &format!("Bearer {token}")).await.status, StatusCode::OK);
    curl(&gateway, "Bearer $TOKEN").await.refused(401, "INVALID_TOKEN");
}

async fn curl(gateway: &Gateway, authorization: &str) -> Answer {
    let mut stream = raw(gateway).await;
    let port = gateway.address().port();
    let request = format!(
        "GET /api/things HTTP/1.1\r\nHost: localhost:{port}\r\n\
         Authorization: {authorization}\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n"
    );
    stream.send(request).await;
    stream.read_response().await
}

/// S1-07, S1-08.
#[tokio::test]
async fn login_answers_exactly_a_pair_of_tokens() {
    let gateway = Gateway::start(ECHO).await;
    for client in [Client::anonymous(&gateway), Client::anonymous(&gateway).h2()] {
        let answer = client.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
        assert_eq!(answer.field("content-type"), "application/json");
        let body = answer.json();
        let pair = answer.pair();
        let expected = json!({
            "status": "success",
            "access_token": pair.access,
            "refresh_token": pair.refresh,
            "token_type": "Bearer",
        });
        assert_eq!(body, expected);
        assert_ne!(pair.access, pair.refresh);
    }
}

/// S1-07: what is not validated gets no pair, and no hint at what was wrong.
#[tokio::test]
async fn a_wrong_login_gets_one_answer_whatever_was_wrong() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("disabled", "a password of hers", &[]).await;
    sign_in(&gateway, "disabled", "a password of hers").await;
    gateway.manage(&["user", "disable", "disabled"], None).await;
    let long = "p".repeat(73);
    let mut bodies = Vec::new();
    for (name, password) in [
        (ADMIN, "wrong password"),
        (ADMIN, ""),
        (ADMIN, long.as_str()),
        (ADMIN, "nul\0in the middle"),
        ("nobody", ADMIN_PASSWORD),
        ("", ADMIN_PASSWORD),
        ("disabled", "a password of hers"),
    ] {
        let answer = Client::anonymous(&gateway).login(name, password).await;
        bodies.push(answer.refused(401, "INVALID_CREDENTIALS").body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}
