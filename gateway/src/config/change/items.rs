//! Which route, listener and upstream of one configuration is which of another.

use std::collections::{HashMap, HashSet};

use crate::config::record::{Setting, Step, pattern};

use super::side::{Comparable, Side};

/// A table of which there can be several, whichever place it has among them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Item {
    /// `route`, `listener` or `upstream`.
    pub list: String,
    /// The id of a route, the address of a listener, the name of an upstream.
    pub label: String,
    /// Tells apart what has the same label: routes for different methods of one path.
    ordinal: usize,
}

/// The items of one configuration by their tables.
pub(super) type Items<'a> = HashMap<&'a Step, Item>;

/// The step to the item that a setting belongs to; all items stand at the root.
pub(super) fn item_step(setting: &Setting) -> Option<&Step> {
    setting.table.first().filter(|step| !matches!(step, Step::Table(_)))
}

/// The items of both. Of those with the same label, equal ones are the same, then the first
/// that are left.
pub(super) fn pair<'o, 'n>(old: &Side<'o>, new: &Side<'n>) -> (Items<'o>, Items<'n>) {
    let (before, after) = (labelled(old), labelled(new));
    let mut alike: HashMap<(&str, &str), Vec<&Labelled<'_>>> = HashMap::new();
    let mut of_new = Items::new();
    for labelled in &after {
        let known = alike.entry(labelled.key()).or_default();
        of_new.insert(labelled.step, labelled.item(known.len()));
        known.push(labelled);
    }
    let none = Vec::new();
    let mut taken: HashSet<Item> = HashSet::new();
    let mut of_old = Items::new();
    let is_free = |taken: &HashSet<Item>, item: &Item| !taken.contains(item);
    for labelled in &before {
        let candidates = alike.get(&labelled.key()).unwrap_or(&none).iter().enumerate();
        let equal = candidates.filter(|(_, other)| other.content == labelled.content);
        let equal = equal.map(|(ordinal, _)| labelled.item(ordinal)).find(|it| is_free(&taken, it));
        if let Some(item) = equal {
            taken.insert(item.clone());
            of_old.insert(labelled.step, item);
        }
    }
    for labelled in &before {
        if !of_old.contains_key(labelled.step) {
            let ordinals = 0..=before.len() + after.len();
            let free =
                ordinals.map(|ordinal| labelled.item(ordinal)).find(|it| is_free(&taken, it));
            if let Some(item) = free {
                taken.insert(item.clone());
                of_old.insert(labelled.step, item);
            }
        }
    }
    (of_old, of_new)
}

struct Labelled<'a> {
    step: &'a Step,
    label: String,
    content: Vec<(String, &'static str, Comparable)>,
}

impl Labelled<'_> {
    fn key(&self) -> (&str, &str) {
        (self.step.name(), &self.label)
    }

    fn item(&self, ordinal: usize) -> Item {
        Item { list: self.step.name().to_owned(), label: self.label.clone(), ordinal }
    }
}

/// In their order.
fn labelled<'a>(side: &Side<'a>) -> Vec<Labelled<'a>> {
    let mut places: HashMap<&Step, usize> = HashMap::new();
    let mut all: Vec<Labelled<'a>> = Vec::new();
    for setting in side.set() {
        let Some(step) = item_step(setting) else { continue };
        let place = *places.entry(step).or_insert_with(|| {
            all.push(Labelled { step, label: label(side, step), content: Vec::new() });
            all.len() - 1
        });
        let content = (pattern(&setting.table), setting.name, Comparable::of(setting));
        all[place].content.push(content);
    }
    all
}

fn label(side: &Side<'_>, step: &Step) -> String {
    let config = side.config;
    match step {
        Step::Named(_, given) => given.clone(),
        Step::Item(list, place) => {
            let label = match list.as_str() {
                "route" => config.routes.get(*place).map(|route| route.id.clone()),
                "listener" => config.listeners.get(*place).map(|it| it.address.to_string()),
                _ => None,
            };
            label.unwrap_or_else(|| place.to_string())
        }
        Step::Table(name) => name.clone(),
    }
}
