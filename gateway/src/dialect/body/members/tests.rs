use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Given, Members};
use crate::dialect::DecodeError;

fn members(body: &str) -> Members<'_> {
    Members::parse(body.as_bytes()).expect("it is an object")
}

fn problem<T: std::fmt::Debug>(read: Result<T, DecodeError>) -> String {
    match read {
        Err(DecodeError::Malformed(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_is_announced_as_json_and_is_an_object_has_members() {
    let read = |content_type, body: &str| Members::read(content_type, body.as_bytes()).map(|_| ());
    assert_eq!(read(Some("application/json; charset=utf-8"), "{}"), Ok(()));
    assert_eq!(read(None, "{}"), Err(DecodeError::MediaType));
    assert_eq!(read(Some("text/json"), "{}"), Err(DecodeError::MediaType));
    for body in ["", "[]", "[\"a\"]", "null", "\"a\"", "1", "{} {}", "{\"a\":1", "{'a':1}"] {
        assert!(matches!(read(Some("application/json"), body), Err(DecodeError::Malformed(_))));
    }
}

#[test]
fn a_member_is_named_when_it_is_missing_doubled_or_of_another_type() {
    let text = |body| problem(members(body).text("username"));
    assert_eq!(text("{}"), "The member \"username\" is missing");
    for body in [r#"{"username":null}"#, r#"{"username":7}"#, r#"{"username":["hunter42"]}"#] {
        assert_eq!(text(body), "The member \"username\" must be a string");
    }
    let twice = r#"{"username":"hunter42","username":"hunter42"}"#;
    assert_eq!(text(twice), "The member \"username\" is there more than once");
    // However the name is escaped.
    let twice = r#"{"username":"hunter42","\u0075sername":"hunter43"}"#;
    assert_eq!(text(twice), "The member \"username\" is there more than once");
    let scopes = problem(members(r#"{"scopes":["a",1]}"#).texts("scopes"));
    assert_eq!(scopes, "The member \"scopes\" must be a list of strings");
    for body in [r#"{"n":-1}"#, r#"{"n":1.5}"#, r#"{"n":"1"}"#, r#"{"n":99999999999999999999}"#] {
        let number = problem(members(body).number("n"));
        assert_eq!(number, "The member \"n\" must be a whole number, zero or more");
    }
}

/// Also numbers that no type of ours holds, and any depth.
#[test]
fn what_nobody_takes_may_be_any_json() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for value in ["1e999", &"9".repeat(400), &deep, r#""\ud800""#, "{\"a\":1,\"a\":2}"] {
        let body = format!(r#"{{"more":{value},"username":"ann","more":null}}"#);
        assert_eq!(members(&body).text("username").as_deref(), Ok("ann"));
        let taken = problem(members(&format!(r#"{{"username":{value}}}"#)).text("username"));
        assert_eq!(taken, "The member \"username\" must be a string");
    }
}

#[test]
fn what_may_be_absent_may_be_null() {
    assert_eq!(members("{}").optional_text("expiresAt"), Ok(None));
    assert_eq!(members(r#"{"expiresAt":null}"#).optional_text("expiresAt"), Ok(None));
    assert_eq!(members("{}").nullable::<String>("owner", "a user"), Ok(Given::Absent));
    let null = members(r#"{"owner":null}"#).nullable::<String>("owner", "a user");
    assert_eq!(null, Ok(Given::Null));
}

#[test]
fn what_narrows_a_key_is_not_passed_over_under_another_name() {
    let read = |name: &str| {
        let body = json!({ name: "x" }).to_string();
        let mut members = members(&body);
        for taken in ["expiresAt", "scopes", "serverId"] {
            members.optional_text(taken).expect("it is absent or a text");
        }
        members.refuse_narrowing()
    };
    for (meant, names) in [
        (
            "expiresAt",
            &[
                "expires_at",
                "expiresat",
                "EXPIRES-AT",
                "expires",
                "expiresAtTime",
                "expiresIn",
                "expires_in",
                "expiry",
                "Expiration",
                "expiration_date",
                "expire",
                "ttl",
                "TTL_seconds",
                "validUntil",
                "valid-until",
                "validFor",
                "lifetime",
                "notAfter",
            ][..],
        ),
        ("scopes", &["scope", "Scopes", "permissions", "permission", "roles"]),
        ("serverId", &["server", "server_id", "serverid", "SERVER-ID", "servers"]),
    ] {
        for name in names {
            let problem = problem(read(name));
            let said =
                format!("The member \"{meant}\" has another name in this body; write it as here");
            assert!(problem.starts_with(&said), "{name}: {problem}");
        }
    }
    for name in ["serverId", "scopes", "exp", "at", "device_name", "remember", "é", ""] {
        assert_eq!(read(name), Ok(()), "{name}");
    }
}

#[test]
fn what_narrows_a_key_is_not_passed_over_where_it_is_not_taken() {
    for (name, body) in [
        ("expiresAt", r#"{"expiresAt":"2026-03-05T12:00:00Z"}"#),
        ("scopes", r#"{"scopes":[]}"#),
        ("serverId", r#"{"server_id":1}"#),
        ("overlapSeconds", r#"{"overlap_seconds":0}"#),
    ] {
        let said = format!("The member \"{name}\" is not taken here; leave it out");
        assert_eq!(problem(members(body).refuse_narrowing()), said);
    }
}

#[test]
fn a_request_that_takes_no_other_members_says_which_it_takes_and_repeats_none() {
    let mut body = members(r#"{"name":"a","hunter42":1}"#);
    body.text("name").expect("it is there");
    body.optional_text("owner").expect("it is absent");
    let problem = problem(body.finish());
    assert_eq!(problem, "The body may have no other members than: name, owner");
    let mut body = members(r#"{"name":"a"}"#);
    body.text("name").expect("it is there");
    assert_eq!(body.finish(), Ok(()));
}

proptest! {
    /// Clients send more than is documented: it changes nothing.
    #[test]
    fn further_members_change_nothing(
        more in proptest::collection::btree_map("[a-z_]{1,12}", any::<i32>().prop_map(|n| json!([n, {"a": n}])), 0..8),
        name in ".{0,16}",
    ) {
        let mut object: Map<String, Value> = more.into_iter().collect();
        object.insert("username".to_owned(), json!(name));
        object.remove("password");
        let body = Value::Object(object).to_string();
        prop_assert_eq!(members(&body).text("username"), Ok(name));
        let missing = problem(members(&body).text("password"));
        prop_assert_eq!(missing, "The member \"password\" is missing");
    }

    /// Whatever bytes come, they are read or refused.
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(mut members) = Members::parse(&bytes) {
            let _ = members.text("a");
            let _ = members.finish();
        }
    }
}
