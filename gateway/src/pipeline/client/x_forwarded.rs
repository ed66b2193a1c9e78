//! `X-Forwarded-For` and the fields beside it. Several lines are one list (RFC 9110 5.3),
//! and its end is the newest entry.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::config::{Claim, Forwarding};

use super::{Claims, read_host, read_port, read_scheme, walk};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

pub(super) fn read(
    headers: &HeaderMap,
    trusted: impl Fn(IpAddr) -> bool,
    forwarding: &Forwarding,
) -> Claims {
    let entries = || entries(headers, &X_FORWARDED_FOR);
    let (address, last) = walk(entries().map(|entry| entry.and_then(read_address)), trusted);
    // A list that is not believed gives no place to look at in the others.
    let count = if forwarding.believes(Claim::For) { entries().count() } else { 0 };
    let said = |name| value_at(headers, name, last, count);
    Claims {
        address,
        scheme: said(&X_FORWARDED_PROTO).and_then(read_scheme),
        host: said(&X_FORWARDED_HOST).and_then(read_host),
        port: said(&X_FORWARDED_PORT).and_then(read_port),
    }
}

/// What a field says, the newest first; `None` where it is no text.
fn entries<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<&'h str>> + use<'h> {
    headers.get_all(name).iter().rev().flat_map(|line| {
        // Entry by entry: what a client wrote must not hide what a proxy put behind it.
        line.as_bytes().rsplit(|byte| *byte == b',').map(|entry| {
            std::str::from_utf8(entry).ok().map(|entry| entry.trim_matches([' ', '\t']))
        })
    })
}

/// The only value of a field, whichever proxy set it; of several the one beside the
/// client's address, if there is one for each address. Else nobody knows whose it is.
fn value_at<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    at: usize,
    addresses: usize,
) -> Option<&'h str> {
    match entries(headers, name).take(addresses.max(1) + 1).count() {
        1 => entries(headers, name).next()?,
        count if count == addresses => entries(headers, name).nth(at)?,
        _ => None,
    }
}

/// An address, with or without port.
fn read_address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let ip = bare
        .parse::<IpAddr>()
        .or_else(|_| entry.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()?;
    Some(ip.to_canonical())
}
