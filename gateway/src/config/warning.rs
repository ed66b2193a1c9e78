//! Settings that are allowed and seldom meant. `check` prints them, a start logs them,
//! `explain` knows their codes.

use super::problem::{Origin, Problem, place_of, render_one};

/// What is warned of: a stable code, why it matters, what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub code: &'static str,
    pub cause: &'static str,
    pub remedy: &'static str,
}

const fn kind(code: &'static str, cause: &'static str, remedy: &'static str) -> Kind {
    Kind { code, cause, remedy }
}

pub const BCRYPT_COST_LOW: Kind = kind(
    "bcrypt_cost_low",
    "`auth.bcrypt_cost` is under 10: whoever gets hold of the hashes can try thousands of passwords a second.",
    "Leave `auth.bcrypt_cost` out (12), or set at least 10; hashes are upgraded as users sign in.",
);

/// All of them; `tests/architecture.rs` keeps the list whole.
pub const KINDS: &[Kind] = &[BCRYPT_COST_LOW];

/// One occurrence.
#[derive(Debug, Clone)]
pub struct Warning {
    pub kind: Kind,
    /// `config.toml:3:1`, a variable, an option, or a path of this machine.
    pub place: String,
    /// The key it is about, with its tables.
    pub key: String,
    pub message: String,
    /// For people, with the line of the file.
    rendered: String,
}

impl Warning {
    /// A warning that needs a look at the machine; `place` says where it was found.
    #[must_use]
    pub fn of_machine(kind: Kind, place: &str, key: &str, message: &str) -> Self {
        let noted = Noted {
            kind,
            origin: Origin::Absent,
            key: key.to_owned(),
            message: message.to_owned(),
        };
        noted.locate(place, "")
    }

    #[must_use]
    pub fn rendered(&self) -> &str {
        &self.rendered
    }
}

/// One that was noted while the configuration was read.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    pub(super) key: String,
    pub(super) message: String,
}

impl Noted {
    pub(super) fn locate(self, file: &str, text: &str) -> Warning {
        let Self { kind, origin, key, message } = self;
        let place = place_of(file, text, &origin);
        let problem = Problem {
            origin,
            key: key.clone(),
            message: format!("{message} [{}]", kind.code),
            help: Some(kind.remedy.to_owned()),
        };
        let mut rendered = "warning: ".to_owned();
        render_one(&mut rendered, file, text, &problem);
        Warning { kind, place, key, message, rendered }
    }
}
