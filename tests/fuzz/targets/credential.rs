//! What a request presents: one credential, whole, or a conflict; never one of two.
//!
//! The first line of an input is the query, every other one a header field.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use portcullis::pipeline::authenticate::ticket::split_query;
use portcullis::pipeline::authenticate::{Presented, basic, presented};

use crate::fields::parse;
use crate::pieces::first_line;

pub(crate) fn run(data: &[u8]) {
    let (query, fields) = first_line(data);
    let headers = parse(fields);
    let query = std::str::from_utf8(query).unwrap_or_default();
    let ticket = check_query(query);
    check_presented(&headers, ticket);
}

/// The ticket, if the query holds exactly one.
fn check_query(query: &str) -> Option<&str> {
    let tickets: Vec<&str> =
        query.split('&').filter_map(|pair| pair.strip_prefix("token=")).collect();
    let others: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
    match split_query(query) {
        Ok((ticket, rest)) => {
            assert_eq!(ticket.into_iter().collect::<Vec<_>>(), tickets);
            assert_eq!(rest, others.join("&"), "the rest goes on as it came");
            assert_eq!(split_query(&rest), Ok((None, rest.clone())), "no ticket goes on");
            ticket
        }
        Err(_) => {
            assert!(tickets.len() > 1);
            None
        }
    }
}

fn check_presented(headers: &HeaderMap, ticket: Option<&str>) {
    let authorization: Vec<_> = headers.get_all("authorization").iter().collect();
    let keys: Vec<_> = headers.get_all("x-api-key").iter().collect();
    let count = authorization.len() + keys.len() + usize::from(ticket.is_some());
    let Ok(found) = presented(headers, ticket) else {
        return assert!(count > 1, "a conflict of one");
    };
    assert!(count <= 1, "one of several was chosen: {found:?}");
    let field = authorization.first().or(keys.first()).map(|value| value.to_str());
    match found {
        Presented::Nothing => {
            assert!(keys.is_empty() && ticket.is_none());
            let scheme = field.and_then(Result::ok).map(|value| scheme(value).0);
            assert!(!matches!(scheme.as_deref(), Some("basic" | "bearer")));
        }
        Presented::Cookie(_) => panic!("cookies are not looked at here"),
        Presented::Ticket(text) => assert_eq!(Some(text), ticket),
        Presented::Unreadable => assert!(field.is_some_and(|value| value.is_err())),
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
        Presented::Key(text) => match authorization.first() {
            Some(value) => {
                let value = value.to_str().expect("it was read");
                assert_eq!(scheme(value), ("bearer".to_owned(), text));
                assert!(text.starts_with("sk_live_"));
            }
            None => assert_eq!(keys[0].to_str().ok(), Some(text)),
        },
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
