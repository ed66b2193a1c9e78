//! Broken configurations and broken environments, one named row each, with all that `check`
//! says about it: the place, the line with a caret, what was expected and what to write
//! instead. The rows are in two files; `UPDATE=1` writes what is said now, to be read before
//! it is kept.

use std::fmt::Write;
use std::path::PathBuf;

use crate::support::gateway::{ECHO, SECRET_KEY};
use crate::support::installation::Installation;

/// A row of a table.
pub struct Row {
    pub name: String,
    /// A configuration, or variables.
    pub given: String,
    /// What `check` says.
    pub said: String,
}

fn table(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/config").join(file)
}

fn rows(file: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(table(file)).expect("the table is there");
    let row = |part: &str| {
        let (name, rest) = part.split_once('\n').expect("a row has a name");
        let (given, said) = rest.split_once("---\n").expect("a row has two parts");
        let [name, given, said] = [name, given, said].map(str::to_owned);
        Row { name, given, said }
    };
    text.split("=== ").skip(1).map(row).collect()
}

/// The broken files that are TOML all the same.
pub fn parsed_files() -> Vec<Row> {
    rows("broken_files.txt").into_iter().filter(|row| parses(&row.given)).collect()
}

/// Compares what is said of each row with the table, or writes the table anew.
fn compare(file: &str, rows: &[Row], said: &[String]) {
    if std::env::var_os("UPDATE").is_some() {
        let mut text = String::new();
        for (row, said) in rows.iter().zip(said) {
            write!(text, "=== {}\n{}---\n{said}", row.name, row.given).expect("a text grows");
        }
        std::fs::write(table(file), text).expect("the table can be written");
    }
    for (row, said) in rows.iter().zip(said) {
        assert_eq!(*said, row.said, "{}\n{}", row.name, row.given);
    }
}

/// As the row's name says that it is stored.
fn bytes(row: &Row) -> Vec<u8> {
    let text = if row.given.contains("route]") || !parses(&row.given) {
        row.given.clone()
    } else {
        format!("{}{ECHO}", row.given)
    };
    if row.name.ends_with("(CRLF)") {
        return text.replace('\n', "\r\n").into_bytes();
    }
    if row.name.ends_with("(UTF-16)") {
        return [0xff, 0xfe]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
    }
    if row.name.ends_with("(Latin-1)") {
        return text.chars().map(|c| u8::try_from(c).expect("a character of Latin-1")).collect();
    }
    text.into_bytes()
}

fn parses(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok()
}

#[tokio::test]
async fn every_broken_file_is_answered_with_its_place_and_what_to_write() {
    let rows = rows("broken_files.txt");
    assert!(rows.len() >= 50, "{}", rows.len());
    let mut said = Vec::new();
    for row in &rows {
        let installation = Installation::new().env("SECRET_KEY", SECRET_KEY);
        std::fs::write(installation.path("config.toml"), bytes(row))
            .expect("a file can be written");
        let ended = installation.run(&["check"], None).await;
        assert_eq!(ended.status.code(), Some(78), "{}: {ended:?}", row.name);
        assert!(ended.stdout.is_empty(), "{}: {ended:?}", row.name);
        let report = &ended.stderr;
        assert!(
            report.contains("\n      = "),
            "{}: nothing says what to write\n{report}",
            row.name
        );
        // The reader of TOML has a sentence for each of its errors. None is repeated.
        let errors = toml::de::DeTable::parse_recoverable(&row.given).1;
        for error in errors.iter().filter(|error| error.message() != "duplicate key") {
            assert!(!report.contains(error.message()), "{}: {report}", row.name);
        }
        said.push(format!("{report}\n"));
    }
    compare("broken_files.txt", &rows, &said);
}

#[tokio::test]
async fn every_broken_environment_is_answered_with_its_variable_and_what_to_write() {
    let rows = rows("broken_environments.txt");
    assert!(rows.len() >= 24, "{}", rows.len());
    let mut said = Vec::new();
    for row in &rows {
        let mut installation =
            Installation::new().file("config.toml", ECHO).env("SECRET_KEY", SECRET_KEY);
        for line in row.given.lines() {
            let (name, value) = line.split_once('=').expect("a variable has a value");
            installation.set_env(name, Some(&value.replace("\\n", "\n")));
        }
        let ended = installation.run(&["check"], None).await;
        assert_eq!(ended.status.code(), Some(78), "{}: {ended:?}", row.name);
        let name = row.given.split('=').next().expect("a variable has a name");
        assert!(ended.stderr.contains(name), "{}: {ended:?}", row.name);
        let report = &ended.stderr;
        assert!(
            report.contains("\n      = "),
            "{}: nothing says what to write\n{report}",
            row.name
        );
        for secret in ["\"short\"", "hunter2"] {
            assert!(!ended.stderr.contains(secret), "{}: a secret in {ended:?}", row.name);
        }
        said.push(format!("{}\n", ended.stderr));
    }
    compare("broken_environments.txt", &rows, &said);
}
