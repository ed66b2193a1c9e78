//! Everything that is wrong with a configuration, each with its place: for people and for
//! programs, and without what may be a secret.

use std::fmt::Write;

use crate::auth::text::is_hidden;

use super::hide;
use super::place::{Place, place_of};
use super::problem::{Origin, Problem};

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
    /// So many are told; a program that wrote so many mistakes is mended before all are read.
    pub const MOST: usize = 1_000;

    /// Renders for people: `file:line:column: key: message`, the line, a caret, help.
    #[must_use]
    pub fn render(file: &str, text: &str, problems: &[Problem]) -> Self {
        let mut rendered = String::new();
        let count = problems.len();
        let told = &problems[..count.min(Self::MOST)];
        for (index, problem) in told.iter().enumerate() {
            if index > 0 {
                rendered.push('\n');
            }
            render_one(&mut rendered, file, text, problem);
        }
        if told.len() < count {
            // Writing to a string does not fail.
            let _ = writeln!(rendered, "\nand {} more", count - told.len());
        }
        let report = |problem: &Problem| Report::of(file, text, problem);
        Self { rendered, count, reports: told.iter().map(report).collect() }
    }
}

pub(super) fn render_one(out: &mut String, file: &str, text: &str, problem: &Problem) {
    let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
    let (key, message) = (on_one_line(&key), on_one_line(&problem.message));
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}: {key}{message}", place_of(file, text, &problem.origin));
    if let Origin::File(span) = &problem.origin {
        let place = Place::of(text, span);
        let shown = hide::line(&text[..place.start], place.text);
        let window = Window::around(&shown, place.column - 1, place.width);
        let carets = "^".repeat(window.width);
        let _ = writeln!(out, "{:>5} | {}", place.line, window.text)
            .and_then(|()| writeln!(out, "      | {}{carets}", " ".repeat(window.start)));
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "      = {}", on_one_line(help));
    }
}

/// Characters of what is said, which may repeat a long line.
const MOST_SAID: usize = 500;

/// What is shown of a line: a file of another kind may have a very long one.
struct Window {
    text: String,
    /// Where the place begins in it, in characters.
    start: usize,
    width: usize,
}

impl Window {
    /// Characters at most.
    const WIDTH: usize = 120;
    /// Before the place, where the line does not fit.
    const BEFORE: usize = 40;

    fn around(line: &str, start: usize, width: usize) -> Self {
        let line = &seen(line);
        if line.chars().count() <= Self::WIDTH {
            return Self { text: line.to_owned(), start, width };
        }
        let from = start.saturating_sub(Self::BEFORE);
        let mut text: String = line.chars().skip(from).take(Self::WIDTH).collect();
        let mut start = start - from;
        if from > 0 {
            text.insert(0, '…');
            start += 1;
        }
        text.push('…');
        let width = width.min((Self::WIDTH + 1).saturating_sub(start)).max(1);
        Self { text, start, width }
    }
}

/// With a sign in the place of each character that is not seen, or would move what follows: a
/// line of a file is no command to a terminal, and what stands under it stays there.
fn seen(text: &str) -> String {
    let seen = |character| match character {
        '\t' => ' ',
        hidden if is_hidden(hidden) => '\u{fffd}',
        character => character,
    };
    text.chars().map(seen).collect()
}

/// A key in quotes may hold a line end, which would look like the end of what is said.
fn on_one_line(text: &str) -> String {
    let text = seen(&hide::prose(text));
    match text.char_indices().nth(MOST_SAID) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_problems_the_first_are_told() {
        let message = "wrong".to_owned();
        let problem = Problem { origin: Origin::Absent, key: String::new(), message, help: None };
        let told = Problems::render("f", "", &vec![problem; Problems::MOST + 2]);
        assert!(told.rendered.ends_with("f: wrong\n\nand 2 more\n"), "{}", told.rendered);
        assert_eq!((told.count, told.reports.len()), (Problems::MOST + 2, Problems::MOST));
    }

    #[test]
    fn of_a_long_line_what_is_around_the_place_is_shown() {
        let line = format!("path = {}x{}", "é".repeat(200), "ü".repeat(300_000));
        let text = format!("[t]\n{line}\n");
        let at = text.find('x').unwrap();
        let problem = Problem {
            origin: Origin::File(at..text.len()),
            key: String::new(),
            message: "wrong".to_owned(),
            help: None,
        };
        let rendered = Problems::render("f", &text, &[problem]).rendered;
        let lines: Vec<&str> = rendered.lines().collect();
        assert_eq!(lines[0], "f:2:208: wrong");
        assert!(lines[1].chars().count() < 140, "{}", lines[1]);
        let under = |line: &str| line.chars().skip(8).collect::<Vec<_>>();
        let caret = under(lines[2]).iter().position(|c| *c == '^').unwrap();
        assert_eq!(under(lines[1])[caret], 'x', "{rendered}");
    }
}
