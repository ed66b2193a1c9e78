//! What the connections of clients are held to.

use std::net::IpAddr;

use ipnet::IpNet;
use tokio_rustls::TlsAcceptor;

use crate::auth::source::Source;
use crate::config::Timeouts;

/// Of one generation of the configuration. A connection that goes on longer keeps to those
/// under which it began, and so do its requests.
pub struct ConnectionRules {
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

#[cfg(test)]
impl ConnectionRules {
    /// For tests of connections that are held to little.
    #[must_use]
    pub fn lenient(h2_resets: u32) -> std::sync::Arc<Self> {
        let hour = std::time::Duration::from_secs(3600);
        let timeouts = Timeouts {
            tls_handshake: hour,
            request_head: hour,
            idle: hour,
            body_progress: hour,
            body_progress_authenticated: hour,
            write_progress: hour,
            agent_message: hour,
            agent_ping: None,
            tunnel_idle: None,
            drain_delay: hour,
            drain: hour,
        };
        std::sync::Arc::new(Self {
            timeouts,
            trusted_proxies: Vec::new(),
            tls: crate::edge::certificates::no_certificate().expect("a provider").into(),
            head_bytes: 64 << 10,
            header_count: 100,
            uri_bytes: 8 << 10,
            h2_streams: 100,
            h2_resets,
        })
    }
}
