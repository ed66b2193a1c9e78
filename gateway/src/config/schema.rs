//! JSON Schema (draft 2020-12) of the configuration file, for editors and other tools.
//!
//! What a key means is the comment of a member of the structs below, one for each table.
//! What a key takes and what it is by default is said by its reader alone ([`record`]);
//! [`schema`] puts both together, and a test fails where one of them lacks a key.
//!
//! [`record`]: super::record

pub mod accounts;
pub mod connections;
pub mod limits;
pub mod store;
pub mod traffic;
pub mod values;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::file::keys_asked_for;
use super::record::{Fallback, FallbackSource, Takes, pattern};
use super::units::{DURATION_PATTERN, SIZE_PATTERN};

/// The configuration file of Portcullis. Sections that a description names are those of
/// CONFIG.md.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "Portcullis configuration")]
pub struct Root {
    /// Where the gateway accepts connections.
    pub listener: Vec<connections::Listener>,
    pub tls: connections::Tls,
    pub store: store::Store,
    pub auth: accounts::Auth,
    pub dialect: accounts::Dialects,
    pub openapi: accounts::OpenApi,
    pub github: accounts::GitHub,
    pub links: accounts::Links,
    pub mail: accounts::Mail,
    pub admin: accounts::Admin,
    pub console: accounts::Console,
    pub health: connections::Health,
    pub limits: limits::Limits,
    pub timeouts: limits::Timeouts,
    pub client: connections::Client,
    pub cors: connections::Cors,
    pub identity: traffic::Identity,
    pub log: connections::Log,
    /// Servers that requests are forwarded to, each under a name.
    pub upstream: BTreeMap<String, traffic::Upstream>,
    /// Which requests may pass, and where they go.
    pub route: Vec<traffic::Route>,
}

/// Has every table, so that every reader is asked.
const ALL_TABLES: &str = r#"
[[listener]]
[cors]
[upstream.app]
url = "echo"
[[route]]
upstream = "app"
[route.cors]
[route.rate]
"#;
/// Has the words that can stand in place of a table.
const WORDS_FOR_TABLES: &str = r#"
[[route]]
cors = "upstream"
rate = "none"
"#;

/// The schema's name; it is found at no address.
const ID: &str = "urn:portcullis:configuration";

/// A key that some reader asks for.
#[derive(Debug, Clone)]
pub struct Key {
    /// The table: `limits`, `route[].cors`, `upstream.*`; empty for the root.
    pub table: String,
    pub name: &'static str,
    /// More than one where a word can stand for a table.
    pub takes: Vec<Takes>,
    pub fallback: Option<Fallback>,
}

impl Key {
    /// With its tables: `limits.burst`.
    #[must_use]
    pub fn path(&self) -> String {
        if self.table.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.table, self.name)
        }
    }
}

/// Every key there is, in the order in which readers ask.
#[must_use]
pub fn keys() -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for text in [ALL_TABLES, WORDS_FOR_TABLES] {
        for setting in keys_asked_for(text).keys {
            let (table, name) = (pattern(&setting.table), setting.name);
            let known = keys.iter_mut().find(|key| (&key.table, key.name) == (&table, name));
            match known {
                Some(known) if known.takes.contains(&setting.takes) => {}
                Some(known) => known.takes.push(setting.takes),
                None => {
                    let (takes, fallback) = (vec![setting.takes], setting.fallback);
                    keys.push(Key { table, name, takes, fallback });
                }
            }
        }
    }
    keys
}

/// The whole schema.
#[must_use]
pub fn schema() -> Value {
    let mut schema = described();
    for key in keys() {
        if let Some(node) = find_mut(&mut schema, &key.table, key.name) {
            complete(node, &key);
        }
    }
    finish(&mut schema);
    if let Some(members) = schema.as_object_mut() {
        members.insert("$id".to_owned(), Value::from(ID));
    }
    schema
}

/// What the structs say, before anything of the readers is known.
fn described() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Root>().to_value()
}

/// The node of a table; of an item, or of a table with any name, where the pattern says so.
fn table_node<'s>(schema: &'s mut Value, table: &str) -> Option<&'s mut Value> {
    let mut node = schema;
    for step in table.split('.').filter(|step| !step.is_empty()) {
        node = match (step, step.strip_suffix("[]")) {
            ("*", _) => node.get_mut("additionalProperties")?,
            (_, Some(name)) => node.get_mut("properties")?.get_mut(name)?.get_mut("items")?,
            (name, None) => table_form(node.get_mut("properties")?.get_mut(name)?)?,
        };
    }
    Some(node)
}

/// The table, where a word could stand too.
fn table_form(node: &mut Value) -> Option<&mut Value> {
    if node.get("anyOf").is_none() {
        return Some(node);
    }
    node.get_mut("anyOf")?.as_array_mut()?.iter_mut().find(|form| form["type"] == "object")
}

fn find_mut<'s>(schema: &'s mut Value, table: &str, name: &str) -> Option<&'s mut Value> {
    table_node(schema, table)?.get_mut("properties")?.get_mut(name)
}

/// Adds to a key's node what its reader knows.
fn complete(node: &mut Value, key: &Key) {
    for takes in &key.takes {
        let form = match takes {
            Takes::Table => table_form(node),
            _ => word_form(node),
        };
        if let Some(form) = form.and_then(Value::as_object_mut) {
            form.extend(constraints(takes));
        }
    }
    let fixed = key.fallback.as_ref().filter(|default| default.source == FallbackSource::Fixed);
    if let (Some(default), Some(members)) = (fixed, node.as_object_mut())
        && !members.contains_key("x-default")
        && !members.contains_key("x-required")
    {
        members.insert("default".to_owned(), default.value.clone());
    }
}

fn word_form(node: &mut Value) -> Option<&mut Value> {
    if node.get("anyOf").is_none() {
        return Some(node);
    }
    node.get_mut("anyOf")?.as_array_mut()?.iter_mut().find(|form| form["type"] != "object")
}

/// What a value has to be beyond its type.
fn constraints(takes: &Takes) -> Map<String, Value> {
    let constraints = match takes {
        Takes::Text | Takes::Path => json!({ "minLength": 1 }),
        Takes::Integer(range) => json!({ "minimum": range.start(), "maximum": range.end() }),
        Takes::Duration(range) | Takes::DurationOrOff(range) => {
            let (least, most) = (range.start().as_secs_f64().ceil(), range.end().as_secs());
            let off = if matches!(takes, Takes::DurationOrOff(_)) { "^off$|" } else { "" };
            let pattern = format!("{off}{DURATION_PATTERN}");
            // A number is one of seconds.
            json!({ "pattern": pattern, "minimum": least, "maximum": most })
        }
        Takes::Size(range) => {
            json!({ "pattern": SIZE_PATTERN, "minimum": range.start(), "maximum": range.end() })
        }
        Takes::SizeOrUnlimited => {
            json!({ "pattern": format!("^unlimited$|{SIZE_PATTERN}"), "minimum": 0 })
        }
        Takes::Choice(words) => json!({ "enum": words }),
        Takes::BooleanOr(words) => {
            let words = words.iter().map(|word| Value::from(word.as_str()));
            let all: Vec<Value> = [true, false].map(Value::Bool).into_iter().chain(words).collect();
            json!({ "enum": all })
        }
        Takes::Words(words) => json!({ "items": { "type": "string", "enum": words } }),
        Takes::Boolean | Takes::Texts | Takes::Table | Takes::Tables | Takes::NamedTables => {
            json!({})
        }
    };
    constraints.as_object().cloned().unwrap_or_default()
}

/// Puts what the structs say in words of their own into the form of JSON Schema.
fn finish(node: &mut Value) {
    let Value::Object(members) = node else { return };
    // Of the structs every member is one that has to be there.
    members.remove("required");
    // That a number fits into a machine's word says nothing.
    members.remove("format");
    let default = members.remove("x-default");
    if let Some(Value::String(description)) = members.get_mut("description") {
        let default = default.as_ref().and_then(Value::as_str);
        let default = default.map(|said| format!(" Default: {said}."));
        let whole = format!("{description}{}", default.unwrap_or_default());
        *description = without_links(&on_one_line(&whole));
    }
    if let Some(Value::Object(keys)) = members.get_mut("properties") {
        let mut required = Vec::new();
        for (name, key) in keys {
            let wanted = key.as_object_mut().and_then(|key| key.remove("x-required"));
            required.extend(wanted.map(|_| Value::from(name.as_str())));
            finish(key);
        }
        if !required.is_empty() {
            members.insert("required".to_owned(), Value::from(required));
        }
    }
    for inner in ["items", "additionalProperties"] {
        members.get_mut(inner).into_iter().for_each(finish);
    }
    let forms = members.get_mut("anyOf").and_then(Value::as_array_mut);
    forms.into_iter().flatten().for_each(finish);
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `[text](#section)` leads nowhere outside of CONFIG.md.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("](#") {
        let Some((lead, words)) = before.rsplit_once('[') else { break };
        let Some((_, after)) = link.split_once(')') else { break };
        plain.push_str(lead);
        plain.push_str(words);
        rest = after;
    }
    plain + rest
}

#[cfg(test)]
mod tests;
