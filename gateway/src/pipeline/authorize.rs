//! Whether a proven principal may take a route.

use crate::auth::account::Account;
use crate::auth::api_key::ApiKey;
use crate::auth::principal::Principal;
use crate::config::{Access, KeyAccess};

use super::reason::{Reason, Rejection};

/// What a key needs to administer.
const ADMIN_SCOPE: &str = "admin";

/// Roles are the account's present ones, whatever an older token said; a key has
/// the roles of its owner. Scopes narrow keys and do not concern people.
///
/// # Errors
/// When the route takes no such key, or a role or a scope is missing.
pub fn authorize(principal: &Principal, access: &Access) -> Result<(), Rejection> {
    authorize_account(&principal.account, principal.key(), access)
}

/// The same of an account as it is by now, for what has lasted since it was proven.
///
/// # Errors
/// When the route takes no such key, or a role or a scope is missing.
pub fn authorize_account(
    account: &Account,
    key: Option<&ApiKey>,
    access: &Access,
) -> Result<(), Rejection> {
    let Access::Authenticated { roles, scopes, keys } = access else {
        return Ok(());
    };
    if let Some(key) = key {
        check_key(key, *keys)?;
    }
    if !roles.is_empty() && !roles.iter().any(|role| account.roles.contains(role)) {
        return Err(Reason::RoleMissing.into());
    }
    if let Some(key) = key
        && !scopes.iter().all(|scope| key.scopes.contains(scope))
    {
        return Err(Reason::ScopeMissing.into());
    }
    Ok(())
}

fn check_key(key: &ApiKey, keys: KeyAccess) -> Result<(), Rejection> {
    match (keys, key.server) {
        (KeyAccess::Any, _) | (KeyAccess::Unbound, None) | (KeyAccess::Servers, Some(_)) => Ok(()),
        (KeyAccess::Unbound, Some(_)) => Err(Reason::KeyBoundToServer.into()),
        (KeyAccess::Servers, None) => Err(Reason::KeyNotBound.into()),
        (KeyAccess::None, _) => Err(Reason::NotForKeys.into()),
    }
}

/// Whether a proven principal may use an endpoint of the gateway's own. A key that is
/// bound to a server speaks for its agents, and does not manage its owner's account.
///
/// # Errors
/// When it comes with such a key.
pub fn own_endpoint(principal: &Principal) -> Result<(), Rejection> {
    principal.key().map_or(Ok(()), |key| check_key(key, KeyAccess::Unbound))
}

/// Whether a proven principal may administer the gateway. A key that acts for an
/// administrator does so only if it was made for that.
///
/// # Errors
/// When the role or the scope is missing.
pub fn administrator(principal: &Principal) -> Result<(), Rejection> {
    if !principal.account.is_admin() {
        return Err(Reason::RoleMissing.into());
    }
    match principal.key() {
        Some(key) if key.scopes.iter().all(|scope| scope != ADMIN_SCOPE) => {
            Err(Reason::ScopeMissing.into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
