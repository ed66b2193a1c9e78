//! Tickets: what stands in for a credential when a browser opens a WebSocket.

use serde_json::json;

use crate::support::client::{Client, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ECHO, Gateway};
use crate::support::websocket::{Upstream, open_socket};

/// The log stream takes tickets, the other socket does not.
fn config(upstream: &Upstream, more: &str) -> String {
    let url = &upstream.url;
    format!(
        "{more}{ECHO}\
         [[route]]\npath = \"/logs\"\nupstream = \"{url}\"\nws_token = true\n\
         [[route]]\npath = \"/other\"\nupstream = \"{url}\"\n"
    )
}

async fn ticket(client: &Client) -> String {
    let answer = client.get("/api/ws-token").await.expect(200).json();
    answer["token"].as_str().expect("a ticket is text").to_owned()
}

/// S1-24.
#[tokio::test]
async fn a_ticket_is_given_to_whoever_is_signed_in() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    let mut tickets = Vec::new();
    for caller in [Client::admin(&gateway), Client::bearer(&gateway, &token)] {
        let body = caller.get("/api/ws-token").await.expect(200).json();
        let ticket = body["token"].as_str().expect("a ticket is text").to_owned();
        assert_eq!(body, json!({ "status": "success", "token": ticket }));
        tickets.push(ticket);
    }
    assert_ne!(tickets[0], tickets[1]);

    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    Client::api_key(&gateway, &key).get("/api/ws-token").await.refused(403, "FORBIDDEN");
    let anonymous = Client::anonymous(&gateway).get("/api/ws-token").await;
    anonymous.refused(401, "AUTHENTICATION_REQUIRED");
}

/// S1-25, S1-27.
#[tokio::test]
async fn a_ticket_opens_one_socket() {
    let mut upstream = Upstream::start().await;
    let gateway = Gateway::start(&config(&upstream, "")).await;
    let ticket = ticket(&Client::admin(&gateway)).await;
    let path = format!("/logs/stream?follow=1&token={ticket}&since=0");

    open_socket(&Client::anonymous(&gateway), &path).await.expect(101);
    let seen = upstream.next().await;
    assert_eq!(seen.headers()["x-portcullis-username"], ADMIN);
    assert_eq!(seen.headers()["x-portcullis-scheme"], "ws-token");
    assert_eq!(seen.uri().to_string(), "/logs/stream?follow=1&since=0", "the ticket is taken out");

    let again = open_socket(&Client::anonymous(&gateway), &path).await;
    again.refused(401, "INVALID_CREDENTIALS");
}

/// S1-25: a race has one winner.
#[tokio::test]
async fn of_many_uses_at_the_same_time_one_wins() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&config(&upstream, "")).await;
    let path = format!("/logs?token={}", ticket(&Client::admin(&gateway)).await);
    let clients = [(); 4].map(|()| Client::anonymous(&gateway));
    let [a, b, c, d] = &clients;
    let (a, b, c, d) = tokio::join!(
        open_socket(a, &path),
        open_socket(b, &path),
        open_socket(c, &path),
        open_socket(d, &path),
    );
    let mut statuses = [a, b, c, d].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [101, 401, 401, 401]);
}

/// S1-26, with a shorter life. The witness, a token of at least a second that is
/// issued after the ticket, tells when the ticket's second is over.
#[tokio::test]
async fn a_ticket_ends_by_itself() {
    let mut upstream = Upstream::start().await;
    let short = "[auth]\nticket_ttl = \"1s\"\n[dialect.status]\naccess_ttl = \"2s\"\n";
    let gateway = Gateway::start(&config(&upstream, short)).await;
    let admin = Client::admin(&gateway);
    let fresh = format!("/logs?token={}", ticket(&admin).await);
    open_socket(&Client::anonymous(&gateway), &fresh).await.expect(101);
    upstream.next().await;

    let late = format!("/logs?token={}", ticket(&admin).await);
    let witness = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access);
    eventually("the witness to expire", async || {
        (witness.get("/api/things").await.status == 401).then_some(())
    })
    .await;
    let answer = open_socket(&Client::anonymous(&gateway), &late).await;
    answer.refused(401, "INVALID_CREDENTIALS");
}

/// S1-27: only where the configuration says so, and only to open a socket.
#[tokio::test]
async fn a_ticket_is_no_credential_anywhere_else() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&config(&upstream, "")).await;
    let ticket = ticket(&Client::admin(&gateway)).await;
    let anonymous = Client::anonymous(&gateway);

    let elsewhere = open_socket(&anonymous, &format!("/other?token={ticket}")).await;
    elsewhere.refused(401, "AUTHENTICATION_REQUIRED");
    for path in ["/", "/api/ws-token"] {
        let answer = anonymous.get(&format!("{path}?token={ticket}")).await;
        assert_eq!(answer.status, 401, "GET {path} without an upgrade: {answer:?}");
    }
    Client::bearer(&gateway, &ticket).get("/").await.refused(401, "INVALID_TOKEN");

    open_socket(&anonymous, &format!("/logs?token={ticket}")).await.expect(101);
}

/// A ticket is as good as a password while it lives, and logs live longer.
#[tokio::test]
async fn a_ticket_appears_in_no_log() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&config(&upstream, "")).await;
    let ticket = ticket(&Client::admin(&gateway)).await;
    let path = format!("/logs/seen?token={ticket}");
    open_socket(&Client::anonymous(&gateway), &path).await.expect(101);
    open_socket(&Client::anonymous(&gateway), &path).await.expect(401);
    let line = gateway.wait_for_log(|line| line["type"] == "access" && line["status"] == 401).await;
    assert!(line["path"].as_str().is_some_and(|path| path.starts_with("/logs/seen")), "{line}");
    for line in gateway.log_lines() {
        assert!(!line.to_string().contains(&ticket), "{line}");
    }
}
