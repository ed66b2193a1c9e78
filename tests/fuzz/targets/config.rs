//! A configuration: any text is read without a panic, and either runs with every
//! value in its bounds or is told wrong at places that exist.
//!
//! Lines behind one that reads `#environment` are `NAME=value`.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::canonical::host;
use portcullis::canonical::path::normalise;
use portcullis::config::file::{Sources, load};
use portcullis::config::report::Problems;
use portcullis::config::{Access, Config, HostMatch, ProxyProtocol};
use toml::Table;

const FILE: &str = "fuzz.toml";
/// Characters that are shown of a line, and before the place in it.
const WINDOW: usize = 120;
const BEFORE: usize = 40;

pub(crate) fn run(data: &[u8]) {
    let Ok(input) = std::str::from_utf8(data) else { return };
    let (text, environment) = input.split_once("#environment\n").unwrap_or((input, ""));
    let environment: BTreeMap<String, String> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| !name.ends_with("_FILE"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if names_a_secret_file(text) {
        return;
    }
    let sources = || Sources {
        file: Some((FILE.to_owned(), text.to_owned())),
        environment: environment.clone(),
        ..Sources::default()
    };
    match load(sources()) {
        Ok(config) => {
            check_config(&config);
            let again = load(sources()).expect("what is right stays right");
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
        }
        Err(problems) => check_problems(&problems, text),
    }
}

/// The reader opens it, whichever file of this machine it is.
fn names_a_secret_file(text: &str) -> bool {
    let auth = text.parse::<Table>().ok().and_then(|file| file.get("auth").cloned());
    auth.is_some_and(|auth| {
        auth.get("secret_key_file").is_some() || auth.get("previous_secret_key_file").is_some()
    })
}

fn check_config(config: &Config) {
    assert!(!config.listeners.is_empty() && !config.routes.is_empty());
    let trusting = config.listeners.iter().any(|l| l.proxy_protocol == ProxyProtocol::Required);
    assert!(!trusting || !config.trusted_proxies.is_empty(), "nobody may speak for others");
    for (number, route) in config.routes.iter().enumerate() {
        assert!(route.upstream < config.upstreams.len());
        let normal = normalise(&route.path);
        assert_eq!(normal.as_deref(), Ok(&*route.path), "a route that nothing can match");
        let name = match &route.host {
            HostMatch::Name(name) | HostMatch::Label(name) => Some(name),
            HostMatch::Any => None,
        };
        assert!(name.is_none_or(|name| host::normalise(name).as_ref() == Some(name)));
        assert!(!route.timeout.is_zero());
        if let Access::Authenticated { roles, scopes, .. } = &route.access {
            assert!(roles.iter().chain(scopes).all(|word| !word.is_empty()));
        }
        let same = |other: &&portcullis::config::Route| {
            (&other.host, &other.path, other.extent, &other.methods)
                == (&route.host, &route.path, route.extent, &route.methods)
        };
        assert_eq!(config.routes.iter().position(|r| same(&r)), Some(number), "a choice of two");
    }
    for secret in [&config.auth.secret_key, &config.auth.previous_secret_key].into_iter().flatten()
    {
        assert!(secret.expose().len() >= 32);
    }
    let limits = &config.limits;
    assert!(limits.burst > 0 && limits.requests_per_second > 0 && limits.max_login_attempts > 0);
    assert!((8..=100).contains(&limits.header_count) && limits.uri_bytes >= 256);
    assert!(limits.login_window >= Duration::from_secs(1));
    for dialect in config.dialects.all() {
        assert!(dialect.access_ttl <= config.auth.refresh_ttl);
    }
    assert!((4..=16).contains(&config.auth.bcrypt_cost) && config.auth.hash_threads > 0);
    let timeouts = &config.timeouts;
    for length in [timeouts.tls_handshake, timeouts.request_head, timeouts.idle, timeouts.drain] {
        assert!(length >= Duration::from_millis(10));
    }
}

/// Each problem in the file stands at a line and a column of it, under which the
/// line is shown.
fn check_problems(problems: &Problems, text: &str) {
    assert!(problems.count > 0);
    let lines: Vec<&str> = text.split('\n').collect();
    let mut places = 0;
    let mut shown = problems.rendered.split('\n');
    while let Some(line) = shown.next() {
        let Some(rest) = line.strip_prefix(FILE).and_then(|rest| rest.strip_prefix(':')) else {
            places += usize::from(line.starts_with("environment variable "));
            continue;
        };
        places += 1;
        let mut numbers = rest.splitn(3, ':').map(str::parse::<usize>);
        let (Some(Ok(line)), Some(Ok(column))) = (numbers.next(), numbers.next()) else { continue };
        assert!((1..=lines.len()).contains(&line), "{problems}");
        let written = lines[line - 1];
        assert!((1..=written.chars().count() + 1).contains(&column), "{problems}");
        let excerpt = shown.next().and_then(|excerpt| excerpt.split_once(" | "));
        let shown = excerpt.expect("a place shows its line").1;
        let written = written.trim_end_matches('\r');
        // Of a long line what is around the place is shown.
        let is_long = written.chars().count() > WINDOW;
        let from = if is_long { (column - 1).saturating_sub(BEFORE) } else { 0 };
        let shown = shown.strip_prefix(if from > 0 { "…" } else { "" });
        let shown = shown.and_then(|shown| shown.strip_suffix(if is_long { "…" } else { "" }));
        let shown = shown.expect("what is left out is marked");
        let written: String = written.chars().skip(from).take(WINDOW).collect();
        // What may be a secret is starred, what is not seen has a sign, and nothing else is
        // changed.
        assert_eq!(shown.chars().count(), written.chars().count(), "{problems}");
        let same = |(shown, written): (char, char)| match shown {
            '*' => true,
            '\u{fffd}' => !written.is_ascii_graphic(),
            shown => shown == written || (shown == ' ' && written == '\t'),
        };
        assert!(shown.chars().zip(written.chars()).all(same), "{problems}");
    }
    let told = problems.count.min(Problems::MOST);
    assert_eq!(places, told, "one place for each: {problems}");
}
