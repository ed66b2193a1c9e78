//! How much of an upstream one account may have, or one address of those who are
//! nobody's: half, unless the configuration says otherwise.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::config;
use crate::slots::{Holder, Place, Places};

use super::connection::STREAMS;
use super::error::{Cause, Failure};

pub struct Shares {
    places: Arc<Places>,
    max_connections: usize,
    /// In connections; `None` is half of them.
    each: Option<usize>,
    wait: Duration,
}

impl Shares {
    /// For one whose connections carry one request at a time or, over HTTP/2, several.
    #[must_use]
    pub fn new(upstream: &config::Upstream, http2: bool) -> Self {
        let shares = Self {
            places: Places::new(1),
            max_connections: upstream.max_connections,
            each: upstream.max_connections_per_account,
            wait: upstream.connect_timeout,
        };
        // Of HTTP/2 until the upstream says how many it allows.
        shares.settle(if http2 { STREAMS as usize } else { 1 });
        shares
    }

    /// A place for a request, within the time that connecting may take.
    ///
    /// # Errors
    /// When the holder's other requests go on for longer.
    pub async fn take(&self, holder: Holder) -> Result<Place, Failure> {
        if let Some(place) = self.places.take(holder) {
            return Ok(place);
        }
        timeout(self.wait, self.places.wait(holder)).await.map_err(|_| Cause::Share.into())
    }

    /// Forgets who has nothing of it.
    pub fn sweep(&self) {
        self.places.sweep();
    }

    /// Connections carry so many requests at once.
    pub fn settle(&self, streams: usize) {
        self.places.allow(match self.each {
            Some(each) => each.saturating_mul(streams).max(1),
            None => self.max_connections.saturating_mul(streams).div_ceil(2).max(1),
        });
    }
}

#[cfg(test)]
mod tests;
