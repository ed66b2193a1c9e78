//! Which credential a request presents, and what it proves.
//!
//! Each scheme answers absent, accepted or refused. A refused credential is
//! never passed over for another: two at once are a conflict, not a choice. Only what
//! cannot be a credential of ours, by its form or because the route does not take its
//! scheme, is no part of that: it is the application's.

mod api_key;
pub mod basic;
mod bearer;
mod browser;
pub mod own;
pub mod request;
pub mod ticket;

use std::sync::Arc;

use http::header::GetAll;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::auth::Core;
use crate::auth::api_key::PREFIX;
use crate::auth::principal::{Principal, Scheme};
use crate::auth::renew::Renewed;
use crate::config::schemes::{CallerScheme, Schemes};
use crate::dialect::delivery::{ACCESS_COOKIE, REFRESH_COOKIE};

use super::cookie;
use super::message::{self, Repeated};
use super::reason::{Reason, Rejection};
use super::throttle::{Caller, Throttle};

use own::Own;

/// The field for API keys beside `Authorization`.
pub const API_KEY_FIELD: HeaderName = HeaderName::from_static("x-api-key");

/// The credential of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    Nothing,
    /// The encoded part of `Authorization: Basic`: name and password, or an API key.
    Basic(&'a str),
    Bearer(&'a str),
    /// What a browser sent along by itself.
    Cookie(BrowserTokens<'a>),
    Key(&'a str),
    Ticket(&'a str),
    /// An `Authorization` that is no text, and no bearer token: it may hold a password.
    Unreadable,
}

/// The tokens that a browser holds in our cookies. One of them is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserTokens<'a> {
    pub access: Option<&'a str>,
    /// Which renews the other.
    pub renewal: Option<&'a str>,
}

impl<'a> BrowserTokens<'a> {
    fn find(headers: &'a HeaderMap) -> Result<Option<Self>, Rejection> {
        let access = cookie::find(headers, ACCESS_COOKIE)?;
        // Of two nobody knows which one counts, so neither renews anything.
        let renewal = cookie::find(headers, REFRESH_COOKIE).unwrap_or_default();
        let found = access.is_some() || renewal.is_some();
        Ok(found.then_some(Self { access, renewal }))
    }
}

/// Who a request is from.
pub struct Proven {
    pub principal: Arc<Principal>,
    /// Tokens for a browser in place of those that it came with.
    pub renewed: Option<Arc<Renewed>>,
}

impl From<Arc<Principal>> for Proven {
    fn from(principal: Arc<Principal>) -> Self {
        Self { principal, renewed: None }
    }
}

impl Presented<'_> {
    /// Whether a browser sends it by itself, whichever page asks. What is no text
    /// is tried as Basic, and so judged as Basic.
    #[must_use]
    pub fn is_ambient(&self) -> bool {
        match self {
            Presented::Basic(_) | Presented::Cookie(_) | Presented::Unreadable => true,
            Presented::Nothing
            | Presented::Bearer(_)
            | Presented::Key(_)
            | Presented::Ticket(_) => false,
        }
    }

    /// Whether it is of a form that could be a credential of the gateway's. A key that is
    /// mistyped is meant for the gateway all the same, and so is a token.
    fn can_be_ours(&self, own: &impl Own) -> bool {
        match self {
            Presented::Nothing => false,
            Presented::Bearer(token) => own.may_be_token(token),
            Presented::Key(key) => key.starts_with(PREFIX),
            Presented::Basic(_)
            | Presented::Cookie(_)
            | Presented::Ticket(_)
            | Presented::Unreadable => true,
        }
    }

    /// By which scheme it came, for the log. What is no text is judged as Basic.
    #[must_use]
    pub fn scheme(&self) -> Option<&'static str> {
        match self {
            Presented::Nothing => None,
            Presented::Basic(_) | Presented::Unreadable => Some(Scheme::Basic.as_str()),
            Presented::Bearer(_) => Some(Scheme::Bearer.as_str()),
            Presented::Cookie(_) => Some("cookie"),
            Presented::Key(_) => Some(Scheme::ApiKey.as_str()),
            Presented::Ticket(_) => Some(Scheme::Ticket.as_str()),
        }
    }

    /// An access token, whichever way it came.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match self {
            Presented::Bearer(token) => Some(token),
            Presented::Cookie(tokens) => tokens.access,
            _ => None,
        }
    }
}

/// What a request presents, and what becomes of its credential fields.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'a> {
    pub presented: Presented<'a>,
    pub fields: Fields,
}

/// What becomes of the fields that can hold a credential, unless the route forwards them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fields {
    pub authorization: Fate,
    pub api_key: Fate,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// It was presented to the gateway, and ends here.
    #[default]
    Ends,
    /// It is the application's.
    Passes,
    /// It was not presented, and holds something of ours all the same.
    Withheld,
}

impl Fields {
    /// That of a field by its name, if it can hold a credential.
    #[must_use]
    pub fn fate(self, name: &HeaderName) -> Option<Fate> {
        if *name == header::AUTHORIZATION {
            Some(self.authorization)
        } else {
            (*name == API_KEY_FIELD).then_some(self.api_key)
        }
    }
}

/// A credential and the field it stands in, unless that is the query.
type Candidate<'a> = (Presented<'a>, Option<HeaderName>);

/// Finds the one credential of a request among those that are the gateway's: by these
/// schemes, and of a form that can be ours. What cannot be ours is the application's
/// beside one that can; alone it is presented, and refused. A cookie counts only where
/// nothing else can be ours.
///
/// # Errors
/// [`Reason::CredentialsConflict`] when there is more than one.
pub fn presented<'a>(
    own: &impl Own,
    headers: &'a HeaderMap,
    schemes: Schemes,
    ticket: Option<&'a str>,
) -> Result<Found<'a>, Rejection> {
    // Two lines are refused whoever they are for: servers differ in which one counts.
    let authorization = find(headers, &header::AUTHORIZATION)?
        .and_then(|field| read_authorization(own, &field, schemes))
        .map(|presented| (presented, Some(header::AUTHORIZATION)));
    let key = if schemes.has(CallerScheme::Key) { find(headers, &API_KEY_FIELD)? } else { None };
    let key = key.map(|field| (read_key(&field), Some(API_KEY_FIELD)));
    let ticket = ticket.map(|ticket| (Presented::Ticket(ticket), None));
    let cookies = schemes.has(CallerScheme::Cookie).then_some(headers);
    let (presented, field) = choose(own, [authorization, key, ticket], cookies)?;
    let fate = |name| match &field {
        Some(field) if *field == name => Fate::Ends,
        _ => fate(own, headers.get_all(name)),
    };
    let fields =
        Fields { authorization: fate(header::AUTHORIZATION), api_key: fate(API_KEY_FIELD) };
    Ok(Found { presented, fields })
}

fn choose<'a>(
    own: &impl Own,
    candidates: [Option<Candidate<'a>>; 3],
    cookies: Option<&'a HeaderMap>,
) -> Result<Candidate<'a>, Rejection> {
    let cookies = cookies.filter(|headers| headers.contains_key(header::COOKIE));
    let mut all = candidates.iter().flatten();
    let (first, second) = (all.next(), all.next());
    // Alone it is judged whatever its form, which costs nothing to tell.
    if let (Some(only), None, None) = (first, second, cookies) {
        return Ok(only.clone());
    }
    let mut ours = candidates.iter().flatten().filter(|(found, _)| found.can_be_ours(own));
    match (ours.next(), ours.next()) {
        (Some(only), None) => return Ok(only.clone()),
        (Some(_), Some(_)) => return Err(Reason::CredentialsConflict.into()),
        (None, _) => {}
    }
    let cookie = match cookies {
        Some(headers) => BrowserTokens::find(headers)?,
        None => None,
    };
    match (cookie, first, second) {
        (Some(cookie), ..) => Ok((Presented::Cookie(cookie), None)),
        (None, Some(_), Some(_)) => Err(Reason::CredentialsConflict.into()),
        (None, first, _) => Ok(first.cloned().unwrap_or((Presented::Nothing, None))),
    }
}

/// What becomes of a field that was not presented.
fn fate(own: &impl Own, lines: GetAll<'_, HeaderValue>) -> Fate {
    let mut lines = lines.iter().peekable();
    if lines.peek().is_none() {
        Fate::Ends
    } else if lines.any(|line| own::stands_in(own, line.as_bytes())) {
        Fate::Withheld
    } else {
        Fate::Passes
    }
}

/// What becomes of the fields where nobody is asked. What cannot be ours is the application's.
/// A password by Basic can: browsers add the one that the gateway has asked for elsewhere.
pub fn unasked(own: &impl Own, headers: &HeaderMap) -> Fields {
    let fate = |name, can_be_ours: &dyn Fn(&Field<'_>) -> bool| match find(headers, name) {
        Ok(Some(field)) if !can_be_ours(&field) => fate(own, headers.get_all(name)),
        _ => Fate::Ends,
    };
    Fields {
        authorization: fate(&header::AUTHORIZATION, &|field| {
            let presented = read_authorization(own, field, Schemes::ALL);
            presented.is_some_and(|presented| presented.can_be_ours(own))
        }),
        api_key: fate(&API_KEY_FIELD, &|field| read_key(field).can_be_ours(own)),
    }
}

enum Field<'a> {
    Text(&'a str),
    Unreadable(&'a [u8]),
}

fn find<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Field<'a>>, Rejection> {
    let line = message::only(headers, name).map_err(|Repeated| Reason::CredentialsConflict)?;
    Ok(line.map(|line| line.to_str().map_or(Field::Unreadable(line.as_bytes()), Field::Text)))
}

fn read_key<'a>(field: &Field<'a>) -> Presented<'a> {
    match field {
        Field::Text(text) => Presented::Key(text),
        // No key of ours, and nothing that could be guessed.
        Field::Unreadable(_) => Presented::Key(""),
    }
}

/// What an `Authorization` presents by one of these schemes; by none, it is none of ours.
fn read_authorization<'a>(
    own: &impl Own,
    field: &Field<'a>,
    schemes: Schemes,
) -> Option<Presented<'a>> {
    let presented = match field {
        Field::Text(value) => parse_authorization(value)?,
        Field::Unreadable(value) => name_unreadable(value),
    };
    let is_taken = match presented {
        Presented::Basic(encoded) => {
            let by_key = || schemes.has(CallerScheme::Key) && basic::holds_key(own, encoded);
            schemes.has(CallerScheme::Basic) || by_key()
        }
        Presented::Unreadable => schemes.has(CallerScheme::Basic),
        Presented::Key(_) => schemes.has(CallerScheme::Key),
        _ => schemes.has(CallerScheme::Bearer),
    };
    is_taken.then_some(presented)
}

/// `scheme SP credentials` (RFC 9110 11.4); the scheme in any case.
fn parse_authorization(value: &str) -> Option<Presented<'_>> {
    let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
    let credentials = credentials.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("basic") {
        Some(Presented::Basic(credentials))
    } else if scheme.eq_ignore_ascii_case("bearer") {
        let is_key = credentials.starts_with(PREFIX);
        Some(if is_key { Presented::Key(credentials) } else { Presented::Bearer(credentials) })
    } else {
        // A scheme that is not ours proves nothing here.
        None
    }
}

fn name_unreadable(value: &[u8]) -> Presented<'_> {
    let is_bearer = value.split(|byte| *byte == b' ').next();
    if is_bearer.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer")) {
        Presented::Bearer("")
    } else {
        Presented::Unreadable
    }
}

/// Judges what was presented; `None` when nothing was.
///
/// # Errors
/// Why it was refused.
pub async fn authenticate(
    core: &Arc<Core>,
    throttle: &Arc<Throttle>,
    caller: &Caller,
    presented: Presented<'_>,
) -> Result<Option<Proven>, Rejection> {
    let principal = match presented {
        Presented::Nothing => return Ok(None),
        Presented::Cookie(tokens) => {
            return browser::authenticate(core, throttle, caller, tokens).await.map(Some);
        }
        Presented::Bearer(token) => bearer::authenticate(core, throttle, caller, token).await?,
        Presented::Basic(encoded) => {
            Arc::new(basic::authenticate(core, throttle, caller, encoded).await?)
        }
        Presented::Key(text) => {
            Arc::new(api_key::authenticate(core, throttle, caller, text).await?)
        }
        Presented::Ticket(text) => {
            Arc::new(ticket::authenticate(core, throttle, caller, text).await?)
        }
        Presented::Unreadable => Arc::new(basic::authenticate(core, throttle, caller, "").await?),
    };
    Ok(Some(principal.into()))
}

#[cfg(test)]
mod tests;
