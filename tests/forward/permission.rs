//! What a role has opened ends when the role is taken away: tunnels, agents, streams.

use http::header::{CONTENT_TYPE, TE};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::{Client, Connection, basic, request, sign_in};
use crate::support::gateway::Gateway;
use crate::support::streaming::streaming;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Kind, Script, Upstream, next_piece};
use crate::support::within;

const ALICE: &str = "alice";
const PASSWORD: &str = "alice's password";

/// Routes that take the role `ops`, and one for everybody who is known.
fn routes(upstream: &str) -> String {
    [
        "path = \"/any\"",
        "roles = [\"ops\"]",
        "path = \"/agents\"\nroles = [\"ops\"]\nagents = true",
        "path = \"/tickets\"\nroles = [\"ops\", \"root\"]\nws_token = true",
    ]
    .map(|route| format!("[[route]]\nupstream = \"{upstream}\"\n{route}\n"))
    .concat()
}

async fn gateway(upstream: Option<&Upstream>) -> Gateway {
    let config = match upstream {
        Some(upstream) => upstream.section("app") + &routes("app"),
        None => routes("echo"),
    };
    let gateway = Gateway::start(&config).await;
    gateway.add_user(ALICE, PASSWORD, &["user", "ops"]).await;
    gateway
}

async fn set_roles(gateway: &Gateway, roles: &[&str]) {
    gateway.manage(&[&["user", "roles", ALICE], roles].concat(), None).await;
}

#[tokio::test]
async fn a_tunnel_ends_with_the_role_that_opened_it_whatever_the_credential() {
    let gateway = gateway(None).await;
    let token = sign_in(&gateway, ALICE, PASSWORD).await.access;
    let (_, key) = gateway.create_key(ALICE, &[], &[]).await;
    let (bearer, by_name) = (format!("Bearer {token}"), basic(ALICE, PASSWORD));
    let answer = Client::bearer(&gateway, &token).get("/api/ws-token").await.expect(200).json();
    let ticket = format!("/tickets?token={}", answer["token"].as_str().expect("a ticket"));
    let authorization = |value| [("authorization", value)];
    let mut ending = [
        Tunnel::opened(&gateway, "/", &authorization(bearer.as_str())).await,
        Tunnel::opened(&gateway, "/", &authorization(by_name.as_str())).await,
        Tunnel::opened(&gateway, "/", &[("x-api-key", &key)]).await,
        Tunnel::opened(&gateway, &ticket, &[]).await,
        Tunnel::opened(&gateway, "/agents", &[]).await,
    ];
    let (_, agent_key) = gateway.create_server_key(ALICE, &[]).await;
    let message = json!({ "type": "auth", "api_key": agent_key }).to_string();
    ending[4].send(Message::text(message)).await;
    let Message::Text(accepted) = ending[4].receive().await else { panic!("text") };
    assert!(accepted.contains("auth_success"), "{accepted}");
    let mut staying = Tunnel::opened(&gateway, "/any", &authorization(bearer.as_str())).await;

    // Control: another change of roles leaves all of them open.
    set_roles(&gateway, &["ops", "auditor"]).await;
    for tunnel in ending.iter_mut().chain([&mut staying]) {
        tunnel.check_open().await;
    }
    set_roles(&gateway, &["auditor"]).await;
    for (index, tunnel) in ending.iter_mut().enumerate() {
        assert_eq!(tunnel.closed().await, Some(4401), "tunnel {index}");
    }
    staying.check_open().await;
    assert_eq!(Tunnel::open(&gateway, "/", &authorization(bearer.as_str())).await.err(), Some(403));
}

/// Any one of the roles is enough, so the loss of one of two is none.
#[tokio::test]
async fn a_tunnel_stays_while_another_of_the_routes_roles_is_held() {
    let gateway = gateway(None).await;
    let token = sign_in(&gateway, ALICE, PASSWORD).await.access;
    let bearer = format!("Bearer {token}");
    let mut tunnel =
        Tunnel::opened(&gateway, "/tickets", &[("authorization", bearer.as_str())]).await;
    set_roles(&gateway, &["root"]).await;
    tunnel.check_open().await;
    set_roles(&gateway, &["user"]).await;
    assert_eq!(tunnel.closed().await, Some(4401));
}

async fn connect(gateway: &Gateway) -> Connection {
    Client::basic(gateway, ALICE, PASSWORD).h2().connect().await
}

fn call(body: crate::support::client::Body) -> Request<crate::support::client::Body> {
    Request::post("/echo.Echo/Chat")
        .header(CONTENT_TYPE, "application/grpc+proto")
        .header(TE, "trailers")
        .body(body)
        .expect("a request")
}

#[tokio::test]
async fn events_end_with_the_role() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(Kind::Http1, handler).await;
    let gateway = gateway(Some(&upstream)).await;
    let mut connection = connect(&gateway).await;
    let answering = async {
        let head = Response::builder().header(CONTENT_TYPE, "text/event-stream");
        script.next().await.answer_streaming(head)
    };
    let (response, events) =
        tokio::join!(connection.begin(request(Method::GET, "/events")), answering);
    let mut body = response.into_body();
    events.data("data: one\n\n").await;
    let piece = within("an event", next_piece(&mut body)).await.expect("an event");
    assert_eq!(piece.expect("an event"), "data: one\n\n");
    set_roles(&gateway, &["user"]).await;
    assert!(within("the end", next_piece(&mut body)).await.expect("a reset").is_err());
    events.abandoned().await;
    // Was: "incomplete", as if the client had left.
    gateway.wait_for_log(|line| line["reason"] == "credential_ended").await;
}

#[tokio::test]
async fn a_call_that_streams_ends_with_the_role() {
    let upstream = Upstream::grpc().await;
    let gateway = gateway(Some(&upstream)).await;
    let mut connection = connect(&gateway).await;
    let (pieces, body) = streaming();
    let mut messages = connection.begin(call(body)).await.into_body();
    pieces.data(b"\0\0\0\0\x05hello".as_slice()).await;
    within("a message", messages.frame()).await.expect("a message").expect("a message");
    set_roles(&gateway, &["user"]).await;
    assert!(within("the end", messages.frame()).await.expect("a reset").is_err());
    pieces.abandoned().await;
}

/// The upstream of a client's stream may answer only at its end.
#[tokio::test]
async fn a_call_ends_with_the_role_before_its_answer_has_begun() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(Kind::H2c, handler).await;
    let gateway = gateway(Some(&upstream)).await;
    let mut connection = connect(&gateway).await;
    let (pieces, body) = streaming();
    let taking = async {
        pieces.data(b"\0\0\0\0\x05hello".as_slice()).await;
        let mut exchange = script.next().await;
        assert!(exchange.piece().await.is_some());
        set_roles(&gateway, &["user"]).await;
        exchange.abandoned().await;
    };
    let (refused, ()) = tokio::join!(connection.send(call(body)), taking);
    assert_eq!(refused.field("grpc-status"), "7", "{refused:?}");
    gateway.wait_for_log(|line| line["reason"] == "role_missing").await;
}
