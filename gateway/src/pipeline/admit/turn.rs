//! Requests of browsers that wait for their turn when the bucket of their address is empty.
//! A page of an application asks for more at once than fits into it, and is blank if some
//! of that is refused.
//!
//! A request waits only if memory tells that its credential is good: none waits about which
//! a hash or the store would have to be asked. That some wait and others do not tells who is
//! over the limit whether what it sent is good, so it must be no way to guess. Tokens and
//! keys are beyond guessing. A password is not: it counts on a client's own connection,
//! which has proven it before, until another is compared with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;

use tokio::sync::{Semaphore, SemaphorePermit};

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
use crate::slots::{Holder, Place, Places};

use super::Admission;

/// How many wait at once in all, and of an account. Of an address no more than may be under
/// way (`limits.requests_per_address`).
const MOST: usize = 4_096;
const MOST_OF_ACCOUNT: usize = 128;

/// Places of those that wait.
pub struct Turns {
    /// How long a request waits. Zero: none does.
    longest: Duration,
    all: Semaphore,
    of_account: Arc<Places>,
}

impl Turns {
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        let (all, of_account) = (Semaphore::new(MOST), Places::new(MOST_OF_ACCOUNT));
        Self { longest, all, of_account }
    }

    /// A place among those that wait, if there is one.
    fn join(&self, account: AccountId) -> Option<(SemaphorePermit<'_>, Place)> {
        let of_account = self.of_account.take(Holder::Account(account))?;
        Some((self.all.try_acquire().ok()?, of_account))
    }

    /// Forgets accounts of which none waits.
    pub fn sweep(&self) {
        self.of_account.sweep();
    }
}

/// The Basic credential that a connection has proven first, as a mark of it.
#[derive(Default)]
pub struct Proven {
    mark: OnceLock<[u8; 32]>,
    /// It was compared with another: whoever sent that gets to know no more.
    doubted: AtomicBool,
}

impl Proven {
    fn is_open(&self) -> bool {
        self.mark.get().is_none()
    }

    fn note(&self, mark: [u8; 32]) {
        let _ = self.mark.set(mark);
    }

    fn is(&self, mark: [u8; 32]) -> bool {
        let Some(proven) = self.mark.get() else { return false };
        if *proven != mark {
            self.doubted.store(true, Ordering::Release);
        }
        !self.doubted.load(Ordering::Acquire)
    }
}

/// Remembers for its connection that a browser's Basic credential was good.
pub fn note_proven(
    gateway: &Gateway,
    site: &Site,
    connection: &Connection,
    (client, headers): (&Client, &HeaderMap),
    presented: Presented<'_>,
) {
    if let Presented::Basic(encoded) = presented
        && !gateway.turns.longest.is_zero()
        && connection.proven.is_open()
        && is_of_browser(headers)
        && is_own_connection(site, connection, client)
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
    (bucket, retry_after): (&Admission, Duration),
) -> Result<(), Rejection> {
    let (turns, source) = (&gateway.turns, Source::of(client.address));
    if turns.longest.is_zero() || !is_of_browser(headers) {
        return Err(bucket.refusal(retry_after).into());
    }
    let account = whose(gateway, site, connection, (client, headers));
    let account = account.ok_or_else(|| bucket.refusal(retry_after))?;
    let expected = bucket.expected_wait(source);
    if expected > turns.longest {
        return Err(bucket.refusal(expected).because("those before it wait as long as it may"));
    }
    let Some(_place) = turns.join(account) else {
        return Err(bucket.refusal(retry_after).because("too many others wait for their turn"));
    };
    gateway.counters.rate_waited.increment();
    let turn = tokio::time::timeout(turns.longest, bucket.wait(source)).await;
    turn.map_err(|_| {
        let again = bucket.expected_wait(source);
        bucket.refusal(again).because("it has waited for its turn as long as it may")
    })
}

fn is_of_browser(headers: &HeaderMap) -> bool {
    matches!(message::only(headers, &message::SEC_FETCH_MODE), Ok(Some(_)))
}

/// Whether nobody else's requests come by it, as far as the gateway can tell.
fn is_own_connection(site: &Site, connection: &Connection, client: &Client) -> bool {
    let peer = connection.peer_ip();
    peer == client.address && !site.connections.is_trusted_proxy(peer)
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
        judge(gateway, site, connection, client, found.presented)
    };
    let cookie = Schemes::from_iter([CallerScheme::Cookie]);
    by(site.given(Schemes::ALL)).or_else(|| by(site.given(cookie)))
}

fn judge(
    gateway: &Gateway,
    site: &Site,
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
            let is_proven = is_own_connection(site, connection, client)
                && connection.proven.is(core.basic_mark(encoded));
            let recalled = is_proven.then(|| core.recall_basic(&name, password.expose()))?;
            recalled.map(|principal| principal.account_id())
        }
        Presented::Nothing | Presented::Ticket(_) | Presented::Unreadable => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::{MOST, MOST_OF_ACCOUNT, Proven, Turns};
    use crate::auth::account::AccountId;

    const OURS: [u8; 32] = [1; 32];
    const ANOTHER: [u8; 32] = [2; 32];

    #[test]
    fn so_many_wait_of_an_account_and_in_all() {
        let turns = Turns::new(Duration::from_secs(3));
        let joined = |accounts: &mut dyn Iterator<Item = u128>| {
            let join = |account| turns.join(AccountId(Uuid::from_u128(account)));
            let places: Vec<_> = accounts.map_while(join).collect();
            places.len()
        };
        // Twice, for the first ones have given their places back.
        for _ in 0..2 {
            assert_eq!(joined(&mut std::iter::repeat(1)), MOST_OF_ACCOUNT);
            assert_eq!(joined(&mut (0..).map(|number| number / 100)), MOST);
        }
        turns.sweep();
        assert_eq!(turns.of_account.holders(), 0);
    }

    #[test]
    fn a_connection_knows_what_it_has_proven_first_and_nothing_else() {
        let proven = Proven::default();
        assert!(proven.is_open() && !proven.is(OURS));
        proven.note(OURS);
        proven.note(ANOTHER);
        assert!(!proven.is_open() && proven.is(OURS) && proven.is(OURS));
    }

    /// Else it would tell whoever shares the connection which of many guesses is right.
    #[test]
    fn a_connection_that_has_brought_another_credential_tells_nothing_any_more() {
        let proven = Proven::default();
        proven.note(OURS);
        assert!(!proven.is(ANOTHER));
        assert!(!proven.is(OURS));
    }
}
