use std::sync::Arc;

use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use uuid::Uuid;

use super::{Links, escaped};
use crate::auth::account::{Account, AccountId, Username};
use crate::auth::link::LinkKind;
use crate::auth::time::Timestamp;
use crate::dialect::delivery::Delivery;
use crate::dialect::tests::context;
use crate::dialect::{
    Answer, Command, Context, DecodeError, Dialect, Input, Operation, Outcome, Presentation,
};

const CONTEXT: Context<'_> = context(Delivery::Body);

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn links() -> Links {
    Links { prefix: "/api/links".to_owned(), mail: true, sign_in: None }
}

fn ann() -> Arc<Account> {
    let name = Username::parse("ann").expect("a name");
    Arc::new(Account::new(AccountId(Uuid::from_u128(1)), name, Timestamp(0)))
}

/// A link and a password as they were read, and in which form the answer is wanted.
type Followed = (String, Option<String>, Presentation);

fn follow(content_type: &str, body: &[u8]) -> Result<Followed, DecodeError> {
    let input = Input { content_type: Some(content_type), body, ..Input::default() };
    match links().decode(Operation::FollowLink, &input)? {
        Command::FollowLink { link, password, reply } => {
            let password = password.map(|password| password.expose().to_owned());
            Ok((link.expose().to_owned(), password, reply))
        }
        other => panic!("{other:?}"),
    }
}

fn encode(outcome: Outcome) -> (Answer, String) {
    let answer = links().encode(outcome, CONTEXT);
    let text = String::from_utf8(answer.body.clone()).expect("it is text");
    (answer, text)
}

#[test]
fn a_form_has_a_link_once_and_a_password_at_most_once() {
    let page = |link: &str, password: Option<&str>| {
        Ok((link.to_owned(), password.map(str::to_owned), Presentation::Page))
    };
    assert_eq!(follow(FORM, b"link=abc"), page("abc", None));
    assert_eq!(follow(FORM, b"link=abc&password=a+b%C3%A9"), page("abc", Some("a b\u{e9}")));
    assert_eq!(follow(FORM, b"password=x&link=abc"), page("abc", Some("x")));
    for body in [
        &b""[..],
        b"password=x",
        b"link=abc&link=abc",
        b"link=abc&password=x&password=x",
        b"link=abc&more=x",
        // Else a password of something that is no text would be set as another.
        b"link=abc&password=%FF",
        b"link=abc&password=\xff",
        b"link=%FF",
    ] {
        let outcome = follow(FORM, body);
        assert!(matches!(outcome, Err(DecodeError::Malformed(_))), "{body:?}: {outcome:?}");
    }
}

#[test]
fn programs_follow_links_by_json_and_are_answered_so() {
    let json = |password: Option<&str>| {
        Ok(("abc".to_owned(), password.map(str::to_owned), Presentation::Json))
    };
    assert_eq!(follow(JSON, br#"{"link":"abc"}"#), json(None));
    assert_eq!(follow(JSON, br#"{"link":"abc","password":"x"}"#), json(Some("x")));
    assert!(follow(JSON, b"link=abc").is_err());
    assert_eq!(follow("text/plain", b"link=abc"), Err(DecodeError::MediaType));
}

#[test]
fn a_page_asks_for_a_password_where_one_is_set_and_holds_nothing_of_others() {
    for (kind, password) in
        [(LinkKind::Address, false), (LinkKind::Password, true), (LinkKind::Both, true)]
    {
        let (answer, text) = encode(Outcome::LinkShown(ann(), kind, "abc-_1".into()));
        assert_eq!(answer.status, StatusCode::OK);
        for field in [CONTENT_TYPE, CONTENT_SECURITY_POLICY, REFERRER_POLICY] {
            assert!(answer.fields.iter().any(|(name, _)| *name == field), "{field}");
        }
        for part in ["<b>ann</b>", r#"action="/api/links""#, r#"name="link" value="abc-_1""#] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.contains(r#"type="password""#), password, "{kind:?}: {text}");
        assert!(!text.contains("://") && !text.contains("<script"), "{text}");
    }
}

#[test]
fn a_name_is_text_in_a_page_and_no_markup() {
    assert_eq!(escaped("ann.b-c_\u{e9}"), "ann.b-c_\u{e9}");
    assert_eq!(
        escaped(r#"<b a='x' c="y">&amp;"#),
        "&lt;b a=&#39;x&#39; c=&quot;y&quot;&gt;&amp;amp;"
    );
}

#[test]
fn what_a_link_has_done_is_told_in_the_form_that_was_asked_for() {
    let mut told = Vec::new();
    for (kind, done) in [
        (LinkKind::Address, "address"),
        (LinkKind::Password, "password"),
        (LinkKind::Both, "invitation"),
    ] {
        let (answer, text) = encode(Outcome::LinkFollowed(ann(), kind, Presentation::Json));
        assert_eq!((answer.status, text), (StatusCode::OK, format!(r#"{{"done":"{done}"}}"#)));
        let (answer, text) = encode(Outcome::LinkFollowed(ann(), kind, Presentation::Page));
        assert_eq!(answer.status, StatusCode::OK);
        // Whatever has been done, a person reads which it was.
        assert_eq!(text.contains("password"), kind != LinkKind::Address, "{text}");
        assert_eq!(text.contains("address"), kind != LinkKind::Password, "{text}");
        assert!(!told.contains(&text));
        told.push(text);
    }
    let (answer, text) = encode(Outcome::MailTaken);
    assert_eq!((answer.status, text.as_str()), (StatusCode::ACCEPTED, ""));
}
