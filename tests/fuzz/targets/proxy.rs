//! A PROXY header: one independent reading agrees with the gateway's, not a byte
//! behind it is taken, and the cuts between reads change nothing.
//!
//! The first line of an input says where to cut, the rest is the connection.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use portcullis::edge::proxy_protocol::read;
use tokio::runtime::{Builder, Runtime};

use crate::pieces::{Pieces, first_line};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime can be made"));

pub(crate) fn run(data: &[u8]) {
    let (cuts, bytes) = first_line(data);
    let expected = parse(bytes);
    for cuts in [cuts, &[], &[0]] {
        let mut stream = Pieces::new(bytes, cuts);
        let actual = RUNTIME.block_on(read(&mut stream)).ok();
        assert_eq!(actual, expected.map(|(source, _)| source));
        if let Some((_, length)) = expected {
            assert_eq!(stream.rest, &bytes[length..], "what follows is not ours");
        }
    }
}

/// Who the client is and where the header ends, by the protocol's own text.
fn parse(bytes: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    match bytes.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n") {
        Some(rest) => parse_binary(rest).map(|(source, length)| (source, 12 + length)),
        None => parse_line(bytes),
    }
}

fn parse_binary(bytes: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    let (&[command, family, high, low], rest) = bytes.split_first_chunk()?;
    let body = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let port = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let source = match (command, family) {
        (0x20, _) | (0x21, 0x00 | 0x31) => None,
        (0x21, 0x11) => {
            let (ip, _) = body.split_first_chunk::<4>()?;
            body.get(11)?;
            Some(SocketAddr::from((*ip, port(8)?)))
        }
        (0x21, 0x21) => {
            let (ip, _) = body.split_first_chunk::<16>()?;
            body.get(35)?;
            Some(SocketAddr::from((*ip, port(32)?)))
        }
        _ => return None,
    };
    Some((source, 4 + body.len()))
}

fn parse_line(bytes: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let length = end + 2;
    if length > 107 || line.contains(['\n', '\r']) {
        return None;
    }
    let words: Vec<&str> = line.split(' ').collect();
    let port = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse::<u16>().ok())?
    };
    let source = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", "TCP4", source, destination, from, to] => {
            destination.parse::<Ipv4Addr>().ok()?;
            port(to)?;
            Some(SocketAddr::from((source.parse::<Ipv4Addr>().ok()?, port(from)?)))
        }
        ["PROXY", "TCP6", source, destination, from, to] => {
            destination.parse::<Ipv6Addr>().ok()?;
            port(to)?;
            Some(SocketAddr::from((source.parse::<Ipv6Addr>().ok()?, port(from)?)))
        }
        _ => return None,
    };
    Some((source, length))
}
