//! What changes from one configuration to another: each setting that differs, with both
//! values, its place, and whether it takes effect on a reload or on a restart.
//!
//! Compared are settings in force, defaults included, and secrets by their content; what
//! stands in other files that are named is not. Routes are told apart by their ids,
//! listeners by their addresses and upstreams by their names; their order is no difference.

mod effect;
mod items;
mod side;

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::effective::{HIDDEN, origin, place, value};
use super::record::{GivenSecret, Setting, pattern};

pub use effect::{TakesEffect, takes_effect};
use items::{Item, Items, item_step, pair};
use side::Comparable;
pub use side::Side;

/// A setting that differs, or a route, a listener or an upstream that only one side has.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// With its tables: `limits.burst`, `upstream.app.url`, `route.timeout`. Of a secret, the
    /// variable that can give it.
    pub key: String,
    /// The id of the route or the address of the listener.
    pub of: Option<String>,
    pub change: Change,
    pub takes_effect: TakesEffect,
    /// Where the new value stands, or else the old one: `config.toml:3:9`.
    pub place: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Added,
    Removed,
    /// `None` where nothing is set. Of a secret, stars.
    Value {
        old: Option<Value>,
        new: Option<Value>,
    },
}

/// What is different in `new`: settings in the order in which readers ask, then items that
/// only one side has, then secrets.
#[must_use]
pub fn compare(old: &Side<'_>, new: &Side<'_>) -> Vec<Difference> {
    let (of_old, of_new) = pair(old, new);
    let (before, after) = (entries(old, &of_old), entries(new, &of_new));
    let known: HashMap<_, _> = before.iter().map(|entry| (entry.identity(), entry)).collect();
    let present: HashSet<_> = after.iter().map(Entry::identity).collect();
    let (items_before, items_after) = (of_old.values().collect(), of_new.values().collect());
    let mut differences = Vec::new();
    for entry in after.iter().filter(|entry| entry.is_of(&items_before)) {
        match known.get(&entry.identity()).copied() {
            Some(former) if !former.differs_from(entry) => {}
            Some(former) => {
                let (old, new) = (Some(former.shown()), Some(entry.shown()));
                // A default has no place to look at.
                let at = if entry.is_written() { entry } else { former };
                differences
                    .push(Difference { place: at.place.clone(), ..entry.difference(old, new) });
            }
            None => differences.push(entry.difference(None, Some(entry.shown()))),
        }
    }
    for entry in before.iter().filter(|entry| entry.is_of(&items_after)) {
        if !present.contains(&entry.identity()) {
            differences.push(entry.difference(Some(entry.shown()), None));
        }
    }
    differences.extend(only_in(&after, &items_before, &Change::Added));
    differences.extend(only_in(&before, &items_after, &Change::Removed));
    differences.extend(secrets(old, new));
    differences
}

/// A setting that has a value.
struct Entry<'a> {
    /// Whose it is, if its table is one of several.
    item: Option<&'a Item>,
    /// The tables on the way to it, behind the item's own.
    tables: String,
    setting: &'a Setting,
    place: String,
}

fn entries<'a>(side: &Side<'a>, items: &'a Items<'_>) -> Vec<Entry<'a>> {
    let entry = |setting: &'a Setting| {
        let step = item_step(setting);
        Entry {
            item: step.and_then(|step| items.get(step)),
            tables: pattern(&setting.table[usize::from(step.is_some())..]),
            setting,
            place: origin(setting, side.file),
        }
    };
    side.set().map(entry).collect()
}

impl Entry<'_> {
    /// The same on both sides.
    fn identity(&self) -> (Option<&Item>, &str, &'static str) {
        (self.item, &self.tables, self.setting.name)
    }

    /// Whether it belongs to one of these, or to none at all.
    fn is_of(&self, items: &HashSet<&Item>) -> bool {
        self.item.is_none_or(|item| items.contains(item))
    }

    fn is_written(&self) -> bool {
        self.setting.found.is_some()
    }

    fn differs_from(&self, other: &Entry<'_>) -> bool {
        Comparable::of(self.setting) != Comparable::of(other.setting)
    }

    fn shown(&self) -> Value {
        value(self.setting).cloned().unwrap_or_default()
    }

    fn difference(&self, old: Option<Value>, new: Option<Value>) -> Difference {
        let (item, of) = self.item.map(key_of).unwrap_or_default();
        let steps = [item.as_str(), &self.tables, self.setting.name];
        let steps: Vec<&str> = steps.into_iter().filter(|step| !step.is_empty()).collect();
        // A test finds keys that are in no list.
        let effect = takes_effect(&pattern(&self.setting.table), self.setting.name);
        Difference {
            key: steps.join("."),
            of,
            change: Change::Value { old, new },
            takes_effect: effect.unwrap_or(TakesEffect::OnRestart),
            place: self.place.clone(),
        }
    }
}

/// An item as a key names it, and which of those under the key it is.
fn key_of(item: &Item) -> (String, Option<String>) {
    match item.list.as_str() {
        "upstream" => (format!("upstream.{}", item.label), None),
        list => (list.to_owned(), Some(item.label.clone())),
    }
}

/// Items that the other side does not have: each is one difference.
fn only_in(entries: &[Entry<'_>], others: &HashSet<&Item>, change: &Change) -> Vec<Difference> {
    let mut firsts: Vec<(&Item, &Entry<'_>)> = Vec::new();
    let mut places: HashMap<&Item, usize> = HashMap::new();
    for entry in entries.iter().filter(|entry| !entry.is_of(others)) {
        let Some(item) = entry.item else { continue };
        let place = *places.entry(item).or_insert_with(|| {
            firsts.push((item, entry));
            firsts.len() - 1
        });
        let first = &mut firsts[place].1;
        // One that is written has a place to look at.
        if !first.is_written() && entry.is_written() {
            *first = entry;
        }
    }
    let whole = |(item, first): (&Item, &Entry<'_>)| {
        let (key, of) = key_of(item);
        let takes_effect = takes_effect("", &item.list).unwrap_or(TakesEffect::OnRestart);
        let (change, place) = (change.clone(), first.place.clone());
        Difference { key, of, change, takes_effect, place }
    };
    firsts.into_iter().map(whole).collect()
}

/// Secrets are told by their names and starred. What is made of one stays as it is until a
/// restart, whoever uses it.
fn secrets(old: &Side<'_>, new: &Side<'_>) -> Vec<Difference> {
    let mut names: Vec<&str> = Vec::new();
    for given in new.settings.secrets.iter().chain(&old.settings.secrets) {
        if !names.contains(&given.name.as_str()) {
            names.push(&given.name);
        }
    }
    names.into_iter().filter_map(|name| secret(name, old, new)).collect()
}

fn secret(name: &str, old: &Side<'_>, new: &Side<'_>) -> Option<Difference> {
    let (former, present) = (given(old, name), given(new, name));
    if former.map(text) == present.map(text) {
        return None;
    }
    let stars = |given: Option<&GivenSecret>| given.map(|_| Value::from(HIDDEN));
    let place = match (present, former) {
        (Some(given), _) => place(&given.origin, new.file),
        (None, Some(given)) => place(&given.origin, old.file),
        (None, None) => return None,
    };
    Some(Difference {
        key: name.to_owned(),
        of: None,
        change: Change::Value { old: stars(former), new: stars(present) },
        takes_effect: TakesEffect::OnRestart,
        place,
    })
}

fn text(given: &GivenSecret) -> &str {
    given.text.expose()
}

fn given<'a>(side: &Side<'a>, name: &str) -> Option<&'a GivenSecret> {
    side.settings.secrets.iter().find(|given| given.name == name)
}

#[cfg(test)]
mod tests;
