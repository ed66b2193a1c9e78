//! What one account, or one client behind a proxy, may have open at once, so that
//! nobody's valid use takes what is there for all.

pub mod agent_bound;

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::principal::Principal;
use crate::auth::source::Source;
use crate::config;
use crate::pipeline::client::Client;
use crate::slots::{Holder, Place, Places};

use super::connection::Connection;
use super::reason::{Reason, Rejection};
use super::record::RequestRecord;
use super::route::Route;
use agent_bound::AgentBound;

pub struct Bounds {
    streams: Arc<Places>,
    agents_of_server: Arc<Places>,
    /// Of keys that are bound to no server.
    agents_of_key: Arc<Places>,
    agents_of_owner: Arc<Places>,
}

impl Bounds {
    #[must_use]
    pub fn new(limits: &config::Limits) -> Self {
        Self {
            streams: Places::new(limits.streams_per_account),
            agents_of_server: Places::new(limits.agents_per_server),
            agents_of_key: Places::new(limits.agents_per_key),
            agents_of_owner: Places::new(limits.agents_per_owner),
        }
    }

    /// Forgets who has nothing open.
    pub fn sweep(&self) {
        let agents = [&self.agents_of_server, &self.agents_of_key, &self.agents_of_owner];
        agents.into_iter().chain([&self.streams]).for_each(|places| places.sweep());
    }

    /// What a WebSocket takes: with a key, on a route of agents, an agent's places; else
    /// one of the account's. Of a public route it is nobody's.
    ///
    /// # Errors
    /// When all are taken.
    pub fn tunnel(
        &self,
        principal: Option<&Principal>,
        route: &Route,
    ) -> Result<Vec<Place>, Reason> {
        let Some(principal) = principal else { return Ok(Vec::new()) };
        let owner = Holder::Account(principal.account_id());
        let key = principal.key().filter(|_| route.agents.are_accepted());
        let Some(key) = key else {
            return Ok(vec![self.streams.take(owner).ok_or(Reason::StreamsOverLimit)?]);
        };
        let (places, holder, bound) = match key.server {
            Some(server) => (&self.agents_of_server, Holder::Server(server), AgentBound::Server),
            None => (&self.agents_of_key, Holder::Key(key.id), AgentBound::Key),
        };
        let own = places.take(holder).ok_or(Reason::AgentsOverBound(bound))?;
        let owned = self.agents_of_owner.take(owner);
        Ok(vec![own, owned.ok_or(Reason::AgentsOverBound(AgentBound::Owner))?])
    }

    /// What an answer that is a stream of events takes.
    ///
    /// # Errors
    /// When all are taken.
    pub fn event_stream(&self, principal: Option<&Principal>) -> Result<Option<Place>, Reason> {
        let Some(principal) = principal else { return Ok(None) };
        let place = self.streams.take(Holder::Account(principal.account_id()));
        place.ok_or(Reason::StreamsOverLimit).map(Some)
    }
}

/// A place for the request of a client that comes through a trusted proxy. The proxy's
/// connections are many clients', and nobody's own; a request under way stands for one.
///
/// # Errors
/// When the client has as many as an address may have connections.
pub fn client(
    proxied: &Arc<Places>,
    connection: &Connection,
    address: IpAddr,
) -> Result<Option<Place>, Reason> {
    let is_proxied = address != connection.peer_ip()
        // Who all come through is none of them.
        && !connection.rules.is_trusted_proxy(address);
    if !is_proxied {
        return Ok(None);
    }
    let place = proxied.take(Holder::Address(Source::of(address)));
    place.ok_or(Reason::ConnectionsOverAddressLimit).map(Some)
}

/// A place among the requests of an address, for what each may make us hold, unless it has
/// one. A trusted proxy that names no client is nobody's address.
///
/// # Errors
/// When its address has as many as it may have.
pub fn take_place_under_way(
    under_way: &Arc<Places>,
    record: &mut RequestRecord,
    client: &Client,
) -> Result<(), Rejection> {
    if record.under_way.is_none() && !record.rules().is_trusted_proxy(client.address) {
        let place = under_way.take(Holder::Address(Source::of(client.address)));
        record.under_way = Some(place.ok_or(Reason::RequestsOverAddressLimit)?);
    }
    Ok(())
}
