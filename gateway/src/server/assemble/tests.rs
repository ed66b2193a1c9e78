//! What a key is said to need, a reload or a restart, is what the parts need that are made
//! of it.

use crate::config::change::{TakesEffect, takes_effect};
use crate::config::file::{Sources, load};
use crate::config::record::Takes;
use crate::config::schema::{Key, keys};
use crate::config::units::{show_duration, show_size};
use crate::server::open_core::{longest_token, policy};
use crate::server::stores::account_limits;

use super::*;

mod panics;

/// All that a start makes once and no generation of the configuration replaces.
fn made_once(config: &Config) -> String {
    let Config { auth, timeouts, .. } = config;
    let core = (policy(config), longest_token(config), account_limits(config));
    let hashing = (auth.bcrypt_cost, auth.hash_threads, auth.hash_queue);
    let github = config.github.as_ref().map(|github| {
        let urls = (&github.base_url, &github.api_url, &github.roots);
        (&github.client_id, urls, &github.organizations, &github.teams, github.timeout)
    });
    let outside = (&config.store.directory, &config.store.shared, github, &config.mail);
    let process = (
        &config.listeners,
        &config.log,
        &config.health.advisory_file,
        (timeouts.drain_delay, timeouts.drain),
    );
    format!("{core:?}{hashing:?}{outside:?}{process:?}")
}

/// Keys of one table, as they stand in a file.
type Lines<'a> = Vec<(&'a str, String)>;

/// What a table needs beside a key: tables before it, and keys in it.
fn needed(table: &str, key: &str) -> (&'static str, Lines<'static>) {
    let lines = |lines: &[(&'static str, &str)]| {
        lines.iter().map(|(key, value)| (*key, format!("{value:?}"))).collect()
    };
    let list = |key, value: &str| (key, format!("[{value:?}]"));
    match (table, key) {
        ("listener[]", _) => ("[client]\ntrusted_proxies = [\"10.0.0.1\"]\n", lines(&[])),
        ("tls", "certificate" | "key") => ("", lines(&[("certificate", "c"), ("key", "k")])),
        ("tls", "hsts_subdomains") => ("", lines(&[("hsts", "1d")])),
        ("store", "path") | ("client", "trusted_proxies") | ("identity", "preset") => {
            ("", lines(&[]))
        }
        ("store", "roots") => ("", lines(&[("url", "rediss://h")])),
        ("store", "replicas") => ("", lines(&[("url", "redis://h"), ("durability", "replicated")])),
        ("store", _) => ("", lines(&[("url", "redis://h")])),
        ("github", "base_url" | "api_url") => (
            "",
            lines(&[
                ("client_id", "a"),
                ("base_url", "https://ghe.example"),
                ("api_url", "https://ghe.example/api"),
            ]),
        ),
        ("github", _) => ("", lines(&[("client_id", "a")])),
        ("links", _) => ("", lines(&[("public_url", "https://g.example")])),
        ("mail", _) => (
            "[links]\npublic_url = \"https://g.example\"\n",
            lines(&[("url", "smtps://mail.example"), ("from", "a@b.example")]),
        ),
        ("health", "require_store") => ("[store]\nurl = \"redis://h\"\n", lines(&[])),
        ("client", _) => ("", vec![list("trusted_proxies", "10.0.0.1")]),
        ("cors" | "route[].cors", _) => ("", vec![list("origins", "https://a.example")]),
        ("identity.headers", _) => ("[identity]\npreset = \"custom\"\n", lines(&[])),
        ("upstream.*", "roots") => ("", lines(&[("url", "https://a.example")])),
        ("upstream.*", _) => ("", lines(&[("url", "http://127.0.0.1:1")])),
        ("route[]", "agents") => ("", vec![("upstream", "\"echo\"".to_owned())]),
        ("route[]", _) => ("", lines(&[("upstream", "echo")])),
        ("route[].rate", _) => ("", vec![("requests_per_second", "5".to_owned())]),
        _ => ("", lines(&[])),
    }
}

/// Two values of a key, where its reader does not tell them.
fn written(table: &str, key: &str) -> Option<(&'static str, &'static str)> {
    Some(match (table, key) {
        ("listener[]", "address") => ("\"127.0.0.1:1\"", "\"127.0.0.1:2\""),
        ("store", "url") => ("\"redis://h/1\"", "\"redis://h/2\""),
        ("github", "base_url" | "api_url" | "public_url") | ("links", "public_url") => {
            ("\"https://a.example\"", "\"https://b.example\"")
        }
        ("github", "teams") => ("[\"a/one\"]", "[\"a/two\"]"),
        ("mail", "url") => ("\"smtps://a.example\"", "\"smtps://b.example\""),
        ("mail", "from") => ("\"a@b.example\"", "\"c@b.example\""),
        ("console", "texts") => ("\"a.toml\"", "\"b.toml\""),
        ("console", "logo") => ("\"a.svg\"", "\"b.svg\""),
        ("console", "style") => ("\"a.css\"", "\"b.css\""),
        ("identity", "preset") => ("\"authelia\"", "\"grafana\""),
        ("console", "session_idle") => ("\"2d\"", "\"3d\""),
        ("console", "session_absolute") => ("\"20d\"", "\"30d\""),
        ("admin", "networks") | ("client", "trusted_proxies") => {
            ("[\"10.0.0.1\"]", "[\"10.0.0.2\"]")
        }
        (_, "origins") => ("[\"https://a.example\"]", "[\"https://b.example\"]"),
        (_, "methods") => ("[\"GET\"]", "[\"PUT\"]"),
        (_, "prefix") if table != "store" => ("\"/a\"", "\"/b\""),
        ("upstream.*", "url") => ("\"http://127.0.0.1:1\"", "\"http://127.0.0.1:2\""),
        ("upstream.*", "host") => ("\"pass\"", "\"upstream\""),
        ("route[]", "path") => ("\"/a\"", "\"/b\""),
        ("route[]", "upstream") => ("\"echo\"", "\"http://127.0.0.1:1\""),
        ("route[]", "challenge") => ("[\"basic\"]", "[\"bearer\"]"),
        ("route[]", "upgrades") => ("[\"tcp\"]", "[\"spdy/3.1\"]"),
        ("route[]", "cors") => ("\"upstream\"", "{ origins = [\"https://a.example\"] }"),
        ("route[]", "rate") => ("\"none\"", "{ requests_per_second = 5 }"),
        ("route[]", "agents") => ("true", "\"any\""),
        _ => return None,
    })
}

/// Two values that a reader takes.
fn taken(key: &Key) -> (String, String) {
    if let Some((old, new)) = written(&key.table, key.name) {
        return (old.to_owned(), new.to_owned());
    }
    let two_of = |words: &[String]| {
        let (one, other) = (words.first().cloned(), words.last().cloned());
        (one.unwrap_or_default(), other.unwrap_or_default())
    };
    match key.takes.first().expect("a key takes something") {
        Takes::Boolean | Takes::BooleanOr(_) => ("true".to_owned(), "false".to_owned()),
        Takes::Integer(range) => {
            let one = 5.clamp(*range.start(), *range.end());
            (one.to_string(), (one + 1).to_string())
        }
        Takes::Duration(range) | Takes::DurationOrOff(range) => {
            let usual = std::time::Duration::from_secs(120).clamp(*range.start(), *range.end());
            let (one, other) = (show_duration(usual), show_duration(usual / 2));
            (format!("\"{one}\""), format!("\"{other}\""))
        }
        Takes::Size(range) => {
            let usual = (16 << 10).clamp(*range.start(), *range.end());
            (format!("\"{}\"", show_size(usual)), format!("\"{}\"", show_size(usual * 2)))
        }
        Takes::SizeOrUnlimited => ("\"1MiB\"".to_owned(), "\"unlimited\"".to_owned()),
        Takes::Choice(words) => {
            let (one, other) = two_of(words);
            (format!("{one:?}"), format!("{other:?}"))
        }
        Takes::Words(words) => {
            let (one, other) = two_of(words);
            (format!("[{one:?}]"), format!("[{other:?}]"))
        }
        Takes::Text | Takes::Path => ("\"X-A\"".to_owned(), "\"X-B\"".to_owned()),
        Takes::Texts => ("[\"X-A\"]".to_owned(), "[\"X-B\"]".to_owned()),
        Takes::Table | Takes::Tables | Takes::NamedTables => unreachable!("no value"),
    }
}

fn loaded(key: &Key, value: &str) -> Result<Config, String> {
    let (before, mut lines) = needed(&key.table, key.name);
    lines.retain(|(name, _)| *name != key.name);
    lines.push((key.name, value.to_owned()));
    let head = match key.table.as_str() {
        "listener[]" => "[[listener]]".to_owned(),
        "upstream.*" => "[upstream.app]".to_owned(),
        "route[]" => "[[route]]".to_owned(),
        "route[].cors" | "route[].rate" => {
            let name = key.table.trim_start_matches("route[].");
            format!("[[route]]\nupstream = \"echo\"\n[route.{name}]")
        }
        table => format!("[{table}]"),
    };
    let lines: Vec<String> =
        lines.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let route = "[[route]]\nupstream = \"echo\"\npath = \"/other\"\n";
    let text = format!("{before}{head}\n{}\n{route}", lines.join("\n"));
    let secrets: &[&str] = match key.table.as_str() {
        "github" => &["SECRET_KEY", "GITHUB_CLIENT_SECRET"],
        _ => &["SECRET_KEY"],
    };
    let secret = |name: &&str| ((*name).to_owned(), "0123456789abcdef0123456789abcdef".to_owned());
    let sources = Sources {
        file: Some(("/etc/p/config.toml".to_owned(), text.clone())),
        environment: secrets.iter().map(secret).collect(),
        ..Sources::default()
    };
    load(sources).map_err(|problems| format!("{problems}\nin\n{text}"))
}

#[test]
fn a_key_needs_a_restart_if_something_is_made_of_it_once_and_a_reload_if_nothing_is() {
    // What they name is a secret, which is compared itself, and never shown.
    let names_secret = |key: &&Key| !key.name.ends_with("_file") || key.name == "advisory_file";
    let (mut tried, mut wrong) = (0, Vec::new());
    for key in keys().iter().filter(names_secret) {
        let Some(effect) = takes_effect(&key.table, key.name) else { continue };
        if key.table.is_empty() {
            continue;
        }
        let (old, new) = taken(key);
        let (old, new) = match (loaded(key, &old), loaded(key, &new)) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(problem), _) | (_, Err(problem)) => {
                wrong.push(problem);
                continue;
            }
        };
        let content =
            |config: &Config| format!("{:?}", Config { warnings: Vec::new(), ..config.clone() });
        if content(&old) == content(&new) {
            wrong.push(format!("{} is tried with one value", key.path()));
        }
        let is_made_once = made_once(&old) != made_once(&new);
        if is_made_once != (effect == TakesEffect::OnRestart) {
            wrong.push(key.path());
        }
        tried += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 170, "{tried} keys");
}
