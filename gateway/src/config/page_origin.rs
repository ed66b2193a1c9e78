//! Origins of pages (RFC 6454), as `origins` lists them and browsers state them: scheme,
//! host and port, in one normal form.

use std::fmt;
use std::net::Ipv6Addr;

use super::document::Section;
use super::record::no_items;

const EXPECTED: &str = "an origin like \"https://app.example\"";
const MAX_HOST_BYTES: usize = 253;

/// Where a page comes from. Two are the same origin if and only if they are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageOrigin {
    /// Lower case.
    pub scheme: String,
    /// Lower case; an IPv6 address in its shortest form and in brackets.
    pub host: String,
    /// `None` is the scheme's own.
    pub port: Option<u16>,
}

/// Why a text is no origin that could be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginFault {
    NoScheme,
    Scheme,
    /// A pattern for many.
    Pattern,
    Null,
    /// Something follows host and port, or stands before the host.
    Rest,
    NotAscii,
    Host,
    Port,
}

impl PageOrigin {
    /// # Errors
    /// When the text is not `scheme://host[:port]`.
    pub fn parse(text: &str) -> Result<Self, OriginFault> {
        if text.contains('*') {
            return Err(OriginFault::Pattern);
        }
        if text == "null" {
            return Err(OriginFault::Null);
        }
        if !text.is_ascii() {
            return Err(OriginFault::NotAscii);
        }
        let (scheme, authority) = text.split_once("://").ok_or(OriginFault::NoScheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let follows = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(follows) {
            return Err(OriginFault::Scheme);
        }
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(OriginFault::Rest);
        }
        if !authority.contains(']') && authority.matches(':').count() > 1 {
            return Err(OriginFault::Host);
        }
        let (host, port) = split_port(authority).ok_or(OriginFault::Port)?;
        let host = normal_host(host).ok_or(OriginFault::Host)?;
        let port = port.filter(|port| Some(*port) != default_port(&scheme));
        Ok(Self { scheme, host, port })
    }

    /// Whether `authority`, a host with or without a port, is this origin's.
    #[must_use]
    pub fn has_authority(&self, authority: &str) -> bool {
        let Some((host, port)) = split_port(authority) else { return false };
        let port = port.filter(|port| Some(*port) != default_port(&self.scheme));
        port == self.port && normal_host(host).is_some_and(|host| host == self.host)
    }
}

impl fmt::Display for PageOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        match port {
            Some(port) => write!(f, "{scheme}://{host}:{port}"),
            None => write!(f, "{scheme}://{host}"),
        }
    }
}

impl OriginFault {
    pub(super) fn message(self) -> &'static str {
        match self {
            OriginFault::NoScheme => "expected an origin with its scheme",
            OriginFault::Scheme => "the scheme of an origin is a word like \"https\"",
            OriginFault::Pattern => {
                "a pattern would allow every matching page to act for its visitors"
            }
            OriginFault::Null => {
                "\"null\" is no origin: every sandboxed frame of any site states it"
            }
            OriginFault::Rest => {
                "an origin is scheme, host and port; it has no path, query or user name"
            }
            OriginFault::NotAscii => "browsers state a host in ASCII (\"xn--…\")",
            OriginFault::Host => "expected a host name or an address, IPv6 in brackets",
            OriginFault::Port => "a port is a number from 1 to 65535",
        }
    }

    pub(super) fn help(self, text: &str) -> String {
        let nearest = match self {
            OriginFault::NoScheme => PageOrigin::parse(&format!("https://{text}")).ok(),
            OriginFault::Rest => without_rest(text),
            _ => None,
        };
        match (nearest, self) {
            (Some(origin), _) => format!("write \"{origin}\""),
            (None, OriginFault::Pattern) => "list each origin by itself".to_owned(),
            (None, _) => format!("write {EXPECTED}"),
        }
    }
}

/// What the origin of a URL would be.
fn without_rest(text: &str) -> Option<PageOrigin> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    PageOrigin::parse(&format!("{scheme}://{authority}")).ok()
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Host and port; `None` when what follows the colon is no port.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[end..].find(':') {
        None => Some((authority, None)),
        Some(at) => {
            let (host, port) = (&authority[..end + at], &authority[end + at + 1..]);
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            let port = port.parse::<u16>().ok().filter(|port| digits && *port > 0)?;
            Some((host, Some(port)))
        }
    }
}

fn normal_host(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let valid = !host.is_empty() && host.len() <= MAX_HOST_BYTES && host.bytes().all(plain);
    valid.then(|| host.to_ascii_lowercase())
}

/// The origins under the key `origins`.
pub(super) fn read_origins(section: &Section<'_>) -> Vec<PageOrigin> {
    let mut origins = Vec::new();
    let found = section.texts("origins", EXPECTED);
    section.falls_back("origins", no_items());
    for found in found {
        match PageOrigin::parse(&found.value) {
            Ok(origin) if origins.contains(&origin) => {}
            Ok(origin) => origins.push(origin),
            Err(fault) => {
                let help = fault.help(&found.value);
                section.note(found.origin, "origins", fault.message(), help);
            }
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_form() {
        for (written, normal) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://APP.Example:443", "https://app.example"),
            ("http://app.example:80", "http://app.example"),
            ("http://app.example:443", "http://app.example:443"),
            ("https://app.example:8443", "https://app.example:8443"),
            ("https://192.0.2.7", "https://192.0.2.7"),
            ("https://[2001:DB8:0::1]:443", "https://[2001:db8::1]"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ] {
            let parsed = PageOrigin::parse(written).map(|origin| origin.to_string());
            assert_eq!(parsed.as_deref(), Ok(normal), "{written}");
        }
    }

    #[test]
    fn what_is_no_origin_says_what_to_write() {
        for (written, fault, help) in [
            ("app.example", OriginFault::NoScheme, "write \"https://app.example\""),
            ("app.example:8443", OriginFault::NoScheme, "write \"https://app.example:8443\""),
            ("https://app.example/", OriginFault::Rest, "write \"https://app.example\""),
            ("https://app.example/a?b", OriginFault::Rest, "write \"https://app.example\""),
            ("https://u@app.example", OriginFault::Rest, "write an origin like"),
            ("*", OriginFault::Pattern, "list each origin"),
            ("https://*.app.example", OriginFault::Pattern, "list each origin"),
            ("null", OriginFault::Null, "write an origin like"),
            ("https://bücher.example", OriginFault::NotAscii, "write an origin like"),
            ("https://", OriginFault::Host, "write an origin like"),
            ("https://[::1", OriginFault::Host, "write an origin like"),
            ("https://::1", OriginFault::Host, "write an origin like"),
            ("https://a b", OriginFault::Host, "write an origin like"),
            ("https://app.example:", OriginFault::Port, "write an origin like"),
            ("https://app.example:0", OriginFault::Port, "write an origin like"),
            ("https://app.example:+80", OriginFault::Port, "write an origin like"),
            ("https://app.example:65536", OriginFault::Port, "write an origin like"),
            ("1s://app.example", OriginFault::Scheme, "write an origin like"),
            ("://app.example", OriginFault::Scheme, "write an origin like"),
        ] {
            assert_eq!(PageOrigin::parse(written), Err(fault), "{written}");
            assert!(fault.help(written).starts_with(help), "{written}: {}", fault.help(written));
        }
    }

    #[test]
    fn an_authority_is_compared_with_default_ports_and_without_case() {
        let origin = |text| PageOrigin::parse(text).unwrap();
        let page = origin("https://gate.example");
        for same in ["gate.example", "GATE.example", "gate.example:443"] {
            assert!(page.has_authority(same), "{same}");
        }
        for other in ["gate.example:80", "gate.example.", "gate.example.evil", "a@gate.example", ""]
        {
            assert!(!page.has_authority(other), "{other}");
        }
        assert!(origin("https://[::1]:8443").has_authority("[0:0::1]:8443"));
        assert!(!origin("https://[::1]:8443").has_authority("[::1]"));
    }
}
