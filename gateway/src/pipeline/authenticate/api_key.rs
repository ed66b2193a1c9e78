//! An API key, in `X-API-Key`, as a bearer token that begins `sk_live_`, or as the
//! password of Basic.

use std::sync::Arc;

use crate::auth::Core;
use crate::auth::principal::{Principal, Scheme};
use crate::pipeline::reason::{Rejection, Tried};
use crate::pipeline::throttle::{Caller, Throttle};

const TRIED: Tried = Tried::Credential(Scheme::ApiKey);

pub(super) async fn authenticate(
    core: &Core,
    throttle: &Arc<Throttle>,
    caller: &Caller,
    text: &str,
) -> Result<Principal, Rejection> {
    throttle.check(caller.source)?;
    match core.verify_or_load_key(text).await {
        Ok(principal) => Ok(principal),
        // In turn, so that the count is exact.
        Err(error) if caller.counts(TRIED) => {
            throttle.attempt(caller, None, TRIED, async move { Err(error) }).await
        }
        Err(error) => Err(Rejection::from_core(error, TRIED)),
    }
}
