//! Agents that are connected, as the console lists them.

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;

use crate::auth::principal::Principal;
use crate::auth::server::ServerId;
use crate::auth::time::Timestamp;
use crate::console::ConnectedAgent;

/// Agents with an open connection, by their servers. Bounded by what servers may have open
/// (`limits.agents_per_server`, `limits.agents_per_owner`).
#[derive(Default)]
pub struct ConnectedAgents {
    by_server: DashMap<ServerId, Vec<(u64, ConnectedAgent)>>,
}

/// An agent is listed until this is dropped.
pub struct Listing {
    agents: Arc<ConnectedAgents>,
    server: ServerId,
    number: u64,
}

impl ConnectedAgents {
    /// Lists the agent of a key that is bound to a server, under a number that no other has.
    #[must_use]
    pub fn list(
        self: &Arc<Self>,
        principal: &Principal,
        number: u64,
        (address, since): (IpAddr, Timestamp),
    ) -> Option<Listing> {
        let key = principal.key()?;
        let server = key.server?;
        let agent = ConnectedAgent { address, key: key.id, since };
        self.by_server.entry(server).or_default().push((number, agent));
        Some(Listing { agents: Arc::clone(self), server, number })
    }

    #[must_use]
    pub fn of(&self, server: ServerId) -> Vec<ConnectedAgent> {
        let listed = self.by_server.get(&server);
        let agents = listed.map(|listed| listed.iter().map(|(_, agent)| agent.clone()).collect());
        agents.unwrap_or_default()
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        if let Some(mut listed) = self.agents.by_server.get_mut(&self.server) {
            listed.retain(|(number, _)| *number != self.number);
        }
        self.agents.by_server.remove_if(&self.server, |_, listed| listed.is_empty());
    }
}
