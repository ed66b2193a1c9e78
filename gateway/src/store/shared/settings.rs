//! Where the shared store is and what it promises.

use std::time::Duration;

use crate::auth::ports::AccountLimits;
use crate::auth::secret::Secret;
use crate::auth::time::Seconds;
use crate::trust::Connector;

/// A server's host (without brackets) and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How the one server that takes our changes is found.
#[derive(Debug, Clone)]
pub enum Topology {
    Single(Address),
    /// Sentinels are asked who is the primary of `service`.
    Sentinel {
        sentinels: Vec<Address>,
        service: String,
        password: Option<Secret>,
    },
    /// Any node is asked whose our hash slot is.
    Cluster(Vec<Address>),
}

/// When a change counts as made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it is in the primary's append-only file (`WAITAOF 1 0`).
    Fsync,
    /// When so many replicas have it (`WAIT`).
    Replicated(u32),
    /// When the primary has it in memory.
    Fast,
}

#[derive(Clone)]
pub struct Settings {
    pub topology: Topology,
    pub tls: Option<Connector>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub database: u32,
    /// What the names of all keys begin with, in braces: one hash slot.
    pub prefix: String,
    pub durability: Durability,
    /// Of one trip, and of opening one connection.
    pub timeout: Duration,
    /// How long the end of a session must be remembered after it: the longest
    /// lifetime of a token that names it.
    pub token_ttl: Seconds,
    pub limits: AccountLimits,
}
