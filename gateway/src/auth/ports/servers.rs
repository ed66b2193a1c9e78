//! Servers.

use async_trait::async_trait;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::server::{Server, ServerId};

/// What becomes of a server. What is `None` stays.
#[derive(Debug, Clone)]
pub struct ServerChange {
    pub server: ServerId,
    pub name: Option<String>,
    pub owner: NewOwner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewOwner {
    Same,
    Nobody,
    Account(AccountId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerChanged {
    Changed(Server),
    NoServer,
    NoOwner,
}

/// What a store does with servers.
#[async_trait]
pub trait Servers: Send + Sync {
    /// Adds a server. `false` when its owner does not exist.
    async fn create_server(&self, server: Server) -> Result<bool, StoreError>;

    /// Renames a server or gives it to somebody else.
    async fn change_server(&self, change: ServerChange) -> Result<ServerChanged, StoreError>;

    /// Removes a server and its keys. `false` when there is none.
    async fn delete_server(&self, server: ServerId) -> Result<bool, StoreError>;
}
