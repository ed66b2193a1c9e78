use http::Request;
use proptest::prelude::*;

use super::*;

const HOST: &str = "gate.example";
const LISTED: &str = "https://app.example";
const UPGRADE: [(&str, &str); 2] = [("connection", "Upgrade"), ("upgrade", "websocket")];

fn parts(method: &Method, fields: &[(&str, &[u8])]) -> Parts {
    let mut request = Request::builder().method(method).uri("/");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn passes(parts: &Parts, host: &str, scheme: &'static str) -> bool {
    let listed = [PageOrigin::parse(LISTED).unwrap()];
    check(parts, Origin { host, scheme }, &listed).is_ok()
}

fn posts(fields: &[(&str, &str)]) -> bool {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    passes(&parts(&Method::POST, &fields), HOST, "https")
}

#[test]
fn sec_fetch_site_decides_alone_unless_the_origin_is_listed() {
    let site = "sec-fetch-site";
    for (fields, good) in [
        (&[][..], true),
        (&[(site, "same-origin")], true),
        (&[(site, "none")], true),
        (&[(site, "same-site")], false),
        (&[(site, "cross-site")], false),
        (&[(site, "Same-Origin")], false),
        (&[(site, "")], false),
        // A page with `Referrer-Policy: no-referrer`, as helmet sets it.
        (&[(site, "same-origin"), ("origin", "null")], true),
        (&[(site, "cross-site"), ("origin", "null")], false),
        (&[(site, "cross-site"), ("origin", "https://gate.example")], false),
        (&[(site, "cross-site"), ("origin", LISTED)], true),
        (&[("origin", LISTED)], true),
        (&[("origin", "https://app.example.evil.example")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", "")], false),
        (&[(site, "same-origin"), (site, "same-origin")], false),
        (&[("origin", LISTED), ("origin", LISTED)], false),
        (&[(site, "same-origin"), ("origin", LISTED), ("origin", "https://evil.example")], false),
    ] {
        assert_eq!(posts(fields), good, "{fields:?}");
    }
}

#[test]
fn an_origin_is_the_one_that_was_asked_in_every_spelling_of_it() {
    for (origin, host, scheme, good) in [
        ("https://gate.example", "gate.example", "https", true),
        ("https://GATE.example:443", "gate.example", "https", true),
        ("https://gate.example", "Gate.Example:443", "https", true),
        ("https://gate.example:8443", "gate.example:8443", "https", true),
        ("https://gate.example:8443", "gate.example", "https", false),
        ("https://gate.example", "gate.example:8443", "https", false),
        ("http://gate.example", "gate.example", "https", false),
        ("http://gate.example", "gate.example", "http", true),
        ("http://gate.example:80", "gate.example", "http", true),
        ("http://gate.example:443", "gate.example", "http", false),
        // TLS ended in front of us.
        ("https://gate.example", "gate.example", "http", true),
        ("https://gate.example", "gate.example:443", "http", true),
        ("https://gate.example:8443", "gate.example:8443", "http", true),
        ("https://[2001:db8::1]:8443", "[2001:DB8:0::1]:8443", "https", true),
        ("https://gate.example", "gate.example.", "https", false),
        ("https://gate.example/", "gate.example", "https", false),
        ("https://user@gate.example", "gate.example", "https", false),
        ("https://gate.example.evil.example", "gate.example", "https", false),
        ("https://evil.example#gate.example", "gate.example", "https", false),
        ("ftp://gate.example", "gate.example", "https", false),
        ("ftp://gate.example", "gate.example", "http", false),
        ("gate.example", "gate.example", "https", false),
    ] {
        let parts = parts(&Method::POST, &[("origin", origin.as_bytes())]);
        assert_eq!(passes(&parts, host, scheme), good, "{origin} of {scheme} {host}");
    }
}

#[test]
fn what_changes_nothing_may_come_from_any_page_unless_it_opens_a_websocket() {
    let foreign = ("origin", b"https://evil.example".as_slice());
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert!(passes(&parts(&method, &[foreign]), HOST, "https"), "{method}");
    }
    let made_up = Method::from_bytes(b"PURGE").unwrap();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, made_up] {
        assert!(!passes(&parts(&method, &[foreign]), HOST, "https"), "{method}");
    }
    let upgrade = UPGRADE.map(|(name, value)| (name, value.as_bytes()));
    assert!(!passes(&parts(&Method::GET, &[&upgrade[..], &[foreign]].concat()), HOST, "https"));
    assert!(passes(&parts(&Method::GET, &upgrade), HOST, "https"));
}

#[test]
fn a_refusal_names_the_key_and_what_to_list() {
    let parts = parts(&Method::POST, &[("origin", b"https://Other.example:443")]);
    let refused = check(&parts, Origin { host: HOST, scheme: "https" }, &[]).unwrap_err();
    assert_eq!(refused.reason, Reason::CrossSite);
    let detail = refused.detail.unwrap();
    assert_eq!(detail, "a page of https://other.example, which is not in `origins`");
}

/// What a line of `Origin` is, whatever it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Asked,
    Listed,
    Foreign,
}

fn origin_line() -> impl Strategy<Value = (Page, Vec<u8>)> {
    let of = |page, texts: &'static [&'static str]| {
        prop::sample::select(texts).prop_map(move |text| (page, text.as_bytes().to_vec()))
    };
    prop_oneof![
        of(
            Page::Asked,
            &[
                "https://gate.example:8443",
                "HTTPS://Gate.Example:8443",
                "https://gate.example:08443"
            ]
        ),
        of(Page::Listed, &[LISTED, "https://app.example:443", "https://APP.example"]),
        of(
            Page::Foreign,
            &[
                "null",
                "",
                "https://gate.example",
                "http://gate.example:8443",
                "https://gate.example:8443.evil.example",
                "https://app.example:8443",
                "http://app.example",
                "https://sub.app.example",
            ]
        ),
        // No generated text has this length and is one of ours.
        prop::collection::vec(prop::sample::select(&b"htps:/gae.xml\t\xff8-"[..]), 0..16)
            .prop_map(|bytes| (Page::Foreign, bytes.trim_ascii().to_vec())),
    ]
}

/// Good or not, and the line.
fn site_line() -> impl Strategy<Value = (bool, &'static str)> {
    prop::sample::select(&[
        (true, "same-origin"),
        (true, "none"),
        (false, "same-site"),
        (false, "cross-site"),
        (false, "same-origin, same-origin"),
        (false, "SAME-ORIGIN"),
    ])
}

/// The rule as the documentation states it, over what the lines mean.
fn expected(method: &str, upgrade: bool, pages: &[Page], sites: &[bool]) -> bool {
    if matches!(method, "GET" | "HEAD" | "OPTIONS") && !upgrade {
        return true;
    }
    match (pages, sites) {
        ([_, _, ..], _) | (_, [_, _, ..]) => false,
        ([Page::Listed], _) | ([], []) => true,
        (_, [good]) => *good,
        ([page], []) => *page == Page::Asked,
    }
}

#[test]
fn an_own_page_is_one_whose_browser_keeps_our_cookies() {
    let is_own = |fields: &[(&str, &str)], host, scheme| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        is_own_page(&parts(&Method::POST, &fields).headers, Origin { host, scheme })
    };
    for (page, host, scheme, own) in [
        ("https://gate.example", "gate.example", "https", true),
        // Behind something that ends TLS and says nothing of it.
        ("https://gate.example", "gate.example", "http", true),
        ("http://gate.lan:8080", "gate.lan:8080", "http", false),
        ("http://192.168.1.7", "192.168.1.7", "http", false),
        ("http://notlocalhost", "notlocalhost", "http", false),
        ("http://localhost.example", "localhost.example", "http", false),
        ("http://localhost:8080", "localhost:8080", "http", true),
        ("http://gate.localhost", "gate.localhost", "http", true),
        ("http://127.0.0.9:81", "127.0.0.9:81", "http", true),
        ("http://[::1]:8080", "[::1]:8080", "http", true),
        ("http://localhost", "localhost:8080", "http", false),
        ("https://other.example", "gate.example", "https", false),
    ] {
        assert_eq!(is_own(&[("origin", page)], host, scheme), own, "{page}");
    }
    let site = ("sec-fetch-site", "same-origin");
    assert!(is_own(&[site], "gate.example", "http"));
    assert!(is_own(&[site, ("origin", "null")], "gate.example", "http"));
    assert!(is_own(&[site, ("origin", "https://gate.example")], "gate.example", "http"));
    assert!(!is_own(&[site, ("origin", "http://gate.lan")], "gate.lan", "http"));
    assert!(!is_own(&[("sec-fetch-site", "none")], "gate.example", "https"));
    assert!(!is_own(&[site, site], "gate.example", "https"));
    assert!(!is_own(&[], "gate.example", "https"));
}

proptest! {
    #[test]
    fn whatever_is_stated_the_rule_decides(
        method in prop::sample::select(&["GET", "HEAD", "OPTIONS", "POST", "DELETE", "PROPFIND"][..]),
        upgrade in any::<bool>(),
        origins in prop::collection::vec(origin_line(), 0..3),
        sites in prop::collection::vec(site_line(), 0..3),
    ) {
        let mut fields: Vec<(&str, &[u8])> = Vec::new();
        if upgrade {
            fields.extend(UPGRADE.map(|(name, value)| (name, value.as_bytes())));
        }
        fields.extend(origins.iter().map(|(_, line)| ("origin", line.as_slice())));
        fields.extend(sites.iter().map(|(_, line)| ("sec-fetch-site", line.as_bytes())));
        let parts = parts(&method.parse().unwrap(), &fields);
        let pages: Vec<Page> = origins.iter().map(|(page, _)| *page).collect();
        let good: Vec<bool> = sites.iter().map(|(good, _)| *good).collect();
        prop_assert_eq!(
            passes(&parts, "gate.example:8443", "https"),
            expected(method, upgrade, &pages, &good)
        );
    }
}
