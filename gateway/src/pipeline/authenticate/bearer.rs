//! `Authorization: Bearer` with one of our access tokens (RFC 6750). Refusals
//! are not counted: a token cannot be guessed, and a page with an expired one
//! would lock its user out.

use std::sync::Arc;

use crate::auth::Core;
use crate::auth::principal::{Principal, Scheme};
use crate::pipeline::reason::{Rejection, Tried};

pub(super) async fn check(core: &Core, token: &str) -> Result<Arc<Principal>, Rejection> {
    let judged = core.judge_access(token).await;
    judged.map_err(|error| Rejection::from_core(error, Tried::Credential(Scheme::Bearer)))
}
