//! A key that no reader asks for: which one was meant, or where it belongs.

use std::sync::LazyLock;

use super::record::Takes;
use super::schema::{Key, keys};
use super::value::{quoted, score};

/// What a report of one says.
pub const UNKNOWN_KEY: &str = "unknown key";

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(keys);

/// Whether some table has a key of this name, alone, behind its tables, or in a variable.
pub(super) fn is_key(name: &str) -> bool {
    bare(name).is_some_and(|name| KEYS.iter().any(|key| key.name == name))
}

/// Variables of the contracts that hold no secret.
const VARIABLES: [&str; 5] = [
    "JWT_EXPIRE_DURATION",
    "MAX_LOGIN_ATTEMPTS",
    "RATE_LIMIT_WINDOW_SECONDS",
    "PORTCULLIS_LISTEN",
    "PORTCULLIS_CONFIG",
];

/// The last words of names of secrets. Such a name is meant for no key of ours, however alike:
/// `USER_PASS` is no `user_pause`.
const SECRET_ENDS: [&str; 7] = ["auth", "key", "pass", "pin", "psk", "pw", "pwd"];

/// Whether a name is that of a key with a value, is so alike that it is meant for one, or is
/// what another proxy calls one.
pub fn is_familiar(name: &str) -> bool {
    if VARIABLES.contains(&name) {
        return true;
    }
    let Some(plain) = bare(name).map(normal) else { return false };
    let mut given = KEYS.iter().filter(|key| key.takes != [Takes::Table]);
    let last = plain.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let may_be_misspelt = !SECRET_ENDS.contains(&last);
    given.any(|key| key.name == plain || may_be_misspelt && score(&plain, key.name) > SURE)
        || HABITS.iter().any(|(words, _)| words.contains(&plain.as_str()))
}

/// A key without the tables before it: `store.path`, `PORTCULLIS_STORE__PATH`. `None` where
/// what stands before it is no table of ours.
fn bare(name: &str) -> Option<&str> {
    let lower = |text: &str| text.to_ascii_lowercase();
    let (tables, key) = match lower(name).strip_prefix("portcullis_") {
        Some(_) => name["portcullis_".len()..].rsplit_once("__")?,
        None => match name.rsplit_once('.') {
            Some(split) => split,
            None => return Some(name),
        },
    };
    let first = lower(tables.split(['.']).next()?.split("__").next()?);
    let is_table = |key: &Key| key.table.split(['.', '[']).next() == Some(first.as_str());
    // A dotted key may begin in the table where it stands.
    let begins_inside = |key: &Key| key.table.rsplit('.').next() == Some(first.as_str());
    KEYS.iter().any(|key| is_table(key) || begins_inside(key)).then_some(key)
}

/// So alike that hardly anything else can be meant.
const SURE: f64 = 0.9;
const LIKELY: f64 = 0.75;

/// What the words of other proxies are here.
const HABITS: [(&[&str], &str); 12] = [
    (
        &["port", "listen", "bind", "entrypoints", "entrypoint", "address"],
        "write [[listener]] with address = \"[::]:8443\"",
    ),
    (
        &["server_name", "domain", "domains", "hostname", "hosts", "vhost"],
        "write [[route]] with host = \"app.example\"",
    ),
    (
        &[
            "proxy_pass",
            "backend",
            "target",
            "forward",
            "reverse_proxy",
            "proxy",
            "to",
            "forward_to",
        ],
        "write [[route]] with upstream = \"http://127.0.0.1:3000\"",
    ),
    (
        &["location", "locations", "router", "routers", "rule", "rules", "handle"],
        "write [[route]] with path = \"/\" and upstream = \"http://127.0.0.1:3000\"",
    ),
    (
        &["server", "servers", "service", "services", "http", "https", "site", "frontend"],
        "write [[listener]] for an address, [upstream.NAME] for a server behind the gateway, and \
         [[route]] for what goes there",
    ),
    (
        &["ssl_certificate", "cert", "cert_file", "crt", "ssl", "certificates"],
        "write [tls] with certificate and key, both PEM files",
    ),
    (
        &["ssl_certificate_key", "key_file", "private_key"],
        "write [tls] with certificate and key, both PEM files",
    ),
    (
        &["rate_limit", "ratelimit", "limit_req", "limit_req_zone"],
        "write [limits] with requests_per_second = 20 and burst = 60",
    ),
    (&["client_max_body_size", "max_body_size"], "write [limits] with body_size = \"10MiB\""),
    (
        &["proxy_read_timeout", "read_timeout", "proxy_connect_timeout"],
        "write timeout in a [[route]], or connect_timeout in an [upstream.NAME]",
    ),
    (
        &["users", "htpasswd", "basic_auth", "auth_basic", "auth_basic_user_file"],
        "accounts are in the store: portcullis user add, or portcullis user import FILE",
    ),
    (
        &["jwt_secret", "session_secret", "cookie_secret"],
        "set SECRET_KEY, or write [auth] with secret_key_file",
    ),
];

/// What to write in place of an unknown key of a table, whose known keys are `here`.
pub(super) fn help(name: &str, asked: &[&str]) -> String {
    let mut here: Vec<&str> = Vec::new();
    // Some are asked for more than once.
    for key in asked {
        if !here.contains(key) {
            here.push(key);
        }
    }
    let here = &here[..];
    let plain = normal(name);
    if let Some(same) = here.iter().find(|key| normal(key) == plain) {
        return did_you_mean(same);
    }
    let close = |least: f64| {
        let scored = here.iter().map(|key| (score(&plain, key), *key));
        let best = scored.max_by(|left, right| left.0.total_cmp(&right.0));
        best.filter(|(score, _)| *score > least).map(|(_, key)| key)
    };
    if let Some(key) = close(SURE) {
        return did_you_mean(key);
    }
    if let Some((_, help)) = HABITS.iter().find(|(words, _)| words.contains(&plain.as_str())) {
        return (*help).to_owned();
    }
    let places = elsewhere(&plain);
    match close(LIKELY) {
        Some(key) if places.is_empty() => did_you_mean(key),
        None if places.is_empty() => format!("the keys here are {}", quoted(here)),
        _ => {
            let places: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
            format!("did you mean {}?", places.join(" or "))
        }
    }
}

fn did_you_mean(key: &str) -> String {
    format!("did you mean `{key}`?")
}

/// Hyphens, capitals and camel case are habits too.
fn normal(name: &str) -> String {
    let mut plain = String::new();
    let mut before_is_lower = false;
    for character in name.chars() {
        if character.is_ascii_uppercase() && before_is_lower {
            plain.push('_');
        }
        before_is_lower = character.is_ascii_lowercase();
        plain.push(if character == '-' { '_' } else { character.to_ascii_lowercase() });
    }
    plain
}

/// The paths of keys in other tables that have the name, or nearly.
fn elsewhere(name: &str) -> Vec<String> {
    let keys = &*KEYS;
    let shown = |path: String| path.replace("[]", "").replace(".*", ".NAME");
    let others = || keys.iter().filter(|key| !key.table.is_empty() && key.takes != [Takes::Table]);
    let best = others().map(|key| score(name, key.name)).fold(SURE, f64::max);
    let alike = others().filter(|key| score(name, key.name) >= best);
    alike
        .map(|key| shown(key.path()))
        .filter(|path| !path.starts_with("route.cors"))
        .take(4)
        .collect()
}
