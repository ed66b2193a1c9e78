//! The JSON Schema that `config schema` prints, judged by a validator that is not ours, and
//! the settings that `config print` prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::broken;
use crate::openapi::PROGRAMS;
use crate::support::gateway::{ECHO, SECRET_KEY};
use crate::support::installation::Installation;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Which of these texts are valid, and why the others are not.
async fn validated(texts: &[(String, String)]) -> Vec<(String, bool, String)> {
    let installation = Installation::new();
    let schema = installation.run(&["config", "schema"], None).await;
    assert_eq!(schema.status.code(), Some(0), "{schema:?}");
    installation.write("schema.json", &schema.stdout);
    let names: Vec<String> = (0..texts.len()).map(|index| format!("{index}.toml")).collect();
    for (name, (_, text)) in names.iter().zip(texts) {
        installation.write(name, text);
    }
    let judged = Command::new(PROGRAMS.join("python3"))
        .arg(root().join("tests/config/validate.py"))
        .arg(installation.path("schema.json"))
        .args(names.iter().map(|name| installation.path(name)))
        .output()
        .expect("Python starts");
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    let said = String::from_utf8(judged.stdout).expect("the verdicts are text");
    let verdicts = said.lines().map(|line| (line.starts_with("valid "), line.to_owned()));
    let verdicts: Vec<_> = texts
        .iter()
        .zip(verdicts)
        .map(|((name, _), (valid, why))| (name.clone(), valid, why))
        .collect();
    assert_eq!(verdicts.len(), texts.len(), "{said}");
    verdicts
}

/// The blocks of TOML in a text.
fn blocks(name: &str, text: &str) -> Vec<(String, String)> {
    let blocks = text.split("```toml\n").skip(1);
    let whole = |block: &str| block.split("```").next().unwrap_or_default().to_owned();
    blocks.enumerate().map(|(at, block)| (format!("{name}, block {at}"), whole(block))).collect()
}

/// Configurations in manifests of Kubernetes stand indented below their name.
fn embedded(name: &str, text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.trim_end().ends_with(".toml: |") {
            continue;
        }
        let indent = line.len() - line.trim_start().len() + 2;
        let mut inside = String::new();
        while let Some(next) = lines.next_if(|next| {
            next.trim().is_empty() || next.len() - next.trim_start().len() >= indent
        }) {
            inside += next.get(indent..).unwrap_or_default();
            inside.push('\n');
        }
        found.push((name.to_owned(), inside));
    }
    found
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("the directory is readable").path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn every_configuration_of_the_repository_is_valid() {
    let mut texts = Vec::new();
    let deploy = files_below(&root().join("deploy"));
    let own = ["config.toml", "README.md", "gateway/CONFIG.md"].map(|name| root().join(name));
    for path in own.iter().chain(&deploy) {
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let name = path.display().to_string();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => texts.push((name, text)),
            Some("md") => texts.extend(blocks(&name, &text)),
            Some("yaml") => texts.extend(embedded(&name, &text)),
            _ => {}
        }
    }
    assert!(texts.len() > 20, "{}", texts.len());
    for (name, valid, why) in validated(&texts).await {
        assert!(valid, "{name}: {why}");
    }
}

/// What a single value or key shows; what keys demand of each other is for `check`.
const STRUCTURAL: &[&str] = &[
    "unknown key",
    "expected a table",
    "expected tables",
    "expected a list",
    "expected a whole number",
    "expected true or false",
    "expected one of",
    "found \"12 bananas\"",
];

#[tokio::test]
async fn a_configuration_that_is_broken_in_its_structure_is_not_valid() {
    let rows = broken::parsed_files();
    let texts: Vec<(String, String)> =
        rows.iter().map(|row| (row.name.clone(), row.given.clone())).collect();
    let mut refused = 0;
    for ((name, valid, why), row) in validated(&texts).await.into_iter().zip(&rows) {
        if STRUCTURAL.iter().any(|words| row.said.contains(words)) {
            assert!(!valid, "{name}: {why}\n{}", row.said);
            refused += 1;
        }
    }
    assert!(refused >= 25, "{refused}");
}

#[tokio::test]
async fn the_settings_that_are_printed_are_valid_and_run_the_same_gateway() {
    let first = Installation::new()
        .file("config.toml", &format!("[limits]\nburst = 7\n{ECHO}"))
        .env("SECRET_KEY", SECRET_KEY)
        .env("PORTCULLIS_HEALTH__REQUIRE_STORE", "false");
    let printed = first.run(&["config", "print"], None).await;
    assert_eq!(printed.status.code(), Some(0), "{printed:?}");
    assert!(!printed.stdout.contains(SECRET_KEY), "{printed:?}");
    let texts = [("printed".to_owned(), printed.stdout.clone())];
    for (name, valid, why) in validated(&texts).await {
        assert!(valid, "{name}: {why}");
    }
    first.write("printed.toml", &printed.stdout);
    let again = first.run(&["--config", "printed.toml", "config", "print"], None).await;
    let settings = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.rsplit_once(" # "));
        lines.map(|(setting, _)| setting.trim().to_owned()).collect()
    };
    assert_eq!(settings(&again.stdout), settings(&printed.stdout));
}

#[tokio::test]
async fn each_setting_is_printed_with_where_it_comes_from() {
    let installation = Installation::new()
        .file("config.toml", &format!("[limits]\nburst = 7\n{ECHO}"))
        .env("SECRET_KEY", SECRET_KEY)
        .env("PORTCULLIS_LIMITS__WAIT", "1s");
    let arguments = [
        "config",
        "print",
        "--effective",
        "--listen",
        ":9000",
        "--log-level",
        "debug",
        "--format",
        "json",
    ];
    let printed = installation.run(&arguments, None).await;
    assert_eq!(printed.status.code(), Some(0), "{printed:?}");
    let json: Value = serde_json::from_str(&printed.stdout).expect("it is JSON");
    for (pointer, value, origin) in [
        ("/limits/burst", "7", "config.toml:2:9"),
        ("/limits/wait", "\"1s\"", "environment PORTCULLIS_LIMITS__WAIT"),
        ("/limits/user_pause", "\"1s\"", "default"),
        ("/listener/0/address", "\":9000\"", "option --listen"),
        ("/log/level", "\"debug\"", "option --log-level"),
        ("/secrets/SECRET_KEY", "\"********\"", "environment SECRET_KEY"),
    ] {
        let setting = json.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {json:#}"));
        assert_eq!(setting["value"].to_string(), value, "{pointer}");
        assert_eq!(setting["origin"], origin, "{pointer}");
    }
}

#[tokio::test]
async fn the_problems_of_a_broken_configuration_are_told_to_programs_too() {
    let config = format!("[limits]\nbrust = 5\n[log]\nlevel = \"verbose\"\n{ECHO}");
    let installation = Installation::new()
        .file("config.toml", &config)
        .env("SECRET_KEY", SECRET_KEY)
        .env("MAX_LOGIN_ATTEMPTS", "0");
    let ended = installation.run(&["check", "--format", "json"], None).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    let problems = json["problems"].as_array().expect("problems are a list");
    assert_eq!(problems.len(), 3, "{json:#}");
    assert_eq!(problems[0]["place"], "config.toml:2:1");
    assert_eq!(problems[0]["file"], "config.toml");
    assert_eq!((&problems[0]["line"], &problems[0]["column"]), (&2.into(), &1.into()));
    assert_eq!(problems[0]["key"], "limits.brust");
    assert_eq!(problems[0]["message"], "unknown key");
    assert_eq!(problems[0]["help"], "did you mean `burst`?");
    let words = "one of `error`, `warn`, `info`, `debug`, `trace`";
    assert_eq!(problems[1]["expected"], words);
    assert_eq!(problems[2]["place"], "environment variable MAX_LOGIN_ATTEMPTS");
    assert!(problems[2].get("line").is_none(), "{json:#}");
    // Nor has a file that cannot be read another form.
    let ended =
        installation.run(&["--config", "none.toml", "check", "--format", "json"], None).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!(json["problems"][0]["place"], "none.toml");
}

#[tokio::test]
async fn check_says_which_of_the_gateways_own_paths_a_route_never_sees() {
    let config = "[[route]]\npath = \"/api\"\nupstream = \"echo\"\n\
                  [[route]]\npath = \"/app\"\nupstream = \"echo\"\n";
    let installation =
        Installation::new().file("config.toml", config).env("SECRET_KEY", SECRET_KEY);
    let ended = installation.run(&["check"], None).await;
    let said = "own: route /api never sees what the gateway serves itself: 20 paths below /api/admin, 9 paths";
    assert!(ended.stdout.contains(said), "{}", ended.stdout);
    assert!(!ended.stdout.contains("own: route /app"), "{}", ended.stdout);
    let ended = installation.run(&["check", "--format", "json"], None).await;
    let json: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    let routes = json["routes"].as_array().expect("routes are a list");
    let own = |path: &str| {
        let route = routes.iter().find(|route| route["path"] == path).expect("the route is listed");
        route["own_paths"].as_array().expect("own paths are a list").clone()
    };
    assert!(own("/api").contains(&"/api/auth/login".into()), "{json:#}");
    assert!(!own("/api").contains(&"/health".into()), "{json:#}");
    assert!(own("/app").is_empty(), "{json:#}");
}
