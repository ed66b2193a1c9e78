//! What the console shows of a running gateway beside its core: agents that are connected, and
//! requests that were refused.

use serde_json::Value;

use crate::auth::server::ServerId;
use crate::console::{ConnectedAgent, Observed, RefusedRequest};

use super::gateway::Gateway;
use super::reason::explanations::EXPLANATIONS;

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
