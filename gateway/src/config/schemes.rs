//! `schemes` of a route: which credentials are the gateway's there.

use super::document::{Located, Section, nearest};
use super::{Access, Agents, KeyAccess};

/// By what a request can prove who it is from. Tickets and agents' first messages have
/// switches of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerScheme {
    /// An access token in our cookie.
    Cookie = 1,
    /// A user name and password, or an API key as the password.
    Basic = 2,
    /// An access token in `Authorization: Bearer`.
    Bearer = 4,
    /// An API key in `X-API-Key`, as a bearer token, or as the password of Basic.
    Key = 8,
}

const WORDS: [(&str, CallerScheme); 4] = [
    ("cookie", CallerScheme::Cookie),
    ("basic", CallerScheme::Basic),
    ("bearer", CallerScheme::Bearer),
    ("key", CallerScheme::Key),
];

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schemes(u8);

impl Schemes {
    pub const ALL: Self = Self(15);

    #[must_use]
    pub fn has(self, scheme: CallerScheme) -> bool {
        self.0 & scheme as u8 != 0
    }

    #[must_use]
    pub fn are_among(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    #[must_use]
    pub fn without(self, scheme: CallerScheme) -> Self {
        Self(self.0 & !(scheme as u8))
    }

    /// Whether an API key can come with a request, in whichever form.
    #[must_use]
    pub fn take_keys(self) -> bool {
        self.has(CallerScheme::Key) || self.has(CallerScheme::Basic)
    }

    /// As they are written.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        WORDS.iter().filter(|(_, scheme)| self.has(*scheme)).map(|(word, _)| *word).collect()
    }
}

impl FromIterator<CallerScheme> for Schemes {
    fn from_iter<I: IntoIterator<Item = CallerScheme>>(schemes: I) -> Self {
        Self(schemes.into_iter().fold(0, |all, scheme| all | scheme as u8))
    }
}

/// `schemes`: all unless some are named.
pub(super) fn read_schemes(section: &Section<'_>) -> Schemes {
    let listed = WORDS.map(|(word, _)| word);
    let expected = format!("one of {}", listed.map(|word| format!("`{word}`")).join(", "));
    let found = section.texts("schemes", &expected);
    if !section.is_given("schemes") {
        return Schemes::ALL;
    }
    if found.is_empty() {
        let help = "leave it out for all, or set public = true where nobody is asked".to_owned();
        section.note(section.given_at("schemes"), "schemes", "names no scheme", Some(help));
    }
    let mut named: Vec<CallerScheme> = Vec::new();
    for Located { value, origin } in found {
        match WORDS.iter().find(|(word, _)| *word == value) {
            Some((_, scheme)) if named.contains(scheme) => {
                section.note(origin, "schemes", format!("{value:?} is there twice"), None);
            }
            Some((_, scheme)) => named.push(*scheme),
            None => {
                let message = format!("expected {expected}, found {value:?}");
                section.note(origin, "schemes", message, nearest(&value, listed.into_iter()));
            }
        }
    }
    named.into_iter().collect()
}

/// Notes what cannot hold beside a route's `schemes`.
pub(super) fn check_beside(
    section: &Section<'_>,
    schemes: Schemes,
    access: &Access,
    agents: Agents,
) {
    let Access::Authenticated { keys, .. } = access else {
        if section.is_given("schemes") {
            let message = "has no effect on a public route: no credential is looked at";
            section.note(section.given_at("schemes"), "schemes", message, None);
        }
        return;
    };
    if schemes.take_keys() || agents.are_accepted() {
        return;
    }
    let named = section.is_given("keys") && *keys != KeyAccess::None;
    let about_keys = [("keys", named), ("scopes", section.is_given("scopes"))];
    for (name, _) in about_keys.into_iter().filter(|(_, given)| *given) {
        let message = "has no effect: by none of the route's `schemes` does a key come";
        let help = "name \"key\" or \"basic\" in `schemes` as well".to_owned();
        section.note(section.given_at(name), name, message, Some(help));
    }
}
