//! `schemes` and `challenge` of a route: which credentials are the gateway's there, and
//! which of them a 401 asks for.

use http::HeaderName;

use super::document::Section;
use super::reader::Located;
use super::value::nearest;
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

/// A challenge that a route offers (RFC 9110 11.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub scheme: ChallengeScheme,
    /// As written, in place of the gateway's own realm.
    pub parameters: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeScheme {
    Basic,
    Bearer,
}

impl ChallengeScheme {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ChallengeScheme::Basic => "Basic",
            ChallengeScheme::Bearer => "Bearer",
        }
    }

    /// Whether who answers the challenge can be let in. A user who is asked for a password
    /// where none is taken would give it to the application.
    #[must_use]
    pub fn is_taken(self, schemes: Schemes) -> bool {
        match self {
            ChallengeScheme::Basic => schemes.has(CallerScheme::Basic),
            ChallengeScheme::Bearer => {
                schemes.has(CallerScheme::Bearer) || schemes.has(CallerScheme::Key)
            }
        }
    }
}

impl Challenge {
    /// A scheme in any case, alone or with parameters behind it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, parameters) = match text.split_once(' ') {
            Some((scheme, parameters)) => (scheme, Some(parameters.trim_start_matches(' '))),
            None => (text, None),
        };
        let known = [ChallengeScheme::Basic, ChallengeScheme::Bearer];
        let scheme = known.into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_str()))?;
        if parameters.is_some_and(|parameters| !are_parameters(parameters)) {
            return None;
        }
        Some(Self { scheme, parameters: parameters.map(str::to_owned) })
    }
}

/// `name="value"` or `name=value`, separated by commas: one challenge, and no second
/// behind it.
fn are_parameters(text: &str) -> bool {
    let mut rest = text;
    loop {
        let Some((name, value)) = rest.split_once('=') else { return false };
        if !is_token(name) {
            return false;
        }
        let Some(behind) = behind_value(value) else { return false };
        match behind.trim_start_matches(' ') {
            "" => return true,
            more => match more.strip_prefix(',') {
                Some(next) => rest = next.trim_start_matches(' '),
                None => return false,
            },
        }
    }
}

/// What follows a token or a quoted string (RFC 9110 5.6.4) of visible ASCII and blanks.
fn behind_value(text: &str) -> Option<&str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return is_token(&text[..end]).then_some(&text[end..]);
    };
    let mut escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            b' '..=b'~' if escaped => escaped = false,
            b'"' => return Some(&quoted[at + 1..]),
            b'\\' => escaped = true,
            b' '..=b'~' => {}
            _ => return None,
        }
    }
    None
}

/// A token (RFC 9110 5.6.2), as names of fields are.
fn is_token(text: &str) -> bool {
    HeaderName::from_bytes(text.as_bytes()).is_ok()
}

/// `schemes`: all unless some are named.
pub(super) fn read_schemes(section: &Section<'_>) -> Schemes {
    let listed = WORDS.map(|(word, _)| word);
    let expected = format!("one of {}", listed.map(|word| format!("`{word}`")).join(", "));
    let found = section.words("schemes", &expected, &listed);
    if !section.is_given("schemes") {
        return Schemes::ALL;
    }
    if found.is_empty() && !section.is_empty_list("schemes") {
        return Schemes::ALL;
    }
    if found.is_empty() {
        let help = "leave it out for all schemes, or set public = true to require no credential";
        section.note(section.given_at("schemes"), "schemes", "names no scheme", help);
    }
    let mut named: Vec<CallerScheme> = Vec::new();
    for Located { value, origin } in found {
        match WORDS.iter().find(|(word, _)| *word == value) {
            Some((_, scheme)) if named.contains(scheme) => {
                let help = "leave one of them out";
                section.note(origin, "schemes", format!("{value:?} is there twice"), help);
            }
            Some((_, scheme)) => named.push(*scheme),
            None => {
                let message = format!("expected {expected}, found {value:?}");
                let help = nearest(&value, listed.into_iter());
                let help = help.unwrap_or_else(|| {
                    "write a list like schemes = [\"basic\", \"bearer\"]".to_owned()
                });
                section.note(origin, "schemes", message, help);
            }
        }
    }
    named.into_iter().collect()
}

/// `challenge`: what a 401 offers, in this order; `None` leaves it to who asks.
pub(super) fn read_challenge(section: &Section<'_>, schemes: Schemes) -> Option<Vec<Challenge>> {
    let expected = r#""basic", "bearer" or a whole challenge like 'Bearer realm="https://auth.example.com/token"'"#;
    let found = section.texts("challenge", expected);
    if !section.is_given("challenge") {
        return None;
    }
    if found.is_empty() {
        let help = "leave it out for the default; a 401 must offer a scheme (RFC 9110 15.5.2)";
        let at = section.given_at("challenge");
        section.note(at, "challenge", "names no challenge", help);
    }
    let mut named: Vec<Challenge> = Vec::new();
    for Located { value, origin } in found {
        let Some(challenge) = Challenge::parse(&value) else {
            let message = format!("expected {expected}, found {value:?}");
            let help = nearest(&value, ["basic", "bearer"].into_iter());
            let help = help.unwrap_or_else(|| "write \"basic\" or \"bearer\"".to_owned());
            section.note(origin, "challenge", message, help);
            continue;
        };
        let scheme = challenge.scheme.as_str();
        if !challenge.scheme.is_taken(schemes) {
            let message = format!("offers {scheme}, which `schemes` does not take");
            let help = format!("leave it out of one, or add {scheme} to the other");
            section.note(origin, "challenge", message, help);
        } else if named.iter().any(|other| other.scheme == challenge.scheme) {
            let help = "leave one of them out";
            section.note(origin, "challenge", format!("offers {scheme} twice"), help);
        } else {
            named.push(challenge);
        }
    }
    Some(named)
}

/// Notes what cannot hold beside a route's `schemes`.
pub(super) fn check_beside(
    section: &Section<'_>,
    schemes: Schemes,
    access: &Access,
    agents: Agents,
) {
    let Access::Authenticated { keys, .. } = access else {
        for name in ["schemes", "challenge"] {
            if section.is_given(name) {
                let message = "has no effect on a public route: no credential is looked at";
                let help = format!("leave out {name}, or public");
                section.note(section.given_at(name), name, message, help);
            }
        }
        return;
    };
    if schemes.take_keys() || agents.are_accepted() {
        return;
    }
    let named = section.is_given("keys") && *keys != KeyAccess::None;
    let about_keys = [("keys", named), ("scopes", section.is_given("scopes"))];
    for (name, _) in about_keys.into_iter().filter(|(_, given)| *given) {
        let message = "has no effect: none of the route's `schemes` carries a key";
        let help = "name \"key\" or \"basic\" in `schemes` as well";
        section.note(section.given_at(name), name, message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_a_scheme_of_ours_alone_or_with_its_parameters() {
        for (text, scheme, parameters) in [
            ("basic", ChallengeScheme::Basic, None),
            ("Bearer", ChallengeScheme::Bearer, None),
            (
                r#"Basic realm="a, \"b\" = c""#,
                ChallengeScheme::Basic,
                Some(r#"realm="a, \"b\" = c""#),
            ),
            (
                r#"bearer  realm="https://a.example/token",service=registry , scope="x""#,
                ChallengeScheme::Bearer,
                Some(r#"realm="https://a.example/token",service=registry , scope="x""#),
            ),
        ] {
            let expected = Challenge { scheme, parameters: parameters.map(str::to_owned) };
            assert_eq!(Challenge::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_challenge_of_ours_is_none() {
        for text in [
            "",
            "Digest",
            "Negotiate realm=\"a\"",
            "Basic ",
            "Basic realm",
            "Basic realm=",
            "Basic realm=\"a",
            "Basic realm=\"a\\\"",
            "Basic realm=\"a\"b",
            "Basic realm=\"a\",",
            "Basic realm=\"a\", Bearer",
            "Basic realm=\"a\", Bearer realm=\"b\"",
            "Basic realm=\"a\r\nx\"",
            "Basic realm=\"ü\"",
            "Basic realm=ü",
            "Basic =a",
        ] {
            assert_eq!(Challenge::parse(text), None, "{text:?}");
        }
    }
}
