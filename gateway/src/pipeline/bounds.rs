//! What one account, or one client behind a proxy, may have open at once, so that
//! nobody's valid use takes what is there for all.

pub mod agent_bound;

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::principal::Principal;
use crate::auth::source::Source;
use crate::pipeline::client::Client;
use crate::slots::{Holder, Place, Places};

use super::connection::Connection;
use super::reason::{Reason, Rejection};
use super::record::RequestRecord;
use super::route::Route;
use super::site::ConcurrencyLimits;
use agent_bound::AgentBound;

/// What is open, whichever generation it began under.
pub struct Bounds {
    streams: Arc<Places>,
    agents_of_server: Arc<Places>,
    /// Of keys that are bound to no server.
    agents_of_key: Arc<Places>,
    agents_of_owner: Arc<Places>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            streams: Places::unnumbered(),
            agents_of_server: Places::unnumbered(),
            agents_of_key: Places::unnumbered(),
            agents_of_owner: Places::unnumbered(),
        }
    }
}

impl Bounds {
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
        limits: &ConcurrencyLimits,
    ) -> Result<Vec<Place>, Reason> {
        let Some(principal) = principal else { return Ok(Vec::new()) };
        let owner = Holder::Account(principal.account_id());
        let key = principal.key().filter(|_| route.agents.are_accepted());
        let Some(key) = key else {
            let stream = self.streams.take_within(owner, limits.streams_per_account);
            return Ok(vec![stream.ok_or(Reason::StreamsOverLimit)?]);
        };
        let (own, bound) = match key.server {
            Some(server) => {
                let (holder, most) = (Holder::Server(server), limits.agents_per_server);
                (self.agents_of_server.take_within(holder, most), AgentBound::Server)
            }
            None => {
                let (holder, most) = (Holder::Key(key.id), limits.agents_per_key);
                (self.agents_of_key.take_within(holder, most), AgentBound::Key)
            }
        };
        let own = own.ok_or(Reason::AgentsOverBound(bound))?;
        let owned = self.agents_of_owner.take_within(owner, limits.agents_per_owner);
        Ok(vec![own, owned.ok_or(Reason::AgentsOverBound(AgentBound::Owner))?])
    }

    /// What an answer that is a stream of events takes.
    ///
    /// # Errors
    /// When all are taken.
    pub fn event_stream(
        &self,
        principal: Option<&Principal>,
        limits: &ConcurrencyLimits,
    ) -> Result<Option<Place>, Reason> {
        let Some(principal) = principal else { return Ok(None) };
        let holder = Holder::Account(principal.account_id());
        let place = self.streams.take_within(holder, limits.streams_per_account);
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
    let most = connection.rules.connections_per_address;
    let place = proxied.take_within(Holder::Address(Source::of(address)), most);
    place.ok_or(Reason::ConnectionsOverAddressLimit).map(Some)
}

/// A place among the requests of an address, which has so many at most, for what each may
/// make us hold, unless it has one. A trusted proxy that names no client is nobody's address.
///
/// # Errors
/// When its address has as many as it may have.
pub fn take_place_under_way(
    (under_way, most): (&Arc<Places>, usize),
    record: &mut RequestRecord,
    client: &Client,
) -> Result<(), Rejection> {
    if record.under_way.is_none() && !record.rules().is_trusted_proxy(client.address) {
        let holder = Holder::Address(Source::of(client.address));
        let place = under_way.take_within(holder, most);
        record.under_way = Some(place.ok_or(Reason::RequestsOverAddressLimit)?);
    }
    Ok(())
}
