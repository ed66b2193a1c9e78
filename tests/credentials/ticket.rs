//! Tickets in the query of a WebSocket upgrade.

use serde_json::json;

use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::websocket::{Upstream, open_socket};

const USER: &str = "grace";
const PASSWORD: &str = "a password of hers";

async fn start(upstream: &Upstream) -> Gateway {
    let url = &upstream.url;
    let route = format!("[[route]]\nupstream = \"{url}\"\nws_token = true\n");
    let gateway = Gateway::start(&route).await;
    gateway.add_user(USER, PASSWORD, &[]).await;
    gateway
}

/// A ticket in its place.
async fn socket_path(client: &Client) -> String {
    let answer = client.get("/api/ws-token").await.expect(200).json();
    format!("/logs?token={}", answer["token"].as_str().expect("a ticket is text"))
}

#[tokio::test]
async fn a_missing_ticket_is_asked_for() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let path = socket_path(&Client::admin(&gateway)).await;
    open_socket(&Client::anonymous(&gateway), &path).await.expect(101);
    for path in ["/logs", "/logs?tok=1", "/logs?Token=1"] {
        let answer = open_socket(&Client::anonymous(&gateway), path).await;
        assert_eq!(answer.refusal(), (401, "AUTHENTICATION_REQUIRED".to_owned()), "{path}");
    }
}

/// A socket needs no ticket from who can send a field.
#[tokio::test]
async fn every_other_credential_opens_the_socket_too() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    for caller in
        [Client::admin(&gateway), Client::bearer(&gateway, &token), Client::api_key(&gateway, &key)]
    {
        open_socket(&caller, "/logs").await.expect(101);
    }
}

#[tokio::test]
async fn what_is_malformed_or_another_schemes_is_no_ticket() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let pair = sign_in_admin(&gateway).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let path = socket_path(&Client::admin(&gateway)).await;
    for (case, text) in [
        ("an access token", format!("/logs?token={}", pair.access)),
        ("a refresh token", format!("/logs?token={}", pair.refresh)),
        ("an API key", format!("/logs?token={key}")),
        ("nothing", "/logs?token=".to_owned()),
        ("no ticket", "/logs?token=abc".to_owned()),
        ("one character less", path[..path.len() - 1].to_owned()),
        ("one character more", format!("{path}0")),
        ("never issued", format!("/logs?token={}", "0".repeat(64))),
    ] {
        let answer = open_socket(&Client::anonymous(&gateway), &text).await;
        assert_eq!(answer.refusal(), (401, "INVALID_CREDENTIALS".to_owned()), "{case}");
    }
    open_socket(&Client::anonymous(&gateway), &path).await.expect(101);
}

/// A ticket ends with what it was asked with: the token, the password, the user.
#[tokio::test]
async fn a_ticket_ends_with_its_credential() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let password = json!({ "current_password": PASSWORD, "new_password": "another password" });

    let session = Client::bearer(&gateway, &sign_in(&gateway, USER, PASSWORD).await.access);
    assert_ends(&gateway, &session, "logout", async || {
        session.post("/api/logout").await.expect(200);
    })
    .await;
    let basic = Client::basic(&gateway, USER, PASSWORD);
    assert_ends(&gateway, &basic, "a new password", async || {
        basic.post_json("/api/change-password", &password).await.expect(200);
    })
    .await;
    let basic = Client::basic(&gateway, USER, "another password");
    assert_ends(&gateway, &basic, "disabling and enabling", async || {
        gateway.manage(&["user", "disable", USER], None).await;
        gateway.manage(&["user", "enable", USER], None).await;
    })
    .await;
}

/// Proves one ticket of the caller, ends the credential, and tries another.
async fn assert_ends(gateway: &Gateway, caller: &Client, by: &str, end: impl AsyncFnOnce()) {
    let proof = socket_path(caller).await;
    let late = socket_path(caller).await;
    open_socket(&Client::anonymous(gateway), &proof).await.expect(101);
    end().await;
    let answer = open_socket(&Client::anonymous(gateway), &late).await;
    assert_eq!(answer.refusal(), (401, "INVALID_CREDENTIALS".to_owned()), "ended by {by}");
}
