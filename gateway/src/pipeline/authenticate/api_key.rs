//! An API key, in `X-API-Key` or as a bearer token that begins `sk_live_`.

use crate::auth::Core;
use crate::auth::ports::Source;
use crate::auth::principal::{Principal, Scheme};
use crate::pipeline::reason::{Rejection, Tried};
use crate::pipeline::throttle::Throttle;

pub(super) async fn check(
    core: &Core,
    throttle: &Throttle,
    source: Source,
    text: &str,
) -> Result<Principal, Rejection> {
    throttle.check(source)?;
    match core.verify_key(text) {
        Ok(principal) => Ok(principal),
        Err(refusal) => {
            let refused = async { Err(refusal.into()) };
            throttle.attempt(source, Tried::Credential(Scheme::ApiKey), refused).await
        }
    }
}
