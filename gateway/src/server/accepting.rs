//! The tasks that accept connections. Each goes on until the gateway drains; one that ends
//! before has failed, and a gateway that nobody reaches must not look like one that runs.

use std::net::SocketAddr;

use tokio::task::JoinSet;

#[derive(Default)]
pub(super) struct Accepting(JoinSet<SocketAddr>);

impl Accepting {
    pub(super) fn begin(
        &mut self,
        address: SocketAddr,
        accepting: impl Future<Output = ()> + Send + 'static,
    ) {
        self.0.spawn(async move {
            // A panic ends the task that it is in, and no other.
            let _ = tokio::spawn(accepting).await;
            address
        });
    }

    /// Waits until one has ended, and returns where it listened.
    pub(super) async fn lost(&mut self) -> SocketAddr {
        match self.0.join_next().await {
            Some(Ok(address)) => address,
            // There is none, or the runtime ends.
            Some(Err(_)) | None => std::future::pending().await,
        }
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
