//! Long answers and tunnels end with the credential that opened them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::auth::Core;
use crate::auth::principal::Principal;

/// Resolves when a principal's credential has ended.
pub struct PrincipalWatch {
    ended: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl PrincipalWatch {
    #[must_use]
    pub fn new(core: Arc<Core>, principal: Arc<Principal>) -> Self {
        Self { ended: Box::pin(until_ended(core, principal)) }
    }

    /// Polls once; also arranges to be woken.
    pub fn has_ended(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.ended.as_mut().poll(cx), Poll::Ready(()))
    }

    pub async fn ended(self) {
        self.ended.await;
    }
}

async fn until_ended(core: Arc<Core>, principal: Arc<Principal>) {
    let mut changes = core.standing().changes();
    loop {
        let now = core.clock().now();
        if core.standing().still_good(&principal, now).is_err() {
            return;
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
            changed = changes.changed() => if changed.is_err() { return },
            () = expiry => {}
        }
    }
}
