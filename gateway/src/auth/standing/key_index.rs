//! Keys by what they belong to.

use std::hash::Hash;
use std::sync::Arc;

use dashmap::DashMap;

use crate::auth::api_key::{ApiKey, KeyId};

/// The keys of each owner, or of each server.
pub(super) struct KeyIndex<K: Eq + Hash>(DashMap<K, Vec<Arc<ApiKey>>>);

impl<K: Eq + Hash> Default for KeyIndex<K> {
    fn default() -> Self {
        Self(DashMap::new())
    }
}

impl<K: Eq + Hash + Copy> KeyIndex<K> {
    pub(super) fn add(&self, of: K, key: &Arc<ApiKey>) {
        self.0.entry(of).or_default().push(Arc::clone(key));
    }

    pub(super) fn remove(&self, of: K, id: KeyId) {
        if let Some(mut keys) = self.0.get_mut(&of) {
            keys.retain(|known| known.id != id);
        }
        self.0.remove_if(&of, |_, keys| keys.is_empty());
    }

    pub(super) fn find(&self, of: K, id: KeyId) -> Option<Arc<ApiKey>> {
        self.0.get(&of)?.iter().find(|key| key.id == id).map(Arc::clone)
    }

    pub(super) fn all(&self, of: K) -> Vec<Arc<ApiKey>> {
        self.0.get(&of).map(|keys| keys.clone()).unwrap_or_default()
    }

    pub(super) fn count(&self, of: K) -> usize {
        self.0.get(&of).map_or(0, |keys| keys.len())
    }
}
