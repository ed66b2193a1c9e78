//! What the connections of clients are held to.

use std::net::IpAddr;

use ipnet::IpNet;
use tokio_rustls::TlsAcceptor;

use crate::auth::source::Source;
use crate::config::Timeouts;

/// Of one generation of the configuration. A connection that goes on longer keeps to those
/// under which it began, and so do its requests.
pub struct ConnectionRules {
    /// How many connections may be open with this one, in all and of its address.
    pub connections: usize,
    pub connections_per_address: usize,
    pub timeouts: Timeouts,
    pub trusted_proxies: Vec<IpNet>,
    /// The certificate, and what is agreed on with it.
    pub tls: TlsAcceptor,
    pub head_bytes: usize,
    pub header_count: usize,
    pub uri_bytes: usize,
    pub h2_streams: u32,
    pub h2_resets: u32,
}

impl ConnectionRules {
    /// Whether clients come through it that it may name.
    #[must_use]
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// For whose address a client that lingers counts: nobody's if it speaks for others.
    #[must_use]
    pub fn lingering_source(&self, client: IpAddr) -> Option<Source> {
        (!self.is_trusted_proxy(client)).then(|| Source::of(client))
    }
}
