//! `Authorization: Bearer` with one of our access tokens (RFC 6750). It is judged also
//! for an address that is locked out: who has a token need not try passwords.

use std::sync::Arc;

use crate::auth::Core;
use crate::auth::principal::{Principal, Scheme};
use crate::pipeline::reason::{Rejection, Tried};
use crate::pipeline::throttle::{Caller, Throttle};

pub(super) async fn authenticate(
    core: &Core,
    throttle: &Arc<Throttle>,
    caller: &Caller,
    token: &str,
) -> Result<Arc<Principal>, Rejection> {
    match core.verify_or_load_access(token).await {
        Ok(principal) => Ok(principal),
        // Boxed: the way of nearly every request must not carry the room for this.
        Err(error) => {
            Box::pin(throttle.refuse(caller, Tried::Credential(Scheme::Bearer), error)).await
        }
    }
}
