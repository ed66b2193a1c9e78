//! How lines of the log look.

use std::io::IsTerminal;

use crate::auth::text::shown;
use crate::auth::time::Timestamp;
use crate::config::LogFormat;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Json,
    Text(Colors),
    /// Requests in Apache's combined format on standard output, all else as text on
    /// standard error.
    Combined,
}

/// Whether what matters most in a line of text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    On,
    Off,
}

impl Style {
    #[must_use]
    pub fn of(format: LogFormat) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        match format {
            LogFormat::Text => Style::Text(Colors::of_terminal(is_terminal)),
            LogFormat::Combined => Style::Combined,
            LogFormat::Auto if is_terminal => Style::Text(Colors::of_terminal(true)),
            LogFormat::Json | LogFormat::Auto => Style::Json,
        }
    }

    pub(super) fn colors(self) -> Colors {
        match self {
            Style::Text(colors) => colors,
            Style::Json | Style::Combined => Colors::Off,
        }
    }
}

impl Colors {
    /// As <https://no-color.org> and terminals that know none ask for.
    fn of_terminal(is_terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_plain = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if is_terminal && !refused && !is_plain { Colors::On } else { Colors::Off }
    }

    /// The text, and what the terminal needs around it.
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        match self {
            Colors::Off => text.to_owned(),
            Colors::On => format!("\x1b[{}m{text}\x1b[0m", paint as u8),
        }
    }
}

/// SGR parameters (ECMA-48 8.3.117).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Faint = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Paint {
    /// Of a level, by its name.
    pub(super) fn of_level(level: &str) -> Self {
        match level {
            "error" => Paint::Red,
            "warn" => Paint::Yellow,
            "info" => Paint::Green,
            _ => Paint::Faint,
        }
    }
}

/// The beginning of a line of text: when, and how much it matters.
pub(super) fn begin_text(colors: Colors, at: Timestamp, level: &str) -> String {
    let time = colors.paint(Paint::Faint, &rfc3339(at));
    // Padded before it is painted: what the terminal needs has no width.
    let level = colors.paint(Paint::of_level(level), &format!("{level:<5}"));
    format!("{time} {level} ")
}

/// No control or invisible character of a value reaches a terminal.
pub(super) fn escape(text: &str) -> String {
    shown(text).into_owned()
}

/// `2026-11-21T20:18:28.992Z`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| "invalid".to_owned(), |at| format!("{at:.3}"))
}

/// `21/Nov/2026:20:18:28 +0000`.
pub(super) fn common_log_time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "invalid".to_owned(), |at| at.strftime("%d/%b/%Y:%H:%M:%S %z").to_string())
}
