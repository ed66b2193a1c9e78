//! The tokens that a browser holds in our cookies. When the access token has expired, the
//! gateway renews it at once, so that a page that knows nothing of tokens goes on.

use std::sync::Arc;

use crate::auth::Core;
use crate::auth::error::{Error, Refusal};
use crate::auth::principal::Scheme;
use crate::pipeline::reason::{Rejection, Tried};
use crate::pipeline::throttle::{Caller, Throttle};

use super::{BrowserTokens, Proven};

pub(super) async fn authenticate(
    core: &Core,
    throttle: &Arc<Throttle>,
    caller: &Caller,
    BrowserTokens { access, renewal }: BrowserTokens<'_>,
) -> Result<Proven, Rejection> {
    let judged = match access {
        Some(token) => core.verify_or_load_access(token).await,
        None => Err(Refusal::TokenExpired.into()),
    };
    let judged = match (judged, renewal) {
        (Ok(principal), _) => return Ok(principal.into()),
        // Boxed: nearly every request does without.
        (Err(Error::Refused(Refusal::TokenExpired)), Some(renewal)) => {
            Box::pin(core.renew(renewal, access)).await
        }
        (Err(error), _) => Err(error),
    };
    match judged {
        Ok((principal, renewed)) => Ok(Proven { principal, renewed: Some(renewed) }),
        Err(error) => {
            Box::pin(throttle.refuse(caller, Tried::Credential(Scheme::Bearer), error)).await
        }
    }
}
