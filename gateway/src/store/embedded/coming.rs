//! Keys that the writer has made and memory does not know yet, so that however many come
//! at once no account gets more than it may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redb::WriteTransaction;

use crate::auth::account::AccountId;
use crate::auth::api_key::ApiKey;
use crate::auth::error::StoreError;
use crate::auth::ports::AccountLimits;
use crate::auth::standing::Standing;
use crate::auth::time::Timestamp;

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
                super::remove_key(txn, key.id)?;
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
