//! Which fields of a request go upstream, by their names alone.
//!
//! Servers hand fields to applications under other names than were sent: CGI maps every
//! byte that is no letter or digit to `_`, and some servers read `_` and `.` as `-`. So
//! the rule says what passes, not what is known to be bad: a name of letters, digits and
//! `-` that nobody but the gateway, or a proxy in front of the application, would use to
//! say who is calling or what was asked for.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashSet;
use http::{HeaderMap, HeaderName};

use crate::config::identity::{PRESETS, preset};
use crate::config::{FieldNames, FieldOverrides, IdentityHeaders, NamePattern};
use crate::pipeline::fields::{is_hop_by_hop, remove_framing};
use crate::telemetry::counters::Counters;

use super::identity::is_credential;

/// Names under which proxies and identity providers tell an application who is calling,
/// from where, and what was asked for. None of them is a client's to send.
const ASSERTED: [&str; 69] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "front-end-https",
    // CGI hands it to programs as HTTP_PROXY (CVE-2016-5385, "httpoxy").
    "proxy",
    "proxy-client-ip",
    "remote-email",
    "remote-groups",
    "remote-id",
    "remote-name",
    "remote-user",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-admin",
    "x-arr-clientcert",
    "x-auth-email",
    "x-auth-groups",
    "x-auth-method",
    "x-auth-name",
    "x-auth-roles",
    "x-auth-user",
    "x-auth-user-id",
    "x-auth-username",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-email",
    "x-forwarded",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-is-admin",
    "x-jwt-payload",
    "x-method-override",
    "x-middleware-subrequest",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-proxy-roles",
    "x-proxy-user",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-rewrite-url",
    "x-role",
    "x-roles",
    "x-scheme",
    "x-script-name",
    "x-sendfile-type",
    "x-ssl-cert",
    "x-token-claims",
    "x-url-scheme",
    "x-user",
    "x-user-email",
    "x-user-id",
    "x-user-name",
    "x-user-role",
    "x-user-roles",
    "x-userinfo",
    "x-username",
];

/// Families of such names: everything that begins so.
const ASSERTED_FAMILIES: [&str; 25] = [
    "cf-access-",
    "impersonate-",
    "oidc-claim-",
    "ssl-client-",
    "tailscale-",
    "x-accel-",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-consumer-",
    "x-credential-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-authenticated-",
    "x-impersonate-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-portcullis-",
    "x-remote-",
    "x-ssl-client-",
    "x-vouch-",
    "x-webauth-",
];

/// Variables of CGI (RFC 3875 4.1) and of what followed it: with `_` in its name, a field is
/// taken for one by some servers. gunicorn cuts SCRIPT_NAME off the path it routes by.
const VARIABLES: [&str; 10] = [
    "auth-type",
    "gateway-interface",
    "https",
    "path-info",
    "path-translated",
    "query-string",
    "request-method",
    "request-uri",
    "script-filename",
    "script-name",
];
const VARIABLE_FAMILIES: [&str; 6] =
    ["document-", "http-", "redirect-", "remote-", "server-", "wsgi-"];

/// Why a field does not go upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// A server could hand its name to an application as another one.
    Form,
    /// It asserts what only the gateway, or a proxy, may.
    Asserted,
    /// It holds a token or key of the gateway's where that is no credential.
    Own,
}

impl Removal {
    /// Stable, for logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Removal::Form => "field_name_form",
            Removal::Asserted => "field_asserted",
            Removal::Own => "field_holds_own_credential",
        }
    }
}

/// A field that was removed because of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    pub name: HeaderName,
    pub why: Removal,
}

/// What passes by its name. Made once for a configuration.
#[derive(Debug)]
pub struct FieldRules {
    asserted: Names,
    allowed: Names,
}

impl FieldRules {
    #[must_use]
    pub fn new(identity: &IdentityHeaders, overrides: &FieldOverrides) -> Self {
        let presets = PRESETS.iter().filter_map(|name| preset(name));
        let known = presets.chain([identity.clone()]);
        let injected: Vec<String> = known
            .flat_map(|names| names.all().map(ToString::to_string).collect::<Vec<_>>())
            .collect();
        let (removed_names, removed_families) = parted(&overrides.remove);
        let (allowed_names, allowed_families) = parted(&overrides.allow);
        let asserted = Names::new(
            ASSERTED
                .into_iter()
                .chain(injected.iter().map(String::as_str))
                .chain(removed_names)
                .collect(),
            ASSERTED_FAMILIES.into_iter().chain(removed_families).collect(),
        );
        Self { asserted, allowed: Names::new(allowed_names, allowed_families) }
    }

    /// Whether a field of this (lower-case) name may go upstream, hop-by-hop fields and
    /// credentials aside, which have rules of their own.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, name: &str, names: FieldNames) -> Result<(), Removal> {
        if name.bytes().all(is_plain) {
            return if self.is_asserted(name) { Err(Removal::Asserted) } else { Ok(()) };
        }
        let wide = |byte| is_plain(byte) || byte == b'_' || byte == b'.';
        if names == FieldNames::Any
            && name.bytes().all(wide)
            && !self.has_meaning(&normal_form(name))
        {
            Ok(())
        } else {
            Err(Removal::Form)
        }
    }

    /// Trailers of a request without what only the gateway may say.
    #[must_use]
    pub fn clean_trailers(
        &self,
        mut trailers: HeaderMap,
        names: FieldNames,
    ) -> (HeaderMap, Vec<Removed>) {
        remove_framing(&mut trailers);
        let mut removed = Vec::new();
        let mut unwanted = Vec::new();
        for field in trailers.keys() {
            let name = field.as_str();
            match self.check(name, names) {
                Err(why) => removed.push(Removed { name: field.clone(), why }),
                Ok(()) if is_hop_by_hop(field) || is_credential(name) || is_set_here(name) => {
                    unwanted.push(field.clone());
                }
                Ok(()) => {}
            }
        }
        for name in removed.iter().map(|removed| &removed.name).chain(&unwanted) {
            trailers.remove(name);
        }
        (trailers, removed)
    }

    fn is_asserted(&self, name: &str) -> bool {
        self.asserted.contains(name) && !self.allowed.contains(name)
    }

    /// Whether a name has a meaning here that another spelling must not borrow.
    fn has_meaning(&self, normal: &str) -> bool {
        self.asserted.contains(normal)
            || is_credential(normal)
            || is_set_here(normal)
            || normal.starts_with("content-")
            || VARIABLES.contains(&normal)
            || VARIABLE_FAMILIES.iter().any(|family| normal.starts_with(family))
            || HeaderName::from_bytes(normal.as_bytes()).is_ok_and(|name| is_hop_by_hop(&name))
    }
}

/// Names and families of names. Both are sorted, and no family lies within another, so
/// that one search in each finds the only entry that can match.
#[derive(Debug)]
struct Names {
    exact: Vec<Box<str>>,
    families: Vec<Box<str>>,
}

impl Names {
    fn new(mut exact: Vec<&str>, mut families: Vec<&str>) -> Self {
        families.sort_unstable();
        families.dedup_by(|later, earlier| later.starts_with(*earlier));
        exact.sort_unstable();
        exact.dedup();
        let owned = |names: Vec<&str>| names.into_iter().map(Into::into).collect();
        Self { exact: owned(exact), families: owned(families) }
    }

    fn contains(&self, name: &str) -> bool {
        let exact = self.exact.binary_search_by(|known| known.as_ref().cmp(name)).is_ok();
        exact || {
            let after = self.families.partition_point(|family| family.as_ref() <= name);
            let nearest = after.checked_sub(1).and_then(|index| self.families.get(index));
            nearest.is_some_and(|family| name.starts_with(family.as_ref()))
        }
    }
}

fn parted(patterns: &[NamePattern]) -> (Vec<&str>, Vec<&str>) {
    let (mut exact, mut families) = (Vec::new(), Vec::new());
    for pattern in patterns {
        match pattern {
            NamePattern::Exact(name) => exact.push(name.as_str()),
            NamePattern::Family(prefix) => families.push(prefix.as_str()),
        }
    }
    (exact, families)
}

/// Bytes that every server hands on in one way (HTTP lower-cases names before).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// The name as the widest of those servers reads it.
fn normal_form(name: &str) -> String {
    name.bytes().map(|byte| if is_plain(byte) { char::from(byte) } else { '-' }).collect()
}

/// Fields that the gateway sets on the head of every request.
fn is_set_here(name: &str) -> bool {
    matches!(name, "x-request-id" | "traceparent" | "tracestate")
}

/// The rules for one request's trailers, which come when its head is long gone.
pub struct TrailerFilter {
    pub rules: Arc<FieldRules>,
    pub names: FieldNames,
    pub route: Arc<str>,
    pub report: Arc<RemovalReport>,
}

impl TrailerFilter {
    #[must_use]
    pub fn clean(&self, trailers: HeaderMap) -> HeaderMap {
        let (trailers, removed) = self.rules.clean_trailers(trailers, self.names);
        self.report.report(&self.route, &removed);
        trailers
    }
}

/// Removals that are told at most; beyond, they are counted only.
const MAX_TOLD: usize = 1_024;
/// Of a name, in the log.
const MAX_NAME_CHARS: usize = 64;

/// Tells the operator what is removed: the first time for each route and name.
#[derive(Debug)]
pub struct RemovalReport {
    counters: Arc<Counters>,
    told: DashSet<u64>,
    full: AtomicBool,
    hasher: RandomState,
}

impl RemovalReport {
    #[must_use]
    pub fn new(counters: Arc<Counters>) -> Self {
        let (told, full) = (DashSet::new(), AtomicBool::new(false));
        Self { counters, told, full, hasher: RandomState::new() }
    }

    pub fn report(&self, route: &str, removed: &[Removed]) {
        for Removed { name, why } in removed {
            self.counters.fields_removed.increment();
            let seen = self.hasher.hash_one((route, name.as_str()));
            if self.full.load(Ordering::Relaxed) || self.told.contains(&seen) {
                continue;
            }
            if self.told.len() >= MAX_TOLD {
                self.full.store(true, Ordering::Relaxed);
                tracing::warn!(
                    "log limit for removed request fields reached, later ones are only counted"
                );
            } else if self.told.insert(seen) {
                let field = name.as_str().get(..MAX_NAME_CHARS).unwrap_or(name.as_str());
                tracing::warn!(route, field, reason = why.code(), "request field removed");
            }
        }
    }
}

#[cfg(test)]
mod tests;
