//! One of two configurations that are compared, and when two of their values are the same.

use std::time::Duration;

use serde_json::Value;

use crate::config::Config;
use crate::config::effective::{SourceFile, is_shown, value};
use crate::config::record::{Setting, Settings, Takes, WhenWritten};
use crate::config::units::{parse_duration, parse_size};

/// A configuration as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub config: &'a Config,
    pub settings: &'a Settings,
    pub file: SourceFile<'a>,
}

impl<'a> Side<'a> {
    /// Those that have a value.
    pub(super) fn set(&self) -> impl Iterator<Item = &'a Setting> + use<'a> {
        self.settings.keys.iter().filter(|setting| is_shown(setting))
    }
}

/// A value without the form in which it is written.
#[derive(Debug, PartialEq)]
pub(super) struct Comparable {
    value: Option<Value>,
    /// Where that makes a difference by itself.
    is_written: Option<bool>,
}

impl Comparable {
    pub(super) fn of(setting: &Setting) -> Self {
        let differs = |when: WhenWritten| match when {
            WhenWritten::Differs => Some(setting.found.is_some()),
            WhenWritten::Same => None,
        };
        Self {
            value: value(setting).map(|value| plain(setting, value)),
            is_written: setting.fallback.as_ref().and_then(|known| differs(known.when_written)),
        }
    }
}

/// In one unit, and of a list in one order, unless the order says something.
fn plain(setting: &Setting, value: &Value) -> Value {
    let read = match &setting.takes {
        Takes::Duration(_) | Takes::DurationOrOff(_) => match value {
            Value::String(text) => parse_duration(text).map(millis),
            Value::Number(seconds) => seconds.as_u64().map(|it| millis(Duration::from_secs(it))),
            _ => None,
        },
        Takes::Size(_) | Takes::SizeOrUnlimited => match value {
            Value::String(text) => parse_size(text).map(Value::from),
            _ => None,
        },
        Takes::Texts | Takes::Words(_) if !is_ordered(setting) => {
            value.as_array().map(|items| sorted(items))
        }
        Takes::Text
        | Takes::Path
        | Takes::Boolean
        | Takes::Integer(_)
        | Takes::Choice(_)
        | Takes::BooleanOr(_)
        | Takes::Texts
        | Takes::Words(_)
        | Takes::Table
        | Takes::Tables
        | Takes::NamedTables => None,
    };
    read.unwrap_or_else(|| value.clone())
}

/// A 401 offers challenges in the order in which the route names them.
fn is_ordered(setting: &Setting) -> bool {
    setting.name == "challenge"
}

fn millis(length: Duration) -> Value {
    Value::from(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

fn sorted(items: &[Value]) -> Value {
    let mut items = items.to_vec();
    items.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
    Value::Array(items)
}
