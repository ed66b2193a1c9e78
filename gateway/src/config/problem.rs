//! Everything that is wrong with a configuration, each with its place.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Bytes of the file.
    File(Range<usize>),
    Environment(String),
    CommandLine(&'static str),
    /// Nothing was written; the place where it is missing, if there is one.
    Absent,
}

#[derive(Debug, Clone)]
pub struct Problem {
    pub origin: Origin,
    /// The key, with its tables: `limits.burst`. Empty for syntax errors.
    pub key: String,
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// What `check` and `run` report before any socket opens.
#[derive(Debug, thiserror::Error)]
#[error("{rendered}")]
pub struct Problems {
    pub rendered: String,
    pub count: usize,
    /// The same for programs.
    pub reports: Vec<Report>,
}

/// A problem for programs. What it says holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where people look it up: `config.toml:3:1`, `environment variable SECRET_KEY`.
    pub place: String,
    /// File, line and column, both counted from one, where it is in a file.
    pub position: Option<Position>,
    /// With its tables; empty where it is about no key.
    pub key: String,
    pub message: String,
    /// What stands there if it is right.
    pub expected: Option<String>,
    pub help: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl Report {
    fn of(file: &str, text: &str, problem: &Problem) -> Self {
        let position = match &problem.origin {
            Origin::File(span) => {
                let Place { line, column, .. } = Place::of(text, span);
                Some(Position { file: file.to_owned(), line, column })
            }
            _ => None,
        };
        let message = on_one_line(&problem.message);
        let expected = message.strip_prefix("expected ");
        let expected = expected.map(|rest| rest.rsplit_once(", found ").map_or(rest, |(it, _)| it));
        Self {
            place: place_of(file, text, &problem.origin),
            position,
            key: on_one_line(&problem.key),
            expected: expected.map(str::to_owned),
            message,
            help: problem.help.as_deref().map(on_one_line),
        }
    }
}

impl Problems {
    /// Renders for people: `file:line:column: key: message`, the line, a caret, help.
    #[must_use]
    pub fn render(file: &str, text: &str, problems: &[Problem]) -> Self {
        let mut rendered = String::new();
        for (index, problem) in problems.iter().enumerate() {
            if index > 0 {
                rendered.push('\n');
            }
            render_one(&mut rendered, file, text, problem);
        }
        let report = |problem: &Problem| Report::of(file, text, problem);
        Self { rendered, count: problems.len(), reports: problems.iter().map(report).collect() }
    }
}

/// Where something was written, as people look it up.
pub(super) fn place_of(file: &str, text: &str, origin: &Origin) -> String {
    match origin {
        Origin::File(span) => {
            let place = Place::of(text, span);
            format!("{file}:{}:{}", place.line, place.column)
        }
        Origin::Environment(name) => format!("environment variable {name}"),
        Origin::CommandLine(flag) => format!("option {flag}"),
        Origin::Absent => file.to_owned(),
    }
}

pub(super) fn render_one(out: &mut String, file: &str, text: &str, problem: &Problem) {
    let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
    let (key, message) = (on_one_line(&key), on_one_line(&problem.message));
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}: {key}{message}", place_of(file, text, &problem.origin));
    if let Origin::File(span) = &problem.origin {
        let place = Place::of(text, span);
        let carets = "^".repeat(place.width);
        let _ = writeln!(out, "{:>5} | {}", place.line, without_secrets(place.text))
            .and_then(|()| writeln!(out, "      | {}{carets}", " ".repeat(place.column - 1)));
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "      = {}", on_one_line(help));
    }
}

/// A key in quotes may hold a line end, which would look like the end of what is said.
fn on_one_line(text: &str) -> String {
    without_secrets(text).replace(char::is_control, "\u{fffd}")
}

/// Secrets do not belong into the file, but what stands in the wrong place must not go
/// on into a log: who is named in a URL, and what is given to a key that is called after
/// a secret. A character becomes a star, so that what follows stays where it was.
fn without_secrets(text: &str) -> Cow<'_, str> {
    let mut hidden = Vec::new();
    if let Some(at) = text.rfind('@')
        && ["url", "://", "redis"].iter().any(|mark| text.contains(mark))
    {
        let start = match text.find("://") {
            Some(scheme) if scheme < at => scheme + "://".len(),
            _ => value_begins(text, text.find(['=', '"']).unwrap_or(0)),
        };
        hidden.push(start..at);
    }
    for word in ["password", "passwd", "secret"] {
        for (start, _) in text.match_indices(word) {
            let rest = &text[start + word.len()..];
            let key = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            let assigned = key.trim_start_matches(['"', '\'', ' ']);
            // The path of a file is no secret.
            if assigned.starts_with('=') && !rest[..rest.len() - key.len()].ends_with("_file") {
                hidden.push(value_begins(text, text.len() - assigned.len())..text.len());
            }
        }
    }
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    let star = |(at, character): (usize, char)| {
        if hidden.iter().any(|range| range.contains(&at)) { '*' } else { character }
    };
    Cow::Owned(text.char_indices().map(star).collect())
}

/// What follows an equals sign or a quotation mark.
fn value_begins(text: &str, mark: usize) -> usize {
    text.len() - text[mark..].trim_start_matches(['=', ' ', '"', '\'']).len()
}

/// A place in a text as people count it: lines and characters from one.
#[derive(Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub line: usize,
    pub column: usize,
    pub text: &'a str,
    pub width: usize,
}

impl<'a> Place<'a> {
    #[must_use]
    pub fn of(text: &'a str, span: &Range<usize>) -> Self {
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_boundary(text, span.end).clamp(start, line_end);
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].trim_end_matches('\r'),
            width: text[start..end].chars().count().max(1),
        }
    }
}

/// The last place at or before `at` where a character begins.
pub(super) fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for (line, shown) in [
            (r#"url = "redis://gate:pw@h:1/0""#, r#"url = "redis://*******@h:1/0""#),
            (r#"url = "redis://a:p/@"w@h""#, r#"url = "redis://*******@h""#),
            (r#"url = "redis:/a:pw@h""#, r#"url = "***********@h""#),
            ("url = redis://a:é@h", "url = redis://***@h"),
            (r#"burst = "many" # ask ops@example"#, r#"burst = "many" # ask ops@example"#),
            (r#"url = "http://127.0.0.1:3000""#, r#"url = "http://127.0.0.1:3000""#),
            (r#"password = "pw""#, r#"password = "***"#),
            (r#"store = { "password"= 'pw' }"#, r#"store = { "password"= '*****"#),
            (r#"secret_key="pw""#, r#"secret_key="***"#),
            (r#"password_file = "pw.txt""#, r#"password_file = "pw.txt""#),
            ("client_secret_file = 7", "client_secret_file = 7"),
            ("store.password: unknown key", "store.password: unknown key"),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }
}
