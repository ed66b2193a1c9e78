//! Events of the gateway itself, through `tracing`.

use std::fmt;
use std::io::IsTerminal;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{EnvFilter, Layer};

use crate::auth::ports::Clock;
use crate::auth::text::shown;
use crate::auth::time::Timestamp;
use crate::clock::SystemClock;
use crate::config::{LIBRARIES, Log, LogFormat};

use super::request_scope;
use super::sink::Sink;

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

    fn colors(self) -> Colors {
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

/// Sends events to the sink: our own from the configured level up, by part where
/// one has a level of its own, and those of libraries from `warn` up.
///
/// # Errors
/// When a subscriber has been set already.
pub fn install(sink: Sink, log: &Log) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    // hyper warns of every header that comes too late; that is counted, not told.
    let mut filter = format!("warn,hyper=error,rustls=error,portcullis={}", log.level);
    for (target, level) in &log.levels {
        filter.push(',');
        if !LIBRARIES.contains(target) {
            filter.push_str("portcullis::");
        }
        filter.push_str(target);
        filter.push('=');
        filter.push_str(level);
    }
    let filter = EnvFilter::new(filter);
    let subscriber = tracing_subscriber::registry().with(EventLayer(sink).with_filter(filter));
    tracing::subscriber::set_global_default(subscriber)
}

struct EventLayer(Sink);

impl<S: Subscriber> Layer<S> for EventLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        if let Some(id) = request_scope::request_id() {
            fields.0.entry("request_id").or_insert_with(|| Value::String((*id).to_owned()));
        }
        let message = fields.0.remove("message").unwrap_or_else(|| Value::String(String::new()));
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let now = SystemClock.now();
        let line = match self.0.style() {
            Style::Json => {
                let time = rfc3339(now);
                let head =
                    format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"message\":{message}");
                // The fields' own object, without its opening brace.
                match Value::Object(fields.0).to_string().strip_prefix('{') {
                    Some(rest) if rest != "}" => format!("{head},{rest}"),
                    _ => head + "}",
                }
            }
            Style::Text(_) | Style::Combined => {
                let message = message.as_str().map_or_else(|| message.to_string(), escape);
                let mut line = begin_text(self.0.style().colors(), now, &level) + &message;
                for (name, value) in fields.0 {
                    let value = value.as_str().map_or_else(|| value.to_string(), escape);
                    line.extend([" ", &name, "=", &value]);
                }
                line
            }
        };
        self.0.line(now, (line + "\n").into_bytes());
    }
}

/// No control or invisible character of a value reaches a terminal.
pub(super) fn escape(text: &str) -> String {
    shown(text).into_owned()
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
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

#[cfg(test)]
mod tests;
