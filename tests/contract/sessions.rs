//! Ends of sessions, and what is open under them (S3-11, S2-20).

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::tunnel::Tunnel;

const LOGIN: &str = "/api/v1/auth/login";
const LOGOUT: &str = "/api/v1/auth/logout";

async fn plain_login(gateway: &Gateway) -> (String, String) {
    let body = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
    let answer = Client::anonymous(gateway).post_json(LOGIN, &body).await.expect(200).json();
    let text = |member: &str| answer[member].as_str().expect("a token").to_owned();
    (text("token"), text("refreshToken"))
}

#[tokio::test]
async fn a_logout_of_a_session_ends_every_token_and_socket_of_it_and_no_other() {
    let gateway = Gateway::start(ECHO).await;
    let (token, refresh) = plain_login(&gateway).await;
    let (staying, _) = plain_login(&gateway).await;
    // A second access token of the same session, through another contract.
    let sibling = Client::anonymous(&gateway)
        .post_json("/api/v1/auth/refresh", &json!({ "refresh_token": refresh }))
        .await
        .expect(200)
        .json();
    let sibling = sibling["access_token"].as_str().expect("a token").to_owned();
    let open = async |token: &str| {
        let authorization = format!("Bearer {token}");
        Tunnel::opened(&gateway, "/socket", &[("authorization", &authorization)]).await
    };
    let (mut ends, mut ends_too, mut stays) =
        (open(&token).await, open(&sibling).await, open(&staying).await);
    for socket in [&mut ends, &mut ends_too, &mut stays] {
        socket.check_open().await;
    }
    let answer = Client::bearer(&gateway, &token).post(LOGOUT).await.expect(200);
    assert_eq!(answer.json(), json!({ "message": "Successfully logged out" }));
    assert_eq!(ends.closed().await, Some(4401));
    assert_eq!(ends_too.closed().await, Some(4401));
    stays.check_open().await;
    for ended in [&token, &sibling] {
        Client::bearer(&gateway, ended).get("/").await.expect(401);
        let again = Client::bearer(&gateway, ended).post(LOGOUT).await.expect(401);
        assert_eq!(again.json(), json!({ "error": "Authentication required" }));
    }
    for body in [json!({ "refreshToken": refresh }), json!({ "refresh_token": refresh })] {
        let answer = Client::anonymous(&gateway).post_json("/api/v1/auth/refresh", &body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    }
}

#[tokio::test]
async fn only_a_session_can_be_logged_out_or_renewed_by_its_token() {
    let gateway = Gateway::start(ECHO).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    for client in [Client::admin(&gateway), Client::api_key(&gateway, &key)] {
        let refused = client.post(LOGOUT).await.expect(401).json();
        assert_eq!(refused, json!({ "error": "Authentication required" }));
        let refused = client.post("/api/auth/refresh").await.expect(401).json();
        assert_eq!(refused["error"]["code"], "AUTHENTICATION_REQUIRED");
    }
}

/// However often a bearer token is issued anew, it ends with the session.
#[tokio::test]
async fn a_token_that_is_issued_anew_does_not_outlive_its_session() {
    let gateway = Gateway::start(&format!("[auth]\nrefresh_ttl = \"3s\"\n{ECHO}")).await;
    let body = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
    let answer = Client::anonymous(&gateway).post_json(LOGIN, &body).await.expect(200).json();
    let mut token = answer["token"].as_str().expect("a token").to_owned();
    eventually("the session to end", async || {
        let answer = Client::bearer(&gateway, &token).post("/api/auth/refresh").await;
        if answer.status == StatusCode::OK {
            let body: Value = answer.json();
            body["data"]["token"].as_str().expect("a token").clone_into(&mut token);
            return None;
        }
        Some(answer.expect(401))
    })
    .await;
}
