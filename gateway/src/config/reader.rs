//! What all readers of a configuration share: the environment, what was found wrong or
//! seldom meant, and which files hold secrets.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::SecretFile;
use super::place::place_of;
use super::problem::{Origin, Problem};
use super::record::Settings;
use super::value::score;
use super::warning::{Kind, Noted, Warning};

pub(super) const ENV_PREFIX: &str = "PORTCULLIS_";

/// A value and where it stood.
#[derive(Debug, Clone)]
pub struct Located<T> {
    pub value: T,
    pub origin: Origin,
}

/// A file with a secret, and what names it: a key with its tables, or a variable.
#[derive(Debug, Clone)]
pub struct NamedFile {
    pub key: String,
    pub path: Located<PathBuf>,
}

/// Problems found so far, shared by all sections of a document.
#[derive(Clone)]
pub struct Reader {
    problems: Rc<RefCell<Vec<Problem>>>,
    warnings: Rc<RefCell<Vec<Noted>>>,
    secret_files: Rc<RefCell<Vec<NamedFile>>>,
    environment: Rc<BTreeMap<String, String>>,
    unreadable: Rc<Vec<String>>,
    /// Where the file lies: its relative paths begin there.
    beside: Rc<Path>,
    settings: Rc<RefCell<Settings>>,
    /// Every environment name some reader has asked for.
    known_names: Rc<RefCell<Vec<String>>>,
}

impl Reader {
    #[must_use]
    pub fn new(
        environment: BTreeMap<String, String>,
        unreadable: Vec<String>,
        beside: &Path,
    ) -> Self {
        Self {
            problems: Rc::default(),
            warnings: Rc::default(),
            secret_files: Rc::default(),
            environment: Rc::new(environment),
            unreadable: Rc::new(unreadable),
            beside: beside.into(),
            settings: Rc::default(),
            known_names: Rc::default(),
        }
    }

    pub fn note(&self, origin: Origin, key: &str, message: impl Display, help: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            origin,
            key: key.to_owned(),
            message: message.to_string(),
            help: Some(help.into()),
        });
    }

    /// Notes what is allowed and seldom meant.
    pub fn warn(&self, kind: Kind, origin: Origin, key: &str, message: impl Display) {
        let (key, message) = (key.to_owned(), message.to_string());
        self.warnings.borrow_mut().push(Noted { kind, origin, key, message });
    }

    /// Whether something is wrong with what stands at a place.
    #[must_use]
    pub fn is_noted(&self, origin: &Origin) -> bool {
        self.problems.borrow().iter().any(|problem| problem.origin == *origin)
    }

    /// Notes a file that others should not be able to read.
    pub fn note_secret_file(&self, file: NamedFile) {
        self.secret_files.borrow_mut().push(file);
    }

    /// Files with secrets, each with the place in this file where it is named.
    #[must_use]
    pub fn take_secret_files(&self, file: &str, text: &str) -> Vec<SecretFile> {
        let noted = std::mem::take(&mut *self.secret_files.borrow_mut());
        let locate = |NamedFile { key, path }| SecretFile {
            place: place_of(file, text, &path.origin),
            path: path.value,
            key,
        };
        noted.into_iter().map(locate).collect()
    }

    /// An environment variable by its full name.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Located<String>> {
        self.known_names.borrow_mut().push(name.to_owned());
        if self.unreadable.iter().any(|unreadable| unreadable == name) {
            let origin = Origin::Environment(name.to_owned());
            let help = "write it in UTF-8, or unset it";
            // Whoever asks again is told no more.
            if !self.is_noted(&origin) {
                self.note(origin, "", "the value is not UTF-8 text", help);
            }
        }
        let value = self.environment.get(name)?.clone();
        Some(Located { value, origin: Origin::Environment(name.to_owned()) })
    }

    /// Where a path leads that is written there.
    pub fn locate(&self, key: &str, found: Located<String>) -> Located<PathBuf> {
        let Located { value, origin } = found;
        let begins = value.split('/').next().unwrap_or_default();
        if begins.starts_with(['~', '$']) {
            let message = format!("`{begins}` is shell syntax, which is not expanded here");
            let help = "write an absolute path, or one relative to the configuration file";
            self.note(origin.clone(), key, message, help);
        }
        let value = match origin {
            Origin::File(_) => self.beside.join(value),
            _ => value.into(),
        };
        Located { value, origin }
    }

    /// What to do about a file that is not there, if it would be there for a path that begins
    /// where the gateway was started.
    #[must_use]
    pub fn missing_file_help(&self, path: &Located<PathBuf>) -> Option<String> {
        let Origin::File(_) = path.origin else { return None };
        let written = path.value.strip_prefix(&*self.beside).ok()?;
        let there = std::path::absolute(written).ok().filter(|there| there.exists())?;
        (!path.value.exists()).then(|| {
            format!(
                "relative paths begin in the directory of the configuration file; to name the one \
                 in the working directory, write \"{}\"",
                there.display()
            )
        })
    }

    /// Reports `PORTCULLIS_…` variables that no key answers to. Kubernetes sets
    /// some for a service called "portcullis"; those are passed over.
    pub fn finish_environment(&self) {
        let known = self.known_names.borrow();
        let service = ["PORTCULLIS_PORT", "PORTCULLIS_SERVICE_"];
        for name in self.environment.keys().filter(|name| name.starts_with(ENV_PREFIX)) {
            let from_cluster = service.iter().any(|prefix| name.starts_with(prefix));
            if !from_cluster && !known.contains(name) {
                let help = help_for_variable(name, &known);
                self.note(Origin::Environment(name.clone()), "", "no such setting", help);
            }
        }
    }

    /// What was asked for and found.
    pub(super) fn settings(&self) -> RefMut<'_, Settings> {
        self.settings.borrow_mut()
    }

    /// How many have been noted.
    pub(super) fn problems(&self) -> usize {
        self.problems.borrow().len()
    }

    #[must_use]
    pub fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    #[must_use]
    pub fn take_problems(&self) -> Vec<Problem> {
        let mut problems = std::mem::take(&mut *self.problems.borrow_mut());
        problems.sort_by_key(|problem| in_order(&problem.origin));
        problems
    }

    /// What was warned of, each at its place in this file.
    #[must_use]
    pub fn take_warnings(&self, file: &str, text: &str) -> Vec<Warning> {
        let mut noted = std::mem::take(&mut *self.warnings.borrow_mut());
        noted.sort_by_key(|noted| in_order(&noted.origin));
        noted.into_iter().map(|noted| noted.locate(file, text)).collect()
    }
}

/// Of a name that begins like one of ours, and is none.
fn help_for_variable(name: &str, known: &[String]) -> String {
    let rest = name.strip_prefix(ENV_PREFIX).unwrap_or(name);
    match rest.split("__").next() {
        Some(list @ ("ROUTE" | "LISTENER")) => {
            let table = list.to_ascii_lowercase();
            let listen = if table == "listener" { ", or set PORTCULLIS_LISTEN" } else { "" };
            return format!("a list has no variables: write [[{table}]] in the file{listen}");
        }
        Some("UPSTREAM") => {
            return "variables change an [upstream.NAME] that the file has; write it there"
                .to_owned();
        }
        _ => {}
    }
    let ours = known.iter().filter_map(|known| known.strip_prefix(ENV_PREFIX));
    let best = ours.map(|known| (score(rest, known), known));
    match best.max_by(|left, right| left.0.total_cmp(&right.0)) {
        Some((score, known)) if score > 0.8 => format!("did you mean `{ENV_PREFIX}{known}`?"),
        _ => "a key's variable is PORTCULLIS_TABLE__KEY, like PORTCULLIS_LIMITS__BURST".to_owned(),
    }
}

/// As the file reads, and behind it what it does not say.
fn in_order(origin: &Origin) -> (u8, usize) {
    match origin {
        Origin::File(span) => (0, span.start),
        _ => (1, 0),
    }
}
