//! Values of TOML as they are shown, compared and written down again.

use std::path::Path;

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

/// What to write where the value is good, and of another type.
pub(super) fn other_type<T>(
    name: &str,
    value: &DeValue<'_>,
    from_text: impl Fn(&str) -> Option<T>,
) -> Option<String> {
    match value {
        DeValue::String(text) => {
            let is_plain = text.parse::<u64>().is_ok() || text.parse::<bool>().is_ok();
            (is_plain && from_text(text).is_some()).then(|| format!("write {name} = {text}"))
        }
        DeValue::Array(items) => match items.iter().next().map(Spanned::get_ref) {
            Some(DeValue::String(text)) if items.len() == 1 && from_text(text).is_some() => {
                Some(format!("write {name} = {text:?}"))
            }
            _ => None,
        },
        DeValue::Boolean(_) | DeValue::Integer(_) | DeValue::Float(_) => {
            let text = describe(value);
            from_text(&text).is_some().then(|| format!("write {name} = \"{text}\""))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// A value of the environment, which may be anything.
pub(super) fn shorten(text: &str) -> String {
    if text.len() <= 60 { format!("{text:?}") } else { "a long text".to_owned() }
}

/// A number or a text, as text.
pub(super) fn in_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// A value as it is written down again.
pub(super) fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            u64::from_str_radix(&digits, number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Array(items) => items.iter().map(|item| plain(item.get_ref())).collect(),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Value::Null,
    }
}

/// Where a path leads, wherever it is read again.
pub(super) fn show_path(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

pub(super) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.len() <= 60 => format!("{text:?}"),
        DeValue::String(_) => "a long text".to_owned(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Of what the value is not repeated: the key that has it is not known.
pub(super) fn kind_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".to_owned(),
        value => describe(value),
    }
}

/// `did you mean …`, when something is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (score(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// How alike two words are, from 0 to 1. What is very long is like nothing.
pub(super) fn score(left: &str, right: &str) -> f64 {
    const LONGEST: usize = 200;
    if left.len() > LONGEST {
        return 0.0;
    }
    strsim::jaro_winkler(left, right)
}

pub(super) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
