//! More than one credential: nobody guesses which one was meant.

use crate::support::client::{Client, Protocol, basic, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::websocket::{Upstream, open_socket};

const AUTHORIZATION: &str = "authorization";
const API_KEY: &str = "x-api-key";

#[tokio::test]
async fn two_credentials_are_refused_even_when_both_are_right_and_the_same() {
    let gateway = Gateway::start(ECHO).await;
    let bearer = format!("Bearer {}", sign_in_admin(&gateway).await.access);
    let basic = basic(ADMIN, ADMIN_PASSWORD);
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let key_as_bearer = format!("Bearer {key}");
    let right = [
        (AUTHORIZATION, basic.as_str()),
        (AUTHORIZATION, bearer.as_str()),
        (AUTHORIZATION, key_as_bearer.as_str()),
        (API_KEY, key.as_str()),
    ];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let caller = || Client::anonymous(&gateway).protocol(protocol);
        for (name, value) in right {
            caller().with(name, value).get("/").await.expect(200);
        }
        for first in right {
            for second in right {
                let both = caller().with(first.0, first.1).with(second.0, second.1);
                let refusal = both.get("/").await.refusal();
                let expected = (400, "BAD_REQUEST".to_owned());
                assert_eq!(refusal, expected, "{} and {}", first.0, second.0);
            }
        }
    }
}

#[tokio::test]
async fn a_ticket_beside_another_credential_is_refused_and_not_used_up() {
    let upstream = Upstream::start().await;
    let gateway =
        Gateway::start(&format!("[[route]]\nupstream = \"{}\"\nws_token = true\n", upstream.url))
            .await;
    let admin = Client::admin(&gateway);
    let ticket = admin.get("/api/ws-token").await.expect(200).json();
    let path = format!("/?token={}", ticket["token"].as_str().expect("a ticket is text"));
    open_socket(&admin, "/").await.expect(101);
    open_socket(&admin, &path).await.refused(400, "BAD_REQUEST");
    let anonymous = Client::anonymous(&gateway);
    let twice = open_socket(&anonymous, &format!("{path}&token=0")).await;
    twice.refused(400, "BAD_REQUEST");
    open_socket(&anonymous, &path).await.expect(101);
}

/// A broken one of ours beside the right one is still two. What cannot be ours is no
/// credential: `applications` tells what becomes of it.
#[tokio::test]
async fn a_right_credential_beside_a_broken_one_is_refused() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    Client::admin(&gateway).get("/").await.expect(200);
    let half_token = format!("Bearer {}", &token[..token.len() / 2]);
    let half_key = &key[..key.len() / 2];
    for broken in ["Basic", "Basic x", &half_token, &format!("Bearer {half_key}")] {
        let beside_key = Client::api_key(&gateway, &key).with(AUTHORIZATION, broken);
        beside_key.get("/").await.refused(400, "BAD_REQUEST");
    }
    for broken in ["sk_live_", half_key] {
        let beside_basic = Client::admin(&gateway).with(API_KEY, broken);
        beside_basic.get("/").await.refused(400, "BAD_REQUEST");
    }
}
