//! API keys.

use std::sync::Arc;

use async_trait::async_trait;

use crate::auth::account::AccountId;
use crate::auth::api_key::{ApiKey, KeyId, KeyRotation};
use crate::auth::error::StoreError;
use crate::auth::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCreation {
    Created,
    NoOwner,
    NoServer,
    /// The owner has as many as one may have.
    TooMany,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRotated {
    /// The successor.
    Rotated(ApiKey),
    NoKey,
    /// As [`KeyCreation::TooMany`]; not without an overlap, which makes room.
    TooMany,
}

/// What a store does with keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Keeps an API key under its digest.
    async fn create_key(&self, key: ApiKey) -> Result<KeyCreation, StoreError>;

    /// Puts a key beside another and lets the other end; without an overlap in its place.
    async fn rotate_key(&self, rotation: KeyRotation) -> Result<KeyRotated, StoreError>;

    /// Keeps when keys were last used; of keys that are gone nothing.
    async fn record_key_uses(&self, uses: Vec<(KeyId, Timestamp)>) -> Result<(), StoreError>;

    async fn find_key(&self, key: KeyId) -> Result<Option<Arc<ApiKey>>, StoreError>;

    /// Keys of all accounts in order of creation, after one of them. One account's are
    /// in memory ([`Standing::keys`](crate::auth::standing::Standing::keys)).
    async fn list_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Arc<ApiKey>>, StoreError>;

    /// Removes a key, of this owner only when one is named. `false` when there is none.
    async fn delete_key(&self, key: KeyId, owner: Option<AccountId>) -> Result<bool, StoreError>;
}
