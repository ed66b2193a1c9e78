//! The normal form of a host: lower case, without port and trailing dot; an IPv6
//! address in brackets, as RFC 5952 writes it.

use std::net::Ipv6Addr;

/// The longest name of a domain (RFC 1035 2.3.4).
pub const MAX_NAME_BYTES: usize = 253;

/// Name, in normal form, and port of `uri-host [":" port]`.
#[must_use]
pub fn split(written: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match written.strip_prefix('[') {
        Some(rest) => {
            let (address, behind) = rest.split_once(']')?;
            let port = if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) };
            (&written[..address.len() + 2], port)
        }
        None => match written.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (written, None),
        },
    };
    let port = match port {
        Some(digits) => Some(read_port(digits)?),
        None => None,
    };
    normalise(name).map(|name| (name, port))
}

/// The name in `uri-host [":" port]`, in normal form.
#[must_use]
pub fn host_name(written: &str) -> Option<String> {
    split(written).map(|(name, _)| name)
}

fn read_port(digits: &str) -> Option<u16> {
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// Brings a host without port to its normal form: a registered name of letters,
/// digits, `-`, `_` and single dots, an IPv4 address, or an IPv6 address in brackets.
#[must_use]
pub fn normalise(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix('[') {
        let address: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(plain);
    (name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label))
        .then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
