//! Whether a proven principal may take a route.

use crate::auth::principal::Principal;
use crate::config::Access;

use super::reason::{Reason, Rejection};

/// Roles are the account's present ones, whatever an older token said; a key has
/// the roles of its owner. Scopes narrow keys and do not concern people.
///
/// # Errors
/// When a role or a scope is missing.
pub fn authorize(principal: &Principal, access: &Access) -> Result<(), Rejection> {
    let Access::Authenticated { roles, scopes } = access else {
        return Ok(());
    };
    if !roles.is_empty() && !roles.iter().any(|role| principal.account.roles.contains(role)) {
        return Err(Reason::RoleMissing.into());
    }
    if let Some(key) = principal.key()
        && !scopes.iter().all(|scope| key.scopes.contains(scope))
    {
        return Err(Reason::ScopeMissing.into());
    }
    Ok(())
}
