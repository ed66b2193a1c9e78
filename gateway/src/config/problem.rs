//! Everything that is wrong with a configuration, each with its place.

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
        Self { rendered, count: problems.len() }
    }
}

fn render_one(out: &mut String, file: &str, text: &str, problem: &Problem) {
    let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
    let (key, message) = (on_one_line(&key), on_one_line(&problem.message));
    // Writing to a string does not fail.
    let _ = match &problem.origin {
        Origin::File(span) => {
            let place = Place::of(text, span);
            writeln!(out, "{file}:{}:{}: {key}{message}", place.line, place.column)
                .and_then(|()| writeln!(out, "{:>5} | {}", place.line, place.text))
                .and_then(|()| {
                    let carets = "^".repeat(place.width);
                    writeln!(out, "      | {}{carets}", " ".repeat(place.column - 1))
                })
        }
        Origin::Environment(name) => {
            writeln!(out, "environment variable {name}: {key}{message}")
        }
        Origin::CommandLine(flag) => writeln!(out, "option {flag}: {key}{message}"),
        Origin::Absent => writeln!(out, "{file}: {key}{message}"),
    };
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "      = {}", on_one_line(help));
    }
}

/// A key in quotes may hold a line end, which would look like the end of what is said.
fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
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

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
