//! Which credential a request presents, and what it proves.
//!
//! Each scheme answers absent, accepted or refused. A refused credential is
//! never passed over for another: two at once are a conflict, not a choice.

mod api_key;
pub mod basic;
mod bearer;
pub mod ticket;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, header};

use crate::auth::Core;
use crate::auth::api_key::PREFIX;
use crate::auth::principal::Principal;

use super::reason::{Reason, Rejection};
use super::throttle::{Caller, Throttle};

/// The field for API keys beside `Authorization`.
pub const API_KEY_FIELD: HeaderName = HeaderName::from_static("x-api-key");

/// What a request presents.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    Nothing,
    /// The encoded part of `Authorization: Basic`.
    Basic(&'a str),
    Bearer(&'a str),
    /// An access token that a browser sent along by itself.
    Cookie(&'a str),
    Key(&'a str),
    Ticket(&'a str),
    /// An `Authorization` that is no text, and no bearer token: it may hold a password.
    Unreadable,
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

    /// An access token, whichever way it came.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match self {
            Presented::Bearer(token) | Presented::Cookie(token) => Some(token),
            _ => None,
        }
    }
}

/// Finds the one credential of a request.
///
/// # Errors
/// [`Reason::CredentialsConflict`] when there is more than one.
pub fn presented<'a>(
    headers: &'a HeaderMap,
    ticket: Option<&'a str>,
) -> Result<Presented<'a>, Rejection> {
    let authorization = only(headers, &header::AUTHORIZATION)?;
    let key = only(headers, &API_KEY_FIELD)?;
    match (authorization, key, ticket) {
        (None, None, None) => Ok(Presented::Nothing),
        (Some(Field::Text(value)), None, None) => Ok(parse_authorization(value)),
        (None, Some(Field::Text(value)), None) => Ok(Presented::Key(value)),
        (None, None, Some(ticket)) => Ok(Presented::Ticket(ticket)),
        (Some(Field::Unreadable(value)), None, None) => Ok(name_unreadable(value)),
        // No key of ours, and nothing that could be guessed.
        (None, Some(Field::Unreadable(_)), None) => Ok(Presented::Key("")),
        _ => Err(Reason::CredentialsConflict.into()),
    }
}

enum Field<'a> {
    Text(&'a str),
    Unreadable(&'a [u8]),
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Field<'a>>, Rejection> {
    let mut lines = headers.get_all(name).iter();
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(Reason::CredentialsConflict.into());
    }
    Ok(Some(first.to_str().map_or(Field::Unreadable(first.as_bytes()), Field::Text)))
}

/// `scheme SP credentials` (RFC 9110 11.4); the scheme in any case.
fn parse_authorization(value: &str) -> Presented<'_> {
    let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
    let credentials = credentials.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("basic") {
        Presented::Basic(credentials)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        if credentials.starts_with(PREFIX) {
            Presented::Key(credentials)
        } else {
            Presented::Bearer(credentials)
        }
    } else {
        // A scheme that is not ours proves nothing here.
        Presented::Nothing
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
) -> Result<Option<Arc<Principal>>, Rejection> {
    match presented {
        Presented::Nothing => Ok(None),
        Presented::Bearer(token) | Presented::Cookie(token) => {
            bearer::check(core, throttle, caller, token).await.map(Some)
        }
        Presented::Basic(encoded) => {
            basic::check(core, throttle, caller, encoded).await.map(|p| Some(Arc::new(p)))
        }
        Presented::Key(text) => {
            api_key::check(core, throttle, caller, text).await.map(|p| Some(Arc::new(p)))
        }
        Presented::Ticket(text) => {
            ticket::check(core, throttle, caller, text).await.map(|p| Some(Arc::new(p)))
        }
        Presented::Unreadable => basic::check(core, throttle, caller, "")
            .await
            .map(|principal| Some(Arc::new(principal))),
    }
}

#[cfg(test)]
mod tests;
