//! The shape of the source, read from the source: which layer may know which,
//! where circles of imports and status codes may stand, how files are named.

// The root of a test target looks for its modules beside itself.
#[path = "architecture/circles.rs"]
mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portcullis::config::warning::KINDS;
use portcullis::pipeline::reason::explanations::EXPLANATIONS;

/// What each layer may import of the crate, beside itself. `server`, `socket` and
/// `cli` are the roots that put everything together.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("auth", &[]),
    ("store", &["auth", "background", "files", "trust"]),
    ("crypto", &["auth"]),
    ("federation", &["auth", "config", "trust"]),
    ("clock", &["auth"]),
    ("background", &[]),
    ("panics", &[]),
    ("lifecycle", &[]),
    ("mail", &["auth", "config", "pem", "telemetry"]),
    ("http1", &[]),
    ("canonical", &[]),
    ("files", &[]),
    ("pem", &["files"]),
    ("trust", &["pem"]),
    ("slots", &["auth"]),
    // Of what routes are configured to, and of nothing that a request is.
    ("upstream", &["config", "http1", "slots", "trust"]),
    ("contract", &[]),
    ("config", &["auth", "contract", "crypto", "canonical", "files", "pem"]),
    ("telemetry", &["auth", "clock", "config"]),
    ("admin", &["auth", "crypto", "telemetry"]),
    ("dialect", &["auth", "admin", "contract"]),
    ("console", &["auth", "admin", "dialect"]),
    (
        "pipeline",
        &[
            "auth",
            "admin",
            "console",
            "contract",
            "dialect",
            "http1",
            "canonical",
            "config",
            "telemetry",
            "background",
            "panics",
            "lifecycle",
            "slots",
            "upstream",
        ],
    ),
    (
        "edge",
        &[
            "pipeline",
            "http1",
            "canonical",
            "config",
            "telemetry",
            "lifecycle",
            "panics",
            "auth",
            "files",
            "pem",
            "slots",
        ],
    ),
];

/// Libraries that the core must not know: it does no I/O and has no wire format.
const NOT_IN_CORE: &[&str] = &["http", "hyper", "serde", "serde_json", "redb", "redis", "rustls"];

struct Source {
    /// `pipeline/forward.rs`
    name: String,
    text: String,
}

impl Source {
    fn layer(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap_or_default()
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("tests.rs")
            || self.name.ends_with("conformance.rs")
            || self.name.contains("/tests/")
    }

    /// The code before its tests, without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        let end = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        self.text[..end].lines().map(str::trim).filter(|line| !line.starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("the source is readable") {
            let path: PathBuf = entry.expect("the source is readable").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("it lies below").display().to_string();
                let text = std::fs::read_to_string(&path).expect("the source is UTF-8");
                sources.push(Source { name, text });
            }
        }
    }
    assert!(sources.len() > 40, "the source was found");
    sources
}

/// The modules named in `use crate::…` and in paths.
fn imports(source: &Source) -> Vec<&str> {
    source
        .code()
        .flat_map(|line| {
            line.match_indices("crate::").map(move |(at, found)| &line[at + found.len()..])
        })
        .map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
        })
        .filter(|module| !module.is_empty())
        .collect()
}

#[test]
fn layers_know_only_what_lies_below_them() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let layer = source.layer();
        let Some(allowed) = allowed.get(layer) else {
            assert!(
                ["lib", "main", "server", "socket", "cli"].contains(&layer),
                "{} belongs to no layer; add it to the table",
                source.name
            );
            continue;
        };
        for module in imports(source) {
            if module != layer && !allowed.contains(&module) {
                wrong.push(format!("{} imports {module}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_core_does_no_io_and_has_no_wire_format() {
    for source in sources().iter().filter(|source| source.layer() == "auth" && !source.is_test()) {
        for line in source.code().filter(|line| line.starts_with("use ") || line.contains("::")) {
            for library in NOT_IN_CORE {
                let named = line.contains(&format!("use {library}::"))
                    || line
                        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                        .any(|path| path.starts_with(&format!("{library}::")));
                assert!(!named, "{} uses {library}: {line}", source.name);
            }
        }
    }
}

/// A status code is chosen in one place for proxied traffic and in the dialects
/// for our own; elsewhere it is only passed on or looked at.
#[test]
fn status_codes_are_chosen_by_the_responder_and_the_dialects() {
    let chosen = [
        "UNAUTHORIZED",
        "FORBIDDEN",
        "TOO_MANY_REQUESTS",
        "BAD_GATEWAY",
        "GATEWAY_TIMEOUT",
        "SERVICE_UNAVAILABLE",
        "PAYLOAD_TOO_LARGE",
        "UNPROCESSABLE_ENTITY",
        "NOT_FOUND",
    ];
    for source in sources().iter().filter(|source| !source.is_test()) {
        if ["pipeline/reason/rows.rs", "pipeline/respond.rs", "pipeline/respond/page.rs"]
            .contains(&source.name.as_str())
            || ["dialect", "console"].contains(&source.layer())
        {
            continue;
        }
        for line in source.code() {
            for status in chosen {
                let named = line.contains(&format!("StatusCode::{status}"));
                assert!(!named, "{} chooses a status: {line}", source.name);
            }
        }
    }
}

#[test]
fn files_name_a_step_or_a_thing() {
    for source in sources() {
        let stem = source.name.rsplit('/').next().unwrap_or_default();
        for banned in ["utils", "util", "helpers", "helper", "common", "manager", "misc", "mod"] {
            assert_ne!(stem, format!("{banned}.rs"), "{}", source.name);
        }
    }
}

/// `key = value`, and not a sentence with such a thing in it.
fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| !key.is_empty() && !key.contains(' '))
}

/// Every key that is read, and every code that is logged, is in the reference.
#[test]
fn the_reference_names_every_key_and_every_code() {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(gateway.join(path)).expect(path);
    let reference = read("CONFIG.md");
    let named = |key: &str| {
        reference.contains(&format!("`{key}`")) || reference.contains(&format!("[{key}"))
    };
    let keys = portcullis::config::schema::keys();
    assert!(keys.len() > 150, "the readers are asked");
    let mut missing: Vec<String> = keys.iter().map(|key| key.name.to_owned()).collect();
    missing.retain(|key| !named(key));
    missing.extend(logged_codes().into_iter().filter(|c| !reference.contains(&format!("`{c}`"))));
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "not in gateway/CONFIG.md: {missing:?}");
}

/// Every reason a line of the log can carry, as the sources write them.
fn logged_codes() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut codes = BTreeSet::new();
    let message = "pipeline/agent/first_message.rs";
    let names = "pipeline/forward/field_names.rs";
    for file in
        ["http1.rs", message, names, "pipeline/reason.rs", "auth/error.rs", "auth/password.rs"]
    {
        let text = std::fs::read_to_string(source.join(file)).expect(file);
        let literals = text
            .lines()
            .filter_map(|line| line.split_once("=> \""))
            .filter_map(|(_, rest)| rest.split('"').next());
        codes.extend(literals.filter(|code| !code.contains(' ')).map(str::to_owned));
    }
    // Ends of an answer, not refusals; and what a layer below the reasons names itself.
    for (file, before) in [
        ("pipeline/record.rs", "reason = \""),
        ("pipeline/body/response.rs", "=> \""),
        ("upstream/error.rs", "_CODE: &str = \""),
    ] {
        let text = std::fs::read_to_string(source.join(file)).expect(file);
        let literals = text.split(before).skip(1).filter_map(|rest| rest.split('"').next());
        codes.extend(literals.map(str::to_owned));
    }
    assert!(codes.len() > 60, "the sources are read: {codes:?}");
    codes
}

#[test]
fn every_code_of_the_log_has_an_explanation_and_every_explanation_a_code() {
    let explained: BTreeSet<String> =
        EXPLANATIONS.iter().map(|known| known.code.to_owned()).collect();
    assert_eq!(explained.len(), EXPLANATIONS.len(), "a code is explained twice");
    let mut logged = logged_codes();
    logged.insert("ok".to_owned());
    assert_eq!(explained, logged);
    for known in EXPLANATIONS {
        for text in [known.cause, known.remedy] {
            assert!(text.ends_with('.') || text.ends_with('?'), "{}: {text}", known.code);
        }
    }
}

/// Each has a code of its own, is listed, is in the reference, and is really warned of.
#[test]
fn every_warning_is_listed_explained_and_given() {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = std::fs::read_to_string(gateway.join("CONFIG.md")).expect("CONFIG.md");
    let sources = sources();
    let table = sources.iter().find(|source| source.name == "config/warning.rs");
    let table = &table.expect("the table of warnings").text;
    let named: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": Kind = "))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named.len(), KINDS.len(), "KINDS lists each of {named:?} once");
    for name in named {
        let given = |source: &&Source| {
            source.name != "config/warning.rs"
                && source.code().any(|line| line.contains(&format!("warning::{name}")))
        };
        assert!(sources.iter().any(|source| given(&source)), "{name} is never given");
    }
    let mut codes: BTreeSet<&str> = EXPLANATIONS.iter().map(|known| known.code).collect();
    for kind in KINDS {
        assert!(codes.insert(kind.code), "{} is explained twice", kind.code);
        assert!(reference.contains(&format!("`{}`", kind.code)), "{} in CONFIG.md", kind.code);
        for text in [kind.cause, kind.remedy] {
            assert!(text.ends_with('.'), "{}: {text}", kind.code);
        }
    }
}

/// The shipped configuration shows defaults in comments; they must be the defaults.
#[test]
fn the_shipped_configuration_is_short_and_its_comments_are_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config.toml");
    let text = std::fs::read_to_string(path).expect("config.toml is there");
    assert!(text.lines().count() <= 45);
    let lines: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || is_assignment(rest) => rest,
            _ if line.starts_with('#') => "",
            _ => line,
        })
        .collect();
    let uncommented = lines.join("\n");
    let load = |text: String| {
        let sources = portcullis::config::file::Sources {
            file: Some(("config.toml".to_owned(), text)),
            ..Default::default()
        };
        portcullis::config::file::load(sources).unwrap_or_else(|problems| panic!("{problems}"))
    };
    let (mut shown, plain) = (load(uncommented), load(text));
    shown.store.chosen = plain.store.chosen;
    // Written out, the pair counts as the operator's own.
    let shown = portcullis::config::Config {
        tls: plain.tls.clone(),
        secret_files: plain.secret_files.clone(),
        ..shown
    };
    assert_eq!(format!("{shown:?}"), format!("{plain:?}"));
}
