//! Single-use tickets.

use async_trait::async_trait;

use crate::auth::error::StoreError;
use crate::auth::ticket::Ticket;
use crate::auth::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    Opened,
    /// Password or state changed since the caller checked it, or the account is gone.
    Stale,
}

/// What a store does with tickets.
#[async_trait]
pub trait Tickets: Send + Sync {
    /// Keeps a single-use ticket under its digest, if the account is still at the
    /// ticket's version and enabled.
    async fn issue_ticket(&self, digest: [u8; 32], ticket: Ticket) -> Result<Opening, StoreError>;

    /// Takes a ticket out: of any number of callers one gets it (S1-25).
    async fn take_ticket(
        &self,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError>;
}
