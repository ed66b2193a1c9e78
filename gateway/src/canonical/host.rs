//! The normal form of a host: lower case, without port and trailing dot.

/// The name in `uri-host [":" port]`: a registered name of letters, digits, `-`,
/// `.` and `_`, an IPv4 address, or an IPv6 address in brackets.
#[must_use]
pub fn host_name(written: &str) -> Option<String> {
    let (name, port) = match written.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (
                &written[..address.len() + 2],
                port.strip_prefix(':').or(port.is_empty().then_some("0")),
            )
        }
        None => match written.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (written, Some("0")),
        },
    };
    let port = port?;
    let valid_port = (1..=5).contains(&port.len())
        && port.bytes().all(|b| b.is_ascii_digit())
        && port.parse::<u16>().is_ok();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let valid_name =
        name.starts_with('[') || (!name.is_empty() && name.len() <= 253 && name.bytes().all(plain));
    if !valid_port || !valid_name {
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty()).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
