//! A policy of routes or of the auth API, and what it lets a response say.

use std::sync::Arc;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::config::cors::{AmbientCredentials, Cors, CorsPolicy, OriginPattern};
use crate::config::page_origin::PageOrigin;

/// What all fields of the protocol begin with, in requests and responses.
pub(super) const FAMILY: &str = "access-control-";
/// As `Vary` names the field.
const ORIGIN: &str = "Origin";
/// What pages may send with where neither route nor policy names methods.
pub(super) const USUAL_METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// What a route says of pages of other origins.
#[derive(Debug, Clone)]
pub enum Rule {
    Unset,
    /// The upstream's word counts, and preflights go to it.
    Upstream,
    Policy(Arc<Policy>),
}

impl Rule {
    #[must_use]
    pub fn new(cors: &Cors) -> Self {
        match cors {
            Cors::Unset => Self::Unset,
            Cors::Upstream => Self::Upstream,
            Cors::Policy(policy) => Self::Policy(Arc::new(Policy::new(policy))),
        }
    }

    pub(super) fn policy(&self) -> Option<&Arc<Policy>> {
        match self {
            Rule::Policy(policy) => Some(policy),
            Rule::Unset | Rule::Upstream => None,
        }
    }
}

/// A policy, its fields written once.
#[derive(Debug)]
pub struct Policy {
    origins: Vec<Entry>,
    methods: Vec<Method>,
    pub(super) fields: Vec<HeaderName>,
    allowed_fields: HeaderValue,
    exposed_fields: HeaderValue,
    max_age: HeaderValue,
    credentials: AmbientCredentials,
}

/// An entry of `origins`, in the form in which browsers state origins: they are compared
/// byte by byte (Fetch 4.10), so a second spelling of one is nobody's.
#[derive(Debug)]
enum Entry {
    Every,
    /// What stands before and behind the label.
    Label {
        before: String,
        behind: String,
    },
    Exact(String),
}

impl Entry {
    fn new(pattern: &OriginPattern) -> Self {
        match pattern {
            OriginPattern::Every => Self::Every,
            OriginPattern::Exact(origin) => Self::Exact(origin.to_string()),
            OriginPattern::Label(rest) => {
                let before = format!("{}://", rest.scheme);
                let behind = format!(".{}", &rest.to_string()[before.len()..]);
                Self::Label { before, behind }
            }
        }
    }

    fn fits(&self, stated: &str) -> bool {
        match self {
            Entry::Exact(origin) => stated == origin,
            Entry::Label { before, behind } => {
                let rest = stated.strip_prefix(before.as_str());
                rest.and_then(|rest| rest.strip_suffix(behind.as_str())).is_some_and(is_label)
            }
            // What cannot be listed is no origin either: `null` is any sandboxed page.
            Entry::Every => PageOrigin::parse(stated).is_ok_and(|it| it.to_string() == stated),
        }
    }
}

fn is_label(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=63).contains(&text.len()) && text.bytes().all(fits)
}

/// What a response tells a browser beside whose pages may read it.
pub(super) enum Told<'a> {
    Response,
    /// The methods that may be used.
    Preflight(&'a HeaderValue),
}

impl Policy {
    #[must_use]
    pub fn new(policy: &CorsPolicy) -> Self {
        Self {
            origins: policy.origins.iter().map(Entry::new).collect(),
            methods: policy.methods.clone(),
            fields: policy.fields.clone(),
            allowed_fields: list(policy.fields.iter().map(HeaderName::as_str)),
            exposed_fields: list(policy.exposed.iter().map(HeaderName::as_str)),
            max_age: HeaderValue::from(policy.max_age.as_secs()),
            credentials: policy.credentials,
        }
    }

    /// Whether pages of the origin may read what it is the policy of.
    pub(super) fn lists(&self, origin: &HeaderValue) -> bool {
        let stated = origin.to_str();
        stated.is_ok_and(|stated| self.origins.iter().any(|entry| entry.fits(stated)))
    }

    /// The methods that pages may use, of those that there are; none named is every one.
    pub(super) fn methods<'a>(&'a self, there: &[&'a str]) -> Vec<&'a str> {
        let named = self.methods.iter().map(Method::as_str);
        match (self.methods.is_empty(), there.is_empty()) {
            (true, true) => USUAL_METHODS.to_vec(),
            (true, false) => there.to_vec(),
            (false, true) => named.collect(),
            (false, false) => named.filter(|method| there.contains(method)).collect(),
        }
    }

    /// The one place where these fields are written. Whatever an upstream said of them
    /// goes first, so that nobody is let in by it and no field comes twice.
    pub(super) fn write(
        &self,
        origin: Option<&HeaderValue>,
        told: Told<'_>,
        headers: &mut HeaderMap,
    ) {
        remove_family(headers);
        vary_by_origin(headers);
        let Some(origin) = origin.filter(|origin| self.lists(origin)) else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials == AmbientCredentials::Included {
            let value = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, value);
        }
        match told {
            Told::Response => {
                let exposed = self.exposed_fields.clone();
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            }
            Told::Preflight(methods) => {
                let fields = self.allowed_fields.clone();
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fields);
                headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
            }
        }
    }
}

/// Names and methods are tokens, which every field can hold.
pub(super) fn list<'a>(words: impl Iterator<Item = &'a str>) -> HeaderValue {
    let text = words.collect::<Vec<_>>().join(", ");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn remove_family(headers: &mut HeaderMap) {
    let of_family = |name: &&HeaderName| name.as_str().starts_with(FAMILY);
    let names: Vec<HeaderName> = headers.keys().filter(of_family).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Said to everybody, also where no origin was stated: a cache would else give a page the
/// response that it keeps from somebody else's request, without the fields.
fn vary_by_origin(headers: &mut HeaderMap) {
    let names = |value: &HeaderValue| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        tokens.any(|token| token == b"*" || token.eq_ignore_ascii_case(ORIGIN.as_bytes()))
    };
    if !headers.get_all(header::VARY).iter().any(names) {
        headers.append(header::VARY, HeaderValue::from_static(ORIGIN));
    }
}

/// Under which policy the response to a request is.
#[derive(Debug, Clone)]
pub enum Applied {
    /// The request did not get so far.
    Unknown,
    /// None: the fields stay as they are.
    Nothing,
    Policy(Arc<Policy>),
    /// And these methods may be used.
    Preflight(Arc<Policy>, HeaderValue),
}

impl Applied {
    pub(super) fn of(policy: Option<&Arc<Policy>>) -> Self {
        policy.map_or(Self::Nothing, |policy| Self::Policy(Arc::clone(policy)))
    }
}
