//! Addresses and URLs in the short forms that people write: `:8443`, `8443` and
//! `localhost:8443` for a listener, `:3000`, `3000` and `localhost:3000` for an upstream on
//! this machine. What could be meant in two ways is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::uri::Authority;

use crate::canonical::host;

/// What is wrong, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclear {
    pub message: String,
    pub help: String,
}

fn unclear<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Unclear> {
    Err(Unclear { message: message.into(), help: help.into() })
}

pub(super) const AN_ADDRESS: &str =
    "an address like \"[::]:8443\", \"127.0.0.1:8443\" or \":8443\"";
const A_PORT: &str = "a port is a number from 0 to 65535";
const A_URLS_PORT: &str = "a port is a number from 1 to 65535";
const EVERY_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

fn port(digits: &str) -> Option<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Where a listener listens. A port alone is that of every address; `localhost` is the
/// loopback address of IPv4, which every machine has.
pub(super) fn listening_address(text: &str) -> Result<SocketAddr, Unclear> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let expected = || format!("expected {AN_ADDRESS}, found {text:?}");
    let alone = text.strip_prefix(':').unwrap_or(text);
    if is_number(alone) {
        let Some(port) = port(alone) else {
            return unclear(A_PORT, "write a port like \":8443\"");
        };
        return Ok(SocketAddr::new(EVERY_ADDRESS, port));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let bare = rest.split('/').next().unwrap_or(rest);
        let help = match listening_address(bare) {
            Ok(_) => format!("write \"{bare}\", without a scheme"),
            Err(_) => "write an address and a port, like \"127.0.0.1:8443\"".to_owned(),
        };
        return unclear(expected(), help);
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let address = SocketAddr::new(address, 8443);
        return unclear(format!("the port is missing in {text:?}"), format!("write \"{address}\""));
    }
    // `::1:8443` is an address of its own, too: this is one with a port if any.
    let Some((name, digits)) = text.rsplit_once(':') else {
        let help = match text {
            "localhost" => "write \"localhost:8443\"",
            _ => "write an address and a port, like \"127.0.0.1:8443\"",
        };
        return unclear(expected(), help);
    };
    let Some(port) = port(digits) else {
        let help = match listening_address(&format!("{name}:8443")) {
            Ok(_) => format!("write \"{name}:8443\""),
            Err(_) if name.parse::<Ipv6Addr>().is_ok() => format!("write \"[{name}]:8443\""),
            Err(_) => "write an address and a port, like \"127.0.0.1:8443\"".to_owned(),
        };
        return unclear(format!("{A_PORT}, and not {digits:?}"), help);
    };
    match name {
        "localhost" => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        "*" => unclear(expected(), format!("write \":{port}\"")),
        name if name.parse::<Ipv6Addr>().is_ok() => {
            unclear("an IPv6 address must be in brackets", format!("write \"[{name}]:{port}\""))
        }
        name if host::normalise(name).is_some() => {
            let help = format!("write an address of this machine, or \":{port}\" for all of them");
            unclear(format!("{name:?} is a name, and a listener has an address"), help)
        }
        _ => unclear(expected(), "write an address and a port, like \"127.0.0.1:8443\""),
    }
}

/// The full form of a short one for an upstream; `None` where the text is something else.
pub(super) fn upstream_url(text: &str) -> Option<Result<String, Unclear>> {
    let alone = text.strip_prefix(':').unwrap_or(text);
    if is_number(alone) {
        return Some(on_this_machine("localhost", alone));
    }
    let (name, digits) = text.rsplit_once(':')?;
    if name.contains('/') || !is_number(digits) {
        return None;
    }
    if name.parse::<Ipv6Addr>().is_ok() {
        let help = format!("write \"http://[{name}]:{digits}\"");
        return Some(unclear("an IPv6 address must be in brackets", help));
    }
    let name = host::normalise(name)?;
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    if name == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
        return Some(on_this_machine(&name, digits));
    }
    // On another machine TLS is a question.
    let help = format!("write \"https://{name}:{digits}\" or \"http://{name}:{digits}\"");
    Some(unclear(format!("expected a URL with its scheme, found {text:?}"), help))
}

/// Looks whether a URL's host and port are what they should be; the parser of URLs takes any
/// number for a port, and drops what is none.
///
/// # Errors
/// What is wrong.
pub(super) fn check_authority(authority: &Authority) -> Result<(), &'static str> {
    let host = authority.host();
    let behind = authority.as_str().strip_prefix(host).unwrap_or_default();
    let is_port = |text: &str| text.strip_prefix(':').and_then(port).is_some_and(|port| port > 0);
    if !behind.is_empty() && !is_port(behind) {
        return Err(A_URLS_PORT);
    }
    match host::normalise(host) {
        Some(_) => Ok(()),
        None => Err("a host is a name of letters, digits, `-`, `_` and dots, or an IP address"),
    }
}

fn on_this_machine(name: &str, digits: &str) -> Result<String, Unclear> {
    match port(digits) {
        Some(443) => {
            let help = format!("write \"https://{name}:443\" or \"http://{name}:443\"");
            unclear("port 443 is that of https, and a short form means http", help)
        }
        Some(port) if port > 0 => Ok(format!("http://{name}:{port}")),
        _ => unclear(A_URLS_PORT, "write \"http://localhost:3000\""),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Option<String> {
        listening_address(text).ok().map(|address| address.to_string())
    }

    fn url(text: &str) -> Option<String> {
        upstream_url(text).and_then(Result::ok)
    }

    proptest! {
        #[test]
        fn a_port_is_one_of_every_address_however_it_is_written(port: u16) {
            let every = Some(format!("[::]:{port}"));
            for text in [format!("{port}"), format!(":{port}"), format!("[::]:{port}")] {
                prop_assert_eq!(&address(&text), &every, "{}", text);
            }
            prop_assert_eq!(address(&format!("localhost:{port}")), Some(format!("127.0.0.1:{port}")));
        }

        #[test]
        fn every_socket_address_is_itself(port: u16, v4: [u8; 4], v6: [u16; 8]) {
            for ip in [IpAddr::from(v4), IpAddr::from(v6)] {
                let text = SocketAddr::new(ip, port).to_string();
                prop_assert_eq!(address(&text), Some(text));
            }
        }

        #[test]
        fn a_port_is_http_on_this_machine(port in 1..=u16::MAX) {
            prop_assume!(port != 443);
            let full = Some(format!("http://localhost:{port}"));
            for text in [format!("{port}"), format!(":{port}"), format!("localhost:{port}")] {
                prop_assert_eq!(&url(&text), &full, "{}", text);
            }
            // A URL is none of the short forms, so no form is expanded twice.
            prop_assert_eq!(upstream_url(&format!("http://localhost:{port}")), None);
            prop_assert_eq!(url(&format!("127.0.0.1:{port}")), Some(format!("http://127.0.0.1:{port}")));
            prop_assert_eq!(url(&format!("[::1]:{port}")), Some(format!("http://[::1]:{port}")));
        }

        #[test]
        fn no_text_breaks_a_reader(any in ".{0,30}", alike in "[\\[\\]a-z0-9.:*/]{0,20}") {
            for text in [any, alike] {
                if let Err(unclear) = listening_address(&text) {
                    prop_assert!(!unclear.help.is_empty(), "{text}");
                }
                if let Some(Err(unclear)) = upstream_url(&text) {
                    prop_assert!(!unclear.help.is_empty(), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_clear_is_refused_with_what_to_write() {
        for (text, help) in [
            ("localhost", "write \"localhost:8443\""),
            ("0.0.0.0", "write \"0.0.0.0:8443\""),
            ("::1", "write \"[::1]:8443\""),
            ("[::1]", "write \"[::1]:8443\""),
            ("::ffff:0:0:8443:99999", "write \"[::ffff:0:0:8443]:8443\""),
            ("1:2:3:4:5:6:7:8:8443", "write \"[1:2:3:4:5:6:7:8]:8443\""),
            ("*:80", "write \":80\""),
            ("https://0.0.0.0:8443/", "write \"0.0.0.0:8443\", without a scheme"),
            ("localhost:https", "write \"localhost:8443\""),
            ("70000", "write a port like \":8443\""),
            (
                "gateway.example:443",
                "write an address of this machine, or \":443\" for all of them",
            ),
        ] {
            let refused = listening_address(text).expect_err(text);
            assert_eq!(refused.help, help, "{text}");
        }
        for (text, help) in [
            (
                "app.internal:3000",
                "write \"https://app.internal:3000\" or \"http://app.internal:3000\"",
            ),
            ("10.0.0.5:3000", "write \"https://10.0.0.5:3000\" or \"http://10.0.0.5:3000\""),
            ("localhost:443", "write \"https://localhost:443\" or \"http://localhost:443\""),
            ("::1:3000", "write \"http://[::1]:3000\""),
            (":0", "write \"http://localhost:3000\""),
            ("70000", "write \"http://localhost:3000\""),
        ] {
            let refused = upstream_url(text).expect("a short form").expect_err(text);
            assert_eq!(refused.help, help, "{text}");
        }
        for text in ["app", "echo", "http://a:1", "localhost:x", "localhost", ""] {
            assert_eq!(upstream_url(text), None, "{text}");
        }
    }
}
