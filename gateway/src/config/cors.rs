//! `[cors]` and a route's `cors`: pages of which other origins may read responses, and
//! what they may send (Fetch 3.3). Whose pages may act by cookies and Basic is another
//! question, and `origins` its answer.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, Method, header};

use super::bounds::DAY;
use super::document::Section;
use super::methods::read_methods;
use super::page_origin::{OriginFault, PageOrigin};
use super::problem::Origin;
use super::record::{fixed, no_items};

const EXPECTED: &str = "an origin like \"https://app.example\"";

/// What is said of pages of other origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    /// Nothing: such pages may not ask before they send, and what an upstream says passes.
    Unset,
    /// The upstream answers all of it, preflights too.
    Upstream,
    Policy(CorsPolicy),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsPolicy {
    pub origins: Vec<OriginPattern>,
    /// Empty: those that there are.
    pub methods: Vec<Method>,
    /// Request fields that a page may set.
    pub fields: Vec<HeaderName>,
    /// Response fields that a page may read, beside those that any may (Fetch 2.2.2).
    pub exposed: Vec<HeaderName>,
    /// How long browsers may remember the answer to a preflight.
    pub max_age: Duration,
    pub credentials: AmbientCredentials,
}

/// Whether a page may read responses to requests that a browser adds cookies or Basic to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmbientCredentials {
    Included,
    Omitted,
}

/// One entry of `cors.origins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// `*`.
    Every,
    /// Exactly one label before the host of this origin.
    Label(PageOrigin),
    Exact(PageOrigin),
}

/// Why a text is no entry of `cors.origins`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternFault {
    /// A `*` that stands for something else than one label, or for all of an origin.
    Wildcard,
    /// What follows `*.` is no name of a host.
    Suffix,
    Origin(OriginFault),
}

impl OriginPattern {
    /// # Errors
    /// When the text is neither `*`, an origin, nor one whose first label is `*`.
    pub fn parse(text: &str) -> Result<Self, PatternFault> {
        if text == "*" {
            return Ok(Self::Every);
        }
        let Some((scheme, rest)) = text.split_once("://*.") else {
            return PageOrigin::parse(text).map(Self::Exact).map_err(|fault| match fault {
                OriginFault::Pattern => PatternFault::Wildcard,
                fault => PatternFault::Origin(fault),
            });
        };
        if rest.contains('*') {
            return Err(PatternFault::Wildcard);
        }
        let rest =
            PageOrigin::parse(&format!("{scheme}://{rest}")).map_err(PatternFault::Origin)?;
        if is_name(&rest.host) { Ok(Self::Label(rest)) } else { Err(PatternFault::Suffix) }
    }
}

/// Labels, the last of which is no number: before a part of an address a label is no
/// subdomain.
fn is_name(host: &str) -> bool {
    let numeric = |label: &str| label.starts_with(|first: char| first.is_ascii_digit());
    !host.starts_with('[')
        && host.split('.').all(|label| !label.is_empty())
        && host.rsplit('.').next().is_some_and(|last| !numeric(last))
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginPattern::Every => f.write_str("*"),
            OriginPattern::Label(rest) => {
                let host = format!("*.{}", rest.host);
                PageOrigin { host, ..rest.clone() }.fmt(f)
            }
            OriginPattern::Exact(origin) => origin.fmt(f),
        }
    }
}

impl PatternFault {
    fn message(self) -> &'static str {
        match self {
            PatternFault::Wildcard => {
                "a `*` stands for exactly one label, the first of a host, or alone for every origin"
            }
            PatternFault::Suffix => "expected a host name behind `*.`",
            PatternFault::Origin(fault) => fault.message(),
        }
    }

    fn help(self, text: &str) -> String {
        match self {
            PatternFault::Wildcard | PatternFault::Suffix => {
                "write an origin like \"https://*.app.example\"".to_owned()
            }
            PatternFault::Origin(fault) => fault.help(text),
        }
    }
}

impl CorsPolicy {
    /// The origins that it lists by themselves.
    pub fn exact_origins(&self) -> impl Iterator<Item = &PageOrigin> {
        self.origins.iter().filter_map(|pattern| match pattern {
            OriginPattern::Exact(origin) => Some(origin),
            OriginPattern::Every | OriginPattern::Label(_) => None,
        })
    }
}

/// What a route can say in a word.
#[derive(Clone, Copy)]
enum Word {
    Upstream,
    Gateway,
}

/// The auth API's policy, if there is one.
pub(super) fn read_cors(section: Section<'_>) -> Option<CorsPolicy> {
    let given = section.is_present() || section.is_given("origins");
    given.then(|| read_policy(section, &[]))
}

/// What a route says: a word, or a table of its own.
pub(super) fn read_route_cors(
    section: &Section<'_>,
    methods: &[Method],
    of_auth_api: Option<&CorsPolicy>,
) -> Cors {
    if !section.is_text("cors") {
        let table = section.section("cors");
        let given = table.is_present();
        return if given { Cors::Policy(read_policy(table, methods)) } else { Cors::Unset };
    }
    let words = [("upstream", Word::Upstream), ("gateway", Word::Gateway)];
    match (section.one_of("cors", &words), of_auth_api) {
        (Some(Word::Upstream) | None, _) => Cors::Upstream,
        (Some(Word::Gateway), Some(policy)) => Cors::Policy(policy.clone()),
        (Some(Word::Gateway), None) => {
            let help = "write [cors] with origins = [\"https://app.example\"]";
            let message = "there is no [cors] to apply here";
            section.note(section.given_at("cors"), "cors", message, help);
            Cors::Unset
        }
    }
}

/// `there` are the methods of the route, none if it takes every.
fn read_policy(section: Section<'_>, there: &[Method]) -> CorsPolicy {
    let credentials = if section.boolean("credentials", false) {
        AmbientCredentials::Included
    } else {
        AmbientCredentials::Omitted
    };
    let fields = read_names(&section, "fields");
    section.falls_back("fields", fixed(vec!["Authorization", "Content-Type", "X-API-Key"]));
    let exposed = read_names(&section, "expose").unwrap_or_default();
    section.falls_back("expose", no_items());
    let policy = CorsPolicy {
        origins: read_patterns(&section, credentials),
        methods: read_methods(&section),
        fields: fields.unwrap_or_else(|| FIELDS.to_vec()),
        exposed: [&EXPOSED[..], &exposed].concat(),
        max_age: section.duration("max_age", Duration::from_secs(600), Duration::ZERO..=DAY),
        credentials,
    };
    let head_of_get = |method: &Method| *method == Method::HEAD && there.contains(&Method::GET);
    let missing = |method: &&Method| !there.contains(method) && !head_of_get(method);
    if let Some(method) = policy.methods.iter().find(missing).filter(|_| !there.is_empty()) {
        let message = format!("the route takes no {method}");
        let help = format!("leave {method} out, or add it to the route's methods");
        section.note(section.given_at("methods"), "methods", message, help);
    }
    section.finish();
    policy
}

/// What the gateway's own API and its credentials need.
const FIELDS: [HeaderName; 3] =
    [header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("x-api-key")];

/// What the gateway says itself, and a page should know of its refusals.
const EXPOSED: [HeaderName; 5] = [
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("x-request-id"),
];

fn read_patterns(section: &Section<'_>, credentials: AmbientCredentials) -> Vec<OriginPattern> {
    let mut patterns = Vec::new();
    let found = section.texts("origins", EXPECTED);
    if found.is_empty() {
        let given = section.given_at("origins");
        let at = if given == Origin::Absent { section.origin() } else { given };
        section.note(at, "origins", "names no origin", format!("write {EXPECTED}"));
    }
    for found in found {
        match OriginPattern::parse(&found.value) {
            Ok(OriginPattern::Every | OriginPattern::Label(_))
                if credentials == AmbientCredentials::Included =>
            {
                let message = "`credentials` requires exact origins: every site that a pattern matches \
                               could read the responses of its visitors";
                let help = "list each origin by itself, or leave `credentials` out";
                section.note(found.origin, "origins", message, help);
            }
            Ok(pattern) if patterns.contains(&pattern) => {}
            Ok(pattern) => patterns.push(pattern),
            Err(fault) => {
                let help = fault.help(&found.value);
                section.note(found.origin, "origins", fault.message(), help);
            }
        }
    }
    patterns
}

/// Names of fields; `None` when the key is not there.
fn read_names(section: &Section<'_>, key: &'static str) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for found in section.texts(key, "the name of a field like \"X-Total-Count\"") {
        match HeaderName::from_bytes(found.value.as_bytes()) {
            // Browsers take it for a name beside credentials, and for no Authorization ever.
            Ok(name) if name == "*" => {
                let help = "name each field";
                section.note(found.origin, key, "a `*` is no name", help);
            }
            Ok(name) if names.contains(&name) => {}
            Ok(name) => names.push(name),
            Err(_) => {
                let message = format!("expected the name of a field, found {:?}", found.value);
                let help = "write a name like \"X-Request-Id\"";
                section.note(found.origin, key, message, help);
            }
        }
    }
    section.is_given(key).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_every_origin_one_label_or_an_origin() {
        for (written, normal) in [
            ("*", "*"),
            ("https://*.Example.org", "https://*.example.org"),
            ("HTTPS://*.example.org:443", "https://*.example.org"),
            ("http://*.example.org:8080", "http://*.example.org:8080"),
            ("https://*.localhost:8443", "https://*.localhost:8443"),
            ("https://App.example:443", "https://app.example"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            let parsed = OriginPattern::parse(written).map(|pattern| pattern.to_string());
            assert_eq!(parsed.as_deref(), Ok(normal), "{written}");
        }
    }

    #[test]
    fn a_wildcard_is_the_first_label_of_a_name_and_nothing_else() {
        for written in [
            "https://*",
            "https://**.example.org",
            "https://*.*.example.org",
            "https://a*.example.org",
            "https://*a.example.org",
            "https://app.*.org",
            "https://app.example:*",
            "*://app.example",
            "*.example.org",
            "https://*:8443",
        ] {
            assert_eq!(OriginPattern::parse(written), Err(PatternFault::Wildcard), "{written}");
        }
        for written in [
            "https://*.0.0.1",
            "https://*.1",
            "https://*.[::1]",
            "https://*..example.org",
            "https://*.example.org.",
        ] {
            assert_eq!(OriginPattern::parse(written), Err(PatternFault::Suffix), "{written}");
        }
        for (written, fault) in [
            ("https://*.", OriginFault::Host),
            ("https://*.example.org/", OriginFault::Rest),
            ("https://*.example.org:0", OriginFault::Port),
            ("null", OriginFault::Null),
        ] {
            let refused = Err(PatternFault::Origin(fault));
            assert_eq!(OriginPattern::parse(written), refused, "{written}");
        }
    }
}
