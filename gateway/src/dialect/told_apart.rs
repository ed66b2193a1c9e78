//! Paths that two contracts share (C1 to C4), and the one table of what tells their
//! requests apart.

use super::{Candidate, Contract, Operation, body};

/// What is looked at before a request is decoded.
#[derive(Debug, Default)]
pub struct Telltale<'a> {
    pub content_type: Option<&'a str>,
    /// The names in the body's JSON object.
    pub members: Vec<String>,
    /// Whether an `Authorization` field is there.
    pub authorization: bool,
    /// Whether a cookie with a refresh token is there.
    pub refresh_cookie: bool,
}

impl Telltale<'_> {
    fn has(&self, member: &str) -> bool {
        self.members.iter().any(|name| name == member)
    }

    fn refreshes_by_cookie(&self) -> bool {
        self.refresh_cookie && !self.authorization
    }
}

type Rule = (Contract, Operation, fn(&Telltale<'_>) -> bool);

/// When a request for a shared path is this contract's.
const RULES: &[Rule] = &[
    // C1
    (Contract::Form, Operation::Login, |told| body::is_form(told.content_type)),
    (Contract::Plain, Operation::Login, |told| body::is_json(told.content_type)),
    // C2
    (Contract::Form, Operation::Refresh, |told| told.has("refresh_token")),
    (Contract::Plain, Operation::Refresh, |told| told.has("refreshToken")),
    // C3
    (Contract::Status, Operation::Login, |told| told.has("username")),
    (Contract::Envelope, Operation::Login, |told| told.has("email")),
    // C4
    (Contract::Status, Operation::Refresh, |told| {
        told.has("refresh_token") || told.refreshes_by_cookie()
    }),
    (Contract::Envelope, Operation::Reissue, |told| {
        !told.has("refresh_token") && !told.refreshes_by_cookie()
    }),
];

/// Whose request for a shared path is.
#[derive(Clone, Copy)]
pub enum Chosen<'a> {
    /// One that fits none is the path's default's, which refuses it for what it lacks.
    One(&'a Candidate),
    /// It has the marks of several, and is refused in the shape of the default.
    Several(&'a Candidate),
}

/// Whose request it is; `None` only where there is no candidate.
#[must_use]
pub fn choose<'a>(candidates: &'a [Candidate], told: &Telltale<'_>) -> Option<Chosen<'a>> {
    let [first, second, ..] = candidates else {
        return candidates.first().map(Chosen::One);
    };
    debug_assert!(first.dialect.contract() != second.dialect.contract());
    let mut fitting = candidates.iter().filter(|candidate| {
        let own = |rule: &&Rule| {
            rule.0 == candidate.dialect.contract() && rule.1 == candidate.endpoint.operation
        };
        RULES.iter().find(own).is_some_and(|(_, _, fits)| fits(told))
    });
    Some(match (fitting.next(), fitting.next()) {
        (Some(only), None) => Chosen::One(only),
        (Some(_), Some(_)) => Chosen::Several(first),
        (None, _) => Chosen::One(first),
    })
}
