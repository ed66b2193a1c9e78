//! `check --against`: what changes against another configuration, and which of it needs a
//! restart.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::change::{Change, Difference, Side, TakesEffect, compare};
use crate::config::effective::SourceFile;
use crate::config::named_files::Files;

use super::configuration::{Loaded, load_from};
use super::output::{Changes, table};
use super::{Place, RunOptions};

/// Reads the other configuration as a start would, under the same environment and options,
/// and tells what is different in the new one.
///
/// # Errors
/// When it cannot be read or something is wrong with it, which is said.
pub(super) fn against(
    place: &Place,
    file: PathBuf,
    run: RunOptions,
    new: &Loaded,
) -> Result<Changes, ExitCode> {
    let name = file.display().to_string();
    let former = Place { config: Some(file), format: place.format };
    let old = load_from(&former, run, Files::Needed)?;
    let differences = compare(&side(&old), &side(new));
    let lines = format!("{}{}", counted(&name, &differences), listed(&differences));
    Ok(Changes { lines, members: differences.iter().map(member).collect() })
}

fn side(loaded: &Loaded) -> Side<'_> {
    let (name, text) = loaded.file.as_ref().map_or(("", ""), |(name, text)| (name, text));
    Side { config: &loaded.config, settings: &loaded.settings, file: SourceFile { name, text } }
}

/// How many there are, and how many of them need a restart whatever can be reloaded.
fn counted(against: &str, differences: &[Difference]) -> String {
    let needs = |it: &&Difference| it.takes_effect == TakesEffect::OnRestart;
    let restart = match differences.iter().filter(needs).count() {
        0 => "all could be reloaded".to_owned(),
        1 => "1 needs a restart".to_owned(),
        count => format!("{count} need a restart"),
    };
    // What could be reloaded is named for what it is, and taken over at a restart all the same.
    match differences.len() {
        0 => format!("nothing changes against {against}\n"),
        1 => format!("1 change against {against}, {restart}; this version cannot reload\n"),
        count => {
            format!("{count} changes against {against}, {restart}; this version cannot reload\n")
        }
    }
}

fn listed(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return String::new();
    }
    let row = |it: &Difference| {
        let of = it.of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
        let (old, new) = match &it.change {
            Change::Added => ("-".to_owned(), "added".to_owned()),
            Change::Removed => ("-".to_owned(), "removed".to_owned()),
            Change::Value { old, new } => (cell(old.as_ref()), cell(new.as_ref())),
        };
        let needs = it.takes_effect.as_str().to_owned();
        vec![format!("{}{of}", it.key), old, new, needs, it.place.clone()]
    };
    let heads = ["SETTING", "OLD", "NEW", "NEEDS", "AT"];
    table(&heads, differences.iter().map(row).collect())
}

/// As a file has it.
fn cell(value: Option<&Value>) -> String {
    value.map_or_else(|| "not set".to_owned(), Value::to_string)
}

fn member(it: &Difference) -> Value {
    let (change, old, new) = match &it.change {
        Change::Added => ("added", None, None),
        Change::Removed => ("removed", None, None),
        Change::Value { old, new } => ("changed", old.as_ref(), new.as_ref()),
    };
    json!({
        "key": it.key,
        "of": it.of,
        "change": change,
        "old": old,
        "new": new,
        "needs": it.takes_effect.as_str(),
        "place": it.place,
    })
}
