//! Requests of browsers that wait for their turn when the bucket of their address is empty.
//! A page of an application asks for more at once than fits into it, and is blank if some
//! of that is refused.
//!
//! A request waits only if memory tells that its credential is good: none waits about which
//! a hash or the store would have to be asked. That some wait and others do not tells who is
//! over the limit whether what it sent is good, so it must be no way to guess. Tokens and
//! keys are beyond guessing. A password is not: one counts on a connection that has proven
//! it before, and has brought no other since.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::auth::Core;
use crate::auth::account::AccountId;
use crate::auth::ports::Source;
use crate::auth::principal::Principal;
use crate::config::schemes::{CallerScheme, Schemes};
use crate::pipeline::Gateway;
use crate::pipeline::authenticate::{self, Presented, basic};
use crate::pipeline::connection::Connection;
use crate::pipeline::message;
use crate::pipeline::reason::Rejection;
use crate::pipeline::slots::{Holder, Place, Places, Slot, Slots};

use super::Admission;

/// How many wait at once: in all, of an address, and of an account.
const MOST: usize = 4_096;
const MOST_OF_ADDRESS: usize = 1_024;
const MOST_OF_ACCOUNT: usize = 128;

/// What browsers say of each request, and no page can change (Fetch Metadata 2.2).
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Places of those that wait.
pub struct Turns {
    /// How long a request waits. Zero: none does.
    longest: Duration,
    places: Arc<Slots>,
    of_account: Arc<Places>,
}

impl Turns {
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        let places = Slots::new(MOST, MOST_OF_ADDRESS);
        Self { longest, places, of_account: Places::new(MOST_OF_ACCOUNT) }
    }

    /// A place among those that wait, if there is one.
    fn join(&self, source: Source, account: AccountId) -> Option<(Slot, Place, Place)> {
        let of_account = self.of_account.take(Holder::Account(account))?;
        let of_address = self.places.take_for(source).ok()?;
        Some((self.places.take().ok()?, of_address, of_account))
    }

    /// Forgets who does not wait.
    pub fn sweep(&self) {
        self.places.sweep();
        self.of_account.sweep();
    }

    /// Remembers for its connection that a browser's Basic credential was good.
    pub fn note_proven(
        &self,
        core: &Core,
        connection: &Connection,
        headers: &HeaderMap,
        presented: Presented<'_>,
    ) {
        if let Presented::Basic(encoded) = presented
            && !self.longest.is_zero()
            && connection.proven.is_open()
            && is_of_browser(headers)
        {
            connection.proven.note(core.basic_mark(encoded));
        }
    }
}

/// The Basic credential that a connection has proven, as a mark of it.
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

/// Waits for a token of an address that has none, where that is allowed.
///
/// # Errors
/// The request is refused: it may not wait, or has waited in vain.
pub async fn wait(
    gateway: &Gateway,
    connection: &Connection,
    headers: &HeaderMap,
    (admission, source): (&Admission, Source),
    retry_after: Duration,
) -> Result<(), Rejection> {
    let turns = &gateway.turns;
    let refusal = || admission.refusal(retry_after);
    if turns.longest.is_zero() || !is_of_browser(headers) {
        return Err(refusal().into());
    }
    let caller = known(gateway, connection, headers).ok_or_else(refusal)?;
    let Some(_place) = turns.join(source, caller.account_id()) else {
        return Err(refusal().because("too many others wait for their turn"));
    };
    gateway.counters.rate_waited.increment();
    match tokio::time::timeout(turns.longest, admission.wait(source)).await {
        Ok(()) => Ok(()),
        Err(_) => Err(refusal().because("it has waited for its turn as long as it may")),
    }
}

fn is_of_browser(headers: &HeaderMap) -> bool {
    matches!(message::only(headers, &FETCH_MODE), Ok(Some(_)))
}

/// Who asks, as far as memory tells. Which schemes the route takes is not known yet: our
/// cookie counts beside an application's credential as well.
fn known(
    gateway: &Gateway,
    connection: &Connection,
    headers: &HeaderMap,
) -> Option<Arc<Principal>> {
    let by = |schemes| {
        let found = authenticate::presented(gateway.core.as_ref(), headers, schemes, None).ok()?;
        judge(&gateway.core, connection, found.presented)
    };
    if !gateway.cookies {
        return by(Schemes::ALL.without(CallerScheme::Cookie));
    }
    by(Schemes::ALL).or_else(|| by(Schemes::from_iter([CallerScheme::Cookie])))
}

fn judge(core: &Core, connection: &Connection, presented: Presented<'_>) -> Option<Arc<Principal>> {
    match presented {
        Presented::Bearer(token) | Presented::Cookie(token) => core.verify_access(token).ok(),
        Presented::Key(text) => core.verify_key(text).ok().map(Arc::new),
        Presented::Basic(encoded) => {
            let (name, password) = basic::decode(encoded)?;
            if core.is_key(password.expose()) {
                return core.verify_key(password.expose()).ok().map(Arc::new);
            }
            let is_proven = connection.proven.is(core.basic_mark(encoded));
            is_proven.then(|| core.recall_basic(&name, password.expose()).map(Arc::new))?
        }
        Presented::Nothing | Presented::Ticket(_) | Presented::Unreadable => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::{MOST, MOST_OF_ACCOUNT, MOST_OF_ADDRESS, Proven, Turns};
    use crate::auth::account::AccountId;
    use crate::auth::ports::Source;

    const OURS: [u8; 32] = [1; 32];
    const ANOTHER: [u8; 32] = [2; 32];

    /// As many of these as get a place.
    fn joined(turns: &Turns, who: impl Iterator<Item = (u32, u128)>) -> usize {
        let join =
            |(source, account)| turns.join(Source::V4(source), AccountId(Uuid::from_u128(account)));
        let places: Vec<_> = who.map_while(join).collect();
        places.len()
    }

    #[test]
    fn so_many_wait_of_an_account_of_an_address_and_in_all() {
        let turns = Turns::new(Duration::from_secs(3));
        // Twice, for the first ones have given their places back.
        for _ in 0..2 {
            assert_eq!(joined(&turns, (0..).map(|number| (number, 1))), MOST_OF_ACCOUNT);
            let of_address = (0..).map(|number| (1, u128::from(number / 100u32)));
            assert_eq!(joined(&turns, of_address), MOST_OF_ADDRESS);
            let all = (0..).map(|number| (number / 100, u128::from(number / 100u32)));
            assert_eq!(joined(&turns, all), MOST);
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
