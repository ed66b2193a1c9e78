use serde_json::{Value, json};

use super::{FORM, Members, coded_refusal, form};
use crate::auth::time::Timestamp;
use crate::dialect::{ClientError, DecodeError, ErrorKind};

type Fields = [String; 2];

fn read(content_type: Option<&str>, body: &[u8]) -> Result<Fields, DecodeError> {
    form(content_type, body, ["username", "password"])
}

fn fields(name: &str, password: &str) -> Fields {
    [name.to_owned(), password.to_owned()]
}

#[test]
fn a_form_has_the_wanted_fields_once_each_in_any_order() {
    let read = |body: &str| read(Some(FORM), body.as_bytes());
    assert_eq!(read("username=ann&password=hunter42"), Ok(fields("ann", "hunter42")));
    assert_eq!(read("password=hunter42&username=ann"), Ok(fields("ann", "hunter42")));
    assert_eq!(read("username=&password="), Ok(fields("", "")));
    // What nobody documents may come, and as often as it likes.
    let more = read("scope=a&username=ann&Username=x&scope=b&=&password=hunter42");
    assert_eq!(more, Ok(fields("ann", "hunter42")));
    for (body, problem) in [
        ("", "\"username\" is missing"),
        ("username=ann", "\"password\" is missing"),
        ("password=hunter42&Username=ann", "\"username\" is missing"),
        ("username=ann&password=a&password=b", "\"password\" is there more than once"),
        ("username=ann&username=ann&password=a", "\"username\" is there more than once"),
    ] {
        let refused = Err(DecodeError::Malformed(format!("The field {problem}")));
        assert_eq!(read(body), refused, "{body}");
    }
}

#[test]
fn only_what_is_announced_as_a_form_is_read_as_one() {
    let body = b"username=ann&password=hunter42";
    for content_type in [FORM, "Application/X-WWW-Form-Urlencoded ; charset=utf-8"] {
        assert_eq!(read(Some(content_type), body), Ok(fields("ann", "hunter42")), "{content_type}");
    }
    for content_type in [None, Some(""), Some("application/json"), Some("text/plain")] {
        assert_eq!(read(content_type, body), Err(DecodeError::MediaType), "{content_type:?}");
    }
}

/// A decoder that puts a sign of its own for what it cannot read would let many passwords
/// stand for one.
#[test]
fn a_password_arrives_as_it_was_written_or_not_at_all() {
    let read = |password: &[u8]| read(Some(FORM), &[b"username=ann&password=", password].concat());
    for (written, meant) in [
        (&b"a+b%2Bc%26%3D"[..], "a b+c&="),
        (b"%C3%A9", "\u{e9}"),
        (b"%c3\xa9", "\u{e9}"),
        ("\u{e9}".as_bytes(), "\u{e9}"),
        (b"%EF%BF%BD", "\u{fffd}"),
        (b"100%", "100%"),
        (b"%4", "%4"),
        (b"%+1", "% 1"),
        (b"%zz%41", "%zzA"),
        (b"%%41", "%A"),
    ] {
        assert_eq!(read(written), Ok(fields("ann", meant)), "{meant}");
    }
    for written in [&b"\xe9"[..], b"%E9", b"%ff", b"%C3", b"%C3%41", b"%C3a", b"a%80b", b"\xc3%"] {
        assert!(matches!(read(written), Err(DecodeError::Malformed(_))), "{written:?}");
    }
}

#[test]
fn where_a_body_is_no_json_is_told_and_none_of_it() {
    let problem = |body: &str| match Members::parse(body.as_bytes()).map(|_| ()) {
        Err(DecodeError::Malformed(problem)) => problem,
        other => panic!("{body}: {other:?}"),
    };
    let syntax = problem("{\n \"secret\": hunter42}");
    assert!(syntax.contains("line 2, column 12"), "{syntax}");
    let end = problem(r#"{"secret": "hunter42""#);
    let list = problem(r#"["hunter42"]"#);
    let all = [&syntax, &end, &list];
    for (index, problem) in all.iter().enumerate() {
        assert!(!problem.is_empty() && !problem.contains("hunter42"), "{problem}");
        assert!(!all[..index].contains(problem), "{problem}");
    }
}

#[test]
fn a_refusal_without_a_contract_has_its_code_and_its_words() {
    let error = ClientError {
        code: "NOT_FOUND",
        message: "There is \"nothing\" here",
        kind: ErrorKind::Other,
        at: Timestamp(0),
    };
    let body: Value = serde_json::from_slice(&coded_refusal(&error)).expect("it is JSON");
    let expected = json!({ "code": "NOT_FOUND", "message": "There is \"nothing\" here" });
    assert_eq!(body, json!({ "error": expected }));
}
