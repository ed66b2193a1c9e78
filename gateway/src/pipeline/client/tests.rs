use http::{HeaderMap, HeaderValue};

use super::identify;
use crate::auth::ports::Source;

fn check(peer: &str, forwarded: &[&str], expected: &str) {
    let proxies = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let mut headers = HeaderMap::new();
    for line in forwarded {
        headers.append("x-forwarded-for", line.parse().unwrap());
    }
    let actual = identify(peer.parse().unwrap(), &headers, &proxies);
    assert_eq!(actual, expected.parse::<std::net::IpAddr>().unwrap(), "{peer} {forwarded:?}");
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
}

#[test]
fn behind_a_trusted_proxy_the_rightmost_untrusted_address_is_the_client() {
    check("10.0.0.1", &[], "10.0.0.1");
    check("10.0.0.1", &["198.51.100.7"], "198.51.100.7");
    check("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.2.2.2"], "198.51.100.7");
    check("10.0.0.1", &["1.1.1.1", "198.51.100.7"], "198.51.100.7");
    check("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7");
    check("fd00::1", &["[2001:db8::1]:80"], "2001:db8::1");
    check("fd00::1", &["::ffff:198.51.100.7"], "198.51.100.7");
}

#[test]
fn an_unreadable_entry_ends_the_walk() {
    check("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1");
    check("10.0.0.1", &["198.51.100.7, x, 10.3.3.3"], "10.3.3.3");
}

/// What stands left of it was written by whoever wrote the line that is no text.
#[test]
fn a_line_that_is_no_text_ends_the_walk() {
    let proxies = ["10.0.0.0/8".parse().unwrap()];
    let peer = "10.0.0.1".parse().unwrap();
    let identify = |lines: &[&[u8]]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
        }
        super::identify(peer, &headers, &proxies).to_string()
    };
    assert_eq!(identify(&[b"203.0.113.9"]), "203.0.113.9");
    assert_eq!(identify(&[b"203.0.113.9", b"\xff"]), "10.0.0.1");
    assert_eq!(identify(&[b"203.0.113.9", b"198.51.100.7 \xff"]), "10.0.0.1");
    assert_eq!(identify(&[b"203.0.113.9", b"\xff", b"10.2.2.2"]), "10.2.2.2");
    assert_eq!(identify(&[b"\xff", b"198.51.100.7"]), "198.51.100.7");
}

#[test]
fn addresses_of_one_ipv6_network_share_a_limit() {
    let key = |ip: &str| Source::of(ip.parse().unwrap());
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
}
