//! An API key, in `X-API-Key` or as a bearer token that begins `sk_live_`.

use std::sync::Arc;

use crate::auth::Core;
use crate::auth::principal::{Principal, Scheme};
use crate::pipeline::reason::{Rejection, Tried};
use crate::pipeline::throttle::{Caller, Throttle};

pub(super) async fn check(
    core: &Core,
    throttle: &Arc<Throttle>,
    caller: &Caller,
    text: &str,
) -> Result<Principal, Rejection> {
    throttle.check(caller.source)?;
    match core.judge_key(text).await {
        Ok(principal) => Ok(principal),
        Err(error) => {
            let refused = async move { Err(error) };
            throttle.attempt(caller, None, Tried::Credential(Scheme::ApiKey), refused).await
        }
    }
}
