use std::sync::atomic::{AtomicUsize, Ordering};

use tracing_subscriber::layer::{Context, Layer};

use super::*;

/// Counts what is logged.
#[derive(Clone, Default)]
pub(super) struct Logged(Arc<AtomicUsize>);

impl Logged {
    pub(super) fn events(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: tracing::Subscriber> Layer<S> for Logged {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
