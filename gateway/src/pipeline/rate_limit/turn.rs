//! Requests of browsers that wait for their turn when the bucket of their address is empty.
//! A page of an application asks for more at once than fits into it, and is blank if some
//! of that is refused.
//!
//! A request waits only if memory tells that its credential is good: none waits about which
//! a hash or the store would have to be asked. That some wait and others do not tells who is
//! over the limit whether what it sent is good, so it must be no way to guess. Tokens and
//! keys are beyond guessing. A password is not: it counts on a client's own connection,
//! which has proven it before, until another is compared with it.

use std::time::Duration;

use http::HeaderMap;

use crate::auth::account::AccountId;
use crate::auth::source::Source;
use crate::config::schemes::{CallerScheme, Schemes};
use crate::pipeline::authenticate::{self, Presented, basic};
use crate::pipeline::client::Client;
use crate::pipeline::connection::Connection;
use crate::pipeline::gateway::Gateway;
use crate::pipeline::message;
use crate::pipeline::reason::Rejection;
use crate::pipeline::site::Site;

use super::RateLimit;

/// Remembers for its connection that a browser's Basic credential was good.
pub fn note_proven(
    gateway: &Gateway,
    site: &Site,
    connection: &Connection,
    (client, headers): (&Client, &HeaderMap),
    presented: Presented<'_>,
) {
    if let Presented::Basic(encoded) = presented
        && !site.wait.is_zero()
        && connection.proven.is_open()
        && is_of_browser(headers)
        && is_own_connection(connection, client)
    {
        connection.proven.note(gateway.core.basic_mark(encoded));
    }
}

/// Waits for a token of an address that has none, where that is allowed.
///
/// # Errors
/// The request is refused: it may not wait, or has waited in vain.
pub async fn wait(
    gateway: &Gateway,
    site: &Site,
    connection: &Connection,
    (client, headers): (&Client, &HeaderMap),
    (bucket, retry_after): (&RateLimit, Duration),
) -> Result<(), Rejection> {
    let (turns, source) = (&gateway.turns, Source::of(client.address));
    if site.wait.is_zero() || !is_of_browser(headers) {
        return Err(bucket.refusal(retry_after).into());
    }
    let account = whose(gateway, site, connection, (client, headers));
    let account = account.ok_or_else(|| bucket.refusal(retry_after))?;
    let expected = bucket.expected_wait(source);
    if expected > site.wait {
        return Err(bucket.refusal(expected).with_detail("those before it wait as long as it may"));
    }
    let Some(_place) = turns.join(account) else {
        return Err(bucket.refusal(retry_after).with_detail("too many others wait for their turn"));
    };
    gateway.counters.rate_waited.increment();
    let turn = tokio::time::timeout(site.wait, bucket.wait(source)).await;
    turn.map_err(|_| {
        let again = bucket.expected_wait(source);
        bucket.refusal(again).with_detail("it has waited for its turn as long as it may")
    })
}

fn is_of_browser(headers: &HeaderMap) -> bool {
    matches!(message::only(headers, &message::SEC_FETCH_MODE), Ok(Some(_)))
}

/// Whether nobody else's requests come by it, as far as the gateway can tell.
fn is_own_connection(connection: &Connection, client: &Client) -> bool {
    let peer = connection.peer_ip();
    peer == client.address && !connection.rules.is_trusted_proxy(peer)
}

/// Whose request it is, as far as memory tells. Which schemes the route takes is for later:
/// our cookie counts beside an application's credential as well.
fn whose(
    gateway: &Gateway,
    site: &Site,
    connection: &Connection,
    (client, headers): (&Client, &HeaderMap),
) -> Option<AccountId> {
    let by = |schemes| {
        let found = authenticate::presented(gateway.core.as_ref(), headers, schemes, None).ok()?;
        known_account(gateway, connection, client, found.presented)
    };
    let cookie = Schemes::from_iter([CallerScheme::Cookie]);
    by(site.given(Schemes::ALL)).or_else(|| by(site.given(cookie)))
}

fn known_account(
    gateway: &Gateway,
    connection: &Connection,
    client: &Client,
    presented: Presented<'_>,
) -> Option<AccountId> {
    let core = &gateway.core;
    let of_key = |text| core.recall_key(text).ok().map(|(account, _)| account.id);
    // As they would be refused then: a lock-out is for passwords and keys.
    let may_try = || gateway.throttle.check(Source::of(client.address)).is_ok();
    match presented {
        Presented::Bearer(_) | Presented::Cookie(_) => {
            let principal = core.verify_access(presented.token()?).ok()?;
            Some(principal.account_id())
        }
        Presented::Key(text) => may_try().then(|| of_key(text))?,
        Presented::Basic(encoded) => {
            let pair = basic::decode(encoded).filter(|_| may_try())?;
            if let Some(key) = basic::key_in(core.as_ref(), &pair) {
                return of_key(key);
            }
            let (name, password) = pair;
            let is_proven = is_own_connection(connection, client)
                && connection.proven.is(core.basic_mark(encoded));
            let recalled = is_proven.then(|| core.cached_basic(&name, password.expose()))?;
            recalled.map(|principal| principal.account_id())
        }
        Presented::Nothing | Presented::Ticket(_) | Presented::Unreadable => None,
    }
}
