//! A request body: every dialect reads exactly the object its contract shows, and
//! says what is wrong with another one without repeating it.
//!
//! The first line of an input is the content type, the rest is the body.

use portcullis::auth::time::Seconds;
use portcullis::dialect::status::Status;
use portcullis::dialect::{ClientError, Command, DecodeError, Dialect};
use serde_json::Value;

use crate::pieces::first_line;

/// All that are mounted.
fn dialects() -> [Box<dyn Dialect>; 1] {
    [Box::new(Status { access_ttl: Seconds(60), rotate: true })]
}

pub(crate) fn run(data: &[u8]) {
    let (content_type, body) = first_line(data);
    let content_type = std::str::from_utf8(content_type).ok();
    for dialect in dialects() {
        for endpoint in dialect.endpoints() {
            match dialect.decode(endpoint.operation, content_type, body) {
                Ok(command) => check_command(&command, content_type, body),
                Err(DecodeError::MediaType) => {}
                Err(DecodeError::Malformed(message)) => {
                    check_message(&message, body);
                    check_refusal(dialect.as_ref(), &message);
                }
            }
        }
    }
}

fn check_command(command: &Command, content_type: Option<&str>, body: &[u8]) {
    let members = match command {
        Command::Login { name, password } => {
            vec![("username", name.as_str()), ("password", password.expose())]
        }
        Command::Refresh { token } => vec![("refresh_token", token.expose())],
        Command::ChangePassword { current, new } => {
            vec![("current_password", current.expose()), ("new_password", new.expose())]
        }
        // Their bodies are not looked at.
        Command::Logout | Command::IssueTicket | Command::Health => return,
    };
    let media_type = content_type.expect("a type was given").split(';').next().unwrap_or("");
    assert!(media_type.trim().eq_ignore_ascii_case("application/json"));
    let read: Value = serde_json::from_slice(body).expect("what was read is JSON");
    let object = read.as_object().expect("an object, as documented");
    assert_eq!(object.len(), members.len(), "no member was passed over");
    for (name, value) in members {
        assert_eq!(object[name], value);
    }
}

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
    } else {
        assert!(numbers.is_empty(), "{message}");
    }
    let words = message.replace(|c: char| c.is_ascii_digit(), "");
    assert!(
        [
            "The body is not valid JSON (line , column )",
            "The body ends before its JSON does",
            "The body must be a JSON object with exactly the documented members, as strings",
        ]
        .contains(&words.as_str()),
        "{message}"
    );
}

fn check_refusal(dialect: &dyn Dialect, message: &str) {
    let refusal = dialect.refusal(&ClientError { code: "BAD_REQUEST", message });
    let read: Value = serde_json::from_slice(&refusal).expect("a refusal is JSON");
    assert!(read.to_string().contains("BAD_REQUEST"));
}
