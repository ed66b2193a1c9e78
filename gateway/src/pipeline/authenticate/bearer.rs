//! `Authorization: Bearer` with one of our access tokens (RFC 6750). Refusals
//! are not counted: a token cannot be guessed, and a page with an expired one
//! would lock its user out.

use std::sync::Arc;

use crate::auth::Core;
use crate::auth::principal::{Principal, Scheme};
use crate::pipeline::reason::{Reason, Rejection};

pub(super) fn check(core: &Core, token: &str) -> Result<Arc<Principal>, Rejection> {
    core.verify_access(token)
        .map_err(|refusal| Reason::CredentialRefused(Scheme::Bearer, refusal).into())
}
