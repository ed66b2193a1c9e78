//! `?token=`: any page can make one up, and a real one must not lie about.

use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::{Client, Protocol, sign_in_admin};
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Upstream, ok};
use crate::support::websocket::open_socket;

use super::*;

/// Everything by ticket too, but what lies below `/app` and what is public.
async fn start(upstream: &Upstream) -> Gateway {
    let routes = "[[route]]\nupstream = \"app\"\nws_token = true\n\
                  [[route]]\npath = \"/app\"\nupstream = \"app\"\n\
                  [[route]]\npath = \"/open\"\npublic = true\nupstream = \"app\"\nws_token = true\n";
    Gateway::start(&format!("{}{routes}{MANY}", upstream.section("app"))).await
}

async fn ticket(gateway: &Gateway) -> String {
    let answer = Client::admin(gateway).get("/api/ws-token").await.expect(200).json();
    answer["token"].as_str().expect("a ticket").to_owned()
}

#[tokio::test]
async fn made_up_tickets_of_a_foreign_page_lock_nobody_out() {
    let upstream = Upstream::websocket().await;
    let gateway = start(&upstream).await;
    let real = format!("/logs?token={}", ticket(&gateway).await);
    let made_up = ["0".repeat(64), "abc".to_owned(), String::new(), "f".repeat(10_000)];
    for token in made_up.iter().cycle().take(4 * ATTEMPTS) {
        let path = format!("/logs?token={}", &token[..token.len().min(7_000)]);
        let answer = open_socket(&visitor(&gateway, FOREIGN), &path).await;
        answer.refused(401, "INVALID_CREDENTIALS");
    }
    check_not_locked_out(&gateway).await;
    // A ticket is proof enough, whosever page brings it.
    open_socket(&visitor(&gateway, FOREIGN), &real).await.expect(101);
}

/// Made-up tickets and agents' keys, each as often as locks an address out.
async fn make_up(gateway: &Gateway, page: &[(&str, &str)]) {
    let from = [("x-forwarded-for", VISITOR)];
    for _ in 0..ATTEMPTS {
        open_socket(&visitor(gateway, page), "/logs?token=abc").await;
        let fields = [&from[..], page].concat();
        if let Ok((mut agent, _)) = Tunnel::open(gateway, "/agents", &fields).await {
            let key = r#"{"type":"auth","api_key":"sk_live_made_up"}"#;
            agent.send(Message::text(key)).await;
            assert_eq!(agent.closed().await, Some(4401));
        }
    }
}

#[tokio::test]
async fn where_all_is_counted_a_foreign_page_costs_its_visitor_no_attempt_either() {
    let routes = "[[route]]\nupstream = \"echo\"\nws_token = true\n\
                  [[route]]\npath = \"/agents\"\nupstream = \"echo\"\nagents = true\n";
    let limits = "[limits]\nburst = 10000\ncount = \"all\"\n";
    let gateway = Gateway::start(&format!("{routes}{limits}")).await;
    make_up(&gateway, FOREIGN).await;
    check_not_locked_out(&gateway).await;
    make_up(&gateway, &[]).await;
    visitor(&gateway, &[]).login(ADMIN, ADMIN_PASSWORD).await.expect(429);
}

#[tokio::test]
async fn a_ticket_without_an_upgrade_is_taken_out_and_spent() {
    let upstream = Upstream::http1(ok).await;
    let gateway = start(&upstream).await;
    let bearer = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access);
    let anonymous = Client::anonymous(&gateway);
    for (path, status, protocol) in [
        ("/logs", 200, Protocol::Http1),
        ("/logs", 200, Protocol::Http2),
        ("/open", 200, Protocol::Http1),
    ] {
        let ticket = ticket(&gateway).await;
        let caller = if path == "/open" { &anonymous } else { &bearer };
        let caller = caller.clone().protocol(protocol);
        let target = format!("{path}?a=%2f&token={ticket}&b");
        caller.get(&target).await.expect(status);
        let seen = upstream.next_request().await;
        assert_eq!(seen.target(), format!("{path}?a=%2f&b"));
        let scheme = seen.field("x-portcullis-scheme").map(str::to_owned);
        assert_eq!(scheme.as_deref(), (path != "/open").then_some("bearer"));
        let late = open_socket(&anonymous, &format!("/logs?token={ticket}")).await;
        late.refused(401, "INVALID_CREDENTIALS");
    }
    // With nothing else, nobody gets in, and it is spent all the same.
    let alone = ticket(&gateway).await;
    let target = format!("/logs?%74oken={alone}");
    anonymous.get(&target).await.refused(401, "AUTHENTICATION_REQUIRED");
    open_socket(&anonymous, &target).await.refused(401, "INVALID_CREDENTIALS");
    check_not_locked_out(&gateway).await;
}

#[tokio::test]
async fn where_no_ticket_is_taken_a_token_belongs_to_the_application() {
    let upstream = Upstream::http1(ok).await;
    let gateway = start(&upstream).await;
    let bearer = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access);
    let ticket = ticket(&gateway).await;
    let target = format!("/app/reset?token={ticket}&token=2");
    bearer.get(&target).await.expect(200);
    assert_eq!(upstream.next_request().await.target(), target);
    // Left alone, it opens what it was made for.
    let answer = open_socket(&Client::anonymous(&gateway), &format!("/logs?token={ticket}")).await;
    answer.expect(200);
    let is_upgrade = |line: &Value| line["path"] == "/logs" && line["scheme"] == "ws-token";
    gateway.wait_for_recent_log(is_upgrade).await;
}

/// Basic beside a made-up ticket: two credentials, of which none is tried.
#[tokio::test]
async fn a_browser_that_adds_basic_to_a_foreign_socket_costs_no_attempt() {
    let upstream = Upstream::websocket().await;
    let gateway = start(&upstream).await;
    let client = Client::basic(&gateway, ADMIN, "a guess").from_address(VISITOR);
    let foreign = with(client, FOREIGN);
    for _ in 0..ATTEMPTS {
        open_socket(&foreign, "/logs?token=abc").await.refused(400, "BAD_REQUEST");
        open_socket(&foreign, "/logs").await.refused(403, "CSRF");
    }
    check_not_locked_out(&gateway).await;
}
