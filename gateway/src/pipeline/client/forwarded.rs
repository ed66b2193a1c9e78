//! `Forwarded` (RFC 7239), read strictly. An element says everything of one hop, so that
//! scheme and host are those beside the client's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::HeaderMap;
use http::header::FORWARDED;

use crate::config::{Claim, Forwarding};
use crate::http1::is_token;

use super::{Claims, port_of, read_host, read_port, read_scheme, walk};

/// What one proxy says of whom it heard.
#[derive(Debug, Default)]
struct Element {
    node: Option<IpAddr>,
    scheme: Option<&'static str>,
    host: Option<String>,
}

pub(super) fn read(
    headers: &HeaderMap,
    trusted: impl Fn(IpAddr) -> bool,
    forwarding: &Forwarding,
) -> Claims {
    // Several lines are one list, and its end is the newest entry.
    let mut elements = headers.get_all(FORWARDED).iter().rev().flat_map(|line| {
        let read = read_line(line.as_bytes()).unwrap_or_else(|| read_end(line.as_bytes()));
        read.into_iter().rev()
    });
    let mut read = Vec::new();
    let (mut address, mut last) = (None, 0);
    if forwarding.believes(Claim::For) {
        let said = elements.map(|element| {
            let node = element.node;
            read.push(element);
            node
        });
        (address, last) = walk(said, trusted);
    } else {
        read.extend(elements.next());
    }
    let Some(element) = read.into_iter().nth(last) else { return Claims::default() };
    let port = element.host.as_deref().and_then(port_of);
    Claims { address, scheme: element.scheme, host: element.host, port }
}

/// The elements of a line; `None` where it is malformed.
fn read_line(line: &[u8]) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    let mut rest = trim(line);
    while !rest.is_empty() {
        // RFC 9110 5.6.1.2: empty elements of a list are passed over.
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = trim(behind);
            continue;
        }
        let (element, behind) = read_element(rest)?;
        elements.push(element);
        rest = match trim(behind).split_first() {
            None => &[],
            Some((b',', behind)) => trim(behind),
            Some(_) => return None,
        };
    }
    Some(elements)
}

/// The elements at the end of a malformed line. What a client wrote, with a quote that does
/// not close, must not hide what a proxy put behind it; proxies write no commas into
/// elements of theirs. The first that cannot be read says nothing, and ends the walk.
fn read_end(line: &[u8]) -> Vec<Element> {
    let mut elements = Vec::new();
    for part in line.rsplit(|byte| *byte == b',') {
        let whole = |(element, rest): (Element, &[u8])| trim(rest).is_empty().then_some(element);
        match read_element(trim(part)).and_then(whole) {
            Some(element) => elements.push(element),
            None => {
                elements.push(Element::default());
                break;
            }
        }
    }
    elements.reverse();
    elements
}

fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(bytes.len());
    &bytes[start..]
}

fn read_element(mut rest: &[u8]) -> Option<(Element, &[u8])> {
    let mut element = Element::default();
    let mut seen: Vec<String> = Vec::new();
    loop {
        if rest.first().is_some_and(|byte| is_token(*byte)) {
            let (name, behind) = read_token(rest)?;
            let (value, behind) = read_value(behind.strip_prefix(b"=")?)?;
            let name = name.to_ascii_lowercase();
            // RFC 7239 4: each parameter at most once.
            if seen.contains(&name) {
                return None;
            }
            match name.as_str() {
                "for" => element.node = read_node(&value),
                "proto" => element.scheme = read_scheme(&value),
                "host" => element.host = read_host(&value),
                _ => {}
            }
            seen.push(name);
            rest = behind;
        }
        match rest.strip_prefix(b";") {
            Some(behind) => rest = behind,
            None => return Some((element, rest)),
        }
    }
}

fn read_token(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let length = bytes.iter().position(|byte| !is_token(*byte)).unwrap_or(bytes.len());
    let (token, rest) = bytes.split_at(length);
    Some((std::str::from_utf8(token).ok().filter(|token| !token.is_empty())?, rest))
}

/// A token or a quoted string.
fn read_value(bytes: &[u8]) -> Option<(String, &[u8])> {
    let Some(mut rest) = bytes.strip_prefix(b"\"") else {
        return read_token(bytes).map(|(token, rest)| (token.to_owned(), rest));
    };
    let mut value = Vec::new();
    loop {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        match byte {
            b'"' => return Some((String::from_utf8(value).ok()?, rest)),
            b'\\' => {
                let (escaped, behind) = rest.split_first()?;
                value.push(*escaped);
                rest = behind;
            }
            other => value.push(*other),
        }
    }
}

/// The address of a node, with or without port; `None` of one that is hidden (`unknown`,
/// `_name`) or is none.
fn read_node(text: &str) -> Option<IpAddr> {
    let is_port = |port: &str| {
        read_port(port).is_some() || port.strip_prefix('_').is_some_and(|name| !name.is_empty())
    };
    let address: IpAddr = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, behind) = rest.split_once(']')?;
            if !behind.is_empty() && !behind.strip_prefix(':').is_some_and(is_port) {
                return None;
            }
            address.parse::<Ipv6Addr>().ok()?.into()
        }
        None => {
            let (address, port) = text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p)));
            if port.is_some_and(|port| !is_port(port)) {
                return None;
            }
            address.parse::<Ipv4Addr>().ok()?.into()
        }
    };
    Some(address.to_canonical())
}
