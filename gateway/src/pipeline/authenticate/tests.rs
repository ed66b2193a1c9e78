use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::own::Own;
use super::ticket::split_query;
use super::{BrowserTokens, Fate, Fields, Found, Presented, Reason, basic, presented};
use crate::auth::api_key::LENGTH;
use crate::config::schemes::{CallerScheme, Schemes};
use crate::dialect::delivery::ACCESS_COOKIE;

/// Tokens of ours begin `own`, and keys end with it.
struct Ours;

impl Own for Ours {
    fn may_be_token(&self, text: &str) -> bool {
        text.starts_with("own")
    }

    fn is_key(&self, text: &str) -> bool {
        text.len() == LENGTH && text.starts_with("sk_live_") && text.ends_with("own")
    }
}

/// What the cookie of these tests brings.
const OWN: BrowserTokens<'_> = BrowserTokens { access: Some("own"), renewal: None };

fn key() -> String {
    format!("sk_live_{:0>width$}", "own", width = LENGTH - 8)
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn check(fields: &[(&'static str, &str)], expected: Option<&Presented<'_>>) {
    let headers = headers(fields);
    let found = presented(&Ours, &headers, Schemes::ALL, None).ok();
    assert_eq!(found.map(|found| found.presented).as_ref(), expected, "{fields:?}");
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
    for (authorization, key) in [
        ("Bearer own", "sk_live_x"),
        ("Basic abc=", "sk_live_x"),
        ("Basic", "sk_live_x"),
        ("Bearer sk_live_x", "sk_live_x"),
        // Neither can be ours: which one is at fault is nobody's guess.
        ("Bearer a", "b"),
    ] {
        check(&[("authorization", authorization), ("x-api-key", key)], None);
    }
    check(&[("authorization", "Bearer a"), ("authorization", "Bearer a")], None);
    check(&[("authorization", "Digest a"), ("authorization", "Digest a")], None);
    check(&[("x-api-key", "a"), ("x-api-key", "a")], None);
    for ours in ["Bearer own", "Basic abc=", "Bearer sk_live_x"] {
        let headers = headers(&[("authorization", ours)]);
        assert!(presented(&Ours, &headers, Schemes::ALL, Some("ticket")).is_err(), "{ours}");
    }
}

/// The credential, and which fields go on: `a` of `Authorization`, `k` of the key.
fn found<'a>(
    fields: &'a HeaderMap,
    schemes: &[CallerScheme],
    ticket: Option<&'a str>,
) -> (Presented<'a>, String) {
    let schemes = schemes.iter().copied().collect();
    let Found { presented, fields } = presented(&Ours, fields, schemes, ticket).unwrap();
    let Fields { authorization, api_key } = fields;
    let pass = [(authorization, 'a'), (api_key, 'k')].into_iter();
    (presented, pass.filter(|(fate, _)| *fate == Fate::Passes).map(|(_, name)| name).collect())
}

#[test]
fn what_cannot_be_ours_is_the_applications_beside_what_can() {
    const ALL: [CallerScheme; 4] = {
        use CallerScheme::{Basic, Bearer, Cookie, Key};
        [Cookie, Basic, Bearer, Key]
    };
    let cookie = format!("{ACCESS_COOKIE}=own; theme=dark");
    let (a, k, c) = ("authorization", "x-api-key", "cookie");
    let sonarr = (k, "0123456789abcdef0123456789abcdef");
    for (fields, presented, passing) in [
        (&[(a, "Basic abc="), sonarr][..], Presented::Basic("abc="), "k"),
        (&[(a, "Bearer own"), sonarr], Presented::Bearer("own"), "k"),
        (&[(a, "Bearer sk_live_x"), sonarr], Presented::Key("sk_live_x"), "k"),
        (&[(a, "Bearer theirs"), (k, "sk_live_x")], Presented::Key("sk_live_x"), "a"),
        (&[(a, "Digest x"), (k, "sk_live_x")], Presented::Key("sk_live_x"), "a"),
        (&[(a, "Bearer theirs"), (c, &cookie)], Presented::Cookie(OWN), "a"),
        (&[sonarr, (c, &cookie)], Presented::Cookie(OWN), "k"),
        (&[(a, "Bearer theirs"), sonarr, (c, &cookie)], Presented::Cookie(OWN), "ak"),
        (&[(a, "Digest x"), (c, &cookie)], Presented::Cookie(OWN), "a"),
        // A cookie counts only where nothing else can be ours.
        (&[(a, "Bearer own"), (c, &cookie)], Presented::Bearer("own"), ""),
        (&[(a, "Basic abc="), (c, &cookie)], Presented::Basic("abc="), ""),
        (&[(k, "sk_live_x"), (c, &cookie)], Presented::Key("sk_live_x"), ""),
        (&[(a, "Basic abc="), sonarr, (c, &cookie)], Presented::Basic("abc="), "k"),
        // Alone it is judged, and refused.
        (&[sonarr], Presented::Key(sonarr.1), ""),
        (&[(a, "Bearer theirs"), (c, "theme=dark")], Presented::Bearer("theirs"), ""),
    ] {
        assert_eq!(
            found(&headers(fields), &ALL, None),
            (presented, passing.to_owned()),
            "{fields:?}"
        );
    }
    let theirs = headers(&[(a, "Bearer theirs"), sonarr]);
    let with_ticket = found(&theirs, &ALL, Some("ticket"));
    assert_eq!(with_ticket, (Presented::Ticket("ticket"), "ak".to_owned()));
}

#[test]
fn a_scheme_that_a_route_does_not_take_is_the_applications_unless_it_is_ours() {
    use CallerScheme::{Basic, Bearer, Cookie, Key};
    let cookie = format!("{ACCESS_COOKIE}=own");
    let (a, k, c) = ("authorization", "x-api-key", "cookie");
    let key = key();
    let key_as_bearer = format!("Bearer {key}");
    // __token__: and the key.
    let key_as_password = {
        use base64::Engine as _;
        let pair = format!("__token__:{key}");
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    let pair = key_as_password.strip_prefix("Basic ").unwrap();
    for (fields, schemes, presented, passing) in [
        (&[(a, "Basic abc="), (c, &*cookie)][..], &[Cookie][..], Presented::Cookie(OWN), "a"),
        (&[(a, "Basic abc=")], &[Cookie], Presented::Nothing, "a"),
        (&[(a, "Bearer theirs"), (k, "1")], &[Cookie, Basic], Presented::Nothing, "ak"),
        (&[(a, "Basic abc="), (k, "1")], &[Basic], Presented::Basic("abc="), "k"),
        (&[(a, "Basic abc="), (k, "1"), (k, "2")], &[Basic], Presented::Basic("abc="), "k"),
        (&[(a, "Basic abc="), (k, "sk_live_x")], &[Key], Presented::Key("sk_live_x"), "a"),
        (&[(a, "Bearer sk_live_x")], &[Bearer], Presented::Nothing, "a"),
        (&[(a, "Bearer own"), (c, &cookie)], &[Basic], Presented::Nothing, "a"),
        // A key is never the application's; as a password it comes by either name.
        (&[(k, &key), (c, &cookie)], &[Cookie], Presented::Cookie(OWN), ""),
        (&[(a, &key_as_bearer), (c, &cookie)], &[Cookie], Presented::Cookie(OWN), ""),
        (&[(a, &key_as_password), (c, &cookie)], &[Cookie], Presented::Cookie(OWN), ""),
        (&[(a, &key_as_password)], &[Bearer], Presented::Nothing, ""),
        (&[(a, &key_as_password)], &[Basic], Presented::Basic(pair), ""),
        (&[(a, &key_as_password)], &[Key], Presented::Basic(pair), ""),
    ] {
        let expected = (presented, passing.to_owned());
        assert_eq!(found(&headers(fields), schemes, None), expected, "{fields:?} {schemes:?}");
    }
}

proptest! {
    /// Whatever stands beside it, what decides is of a scheme of the route, and nothing else
    /// of ours is there.
    #[test]
    fn no_second_credential_is_passed_over(
        authorization in prop::option::of(prop::sample::select(vec![
            "Basic abc=", "Bearer own", "Bearer theirs", "Bearer sk_live_x", "Digest x", "",
        ])),
        key in prop::option::of(prop::sample::select(vec!["sk_live_x", "theirs", ""])),
        cookie: bool,
        ticket: bool,
        schemes in prop::collection::vec(prop::sample::select(vec![
            CallerScheme::Cookie, CallerScheme::Basic, CallerScheme::Bearer, CallerScheme::Key,
        ]), 1..4),
    ) {
        let cookie_line = format!("{ACCESS_COOKIE}=own");
        let fields: Vec<_> = [("authorization", authorization), ("x-api-key", key)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .chain(cookie.then_some(("cookie", &*cookie_line)))
            .collect();
        let headers = headers(&fields);
        let has = |scheme| schemes.contains(&scheme);
        let set: Schemes = schemes.iter().copied().collect();
        let can_be_ours = [
            authorization == Some("Basic abc=") && has(CallerScheme::Basic),
            authorization == Some("Bearer own") && has(CallerScheme::Bearer),
            authorization == Some("Bearer sk_live_x") && has(CallerScheme::Key),
            key == Some("sk_live_x") && has(CallerScheme::Key),
            ticket,
        ];
        let ours = can_be_ours.iter().filter(|there| **there).count();
        let ticket = ticket.then_some("ticket");
        let Ok(found) = presented(&Ours, &headers, set, ticket) else {
            prop_assert!(ours != 1, "a conflict of one");
            prop_assert!(ours > 1 || fields.len() > 1, "a conflict of nothing");
            return Ok(());
        };
        prop_assert!(ours <= 1, "one of several was chosen: {:?}", found);
        let scheme = match found.presented {
            Presented::Nothing | Presented::Ticket(_) => None,
            Presented::Basic(_) | Presented::Unreadable => Some(CallerScheme::Basic),
            Presented::Bearer(_) => Some(CallerScheme::Bearer),
            Presented::Cookie(_) => Some(CallerScheme::Cookie),
            Presented::Key(_) => Some(CallerScheme::Key),
        };
        prop_assert!(scheme.is_none_or(has), "{:?}", found);
        if ours == 1 {
            prop_assert!(!matches!(found.presented, Presented::Nothing | Presented::Cookie(_)));
        } else if cookie && has(CallerScheme::Cookie) {
            prop_assert_eq!(found.presented, Presented::Cookie(OWN));
        }
    }
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
    let found = presented(&Ours, &without, Schemes::ALL, Some("ticket")).unwrap();
    assert_eq!(found.presented, Presented::Ticket("ticket"));
    let with_key = headers(&[("x-api-key", "sk_live_x")]);
    assert!(presented(&Ours, &with_key, Schemes::ALL, Some("ticket")).is_err());
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
        let found = presented(&Ours, &fields, Schemes::ALL, None).unwrap();
        assert_eq!(found.presented, expected, "{value:?}");
    }
}

#[test]
fn a_browser_sends_passwords_and_cookies_by_itself_and_nothing_else() {
    for (presented, ambient) in [
        (Presented::Basic("x"), true),
        (Presented::Cookie(OWN), true),
        (Presented::Unreadable, true),
        (Presented::Nothing, false),
        (Presented::Bearer("x"), false),
        (Presented::Key("x"), false),
        (Presented::Ticket("x"), false),
    ] {
        assert_eq!(presented.is_ambient(), ambient, "{presented:?}");
    }
}
