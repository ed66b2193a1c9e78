use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{ForwardedFacts, Passing, prepare_request, prepare_response};
use crate::config::{CredentialForwarding, FieldNames, FieldOverrides, IdentityHeaders};
use crate::dialect::delivery::ACCESS_COOKIE;
use crate::pipeline::authenticate::Fields;
use crate::pipeline::forward::field_names::FieldRules;

const CLIENT: &str = "192.0.2.1";

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn prepared(fields: &[(&str, &str)], peer: &str) -> HeaderMap {
    prepared_where(CredentialForwarding::Strip, fields, peer)
}

fn prepared_where(
    credential: CredentialForwarding,
    fields: &[(&str, &str)],
    peer: &str,
) -> HeaderMap {
    let mut headers = map(fields);
    let facts = ForwardedFacts {
        client: CLIENT.parse().unwrap(),
        peer: peer.parse().unwrap(),
        scheme: "https",
        host: Some("a.example:8443"),
        port: None,
        request_id: "id",
        trace: &|| "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    };
    let rules = FieldRules::new(&IdentityHeaders::default(), &FieldOverrides::default());
    let (names, fields) = (FieldNames::Strict, Fields::default());
    let passing = Passing { rules: &rules, names, credential, fields };
    let _removed = prepare_request(&mut headers, passing, &facts);
    headers
}

/// The values of one field after preparing.
fn check(fields: &[(&str, &str)], name: &str, expected: &[&str]) {
    let headers = prepared(fields, CLIENT);
    let actual: Vec<_> = headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(actual, expected, "{fields:?}");
}

#[test]
fn fields_of_the_connection_stay_on_it() {
    let fields = [
        ("connection", "keep-alive, X-Private"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "x"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAA"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("expect", "100-continue"),
        ("te", "gzip"),
    ];
    for (name, _) in fields {
        check(&fields, name, &[]);
    }
    check(&[("te", "gzip, trailers;q=0.5")], "te", &[]);
    check(&[("te", "gzip"), ("te", "Trailers")], "te", &["trailers"]);
}

/// A line may hold bytes that are no text; what it names beside them goes all the same.
#[test]
fn a_nomination_beside_odd_bytes_counts() {
    let mut headers = map(&[("x-private", "1")]);
    headers.insert("connection", HeaderValue::from_bytes(b"\xff, x-private").unwrap());
    prepare_response(&mut headers, &HeaderValue::from_static("id"), false);
    assert!(!headers.contains_key("x-private"));
}

#[test]
fn what_the_gateway_says_cannot_be_nominated_away() {
    let fields = [
        ("connection", "host, x-forwarded-for, forwarded, x-request-id, x-forwarded-host"),
        ("host", "a.example:8443"),
    ];
    check(&fields, "host", &["a.example:8443"]);
    check(&fields, "x-forwarded-for", &["192.0.2.1"]);
    check(&fields, "x-request-id", &["id"]);
    check(&fields, "forwarded", &["for=192.0.2.1;host=\"a.example:8443\";proto=https"]);
}

#[test]
fn a_clients_word_about_itself_is_replaced() {
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"] {
        let headers = prepared(&[(name, "spoofed"), (name, "twice")], CLIENT);
        let values: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}");
        assert_ne!(values[0], "spoofed", "{name}");
    }
    for name in [
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-forwarded-uri",
        "x.original.url",
        "x.real.ip",
        "x.api.key",
        "x-forwarded-user",
        "x-forwarded_for",
        "x_real_ip",
        "remote.user",
    ] {
        check(&[(name, "spoofed")], name, &[]);
    }
}

#[test]
fn a_trusted_proxy_stands_behind_the_client_it_spoke_for() {
    let headers = prepared(&[("x-forwarded-for", "6.6.6.6, 192.0.2.1")], "10.0.0.1");
    assert_eq!(headers["x-forwarded-for"], "192.0.2.1, 10.0.0.1");
    assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
}

#[test]
fn credentials_stay_and_cookies_become_one() {
    check(&[("authorization", "Basic x")], "authorization", &[]);
    check(&[("x-api-key", "x")], "x-api-key", &[]);
    check(&[("cookie", "a=1"), ("cookie", "b=2")], "cookie", &["a=1; b=2"]);
    check(&[("cookie", "a=1")], "cookie", &["a=1"]);
    let token = format!("{ACCESS_COOKIE}=x; a=1");
    check(&[("cookie", &token)], "cookie", &["a=1"]);
    check(&[("cookie", &token[..token.len() - 5])], "cookie", &[]);
}

#[test]
fn credentials_go_on_where_the_route_says_so() {
    let token = format!("{ACCESS_COOKIE}=x; a=1");
    let fields = [("authorization", "Basic x"), ("x-api-key", "x"), ("cookie", &*token)];
    let headers = prepared_where(CredentialForwarding::Pass, &fields, CLIENT);
    for (name, value) in fields {
        assert_eq!(headers.get(name).unwrap(), value, "{name}");
    }
}

#[test]
fn a_valid_trace_goes_on_and_another_is_replaced() {
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let fresh = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    check(&[("traceparent", valid), ("tracestate", "a=b")], "traceparent", &[valid]);
    check(&[("traceparent", "00-zz-1-01"), ("tracestate", "a=b")], "traceparent", &[fresh]);
    check(&[("traceparent", "x"), ("tracestate", "a=b")], "tracestate", &[]);
    for invalid in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b77-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bx-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    ] {
        check(&[("traceparent", invalid), ("tracestate", "a=b")], "traceparent", &[fresh]);
        check(&[("traceparent", invalid), ("tracestate", "a=b")], "tracestate", &[]);
    }
    check(&[("traceparent", valid), ("traceparent", valid)], "traceparent", &[fresh]);
}

#[test]
fn an_upstreams_connection_fields_are_not_passed_on() {
    let mut headers = map(&[
        ("connection", "x-private"),
        ("x-private", "1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("x-kept", "1"),
        ("upgrade", "h2c"),
    ]);
    prepare_response(&mut headers, &HeaderValue::from_static("id"), false);
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-kept", "x-request-id"]);
}

proptest! {
    /// Whatever a request says of its client: what is told is what the gateway knows.
    #[test]
    fn what_an_upstream_is_told_of_the_client_is_never_the_clients_word(
        fields in proptest::collection::vec(
            (
                "(x-forwarded(-[a-z]{1,8})?|X-Forwarded-(For|Proto|Host|Port|Ssl)|forwarded|x-real-ip|x-client-ip)",
                "[ -~]{0,40}",
            ),
            0..8,
        ),
    ) {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert_eq!(prepared(&fields, CLIENT), prepared(&[], CLIENT));
    }
}
