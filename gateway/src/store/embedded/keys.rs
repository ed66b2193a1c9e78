//! Keys, and room for new ones: those that the writer has made and memory does not know yet
//! count as well, so that however many come at once no account gets more than it may have.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};

use crate::auth::account::AccountId;
use crate::auth::api_key::{ApiKey, KeyId, KeyRotation, Succession};
use crate::auth::error::StoreError;
use crate::auth::ports::{AccountLimits, KeyCreation, KeyRotated, Keys};
use crate::auth::standing::Standing;
use crate::auth::time::Timestamp;
use crate::store::pending_revocations::Revocation;
use crate::store::record::Record;

use super::records::{after_id, read_account, read_key, remove_key, write_key};
use super::schema::{Id, KEY_USES, KEYS, SERVERS};
use super::step::Step;
use super::{EmbeddedStore, schema};

#[async_trait]
impl Keys for EmbeddedStore {
    async fn create_key(&self, key: ApiKey) -> Result<KeyCreation, StoreError> {
        let (coming, standing) = (self.coming.clone(), Arc::clone(&self.standing));
        let limits = self.limits;
        self.writer
            .submit(move |txn| {
                if read_account(txn, key.owner)?.is_none() {
                    return Ok(Step::unchanged(KeyCreation::NoOwner));
                }
                if let Some(server) = key.server
                    && txn.open_table(SERVERS)?.get(*server.0.as_bytes())?.is_none()
                {
                    return Ok(Step::unchanged(KeyCreation::NoServer));
                }
                key.check_storable()?;
                let room = coming.make_room(txn, &standing, key.owner, key.created, limits)?;
                let Some(room) = room else { return Ok(Step::unchanged(KeyCreation::TooMany)) };
                write_key(txn, &key)?;
                Ok(Step::changed(KeyCreation::Created, move |standing| room.fill(standing, key)))
            })
            .await
    }

    async fn rotate_key(&self, rotation: KeyRotation) -> Result<KeyRotated, StoreError> {
        let (coming, standing) = (self.coming.clone(), Arc::clone(&self.standing));
        let limits = self.limits;
        self.writer
            .submit(move |txn| {
                let key = read_key(txn, rotation.key)?;
                let (old, new, room) = match key.and_then(|key| key.rotate(&rotation)) {
                    None => return Ok(Step::unchanged(KeyRotated::NoKey)),
                    Some(Succession::InPlace { old, new }) => {
                        remove_key(txn, old.id)?;
                        write_key(txn, &new)?;
                        return Ok(Step::changed(
                            KeyRotated::Rotated(new.clone()),
                            move |standing| {
                                standing.put_key(new);
                                standing.remove_key(&old.digest);
                            },
                        ));
                    }
                    Some(Succession::Beside { old, new }) => {
                        let now = new.created;
                        let room = coming.make_room(txn, &standing, old.owner, now, limits)?;
                        let Some(room) = room else {
                            return Ok(Step::unchanged(KeyRotated::TooMany));
                        };
                        (old, new, room)
                    }
                };
                write_key(txn, &old)?;
                write_key(txn, &new)?;
                Ok(Step::changed(KeyRotated::Rotated(new.clone()), move |standing| {
                    room.fill(standing, new);
                    standing.put_key(old);
                }))
            })
            .await
    }

    async fn record_key_uses(&self, uses: Vec<(KeyId, Timestamp)>) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                let (keys, mut written) = (txn.open_table(KEYS)?, txn.open_table(KEY_USES)?);
                for (key, at) in uses {
                    let id = *key.0.as_bytes();
                    if keys.get(id)?.is_some() {
                        written.insert(id, at.0)?;
                    }
                }
                Ok(Step::changed((), |_| ()))
            })
            .await
    }

    async fn find_key(&self, key: KeyId) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let stored = self.writer.read(move |txn| read_key(txn, key));
        Ok(stored.await?.map(|key| self.in_memory(key)))
    }

    async fn list_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Arc<ApiKey>>, StoreError> {
        let after = after_id(after.map(|id| id.0));
        let listed = self.writer.read(move |txn| {
            let mut listed = Vec::new();
            let keys = txn.open_table(KEYS)?;
            for entry in keys.range::<Id>((after, Bound::Unbounded))?.take(limit) {
                let (id, stored) = entry?;
                listed.push(ApiKey::decode(stored.value(), &schema::named("key", id.value()))?);
            }
            Ok(listed)
        });
        Ok(listed.await?.into_iter().map(|key| self.in_memory(key)).collect())
    }

    async fn delete_key(&self, key: KeyId, owner: Option<AccountId>) -> Result<bool, StoreError> {
        self.revoke_or_keep_pending(Revocation::Key(key, owner)).await
    }
}

impl EmbeddedStore {
    /// A key as memory has it, which knows its last use.
    pub(super) fn in_memory(&self, key: ApiKey) -> Arc<ApiKey> {
        self.standing.key(&key.digest).unwrap_or_else(|| Arc::new(key))
    }
}

#[derive(Clone, Default)]
pub(super) struct Coming(Arc<Mutex<HashMap<AccountId, usize>>>);

/// A place for one key. It is free again when this goes, by then the key is in memory, or
/// its transaction has failed.
pub(super) struct Room {
    coming: Coming,
    owner: AccountId,
    /// Keys that had ended and went for it.
    gone: Vec<Arc<ApiKey>>,
}

impl Coming {
    /// A place for one key more, or `None`. Where there is none, keys that have ended go.
    pub(super) fn make_room(
        &self,
        txn: &WriteTransaction,
        standing: &Standing,
        owner: AccountId,
        now: Timestamp,
        limits: AccountLimits,
    ) -> Result<Option<Room>, StoreError> {
        let count = standing.key_count(owner) + self.of(owner);
        let mut gone = Vec::new();
        if !limits.has_room_for_key(count) {
            let keys = standing.keys(Some(owner));
            let Some(ended) = limits.make_room_for_key(count, keys, now) else { return Ok(None) };
            gone = ended;
            for key in &gone {
                remove_key(txn, key.id)?;
            }
        }
        *self.counts().entry(owner).or_default() += 1;
        Ok(Some(Room { coming: self.clone(), owner, gone }))
    }

    fn of(&self, owner: AccountId) -> usize {
        self.counts().get(&owner).copied().unwrap_or(0)
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub(super) fn fill(self, standing: &Standing, key: ApiKey) {
        for gone in &self.gone {
            standing.remove_key(&gone.digest);
        }
        standing.put_key(key);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut counts = self.coming.counts();
        if let Some(count) = counts.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.owner);
            }
        }
    }
}
