//! A request body: every dialect reads the members its contract shows, each once, and
//! says what is wrong with another one without repeating it.
//!
//! The first line of an input is the content type, the rest is the body.

use portcullis::auth::password::PasswordRule;
use portcullis::auth::time::{Seconds, Timestamp};
use portcullis::dialect::delivery::{Delivery, DeliveryRule};
use portcullis::dialect::envelope::Envelope;
use portcullis::dialect::form::Form;
use portcullis::dialect::plain::Plain;
use portcullis::dialect::status::Status;
use portcullis::dialect::{
    ClientError, Command, Contract, DecodeError, Dialect, ErrorKind, Input, Settings,
    body as bodies,
};
use serde_json::Value;

use crate::pieces::first_line;

/// All that are mounted.
fn dialects() -> [Box<dyn Dialect>; 4] {
    let settings = || Settings {
        prefix: "/api".to_owned(),
        access_ttl: Seconds(60),
        refresh_ttl: Seconds(600),
        password: PasswordRule::default(),
        delivery: DeliveryRule::Always(Delivery::Body),
    };
    [
        Box::new(Status { settings: settings(), rotate: true }),
        Box::new(Plain::new(settings(), true, false)),
        Box::new(Envelope { settings: settings(), callback: None }),
        Box::new(Form(settings())),
    ]
}

pub(crate) fn run(data: &[u8]) {
    let (content_type, body) = first_line(data);
    let content_type = std::str::from_utf8(content_type).ok();
    let input = Input { content_type, body, ..Input::default() };
    for dialect in dialects() {
        for endpoint in dialect.endpoints() {
            match dialect.decode(endpoint.operation, &input) {
                Ok(command) => check_command(&command, dialect.contract(), content_type, body),
                Err(DecodeError::MediaType) => {}
                Err(DecodeError::Malformed(message)) => {
                    check_message(&message, body);
                    check_refusal(dialect.as_ref(), &message);
                }
            }
        }
    }
}

fn check_command(command: &Command, contract: Contract, content_type: Option<&str>, body: &[u8]) {
    let members = match command {
        Command::Login { name, password } => {
            let named = if contract == Contract::Envelope { "email" } else { "username" };
            vec![(named, name.as_str()), ("password", password.expose())]
        }
        Command::Refresh { token } => {
            let plain = contract == Contract::Plain;
            vec![(if plain { "refreshToken" } else { "refresh_token" }, token.expose())]
        }
        Command::ChangePassword { current, new } => {
            vec![("current_password", current.expose()), ("new_password", new.expose())]
        }
        Command::Register(new) => {
            let mut members =
                vec![("email", new.email.as_str()), ("password", new.password.expose())];
            match (&new.username, &new.name.full, &new.name.first, &new.name.last) {
                (Some(username), Some(full), None, None) => members.extend([
                    ("username", username.as_str()),
                    ("full_name", full.as_str()),
                    ("password_confirm", new.password.expose()),
                ]),
                (None, None, Some(first), Some(last)) => {
                    members.extend([("firstName", first.as_str()), ("lastName", last.as_str())]);
                }
                other => panic!("no contract registers so: {other:?}"),
            }
            members
        }
        Command::Github { code } => vec![("code", code.expose())],
        // Not of text alone, or their bodies are not looked at.
        _ => return,
    };
    if contract == Contract::Form && bodies::is_form(content_type) {
        assert!(std::str::from_utf8(body).is_ok() || body.contains(&b'%'), "nothing was replaced");
        return;
    }
    assert!(bodies::is_json(content_type));
    let read: Value = serde_json::from_slice(body).expect("what was read is JSON");
    let object = read.as_object().expect("an object, as documented");
    for (name, value) in members {
        assert_eq!(object[name], value);
    }
}

/// What can be wrong with a member or a field.
const PROBLEMS: [&str; 7] = [
    " is missing",
    " is there more than once",
    " must be a string",
    " must be a list of strings",
    " must be a whole number, zero or more",
    " has another name in this body; write it as here, or leave it out",
    " is not taken here; leave it out",
];

/// Our words and places only; a place lies in the body.
fn check_message(message: &str, body: &[u8]) {
    let numbers: Vec<usize> = message
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    if let [line, column] = numbers[..] {
        let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
        assert!((1..=lines.len()).contains(&line), "{message}");
        assert!(column <= lines[line - 1].len() + 1, "{message}");
    }
    let words = message.replace(|c: char| c.is_ascii_digit(), "");
    // Which member it is, is a word of ours.
    let parts: Vec<&str> = words.split('"').collect();
    if let [kind, name, problem] = parts[..] {
        assert!(["The member ", "The field "].contains(&kind), "{message}");
        assert!(!name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphabetic()));
        assert!(PROBLEMS.contains(&problem), "{message}");
        return;
    }
    assert!(
        [
            "The body is not valid JSON (line , column )",
            "The body ends before its JSON does",
            "The body must be a JSON object",
            "The body must be a form in UTF-",
            "This request takes no body",
            "The two passwords differ",
            "expiresAt must be a time of RFC ",
            "overlapSeconds must be at most ",
            "The query must hold a code and a state",
        ]
        .contains(&words.as_str()),
        "{message}"
    );
}

fn check_refusal(dialect: &dyn Dialect, message: &str) {
    let refusal = dialect.refusal(&ClientError {
        code: "BAD_REQUEST",
        message,
        kind: ErrorKind::Other,
        at: Timestamp(0),
    });
    let read: Value = serde_json::from_slice(&refusal).expect("a refusal is JSON");
    assert!(read.is_object());
}
