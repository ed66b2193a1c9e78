use http::{HeaderMap, HeaderValue};

use super::ticket::split_query;
use super::{Presented, Reason, basic, presented};

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn check(fields: &[(&'static str, &str)], expected: Option<&Presented<'_>>) {
    let headers = headers(fields);
    let actual = presented(&headers, None).ok();
    assert_eq!(actual.as_ref(), expected, "{fields:?}");
}

#[test]
fn each_scheme_is_told_by_its_form() {
    check(&[], Some(&Presented::Nothing));
    check(&[("authorization", "Basic abc=")], Some(&Presented::Basic("abc=")));
    check(&[("authorization", "bASIC   abc=")], Some(&Presented::Basic("abc=")));
    check(&[("authorization", "Bearer a.b.c")], Some(&Presented::Bearer("a.b.c")));
    check(&[("authorization", "Bearer")], Some(&Presented::Bearer("")));
    check(&[("authorization", "Bearer sk_live_x")], Some(&Presented::Key("sk_live_x")));
    check(&[("x-api-key", "anything")], Some(&Presented::Key("anything")));
    check(&[("authorization", "Digest x")], Some(&Presented::Nothing));
    check(&[("authorization", "BearerX a")], Some(&Presented::Nothing));
}

#[test]
fn two_credentials_are_a_conflict() {
    check(&[("authorization", "Bearer a"), ("authorization", "Bearer a")], None);
    check(&[("authorization", "Bearer a"), ("x-api-key", "b")], None);
    check(&[("x-api-key", "a"), ("x-api-key", "a")], None);
    let headers = headers(&[("authorization", "Bearer a")]);
    assert!(presented(&headers, Some("ticket")).is_err());
}

#[test]
fn a_basic_name_ends_at_the_first_colon() {
    let decode =
        |text| basic::decode(text).map(|(name, password)| (name, password.expose().to_owned()));
    assert_eq!(decode("YTpiOmM="), Some(("a".to_owned(), "b:c".to_owned())));
    assert_eq!(decode("YTo="), Some(("a".to_owned(), String::new())));
    for malformed in ["", "YQ==", "YTpi Yg==", "!", "YTo", "/////w=="] {
        assert_eq!(decode(malformed), None, "{malformed}");
    }
}

#[test]
fn a_ticket_is_taken_out_of_the_query() {
    for (query, ticket, rest) in [
        ("token=abc", Some("abc"), None),
        ("a=1&token=abc&b=2", Some("abc"), Some("a=1&b=2")),
        ("a=%2f&&token=abc&b", Some("abc"), Some("a=%2f&&b")),
        ("%74oken=%61bc", Some("abc"), None),
        ("token", Some(""), None),
        ("mytoken=abc&Token=1", None, Some("mytoken=abc&Token=1")),
        ("", None, Some("")),
    ] {
        let (found, left) = split_query(query).unwrap();
        assert_eq!((found.as_deref(), left.as_deref()), (ticket, rest), "{query}");
    }
    for twice in ["token=a&token=b", "token=a&toke%6e=a"] {
        assert_eq!(split_query(twice).unwrap_err().reason, Reason::CredentialsConflict, "{twice}");
    }
}

#[test]
fn a_ticket_alone_is_presented() {
    let without = headers(&[]);
    let found = presented(&without, Some("ticket")).ok();
    assert_eq!(found, Some(Presented::Ticket("ticket")));
    let with_key = headers(&[("x-api-key", "a")]);
    assert!(presented(&with_key, Some("ticket")).is_err());
}

#[test]
fn what_is_no_text_is_judged_as_what_it_may_hold() {
    for (name, value, expected) in [
        ("authorization", &b"Basic J\xfcrgen"[..], Presented::Unreadable),
        ("authorization", b"J\xfcrgen", Presented::Unreadable),
        ("authorization", b"Bearer J\xfcrgen", Presented::Bearer("")),
        ("authorization", b"bEARER \xff", Presented::Bearer("")),
        ("x-api-key", b"sk_live_\xfc", Presented::Key("")),
    ] {
        let mut fields = HeaderMap::new();
        fields.insert(name, HeaderValue::from_bytes(value).unwrap());
        assert_eq!(presented(&fields, None).ok(), Some(expected), "{value:?}");
    }
}

#[test]
fn a_browser_sends_passwords_and_cookies_by_itself_and_nothing_else() {
    for (presented, ambient) in [
        (Presented::Basic("x"), true),
        (Presented::Cookie("x"), true),
        (Presented::Unreadable, true),
        (Presented::Nothing, false),
        (Presented::Bearer("x"), false),
        (Presented::Key("x"), false),
        (Presented::Ticket("x"), false),
    ] {
        assert_eq!(presented.is_ambient(), ambient, "{presented:?}");
    }
}
