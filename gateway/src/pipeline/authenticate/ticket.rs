//! A single-use ticket in the query of a WebSocket upgrade (S1-27).

use std::sync::Arc;

use crate::auth::Core;
use crate::auth::principal::{Principal, Scheme};
use crate::auth::secret::Secret;
use crate::pipeline::reason::{Rejection, Tried};
use crate::pipeline::throttle::{Caller, Throttle};

pub(super) async fn check(
    core: &Arc<Core>,
    throttle: &Arc<Throttle>,
    caller: &Caller,
    text: &str,
) -> Result<Principal, Rejection> {
    let (core, text) = (Arc::clone(core), Secret::from(text));
    let redeem = async move { core.redeem_ticket(text.expose()).await };
    throttle.attempt(caller, None, Tried::Credential(Scheme::Ticket), redeem).await
}

/// The ticket in a query, and the query without it. More than one is `Err`.
pub fn split_query(query: &str) -> Result<(Option<&str>, String), MoreThanOne> {
    let mut ticket = None;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.strip_prefix("token=") {
            Some(_) if ticket.is_some() => return Err(MoreThanOne),
            Some(text) => ticket = Some(text),
            None => rest.push(pair),
        }
    }
    Ok((ticket, rest.join("&")))
}

/// Two tickets in one query.
#[derive(Debug, PartialEq, Eq)]
pub struct MoreThanOne;
