//! Keys, in indexes by digest, owner and server, and room for new ones.

use std::sync::Arc;

use async_trait::async_trait;
use redis::cmd;

use crate::auth::account::AccountId;
use crate::auth::api_key::{ApiKey, KeyId, KeyRotation, Succession};
use crate::auth::error::StoreError;
use crate::auth::ports::{KeyCreation, KeyRotated, Keys};
use crate::auth::time::Timestamp;
use crate::store::pending_revocations::Revocation;
use crate::store::record::Record;
use crate::store::replica::change::Change;

use super::records::{SWEEP_BATCH, number, text};
use super::transaction::Transaction;
use super::{Engine, SharedStore};

#[async_trait]
impl Keys for SharedStore {
    async fn create_key(&self, key: ApiKey) -> Result<KeyCreation, StoreError> {
        let (engine, key) = (&*self.engine, &key);
        engine
            .transact(move |mut txn| async move {
                if engine.account(&mut txn, key.owner).await?.is_none() {
                    return Ok((txn, KeyCreation::NoOwner));
                }
                if let Some(server) = key.server
                    && txn.read(engine.names.server(server.0)).await?.is_none()
                {
                    return Ok((txn, KeyCreation::NoServer));
                }
                if !engine.make_room(&mut txn, key.owner, key.created).await? {
                    return Ok((Transaction::new(engine), KeyCreation::TooMany));
                }
                engine.add_key(&mut txn, key)?;
                Ok((txn, KeyCreation::Created))
            })
            .await
    }

    async fn rotate_key(&self, rotation: KeyRotation) -> Result<KeyRotated, StoreError> {
        let (engine, rotation) = (&*self.engine, &rotation);
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.key(rotation.key.0);
                let old = txn.record::<ApiKey>(key.clone()).await?;
                let (old, new) = match old.and_then(|key| key.rotate(rotation)) {
                    None => return Ok((txn, KeyRotated::NoKey)),
                    Some(Succession::InPlace { old, new }) => {
                        engine.drop_key(&mut txn, &old);
                        engine.add_key(&mut txn, &new)?;
                        return Ok((txn, KeyRotated::Rotated(new)));
                    }
                    Some(Succession::Beside { old, new }) => (old, new),
                };
                if !engine.make_room(&mut txn, old.owner, new.created).await? {
                    return Ok((Transaction::new(engine), KeyRotated::TooMany));
                }
                txn.write(key, &old, None)?;
                txn.publish(Change::key(&old));
                engine.add_key(&mut txn, &new)?;
                Ok((txn, KeyRotated::Rotated(new)))
            })
            .await
    }

    async fn record_key_uses(&self, uses: Vec<(KeyId, Timestamp)>) -> Result<(), StoreError> {
        let (engine, uses) = (&*self.engine, &uses);
        for uses in uses.chunks(SWEEP_BATCH) {
            engine
                .transact(move |mut txn| async move {
                    let mut published = Vec::with_capacity(uses.len());
                    for (key, at) in uses {
                        // Its deletion takes the use along, as the script sees both.
                        if txn.read(engine.names.key(key.0)).await?.is_some() {
                            txn.run("HSET", engine.names.key_uses(), [text(key.0), number(at.0)]);
                            published.push((key.0, at.0));
                        }
                    }
                    if !published.is_empty() {
                        txn.publish(Change::Used(published));
                    }
                    Ok((txn, ()))
                })
                .await?;
        }
        Ok(())
    }

    async fn find_key(&self, key: KeyId) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let mut txn = Transaction::new(&self.engine);
        let key = txn.record::<ApiKey>(self.engine.names.key(key.0)).await?;
        Ok(key.map(|key| self.engine.in_memory(key)))
    }

    async fn list_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Arc<ApiKey>>, StoreError> {
        let names = &self.engine.names;
        let key = |id| names.key(id);
        let keys: Vec<ApiKey> =
            self.engine.page(&names.keys(), after.map(|id| id.0), limit, key).await?;
        Ok(keys.into_iter().map(|key| self.engine.in_memory(key)).collect())
    }

    async fn delete_key(&self, key: KeyId, owner: Option<AccountId>) -> Result<bool, StoreError> {
        self.engine.revoke_or_keep_pending(Revocation::Key(key, owner)).await
    }
}

impl Engine {
    /// Whether the owner may have one key more. Where it has as many as it may, keys that
    /// have ended go.
    pub(super) async fn make_room(
        &self,
        txn: &mut Transaction<'_>,
        owner: AccountId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (limits, index) = (self.settings.limits, self.names.keys_of(owner.0));
        let held: usize = self.query(cmd("SCARD").arg(&index)).await?;
        if limits.has_room_for_key(held) {
            txn.at_most(index, None, limits.keys - 1);
            return Ok(true);
        }
        let keys = self.keys_in(txn, &index).await?;
        let Some(ended) = limits.make_room_for_key(held, keys, now) else { return Ok(false) };
        for key in &ended {
            self.drop_key(txn, key);
        }
        txn.at_most(index, None, held);
        Ok(true)
    }

    pub(super) fn add_key(
        &self,
        txn: &mut Transaction<'_>,
        key: &ApiKey,
    ) -> Result<(), StoreError> {
        txn.touch(key.owner.0);
        if let Some(server) = key.server {
            txn.touch(server.0);
            txn.run("SADD", self.names.keys_on(server.0), [text(key.id.0)]);
        }
        txn.write(self.names.key(key.id.0), key, None)?;
        txn.set(self.names.key_digest(&key.digest), text(key.id.0), None);
        txn.run("ZADD", self.names.keys(), [b"0".to_vec(), text(key.id.0)]);
        txn.run("SADD", self.names.keys_of(key.owner.0), [text(key.id.0)]);
        txn.publish(Change::key(key));
        Ok(())
    }

    /// Every key of an index.
    pub(super) async fn keys_in(
        &self,
        txn: &Transaction<'_>,
        index: &str,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let ids = txn.ids(cmd("SMEMBERS").arg(index)).await?;
        let names: Vec<String> = ids.iter().map(|id| self.names.key(*id)).collect();
        let records = self.records(names.iter().cloned()).await?;
        let found = names.iter().zip(records);
        found.filter_map(|(name, record)| Some(ApiKey::decode(&record?, name))).collect()
    }

    /// Removes every key of an index, and the index.
    pub(super) async fn drop_keys(
        &self,
        txn: &mut Transaction<'_>,
        index: &str,
    ) -> Result<(), StoreError> {
        for key in self.keys_in(txn, index).await? {
            self.drop_key(txn, &key);
        }
        txn.delete(index.to_owned());
        Ok(())
    }

    pub(super) fn drop_key(&self, txn: &mut Transaction<'_>, key: &ApiKey) {
        let id = text(key.id.0);
        txn.delete(self.names.key(key.id.0));
        txn.delete(self.names.key_digest(&key.digest));
        txn.run("ZREM", self.names.keys(), [id.clone()]);
        txn.run("SREM", self.names.keys_of(key.owner.0), [id.clone()]);
        if let Some(server) = key.server {
            txn.run("SREM", self.names.keys_on(server.0), [id.clone()]);
        }
        txn.run("HDEL", self.names.key_uses(), [id]);
        txn.publish(Change::KeyGone(key.digest));
    }

    /// A key as memory has it, which knows its last use.
    pub(super) fn in_memory(&self, key: ApiKey) -> Arc<ApiKey> {
        self.standing().key(&key.digest).unwrap_or_else(|| Arc::new(key))
    }
}
