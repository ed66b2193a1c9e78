//! Fields that speak of a client and are not believed: counted, and told once.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::telemetry::counters::Counters;

use super::Ignored;

/// An operator whose balancer is not trusted sees one client with everybody's limits.
pub struct IgnoredReport {
    counters: Arc<Counters>,
    told: AtomicBool,
}

impl IgnoredReport {
    #[must_use]
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { counters, told: AtomicBool::new(false) }
    }

    pub fn report(&self, peer: IpAddr, ignored: Ignored) {
        self.counters.forwarding_ignored.increment();
        if self.told.load(Ordering::Relaxed) || self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let remedy = match ignored {
            Ignored::Untrusted => {
                "if this address is a proxy of yours, list it in client.trusted_proxies; else there is nothing to do"
            }
            Ignored::ProxyHeader => {
                "the PROXY header of this listener says who the client is; let proxies that send X-Forwarded-For use a listener without proxy_protocol"
            }
        };
        tracing::warn!(%peer, remedy, "forwarding fields ignored, later ones are only counted");
    }
}

#[cfg(test)]
mod tests;
