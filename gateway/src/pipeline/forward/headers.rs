//! Fields on their way through: what belongs to one connection stays on it, what
//! the gateway vouches for is set by the gateway.
//!
//! Order matters. Fields that `Connection` nominates go first, so that a client
//! cannot nominate away what is added after; identity is added last of all.

use http::HeaderMap;
use http::header::{self, Entry, HeaderName, HeaderValue};

use crate::config::{CredentialForwarding, FieldNames};
use crate::pipeline::authenticate::{Fate, Fields};
use crate::pipeline::cookie;
use crate::pipeline::fields::{HOP_BY_HOP, REQUEST_ID, is_hop_by_hop};

use super::field_names::{FieldRules, Removal, Removed};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Which of a request's fields go upstream.
#[derive(Clone, Copy)]
pub struct Passing<'a> {
    pub rules: &'a FieldRules,
    pub names: FieldNames,
    pub credential: CredentialForwarding,
    /// What becomes of a credential where the route strips them.
    pub fields: Fields,
}

/// What the gateway says itself, whatever a client or a proxy said.
const REPLACED: [HeaderName; 5] =
    [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_FORWARDED_PORT, header::FORWARDED];

/// What the gateway knows about a request and tells the upstream.
pub struct ForwardedFacts<'a> {
    pub client: std::net::IpAddr,
    /// Who connected to us: the client, or a trusted proxy that speaks for it.
    pub peer: std::net::IpAddr,
    /// `http` or `https`, as the client connected.
    pub scheme: &'static str,
    /// What the client asked for, with port; HTTP/1.0 need not tell.
    pub host: Option<&'a str>,
    /// Where a proxy took the connection, if it is believed.
    pub port: Option<u16>,
    pub request_id: &'a str,
    /// Sixteen random bytes and eight more, for a new trace.
    pub trace: &'a dyn Fn() -> String,
}

/// Makes a client's header fields fit to be forwarded. Returns what was removed because
/// of its name and is not replaced by what the gateway says.
#[must_use]
pub fn prepare_request(
    headers: &mut HeaderMap,
    passing: Passing<'_>,
    facts: &ForwardedFacts<'_>,
) -> Vec<Removed> {
    let Passing { rules, names, credential, fields } = passing;
    let strips = credential == CredentialForwarding::Strip;
    let accepts_trailers = accepts_trailers(headers);
    remove_nominated(headers);
    let mut removed = Vec::new();
    let mut unwanted: Vec<HeaderName> = Vec::new();
    for field in headers.keys() {
        let name = field.as_str();
        let fate = fields.fate(field).filter(|_| strips);
        if is_hop_by_hop(field) || fate == Some(Fate::Ends) || REPLACED.contains(field) {
            unwanted.push(field.clone());
        } else if fate == Some(Fate::Withheld) {
            removed.push(Removed { name: field.clone(), why: Removal::Own });
        } else if let Err(why) = rules.check(name, names) {
            removed.push(Removed { name: field.clone(), why });
        }
    }
    for name in removed.iter().map(|removed| &removed.name).chain(&unwanted) {
        headers.remove(name);
    }
    if strips {
        cookie::strip(headers);
    }
    join_cookies(headers);
    if accepts_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    add_forwarding(headers, facts);
    removed
}

fn add_forwarding(headers: &mut HeaderMap, facts: &ForwardedFacts<'_>) {
    let client = facts.client.to_string();
    // The client as we found it, then the proxy we heard it from. What a list said
    // further left was written by somebody nobody trusts, and goes no further.
    if facts.peer == facts.client {
        insert(headers, X_FORWARDED_FOR, &client);
    } else {
        insert(headers, X_FORWARDED_FOR, &format!("{client}, {}", facts.peer));
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(facts.scheme));
    if let Some(host) = facts.host {
        insert(headers, X_FORWARDED_HOST, host);
    }
    if let Some(port) = facts.port {
        headers.insert(X_FORWARDED_PORT, HeaderValue::from(port));
    }
    // An IPv6 address and a host with a port are quoted (RFC 7239 6).
    let (open, close) = if facts.client.is_ipv6() { ("\"[", "]\"") } else { ("", "") };
    let [before, host, behind] = facts.host.map_or([""; 3], |host| [";host=\"", host, "\""]);
    let forwarded =
        ["for=", open, &client, close, before, host, behind, ";proto=", facts.scheme].concat();
    insert(headers, header::FORWARDED, &forwarded);
    insert(headers, REQUEST_ID, facts.request_id);
    if trace_id(headers).is_none() {
        headers.remove(&TRACESTATE);
        insert(headers, TRACEPARENT, &(facts.trace)());
    }
}

/// Makes an upstream's header fields fit to be sent on.
pub fn prepare_response(headers: &mut HeaderMap, request_id: &HeaderValue, keep_length: bool) {
    if headers.contains_key(header::CONNECTION) {
        remove_nominated(headers);
    }
    let length = if keep_length { headers.remove(header::CONTENT_LENGTH) } else { None };
    for name in HOP_BY_HOP {
        // RFC 9110 11.7: the challenge is the upstream's own to its own clients.
        headers.remove(name);
    }
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length);
    }
    headers.insert(REQUEST_ID, request_id.clone());
    remove_own_cookies(headers);
}

/// No upstream sets a cookie of ours: it would sign a browser in as somebody else.
fn remove_own_cookies(headers: &mut HeaderMap) {
    if !headers.get_all(header::SET_COOKIE).iter().any(cookie::sets_ours) {
        return;
    }
    let lines = headers.get_all(header::SET_COOKIE).iter();
    let kept: Vec<HeaderValue> = lines.filter(|line| !cookie::sets_ours(line)).cloned().collect();
    headers.remove(header::SET_COOKIE);
    for line in kept {
        headers.append(header::SET_COOKIE, line);
    }
}

/// Removes what `Connection` names (RFC 9110 7.6.1). The host is not a client's
/// to remove, whatever it nominates.
fn remove_nominated(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| name != header::HOST)
        .collect();
    for name in nominated {
        headers.remove(name);
    }
}

/// Whether the client takes trailers; no other value of `TE` goes any further.
fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("trailers"))
}

/// HTTP/2 may split a cookie into several lines; others read only the first (RFC 9113 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let mut joined = Vec::new();
    for value in headers.get_all(header::COOKIE) {
        if !joined.is_empty() {
            joined.extend_from_slice(b"; ");
        }
        joined.extend_from_slice(value.as_bytes());
    }
    headers.remove(header::COOKIE);
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, value);
    }
}

/// The trace that a request belongs to, if it has one valid `traceparent`
/// (W3C Trace Context 3.2): `00-TRACE-SPAN-FLAGS`, ids not all zero.
#[must_use]
pub fn trace_id(headers: &HeaderMap) -> Option<u128> {
    let mut fields = headers.get_all(TRACEPARENT).iter();
    let text = fields.next()?.to_str().ok()?;
    let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let (rest, flags) = text.strip_prefix("00-")?.rsplit_once('-')?;
    let (trace, span) = rest.split_once('-')?;
    let hex = [(trace, 32), (span, 16), (flags, 2)]
        .iter()
        .all(|(part, length)| part.len() == *length && part.bytes().all(lower_hex));
    if fields.next().is_some() || !hex || span.bytes().all(|byte| byte == b'0') {
        return None;
    }
    u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match (HeaderValue::from_str(value), headers.entry(name)) {
        (Ok(value), Entry::Occupied(mut entry)) => {
            entry.insert(value);
        }
        (Ok(value), Entry::Vacant(entry)) => {
            entry.insert(value);
        }
        (Err(_), Entry::Occupied(entry)) => {
            entry.remove_entry_mult();
        }
        (Err(_), Entry::Vacant(_)) => {}
    }
}

#[cfg(test)]
mod tests;
