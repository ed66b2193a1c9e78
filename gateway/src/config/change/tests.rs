use serde_json::json;

use super::*;
use crate::config::Config;
use crate::config::effective::SourceFile;
use crate::config::file::{Sources, load_with_settings};
use crate::config::record::Settings;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

fn loaded(text: &str, environment: &[(&str, &str)]) -> (Config, Settings) {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let sources = Sources {
        file: Some(("/etc/p/config.toml".to_owned(), text.to_owned())),
        environment: environment.iter().map(own).collect(),
        ..Sources::default()
    };
    load_with_settings(sources).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn compared(
    (old, before): (&str, &[(&str, &str)]),
    (new, after): (&str, &[(&str, &str)]),
) -> Vec<Difference> {
    let (of_old, of_new) = (loaded(old, before), loaded(new, after));
    let side = |name: &'static str, text, (config, settings)| Side {
        config,
        settings,
        file: SourceFile { name, text },
    };
    let old = side("old.toml", old, (&of_old.0, &of_old.1));
    let new = side("new.toml", new, (&of_new.0, &of_new.1));
    compare(&old, &new)
}

/// Each as `key of item: old -> new, effect, place`.
fn lines(old: &str, new: &str) -> Vec<String> {
    let line = |it: Difference| {
        let of = it.of.map(|of| format!(" of {of}")).unwrap_or_default();
        let value = |value: Option<Value>| value.map_or("-".to_owned(), |it| it.to_string());
        let change = match it.change {
            Change::Added => "added".to_owned(),
            Change::Removed => "removed".to_owned(),
            Change::Value { old, new } => format!("{} -> {}", value(old), value(new)),
        };
        format!("{}{of}: {change}, {}, {}", it.key, it.takes_effect.as_str(), it.place)
    };
    compared((old, &[]), (new, &[])).into_iter().map(line).collect()
}

const ECHO: &str = "[[route]]\nupstream = \"echo\"\n";

#[test]
fn a_value_is_the_same_in_any_form_and_whether_it_is_written_or_not() {
    for (old, new) in [
        ("", ""),
        ("", "[limits]\nburst = 60\nwait = \"3s\"\n"),
        ("[timeouts]\nidle = \"90s\"\n", "[timeouts]\nidle = \"1m30s\"\n"),
        ("[timeouts]\nidle = 90\n", "[timeouts]\nidle = \"90s\"\n"),
        ("[limits]\nbody_size = \"1MiB\"\n", "[limits]\nbody_size = 1048576\n"),
        (
            "[client]\ntrusted_proxies = [\"10.0.0.1\", \"10.0.0.2\"]\n",
            "[client]\ntrusted_proxies = [\"10.0.0.2\", \"10.0.0.1\"]\n",
        ),
    ] {
        let (old, new) = (format!("{old}{ECHO}"), format!("{new}{ECHO}"));
        assert_eq!(lines(&old, &new), Vec::<String>::new(), "{old}{new}");
    }
}

#[test]
fn a_setting_that_differs_is_told_with_both_values_and_its_place() {
    let old = format!("[limits]\nhead_size = \"16KiB\"\nburst = 7\n{ECHO}");
    let new = format!("[limits]\nhead_size = \"32KiB\"\n[auth]\nissuer = \"b\"\n{ECHO}");
    assert_eq!(
        lines(&old, &new),
        [
            "limits.burst: 7 -> 60, reload, old.toml:3:9",
            "limits.head_size: \"16KiB\" -> \"32KiB\", reload, new.toml:2:13",
            "auth.issuer: \"portcullis\" -> \"b\", restart, new.toml:4:10",
        ]
    );
    // Without a default it is set to nothing.
    let old = format!("[health]\nadvisory_file = \"/a.json\"\n{ECHO}");
    assert_eq!(
        lines(&old, ECHO),
        ["health.advisory_file: \"/a.json\" -> -, restart, old.toml:2:17"]
    );
}

#[test]
fn a_default_that_is_written_down_is_another_setting_where_that_says_something() {
    let new = format!(
        "[tls]\ncertificate = \"data/certs/server.pem\"\nkey = \"data/certs/server.key\"\n{ECHO}"
    );
    let found = lines(ECHO, &new);
    assert_eq!(found.len(), 2, "no pair is made any more: {found:?}");
    assert!(found[0].starts_with("tls.certificate: "), "{found:?}");
    assert!(found[0].contains("server.pem\" -> \""), "{found:?}");
}

#[test]
fn routes_are_told_apart_by_their_ids_and_not_by_their_order() {
    let route = |id: &str, more: &str| {
        format!("[[route]]\nid = \"{id}\"\npath = \"/{id}\"\nupstream = \"echo\"\n{more}")
    };
    let (a, b, c) = (route("a", ""), route("b", ""), route("c", ""));
    assert_eq!(lines(&format!("{a}{b}{c}"), &format!("{c}{a}{b}")), Vec::<String>::new());
    let changed = route("b", "timeout = \"5s\"\n[route.rate]\nrequests_per_second = 5\n");
    assert_eq!(
        lines(&format!("{a}{b}"), &format!("{changed}{c}")),
        [
            "route.rate.requests_per_second of b: - -> 5, reload, new.toml:7:23",
            "route.rate.burst of b: - -> 15, reload, default",
            "route.timeout of b: \"1m\" -> \"5s\", reload, new.toml:5:11",
            "route of c: added, reload, new.toml:10:8",
            "route of a: removed, reload, old.toml:3:8",
        ]
    );
}

/// Was: a second route of the same name would have been compared with the first.
#[test]
fn of_routes_with_one_name_equal_ones_are_the_same() {
    let route = |method: &str, more: &str| {
        format!("[[route]]\nmethods = [\"{method}\"]\nupstream = \"echo\"\n{more}")
    };
    let (get, post, put) = (route("GET", ""), route("POST", ""), route("PUT", ""));
    assert_eq!(lines(&format!("{get}{post}{put}"), &format!("{put}{get}{post}")), [""; 0]);
    let found =
        lines(&format!("{get}{post}"), &format!("{}{get}", route("POST", "public = true\n")));
    assert_eq!(found, ["route.public of /: false -> true, reload, new.toml:4:10"]);
    let found = lines(&format!("{get}{post}"), &get);
    assert_eq!(found, ["route of /: removed, reload, old.toml:5:11"]);
}

#[test]
fn listeners_are_told_apart_by_addresses_and_upstreams_by_names() {
    let listener =
        |address: &str, more: &str| format!("[[listener]]\naddress = \"{address}\"\n{more}");
    let old = format!("{}{}{ECHO}", listener("127.0.0.1:1", ""), listener("127.0.0.1:2", ""));
    let new = format!(
        "{}{}{ECHO}",
        listener("127.0.0.1:3", ""),
        listener("127.0.0.1:1", "tls = false\n")
    );
    assert_eq!(
        lines(&old, &new),
        [
            "listener.tls of 127.0.0.1:1: true -> false, restart, new.toml:5:7",
            "listener of 127.0.0.1:3: added, restart, new.toml:2:11",
            "listener of 127.0.0.1:2: removed, restart, old.toml:4:11",
        ]
    );
    // One that is made up of defaults alone is one too.
    let found = lines(&format!("{}{ECHO}", listener("127.0.0.1:1", "")), ECHO);
    assert!(
        found.contains(&"listener of [::]:8443: added, restart, default".to_owned()),
        "{found:?}"
    );
    let old =
        format!("[upstream.a]\nurl = \"http://127.0.0.1:1\"\n[upstream.b]\nurl = \"echo\"\n{ECHO}");
    let new =
        format!("[upstream.c]\nurl = \"echo\"\n[upstream.a]\nurl = \"http://127.0.0.1:2\"\n{ECHO}");
    assert_eq!(
        lines(&old, &new),
        [
            "upstream.a.url: \"http://127.0.0.1:1\" -> \"http://127.0.0.1:2\", reload, new.toml:4:7",
            "upstream.c: added, reload, new.toml:2:7",
            "upstream.b: removed, reload, old.toml:4:7",
        ]
    );
}

#[test]
fn a_word_and_a_table_in_its_place_are_different() {
    let route = |rate: &str| format!("[[route]]\nupstream = \"echo\"\nrate = {rate}\n");
    let found = lines(&route("\"none\""), &route("{ requests_per_second = 5, burst = 6 }"));
    let keys: Vec<&str> = found.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(keys, ["route.rate.requests_per_second", "route.rate.burst", "route.rate"]);
}

#[test]
fn secrets_are_compared_by_content_and_starred() {
    let given = |secret| [("SECRET_KEY", secret)];
    assert_eq!(compared((ECHO, &given(SECRET)), (ECHO, &given(SECRET))), []);
    let starred = Some(json!(HIDDEN));
    let changed = |old: &[(&str, &str)], new: &[(&str, &str)]| {
        let found = compared((ECHO, old), (ECHO, new));
        assert!(!format!("{found:?}").contains(SECRET), "{found:?}");
        let one = found.into_iter().next().expect("a difference");
        assert_eq!((one.key.as_str(), one.takes_effect), ("SECRET_KEY", TakesEffect::OnRestart));
        assert_eq!(one.place, "environment SECRET_KEY");
        one.change
    };
    let change = |old, new| Change::Value { old, new };
    assert_eq!(
        changed(&given(SECRET), &given(OTHER_SECRET)),
        change(starred.clone(), starred.clone())
    );
    assert_eq!(changed(&[], &given(SECRET)), change(None, starred.clone()));
    assert_eq!(changed(&given(SECRET), &[]), change(starred, None));
}
