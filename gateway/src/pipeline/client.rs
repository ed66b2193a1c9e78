//! Who the client is and what it asked for, as far as that is believed: for limits and
//! logs, for what upstreams are told, and for same-origin checks. Never for the route.
//!
//! It is what the connection says, unless its peer is a trusted proxy; then that speaks
//! for the client, in one family of fields: the other is not read. A PROXY header says
//! who the client is, and whatever then comes in fields is the client's own word.

mod forwarded;
pub mod report;
mod x_forwarded;

use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

use crate::canonical::host::host_name;
use crate::config::{Claim, ForwardedFamily, Forwarding};

use super::connection::PeerSource;
use x_forwarded::X_FORWARDED_FOR;

/// What the connection itself says.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: IpAddr,
    pub source: PeerSource,
    /// `http` or `https`.
    pub scheme: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    /// `http` or `https`, as the client connected.
    pub scheme: &'static str,
    /// The host that the client asked a proxy for, with port, where it is believed.
    pub host: Option<String>,
    pub port: Option<u16>,
    /// Why the fields that speak of a client were not read, where there are some.
    pub ignored: Option<Ignored>,
}

/// Where a request was sent to, as a page's own origin would name it.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub host: &'a str,
    pub scheme: &'static str,
}

impl Client {
    /// Where it sent its request to, which asks for this host.
    #[must_use]
    pub fn origin<'a>(&'a self, asked: &'a str) -> Origin<'a> {
        Origin { host: self.host.as_deref().unwrap_or(asked), scheme: self.scheme }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// They came from an address that is no trusted proxy's.
    Untrusted,
    /// The PROXY header says who the client is.
    ProxyHeader,
}

/// What proxies say of the client, each where it is well-formed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Claims {
    address: Option<IpAddr>,
    scheme: Option<&'static str>,
    host: Option<String>,
    port: Option<u16>,
}

/// The client of a request.
#[must_use]
pub fn identify(
    peer: Peer,
    headers: &HeaderMap,
    proxies: &[IpNet],
    forwarding: &Forwarding,
) -> Client {
    let trusted = |ip: IpAddr| proxies.iter().any(|network| network.contains(&ip));
    let Peer { address, source, scheme } = peer;
    let ignored = match source {
        PeerSource::ProxyHeader => Ignored::ProxyHeader,
        PeerSource::Socket if !trusted(address) => Ignored::Untrusted,
        PeerSource::Socket => {
            let claims = match forwarding.family {
                ForwardedFamily::XForwarded => x_forwarded::read(headers, trusted, forwarding),
                ForwardedFamily::Forwarded => forwarded::read(headers, trusted, forwarding),
            };
            return believe(peer, claims, forwarding);
        }
    };
    let speaks = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED);
    Client { address, scheme, host: None, port: None, ignored: speaks.then_some(ignored) }
}

/// What was claimed, in so far as the operator believes in such claims.
fn believe(peer: Peer, claims: Claims, forwarding: &Forwarding) -> Client {
    let believes = |claim| forwarding.believes(claim);
    let scheme = claims.scheme.filter(|_| believes(Claim::Proto)).unwrap_or(peer.scheme);
    let port = claims.port.filter(|_| believes(Claim::Port));
    let host = claims.host.filter(|_| believes(Claim::Host));
    let default = if scheme == "https" { 443 } else { 80 };
    let host = host.map(|host| match port {
        Some(port) if port != default && port_of(&host).is_none() => format!("{host}:{port}"),
        _ => host,
    });
    let address = claims.address.filter(|_| believes(Claim::For)).unwrap_or(peer.address);
    Client { address, scheme, host, port, ignored: None }
}

/// Follows what each proxy says of whom it heard, the nearest first, as long as they are
/// trusted: the client, if any is readable, and at which of them the walk ended. What was
/// said further away was written by somebody nobody trusts.
fn walk(
    said: impl Iterator<Item = Option<IpAddr>>,
    trusted: impl Fn(IpAddr) -> bool,
) -> (Option<IpAddr>, usize) {
    let (mut client, mut last) = (None, 0);
    for (at, address) in said.enumerate() {
        last = at;
        if address.is_some() {
            client = address;
        }
        if !address.is_some_and(&trusted) {
            break;
        }
    }
    (client, last)
}

fn read_scheme(text: &str) -> Option<&'static str> {
    match text {
        "http" => Some("http"),
        "https" => Some("https"),
        _ => None,
    }
}

fn read_host(text: &str) -> Option<String> {
    host_name(text).map(|_| text.to_owned())
}

fn read_port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// The port behind a host that is one.
fn port_of(host: &str) -> Option<u16> {
    let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    behind.rsplit_once(':').and_then(|(_, port)| read_port(port))
}

#[cfg(test)]
mod tests;
