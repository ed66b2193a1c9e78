//! How a running gateway is, for its operators: what it serves, what it holds, what it has
//! counted. Read from atomics and from the sizes of what memory holds; no request waits for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::auth::Core;
use crate::auth::register::Registering;
use crate::dialect::notation::StoreShown;

use super::gateway::Gateway;

/// One look at a gateway. `portcullis status` prints the members under these names, and the
/// program of another version may ask for them: none is renamed or taken away.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub serving: String,
    pub uptime_seconds: u64,
    /// `open`, `closed` by the configuration, or `closed_in_store`.
    #[serde(default)]
    pub registration: String,
    /// Absent where nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreShown>,
    /// What is held now: connections, records.
    pub held: BTreeMap<String, u64>,
    /// What has happened since the start.
    pub counters: BTreeMap<String, u64>,
}

impl Status {
    #[must_use]
    pub fn of(gateway: &Gateway) -> Self {
        let store = gateway.core.store().health();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            serving: gateway.serving(store).word().to_owned(),
            uptime_seconds: gateway.started.elapsed().as_secs(),
            registration: registration_word(&gateway.core).to_owned(),
            store: store.map(StoreShown::from),
            held: held(gateway),
            counters: counters(gateway),
        }
    }
}

fn registration_word(core: &Core) -> &'static str {
    match (core.configured_registration(), core.standing().registration()) {
        (Registering::Closed, _) => "closed",
        (Registering::Open, Registering::Closed) => "closed_in_store",
        (Registering::Open, Registering::Open) => "open",
    }
}

fn held(gateway: &Gateway) -> BTreeMap<String, u64> {
    let sizes = gateway.core.standing().sizes();
    let held = [
        ("connections_open", gateway.lifecycle.tasks()),
        ("accounts", sizes.accounts),
        ("keys", sizes.keys),
        ("tokens_revoked", sizes.revoked),
        ("sessions_ended", sizes.ended),
        ("addresses_locked_out", sizes.lockouts),
        ("users_slowed", sizes.slowed),
    ];
    held.into_iter().map(|(name, size)| (name.to_owned(), size as u64)).collect()
}

/// Those of the gateway, and what its log counts.
fn counters(gateway: &Gateway) -> BTreeMap<String, u64> {
    let counters = gateway.counters.snapshot().into_iter();
    let dropped = ("log_lines_dropped", gateway.sink.dropped());
    counters.chain([dropped]).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The program asks a gateway that may be of another version.
    #[test]
    fn a_status_is_written_as_it_always_was_and_one_without_later_members_reads() {
        let mut status = Status {
            version: "1".to_owned(),
            serving: "healthy".to_owned(),
            uptime_seconds: 7,
            registration: "open".to_owned(),
            store: None,
            held: BTreeMap::from([("keys".to_owned(), 2)]),
            counters: BTreeMap::from([("panics".to_owned(), 0)]),
        };
        let text = |status: &Status| serde_json::to_string(status).unwrap();
        let own = r#"{"version":"1","serving":"healthy","uptime_seconds":7,"registration":"open","held":{"keys":2},"counters":{"panics":0}}"#;
        assert_eq!(text(&status), own);
        status.store =
            Some(StoreShown { state: "live".to_owned(), staleness_ms: None, undelivered: 3 });
        let shared = own.replace(r#""held""#, r#""store":{"state":"live","undelivered":3},"held""#);
        assert_eq!(text(&status), shared);
        let earlier = own.replace(r#""registration":"open","#, "");
        let read: Status = serde_json::from_str(&earlier).unwrap();
        assert_eq!((read.registration.as_str(), read.store), ("", None));
    }
}
