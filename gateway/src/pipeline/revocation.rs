//! Long responses and tunnels end with the credential that opened them, and with the
//! permission: a role that is taken away ends what it had opened.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::auth::Core;
use crate::auth::principal::Principal;
use crate::auth::renew::Renewable;
use crate::auth::time::Timestamp;

use super::authorize::authorize_account;
use super::reason::{Reason, Rejection};
use super::route::Route;

/// Resolves when a principal may no longer use the route: its credential has ended, or
/// what the route demands is not there any more.
pub struct RevocationWatch {
    ended: Pin<Box<dyn Future<Output = Rejection> + Send + Sync>>,
}

impl RevocationWatch {
    #[must_use]
    pub fn new(
        core: &Arc<Core>,
        principal: &Arc<Principal>,
        route: &Arc<Route>,
        renewable: Option<Renewable>,
    ) -> Self {
        let (core, route) = (Arc::clone(core), Arc::clone(route));
        let principal = match renewable {
            Some(Renewable { until, .. }) => Arc::new(principal.until(until)),
            None => Arc::clone(principal),
        };
        Self { ended: Box::pin(until_ended(core, principal, route, renewable)) }
    }

    /// Polls once; also arranges to be woken.
    pub fn has_ended(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.ended.as_mut().poll(cx), Poll::Ready(_))
    }

    /// Why a request would be refused by now. Not to be asked again.
    pub async fn ended(&mut self) -> Rejection {
        self.ended.as_mut().await
    }
}

async fn until_ended(
    core: Arc<Core>,
    mut principal: Arc<Principal>,
    route: Arc<Route>,
    mut renewable: Option<Renewable>,
) -> Rejection {
    let subscription = core.standing().subscribe(&principal);
    loop {
        // Before judging: what changes while it is judged is heard of.
        let changed = subscription.changed();
        let now = core.clock().now();
        if let Some(renewable) = &mut renewable
            && renewable.until <= now
        {
            renewable.until = core.renewed_until(&principal, *renewable).await;
            principal = Arc::new(principal.until(renewable.until));
        }
        if let Err(rejection) = verify_again(&core, &principal, &route, now) {
            return rejection;
        }
        let remaining =
            principal.expires().map(|at| std::time::Duration::from_millis(at.since(now)));
        let expiry = async {
            match remaining {
                Some(remaining) => tokio::time::sleep(remaining).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed => {}
            () = expiry => {}
        }
    }
}

/// Looks at memory alone: every open tunnel does so at every change that concerns it.
fn verify_again(
    core: &Core,
    principal: &Principal,
    route: &Route,
    now: Timestamp,
) -> Result<(), Rejection> {
    let account = core
        .standing()
        .still_good(principal, now)
        .map_err(|refusal| Reason::CredentialRefused(principal.scheme(), refusal))?;
    authorize_account(&account, principal.key(), &route.access)
}

#[cfg(test)]
mod tests;
