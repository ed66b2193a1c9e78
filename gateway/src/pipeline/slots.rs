//! How many of something may be open: in total, and for each holder. Connections,
//! agents, tunnels, event streams and requests to an upstream are counted here.
//!
//! A place is freed when it is dropped, however what it was taken for has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use tokio::sync::Semaphore;

use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::ports::Source;
use crate::auth::server::ServerId;

/// To whom a place is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    Address(Source),
    Account(AccountId),
    Server(ServerId),
    Key(KeyId),
}

/// The same number of places for each holder. Only who holds or waits for one is
/// remembered.
pub struct Places {
    most: AtomicUsize,
    holders: DashMap<Holder, Share>,
}

/// One holder's places.
struct Share {
    free: Arc<Semaphore>,
    /// How many it has been given in all.
    most: usize,
}

/// One of a holder's places, or a place in the line for one; freed when dropped.
pub struct Place {
    /// Given up before the holder is looked at: the last one to go forgets it.
    free: Option<Arc<Semaphore>>,
    granted: bool,
    places: Arc<Places>,
    holder: Holder,
}

impl Places {
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        let most = most.min(Semaphore::MAX_PERMITS);
        Arc::new(Self { most: AtomicUsize::new(most), holders: DashMap::new() })
    }

    /// A place, if the holder has not taken all of its own.
    #[must_use]
    pub fn take(self: &Arc<Self>, holder: Holder) -> Option<Place> {
        let share = self.share(holder);
        // Under the map's lock: whoever gets none leaves nothing behind.
        share.free.try_acquire().ok()?.forget();
        let free = Some(Arc::clone(&share.free));
        Some(Place { free, granted: true, places: Arc::clone(self), holder })
    }

    /// A place as soon as there is one; those of one holder wait in line.
    pub async fn wait(self: &Arc<Self>, holder: Holder) -> Place {
        // Before the wait: who gives up is forgotten too.
        let mut place = Place {
            free: Some(Arc::clone(&self.share(holder).free)),
            granted: false,
            places: Arc::clone(self),
            holder,
        };
        // What waits has to be gone before the place is.
        if let Some(free) = place.free.clone()
            && let Ok(permit) = free.acquire_owned().await
        {
            permit.forget();
            place.granted = true;
        }
        place
    }

    /// Gives each holder so many places from now on. What is taken stays so.
    pub fn allow(&self, most: usize) {
        let most = most.min(Semaphore::MAX_PERMITS);
        if self.most.swap(most, Ordering::AcqRel) != most {
            self.holders.iter_mut().for_each(|mut share| share.allow(most));
        }
    }

    /// How many hold or wait for a place.
    #[must_use]
    pub fn holders(&self) -> usize {
        self.holders.len()
    }

    fn share(&self, holder: Holder) -> impl std::ops::Deref<Target = Share> + '_ {
        let mut share = self.holders.entry(holder).or_insert_with(|| {
            // Read under the map's lock, which `allow` takes after it has written.
            let most = self.most.load(Ordering::Acquire);
            Share { free: Arc::new(Semaphore::new(most)), most }
        });
        share.allow(self.most.load(Ordering::Acquire));
        share
    }
}

impl Share {
    /// Of fewer places those that are taken go when they come back.
    fn allow(&mut self, most: usize) {
        if self.most < most {
            self.free.add_permits(most - self.most);
            self.most = most;
        } else if self.most > most {
            self.most -= self.free.forget_permits(self.most - most);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(free) = self.free.take().filter(|_| self.granted) {
            free.add_permits(1);
        }
        self.places.holders.remove_if(&self.holder, |_, share| Arc::strong_count(&share.free) == 1);
    }
}

/// A number in total, and for each address.
pub struct Slots {
    total: usize,
    open: AtomicUsize,
    addresses: Arc<Places>,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Total,
    Address,
}

/// A place in the total; freed when dropped.
pub struct Slot(Arc<Slots>);

impl Slots {
    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, open: AtomicUsize::new(0), addresses: Places::new(per_address) })
    }

    /// # Errors
    /// [`Full::Total`] when too many are open.
    pub fn take(self: &Arc<Self>) -> Result<Slot, Full> {
        if self.open.fetch_add(1, Ordering::AcqRel) < self.total {
            Ok(Slot(Arc::clone(self)))
        } else {
            self.open.fetch_sub(1, Ordering::AcqRel);
            Err(Full::Total)
        }
    }

    /// # Errors
    /// [`Full::Address`] when this address has too many.
    pub fn take_for(&self, source: Source) -> Result<Place, Full> {
        self.addresses.take(Holder::Address(source)).ok_or(Full::Address)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
