//! Events of the gateway itself and of libraries, from `tracing` to the sink.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{EnvFilter, Layer};

use crate::auth::ports::Clock;
use crate::clock::SystemClock;
use crate::config::{LIBRARIES, Log};

use super::log::{Style, begin_text, escape, rfc3339};
use super::request_scope;
use super::sink::Sink;

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

#[cfg(test)]
mod tests;
