//! Paths that two contracts share (C1 to C4), and the one table of what tells their requests
//! apart. The configuration asks it which contracts may have one prefix, the table of paths
//! whether every path that has several owners can be served.

use super::{Contract, Operation};

/// What is looked at before a request is decoded.
#[derive(Debug, Default)]
pub struct RequestTraits {
    pub media: Media,
    /// The names in the body's JSON object.
    pub members: Vec<String>,
    /// Whether an `Authorization` field is there.
    pub authorization: bool,
    /// Whether a cookie with a refresh token is there.
    pub refresh_cookie: bool,
}

/// As what a body is announced.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    Form,
    Json,
    #[default]
    Other,
}

impl RequestTraits {
    fn has(&self, member: &str) -> bool {
        self.members.iter().any(|name| name == member)
    }

    fn refreshes_by_cookie(&self) -> bool {
        self.refresh_cookie && !self.authorization
    }
}

/// Whether a request for a shared path is an endpoint's.
pub type Rule = fn(&RequestTraits) -> bool;

/// What an endpoint is, as far as the table knows it.
pub type Owner = (Contract, Operation);

/// Two endpoints that may have one path, and which requests are whose.
type Pair = [(Owner, Rule); 2];

const SHARED: &[Pair] = &[
    // C1
    [
        ((Contract::Form, Operation::Login), |request| request.media == Media::Form),
        ((Contract::Plain, Operation::Login), |request| request.media == Media::Json),
    ],
    // C2
    [
        ((Contract::Form, Operation::Refresh), |request| request.has("refresh_token")),
        ((Contract::Plain, Operation::Refresh), |request| request.has("refreshToken")),
    ],
    // C3
    [
        ((Contract::Status, Operation::Login), |request| request.has("username")),
        ((Contract::Envelope, Operation::Login), |request| request.has("email")),
    ],
    // C4
    [
        ((Contract::Status, Operation::Refresh), |request| {
            request.has("refresh_token") || request.refreshes_by_cookie()
        }),
        ((Contract::Envelope, Operation::Reissue), |request| {
            !request.has("refresh_token") && !request.refreshes_by_cookie()
        }),
    ],
];

/// Which requests are `one`'s on a path that it shares with `other`; `None` where nothing tells
/// them apart.
#[must_use]
pub fn rule(one: Owner, other: Owner) -> Option<Rule> {
    SHARED.iter().find_map(|[(first, of_first), (second, of_second)]| match (one, other) {
        (one, other) if one == *first && other == *second => Some(*of_first),
        (one, other) if one == *second && other == *first => Some(*of_second),
        _ => None,
    })
}

/// Whether two contracts may be mounted at one prefix.
#[must_use]
pub fn may_share_prefix(one: Contract, other: Contract) -> bool {
    SHARED.iter().any(|[((first, _), _), ((second, _), _)]| {
        (one, other) == (*first, *second) || (other, one) == (*first, *second)
    })
}
