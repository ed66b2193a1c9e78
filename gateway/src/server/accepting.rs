//! The tasks that accept connections. Each goes on until the gateway drains; one that ends
//! before has failed, and a gateway that nobody reaches must not look like one that runs.

use std::collections::HashMap;
use std::net::SocketAddr;

use tokio::task::{Id, JoinSet};

#[derive(Default)]
pub(super) struct Accepting {
    tasks: JoinSet<()>,
    addresses: HashMap<Id, SocketAddr>,
}

impl Accepting {
    pub(super) fn begin(
        &mut self,
        address: SocketAddr,
        accepting: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(accepting);
        self.addresses.insert(task.id(), address);
    }

    /// Waits until one has ended, by a panic too, and returns where it listened.
    pub(super) async fn lost(&mut self) -> SocketAddr {
        loop {
            let id = match self.tasks.join_next_with_id().await {
                Some(Ok((id, ()))) => id,
                Some(Err(error)) => error.id(),
                // A gateway without listeners loses none.
                None => std::future::pending().await,
            };
            if let Some(address) = self.addresses.remove(&id) {
                return address;
            }
        }
    }

    /// Waits until all have ended: what they accept until then is a connection like others.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_whose_task_panics_is_named() {
        let [good, bad] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut accepting = Accepting::default();
        accepting.begin(good, std::future::pending());
        accepting.begin(bad, async { panic!("a defect") });
        assert_eq!(accepting.lost().await, bad);
    }
}
