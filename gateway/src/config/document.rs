//! Reading a TOML document key by key, with every mistake noted at its place
//! and the environment laid over it.
//!
//! Each reader names the key it wants, what it expects there and what holds when
//! nothing is written; [`Section::finish`] then reports the keys nobody asked
//! for. `PORTCULLIS_LIMITS__BURST` overrides `limits.burst`.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Origin;
use super::reader::{ENV_PREFIX, Located, Reader};
use super::units::{DURATION_FORMS, parse_duration, parse_size};
use super::warning::Kind;

/// One table of the document, or the absence of it.
pub struct Section<'d> {
    reader: Reader,
    table: Option<&'d DeTable<'d>>,
    origin: Origin,
    path: String,
    /// Whether environment variables can name this table: not one of a list.
    overridable: bool,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Section<'d> {
    #[must_use]
    pub fn root(reader: &Reader, table: &'d DeTable<'d>) -> Self {
        Self::new(reader, Some(table), Origin::Absent, String::new(), true)
    }

    fn new(
        reader: &Reader,
        table: Option<&'d DeTable<'d>>,
        origin: Origin,
        path: String,
        overridable: bool,
    ) -> Self {
        let asked = RefCell::default();
        Self { reader: reader.clone(), table, origin, path, overridable, asked }
    }

    #[must_use]
    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Where the table begins.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }

    #[must_use]
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether something stands under the key, readable or not.
    #[must_use]
    pub fn is_written(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// Whether a text stands under the key.
    #[must_use]
    pub fn is_text(&self, name: &str) -> bool {
        let written = self.table.and_then(|table| table.get(name));
        written.is_some_and(|value| value.get_ref().as_str().is_some())
    }

    /// Whether the file or a variable gives the key.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given_at(name) != Origin::Absent
    }

    /// Where the key's value comes from; [`Origin::Absent`] when it is given nowhere.
    #[must_use]
    pub fn given_at(&self, name: &str) -> Origin {
        match (self.variable(name), self.table.and_then(|table| table.get(name))) {
            (Some(variable), _) => variable.origin,
            (None, Some(written)) => Origin::File(written.span()),
            (None, None) => Origin::Absent,
        }
    }

    pub fn note(&self, origin: Origin, name: &str, message: impl Display, help: Option<String>) {
        self.reader.note(origin, &self.key(name), message, help);
    }

    pub fn note_secret_file(&self, path: &Located<PathBuf>, name: &str) {
        self.reader.note_secret_file(path, &self.key(name));
    }

    pub fn warn(&self, kind: Kind, origin: Origin, name: &str, message: impl Display) {
        self.reader.warn(kind, origin, &self.key(name), message);
    }

    fn raw(&self, name: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.borrow_mut().push(name);
        self.table?.get(name)
    }

    fn variable(&self, name: &str) -> Option<Located<String>> {
        if !self.overridable {
            return None;
        }
        let name = self.key(name).to_ascii_uppercase().replace('.', "__");
        self.reader.variable(&format!("{ENV_PREFIX}{name}"))
    }

    /// A value in text form, from the environment or the file.
    fn scalar<T>(
        &self,
        name: &'static str,
        expected: &str,
        from_file: impl Fn(&DeValue<'_>) -> Option<T>,
        from_text: impl Fn(&str) -> Option<T>,
    ) -> Option<Located<T>> {
        let written = self.raw(name);
        let wrong = |origin: Origin, found: String| {
            self.note(origin, name, format!("expected {expected}, found {found}"), None);
            None
        };
        if let Some(variable) = self.variable(name) {
            let origin = variable.origin.clone();
            return match from_text(variable.value.trim()) {
                Some(value) => Some(Located { value, origin }),
                None => wrong(origin, "something else".to_owned()),
            };
        }
        let written = written?;
        let origin = Origin::File(written.span());
        match from_file(written.get_ref()) {
            Some(value) => Some(Located { value, origin }),
            None => wrong(origin, describe(written.get_ref())),
        }
    }

    #[must_use]
    pub fn text(&self, name: &'static str, expected: &str) -> Option<Located<String>> {
        let nonempty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.scalar(name, expected, |value| value.as_str().and_then(nonempty), nonempty)
    }

    /// A path. A relative one of the file begins where the file lies, one of the environment
    /// in the working directory.
    #[must_use]
    pub fn path(&self, name: &'static str, expected: &str) -> Option<Located<PathBuf>> {
        self.text(name, expected).map(|found| self.reader.locate(found))
    }

    #[must_use]
    pub fn missing_file_help(&self, path: &Located<PathBuf>) -> Option<String> {
        self.reader.missing_file_help(path)
    }

    #[must_use]
    pub fn boolean(&self, name: &'static str, default: bool) -> bool {
        let from_file = |value: &DeValue<'_>| match value {
            DeValue::Boolean(truth) => Some(*truth),
            _ => None,
        };
        self.scalar(name, "true or false", from_file, |text| text.parse().ok())
            .map_or(default, |found| found.value)
    }

    #[must_use]
    pub fn integer(&self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.integer_because(name, default, range, "")
    }

    /// Tells also why no other number will do.
    #[must_use]
    pub fn integer_because(
        &self,
        name: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
        why: &str,
    ) -> u64 {
        let mut expected = format!("a whole number from {} to {}", range.start(), range.end());
        if !why.is_empty() {
            expected = format!("{expected} ({why})");
        }
        let in_range = |number: u64| range.contains(&number).then_some(number);
        let from_file = |value: &DeValue<'_>| {
            let integer = value.as_integer()?;
            u64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix())
                .ok()
                .and_then(in_range)
        };
        self.scalar(name, &expected, from_file, |text| text.parse().ok().and_then(in_range))
            .map_or(default, |found| found.value)
    }

    #[must_use]
    pub fn duration(
        &self,
        name: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let expected = format!(
            "a duration like {DURATION_FORMS}, from {:?} to {:?}",
            range.start(),
            range.end()
        );
        let parse = |text: &str| parse_duration(text).filter(|length| range.contains(length));
        self.scalar(name, &expected, |value| in_text(value).and_then(|text| parse(&text)), parse)
            .map_or(default, |found| found.value)
    }

    /// A duration; `"off"` is `None`.
    #[must_use]
    pub fn or_off(
        &self,
        name: &'static str,
        default: Option<Duration>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (least, most) = (range.start(), range.end());
        let expected =
            format!("a duration like {DURATION_FORMS}, from {least:?} to {most:?}, or \"off\"");
        let parse = |text: &str| match text {
            "off" => Some(None),
            _ => parse_duration(text).filter(|length| range.contains(length)).map(Some),
        };
        self.scalar(name, &expected, |value| in_text(value).and_then(|text| parse(&text)), parse)
            .map_or(default, |found| found.value)
    }

    /// A number of bytes; `"unlimited"` is `None`.
    #[must_use]
    pub fn size(&self, name: &'static str, default: Option<u64>) -> Option<u64> {
        let parse = |text: &str| {
            if text == "unlimited" { Some(None) } else { parse_size(text).map(Some) }
        };
        let expected = "a size like \"64KiB\", \"10MiB\" or \"unlimited\"";
        self.scalar(name, expected, |value| in_text(value).and_then(|text| parse(&text)), parse)
            .map_or(default, |found| found.value)
    }

    /// One of a few words.
    #[must_use]
    pub fn choice<T: Copy>(&self, name: &'static str, words: &[(&str, T)], default: T) -> T {
        let listed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of {}", quoted(&listed));
        let Some(found) = self.text(name, &expected) else {
            return default;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == found.value) {
            return *value;
        }
        let message = format!("expected {expected}, found {:?}", found.value);
        self.note(found.origin, name, message, nearest(&found.value, listed.into_iter()));
        default
    }

    /// `true`, `false`, or one of a few words.
    #[must_use]
    pub fn boolean_or<T: Copy>(
        &self,
        name: &'static str,
        (on, off): (T, T),
        words: &[(&str, T)],
    ) -> T {
        let listed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let expected = format!("true, false or {}", quoted(&listed));
        let parse = |text: &str| match text {
            "true" => Some(on),
            "false" => Some(off),
            _ => words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value),
        };
        let from_file = |value: &DeValue<'_>| match value {
            DeValue::Boolean(truth) => Some(if *truth { on } else { off }),
            // Booleans are no text here: "true" is a mistake.
            _ => value.as_str().filter(|text| listed.contains(text)).and_then(parse),
        };
        self.scalar(name, &expected, from_file, parse).map_or(off, |found| found.value)
    }

    /// A list of texts; in the environment separated by commas.
    #[must_use]
    pub fn texts(&self, name: &'static str, expected: &str) -> Vec<Located<String>> {
        let written = self.raw(name);
        if let Some(variable) = self.variable(name) {
            let parts = variable.value.split(',').map(str::trim).filter(|part| !part.is_empty());
            return parts
                .map(|part| Located { value: part.to_owned(), origin: variable.origin.clone() })
                .collect();
        }
        let Some(written) = written else {
            return Vec::new();
        };
        let Some(items) = written.get_ref().as_array() else {
            let found = describe(written.get_ref());
            let message = format!("expected a list of {expected}, found {found}");
            self.note(Origin::File(written.span()), name, message, None);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            let origin = Origin::File(item.span());
            match item.get_ref().as_str() {
                Some(text) => texts.push(Located { value: text.to_owned(), origin }),
                None => {
                    let found = describe(item.get_ref());
                    self.note(origin, name, format!("expected {expected}, found {found}"), None);
                }
            }
        }
        texts
    }

    /// A table inside this one; reads as empty when it is not written.
    #[must_use]
    pub fn section(&self, name: &'static str) -> Section<'d> {
        let written = self.raw(name);
        let origin = written.map_or(Origin::Absent, |value| Origin::File(value.span()));
        let table = written.and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                let found = describe(value.get_ref());
                let message = format!("expected a table, found {found}");
                self.note(
                    origin.clone(),
                    name,
                    message,
                    Some(format!("write [{}]", self.key(name))),
                );
            }
            table
        });
        Section::new(&self.reader, table, origin, self.key(name), self.overridable)
    }

    /// The tables of `[[name]]`.
    #[must_use]
    pub fn sections(&self, name: &'static str) -> Vec<Section<'d>> {
        let Some(written) = self.raw(name) else {
            return Vec::new();
        };
        let path = self.key(name);
        let wrong = |value: &Spanned<DeValue<'_>>| {
            let message = format!("expected a list of tables, found {}", describe(value.get_ref()));
            let help = Some(format!("write [[{path}]]"));
            self.note(Origin::File(value.span()), name, message, help);
        };
        let Some(items) = written.get_ref().as_array() else {
            wrong(written);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(table) => {
                    let origin = Origin::File(item.span());
                    let path = path.clone();
                    sections.push(Section::new(&self.reader, Some(table), origin, path, false));
                }
                None => wrong(item),
            }
        }
        sections
    }

    /// The tables of `[name.*]`, each with the name it was given.
    #[must_use]
    pub fn named_sections(&self, name: &'static str) -> Vec<(Located<String>, Section<'d>)> {
        let parent = self.section(name);
        let Some(table) = parent.table else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (key, value) in table {
            let given =
                Located { value: key.get_ref().to_string(), origin: Origin::File(key.span()) };
            let path = parent.key(&given.value);
            match value.get_ref().as_table() {
                Some(inner) => {
                    let origin = Origin::File(key.span());
                    let inner = Section::new(&self.reader, Some(inner), origin, path, true);
                    sections.push((given, inner));
                }
                None => self.reader.note(
                    Origin::File(value.span()),
                    &path,
                    format!("expected a table, found {}", describe(value.get_ref())),
                    Some(format!("write [{path}]")),
                ),
            }
        }
        sections
    }

    /// Reports the keys that no reader asked for.
    pub fn finish(self) {
        let Some(table) = self.table else {
            return;
        };
        let asked = self.asked.borrow();
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !asked.contains(&name) {
                let help = nearest(name, asked.iter().copied())
                    .or_else(|| Some(format!("the keys here are {}", quoted(&asked))));
                self.note(Origin::File(key.span()), name, "unknown key", help);
            }
        }
    }
}

/// A number or a text, as text.
fn in_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn describe(value: &DeValue<'_>) -> String {
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

/// `did you mean …`, when something is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
