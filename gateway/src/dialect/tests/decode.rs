//! What each contract makes of a body: a command, or what is wrong with it; so that a fault
//! of a decoder does not first show as a status.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::{FORM, JSON, mounted_at};
use crate::auth::register::Registration;
use crate::dialect::admin::Admin;
use crate::dialect::{Command, Contract, DecodeError, Dialect, Input, Operation};

const NOT_AN_OBJECT: &str = "The body must be a JSON object";

fn decode(
    contract: Contract,
    operation: Operation,
    content_type: Option<&str>,
    body: &str,
) -> Result<Vec<String>, String> {
    let input = Input { content_type, body: body.as_bytes(), ..Input::default() };
    match mounted_at(contract, "/api").decode(operation, &input) {
        Ok(command) => Ok(words(&command)),
        Err(DecodeError::MediaType) => Err("media type".to_owned()),
        Err(DecodeError::Malformed(message)) => Err(message),
    }
}

/// What a command is called and all that it was told.
fn words(command: &Command) -> Vec<String> {
    let told: Vec<&str> = match command {
        Command::Login { name, password } => vec!["login", name, password.expose()],
        Command::Refresh { token } => vec!["refresh", token.expose()],
        Command::ChangePassword { current, new } => {
            vec!["change", current.expose(), new.expose()]
        }
        Command::Github { code } => vec!["github", code.expose()],
        Command::Register(Registration { email, username, name, password }) => {
            let optional = [username, &name.full, &name.first, &name.last];
            let optional = optional.map(|text| text.as_deref().unwrap_or("-"));
            [&["register", email, password.expose()][..], &optional].concat()
        }
        Command::SwitchWorkspace { workspace } => {
            let id = workspace.map_or("-".to_owned(), |workspace| workspace.0.to_string());
            return vec!["switch".to_owned(), id];
        }
        other => return vec![format!("{other:?}")],
    };
    told.into_iter().map(str::to_owned).collect()
}

/// Its name, whose it is, what it is a request for, its content type and body; the words of
/// the command, or what is wrong.
type Row<'a> =
    (&'a str, Contract, Operation, Option<&'a str>, &'a str, Result<&'a [&'a str], &'a str>);

fn check(rows: &[Row<'_>]) {
    for &(name, contract, operation, content_type, body, expected) in rows {
        let expected = expected
            .map(|words| words.iter().map(|&word| word.to_owned()).collect())
            .map_err(str::to_owned);
        assert_eq!(decode(contract, operation, content_type, body), expected, "{name}");
    }
}

#[test]
fn sign_ins_are_read_as_their_contract_writes_them() {
    use Contract::{Envelope, Form, Plain, Status};
    let (login, json, form) = (Operation::Login, Some(JSON), Some(FORM));
    let ann: Result<&[&str], _> = Ok(&["login", "ann", "pw"]);
    check(&[
        ("a form", Form, login, form, "username=ann&password=pw", ann),
        ("with what is not asked for", Form, login, form, "a=b&username=ann&password=pw&c", ann),
        (
            "characters that a form escapes",
            Form,
            login,
            form,
            "username=a%26n+n&password=%C3%A9%3D",
            Ok(&["login", "a&n n", "\u{e9}="]),
        ),
        ("empty words", Form, login, form, "username=&password=", Ok(&["login", "", ""])),
        (
            "a field twice",
            Form,
            login,
            form,
            "username=ann&password=pw&password=other",
            Err("The field \"password\" is there more than once"),
        ),
        (
            "a field that is missing",
            Form,
            login,
            form,
            "username=ann",
            Err("The field \"password\" is missing"),
        ),
        (
            "no UTF-8",
            Form,
            login,
            form,
            "username=ann&password=%FF",
            Err("The body must be a form in UTF-8"),
        ),
        ("JSON for a form", Form, login, json, r#"{"username":"ann"}"#, Err("media type")),
        ("JSON", Status, login, json, r#"{"username":"ann","password":"pw"}"#, ann),
        ("of another contract", Plain, login, json, r#"{"username":"ann","password":"pw"}"#, ann),
        ("by its address", Envelope, login, json, r#"{"email":"ann","password":"pw"}"#, ann),
        (
            "what is not asked for",
            Status,
            login,
            json,
            r#"{"a":[{}],"password":"pw","username":"ann","b":null}"#,
            ann,
        ),
        (
            "a name of another contract",
            Envelope,
            login,
            json,
            r#"{"username":"ann","password":"pw"}"#,
            Err("The member \"email\" is missing"),
        ),
        (
            "another type",
            Status,
            login,
            json,
            r#"{"username":7,"password":"pw"}"#,
            Err("The member \"username\" must be a string"),
        ),
        (
            "a member twice",
            Plain,
            login,
            json,
            r#"{"username":"ann","username":"ben","password":"pw"}"#,
            Err("The member \"username\" is there more than once"),
        ),
        ("a list", Status, login, json, "[]", Err(NOT_AN_OBJECT)),
        ("half", Status, login, json, "{", Err("The body ends before its JSON does")),
        (
            "no JSON",
            Status,
            login,
            json,
            "{]",
            Err("The body is not valid JSON (line 1, column 2)"),
        ),
        ("a form for JSON", Status, login, form, "username=ann&password=pw", Err("media type")),
        ("of no type", Status, login, None, "{}", Err("media type")),
    ]);
}

#[test]
fn all_else_that_has_a_body_is_read_as_its_contract_writes_it() {
    use Contract::{Envelope, Form, Plain, Status};
    let json = Some(JSON);
    let id = "01980000-0000-7000-8000-000000000001";
    let workspace = format!(r#"{{"workspaceId":"{id}"}}"#);
    let refresh = Operation::Refresh;
    let switch = Operation::SwitchWorkspace;
    let register = Operation::Register;
    let change = Operation::ChangePassword;
    let token: Result<&[&str], _> = Ok(&["refresh", "t"]);
    check(&[
        ("of form", Form, refresh, json, r#"{"refresh_token":"t"}"#, token),
        ("of status", Status, refresh, json, r#"{"refresh_token":"t"}"#, token),
        ("of plain", Plain, refresh, json, r#"{"refreshToken":"t"}"#, token),
        (
            "a name of another contract",
            Plain,
            refresh,
            json,
            r#"{"refresh_token":"t"}"#,
            Err("The member \"refreshToken\" is missing"),
        ),
        (
            "with one name",
            Form,
            register,
            json,
            r#"{"email":"a@b","username":"ann","full_name":"Ann B","password":"pw","password_confirm":"pw"}"#,
            Ok(&["register", "a@b", "pw", "ann", "Ann B", "-", "-"]),
        ),
        (
            "with another password",
            Form,
            register,
            json,
            r#"{"email":"a@b","username":"ann","full_name":"Ann B","password":"pw","password_confirm":"PW"}"#,
            Err("The two passwords differ"),
        ),
        (
            "with two names",
            Envelope,
            register,
            json,
            r#"{"email":"a@b","firstName":"Ann","lastName":"B","password":"pw"}"#,
            Ok(&["register", "a@b", "pw", "-", "-", "Ann", "B"]),
        ),
        (
            "a new password",
            Status,
            change,
            json,
            r#"{"current_password":"old","new_password":"new"}"#,
            Ok(&["change", "old", "new"]),
        ),
        (
            "half of it",
            Status,
            change,
            json,
            r#"{"current_password":"old"}"#,
            Err("The member \"new_password\" is missing"),
        ),
        ("a code", Envelope, Operation::Github, json, r#"{"code":"c"}"#, Ok(&["github", "c"])),
        ("a workspace", Envelope, switch, json, &workspace, Ok(&["switch", id])),
        (
            "what is the id of none",
            Envelope,
            switch,
            json,
            r#"{"workspaceId":"Science"}"#,
            Ok(&["switch", "-"]),
        ),
        ("a logout with any body", Status, Operation::Logout, None, "{", Ok(&["Logout"])),
    ]);
}

#[test]
fn what_a_contract_does_not_do_is_refused_by_its_decoder() {
    for (contract, operation) in [
        (Contract::Form, Operation::ChangePassword),
        (Contract::Status, Operation::Register),
        (Contract::Envelope, Operation::Refresh),
        (Contract::Plain, Operation::Register),
    ] {
        let decoded = decode(contract, operation, Some(JSON), "{}");
        assert!(decoded.is_err(), "{contract:?} {operation:?}: {decoded:?}");
    }
}

/// A browser's cookie is asked for where there is no body.
#[test]
fn a_refresh_cookie_stands_for_the_body() {
    for contract in [Contract::Form, Contract::Status, Contract::Plain] {
        let input = Input { refresh_cookie: Some("of a cookie"), ..Input::default() };
        let decoded = mounted_at(contract, "/api").decode(Operation::Refresh, &input);
        let command = decoded.expect("it is a refresh");
        assert_eq!(words(&command), ["refresh", "of a cookie"], "{contract:?}");
    }
}

/// The contracts with bodies, and that of administration.
fn dialects() -> Vec<Arc<dyn Dialect>> {
    let contracts = [Contract::Form, Contract::Status, Contract::Envelope, Contract::Plain];
    let mut dialects: Vec<Arc<dyn Dialect>> = contracts.map(|one| mounted_at(one, "/api")).into();
    dialects.push(Arc::new(Admin::new("/api/admin".to_owned())));
    dialects
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        query in prop::option::of("\\PC{0,40}"),
        parameters in prop::collection::vec("\\PC{0,40}", 0..3),
        content_type in prop::sample::select(vec![None, Some(JSON), Some(FORM), Some("text/plain")]),
    ) {
        let query = query.as_deref();
        let parameters = &parameters[..];
        let input = Input { content_type, body: &bytes, query, parameters, ..Input::default() };
        for dialect in dialects() {
            for endpoint in dialect.endpoints() {
                let _ = dialect.decode(endpoint.operation, &input);
            }
        }
    }

    #[test]
    fn any_words_come_through_both_notations(name in any::<String>(), password in any::<String>()) {
        let expected = Ok(vec!["login".to_owned(), name.clone(), password.clone()]);
        let object = json!({ "username": name, "password": password }).to_string();
        for contract in [Contract::Status, Contract::Plain] {
            let decoded = decode(contract, Operation::Login, Some(JSON), &object);
            prop_assert_eq!(&decoded, &expected);
        }
        let object = json!({ "email": name, "password": password }).to_string();
        let decoded = decode(Contract::Envelope, Operation::Login, Some(JSON), &object);
        prop_assert_eq!(&decoded, &expected);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("username", &name)
            .append_pair("password", &password)
            .finish();
        prop_assert_eq!(decode(Contract::Form, Operation::Login, Some(FORM), &form), expected);
    }
}
