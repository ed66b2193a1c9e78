//! Stopping: the moment it begins, the tasks it waits for, the deadline.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shared by everything that must end in order.
#[derive(Clone, Default)]
pub struct Lifecycle {
    /// The stop signal has come: health says so, answers close their connections.
    stopping: CancellationToken,
    /// No new connections; those there finish what is under way.
    draining: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    pub fn begin_stopping(&self) {
        self.stopping.cancel();
    }

    pub fn begin_draining(&self) {
        self.draining.cancel();
    }

    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Resolves when connections should finish and leave.
    pub fn drain_started(&self) -> impl Future<Output = ()> + Send + use<> {
        self.draining.clone().cancelled_owned()
    }

    /// Runs a task that the drain waits for.
    pub fn track(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits for the tracked tasks, at most this long; whether all have ended.
    pub async fn wait(&self, deadline: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok()
    }

    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }
}
