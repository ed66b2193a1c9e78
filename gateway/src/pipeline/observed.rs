//! What the console shows of a running gateway beside its core: agents that are connected, and
//! requests that were refused.

use std::sync::Arc;

use dashmap::DashMap;
use serde_json::Value;

use crate::auth::principal::Principal;
use crate::auth::server::ServerId;
use crate::console::{ConnectedAgent, Observed, RefusedRequest};

use super::gateway::Gateway;
use super::reason::explanations::EXPLANATIONS;

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
        (address, since): (std::net::IpAddr, crate::auth::time::Timestamp),
    ) -> Option<Listing> {
        let key = principal.key()?;
        let server = key.server?;
        let agent = ConnectedAgent { address, key: key.id, since };
        self.by_server.entry(server).or_default().push((number, agent));
        Some(Listing { agents: Arc::clone(self), server, number })
    }

    fn of(&self, server: ServerId) -> Vec<ConnectedAgent> {
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

impl Observed for Gateway {
    fn agents(&self, server: ServerId) -> Vec<ConnectedAgent> {
        self.connected_agents.of(server)
    }

    fn refusals(&self, most: usize) -> Vec<RefusedRequest> {
        self.sink.recent().latest(most).iter().map(refused).collect()
    }
}

/// An access line as the console shows it.
fn refused(line: &Value) -> RefusedRequest {
    let text = |name: &str| match &line[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let reason = text("reason");
    let known = EXPLANATIONS.iter().find(|known| known.code == reason);
    RefusedRequest {
        at: text("time"),
        status: text("status"),
        cause: known.map_or_else(String::new, |known| known.cause.to_owned()),
        remedy: known.map_or_else(String::new, |known| known.remedy.to_owned()),
        reason,
        detail: text("detail"),
        method: text("method"),
        path: text("path"),
        route: text("route"),
        user: text("user"),
        client: text("client"),
        request_id: text("request_id"),
    }
}
