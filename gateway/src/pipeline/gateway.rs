//! What outlives every generation of the configuration: the core, the state of limits, what
//! counts and what writes. The numbers that it is all held to are the generation's.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::auth::Core;
use crate::auth::ports::{StoreHealth, StoreState};
use crate::dialect::{self, Serving};
use crate::lifecycle::Lifecycle;
use crate::slots::{Places, Slots};
use crate::telemetry::counters::Counters;
use crate::telemetry::sink::Sink;

use super::bounds::Bounds;
use super::client::report::IgnoredReport;
use super::connected_agents::ConnectedAgents;
use super::forward::field_names::RemovalReport;
use super::ids::Ids;
use super::rate_limit::turns::Turns;
use super::rest::Lingering;
use super::site::Site;
use super::throttle::Throttle;

/// What a request may need and no configuration changes, shared by all of them.
pub struct Gateway {
    pub site: ArcSwap<Site>,
    pub core: Arc<Core>,
    pub throttle: Arc<Throttle>,
    /// Of browsers whose address has no token left.
    pub turns: Turns,
    /// Places of requests on their way to upstreams and back.
    pub under_way: Arc<Places>,
    /// Places of agents that have not said who they are.
    pub agents: Arc<Slots>,
    /// Of clients behind trusted proxies, whose connections are not theirs.
    pub proxied: Arc<Places>,
    /// What each account may have open.
    pub bounds: Bounds,
    pub connected_agents: Arc<ConnectedAgents>,
    pub removals: Arc<RemovalReport>,
    pub ignored: IgnoredReport,
    pub advisory: ArcSwap<Advisory>,
    pub ids: Ids,
    /// Clients that go on sending what nobody wants.
    pub lingering: Arc<Lingering>,
    pub lifecycle: Lifecycle,
    pub started: Instant,
    pub counters: Arc<Counters>,
    pub sink: Sink,
}

/// What the health endpoints say beside "healthy" (S1-29).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Advisory {
    pub pending_update: Option<String>,
    pub cves: Vec<String>,
}

impl Gateway {
    /// What the health endpoints answer now.
    #[must_use]
    pub fn health(&self) -> dialect::Health {
        let advisory = self.advisory.load();
        let store = self.core.store().health();
        let serving = self.serving(store);
        // Of a store of one's own there is something to tell when something is wrong.
        let store = store.filter(|store| {
            let own = self.core.store().buckets().is_none();
            !own || store.state != StoreState::Live || store.undelivered > 0
        });
        dialect::Health {
            serving,
            version: env!("CARGO_PKG_VERSION"),
            pending_update: advisory.pending_update.clone(),
            cves: advisory.cves.clone(),
            store,
        }
    }

    /// A gateway whose shared store is lost serves who it knows, and says that it is well
    /// unless the operator would rather have it taken out. One that has never read its
    /// store knows nobody.
    #[must_use]
    pub fn serving(&self, store: Option<StoreHealth>) -> Serving {
        let lost = store.is_some_and(|store| store.state != StoreState::Live);
        if self.lifecycle.is_stopping() {
            Serving::Draining
        } else if self.site.load().require_store && lost || !self.core.store().is_loaded() {
            Serving::WithoutStore
        } else {
            Serving::Healthy
        }
    }
}
