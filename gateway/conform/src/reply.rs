//! An answer, and what can be asked of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::report::{Check, Fault, differs};

/// No more of a body is shown.
const SHOWN: usize = 160;

/// A whole answer and what it answers.
#[derive(Debug, Clone)]
pub struct Reply {
    /// `POST /api/auth/login`
    pub asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// A fault that names the request and shows the answer.
    pub fn fault(&self, expected: &str) -> Fault {
        Fault::Differs(format!("{}: expected {expected}, found {}", self.asked, self.shown()))
    }

    /// The answer in few words and without secrets.
    fn shown(&self) -> String {
        let body = match self.json() {
            Ok(mut json) => {
                redact(&mut json);
                json.to_string()
            }
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        };
        let mut short: String = body.chars().take(SHOWN).collect();
        if short.len() < body.len() {
            short.push('…');
        }
        format!("{} {short}", self.status).trim_end().to_owned()
    }

    pub fn status(&self, status: u16) -> Result<&Self, Fault> {
        if self.status == status { Ok(self) } else { Err(self.fault(&format!("status {status}"))) }
    }

    /// Refused for what was sent: 400 or 422.
    pub fn not_accepted(&self) -> Result<&Self, Fault> {
        if matches!(self.status, 400 | 422) { Ok(self) } else { Err(self.fault("400 or 422")) }
    }

    /// The gateway let the request through and the upstream served it. No other status
    /// tells so: a gateway that has lost its route or its upstream answers 404 or 502 too.
    pub fn passed(&self) -> Check {
        if (200..300).contains(&self.status) {
            return Ok(());
        }
        Err(self.fault("2xx of the upstream"))
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The values of a field that may come several times.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    pub fn json(&self) -> Result<Value, Fault> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Fault::Differs(format!("{}: the body is not JSON", self.asked)))
    }

    /// The value at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Result<Value, Fault> {
        let json = self.json()?;
        json.pointer(pointer).cloned().ok_or_else(|| self.fault(&format!("a member {pointer}")))
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Result<String, Fault> {
        match self.at(pointer)? {
            Value::String(text) if !text.is_empty() => Ok(text),
            _ => Err(self.fault(&format!("text at {pointer}"))),
        }
    }

    pub fn is(&self, pointer: &str, expected: impl Into<Value>) -> Result<&Self, Fault> {
        let expected = expected.into();
        if self.at(pointer)? == expected {
            return Ok(self);
        }
        let place = if pointer.is_empty() { "the body" } else { pointer };
        Err(self.fault(&format!("{place} to be {expected}")))
    }

    /// The whole body.
    pub fn body_is(&self, expected: Value) -> Result<&Self, Fault> {
        self.is("", expected)
    }

    /// The object at a JSON pointer has these members and no others.
    pub fn members(&self, pointer: &str, expected: &[&str]) -> Result<&Self, Fault> {
        let found = self.at(pointer)?;
        let found: BTreeSet<&str> = match &found {
            Value::Object(members) => members.keys().map(String::as_str).collect(),
            _ => {
                return Err(
                    self.fault(&format!("an object, with the members {}", expected.join(", ")))
                );
            }
        };
        let wanted: BTreeSet<&str> = expected.iter().copied().collect();
        if found == wanted {
            return Ok(self);
        }
        let place = if pointer.is_empty() { "the body" } else { pointer };
        Err(self.fault(&format!("in {place} exactly the members {}", expected.join(", "))))
    }

    /// The object at a JSON pointer has these members, whatever others it has.
    pub fn has_members(&self, pointer: &str, expected: &[&str]) -> Result<&Self, Fault> {
        let found = self.at(pointer)?;
        match expected.iter().find(|name| found.get(name).is_none()) {
            None => Ok(self),
            Some(missing) => Err(self.fault(&format!("a member {pointer}/{missing}"))),
        }
    }

    /// When it was sent, by the answering side's clock.
    pub fn date(&self) -> Option<Timestamp> {
        jiff::fmt::rfc2822::parse(self.field("date")?).ok().map(|date| date.timestamp())
    }
}

/// Tokens and keys are not for a report, not even those of accounts that are gone.
fn redact(json: &mut Value) {
    match json {
        Value::String(text) if text.starts_with("eyJ") || text.starts_with("sk_") => {
            text.truncate(text.char_indices().nth(8).map_or(text.len(), |(at, _)| at));
            text.push('…');
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => members.values_mut().for_each(redact),
        _ => {}
    }
}

pub fn is_uuid(text: &str) -> Check {
    match Uuid::try_parse(text) {
        Ok(_) if text.len() == 36 => Ok(()),
        _ => differs(format!("expected a UUID, found {text:?}")),
    }
}

/// An id like `usr_abc123`.
pub fn has_prefix(text: &str, prefix: &str) -> Check {
    match text.strip_prefix(prefix) {
        Some(rest) if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric()) => Ok(()),
        _ => differs(format!("expected an id like {prefix}abc123, found {text:?}")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `2023-10-27T10:00:00Z`
    Seconds,
    /// `2026-03-05T12:00:00.000Z`
    Milliseconds,
}

/// Reads a time that is written in exactly this way.
pub fn time(text: &str, precision: Precision) -> Result<Timestamp, Fault> {
    let shape = match precision {
        Precision::Seconds => "dddd-dd-ddTdd:dd:ddZ",
        Precision::Milliseconds => "dddd-dd-ddTdd:dd:dd.dddZ",
    };
    let fits = text.len() == shape.len()
        && text.chars().zip(shape.chars()).all(|(found, wanted)| match wanted {
            'd' => found.is_ascii_digit(),
            _ => found == wanted,
        });
    match text.parse() {
        Ok(time) if fits => Ok(time),
        _ => differs(format!("expected a time like {shape}, found {text:?}")),
    }
}
