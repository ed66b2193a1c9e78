//! CONFIG.md's tables of keys are what the schema says, its examples load, and what it
//! says of paths is so.

use std::path::PathBuf;

use serde_json::Value;

use super::super::{Key, pattern};
use super::super::{described, find_mut, keys, on_one_line, table_node};
use crate::config::file::{Sources, load, load_with_settings};
use crate::config::record::FallbackSource;

const BEGIN: &str = "<!-- keys of ";
const END: &str = "<!-- end of keys -->";
const CONTRACTS: [&str; 4] = ["form", "status", "envelope", "plain"];

fn reference() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("CONFIG.md")
}

fn read() -> String {
    std::fs::read_to_string(reference()).expect("the reference is there")
}

/// As the table is written in a file.
fn heading(table: &str) -> String {
    match table.strip_suffix("[]") {
        Some(list) => format!("[[{list}]]"),
        None => format!("[{}]", table.replace(".*", ".NAME").replace("[]", "")),
    }
}

fn cell(text: &str) -> String {
    on_one_line(text).replace('|', "\\|")
}

fn taken(key: &Key) -> String {
    let taken: Vec<String> = key.takes.iter().map(ToString::to_string).collect();
    cell(&taken.join(" or "))
}

fn default(key: &Key, node: &Value) -> String {
    if node["x-required"] == true {
        return "required".to_owned();
    }
    if let Some(said) = node["x-default"].as_str() {
        return cell(said);
    }
    let fixed = key.fallback.as_ref().filter(|default| default.source == FallbackSource::Fixed);
    fixed.map(|default| format!("`{}`", default.value)).unwrap_or_default()
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn node(key: &Key) -> Value {
    find_mut(&mut described(), &key.table, key.name).expect("every key is described").clone()
}

/// One row for each key of a table, in alphabetical order.
fn keys_of(table: &str) -> Vec<Key> {
    let mut described = described();
    let node = table_node(&mut described, table).expect("the table is described");
    let known = keys();
    let names = node["properties"].as_object().expect("a table has keys").keys();
    let find =
        |name: &String| known.iter().find(|key| key.table == table && key.name == name).cloned();
    names.filter_map(find).collect()
}

fn rendered(table: &str) -> String {
    if table == "dialect.*" {
        return contracts();
    }
    let mut text = row(&[
        format!("`{}`", heading(table)),
        "takes".to_owned(),
        "default".to_owned(),
        String::new(),
    ]);
    text += "|---|---|---|---|\n";
    for key in keys_of(table) {
        let node = node(&key);
        let description = cell(node["description"].as_str().unwrap_or_default());
        text += &row(&[format!("`{}`", key.name), taken(&key), default(&key, &node), description]);
    }
    text
}

/// The contracts have most keys in common, with defaults of their own.
fn contracts() -> String {
    let heads = ["`[dialect.NAME]`", "takes"].into_iter().map(str::to_owned);
    let heads = heads.chain(CONTRACTS.map(|name| format!("`{name}`"))).chain([String::new()]);
    let mut text = row(&heads.collect::<Vec<_>>());
    text += "|---|---|---|---|---|---|---|\n";
    let mut done: Vec<&str> = Vec::new();
    let of_each: Vec<Vec<Key>> =
        CONTRACTS.iter().map(|name| keys_of(&format!("dialect.{name}"))).collect();
    for key in of_each.iter().flatten() {
        if done.contains(&key.name) {
            continue;
        }
        done.push(key.name);
        let defaults = of_each.iter().map(|keys| {
            keys.iter()
                .find(|other| other.name == key.name)
                .map_or_else(|| "-".to_owned(), |other| default(other, &node(other)))
        });
        let described = cell(node(key)["description"].as_str().unwrap_or_default());
        let cells = [format!("`{}`", key.name), taken(key)].into_iter();
        text += &row(&cells.chain(defaults).chain([described]).collect::<Vec<_>>());
    }
    text
}

/// The reference with its tables as they should be, and which tables those are.
fn updated(text: &str) -> (String, Vec<String>) {
    let (mut whole, mut tables) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (table, behind) = behind.split_once(" -->\n").expect("a mark ends");
        let (_, after) = behind.split_once(END).expect("keys end");
        whole.extend([before, BEGIN, table, " -->\n", &rendered(table), END]);
        tables.push(table.to_owned());
        rest = after;
    }
    (whole + rest, tables)
}

#[test]
fn the_tables_of_the_reference_are_those_of_the_schema() {
    let text = read();
    let (wanted, tables) = updated(&text);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(reference(), &wanted).expect("the reference can be written");
    }
    for key in keys() {
        let named = match key.table.strip_prefix("dialect.") {
            Some(_) => "dialect.*",
            // Which has the keys of `[cors]`.
            None if key.table == "route[].cors" => "cors",
            // Of tables alone.
            None if key.table.is_empty() || key.table == "dialect" => continue,
            None => &key.table,
        };
        assert!(tables.iter().any(|table| table == named), "{} is in no table", key.path());
    }
    assert_eq!(text, wanted, "UPDATE=1 writes the tables anew");
}

/// The blocks of TOML in the reference.
fn examples(text: &str) -> Vec<String> {
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Loads, with a route where it has none.
fn whole(example: &str) -> String {
    if example.contains("[[route]]") {
        return example.replace("upstream = \"app\"", "upstream = \"echo\"");
    }
    format!("{example}\n[[route]]\nupstream = \"echo\"\n")
}

fn sources(text: String) -> Sources {
    let secrets = ["SECRET_KEY", "STORE_PASSWORD", "MAIL_PASSWORD", "GITHUB_CLIENT_SECRET"];
    let used = |name: &&str| match *name {
        "STORE_PASSWORD" => text.contains("[store]\nurl"),
        "MAIL_PASSWORD" => text.contains("[mail]"),
        "GITHUB_CLIENT_SECRET" => text.contains("[github]"),
        _ => true,
    };
    let long = |name: &str| (name.to_owned(), "0123456789abcdef0123456789abcdef".to_owned());
    let environment = secrets.into_iter().filter(used).map(long).collect();
    let file = Some(("/etc/portcullis/config.toml".to_owned(), text));
    Sources { file, environment, ..Sources::default() }
}

#[test]
fn the_examples_of_the_reference_load_and_every_table_has_one() {
    let mut shown = Vec::new();
    let examples = examples(&read());
    for example in &examples {
        let (_, settings) = load_with_settings(sources(whole(example)))
            .unwrap_or_else(|problems| panic!("{problems}\n{example}"));
        let found = settings.keys.iter().filter(|setting| setting.found.is_some());
        shown.extend(found.map(|setting| pattern(&setting.table)));
    }
    for key in keys() {
        let one_of_several = key.table.starts_with("dialect.");
        let shown = shown.iter().any(|table| {
            // A route's `cors` has the keys of `[cors]`.
            *table == key.table
                || *table == key.table.trim_start_matches("route[].")
                || one_of_several && table.starts_with("dialect.")
        });
        assert!(key.table.is_empty() || key.table == "dialect" || shown, "{}", key.path());
    }
}

/// Controls what the test above stands on.
#[test]
fn an_example_that_is_wrong_does_not_load() {
    assert!(load(sources(whole("[limits]\nbrust = 5\n"))).is_err());
    assert!(load(sources(whole("[limits]\nburst = 5\n"))).is_ok());
}
