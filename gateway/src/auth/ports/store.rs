//! The store: the state that must survive.
//!
//! It speaks in whole intents: every method is one atomic step, so that two callers can
//! never both win. There is no get-then-set. What an intent makes of a record is the core's
//! to decide (`auth::session`, `auth::account::change` and their like): an engine loads it,
//! asks, saves and publishes. A method that answers `Ok` has made its change durable; one
//! that answers `Err` has changed nothing, unless a disk failed while it was written: then
//! what the file holds counts. "Not found" is a case, not an error.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::register::Registering;
use crate::auth::time::Timestamp;
use crate::auth::workspace::WorkspaceId;

use super::accounts::Accounts;
use super::attempts::Attempts;
use super::buckets::Buckets;
use super::keys::Keys;
use super::servers::Servers;
use super::sessions::Sessions;
use super::tickets::Tickets;
use super::workspaces::Workspaces;

/// How the store can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// Memory follows what others change.
    Live,
    /// It answers, tells what others change, and takes no changes: of one's own, its disk
    /// is full or fails.
    Refusing,
    /// It answers, and memory is being read anew.
    Resyncing,
    Unreachable,
    /// What answers is not the database that memory was read from.
    Foreign,
}

impl StoreState {
    /// As it is shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            StoreState::Live => "live",
            StoreState::Refusing => "refusing",
            StoreState::Resyncing => "resyncing",
            StoreState::Unreachable => "unreachable",
            StoreState::Foreign => "foreign",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreHealth {
    pub state: StoreState,
    /// How old memory is at most; `None` when it was never read, and for a store of one's
    /// own, which memory is never behind.
    pub staleness: Option<Duration>,
    /// Changes made here that the store has not been told yet.
    pub undelivered: usize,
}

/// What memory lacks and another gateway may just have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    Account(AccountId),
    /// A key by its digest, with its owner.
    Key([u8; 32]),
    Member(WorkspaceId, AccountId),
}

/// What a change of a version makes different, of which operators hear once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// E-mail addresses that nobody vouches for are withheld from upstreams.
    UnverifiedEmail,
    /// Keys bound to a server are refused on most routes.
    ServerKeys,
    /// Keys bound to no server are refused on routes for agents.
    UnboundKeys,
}

impl Notice {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Notice::UnverifiedEmail => "unverified_email",
            Notice::ServerKeys => "server_keys",
            Notice::UnboundKeys => "unbound_keys",
        }
    }
}

/// The state that must survive. See the module's header for the rules.
///
/// Every method that ends or changes something also publishes it to [`Standing`](crate::auth::standing::Standing) before it
/// answers.
#[async_trait]
pub trait Store: Accounts + Sessions + Tickets + Keys + Servers + Workspaces + Attempts {
    /// Brings to memory what it lacks. `false` when there is nothing to bring: an engine
    /// that no other gateway uses has it all.
    async fn load_missing(&self, _what: Missing) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Closes registration whatever the configuration of any gateway says, or takes that
    /// back.
    async fn set_registration(&self, registering: Registering) -> Result<(), StoreError>;

    /// Removes what has expired, what is kept of former passwords too; answers how many
    /// records went. Sessions and what ends a credential go when `past`, a moment that has
    /// surely passed, is [`SWEEP_SLACK`](crate::auth::time::SWEEP_SLACK) behind their end.
    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError>;

    /// The buckets that replicas have in common, where there are replicas.
    fn buckets(&self) -> Option<Arc<dyn Buckets>> {
        None
    }

    /// Takes a notice; it is given to one caller, ever, of all gateways on the store.
    async fn take_notice(&self, notice: Notice) -> Result<bool, StoreError>;

    /// Whether changes can be made durable now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// How it is; `None` where nobody can say.
    fn health(&self) -> Option<StoreHealth> {
        None
    }

    /// Whether memory has been read from it, ever: before, nobody can be judged.
    fn is_loaded(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
