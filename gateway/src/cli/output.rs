//! How answers look: a table for people, JSON for programs, errors on standard
//! error.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::admin::Reply;

use super::{Format, Place};

/// Prints what an administration command answered.
pub(super) fn show(place: &Place, reply: Reply) -> ExitCode {
    if let Reply::Failed { reason } = &reply {
        return fail(1, reason);
    }
    if place.format == Some(Format::Json) {
        let json = match &reply {
            Reply::Done { message } => serde_json::json!({ "message": message }),
            Reply::Users { users } => serde_json::json!(users),
            Reply::Keys { keys } => serde_json::json!(keys),
            Reply::NewKey { key, text } => {
                let mut json = serde_json::json!(key);
                json["key"] = text.as_str().into();
                json
            }
            Reply::Imported { added, present } => {
                serde_json::json!({ "added": added, "present": present })
            }
            Reply::Status(status) => serde_json::json!(status),
            Reply::Failed { reason } => serde_json::json!({ "error": reason }),
        };
        return say(&format!("{json:#}\n"));
    }
    match reply {
        Reply::Done { message } => say(&(message + "\n")),
        Reply::Users { users } => {
            let rows = users.into_iter().map(|user| {
                vec![
                    user.username,
                    user.email.unwrap_or_default(),
                    user.roles.join(","),
                    user.state,
                    user.created,
                    user.id.to_string(),
                ]
            });
            say(&table(&["NAME", "EMAIL", "ROLES", "STATE", "CREATED", "ID"], rows.collect()))
        }
        Reply::Keys { keys } => {
            let rows = keys.into_iter().map(|key| {
                vec![
                    key.id.to_string(),
                    key.owner,
                    key.name,
                    format!("{}…", key.shown),
                    key.scopes.join(","),
                    key.created,
                    key.expires.unwrap_or_else(|| "never".to_owned()),
                ]
            });
            let heads = ["ID", "OWNER", "NAME", "KEY", "SCOPES", "CREATED", "EXPIRES"];
            say(&table(&heads, rows.collect()))
        }
        Reply::NewKey { key, text } => {
            complain(&format!("key {} made for {}; its text is shown only now", key.id, key.owner));
            say(&(text + "\n"))
        }
        Reply::Imported { added, present } => {
            say(&format!("{} added, {} there already\n", added.len(), present.len()))
        }
        Reply::Status(status) => {
            let mut rows = vec![
                vec!["version".to_owned(), status.version],
                vec!["serving".to_owned(), status.serving],
                vec!["uptime_seconds".to_owned(), status.uptime_seconds.to_string()],
            ];
            let numbers = status.held.into_iter().chain(status.counters);
            rows.extend(numbers.map(|(name, value)| vec![name, value.to_string()]));
            say(&table(&["NAME", "VALUE"], rows))
        }
        Reply::Failed { reason } => fail(1, &reason),
    }
}

pub(super) fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let width = |column: usize, head: &str| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(head.len())
    };
    let widths: Vec<usize> =
        heads.iter().enumerate().map(|(column, head)| width(column, head)).collect();
    let mut text = String::new();
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    for row in [heads].into_iter().chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Prints an answer. A closed pipe is the reader's choice, not a failure.
pub(super) fn say(text: &str) -> ExitCode {
    let _ = io::stdout().lock().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

pub(super) fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

pub(super) fn fail(code: u8, message: &str) -> ExitCode {
    complain(&format!("portcullis: {}", message.trim_end()));
    ExitCode::from(code)
}
