//! Where something stands, as people look it up.

use std::ops::Range;

use super::problem::Origin;

/// A place in a text as people count it: lines and characters from one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) text: &'a str,
    /// Where the line begins, in bytes.
    pub(super) start: usize,
    pub(super) width: usize,
}

impl<'a> Place<'a> {
    #[must_use]
    pub(super) fn of(text: &'a str, span: &Range<usize>) -> Self {
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_boundary(text, span.end).clamp(start, line_end);
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].trim_end_matches('\r'),
            start: line_start,
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

/// `config.toml:3:1`, `environment variable SECRET_KEY`.
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
