//! Agents: WebSockets opened without a credential, which comes in the first message.

mod accepting;
mod crowd;
mod ending;
mod limiting;
mod pinging;
mod refusing;
mod upstream;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::gateway::Gateway;
use crate::support::raw::{RawStream, raw};
use crate::support::tunnel::Tunnel;
use crate::support::upstream::Upstream;

/// The route of the agents; every other path is an ordinary one.
const AGENTS: &str = "/agents";

/// First bytes of frames.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

async fn gateway_to(upstream: &Upstream, more: &str) -> Gateway {
    let agents = format!("[[route]]\npath = \"{AGENTS}\"\nupstream = \"app\"\nagents = \"any\"\n");
    Gateway::start(&(upstream.section("app") + "[[route]]\nupstream = \"app\"\n" + &agents + more))
        .await
}

fn by_key(key: &str) -> String {
    json!({ "type": "auth", "api_key": key }).to_string()
}

fn by_token(token: &str) -> String {
    json!({ "type": "auth", "token": token }).to_string()
}

/// A WebSocket whose first message has been accepted.
async fn accepted(gateway: &Gateway, message: String) -> Tunnel {
    let mut agent = Tunnel::opened(gateway, AGENTS, &[]).await;
    let success = introduced(&mut agent, message).await;
    assert_eq!(success["type"], "auth_success", "{success}");
    assert_eq!(success["message"], "Connected successfully", "{success}");
    assert_eq!(success.as_object().map(serde_json::Map::len), Some(3), "{success}");
    agent
}

/// The answer to a first message.
async fn introduced(agent: &mut Tunnel, message: String) -> Value {
    agent.send(Message::text(message)).await;
    let Message::Text(answer) = agent.receive().await else { panic!("the answer is text") };
    serde_json::from_str(&answer).expect("the answer is JSON")
}

/// The same words for everybody who is refused, then the code.
async fn refused(agent: &mut Tunnel, message: String) -> Option<u16> {
    assert_eq!(introduced(agent, message).await, refusal());
    agent.closed().await
}

fn refusal() -> Value {
    json!({ "type": "auth_error", "message": "Authentication failed" })
}

/// A WebSocket opened byte for byte, as the upstream of the agents or nobody has it.
async fn opened(gateway: &Gateway) -> RawStream {
    let mut agent = raw(gateway).await;
    agent.send(handshake("")).await;
    agent.read_response().await.expect(101);
    agent
}

/// An agent's handshake with more fields.
fn handshake(fields: &str) -> String {
    format!(
        "GET {AGENTS} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

/// A client's frame of at most 65,535 bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let length = u16::try_from(payload.len()).expect("a short frame");
    let mut frame = vec![first];
    match u8::try_from(length) {
        Ok(short @ 0..=125) => frame.push(0x80 | short),
        _ => {
            frame.push(0xfe);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Reads a refusal: the words, the close frame with its code, and the end.
async fn read_refusal(agent: &mut RawStream) -> u16 {
    let (first, words) = agent.read_frame().await;
    assert_eq!(first, TEXT, "{}", String::from_utf8_lossy(&words));
    assert_eq!(serde_json::from_slice::<Value>(&words).expect("JSON"), refusal());
    read_close(agent).await
}

async fn read_close(agent: &mut RawStream) -> u16 {
    let (first, code) = agent.read_frame().await;
    assert_eq!(first, CLOSE);
    assert!(agent.is_closed().await);
    u16::from_be_bytes(code.try_into().expect("a code and no words"))
}

/// The access line of an agent for which this reason was found.
async fn logged(gateway: &Gateway, reason: &str) -> Value {
    gateway.wait_for_log(|line| line["path"] == AGENTS && line["reason"] == reason).await
}
