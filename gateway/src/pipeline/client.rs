//! Who the client is, for limits and logs: the socket's peer, unless that is a
//! trusted proxy; then the right-most address of `X-Forwarded-For` that is not
//! one. What lies further left was written by somebody we do not trust.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// The client's address.
#[must_use]
pub fn identify(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let trusted = |ip: IpAddr| proxies.iter().any(|network| network.contains(&ip));
    if proxies.is_empty() || !trusted(peer) {
        return peer;
    }
    let mut client = peer;
    // Several lines are one list (RFC 9110 5.3), and its end is the newest entry.
    for line in headers.get_all("x-forwarded-for").iter().rev() {
        let Ok(line) = line.to_str() else {
            break;
        };
        for entry in line.rsplit(',') {
            let Some(ip) = parse_entry(entry.trim()) else {
                return client;
            };
            client = ip;
            if !trusted(ip) {
                return client;
            }
        }
    }
    client
}

/// An address, with or without port.
fn parse_entry(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let ip = bare
        .parse::<IpAddr>()
        .or_else(|_| entry.parse::<std::net::SocketAddr>().map(|address| address.ip()))
        .ok()?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests;
