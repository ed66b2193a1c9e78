//! A gateway, put together from its configuration.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio_rustls::TlsAcceptor;

use crate::auth::Core;
use crate::auth::ports::{Buckets, Clock, FailureLimit};
use crate::auth::time::Seconds;
use crate::config::{self, Config, HttpTarget, Target, UpstreamTls};
use crate::console::Console;
use crate::crypto::entropy::SystemEntropy;
use crate::lifecycle::Lifecycle;
use crate::pipeline::bounds::Bounds;
use crate::pipeline::client::report::IgnoredReport;
use crate::pipeline::connected_agents::ConnectedAgents;
use crate::pipeline::connection::rules::ConnectionRules;
use crate::pipeline::cors::policy::Policy;
use crate::pipeline::destination::Destination;
use crate::pipeline::forward::field_names::{FieldRules, RemovalReport};
use crate::pipeline::ids::Ids;
use crate::pipeline::rate_limit::RateLimit;
use crate::pipeline::rate_limit::turns::Turns;
use crate::pipeline::respond::challenge::Challenges;
use crate::pipeline::rest::Lingering;
use crate::pipeline::site::ConcurrencyLimits;
use crate::pipeline::throttle::{self, Throttle};
use crate::pipeline::{Gateway, Site};
use crate::slots::{Places, Slots};
use crate::telemetry::counters::Counters;
use crate::telemetry::sink::Sink;
use crate::upstream::Upstream;
use crate::upstream::tls::OutboundTls;

use super::StartError;
use super::advisory::read_advisory;
use super::endpoints::{endpoints, reachable_routes};

/// What outlives every generation of the configuration, with the first of them.
pub(super) fn assemble(
    config: &Config,
    core: Arc<Core>,
    site: Site,
    (lifecycle, sink): (Lifecycle, Sink),
) -> Gateway {
    let clock: Arc<dyn Clock> = Arc::clone(core.clock());
    let counters = Arc::new(Counters::default());
    Gateway {
        site: ArcSwap::from_pointee(site),
        throttle: Arc::new(Throttle::new(Arc::clone(&core), sink.clone())),
        under_way: Places::unnumbered(),
        agents: Slots::unnumbered(),
        proxied: Places::unnumbered(),
        bounds: Bounds::default(),
        turns: Turns::default(),
        core,
        connected_agents: Arc::new(ConnectedAgents::default()),
        removals: Arc::new(RemovalReport::new(Arc::clone(&counters))),
        ignored: IgnoredReport::new(Arc::clone(&counters)),
        advisory: ArcSwap::from_pointee(read_advisory(config.health.advisory_file.as_deref())),
        ids: Ids::new(clock, &SystemEntropy::default()),
        lingering: Arc::new(Lingering::new(lifecycle.clone(), Arc::clone(&counters))),
        lifecycle,
        started: std::time::Instant::now(),
        counters,
        sink,
    }
}

/// When attempts to sign in are refused or slowed.
fn attempts(limits: &config::Limits) -> throttle::Limits {
    let failures = FailureLimit {
        attempts: limits.max_login_attempts,
        user_attempts: limits.user_attempts,
        window: Seconds(limits.login_window.as_secs()),
    };
    throttle::Limits::new(failures, limits.user_pause, limits.counted)
}

/// A generation of the configuration. Nothing is kept, and nobody is served by it yet.
/// `buckets` are those that replicas share.
pub(super) fn site(
    config: &Config,
    console: Option<Arc<Console>>,
    tls: Arc<rustls::ServerConfig>,
    buckets: Option<Arc<dyn Buckets>>,
) -> Result<Site, StartError> {
    let limits = &config.limits;
    let dialects = endpoints(config, console.clone())?;
    let destinations = destinations(config)?;
    let routes = reachable_routes(config, &dialects, &destinations)?;
    let (per_second, burst) = (limits.requests_per_second, limits.burst);
    Ok(Site {
        rate_limit: match buckets {
            None => RateLimit::new(per_second, burst),
            Some(buckets) => RateLimit::shared(per_second, burst, buckets),
        },
        cookies: dialects.use_cookies(),
        console,
        pages: config.links.is_some(),
        dialects,
        routes,
        upstreams: destinations.iter().filter_map(Destination::upstream).cloned().collect(),
        identity: config.identity.clone(),
        field_rules: Arc::new(FieldRules::new(&config.identity, &config.field_overrides)),
        origins: config.origins.clone(),
        cors: config.cors.as_ref().map(|policy| Arc::new(Policy::new(policy))),
        admin_networks: config.admin.networks.clone(),
        forwarding: config.forwarding.clone(),
        sni: config.tls.sni,
        connections: Arc::new(ConnectionRules {
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            timeouts: config.timeouts.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            tls: TlsAcceptor::from(tls),
            head_bytes: limits.head_bytes,
            header_count: limits.header_count,
            uri_bytes: limits.uri_bytes,
            h2_streams: limits.h2_streams,
            h2_resets: limits.h2_resets,
        }),
        concurrency: ConcurrencyLimits {
            streams_per_account: limits.streams_per_account,
            agents_per_server: limits.agents_per_server,
            agents_per_key: limits.agents_per_key,
            agents_per_owner: limits.agents_per_owner,
            requests_per_address: limits.requests_per_address,
            agents_unauthenticated: limits.agents_unauthenticated,
            agents_unauthenticated_per_address: limits.agents_unauthenticated_per_address,
        },
        attempts: Arc::new(attempts(limits)),
        wait: limits.wait,
        challenges: Challenges::new(&config.auth.realm, &config.routes),
        hsts: config.tls.hsts.as_ref().map(hsts),
        require_store: config.health.require_store,
    })
}

/// RFC 6797 6.1.
fn hsts(hsts: &config::Hsts) -> HeaderValue {
    let subdomains = match hsts.subdomains {
        config::Subdomains::Included => "; includeSubDomains",
        config::Subdomains::NotIncluded => "",
    };
    let value = format!("max-age={}{subdomains}", hsts.max_age.as_secs());
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("max-age=0"))
}

/// What the configured upstreams are, in their order.
pub(super) fn destinations(config: &Config) -> Result<Vec<Destination>, StartError> {
    config.upstreams.iter().map(destination).collect()
}

fn destination(upstream: &config::Upstream) -> Result<Destination, StartError> {
    let field_names = upstream.field_names;
    let target = match &upstream.target {
        Target::Echo => {
            return Ok(Destination::Echo { name: upstream.name.as_str().into(), field_names });
        }
        Target::Http(target) => target,
    };
    let tls = upstream_tls(target)
        .map_err(|reason| StartError::Upstream { name: upstream.name.clone(), reason })?;
    let upstream = Arc::new(Upstream::new(upstream, target.clone(), tls));
    Ok(Destination::Http { upstream, field_names })
}

pub(super) fn upstream_tls(target: &HttpTarget) -> Result<Option<OutboundTls>, String> {
    match &target.tls {
        UpstreamTls::Off => Ok(None),
        UpstreamTls::On { roots } => {
            let host = target.authority.host();
            OutboundTls::new(host, target.protocol, roots.as_deref()).map(Some)
        }
    }
}

#[cfg(test)]
mod tests;
