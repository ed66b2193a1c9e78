//! What settings that are good each for itself let the world do together.

use std::net::IpAddr;

use http::Method;
use ipnet::IpNet;

use crate::auth::account::DEFAULT_ROLE;
use crate::auth::register::Registering;

use super::cors::{AmbientCredentials, Cors, CorsPolicy, OriginPattern};
use super::document::Section;
use super::page_origin::PageOrigin;
use super::schemes::{CallerScheme, Schemes};
use super::{
    Access, Config, Delivery, Dialect, NodeAddress, ProxyProtocol, Route, SharedStore, Target,
    Tickets, Topology, Transport, Upstream, UpstreamProtocol, UpstreamTls, warning,
};

/// Warns of what is exposed. Only of a configuration without a problem.
pub(super) fn warn(root: &Section<'_>, config: &Config) {
    warn_of_clear_listeners(root, config);
    warn_of_open_registration(&root.section("auth"), config);
    warn_of_wide_trust(&root.section("client"), &config.trusted_proxies);
    if let Some(shared) = &config.store.shared {
        warn_of_distant_store(&root.section("store"), shared);
    }
    warn_of_public_administration(&root.section("admin"), config);
    warn_of_more_agents_than_a_share(&root.section("limits"), config);
    warn_of_pages(root, config);
    warn_of_upgrades_over_http2(root, config);
    warn_of_routes_for_missing_cookies(root, config);
}

/// Whether strangers can be expected to reach it: neither loopback, nor an address that is
/// not routed on the internet. A wildcard counts: it takes every address the machine has or
/// will have.
fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_unspecified() || !is_within(&NOT_ROUTED, &IpNet::from(address))
}

/// Loopback, private, shared (RFC 6598) and link-local addresses.
const NOT_ROUTED: [&str; 9] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

fn is_within(networks: &[&str], inner: &IpNet) -> bool {
    let mut networks = networks.iter().filter_map(|network| network.parse::<IpNet>().ok());
    networks.any(|network| network.contains(inner))
}

/// Behind a PROXY header only trusted proxies are let in, so TLS has ended there.
fn warn_of_clear_listeners(root: &Section<'_>, config: &Config) {
    // `--listen` and its variable give one listener, which has TLS.
    for (listener, section) in config.listeners.iter().zip(root.sections("listener")) {
        let clear =
            listener.transport == Transport::Plain && listener.proxy_protocol == ProxyProtocol::Off;
        if clear && is_public(listener.address.ip()) {
            let message = format!("{} accepts passwords and tokens without TLS", listener.address);
            section.warn(warning::LISTENER_CLEAR, section.given_at("tls"), "tls", message);
        }
    }
}

fn warn_of_open_registration(section: &Section<'_>, config: &Config) {
    let dialects = &config.dialects;
    let open = config.auth.registration == Registering::Open
        && config.auth.local_accounts
        && (dialects.form.enabled || dialects.envelope.enabled);
    let reached = |route: &&Route| {
        let upstream = config.upstreams.get(route.upstream);
        upstream.is_some_and(|upstream| matches!(upstream.target, Target::Http(_)))
            && is_open_to_newcomers(&route.access)
    };
    let Some(route) = config.routes.iter().find(reached).filter(|_| open) else {
        return;
    };
    let message = format!("a new account passes the route {}", route.id);
    let origin = section.given_at("registration");
    section.warn(warning::REGISTRATION_OPEN, origin, "registration", message);
}

/// A public route is open without an account; scopes narrow keys, not people.
fn is_open_to_newcomers(access: &Access) -> bool {
    match access {
        Access::Public => false,
        Access::Authenticated { roles, .. } => {
            roles.is_empty() || roles.iter().any(|role| role == DEFAULT_ROLE)
        }
    }
}

/// No proxy's operator owns so much: 10.0.0.0/8 is the largest private IPv4 network, and no
/// registry's largest block of IPv6 is as large.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 12;

/// Where a route takes our cookies alone, and nobody has one.
fn warn_of_routes_for_missing_cookies(root: &Section<'_>, config: &Config) {
    let given = |dialect: &Dialect| dialect.enabled && dialect.delivery != Delivery::Body;
    if config.dialects.all().any(given) {
        return;
    }
    let cookies: Schemes = [CallerScheme::Cookie].into_iter().collect();
    for (route, section) in config.routes.iter().zip(root.sections("route")) {
        let otherwise = route.agents.are_accepted() || route.tickets == Tickets::Accepted;
        if route.schemes == cookies && route.access != Access::Public && !otherwise {
            let message =
                format!("route {} accepts cookies only, and no contract issues any", route.id);
            section.warn(
                warning::COOKIES_NOT_GIVEN,
                section.given_at("schemes"),
                "schemes",
                message,
            );
        }
    }
}

fn warn_of_wide_trust(section: &Section<'_>, proxies: &[IpNet]) {
    let wide = |network: &&IpNet| {
        let widest = if network.addr().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
        network.prefix_len() < widest && !is_within(&NOT_ROUTED, network)
    };
    // Neighbours count as what they are together.
    let together = IpNet::aggregate(&proxies.to_vec());
    if let Some(network) = together.iter().find(wide) {
        let origin = section.given_at("trusted_proxies");
        let message = format!("{network} is a large part of the internet");
        section.warn(warning::TRUSTED_PROXIES_WIDE, origin, "trusted_proxies", message);
    }
}

fn warn_of_distant_store(section: &Section<'_>, shared: &SharedStore) {
    let addresses = match &shared.topology {
        Topology::Single(address) => std::slice::from_ref(address),
        Topology::Sentinel { addresses, .. } | Topology::Cluster(addresses) => addresses,
    };
    let Some(distant) = addresses.iter().find(|address| !is_this_host(address)) else {
        return;
    };
    let origin = section.given_at("url");
    if matches!(shared.tls, UpstreamTls::Off) {
        let message = format!("traffic to {distant} can be read and changed in transit");
        section.warn(warning::STORE_CLEAR, origin.clone(), "url", message);
    }
    if shared.password.is_none() {
        let message = format!("{distant} is used without a password");
        section.warn(warning::STORE_WITHOUT_PASSWORD, origin, "url", message);
    }
}

/// A name is not looked up: what it means can change.
fn is_this_host(address: &NodeAddress) -> bool {
    address.host == "localhost"
        || address.host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn warn_of_public_administration(section: &Section<'_>, config: &Config) {
    let public = config.listeners.iter().find(|listener| is_public(listener.address.ip()));
    let Some(listener) = public.filter(|_| config.admin.enabled) else {
        return;
    };
    if !section.is_given("networks") {
        let message = format!("the admin API on {} accepts every client address", listener.address);
        section.warn(warning::ADMIN_PUBLIC, section.origin(), "networks", message);
    }
}

/// Each agent takes a connection of its upstream, of which its owner has a share. Not of
/// the default, which is for upstreams of any size.
fn warn_of_more_agents_than_a_share(section: &Section<'_>, config: &Config) {
    if !section.is_given("agents_per_owner") {
        return;
    }
    let wanted = config.limits.agents_per_owner;
    for (index, upstream) in config.upstreams.iter().enumerate() {
        let has_agents = |route: &Route| route.agents.are_accepted() && route.upstream == index;
        if upstream.share_of_connections() >= wanted
            || !matches!(upstream.target, Target::Http(_))
            || !config.routes.iter().any(has_agents)
        {
            continue;
        }
        let share = upstream.share_of_connections();
        let message = format!(
            "one account may use at most {share} connections of upstream {:?}",
            upstream.name
        );
        let origin = section.given_at("agents_per_owner");
        section.warn(warning::AGENTS_OVER_SHARE, origin, "agents_per_owner", message);
    }
}

fn warn_of_pages(root: &Section<'_>, config: &Config) {
    if let Some(policy) = &config.cors {
        let section = root.section("cors");
        warn_of_wide_wildcards(&section, policy);
        if may_change(&policy.methods) {
            warn_of_pages_that_cannot_act(&section, policy, &config.origins);
        }
    }
    // With `--to` there is one route, which has no policy.
    for (route, section) in config.routes.iter().zip(root.sections("route")) {
        let Cors::Policy(policy) = &route.cors else { continue };
        if section.is_text("cors") {
            continue;
        }
        let table = section.section("cors");
        warn_of_wide_wildcards(&table, policy);
        if acts_by_cookies(route, policy) {
            warn_of_pages_that_cannot_act(&table, policy, &route.origins);
        }
    }
}

/// Whether pages can have anything changed that a browser's own credential pays for.
fn acts_by_cookies(route: &Route, policy: &CorsPolicy) -> bool {
    policy.credentials == AmbientCredentials::Included
        && route.access != Access::Public
        && may_change(&route.methods)
        && may_change(&policy.methods)
}

/// No method named is every method.
fn may_change(methods: &[Method]) -> bool {
    let reads = |method: &Method| [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    methods.is_empty() || !methods.iter().all(reads)
}

fn warn_of_wide_wildcards(section: &Section<'_>, policy: &CorsPolicy) {
    let wide = |pattern: &&OriginPattern| {
        matches!(pattern, OriginPattern::Label(rest)
            if !rest.host.contains('.') && rest.host != "localhost")
    };
    if let Some(pattern) = policy.origins.iter().find(wide) {
        let message = format!("{pattern} matches every site of a top-level domain");
        let origin = section.given_at("origins");
        section.warn(warning::CORS_WILDCARD_WIDE, origin, "origins", message);
    }
}

/// Not of wildcards: what cannot be listed in `origins` is not meant to act.
fn warn_of_pages_that_cannot_act(
    section: &Section<'_>,
    policy: &CorsPolicy,
    acting: &[PageOrigin],
) {
    if let Some(page) = policy.exact_origins().find(|page| !acting.contains(page)) {
        let message =
            format!("pages of {page} may read responses, but not sign in or change anything");
        let origin = section.given_at("origins");
        section.warn(warning::CORS_ORIGIN_CANNOT_ACT, origin, "origins", message);
    }
}

/// Only the keys that say that a connection will switch: a WebSocket can come on any route.
fn warn_of_upgrades_over_http2(root: &Section<'_>, config: &Config) {
    // `--to` gives one route, which has none of them.
    for (route, section) in config.routes.iter().zip(root.sections("route")) {
        let upstream = config.upstreams.get(route.upstream);
        let http2 = |upstream: &Upstream| match &upstream.target {
            Target::Http(target) => target.protocol == UpstreamProtocol::Http2,
            Target::Echo => false,
        };
        let key = match route.tickets {
            _ if route.agents.are_accepted() => "agents",
            Tickets::Accepted => "ws_token",
            Tickets::NotAccepted if !route.upgrades.is_empty() => "upgrades",
            Tickets::NotAccepted => continue,
        };
        if let Some(upstream) = upstream.filter(|upstream| http2(upstream)) {
            let message = format!(
                "route {} uses upstream {:?}, which is limited to HTTP/2",
                route.id, upstream.name
            );
            section.warn(warning::UPGRADE_OVER_HTTP2, section.given_at(key), key, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_strangers_can_reach_is_public() {
        for address in ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "172.32.0.1", "100.128.0.1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "127.255.0.9",
            "::1",
            "::ffff:10.0.0.1",
            "10.255.0.1",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }
}
