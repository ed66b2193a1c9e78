//! Who is calling, as upstreams learn it; and that nobody else can tell them.
//!
//! Every name of every preset, the configured ones, and those by which a request
//! could pass for another one are removed from what a
//! client sends, in any spelling (`-`, `_` and `.` are one), in the head and in
//! trailers, on public routes too. Ours are added last, once each.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::principal::Principal;
use crate::config::IdentityHeaders;
use crate::config::identity::{PRESETS, preset};
use crate::pipeline::authenticate::API_KEY_FIELD;
use crate::pipeline::body::remove_framing;

use super::headers::is_hop_by_hop;

/// Names that only the gateway may set.
#[derive(Debug)]
pub struct StrippedNames {
    names: HashSet<String>,
}

/// Further names by which backends and other proxies are told who is calling.
const ALIASES: [&str; 14] = [
    "remote-name",
    "remote-id",
    "x-remote-user",
    "x-remote-group",
    "x-remote-email",
    "x-user",
    "x-user-id",
    "x-username",
    "x-email",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-preferred-username",
    "x-webauth-name",
];

/// Fields by which a client could tell an upstream that it asked for something
/// else, or came from elsewhere, than what was decided.
const OVERRIDES: [&str; 12] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Families of names: everything that begins so.
const PREFIXES: [&str; 2] = ["x-portcullis-", "x-forwarded-"];

impl StrippedNames {
    #[must_use]
    pub fn new(configured: &IdentityHeaders) -> Self {
        let mut names: HashSet<String> =
            ALIASES.iter().chain(&OVERRIDES).map(|name| (*name).to_owned()).collect();
        let presets = PRESETS.iter().filter_map(|name| preset(name));
        for headers in presets.chain([configured.clone()]) {
            names.extend(headers.names().map(|name| dashed(name.as_str())));
        }
        Self { names }
    }

    /// Whether a field of this (lower-case) name must not come from a client.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        if name.bytes().any(|b| b == b'_' || b == b'.') {
            let name = dashed(name);
            self.names.contains(&name) || has_prefix(&name)
        } else {
            self.names.contains(name) || has_prefix(name)
        }
    }

    /// Trailers of a request without what only the gateway may say.
    #[must_use]
    pub fn clean_trailers(&self, mut trailers: HeaderMap) -> HeaderMap {
        remove_framing(&mut trailers);
        let unwanted: Vec<HeaderName> = trailers
            .keys()
            .filter(|field| {
                let name = field.as_str();
                name.contains('_')
                    || is_hop_by_hop(field)
                    || self.contains(name)
                    || is_credential(name)
                    || is_ours(name)
            })
            .cloned()
            .collect();
        for name in unwanted {
            trailers.remove(name);
        }
        trailers
    }
}

/// Whether a field may hold what a caller proves itself by, however it is spelled.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    name == "authorization"
        || name == API_KEY_FIELD.as_str()
        || (name.contains('.') && dashed(name) == API_KEY_FIELD.as_str())
}

/// Fields that the gateway sets on the head of every request.
fn is_ours(name: &str) -> bool {
    matches!(name, "x-request-id" | "traceparent" | "tracestate")
}

fn has_prefix(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

pub(super) fn dashed(name: &str) -> String {
    name.replace(['_', '.'], "-")
}

impl IdentityHeaders {
    fn names(&self) -> impl Iterator<Item = &HeaderName> {
        [
            &self.user_id,
            &self.username,
            &self.email,
            &self.roles,
            &self.workspace,
            &self.workspace_role,
            &self.scheme,
            &self.key_id,
            &self.scopes,
            &self.server_id,
        ]
        .into_iter()
        .flatten()
    }
}

/// Adds the identity of a proven caller. Must come after every removal.
pub fn inject(headers: &mut HeaderMap, names: &IdentityHeaders, principal: &Principal) {
    let mut put = |name: &Option<HeaderName>, value: Option<&str>| {
        // Names, e-mails and roles are checked to be visible ASCII when they are set.
        if let (Some(name), Some(value)) = (name, value)
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.insert(name, value);
        }
    };
    let account = &principal.account;
    let mut id = [0u8; uuid::fmt::Hyphenated::LENGTH];
    put(&names.user_id, Some(account.id.0.hyphenated().encode_lower(&mut id)));
    put(&names.username, Some(account.username.as_str()));
    put(&names.email, account.email.as_deref());
    match account.roles.as_slice() {
        [] => {}
        [role] => put(&names.roles, Some(role)),
        roles => put(&names.roles, Some(&roles.join(","))),
    }
    if let Some(membership) = &principal.workspace {
        put(&names.workspace, Some(membership.workspace.0.hyphenated().encode_lower(&mut id)));
        put(&names.workspace_role, Some(&membership.role));
    }
    put(&names.scheme, Some(principal.scheme().as_str()));
    if let Some(key) = principal.key() {
        put(&names.key_id, Some(key.id.0.hyphenated().encode_lower(&mut id)));
        if !key.scopes.is_empty() {
            put(&names.scopes, Some(&key.scopes.join(",")));
        }
        if let Some(server) = key.server {
            put(&names.server_id, Some(server.0.hyphenated().encode_lower(&mut id)));
        }
    }
}

#[cfg(test)]
mod tests;
