//! One generation of the configuration, as requests see it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;

use crate::config::page_origin::PageOrigin;
use crate::config::schemes::{CallerScheme, Schemes};
use crate::config::{Forwarding, IdentityHeaders, SniRule};
use crate::console::Console;
use crate::dialect::Dialects;
use crate::upstream::Upstream;

use super::connection::rules::ConnectionRules;
use super::cors::policy::Policy;
use super::forward::caching::Credentials;
use super::forward::field_names::FieldRules;
use super::rate_limit::RateLimit;
use super::respond::challenge::Challenges;
use super::route::Routes;
use super::throttle;

/// Immutable. A request takes the present one when it begins, and keeps it to its end: its
/// response, its tunnel and its log line are judged by what it came under.
pub struct Site {
    pub dialects: Dialects,
    pub console: Option<Arc<Console>>,
    /// Whether browsers are given their tokens in cookies.
    pub cookies: bool,
    /// Whether some of our endpoints are for people with a browser.
    pub pages: bool,
    pub routes: Routes,
    /// The buckets of addresses, where a route has none of its own.
    pub rate_limit: RateLimit,
    /// Those that routes go to, each once: to be swept.
    pub upstreams: Vec<Arc<Upstream>>,
    pub identity: IdentityHeaders,
    pub field_rules: Arc<FieldRules>,
    /// Whose pages may use the auth API beside our own; routes have theirs.
    pub origins: Vec<PageOrigin>,
    /// Which pages may read what the auth API answers; routes have their own rule.
    pub cors: Option<Arc<Policy>>,
    /// From where the admin API may be used.
    pub admin_networks: Vec<IpNet>,
    pub forwarding: Forwarding,
    pub sni: SniRule,
    /// What connections are held to that begin under it.
    pub connections: Arc<ConnectionRules>,
    pub concurrency: ConcurrencyLimits,
    /// When attempts to sign in are refused or slowed.
    pub attempts: Arc<throttle::Limits>,
    /// How long a browser's request waits for a token of its address; zero is not at all.
    pub wait: Duration,
    pub challenges: Challenges,
    /// `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
    /// Whether health is bad while a shared store is not live.
    pub require_store: bool,
}

/// How much may be open or under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyLimits {
    /// WebSockets and event streams.
    pub streams_per_account: usize,
    pub agents_per_server: usize,
    /// Of a key that is bound to no server.
    pub agents_per_key: usize,
    pub agents_per_owner: usize,
    /// Under way to upstreams.
    pub requests_per_address: usize,
    /// Agents whose first message has not been judged.
    pub agents_unauthenticated: usize,
    pub agents_unauthenticated_per_address: usize,
}

impl Site {
    /// Those of the schemes by which the gateway gives credentials: our cookies are none where
    /// no contract gives them.
    #[must_use]
    pub fn given(&self, schemes: Schemes) -> Schemes {
        if self.cookies { schemes } else { schemes.without(CallerScheme::Cookie) }
    }

    #[must_use]
    pub fn has_cors_policies(&self) -> bool {
        self.cors.is_some() || self.routes.have_cors_policies()
    }

    #[must_use]
    pub fn credentials(&self) -> Credentials {
        if self.cookies { Credentials::FieldsAndCookies } else { Credentials::Fields }
    }

    /// Forgets what limits and connections of this generation need no more.
    pub fn sweep(&self) {
        self.rate_limit.sweep();
        self.routes.sweep();
        self.upstreams.iter().for_each(|upstream| upstream.sweep());
    }
}
