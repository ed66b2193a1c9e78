//! A single-use ticket in the query of a WebSocket upgrade (S1-27).

use std::borrow::Cow;
use std::sync::Arc;

use http::uri::PathAndQuery;
use tokio::task::JoinError;

use crate::auth::Core;
use crate::auth::error::Error;
use crate::auth::principal::{Principal, Scheme};
use crate::auth::secret::Secret;
use crate::pipeline::reason::{Reason, Rejection, Tried};
use crate::pipeline::throttle::{Caller, Throttle};
use crate::telemetry::request_scope;

const TRIED: Tried = Tried::Credential(Scheme::Ticket);

/// A refusal is no failed attempt unless the operator counts all: a ticket cannot be
/// guessed, and any page can open sockets with made-up ones from its visitor's address.
pub(super) async fn authenticate(
    core: &Arc<Core>,
    throttle: &Arc<Throttle>,
    caller: &Caller,
    text: &str,
) -> Result<Principal, Rejection> {
    throttle.check(caller.source)?;
    let (core, text) = (Arc::clone(core), Secret::from(text));
    // A task of its own: a client that leaves must not keep its ticket good.
    let redeeming = request_scope::spawn(async move { core.redeem_ticket(text.expose()).await });
    match redeeming.await {
        // In turn, so that the count is exact.
        Ok(Err(error)) if caller.counts(TRIED) => {
            throttle.attempt(caller, None, TRIED, async move { Err(error) }).await
        }
        redeemed => finished(redeemed),
    }
}

/// Redeems a ticket that came where it opens nothing, so that nobody else can: such a
/// URL lands in histories and logs.
///
/// # Errors
/// When the store cannot tell that it is gone.
pub async fn spend(core: &Arc<Core>, text: &str) -> Result<(), Rejection> {
    let (core, text) = (Arc::clone(core), Secret::from(text));
    let spending = request_scope::spawn(async move { core.spend_ticket(text.expose()).await });
    finished(spending.await)
}

fn finished<T>(outcome: Result<Result<T, Error>, JoinError>) -> Result<T, Rejection> {
    match outcome {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Rejection::from_core(error, TRIED)),
        Err(lost) => Err(Reason::Internal.with_detail(lost)),
    }
}

/// What a target holds of a ticket, and the target without it, else as it was written.
///
/// # Errors
/// As [`split_query`].
pub fn split_target(
    target: &PathAndQuery,
) -> Result<(Option<Cow<'_, str>>, PathAndQuery), Rejection> {
    let (ticket, rest) = match target.query() {
        Some(query) => split_query(query)?,
        None => (None, None),
    };
    if ticket.is_none() {
        return Ok((None, target.clone()));
    }
    let path = target.path();
    let rest = rest.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    // It was one before, and a part of its query is gone.
    let rest = PathAndQuery::try_from(rest).map_err(|_| Reason::TargetMalformed)?;
    Ok((ticket, rest))
}

/// What a query holds of a ticket, and the query without it; `None` when nothing is left.
pub type Split<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

/// The parameter `token` in a query, however it is escaped, and the rest as it came.
///
/// # Errors
/// [`Reason::CredentialsConflict`] when it is there twice.
pub fn split_query(query: &str) -> Result<Split<'_>, Rejection> {
    let mut ticket = None;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match form_urlencoded::parse(pair.as_bytes()).next() {
            Some((name, text)) if name == "token" => {
                if ticket.replace(text).is_some() {
                    return Err(Reason::CredentialsConflict.into());
                }
            }
            _ => rest.push(pair),
        }
    }
    if ticket.is_none() {
        return Ok((None, Some(Cow::Borrowed(query))));
    }
    let rest = rest.join("&");
    Ok((ticket, (!rest.is_empty()).then_some(Cow::Owned(rest))))
}
