//! WebSockets: opened by every credential, opened only when both sides have agreed,
//! and closed when the gateway or the credential behind them ends.

mod closing;
mod limiting;
mod opening;
mod refusing;
mod tickets;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

/// Everything goes to the upstream; below `/stream` by ticket, too.
async fn gateway_to(upstream: &Upstream, more: &str) -> Gateway {
    let stream = "[[route]]\npath = \"/stream\"\nupstream = \"app\"\nws_token = true\n";
    Gateway::start(&(upstream.routes() + stream + more)).await
}

async fn ticket(gateway: &Gateway, token: &str) -> String {
    let answer = Client::bearer(gateway, token).get("/api/ws-token").await.expect(200).json();
    answer["token"].as_str().expect("a ticket").to_owned()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A handshake, byte for byte.
fn handshake(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}
