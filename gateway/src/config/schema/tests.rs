mod markdown;
mod ranges;

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

/// Every key that the structs describe, as `table` and `name`.
fn described_keys(node: &Value, table: &str, found: &mut BTreeSet<(String, String)>) {
    let forms = node
        .get("anyOf")
        .and_then(Value::as_array)
        .map_or(vec![node], |forms| forms.iter().collect());
    for form in forms {
        for (name, key) in form.get("properties").and_then(Value::as_object).into_iter().flatten() {
            found.insert((table.to_owned(), name.clone()));
            let path = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
            described_keys(key, &path, found);
            if let Some(item) = key.get("items") {
                described_keys(item, &format!("{path}[]"), found);
            }
            if let Some(named) = key.get("additionalProperties").filter(|named| named.is_object()) {
                described_keys(named, &format!("{path}.*"), found);
            }
        }
    }
}

#[test]
fn the_schema_has_the_keys_that_readers_ask_for_and_no_other() {
    let mut described = BTreeSet::new();
    described_keys(&super::described(), "", &mut described);
    let asked: BTreeSet<_> =
        keys().into_iter().map(|key| (key.table, key.name.to_owned())).collect();
    assert!(asked.len() > 150, "{}", asked.len());
    assert_eq!(described.difference(&asked).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    assert_eq!(asked.difference(&described).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

/// The JSON types of a value.
fn types(takes: &Takes) -> &'static [&'static str] {
    match takes {
        Takes::Text | Takes::Path | Takes::Choice(_) => &["string"],
        Takes::Boolean => &["boolean"],
        Takes::Integer(_) => &["integer"],
        Takes::Duration(_) | Takes::DurationOrOff(_) | Takes::Size(_) | Takes::SizeOrUnlimited => {
            &["string", "integer"]
        }
        Takes::BooleanOr(_) => &["boolean", "string"],
        Takes::Texts | Takes::Words(_) | Takes::Tables => &["array"],
        Takes::Table | Takes::NamedTables => &["object"],
    }
}

fn declared_types(node: &Value) -> Vec<&str> {
    match &node["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => {
            let forms = node["anyOf"].as_array().expect("a node has a type or forms");
            forms.iter().flat_map(declared_types).collect()
        }
    }
}

#[test]
fn a_key_is_of_the_type_that_its_reader_takes() {
    let mut described = described();
    for key in keys() {
        let node = find_mut(&mut described, &key.table, key.name).expect("every key is described");
        let declared: BTreeSet<&str> = declared_types(node).into_iter().collect();
        let taken: BTreeSet<&str> = key.takes.iter().flat_map(types).copied().collect();
        assert_eq!(declared, taken, "{}", key.path());
    }
}

#[test]
fn every_key_and_table_is_described_in_a_sentence() {
    let mut schema = schema();
    for key in keys() {
        let node = find_mut(&mut schema, &key.table, key.name).expect("every key is described");
        let description = node["description"].as_str().unwrap_or_default();
        assert!(description.len() > 8, "{} is not described", key.path());
        assert!(description.ends_with('.'), "{}: {description}", key.path());
        assert!(!description.contains("](#"), "{}: {description}", key.path());
    }
}

#[test]
fn what_the_structs_say_in_words_of_their_own_is_not_in_the_schema() {
    let text = schema().to_string();
    for word in ["x-default", "x-required"] {
        assert!(super::described().to_string().contains(word), "{word}");
        assert!(!text.contains(word), "{text}");
    }
}

#[test]
fn no_table_takes_keys_that_are_not_described() {
    fn closed(node: &Value, place: &str, count: &mut usize) {
        if let Some(properties) = node.get("properties").and_then(Value::as_object) {
            *count += 1;
            assert_eq!(node["additionalProperties"], false, "{place}");
            for (name, key) in properties {
                closed(key, &format!("{place}.{name}"), count);
            }
        }
        for inner in ["items", "additionalProperties"] {
            node.get(inner).into_iter().for_each(|inner| closed(inner, place, count));
        }
        let forms = node.get("anyOf").and_then(Value::as_array);
        forms.into_iter().flatten().for_each(|form| closed(form, place, count));
    }
    let mut count = 0;
    closed(&schema(), "", &mut count);
    assert_eq!(count, 29, "as many tables as there are");
}
