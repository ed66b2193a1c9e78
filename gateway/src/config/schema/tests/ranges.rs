//! What a key is said to take is what its reader takes, to the last second and byte.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Key, keys};
use crate::config::file::{Sources, load};
use crate::config::record::Takes;

/// What is wrong with a value of a key by itself, whatever else the file lacks.
fn refusal(key: &Key, value: &str) -> Option<String> {
    let head = match key.table.split_once("[].") {
        Some((list, table)) => format!("[[{list}]]\n[{list}.{table}]"),
        None => match key.table.strip_suffix("[]") {
            Some(list) => format!("[[{list}]]"),
            None => format!("[{}]", key.table.replace('*', "app")),
        },
    };
    let text = format!("{head}\n{} = {value}\n", key.name);
    let path = key.path().replace("[]", "").replace('*', "app");
    let sources = Sources {
        file: Some(("config.toml".to_owned(), text)),
        environment: BTreeMap::new(),
        ..Sources::default()
    };
    let reports = load(sources).err().map(|problems| problems.reports).unwrap_or_default();
    let own = reports.into_iter().find(|report| report.key == path && report.expected.is_some());
    own.map(|report| report.message)
}

/// Values at both ends of a range, and those just beyond.
fn ends(takes: &Takes) -> Option<(Vec<String>, Vec<String>)> {
    let texts = |values: Vec<String>| values.iter().map(|value| format!("\"{value}\"")).collect();
    let below = |least: u64| least.checked_sub(1).map(|beyond| beyond.to_string());
    Some(match takes {
        Takes::Integer(range) => {
            let (least, most) = (*range.start(), *range.end());
            let beyond = below(least).into_iter().chain([(most + 1).to_string()]);
            (vec![least.to_string(), most.to_string()], beyond.chain(["-1".to_owned()]).collect())
        }
        Takes::Size(range) => {
            let (least, most) = (*range.start(), *range.end());
            let beyond = below(least).into_iter().chain([(most + 1).to_string()]);
            (vec![least.to_string(), most.to_string()], beyond.collect())
        }
        Takes::Duration(range) | Takes::DurationOrOff(range) => {
            let millis = |length: Duration| format!("{}ms", length.as_millis());
            let step = Duration::from_millis(1);
            let beyond = range.start().checked_sub(step).into_iter().chain([*range.end() + step]);
            let within = vec![millis(*range.start()), millis(*range.end())];
            (texts(within), texts(beyond.map(millis).collect()))
        }
        Takes::Choice(words) => (texts(words.clone()), texts(vec!["no-such-word".to_owned()])),
        Takes::Boolean => (
            vec!["true".to_owned(), "false".to_owned()],
            vec!["1".to_owned(), "\"true\"".to_owned()],
        ),
        Takes::SizeOrUnlimited => (
            vec!["0".to_owned(), "\"unlimited\"".to_owned()],
            vec!["\"1s\"".to_owned(), "-1".to_owned()],
        ),
        Takes::Text
        | Takes::Path
        | Takes::BooleanOr(_)
        | Takes::Texts
        | Takes::Words(_)
        | Takes::Table
        | Takes::Tables
        | Takes::NamedTables => return None,
    })
}

#[test]
fn a_key_takes_both_ends_of_its_range_and_nothing_beyond() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for key in keys() {
        for takes in &key.takes {
            let Some((within, beyond)) = ends(takes) else { continue };
            tried += 1;
            for value in within {
                if let Some(message) = refusal(&key, &value) {
                    wrong.push(format!("{} = {value}: {message}", key.path()));
                }
            }
            for value in beyond {
                if refusal(&key, &value).is_none() {
                    wrong.push(format!("{} = {value} is taken", key.path()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 100, "{tried} keys");
}
