//! What a request presents: one credential, whole, or a conflict; never one of two that can
//! be ours, and none of ours goes on as an application's. And
//! the origin of a page, which has one form.
//!
//! The first line of an input is the query or the origin, every other one a header field.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use portcullis::auth::api_key;
use portcullis::config::page_origin::PageOrigin;
use portcullis::config::schemes::{CallerScheme, Schemes};
use portcullis::pipeline::authenticate::own::Own;
use portcullis::pipeline::authenticate::ticket::split_query;
use portcullis::pipeline::authenticate::{Fate, Found, Presented, basic, presented};

use crate::fields::parse;
use crate::pieces::first_line;

pub(crate) fn run(data: &[u8]) {
    let (query, fields) = first_line(data);
    let headers = parse(fields);
    let query = std::str::from_utf8(query).unwrap_or_default();
    check_origin(query);
    let ticket = check_query(query);
    check_presented(&headers, ticket.as_deref());
}

fn check_origin(text: &str) {
    let Ok(page) = PageOrigin::parse(text) else { return };
    let normal = page.to_string();
    assert_eq!(PageOrigin::parse(&normal).as_ref(), Ok(&page));
    assert!(normal.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()));
    let authority = &normal[page.scheme.len() + "://".len()..];
    assert!(page.has_authority(authority), "{normal} has no {authority}");
}

/// The ticket, if the query holds exactly one.
fn check_query(query: &str) -> Option<Cow<'_, str>> {
    let (tickets, others): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|pair| decode(pair.split('=').next().unwrap_or("")) == b"token");
    let Ok((ticket, rest)) = split_query(query) else {
        assert!(tickets.len() > 1);
        return None;
    };
    assert_eq!(usize::from(ticket.is_some()), tickets.len());
    let rest = rest.unwrap_or_default();
    assert_eq!(rest, others.join("&"), "the rest goes on as it came");
    assert!(matches!(split_query(&rest), Ok((None, _))), "no ticket goes on");
    if let (Some(ticket), [pair]) = (&ticket, &tickets[..]) {
        let value = decode(pair.split_once('=').map_or("", |(_, value)| value));
        assert_eq!(*ticket, String::from_utf8_lossy(&value));
    }
    ticket
}

/// As an application reads it.
fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let escaped = more.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = escaped.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = byte.and_then(|digits| std::str::from_utf8(digits).ok());
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = &more[2..];
            }
            None => {
                decoded.push(if *first == b'+' { b' ' } else { *first });
                rest = more;
            }
        }
    }
    decoded
}

/// Tokens of ours begin `own`, and a key is any text of a key's length.
struct Ours;

impl Own for Ours {
    fn may_be_token(&self, text: &str) -> bool {
        text.starts_with("own")
    }

    fn is_key(&self, text: &str) -> bool {
        text.starts_with("sk_live_") && text.len() == api_key::LENGTH
    }
}

/// Whether a field could hold a credential of ours on a route of every scheme.
fn can_be_ours(name: &str, value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        let first = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        return name == "authorization" && !first.eq_ignore_ascii_case(b"bearer");
    };
    let (scheme, rest) = scheme(text);
    match (name, &*scheme) {
        ("authorization", "basic") => true,
        ("authorization", "bearer") => rest.starts_with("own") || rest.starts_with("sk_live_"),
        ("authorization", _) => false,
        _ => text.starts_with("sk_live_"),
    }
}

fn check_presented(headers: &HeaderMap, ticket: Option<&str>) {
    let authorization: Vec<_> = headers.get_all("authorization").iter().collect();
    let keys: Vec<_> = headers.get_all("x-api-key").iter().collect();
    let lines = [("authorization", &authorization), ("x-api-key", &keys)];
    let ours = lines.iter().flat_map(|(name, lines)| lines.iter().map(|line| (*name, *line)));
    let ours = ours.filter(|(name, line)| can_be_ours(name, line)).count();
    let ours = ours + usize::from(ticket.is_some());
    // Cookies are another matter.
    let schemes = Schemes::ALL.without(CallerScheme::Cookie);
    let Ok(Found { presented, fields }) = presented(&Ours, headers, schemes, ticket) else {
        let twice = authorization.len() > 1 || keys.len() > 1;
        let neither = ours == 0 && authorization.len() + keys.len() > 1;
        return assert!(ours > 1 || twice || neither, "a conflict of one");
    };
    assert!(authorization.len() <= 1 && keys.len() <= 1, "one of several lines was chosen");
    assert!(ours <= 1, "one of several was chosen: {presented:?}");
    for ((name, lines), fate) in lines.into_iter().zip([fields.authorization, fields.api_key]) {
        for line in lines {
            assert!(fate != Fate::Passes || !can_be_ours(name, line), "{name} goes on");
        }
    }
    let is_text = |lines: &[&HeaderValue]| lines.iter().all(|line| line.to_str().is_ok());
    match presented {
        Presented::Nothing => assert!(ours == 0 && keys.is_empty()),
        Presented::Cookie(_) => panic!("cookies are not looked at here"),
        Presented::Ticket(text) => assert_eq!(Some(text), ticket),
        Presented::Unreadable => assert!(!is_text(&authorization)),
        Presented::Bearer("") if !is_text(&authorization) => assert!(keys.is_empty()),
        Presented::Key("") if !is_text(&keys) => assert!(authorization.is_empty() || ours == 0),
        Presented::Basic(text) => {
            let value = authorization[0].to_str().expect("it was read");
            assert_eq!(scheme(value), ("basic".to_owned(), text));
            check_basic(text);
        }
        Presented::Bearer(text) => {
            let value = authorization[0].to_str().expect("it was read");
            assert_eq!(scheme(value), ("bearer".to_owned(), text));
            assert!(!text.starts_with("sk_live_"));
        }
        Presented::Key(text) if fields.api_key == Fate::Ends && !keys.is_empty() => {
            assert_eq!(keys[0].to_str().ok(), Some(text));
        }
        Presented::Key(text) => {
            let value = authorization[0].to_str().expect("it was read");
            assert_eq!(scheme(value), ("bearer".to_owned(), text));
            assert!(text.starts_with("sk_live_"));
        }
    }
}

/// The scheme in lower case, and all that follows it.
fn scheme(value: &str) -> (String, &str) {
    let end = value.find(' ').unwrap_or(value.len());
    (value[..end].to_ascii_lowercase(), value[end..].trim_matches(' '))
}

/// A name and a password have one spelling, so that each text is one credential.
fn check_basic(encoded: &str) {
    if let Some((name, password)) = basic::decode(encoded) {
        assert!(!name.contains(':'));
        assert_eq!(STANDARD.encode(format!("{name}:{}", password.expose())), encoded);
    }
}
