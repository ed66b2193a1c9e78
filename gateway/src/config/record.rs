//! What readers ask for: each key with what it takes, its default, and what was found.
//! The schema and `config print` stand on this, so there is no other list of keys.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use crate::auth::secret::Secret;

use super::problem::Origin;
use super::units::{show_duration, show_size};

/// What can stand under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    Text,
    /// A relative one begins in the directory of the configuration file.
    Path,
    Boolean,
    Integer(RangeInclusive<u64>),
    Duration(RangeInclusive<Duration>),
    /// A duration or `"off"`.
    DurationOrOff(RangeInclusive<Duration>),
    /// A number of bytes.
    Size(RangeInclusive<u64>),
    /// A number of bytes or `"unlimited"`.
    SizeOrUnlimited,
    Choice(Vec<String>),
    BooleanOr(Vec<String>),
    Texts,
    /// Any of these words.
    Words(Vec<String>),
    Table,
    /// `[[name]]`.
    Tables,
    /// `[name.*]`.
    NamedTables,
}

impl Takes {
    /// What a text of the environment stands for; it has been read already.
    pub(super) fn value_of(&self, text: &str) -> Value {
        match (self, text) {
            (Takes::Boolean | Takes::BooleanOr(_), "true") => Value::Bool(true),
            (Takes::Boolean | Takes::BooleanOr(_), "false") => Value::Bool(false),
            (Takes::Integer(_), text) => text.parse::<u64>().map_or(Value::Null, Value::from),
            _ => Value::from(text),
        }
    }

    /// A value that is taken, as text, where any will do.
    pub(super) fn example(&self) -> Option<String> {
        match self {
            Takes::Boolean | Takes::BooleanOr(_) => Some("true".to_owned()),
            Takes::Integer(range) => Some(10.clamp(*range.start(), *range.end()).to_string()),
            Takes::Duration(range) | Takes::DurationOrOff(range) => {
                let usual = Duration::from_secs(30);
                Some(show_duration(usual.clamp(*range.start(), *range.end())))
            }
            Takes::Size(range) => Some(show_size((64 << 10).clamp(*range.start(), *range.end()))),
            Takes::SizeOrUnlimited => Some("10MiB".to_owned()),
            Takes::Choice(words) | Takes::Words(words) => words.first().cloned(),
            Takes::Text
            | Takes::Path
            | Takes::Texts
            | Takes::Table
            | Takes::Tables
            | Takes::NamedTables => None,
        }
    }

    /// A text as a value of the file.
    pub(super) fn in_file(&self, text: &str) -> String {
        match self {
            Takes::Boolean | Takes::BooleanOr(_) | Takes::Integer(_) => text.to_owned(),
            _ => format!("\"{text}\""),
        }
    }
}

/// For people: the values that are taken.
impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |words: &[String]| {
            words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
        };
        match self {
            Takes::Text => f.write_str("text"),
            Takes::Path => f.write_str("path"),
            Takes::Boolean => f.write_str("boolean"),
            Takes::Integer(range) => write!(f, "{} to {}", range.start(), range.end()),
            Takes::Duration(range) => between(f, range),
            Takes::DurationOrOff(range) => {
                between(f, range)?;
                f.write_str(", \"off\"")
            }
            Takes::Size(range) => {
                write!(f, "size, {} to {}", show_size(*range.start()), show_size(*range.end()))
            }
            Takes::SizeOrUnlimited => f.write_str("size, \"unlimited\""),
            Takes::Choice(listed) => f.write_str(&words(listed)),
            Takes::BooleanOr(listed) => write!(f, "boolean, {}", words(listed)),
            Takes::Texts => f.write_str("list"),
            Takes::Words(listed) => write!(f, "list of {}", words(listed)),
            Takes::Table | Takes::NamedTables => f.write_str("table"),
            Takes::Tables => f.write_str("list of tables"),
        }
    }
}

fn between(f: &mut fmt::Formatter<'_>, range: &RangeInclusive<Duration>) -> fmt::Result {
    write!(f, "duration, {} to {}", show_duration(*range.start()), show_duration(*range.end()))
}

/// A step from the root of the document to a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    Table(String),
    /// One of the tables of `[[name]]`.
    Item(String, usize),
    /// One of the tables of `[name.*]`.
    Named(String, String),
}

impl Step {
    /// The key under which the table lies, and what tells it apart from others there.
    pub fn name(&self) -> &str {
        let (Step::Table(name) | Step::Item(name, _) | Step::Named(name, _)) = self;
        name
    }
}

/// A table without what tells it apart from others of its kind: `route[].cors`,
/// `upstream.*`; empty for the root.
#[must_use]
pub fn pattern(table: &[Step]) -> String {
    let steps = table.iter().map(|step| match step {
        Step::Table(name) => name.clone(),
        Step::Item(name, _) => format!("{name}[]"),
        Step::Named(name, _) => format!("{name}.*"),
    });
    steps.collect::<Vec<_>>().join(".")
}

/// What holds where nothing is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Fallback {
    pub value: Value,
    pub source: FallbackSource,
    pub when_written: WhenWritten,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FallbackSource {
    /// The same everywhere.
    Fixed,
    /// It follows from the machine, the directory or other settings.
    Computed,
    /// A variable that is not the key's own.
    Variable(String),
}

/// Whether a default that is written down means what it means unwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenWritten {
    Same,
    /// That the key is there says something by itself.
    Differs,
}

/// A key that some reader has asked for.
#[derive(Debug, Clone)]
pub struct Setting {
    pub table: Vec<Step>,
    pub name: &'static str,
    pub takes: Takes,
    pub fallback: Option<Fallback>,
    pub found: Option<(Value, Origin)>,
}

/// A secret of the environment, or of a file.
#[derive(Debug, Clone)]
pub struct GivenSecret {
    pub name: String,
    /// To compare it with another; shown to nobody.
    pub text: Secret,
    pub origin: Origin,
}

/// In the order in which they were asked for.
#[derive(Debug, Default, Clone)]
pub struct Settings {
    pub keys: Vec<Setting>,
    pub secrets: Vec<GivenSecret>,
    places: HashMap<(Vec<Step>, &'static str), usize>,
    /// Keys and tables of which somebody has asked whether they are there.
    noticed: HashSet<(Vec<Step>, String)>,
}

impl Settings {
    /// A key is asked for; once more only if it is read in a second form.
    pub(super) fn ask(&mut self, table: &[Step], name: &'static str, takes: Takes) {
        let place = (table.to_vec(), name);
        if let Some(index) = self.places.get(&place) {
            self.keys[*index].takes = takes;
            return;
        }
        self.places.insert(place, self.keys.len());
        let table = table.to_vec();
        self.keys.push(Setting { table, name, takes, fallback: None, found: None });
    }

    fn key(&mut self, table: &[Step], name: &'static str) -> Option<&mut Setting> {
        let index = self.places.get(&(table.to_vec(), name))?;
        self.keys.get_mut(*index)
    }

    pub(super) fn find(
        &mut self,
        table: &[Step],
        name: &'static str,
        value: Value,
        origin: Origin,
    ) {
        if let Some(key) = self.key(table, name) {
            key.found = Some((value, origin));
        }
    }

    pub(super) fn fall_back(&mut self, table: &[Step], name: &'static str, fallback: Fallback) {
        if let Some(key) = self.key(table, name) {
            key.fallback = Some(fallback);
        }
    }

    pub(super) fn notice(&mut self, table: &[Step], name: &str) {
        self.noticed.insert((table.to_vec(), name.to_owned()));
    }

    pub(super) fn note_secret(&mut self, name: &str, text: Secret, origin: Origin) {
        self.secrets.push(GivenSecret { name: name.to_owned(), text, origin });
    }

    /// Lays what an option says over a key, whatever was found.
    pub fn set_by_option(
        &mut self,
        (table, name): (&str, &'static str),
        value: &str,
        option: &'static str,
    ) {
        let table = [Step::Table(table.to_owned())];
        self.find(&table, name, Value::from(value), Origin::CommandLine(option));
    }

    /// Whether the key's default can be written down and means the same.
    #[must_use]
    pub fn is_default_writable(&self, key: &Setting) -> bool {
        let unnoticed = !self.noticed.contains(&(key.table.clone(), key.name.to_owned()));
        let same = key.fallback.as_ref().is_none_or(|f| f.when_written == WhenWritten::Same);
        unnoticed && same && !self.is_absence_noticed(&key.table)
    }

    /// Whether a table on the way there is not written, and that says something.
    fn is_absence_noticed(&self, table: &[Step]) -> bool {
        (1..=table.len()).any(|upto| {
            let (parent, last) = (&table[..upto - 1], &table[upto - 1]);
            matches!(last, Step::Table(_))
                && self.noticed.contains(&(parent.to_vec(), last.name().to_owned()))
                && !self.is_written(parent, last.name())
        })
    }

    /// Whether the file has this table.
    #[must_use]
    pub fn is_written(&self, parent: &[Step], name: &str) -> bool {
        let here = |key: &&Setting| key.table == parent && key.name == name;
        self.keys.iter().find(here).is_some_and(|key| key.found.is_some())
    }
}

pub(super) fn fixed(value: impl Into<Value>) -> Fallback {
    Fallback { value: value.into(), source: FallbackSource::Fixed, when_written: WhenWritten::Same }
}

pub(super) fn computed(value: impl Into<Value>) -> Fallback {
    Fallback { source: FallbackSource::Computed, ..fixed(value) }
}

/// A default that is one only while nothing is written.
pub(super) fn unwritten(fallback: Fallback) -> Fallback {
    Fallback { when_written: WhenWritten::Differs, ..fallback }
}

pub(super) fn no_items() -> Fallback {
    fixed(json!([]))
}
