//! An agent's first message: what is read does not depend on how the bytes come, what
//! is accepted another reader of WebSockets accepts as well, and nothing behind it is
//! lost.
//!
//! The first line of an input says where to cut, and what follows it is what a client
//! sends when its WebSocket is open.

use portcullis::pipeline::agent::first_message::{
    Credential, Fault, FirstMessage, MAX_BYTES, Reader,
};
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};

use crate::pieces::{first_line, lengths};

/// What was said up to and with the message.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    pings: Vec<Vec<u8>>,
    end: Option<End>,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Key(String),
    Token(String),
    Close,
    Refused(Fault),
}

pub(crate) fn run(data: &[u8]) {
    let (line, bytes) = first_line(data);
    let (whole, rest) = read(bytes, &[]);
    for cuts in [line, &[0]] {
        let (pieces, rest_of_pieces) = read(bytes, cuts);
        assert_eq!(pieces, whole, "something else on other cuts");
        assert!(rest_of_pieces == rest, "other bytes behind it on other cuts");
    }
    let Some(End::Key(text) | End::Token(text)) = &whole.end else { return };
    assert!(text.len() <= MAX_BYTES);
    let behind = rest.expect("a message has something or nothing behind it");
    assert!(bytes.ends_with(&behind), "bytes were lost or made up");
    let message = read_by_tungstenite(&bytes[..bytes.len() - behind.len()], &whole.pings);
    let message: serde_json::Value = serde_json::from_str(&message).expect("JSON");
    let member = if matches!(whole.end, Some(End::Key(_))) { "api_key" } else { "token" };
    let other = if member == "token" { "api_key" } else { "token" };
    assert_eq!((&message["type"], &message[member]), (&"auth".into(), &text.as_str().into()));
    assert!(message[other].is_null(), "one credential");
}

/// What is read of the bytes, and what is left when that is a message.
fn read(bytes: &[u8], cuts: &[u8]) -> (Read, Option<Vec<u8>>) {
    let (mut reader, mut read, mut rest) = (Reader::default(), Read::default(), bytes);
    for length in lengths(cuts) {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        reader.feed(piece);
        loop {
            let end = match reader.read() {
                Ok(None) => break,
                Ok(Some(FirstMessage::Ping(payload))) => {
                    read.pings.push(payload);
                    continue;
                }
                Ok(Some(FirstMessage::Credential(Credential::Key(key)))) => {
                    End::Key(key.expose().into())
                }
                Ok(Some(FirstMessage::Credential(Credential::Token(token)))) => {
                    End::Token(token.expose().into())
                }
                Ok(Some(FirstMessage::Close)) => End::Close,
                Err(fault) => End::Refused(fault),
            };
            let is_message = matches!(end, End::Key(_) | End::Token(_));
            read.end = Some(end);
            let behind = is_message.then(|| [&*reader.into_rest(), rest].concat());
            return (read, behind);
        }
        if rest.is_empty() {
            break;
        }
    }
    (read, None)
}

/// Bytes of a client, and nowhere to write to.
struct Sent<'a>(&'a [u8]);

impl std::io::Read for Sent<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(out)
    }
}

impl std::io::Write for Sent<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn read_by_tungstenite(bytes: &[u8], pings: &[Vec<u8>]) -> String {
    let mut pings = pings.iter();
    let config = WebSocketConfig::default();
    let mut socket = WebSocket::from_raw_socket(Sent(bytes), Role::Server, Some(config));
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                assert!(pings.next().is_none(), "a ping that the other did not read");
                return text.to_string();
            }
            Ok(Message::Ping(payload)) => {
                assert_eq!(pings.next().map(|ping| &ping[..]), Some(&payload[..]));
            }
            Ok(Message::Pong(_)) => {}
            other => panic!("the other read {other:?}"),
        }
    }
}
