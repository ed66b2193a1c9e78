//! Every setting in force with where it comes from: as TOML that loads to the same
//! configuration, and as JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::place::place_of;
use super::problem::Origin;
use super::record::{FallbackSource, Setting, Settings, Step, Takes};

/// In place of a secret's text.
pub const HIDDEN: &str = "********";
/// Where origins stand, if a setting leaves room.
const ORIGIN_COLUMN: usize = 40;

/// What settings are shown with: the file they were read from.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

/// A table with the keys that have a value, and the tables in it.
#[derive(Default)]
struct Table<'s> {
    step: Option<&'s Step>,
    keys: Vec<&'s Setting>,
    inner: Vec<Table<'s>>,
}

impl<'s> Table<'s> {
    /// Tables of which there can be several come behind all others.
    fn of(settings: &'s Settings) -> Self {
        let mut root = Table::default();
        for setting in settings.keys.iter().filter(|setting| is_shown(setting)) {
            let table = setting.table.iter().fold(&mut root, Table::enter);
            table.keys.push(setting);
        }
        root.inner.sort_by_key(|table| !matches!(table.step, Some(Step::Table(_))));
        root
    }

    fn enter<'t>(table: &'t mut Table<'s>, step: &'s Step) -> &'t mut Table<'s> {
        let known = table.inner.iter().position(|inner| inner.step == Some(step));
        let index = known.unwrap_or_else(|| {
            table.inner.push(Table { step: Some(step), ..Table::default() });
            table.inner.len() - 1
        });
        &mut table.inner[index]
    }
}

pub(super) fn is_shown(setting: &Setting) -> bool {
    let is_table = matches!(setting.takes, Takes::Table | Takes::Tables | Takes::NamedTables);
    !is_table && value(setting).is_some()
}

pub(super) fn value(setting: &Setting) -> Option<&Value> {
    match (&setting.found, &setting.fallback) {
        (Some((value, _)), _) => Some(value),
        (None, Some(fallback)) => Some(&fallback.value),
        (None, None) => None,
    }
}

pub(super) fn origin(setting: &Setting, file: SourceFile<'_>) -> String {
    match (&setting.found, setting.fallback.as_ref().map(|fallback| &fallback.source)) {
        (Some((_, origin)), _) => place(origin, file),
        (None, Some(FallbackSource::Variable(name))) => format!("environment {name}"),
        (None, _) => "default".to_owned(),
    }
}

pub(super) fn place(origin: &Origin, file: SourceFile<'_>) -> String {
    match origin {
        Origin::Environment(name) => format!("environment {name}"),
        _ => place_of(file.name, file.text, origin),
    }
}

/// The settings as TOML, one on each line, with its origin in a comment. Without its
/// comments it loads to the same configuration; a default that would mean something else
/// once it is written is in a comment itself.
#[must_use]
pub fn to_toml(settings: &Settings, file: SourceFile<'_>) -> String {
    let mut out = String::from(
        "# Every setting in force, and where it comes from. What is commented out is a default\n\
         # that holds only while its key is not written.\n",
    );
    write_table(&mut out, &Table::of(settings), (settings, file), &[]);
    if !settings.secrets.is_empty() {
        out.push_str("\n# Secrets are not shown.\n");
    }
    for secret in &settings.secrets {
        let line = format!("# {} = \"{HIDDEN}\"", secret.name);
        push_line(&mut out, &line, &place(&secret.origin, file));
    }
    out
}

fn write_table(
    out: &mut String,
    table: &Table<'_>,
    context: (&Settings, SourceFile<'_>),
    above: &[String],
) {
    let (settings, file) = context;
    let mut path = above.to_vec();
    path.extend(table.step.into_iter().flat_map(keys_of));
    let is_live =
        |setting: &&Setting| setting.found.is_some() || settings.is_default_writable(setting);
    if let Some(step) = table.step.filter(|_| !table.keys.is_empty()) {
        let is_item = matches!(step, Step::Item(..));
        let live = !matches!(step, Step::Table(_)) || table.keys.iter().any(&is_live);
        let (open, close) = if is_item { ("[[", "]]") } else { ("[", "]") };
        let mark = if live { "" } else { "# " };
        // Writing to a string does not fail.
        let _ = writeln!(out, "\n{mark}{open}{}{close}", path.join("."));
    }
    for setting in &table.keys {
        let mark = if is_live(setting) { "" } else { "# " };
        let value = value(setting).map(toml_value).unwrap_or_default();
        push_line(out, &format!("{mark}{} = {value}", setting.name), &origin(setting, file));
    }
    for inner in &table.inner {
        write_table(out, inner, context, &path);
    }
}

fn keys_of(step: &Step) -> Vec<String> {
    match step {
        Step::Table(name) | Step::Item(name, _) => vec![name.clone()],
        Step::Named(name, given) => vec![name.clone(), toml_key(given)],
    }
}

fn push_line(out: &mut String, line: &str, origin: &str) {
    let _ = writeln!(out, "{line:<ORIGIN_COLUMN$} # {origin}");
}

pub(super) fn toml_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quoted(name) }
}

/// Of what readers take: texts, numbers, booleans, and lists of texts.
fn toml_value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// On one line, whatever the text holds: JSON's escapes are TOML's too, but for DEL.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// The settings as JSON: the tables, and under each key its value and its origin.
#[must_use]
pub fn to_json(settings: &Settings, file: SourceFile<'_>) -> Value {
    let mut members = json_table(&Table::of(settings), file);
    let secret = |name: &str, origin: &Origin| {
        (name.to_owned(), json!({ "value": HIDDEN, "origin": place(origin, file) }))
    };
    let secrets: Map<String, Value> =
        settings.secrets.iter().map(|given| secret(&given.name, &given.origin)).collect();
    members.insert("secrets".to_owned(), Value::Object(secrets));
    Value::Object(members)
}

fn json_table(table: &Table<'_>, file: SourceFile<'_>) -> Map<String, Value> {
    let mut members = Map::new();
    for setting in &table.keys {
        let member = json!({ "value": value(setting), "origin": origin(setting, file) });
        members.insert(setting.name.to_owned(), member);
    }
    for inner in &table.inner {
        let Some(step) = inner.step else { continue };
        let object = Value::Object(json_table(inner, file));
        let at = members.entry(step.name());
        match step {
            Step::Table(_) => drop(at.or_insert(object)),
            Step::Item(..) => {
                if let Some(items) = at.or_insert_with(|| json!([])).as_array_mut() {
                    items.push(object);
                }
            }
            Step::Named(_, given) => {
                if let Some(named) = at.or_insert_with(|| json!({})).as_object_mut() {
                    named.insert(given.clone(), object);
                }
            }
        }
    }
    members
}

#[cfg(test)]
mod tests;
