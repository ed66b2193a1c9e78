//! Which refusals operators watch, each by a counter of its own.

use crate::pipeline::agent::first_message::Fault;
use crate::pipeline::bounds::AgentBound;
use crate::telemetry::counters::Counters;

use super::Reason;

/// Counts a refusal.
pub fn count(counters: &Counters, reason: &Reason) {
    match reason {
        Reason::Framing(_) => counters.framing_faults.increment(),
        Reason::RateLimited { .. } => counters.rate_limited.increment(),
        Reason::LockedOut { .. } => counters.locked_out.increment(),
        Reason::RegistrationsOverLimit { .. } => counters.registrations_over_limit.increment(),
        Reason::TooMany(_) => counters.limits_reached.increment(),
        Reason::HasherBusy | Reason::AttemptsQueued => counters.hashing_shed.increment(),
        Reason::UserAttemptsQueued { .. } => counters.user_attempts_shed.increment(),
        Reason::BodyStalled => counters.bodies_stalled.increment(),
        Reason::ConnectionsOverAddressLimit => counters.connections_over_address_limit.increment(),
        Reason::AgentsOverLimit => counters.agents_over_limit.increment(),
        Reason::RequestsOverAddressLimit => counters.requests_over_address_limit.increment(),
        Reason::AgentsOverAddressLimit => counters.agents_over_address_limit.increment(),
        Reason::StreamsOverLimit => counters.streams_over_limit.increment(),
        Reason::AgentsOverBound(AgentBound::Server) => {
            counters.agents_over_server_limit.increment();
        }
        Reason::AgentsOverBound(AgentBound::Key) => counters.agents_over_key_limit.increment(),
        Reason::AgentsOverBound(AgentBound::Owner) => counters.agents_over_owner_limit.increment(),
        Reason::UpstreamShareTaken => counters.upstream_shares_taken.increment(),
        Reason::FirstMessage(Fault::Late) => counters.agents_timed_out.increment(),
        Reason::CrossSite => counters.cross_site.increment(),
        Reason::PreflightRefused => counters.preflights_refused.increment(),
        Reason::UpstreamProtocol => counters.upstream_faults.increment(),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
