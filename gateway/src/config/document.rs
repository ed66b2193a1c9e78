//! Reading a TOML document key by key, with every mistake noted at its place
//! and the environment laid over it.
//!
//! Each reader names the key it wants, what it expects there and what holds when
//! nothing is written, all of which is recorded; [`Section::finish`] then reports the
//! keys nobody asked for. `PORTCULLIS_LIMITS__BURST` overrides `limits.burst`.

mod tables;

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Origin;
use super::reader::{ENV_PREFIX, Located, NamedFile, Reader};
use super::record::{Fallback, Step, Takes, fixed};
use super::units::{DURATION_FORMS, parse_duration, parse_size, show_duration, show_size};
use super::unknown::{self, UNKNOWN_KEY};
use super::value::{
    describe, in_text, nearest, other_type, owned, plain, quoted, shorten, show_path,
};
use super::warning::Kind;

/// Unknown keys that are told of.
const MANY: usize = 50;

/// One table of the document, or the absence of it.
pub struct Section<'d> {
    reader: Reader,
    table: Option<&'d DeTable<'d>>,
    origin: Origin,
    path: String,
    /// The path, with which of a list it is.
    place: Vec<Step>,
    /// Whether environment variables can name this table: not one of a list.
    overridable: bool,
    /// A key that an option gives.
    option: Option<(&'static str, Located<String>)>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Section<'d> {
    #[must_use]
    pub fn root(reader: &Reader, table: &'d DeTable<'d>) -> Self {
        Self {
            reader: reader.clone(),
            table: Some(table),
            origin: Origin::Absent,
            path: String::new(),
            place: Vec::new(),
            overridable: true,
            option: None,
            asked: RefCell::default(),
        }
    }

    fn inner(
        &self,
        table: Option<&'d DeTable<'d>>,
        origin: Origin,
        path: String,
        step: Step,
    ) -> Section<'d> {
        let overridable = self.overridable && !matches!(step, Step::Item(..));
        let place = self.place.iter().cloned().chain([step]).collect();
        let reader = self.reader.clone();
        let (option, asked) = (None, RefCell::default());
        Section { reader, table, origin, path, place, overridable, option, asked }
    }

    /// The one table of `[[name]]` where the file's count for nothing, with what an option
    /// or a variable gives.
    #[must_use]
    pub fn stand_in(
        &self,
        name: &'static str,
        option: Option<(&'static str, Located<String>)>,
    ) -> Section<'d> {
        let step = Step::Item(name.to_owned(), 0);
        Section { option, ..self.inner(None, Origin::Absent, self.key(name), step) }
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
        if let Some((last, parent)) = self.place.split_last() {
            self.reader.settings().notice(parent, last.name());
        }
        self.table.is_some()
    }

    /// Whether something stands under the key, readable or not.
    #[must_use]
    pub fn is_written(&self, name: &str) -> bool {
        if self.option.as_ref().is_some_and(|(key, _)| *key == name) {
            return true;
        }
        self.reader.settings().notice(&self.place, name);
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// Whether a list without items stands under the key.
    #[must_use]
    pub fn is_empty_list(&self, name: &str) -> bool {
        let written = self.table.and_then(|table| table.get(name));
        written.and_then(|value| value.get_ref().as_array()).is_some_and(|items| items.is_empty())
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
        self.reader.settings().notice(&self.place, name);
        match (self.variable(name), self.table.and_then(|table| table.get(name))) {
            (Some(variable), _) => variable.origin,
            (None, Some(written)) => Origin::File(written.span()),
            (None, None) => Origin::Absent,
        }
    }

    pub fn note(&self, origin: Origin, name: &str, message: impl Display, help: impl Into<String>) {
        let by_option = self.option.as_ref().is_some_and(|(key, _)| *key == name);
        let key = if by_option { String::new() } else { self.key(name) };
        self.reader.note(origin, &key, message, help);
    }

    /// Records what holds if nothing is written under the key.
    pub fn falls_back(&self, name: &'static str, fallback: Fallback) {
        self.reader.settings().fall_back(&self.place, name, fallback);
    }

    /// Records what a key takes that is read as something more general.
    pub fn recorded_as(&self, name: &'static str, takes: Takes) {
        self.reader.settings().ask(&self.place, name, takes);
    }

    /// Records what a key is set to.
    pub fn is_found(&self, name: &'static str, value: impl Into<Value>, origin: Origin) {
        self.reader.settings().find(&self.place, name, value.into(), origin);
    }

    pub fn warn(&self, kind: Kind, origin: Origin, name: &str, message: impl Display) {
        self.reader.warn(kind, origin, &self.key(name), message);
    }

    fn raw(&self, name: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.borrow_mut().push(name);
        self.table?.get(name)
    }

    fn variable(&self, name: &str) -> Option<Located<String>> {
        if let Some((_, given)) = self.option.as_ref().filter(|(key, _)| *key == name) {
            return Some(given.clone());
        }
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
        takes: &Takes,
        expected: &str,
        from_file: impl Fn(&DeValue<'_>) -> Option<T>,
        from_text: impl Fn(&str) -> Option<T>,
    ) -> Option<Located<T>> {
        let written = self.raw(name);
        self.recorded_as(name, takes.clone());
        let wrong = |origin: Origin, found: String, help: String| {
            self.note(origin, name, format!("expected {expected}, found {found}"), help);
            None
        };
        if let Some(variable) = self.variable(name) {
            let (text, origin) = (variable.value.trim(), variable.origin.clone());
            return match from_text(text) {
                Some(value) => {
                    self.is_found(name, takes.value_of(text), origin.clone());
                    Some(Located { value, origin })
                }
                None if text.is_empty() => {
                    let help = "give it a value, or unset it".to_owned();
                    wrong(origin, "nothing".to_owned(), help)
                }
                None => {
                    let example = takes.example().unwrap_or_else(|| "…".to_owned());
                    let help = match &origin {
                        Origin::Environment(name) => format!("write a value like {name}={example}"),
                        _ => format!("write a value like {example}"),
                    };
                    wrong(origin, shorten(text), help)
                }
            };
        }
        let written = written?;
        let origin = Origin::File(written.span());
        match from_file(written.get_ref()) {
            Some(value) => {
                self.is_found(name, plain(written.get_ref()), origin.clone());
                Some(Located { value, origin })
            }
            None => {
                let is_choice = |text: &str| match takes {
                    Takes::Choice(words) => words.iter().any(|word| word == text),
                    _ => true,
                };
                let fitting = |text: &str| from_text(text).filter(|_| is_choice(text));
                let help = other_type(name, written.get_ref(), fitting);
                let help = help.unwrap_or_else(|| match takes.example() {
                    Some(example) => {
                        format!("write a value like {name} = {}", takes.in_file(&example))
                    }
                    None => format!("write {name} = \"…\""),
                });
                wrong(origin, describe(written.get_ref()), help)
            }
        }
    }

    #[must_use]
    pub fn text(&self, name: &'static str, expected: &str) -> Option<Located<String>> {
        let nonempty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let from_file = |value: &DeValue<'_>| value.as_str().and_then(nonempty);
        self.scalar(name, &Takes::Text, expected, from_file, nonempty)
    }

    /// A text that has a default.
    #[must_use]
    pub fn text_or(&self, name: &'static str, expected: &str, default: &str) -> String {
        let found = self.text(name, expected);
        self.falls_back(name, fixed(default));
        found.map_or_else(|| default.to_owned(), |found| found.value)
    }

    /// A path. A relative one of the file begins where the file lies, one of the environment
    /// in the working directory.
    #[must_use]
    pub fn path(&self, name: &'static str, expected: &str) -> Option<Located<PathBuf>> {
        let found = self.text(name, expected);
        let found = found.map(|found| self.reader.locate(&self.key(name), found));
        self.recorded_as(name, Takes::Path);
        if let Some(path) = &found {
            self.is_found(name, show_path(&path.value), path.origin.clone());
        }
        found
    }

    pub fn note_secret_file(&self, file: NamedFile) {
        self.reader.note_secret_file(file);
    }

    /// As [`Section::path`], of a file that holds a secret.
    #[must_use]
    pub fn named_file(&self, name: &'static str) -> Option<NamedFile> {
        let path = self.path(name, "the path of a file")?;
        Some(NamedFile { key: self.key(name), path })
    }

    /// Whether something is wrong with what stands at a place.
    #[must_use]
    pub fn is_noted(&self, origin: &Origin) -> bool {
        self.reader.is_noted(origin)
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
        let from_text = |text: &str| text.parse().ok();
        let found = self.scalar(name, &Takes::Boolean, "true or false", from_file, from_text);
        self.falls_back(name, fixed(default));
        found.map_or(default, |found| found.value)
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
        let from_text = |text: &str| text.parse().ok().and_then(in_range);
        let takes = Takes::Integer(range.clone());
        let found = self.scalar(name, &takes, &expected, from_file, from_text);
        self.falls_back(name, fixed(default));
        found.map_or(default, |found| found.value)
    }

    #[must_use]
    pub fn duration(
        &self,
        name: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        let expected = format!("a duration like {DURATION_FORMS}, from {least} to {most}");
        let parse = |text: &str| parse_duration(text).filter(|length| range.contains(length));
        let from_file = |value: &DeValue<'_>| in_text(value).and_then(|text| parse(&text));
        let takes = Takes::Duration(range.clone());
        let found = self.scalar(name, &takes, &expected, from_file, parse);
        self.falls_back(name, fixed(show_duration(default)));
        found.map_or(default, |found| found.value)
    }

    /// A duration; `"off"` is `None`.
    #[must_use]
    pub fn or_off(
        &self,
        name: &'static str,
        default: Option<Duration>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        let expected =
            format!("a duration like {DURATION_FORMS}, from {least} to {most}, or \"off\"");
        let parse = |text: &str| match text {
            "off" => Some(None),
            _ => parse_duration(text).filter(|length| range.contains(length)).map(Some),
        };
        let from_file = |value: &DeValue<'_>| in_text(value).and_then(|text| parse(&text));
        let takes = Takes::DurationOrOff(range.clone());
        let found = self.scalar(name, &takes, &expected, from_file, parse);
        self.falls_back(name, fixed(default.map_or_else(|| "off".to_owned(), show_duration)));
        found.map_or(default, |found| found.value)
    }

    /// A number of bytes within bounds.
    #[must_use]
    pub fn bytes(&self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let (least, most) = (show_size(*range.start()), show_size(*range.end()));
        let expected = format!("a size like \"64KiB\", from {least} to {most}");
        let parse = |text: &str| parse_size(text).filter(|size| range.contains(size));
        let from_file = |value: &DeValue<'_>| in_text(value).and_then(|text| parse(&text));
        let takes = Takes::Size(range.clone());
        let found = self.scalar(name, &takes, &expected, from_file, parse);
        self.falls_back(name, fixed(show_size(default)));
        found.map_or(default, |found| found.value)
    }

    /// A number of bytes; `"unlimited"` is `None`.
    #[must_use]
    pub fn size(&self, name: &'static str, default: Option<u64>) -> Option<u64> {
        let parse = |text: &str| {
            if text == "unlimited" { Some(None) } else { parse_size(text).map(Some) }
        };
        let expected = "a size like \"64KiB\", \"10MiB\" or \"unlimited\"";
        let from_file = |value: &DeValue<'_>| in_text(value).and_then(|text| parse(&text));
        let found = self.scalar(name, &Takes::SizeOrUnlimited, expected, from_file, parse);
        self.falls_back(name, fixed(default.map_or_else(|| "unlimited".to_owned(), show_size)));
        found.map_or(default, |found| found.value)
    }

    /// One of a few words.
    #[must_use]
    pub fn choice<T: Copy + PartialEq>(
        &self,
        name: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> T {
        let found = self.one_of(name, words);
        if let Some((word, _)) = words.iter().find(|(_, value)| *value == default) {
            self.falls_back(name, fixed(*word));
        }
        found.unwrap_or(default)
    }

    /// One of a few words, if there is a good one.
    #[must_use]
    pub fn one_of<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let listed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of {}", quoted(&listed));
        let nonempty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let from_file = |value: &DeValue<'_>| value.as_str().and_then(nonempty);
        let takes = Takes::Choice(owned(&listed));
        let found = self.scalar(name, &takes, &expected, from_file, nonempty)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == found.value) {
            return Some(*value);
        }
        let message = format!("expected {expected}, found {:?}", found.value);
        let first = listed.first().copied().unwrap_or_default();
        let help =
            nearest(&found.value, listed.into_iter()).unwrap_or_else(|| match &found.origin {
                Origin::Environment(variable) => format!("write a value like {variable}={first}"),
                _ => format!("write a value like {name} = \"{first}\""),
            });
        self.note(found.origin, name, message, help);
        None
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
        let takes = Takes::BooleanOr(owned(&listed));
        let found = self.scalar(name, &takes, &expected, from_file, parse);
        self.falls_back(name, fixed(false));
        found.map_or(off, |found| found.value)
    }

    /// A list of texts; in the environment separated by commas.
    #[must_use]
    pub fn texts(&self, name: &'static str, expected: &str) -> Vec<Located<String>> {
        let written = self.raw(name);
        self.recorded_as(name, Takes::Texts);
        if let Some(variable) = self.variable(name) {
            let parts = variable.value.split(',').map(str::trim).filter(|part| !part.is_empty());
            let listed: Vec<&str> = parts.clone().collect();
            self.is_found(name, listed, variable.origin.clone());
            return parts
                .map(|part| Located { value: part.to_owned(), origin: variable.origin.clone() })
                .collect();
        }
        let Some(written) = written else {
            return Vec::new();
        };
        let Some(items) = written.get_ref().as_array() else {
            let found = describe(written.get_ref());
            let message = format!("expected a list, each {expected}, found {found}");
            let text = written.get_ref().as_str().filter(|text| text.len() <= 60);
            let help = match text {
                Some(text) => format!("write {name} = [{text:?}]"),
                None => format!("write {name} = [\"…\"]"),
            };
            let origin = Origin::File(written.span());
            self.note(origin.clone(), name, message, help);
            // As if it were written so: what else is said is true of that as well.
            let meant = text.map(|text| Located { value: text.to_owned(), origin });
            return meant.into_iter().collect();
        };
        self.is_found(name, plain(written.get_ref()), Origin::File(written.span()));
        let mut texts = Vec::new();
        for item in items {
            let origin = Origin::File(item.span());
            match item.get_ref().as_str() {
                Some(text) => texts.push(Located { value: text.to_owned(), origin }),
                None => {
                    let found = describe(item.get_ref());
                    let help = match item.get_ref() {
                        DeValue::Table(_) | DeValue::Array(_) => {
                            "write texts, each in \"…\"".to_owned()
                        }
                        _ => format!("write \"{found}\""),
                    };
                    let message = format!("expected {expected}, found {found}");
                    self.note(origin, name, message, help);
                }
            }
        }
        texts
    }

    /// Some of a few words: as [`Self::texts`], and the reader compares them.
    #[must_use]
    pub fn words(
        &self,
        name: &'static str,
        expected: &str,
        words: &[&str],
    ) -> Vec<Located<String>> {
        let found = self.texts(name, expected);
        self.recorded_as(name, Takes::Words(owned(words)));
        found
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
                // A file of another kind has as many as it has lines.
                if self.reader.problems() >= MANY {
                    return;
                }
                let help = unknown::help(name, &asked);
                self.note(Origin::File(key.span()), name, UNKNOWN_KEY, help);
            }
        }
    }
}
