use std::sync::Arc;

use http::StatusCode;
use uuid::Uuid;

use super::{Links, Pages};
use crate::auth::account::{Account, AccountId, Username};
use crate::auth::link::LinkKind;
use crate::auth::secret::Secret;
use crate::auth::time::Timestamp;
use crate::dialect::delivery::Delivery;
use crate::dialect::tests::context;
use crate::dialect::{
    Answer, Command, DecodeError, Dialect, Input, Operation, Outcome, Presentation,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Repeat what they were given.
struct Told;

impl Pages for Told {
    fn shown(&self, action: &str, account: &Account, kind: LinkKind, link: &Secret) -> Answer {
        let name = account.username.as_str();
        told(format!("shown at {action} for {name}: {kind:?} {}", link.expose()))
    }

    fn followed(&self, kind: LinkKind) -> Answer {
        told(format!("followed {kind:?}"))
    }
}

fn told(text: String) -> Answer {
    Answer { body: text.into_bytes(), ..Answer::empty(StatusCode::OK) }
}

fn links() -> Links {
    Links { prefix: "/api/links".to_owned(), mail: true, pages: Box::new(Told) }
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

fn encode(operation: Operation, outcome: Outcome) -> (Answer, String) {
    let encoded = links().encode(outcome, context(operation, Delivery::Body));
    let answer = encoded.expect("it is encoded");
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
fn what_a_link_has_done_is_told_in_the_form_that_was_asked_for() {
    for (kind, done) in [
        (LinkKind::Address, "address"),
        (LinkKind::Password, "password"),
        (LinkKind::Both, "invitation"),
    ] {
        let followed =
            |reply| encode(Operation::FollowLink, Outcome::LinkFollowed(ann(), kind, reply));
        let (answer, text) = followed(Presentation::Json);
        assert_eq!((answer.status, text), (StatusCode::OK, format!(r#"{{"done":"{done}"}}"#)));
        let (_, text) = followed(Presentation::Page);
        assert_eq!(text, format!("followed {kind:?}"));
    }
    let shown = Outcome::LinkShown(ann(), LinkKind::Both, "abc-_1".into());
    let (_, text) = encode(Operation::ShowLink, shown);
    assert_eq!(text, "shown at /api/links for ann: Both abc-_1");
    let (answer, text) = encode(Operation::SendPasswordLink, Outcome::MailTaken);
    assert_eq!((answer.status, text.as_str()), (StatusCode::ACCEPTED, ""));
}
