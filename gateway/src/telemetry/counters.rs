//! Counters of what the gateway refused, dropped or ended, by name.

use std::sync::atomic::{AtomicU64, Ordering};

/// One named count.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Every counter of the process.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl Counters {
            /// Names and values, in a fixed order.
            #[must_use]
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.value()),)*]
            }
        }
    };
}

counters! {
    /// Connections accepted.
    connections,
    /// Connections closed at once because too many were open.
    connections_over_limit,
    /// Connections closed at once because their address had too many open, and requests
    /// through a trusted proxy refused because their client had too many under way.
    connections_over_address_limit,
    /// TLS handshakes (and PROXY headers) that failed.
    handshakes_failed,
    /// TLS handshakes (and PROXY headers) that took too long.
    handshakes_timed_out,
    /// Request heads that took too long.
    heads_timed_out,
    /// Connections closed because they were idle.
    connections_idle_closed,
    /// Connections closed because the client did not read.
    writes_stalled,
    /// Requests refused because too many of their address were under way.
    requests_over_address_limit,
    /// HTTP/2 streams reset because the client did not read them.
    streams_stalled,
    /// Request bodies that came too slowly.
    bodies_stalled,
    /// Connections closed, and streams of HTTP/2 reset, at once while their clients were still
    /// sending what nobody wanted, because too many others were.
    lingering_over_limit,
    /// Connections that spoke HTTP in clear to a listener with TLS.
    clear_http_on_tls,
    /// HTTP/2 connections ended because the client cancelled too many streams.
    reset_floods,
    /// HTTP/2 connections ended because the client sent too many frames without a reason.
    frame_floods,
    /// HTTP/2 connections ended by an error of the protocol.
    http2_faults,
    /// Requests with a framing a parser could read in two ways.
    framing_faults,
    /// Requests whose X-Forwarded-For or Forwarded is nobody's who is believed.
    forwarding_ignored,
    /// Fields of requests that did not go upstream because of their names.
    fields_removed,
    /// Requests over the token bucket of their address.
    rate_limited,
    /// Requests of browsers that waited for a token of their address, also in vain.
    rate_waited,
    /// Credential attempts from a locked-out address.
    locked_out,
    /// Registrations of an address that made too many.
    registrations_over_limit,
    /// Sign-ins that ended because their account had too many.
    sessions_superseded,
    /// Keys that were not made because their owner had too many.
    limits_reached,
    /// Requests that another site's page may have caused.
    cross_site,
    /// Preflights whose browser was not allowed to let its page go on.
    preflights_refused,
    /// Password checks shed because too many were waiting.
    hashing_shed,
    /// Attempts on one user's password turned away because too many others waited.
    user_attempts_shed,
    /// Agents turned away because too many had not said who they are.
    agents_over_limit,
    /// Agents turned away because too many of their address had not.
    agents_over_address_limit,
    /// Agents whose first message did not come in time.
    agents_timed_out,
    /// WebSockets and event streams refused because their account had too many open.
    streams_over_limit,
    /// Agents refused because their server had too many connected.
    agents_over_server_limit,
    /// Agents refused because their key, of no server, had too many connected.
    agents_over_key_limit,
    /// Agents refused because the owner of their keys had too many connected.
    agents_over_owner_limit,
    /// Requests refused because their account had its share of the upstream in use.
    upstream_shares_taken,
    /// Agents closed because they answered no ping.
    agents_silent,
    /// Tunnels closed because nothing moved in them.
    tunnels_idle_closed,
    /// Answers of upstreams that could be read in two ways, or in none.
    upstream_faults,
    /// Requests that panicked; each is a defect.
    panics,
}
