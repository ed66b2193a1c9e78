//! `check --against`: what changes, for people and for programs.

use serde_json::{Value, json};

use super::{CONFIGURATION_ERROR, installation};
use crate::support::gateway::ECHO;
use crate::support::process::Ended;

const OLD: &str = "[limits]\nhead_size = \"16KiB\"\n[auth]\nissuer = \"a\"\n";
const NEW: &str = "[limits]\nhead_size = \"32KiB\"\n[auth]\nissuer = \"b\"\n";
const ROUTES: &str = "[[route]]\nid = \"api\"\npath = \"/api\"\nupstream = \"echo\"\n";

fn found(ended: &Ended) -> &str {
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    &ended.stdout
}

#[tokio::test]
async fn each_change_is_listed_with_its_values_its_place_and_what_it_needs() {
    let place = installation(&format!("{NEW}{ECHO}{ROUTES}"));
    place.write("old.toml", &format!("{OLD}{ECHO}"));
    let ended = place.run(&["check", "--against", "old.toml"], None).await;
    let shown = found(&ended);
    let (_, listed) = shown
        .split_once("3 changes against old.toml, 1 needs a restart; this version cannot reload\n")
        .expect(shown);
    let rows: Vec<String> =
        listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        rows,
        [
            "SETTING OLD NEW NEEDS AT",
            "limits.head_size \"16KiB\" \"32KiB\" reload config.toml:2:13",
            "auth.issuer \"a\" \"b\" restart config.toml:4:10",
            "route of api - added reload config.toml:9:8",
        ]
    );
    let json = place.run(&["check", "--against", "old.toml", "--format", "json"], None).await;
    let json: Value = serde_json::from_str(found(&json)).expect("JSON");
    assert_eq!(
        json["changes"][1],
        json!({
            "key": "auth.issuer", "of": null, "change": "changed", "old": "a", "new": "b",
            "needs": "restart", "place": "config.toml:4:10",
        })
    );
    assert_eq!(
        json["changes"][2],
        json!({
            "key": "route", "of": "api", "change": "added", "old": null, "new": null,
            "needs": "reload", "place": "config.toml:9:8",
        })
    );
    // Without the option there is nothing to compare with.
    let json = place.run(&["check", "--format", "json"], None).await;
    let json: Value = serde_json::from_str(found(&json)).expect("JSON");
    assert_eq!(json.get("changes"), None);
}

#[tokio::test]
async fn the_environment_and_options_count_for_both() {
    let place = installation(&format!("{NEW}{ECHO}"))
        .env("PORTCULLIS_LIMITS__HEAD_SIZE", "64KiB")
        .env("PORTCULLIS_AUTH__ISSUER", "c");
    place.write("old.toml", &format!("{OLD}{ROUTES}"));
    let to = ["check", "--to", "http://127.0.0.1:1", "--against", "old.toml"];
    let ended = place.run(&to, None).await;
    assert!(found(&ended).ends_with("\nnothing changes against old.toml"), "{ended:?}");
}

#[tokio::test]
async fn a_secret_that_changes_is_starred() {
    let secret = |letter: &str| letter.repeat(40);
    let config = |file: &str| format!("[auth]\nsecret_key_file = \"{file}\"\n{ECHO}");
    let mut place = installation(&config("new.key"))
        .file("new.key", &secret("n"))
        .file("old.key", &secret("o"))
        .file("old.toml", &config("old.key"));
    place.set_env("SECRET_KEY", None);
    let ended = place.run(&["check", "--against", "old.toml"], None).await;
    let shown = found(&ended);
    for row in ["auth.secret_key_file ", "SECRET_KEY "] {
        let row = shown.lines().find(|line| line.starts_with(row)).expect(shown);
        assert!(row.contains("restart"), "{shown}");
    }
    assert!(shown.contains("\"********\""), "{shown}");
    for letter in ["n", "o"] {
        assert!(!shown.contains(&letter.repeat(10)), "{shown}");
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_named_and_compared_with_nothing() {
    let place = installation(&format!("{NEW}{ECHO}"));
    let ended = place.run(&["check", "--against", "none.toml"], None).await;
    assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{ended:?}");
    assert!(ended.stderr.contains("none.toml: there is no such file"), "{ended:?}");
    place.write("old.toml", "[limits]\nbrust = 1\n");
    let ended = place.run(&["check", "--against", "old.toml"], None).await;
    assert_eq!(ended.status.code(), CONFIGURATION_ERROR, "{ended:?}");
    assert!(ended.stderr.contains("old.toml:2:1: limits.brust: unknown key"), "{ended:?}");
    let ended = place.run(&["check", "--against", "old.toml", "--path", "/"], None).await;
    assert_eq!(ended.status.code(), Some(2), "a question about one path compares nothing");
}
