//! Who is calling, as upstreams learn it. What a client says of itself under these names
//! has been removed before ([`super::field_names`]); ours are added last, once each.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::principal::Principal;
use crate::config::IdentityHeaders;
use crate::pipeline::authenticate::API_KEY_FIELD;

/// Whether a field may hold what a caller proves itself by.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    name == "authorization" || name == API_KEY_FIELD.as_str()
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
