//! Clients that mean harm: messages two servers would read differently, paths with
//! two meanings, frames without end. Nothing of what is refused reaches an
//! upstream.

mod answers;
mod crowd;
mod floods;
mod framing;
mod heads;
mod http2;
mod memory;
mod paths;
mod unread;
mod witness;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Received, Upstream, ok};

/// A gateway before an upstream that notes every byte. `/open` is public, `/closed`
/// is not, and there is no other route.
struct Stage {
    upstream: Upstream,
    gateway: Gateway,
}

impl Stage {
    async fn start() -> Self {
        Self::before(Upstream::http1(ok).await, "").await
    }

    async fn before(upstream: Upstream, more: &str) -> Self {
        let config = format!(
            "{}[[route]]\npath = \"/open\"\npublic = true\nupstream = \"app\"\n\
             [[route]]\npath = \"/closed\"\nupstream = \"app\"\n\
             [limits]\nrequests_per_second = 1000000\nburst = 1000000\n{more}",
            upstream.section("app")
        );
        Self { gateway: Gateway::start(&config).await, upstream }
    }

    /// Somebody else is still served, and nothing that was refused has arrived
    /// late: `passed` whole requests reached the upstream before this one.
    async fn check_still_serves(&self, passed: usize) {
        Client::anonymous(&self.gateway).get("/open/last").await.expect(200);
        let completed = self.upstream.completed();
        let targets: Vec<&str> = completed.iter().map(Received::target).collect();
        assert_eq!(targets.len(), passed + 1, "{targets:?}");
        assert_eq!(targets.last(), Some(&"/open/last"));
    }
}
