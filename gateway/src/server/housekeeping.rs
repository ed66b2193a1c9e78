//! What has to be done from time to time, away from any request.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::auth::Core;
use crate::clock;
use crate::pipeline::Gateway;
use crate::slots::Slots;

use super::advisory::read_advisory;
use super::sweeping::Sweeping;

const BUCKET_SWEEP: Duration = Duration::from_secs(2);

const STORE_SWEEP: Duration = Duration::from_secs(60);

/// So that after a crash no key's last use is more than a minute old.
const USES_SAVED: Duration = Duration::from_secs(30);

const ADVISORY_POLL: Duration = Duration::from_secs(30);

/// Goes on until it is aborted.
pub(super) async fn keep_house(
    gateway: Arc<Gateway>,
    slots: Arc<Slots>,
    advisory: Option<PathBuf>,
    sweeping: Arc<Mutex<Sweeping>>,
) {
    let mut buckets = tokio::time::interval(BUCKET_SWEEP);
    let mut store = tokio::time::interval(STORE_SWEEP);
    let mut uses = tokio::time::interval(USES_SAVED);
    let mut poll = tokio::time::interval(ADVISORY_POLL);
    let mut dropped = 0;
    // Kept by whoever begins this again: it knows by how much the wall clock has jumped.
    let mut sweeping = sweeping.lock().await;
    loop {
        tokio::select! {
            _ = buckets.tick() => {
                let (gateway, slots) = (Arc::clone(&gateway), Arc::clone(&slots));
                // With many addresses this takes milliseconds.
                let _ = tokio::task::spawn_blocking(move || {
                    gateway.site.load().sweep();
                    gateway.turns.sweep();
                    gateway.throttle.sweep();
                    gateway.bounds.sweep();
                    gateway.lingering.sweep();
                    for places in [&gateway.under_way, &gateway.proxied] {
                        places.sweep();
                    }
                    for slots in [&gateway.agents, &slots] {
                        slots.sweep();
                    }
                }).await;
            }
            _ = uses.tick() => save_uses(&gateway.core).await,
            _ = store.tick() => {
                let (now, store) = (gateway.core.clock().now(), gateway.core.store());
                sweeping.sweep(&**store, now, clock::elapsed()).await;
                let now_dropped = gateway.sink.dropped();
                if now_dropped > dropped {
                    tracing::warn!(lines = now_dropped - dropped, "log lines dropped: output too slow or failing");
                    dropped = now_dropped;
                }
            }
            _ = poll.tick(), if advisory.is_some() => {
                let advisory = advisory.clone();
                let read = move || read_advisory(advisory.as_deref());
                if let Ok(read) = tokio::task::spawn_blocking(read).await {
                    gateway.advisory.store(Arc::new(read));
                }
            }
        }
    }
}

/// Saves when keys and sessions were last used.
pub(super) async fn save_uses(core: &Core) {
    if let Err(error) = core.save_key_uses().await {
        tracing::warn!(%error, "last uses of keys not saved");
    }
    if let Err(error) = core.save_session_uses().await {
        tracing::warn!(%error, "last uses of sessions not saved");
    }
}
