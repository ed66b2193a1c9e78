//! The tables in a table: `[name]`, `[[name]]` and `[name.*]`.

use toml::Spanned;
use toml::de::DeValue;

use super::Section;
use crate::config::problem::Origin;
use crate::config::reader::Located;
use crate::config::record::{Step, Takes};
use crate::config::schema;
use crate::config::unknown::is_familiar;
use crate::config::value::{describe, kind_of};
use serde_json::Value;

impl<'d> Section<'d> {
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
                self.note(origin.clone(), name, message, self.table_help(name, value.get_ref()));
            }
            table
        });
        self.recorded_as(name, Takes::Table);
        if table.is_some() {
            self.is_found(name, Value::Null, origin.clone());
        }
        self.inner(table, origin, self.key(name), Step::Table(name.to_owned()))
    }

    /// What to write in place of a value where a table is: of a switch, the table's own.
    fn table_help(&self, name: &str, found: &DeValue<'_>) -> String {
        let table = self.key(name);
        let switch = format!("{table}.enabled");
        match found.as_bool() {
            Some(value) if schema::keys().iter().any(|key| key.path() == switch) => {
                format!("write {switch} = {value}")
            }
            _ => format!("write [{table}]"),
        }
    }

    /// The tables of `[[name]]`.
    #[must_use]
    pub fn sections(&self, name: &'static str) -> Vec<Section<'d>> {
        let written = self.raw(name);
        self.recorded_as(name, Takes::Tables);
        let Some(written) = written else {
            return Vec::new();
        };
        let path = self.key(name);
        let wrong = |value: &Spanned<DeValue<'_>>| {
            let message = format!("expected a list of tables, found {}", describe(value.get_ref()));
            let help = format!("write [[{path}]]");
            self.note(Origin::File(value.span()), name, message, help);
        };
        let Some(items) = written.get_ref().as_array() else {
            wrong(written);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.get_ref().as_table() {
                Some(table) => {
                    let origin = Origin::File(item.span());
                    let step = Step::Item(name.to_owned(), index);
                    sections.push(self.inner(Some(table), origin, path.clone(), step));
                }
                None => wrong(item),
            }
        }
        sections
    }

    /// The tables of `[name.*]`, each with the name it was given.
    #[must_use]
    pub fn named_sections(&self, name: &'static str) -> Vec<(Located<String>, Section<'d>)> {
        let written = self.raw(name);
        self.recorded_as(name, Takes::NamedTables);
        let Some(written) = written else {
            return Vec::new();
        };
        let path = self.key(name);
        let Some(table) = written.get_ref().as_table() else {
            let found = describe(written.get_ref());
            let message = format!("expected tables with names, found {found}");
            let help = format!("write [{path}.NAME], with a name of your own for each");
            self.note(Origin::File(written.span()), name, message, help);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (key, value) in table {
            let given =
                Located { value: key.get_ref().to_string(), origin: Origin::File(key.span()) };
            let inner_path = format!("{path}.{}", given.value);
            match value.get_ref().as_table() {
                Some(inner) => {
                    let origin = Origin::File(key.span());
                    let step = Step::Named(name.to_owned(), given.value.clone());
                    sections.push((given, self.inner(Some(inner), origin, inner_path, step)));
                }
                None => {
                    // What is given to a name that nobody knows may be a secret.
                    let is_known = is_familiar(&given.value);
                    let found = if is_known { describe } else { kind_of }(value.get_ref());
                    let message = format!("expected a table, found {found}");
                    let help =
                        format!("write [{path}.NAME], with a name of your own, and the keys in it");
                    self.reader.note(Origin::File(value.span()), &inner_path, message, help);
                }
            }
        }
        sections
    }
}
