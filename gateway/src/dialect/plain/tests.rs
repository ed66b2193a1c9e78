use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Plain;
use crate::auth::api_key::KeyId;
use crate::auth::server::ServerId;
use crate::auth::time::Timestamp;
use crate::dialect::delivery::Delivery;
use crate::dialect::notation::plain_key;
use crate::dialect::tests::{context, settings};
use crate::dialect::{
    Binding, ClientError, Command, DecodeError, Dialect, ErrorKind, Expiry, Input, KeyRequest,
    Operation, Outcome,
};

const ID: &str = "01980000-0000-7000-8000-000000000001";

fn plain(reveal_unknown_user: bool) -> Plain {
    Plain::new(settings("/api/v1"), true, reveal_unknown_user)
}

fn decode(operation: Operation, key: &str, body: &str) -> Result<Command, DecodeError> {
    let input = Input {
        content_type: Some("application/json").filter(|_| !body.is_empty()),
        body: body.as_bytes(),
        parameters: &[key.to_owned()],
        ..Input::default()
    };
    plain(false).decode(operation, &input)
}

/// That there is no such user is told where the operator wants it, and nowhere else.
#[test]
fn only_who_was_told_to_says_that_a_user_is_unknown() {
    for (reveal, kind, said) in [
        (false, ErrorKind::Other, "Wrong"),
        (false, ErrorKind::UnknownUser, "Wrong"),
        (true, ErrorKind::Other, "Wrong"),
        (true, ErrorKind::UnknownUser, "User not found"),
        (false, ErrorKind::TokenRefused, "Authentication required"),
        (true, ErrorKind::TokenRefused, "Authentication required"),
    ] {
        // Whatever the code is called.
        let error = ClientError { code: "CODE", message: "Wrong", kind, at: Timestamp(0) };
        let body: Value =
            serde_json::from_slice(&plain(reveal).refusal(&error)).expect("it is JSON");
        assert_eq!(body, json!({ "error": said }), "{reveal} {kind:?}");
    }
}

#[test]
fn of_a_deleted_key_there_is_nothing_to_say() {
    let wanted = context(Operation::DeleteKey, Delivery::Body);
    let answer = plain(false).encode(Outcome::KeyDeleted, wanted).expect("it is encoded");
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty() && answer.fields.is_empty(), "{answer:?}");
}

#[test]
fn a_key_is_what_was_asked_for() {
    let wanted = |body: &str| match decode(Operation::CreateKey, "", body) {
        Ok(Command::CreateKey(wanted)) => Ok(wanted),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    assert_eq!(wanted(""), Ok(KeyRequest::default()));
    assert_eq!(wanted("{}"), Ok(KeyRequest::default()));
    let server = ServerId(ID.parse().expect("an id"));
    let body = json!({
        "name": "ci", "serverId": ID, "scopes": ["read", "admin"],
        "expiresAt": "2026-03-05T12:00:00Z",
    });
    let all = KeyRequest {
        name: "ci".to_owned(),
        server: Binding::Server(server),
        scopes: vec!["read".to_owned(), "admin".to_owned()],
        expires: Expiry::At(Timestamp(1_772_712_000_000)),
    };
    assert_eq!(wanted(&body.to_string()), Ok(all));
    // Else a key that somebody wanted bound would be free.
    let server = wanted(r#"{"serverId":"web"}"#).map(|wanted| wanted.server);
    assert_eq!(server, Ok(Binding::Nothing));
    for body in [
        r#"{"expiresAt":"tomorrow"}"#,
        r#"{"expiresAt":""}"#,
        r#"{"server":"x"}"#,
        r#"{"expires_at":null}"#,
        r#"{"expiresIn":"1h"}"#,
        r#"{"ttl":3600}"#,
        r#"{"permissions":["read"]}"#,
        "[]",
    ] {
        assert!(matches!(wanted(body), Err(DecodeError::Malformed(_))), "{body}");
    }
}

#[test]
fn a_rotated_key_goes_on_for_a_day_or_for_as_long_as_is_said_up_to_thirty_days() {
    let id = Uuid::parse_str(ID).expect("an id");
    let rotated = |key: &str, body: &str| match decode(Operation::RotateKey, key, body) {
        Ok(Command::RotateKey { key, overlap }) => Ok((key, overlap.0)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let key = Some(KeyId(id));
    for text in [ID.to_owned(), plain_key(KeyId(id))] {
        assert_eq!(rotated(&text, ""), Ok((key, 86_400)), "{text}");
    }
    assert_eq!(rotated("ci", ""), Ok((None, 86_400)), "a name is no id");
    for (body, overlap) in [
        ("{}", 86_400),
        (r#"{"overlapSeconds":null}"#, 86_400),
        (r#"{"overlapSeconds":0}"#, 0),
        (r#"{"overlapSeconds":60}"#, 60),
        (r#"{"overlapSeconds":2592000}"#, 2_592_000),
    ] {
        assert_eq!(rotated(ID, body), Ok((key, overlap)), "{body}");
    }
    for body in [
        r#"{"overlapSeconds":2592001}"#,
        r#"{"overlapSeconds":-1}"#,
        r#"{"overlap_seconds":0}"#,
        r#"{"overlap":0}"#,
        r#"{"gracePeriod":0}"#,
        r#"{"expiresAt":"2026-03-05T12:00:00Z"}"#,
        r#"{"scopes":["read"]}"#,
    ] {
        assert!(matches!(rotated(ID, body), Err(DecodeError::Malformed(_))), "{body}");
    }
}
