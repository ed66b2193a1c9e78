//! One address of an upstream: the connections to it, and how much is under way there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pool::Pool;

pub(super) struct Endpoint {
    pool: Arc<Pool>,
    /// Requests that wait for it or are under way there, and tunnels to it.
    load: AtomicUsize,
}

/// A request, or a tunnel, counted as a load of its endpoint until this is dropped.
pub struct Load(Arc<Endpoint>);

impl Endpoint {
    pub(super) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self { pool: Arc::new(pool), load: AtomicUsize::new(0) })
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn begin(self: &Arc<Self>) -> Load {
        self.load.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(self))
    }
}

impl Load {
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.0.pool
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
