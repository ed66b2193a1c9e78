use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use proptest::prelude::*;

use super::{Client, Ignored, Peer, identify};
use crate::auth::source::Source;
use crate::config::{Claim, ForwardedFamily, Forwarding};
use crate::pipeline::connection::PeerSource;

const PROXY: &str = "10.0.0.1";
const EVERYTHING: [Claim; 4] = [Claim::For, Claim::Proto, Claim::Host, Claim::Port];

fn proxies() -> Vec<IpNet> {
    vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        (name.parse::<HeaderName>().unwrap(), value)
    };
    fields.iter().map(field).collect()
}

/// In clear from this socket, with everything believed of that family.
fn seen(peer: &str, family: ForwardedFamily, fields: &[(&str, &str)]) -> Client {
    let forwarding = Forwarding { family, believed: EVERYTHING.to_vec() };
    let peer = Peer { address: ip(peer), source: PeerSource::Socket, scheme: "http" };
    identify(peer, &map(fields), &proxies(), &forwarding)
}

fn check(peer: &str, lines: &[&str], expected: &str) {
    let fields: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
    let actual = seen(peer, ForwardedFamily::XForwarded, &fields).address;
    assert_eq!(actual, ip(expected), "{peer} {lines:?}");
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
}

#[test]
fn behind_a_trusted_proxy_the_rightmost_untrusted_address_is_the_client() {
    check(PROXY, &[], PROXY);
    check(PROXY, &["198.51.100.7"], "198.51.100.7");
    check(PROXY, &["1.1.1.1, 198.51.100.7, 10.2.2.2"], "198.51.100.7");
    check(PROXY, &["1.1.1.1", "198.51.100.7"], "198.51.100.7");
    check(PROXY, &["198.51.100.7:4711"], "198.51.100.7");
    check("fd00::1", &["[2001:db8::1]:80"], "2001:db8::1");
    check("fd00::1", &["::ffff:198.51.100.7"], "198.51.100.7");
}

#[test]
fn an_unreadable_entry_ends_the_walk() {
    check(PROXY, &["198.51.100.7, unknown"], PROXY);
    check(PROXY, &["198.51.100.7, x, 10.3.3.3"], "10.3.3.3");
    check(PROXY, &["198.51.100.7,"], PROXY);
    check(PROXY, &["198.51.100.7", "é"], PROXY);
    // What the client wrote hides nothing of what the proxy put behind it.
    check(PROXY, &["é, 198.51.100.7"], "198.51.100.7");
}

#[test]
fn addresses_of_one_ipv6_network_share_a_limit() {
    let key = |text: &str| Source::of(ip(text));
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
}

/// One value is whoever's set it; several must be as many as the addresses.
#[test]
fn the_scheme_is_the_one_said_beside_the_client_s_address() {
    for (forwarded_for, proto, expected) in [
        (&["198.51.100.7"][..], &["https"][..], "https"),
        (&[], &["https"], "https"),
        (&["198.51.100.7, 10.2.2.2"], &["https"], "https"),
        (&["198.51.100.7, 10.2.2.2"], &["https, http"], "https"),
        (&["198.51.100.7", "10.2.2.2"], &["https", "http"], "https"),
        (&["198.51.100.7, 10.2.2.2"], &["http, https"], "http"),
        (&["6.6.6.6, 198.51.100.7"], &["https, http"], "http"),
        (&["198.51.100.7"], &["https, http"], "http"),
        (&["198.51.100.7"], &["http, https"], "http"),
        (&["198.51.100.7, 10.2.2.2"], &["https, https, https"], "http"),
        (&[], &["https", "https"], "http"),
        (&["198.51.100.7"], &["HTTPS"], "http"),
        (&["198.51.100.7"], &["https "], "https"),
        (&["198.51.100.7"], &["https;"], "http"),
        (&["198.51.100.7"], &[""], "http"),
        (&["198.51.100.7"], &["ws"], "http"),
    ] {
        let fields: Vec<_> = (forwarded_for.iter().map(|line| ("x-forwarded-for", *line)))
            .chain(proto.iter().map(|line| ("x-forwarded-proto", *line)))
            .collect();
        let actual = seen(PROXY, ForwardedFamily::XForwarded, &fields).scheme;
        assert_eq!(actual, expected, "{fields:?}");
    }
}

#[test]
fn a_host_and_a_port_are_believed_when_they_are_well_formed() {
    for (host, port, expected) in [
        ("app.example", "8443", (Some("app.example:8443"), Some(8443))),
        ("app.example", "443", (Some("app.example"), Some(443))),
        ("app.example:8443", "443", (Some("app.example:8443"), Some(443))),
        ("app.example:8443", "9443", (Some("app.example:8443"), Some(9443))),
        ("[2001:db8::1]:8443", "9443", (Some("[2001:db8::1]:8443"), Some(9443))),
        ("[2001:db8::1]", "8443", (Some("[2001:db8::1]:8443"), Some(8443))),
        ("a b", "0", (None, None)),
        ("a.example, b.example", "65536", (None, None)),
        ("user@a.example", "+1", (None, None)),
        ("", "", (None, None)),
    ] {
        let fields = [
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", host),
            ("x-forwarded-port", port),
        ];
        let client = seen(PROXY, ForwardedFamily::XForwarded, &fields);
        assert_eq!((client.host.as_deref(), client.port), expected, "{host} {port}");
    }
}

#[test]
fn a_proxy_that_comes_by_tls_may_have_been_asked_in_clear() {
    let peer = Peer { address: ip(PROXY), source: PeerSource::Socket, scheme: "https" };
    for (family, name, in_clear) in [
        (ForwardedFamily::XForwarded, "x-forwarded-proto", "http"),
        (ForwardedFamily::Forwarded, "forwarded", "for=198.51.100.7;proto=http"),
    ] {
        let forwarding = Forwarding { family, believed: EVERYTHING.to_vec() };
        let scheme = |fields: &[_]| identify(peer, &map(fields), &proxies(), &forwarding).scheme;
        assert_eq!(scheme(&[]), "https", "{name}");
        assert_eq!(scheme(&[(name, in_clear)]), "http", "{name}");
    }
}

#[test]
fn only_what_is_listed_is_believed() {
    let fields = map(&[
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example"),
        ("x-forwarded-port", "8443"),
    ]);
    let peer = Peer { address: ip(PROXY), source: PeerSource::Socket, scheme: "http" };
    for believed in [&[][..], &[Claim::For], &[Claim::Proto], &[Claim::Host], &[Claim::Port]] {
        let forwarding =
            Forwarding { family: ForwardedFamily::XForwarded, believed: believed.to_vec() };
        let client = identify(peer, &fields, &proxies(), &forwarding);
        let is = |claim| believed.contains(&claim);
        assert_eq!(client.address == ip("198.51.100.7"), is(Claim::For), "{believed:?}");
        assert_eq!(client.scheme == "https", is(Claim::Proto), "{believed:?}");
        assert_eq!(client.host.is_some(), is(Claim::Host), "{believed:?}");
        assert_eq!(client.port.is_some(), is(Claim::Port), "{believed:?}");
    }
}

#[test]
fn forwarded_is_read_by_its_grammar() {
    for (lines, address, scheme, host) in [
        (
            &["for=198.51.100.7;proto=https;host=app.example"][..],
            "198.51.100.7",
            "https",
            Some("app.example"),
        ),
        (&["For=\"[2001:db8::1]:4711\";Proto=https"], "2001:db8::1", "https", None),
        (&["for=\"[2001:db8::1]\""], "2001:db8::1", "http", None),
        (&["for=\"[2001:db8::1]x\""], PROXY, "http", None),
        (&["for=\"[2001:db8::1]:\""], PROXY, "http", None),
        (
            &["for=\"198.51.100.7:_x\";host=\"app.example:8443\""],
            "198.51.100.7",
            "http",
            Some("app.example:8443"),
        ),
        (&["for=6.6.6.6;proto=https, for=198.51.100.7;proto=http"], "198.51.100.7", "http", None),
        (&["for=198.51.100.7;proto=https,for=10.2.2.2;proto=http"], "198.51.100.7", "https", None),
        (
            &["for=198.51.100.7;proto=https", "for=10.2.2.2;proto=http"],
            "198.51.100.7",
            "https",
            None,
        ),
        (&["for=198.51.100.7, ,"], "198.51.100.7", "http", None),
        (&["for=\"198.51.\\100.7\";by=_hidden;secret=\"a,b;c\""], "198.51.100.7", "http", None),
        // Hidden, but still said by a proxy that is trusted.
        (&["for=unknown;proto=https"], PROXY, "https", None),
        (&["for=_hidden;proto=https"], PROXY, "https", None),
        (&["proto=https"], PROXY, "https", None),
        (&["for=198.51.100.7, for=unknown;proto=http"], PROXY, "http", None),
        // What is malformed says nothing.
        (&["for=198.51.100.7;proto=https;"], "198.51.100.7", "https", None),
        (&["for=198.51.100.7; proto=https"], PROXY, "http", None),
        (&["for = 198.51.100.7"], PROXY, "http", None),
        (&["for=198.51.100.7;for=203.0.113.9"], PROXY, "http", None),
        (&["for=2001:db8::1"], PROXY, "http", None),
        (&["for=\"2001:db8::1\";proto=https"], PROXY, "https", None),
        (&["for=[2001:db8::1]"], PROXY, "http", None),
        (&["for=198.51.100.7:80"], PROXY, "http", None),
        (&["for=\"198.51.100.7"], PROXY, "http", None),
        // But it hides nothing of what a proxy puts behind it.
        (&["for=\"x, for=198.51.100.7;proto=https"], "198.51.100.7", "https", None),
        (&["for=\"x", "for=198.51.100.7;proto=https"], "198.51.100.7", "https", None),
        (&["for=198.51.100.7 proto=https"], PROXY, "http", None),
        (&["for=198.51.100.7;proto=HTTPS;host=\"a b\""], "198.51.100.7", "http", None),
        (&["="], PROXY, "http", None),
        (&[""], PROXY, "http", None),
    ] {
        let fields: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        let client = seen(PROXY, ForwardedFamily::Forwarded, &fields);
        let actual = (client.address, client.scheme, client.host.as_deref());
        assert_eq!(actual, (ip(address), scheme, host), "{lines:?}");
    }
}

#[test]
fn the_other_family_is_not_read() {
    let fields = [
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.9;proto=https;host=b.example"),
    ];
    let client = seen(PROXY, ForwardedFamily::XForwarded, &fields);
    assert_eq!((client.address, client.host), (ip("198.51.100.7"), None));
    let client = seen(PROXY, ForwardedFamily::Forwarded, &fields);
    assert_eq!((client.address, client.host.as_deref()), (ip("203.0.113.9"), Some("b.example")));
    let client = seen(PROXY, ForwardedFamily::Forwarded, &fields[..2]);
    assert_eq!((client.address, client.scheme), (ip(PROXY), "http"));
}

#[test]
fn fields_that_are_not_believed_are_told_of() {
    let fields = [("x-forwarded-for", "198.51.100.7")];
    let family = ForwardedFamily::XForwarded;
    assert_eq!(seen(PROXY, family, &fields).ignored, None);
    assert_eq!(seen("192.0.2.1", family, &[]).ignored, None);
    assert_eq!(seen("192.0.2.1", family, &fields).ignored, Some(Ignored::Untrusted));
    let peer = Peer { address: ip(PROXY), source: PeerSource::ProxyHeader, scheme: "https" };
    let forwarding = Forwarding { family, believed: EVERYTHING.to_vec() };
    let client = identify(peer, &map(&fields), &proxies(), &forwarding);
    assert_eq!((client.address, client.ignored), (ip(PROXY), Some(Ignored::ProxyHeader)));
}

const NAMES: [&str; 9] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded",
    "forwarded",
    "x-real-ip",
    "via",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "(for|proto|host|by)=(\"?)[a-z0-9.:\\[\\]_]{0,20}(\"?)(;proto=https?)?(, ?)?",
        "((10|198)\\.[0-9]\\.[0-9]\\.[0-9],? ?){1,3}",
        Just("https".to_owned()),
        Just("evil.example".to_owned()),
        Just("443".to_owned()),
    ]
}

fn fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    proptest::collection::vec((proptest::sample::select(&NAMES[..]), value()), 0..6)
}

fn family() -> impl Strategy<Value = ForwardedFamily> {
    prop_oneof![Just(ForwardedFamily::XForwarded), Just(ForwardedFamily::Forwarded)]
}

proptest! {
    /// From somebody nobody trusts, and behind a PROXY header, nothing is believed.
    #[test]
    fn no_field_of_an_untrusted_peer_changes_who_it_is(
        fields in fields(), family in family(), by_header in any::<bool>(),
    ) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (address, source) = if by_header {
            (ip(PROXY), PeerSource::ProxyHeader)
        } else {
            (ip("192.0.2.1"), PeerSource::Socket)
        };
        for scheme in ["http", "https"] {
            let forwarding = Forwarding { family, believed: EVERYTHING.to_vec() };
            let peer = Peer { address, source, scheme };
            let client = identify(peer, &map(&fields), &proxies(), &forwarding);
            let Client { address: found, scheme: told, host, port, .. } = client;
            prop_assert_eq!((found, told, host, port), (address, scheme, None, None));
        }
    }

    /// What a client writes stands to the left of what the proxy adds, and changes nothing.
    #[test]
    fn a_client_cannot_speak_through_a_proxy_that_adds_to_its_list(lies in value()) {
        let added = format!("{lies}, 198.51.100.7");
        let client = seen(PROXY, ForwardedFamily::XForwarded, &[
            ("x-forwarded-for", &added), ("x-forwarded-proto", "https"),
        ]);
        prop_assert_eq!((client.address, client.scheme), (ip("198.51.100.7"), "https"));
        let own = "for=198.51.100.7;proto=https";
        let line = [("forwarded", lies.as_str()), ("forwarded", own)];
        let client = seen(PROXY, ForwardedFamily::Forwarded, &line);
        prop_assert_eq!((client.address, client.scheme), (ip("198.51.100.7"), "https"));
        // On one line too, whatever quote is left open.
        let client = seen(PROXY, ForwardedFamily::Forwarded, &[("forwarded", &format!("{lies}, {own}"))]);
        prop_assert_eq!((client.address, client.scheme), (ip("198.51.100.7"), "https"));
    }
}
