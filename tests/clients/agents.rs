//! WebSockets by ws, websockets, gorilla and tungstenite: agents and tickets.

use std::process::Command;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::{Client, sign_in_admin};
use crate::support::gateway::{ADMIN, ECHO, Gateway};
use crate::support::tunnel::Tunnel;

use super::{go, node, python, succeeds, url};

const AGENTS: &str = "/api/v1/agents/ws";

async fn start() -> Gateway {
    let routes = format!(
        "{ECHO}[[route]]\npath = \"{AGENTS}\"\nupstream = \"echo\"\nagents = true\n\
         [[route]]\npath = \"/api/logs/stream\"\nupstream = \"echo\"\nws_token = true\n"
    );
    Gateway::start(&routes).await
}

/// Key of a server, as agents have them.
async fn key(gateway: &Gateway) -> String {
    let made = ["server", "add", "build-1", "--owner", ADMIN, "--format", "json"];
    let server: Value = serde_json::from_str(&gateway.manage(&made, None).await).expect("JSON");
    let server = server["id"].as_str().expect("a server has an id").to_owned();
    gateway.create_key(ADMIN, &[], &["--server", &server]).await.1
}

async fn check(client: impl Fn() -> Command) {
    let gateway = start().await;
    let key = key(&gateway).await;
    let agents = format!("{}{AGENTS}", url(&gateway, "wss"));
    let mut agent = client();
    agent.args([&agents, &key]);
    succeeds(agent, &gateway).await;
    let mut stranger = client();
    stranger.args([&agents, &"sk_live_made_up".to_owned(), &"refused".to_owned()]);
    succeeds(stranger, &gateway).await;

    let token = sign_in_admin(&gateway).await.access;
    let ticket = Client::bearer(&gateway, &token).get("/api/ws-token").await.expect(200).json();
    let ticket = ticket["token"].as_str().expect("a ticket");
    let mut reader = client();
    reader.arg(format!("{}/api/logs/stream?token={ticket}", url(&gateway, "wss")));
    succeeds(reader, &gateway).await;
}

#[tokio::test]
async fn ws_of_npm_is_an_agent_and_uses_a_ticket() {
    check(|| node("agent.js")).await;
}

#[tokio::test]
async fn websockets_of_pypi_is_an_agent_and_uses_a_ticket() {
    check(|| python("agent.py")).await;
}

#[tokio::test]
async fn gorilla_is_an_agent_and_uses_a_ticket() {
    check(go).await;
}

#[tokio::test]
async fn tungstenite_is_an_agent() {
    let gateway = start().await;
    let mut agent = Tunnel::opened(&gateway, AGENTS, &[]).await;
    let key = key(&gateway).await;
    agent.send(Message::text(json!({ "type": "auth", "api_key": key }).to_string())).await;
    let Message::Text(said) = agent.receive().await else { panic!("text is expected") };
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["type"], "auth_success", "{said}");
    agent.check_open().await;
}
