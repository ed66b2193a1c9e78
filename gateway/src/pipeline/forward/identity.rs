//! Who is calling, as upstreams learn it: what somebody vouches for, unaltered, or
//! nothing. What a client says of itself under these names has been removed before
//! ([`super::field_names`]); ours are added last, once each.
//!
//! Anybody may write any address into a registration. So an e-mail address is injected when
//! it is verified, and a user name that reads like an unverified one is injected as the
//! account's id, unless `identity.unverified_email` says otherwise.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::account::Account;
use crate::auth::principal::Principal;
use crate::config::{IdentityHeaders, UnverifiedEmail};
use crate::dialect::notation::{
    ENVELOPE_USER_LENGTH, resembles_envelope_user, write_envelope_user,
};
use crate::pipeline::authenticate::API_KEY_FIELD;
use crate::pipeline::reason::{Reason, Rejection};

/// Whether a field may hold what a caller proves itself by.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    name == "authorization" || name == API_KEY_FIELD.as_str()
}

/// Adds the identity of a proven caller. Must come after every removal.
///
/// # Errors
/// When a value is none that a field can hold as it is. Records that hold such are not
/// read; a request that would go on without it is ended all the same.
pub fn inject(
    headers: &mut HeaderMap,
    names: &IdentityHeaders,
    principal: &Principal,
) -> Result<(), Rejection> {
    let mut put = |name: &Option<HeaderName>, value: &str| match name {
        Some(name) => field_value(name, value).map(|value| drop(headers.insert(name, value))),
        None => Ok(()),
    };
    let account = &principal.account;
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    put(&names.user_id, account.id.0.hyphenated().encode_lower(&mut id))?;
    let mut id_as_name = [0; ENVELOPE_USER_LENGTH];
    put(&names.username, injected_name(account, names.unverified_email, &mut id_as_name))?;
    if let Some(email) = injected_email(account, names.unverified_email) {
        put(&names.email, email)?;
    }
    if let Some(roles) = joined(&account.roles) {
        put(&names.roles, &roles)?;
    }
    if let Some(membership) = &principal.workspace {
        put(&names.workspace, membership.workspace.0.hyphenated().encode_lower(&mut id))?;
        put(&names.workspace_role, &membership.role)?;
    }
    put(&names.scheme, principal.scheme().as_str())?;
    if let Some(key) = principal.key() {
        put(&names.key_id, key.id.0.hyphenated().encode_lower(&mut id))?;
        if let Some(scopes) = joined(&key.scopes) {
            put(&names.scopes, &scopes)?;
        }
        if let Some(server) = key.server {
            put(&names.server_id, server.0.hyphenated().encode_lower(&mut id))?;
        }
    }
    Ok(())
}

/// Words as one value; a single one needs no place of its own.
fn joined(words: &[String]) -> Option<Cow<'_, str>> {
    match words {
        [] => None,
        [word] => Some(word.into()),
        words => Some(words.join(",").into()),
    }
}

/// Visible ASCII: whoever reads a field takes blanks around its value away.
fn field_value(name: &HeaderName, value: &str) -> Result<HeaderValue, Rejection> {
    let visible = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    let value = if visible { HeaderValue::from_str(value).ok() } else { None };
    value.ok_or_else(|| Reason::Internal.with_detail(format!("no value for {name}")))
}

/// An `usr_…` belongs to the account whose id it is, whoever calls itself so.
fn injected_name<'a>(
    account: &'a Account,
    unverified: UnverifiedEmail,
    id: &'a mut [u8; ENVELOPE_USER_LENGTH],
) -> &'a str {
    let name = account.username.as_str();
    let withheld = unverified == UnverifiedEmail::Withheld
        && (account.is_named_by_unverified_email() || resembles_envelope_user(name));
    if withheld { write_envelope_user(account.id, id) } else { name }
}

fn injected_email(account: &Account, unverified: UnverifiedEmail) -> Option<&str> {
    match unverified {
        UnverifiedEmail::Withheld => account.verified_email(),
        UnverifiedEmail::Injected => account.email.as_deref(),
    }
}

#[cfg(test)]
mod tests;
