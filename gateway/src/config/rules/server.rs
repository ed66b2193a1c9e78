//! Which upstreams are one server, as far as their addresses tell: names are not looked up.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::{HttpTarget, Target, Upstream, UpstreamTls};

/// Where an upstream is reached, in one spelling.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// `None` for the echo, which has no address.
#[must_use]
pub fn address(upstream: &Upstream) -> Option<Address> {
    match &upstream.target {
        Target::Echo => None,
        Target::Http(target) => Some(Address { host: host(target), port: port(target) }),
    }
}

fn port(target: &HttpTarget) -> u16 {
    let default = if matches!(target.tls, UpstreamTls::Off) { 80 } else { 443 };
    target.authority.port_u16().unwrap_or(default)
}

/// All of loopback is one host. So is the unspecified address: to connect there is to
/// connect to the own machine. So are the names that mean nothing else (RFC 6761 6.3).
fn host(target: &HttpTarget) -> String {
    let host = target.authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    match read_ip(host) {
        Some(ip) if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        Some(ip) => ip.to_string(),
        None if host.ends_with(".localhost") => "localhost".to_owned(),
        None => host.to_owned(),
    }
}

fn read_ip(host: &str) -> Option<IpAddr> {
    let ip = host.parse().ok().or_else(|| read_ipv4(host).map(IpAddr::V4))?;
    Some(IpAddr::to_canonical(&ip))
}

/// An IPv4 address as resolvers read it (`inet_aton`): one to four numbers, of which the
/// last has all the octets that are left. Those who parse stricter know `127.1` for a name.
fn read_ipv4(text: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u32> = text.split('.').map(read_number).collect::<Option<_>>()?;
    let (rest, octets) = numbers.split_last()?;
    let bits_left = 32_u32.checked_sub(8 * u32::try_from(octets.len()).ok()?)?;
    if bits_left == 0 || u64::from(*rest) >> bits_left != 0 {
        return None;
    }
    let mut address = *rest;
    for (octet, shift) in octets.iter().zip([24, 16, 8]) {
        address |= u32::from(u8::try_from(*octet).ok()?) << shift;
    }
    Some(Ipv4Addr::from_bits(address))
}

/// Hexadecimal behind `0x`, octal behind `0`, else decimal.
fn read_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // A sign is no digit, though Rust reads it.
    let are_digits = digits.chars().all(|digit| digit.is_digit(radix));
    if are_digits { u32::from_str_radix(digits, radix).ok() } else { None }
}

#[cfg(test)]
mod tests;
