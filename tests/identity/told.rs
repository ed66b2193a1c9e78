//! What an upstream is told, by every credential and under every set of names.

use crate::support::client::{Client, sign_in};
use crate::support::gateway::Gateway;
use crate::support::token::claim;
use crate::support::upstream::{Upstream, ok};

use super::{AUTHELIA, CUSTOM, GRAFANA, OAUTH2_PROXY, PORTCULLIS, Preset, identity};

/// One user by each credential, and what the upstream then knows.
async fn check_preset(preset: Preset) {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&(upstream.routes() + &preset.config())).await;
    let add = ["user", "add", "alice", "--email", "alice@example.com", "--role", "ops"];
    gateway.manage(&add, Some("alice's password\n")).await;
    let token = sign_in(&gateway, "alice", "alice's password").await.access;
    let (key_id, key) = gateway.create_key("alice", &["deploy", "read"], &[]).await;
    let user_id = claim(&token, "sub");
    let who = [
        ("user_id", user_id.as_str()),
        ("username", "alice"),
        ("email", "alice@example.com"),
        ("roles", "ops"),
    ];
    let callers = [
        (Client::basic(&gateway, "alice", "alice's password"), vec![("scheme", "basic")]),
        (Client::bearer(&gateway, &token), vec![("scheme", "bearer")]),
        (
            Client::api_key(&gateway, &key),
            vec![("scheme", "api-key"), ("key_id", &key_id), ("scopes", "deploy,read")],
        ),
    ];
    for (client, how) in callers {
        for client in [client.clone(), client.h2()] {
            client.get("/app").await.expect(200);
            let received = upstream.next_request().await;
            let said = [&who[..], &how].concat();
            assert_eq!(identity(&received.headers), preset.fields(&said), "{}", preset.name);
            client.get("/open").await.expect(200);
            let received = upstream.next_request().await;
            assert_eq!(identity(&received.headers), [], "nobody was asked to prove anything");
        }
    }
}

#[tokio::test]
async fn an_upstream_learns_who_calls_by_the_names_of_portcullis() {
    check_preset(PORTCULLIS).await;
}

#[tokio::test]
async fn an_upstream_learns_who_calls_by_the_names_of_oauth2_proxy() {
    check_preset(OAUTH2_PROXY).await;
}

#[tokio::test]
async fn an_upstream_learns_who_calls_by_the_names_of_authelia() {
    check_preset(AUTHELIA).await;
}

#[tokio::test]
async fn an_upstream_learns_who_calls_by_the_names_of_grafana() {
    check_preset(GRAFANA).await;
}

#[tokio::test]
async fn an_upstream_learns_who_calls_by_names_of_its_own() {
    check_preset(CUSTOM).await;
}

#[tokio::test]
async fn several_roles_are_one_list_and_what_is_not_known_is_not_said() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    gateway.add_user("bob", "bob's password", &["reader", "ops", "admin"]).await;
    Client::basic(&gateway, "bob", "bob's password").get("/").await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("x-portcullis-roles"), Some("reader,ops,admin"));
    assert_eq!(received.field("x-portcullis-email"), None);
}

#[tokio::test]
async fn a_user_is_named_as_the_account_is_and_not_as_it_was_typed() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    gateway.add_user("alice", "alice's password", &[]).await;
    Client::basic(&gateway, "ALICE", "alice's password").get("/").await.expect(200);
    assert_eq!(upstream.next_request().await.field("x-portcullis-username"), Some("alice"));
}
