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
use crate::auth::server::ServerId;
use crate::auth::source::Source;

/// To whom a place is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    Address(Source),
    Account(AccountId),
    Server(ServerId),
    Key(KeyId),
}

/// The same number of places for each holder. Who holds none is forgotten by a sweep: who
/// comes back before pays for no entry of its own.
pub struct Places {
    most: AtomicUsize,
    holders: DashMap<Holder, Arc<Share>>,
}

/// One holder's places.
struct Share {
    free: Semaphore,
    /// How many it has in all. Written under the map's lock.
    most: AtomicUsize,
    /// Places that go when they come back: it has fewer now.
    owed: AtomicUsize,
}

/// One of a holder's places; freed when dropped.
pub struct Place(Arc<Share>);

impl Places {
    /// Of which each taker says how many there are ([`Self::take_within`]).
    #[must_use]
    pub fn unnumbered() -> Arc<Self> {
        Self::new(Semaphore::MAX_PERMITS)
    }

    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        let most = most.min(Semaphore::MAX_PERMITS);
        Arc::new(Self { most: AtomicUsize::new(most), holders: DashMap::new() })
    }

    /// A place, if the holder has not taken all of its own.
    #[must_use]
    pub fn take(&self, holder: Holder) -> Option<Place> {
        let share = self.share(holder);
        share.free.try_acquire().ok()?.forget();
        Some(Place(share))
    }

    /// A place, if the holder has not taken `most` already: for those whose number is each
    /// taker's, as that of a request is its generation's. Of two numbers at once, the one
    /// that was last asked with holds.
    #[must_use]
    pub fn take_within(&self, holder: Holder, most: usize) -> Option<Place> {
        let share = self.share_of(holder, most.min(Semaphore::MAX_PERMITS));
        share.free.try_acquire().ok()?.forget();
        Some(Place(share))
    }

    /// A place as soon as there is one; those of one holder wait in line.
    pub async fn wait(&self, holder: Holder) -> Place {
        let share = self.share(holder);
        // It is never closed.
        if let Ok(permit) = share.free.acquire().await {
            permit.forget();
        }
        Place(share)
    }

    /// How many places a holder has taken or waits for.
    #[must_use]
    pub fn wanted(&self, holder: Holder) -> usize {
        // One more is the map's own.
        self.holders.get(&holder).map_or(0, |share| Arc::strong_count(&share) - 1)
    }

    /// Gives each holder so many places from now on. What is taken stays so.
    pub fn allow(&self, most: usize) {
        let most = most.min(Semaphore::MAX_PERMITS);
        if self.most.swap(most, Ordering::AcqRel) != most {
            self.holders.iter_mut().for_each(|share| share.allow(most));
        }
    }

    /// Forgets who holds no place and waits for none.
    pub fn sweep(&self) {
        self.holders.retain(|_, share| Arc::strong_count(share) > 1);
    }

    /// How many hold or wait for a place, or did before the last sweep.
    #[must_use]
    pub fn holders(&self) -> usize {
        self.holders.len()
    }

    fn share_of(&self, holder: Holder, most: usize) -> Arc<Share> {
        if let Some(share) = self.holders.get(&holder)
            && share.most.load(Ordering::Acquire) == most
        {
            return Arc::clone(&share);
        }
        let share = self.holders.entry(holder).or_insert_with(|| Arc::new(Share::new(most)));
        share.allow(most);
        Arc::clone(&share)
    }

    fn share(&self, holder: Holder) -> Arc<Share> {
        let most = self.most.load(Ordering::Acquire);
        if let Some(share) = self.holders.get(&holder)
            && share.most.load(Ordering::Acquire) == most
        {
            return Arc::clone(&share);
        }
        let share = self.holders.entry(holder).or_insert_with(|| Arc::new(Share::new(most)));
        // Read under the map's lock, which `allow` takes after it has written.
        share.allow(self.most.load(Ordering::Acquire));
        Arc::clone(&share)
    }
}

impl Share {
    fn new(most: usize) -> Self {
        Self { free: Semaphore::new(most), most: AtomicUsize::new(most), owed: AtomicUsize::new(0) }
    }

    /// Under the map's lock.
    fn allow(&self, most: usize) {
        let before = self.most.swap(most, Ordering::AcqRel);
        if before < most {
            self.give_back(most - before);
        } else if before > most {
            let fewer = before - most;
            let gone = self.free.forget_permits(fewer);
            self.owed.fetch_add(fewer - gone, Ordering::AcqRel);
        }
    }

    /// Places that are free, but for those that are owed.
    fn give_back(&self, places: usize) {
        let mut gone = 0;
        if self.owed.load(Ordering::Acquire) > 0 {
            let pay = |owed: usize| {
                gone = owed.min(places);
                Some(owed - gone)
            };
            let _ = self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, pay);
        }
        self.free.add_permits(places - gone);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_back(1);
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
    /// Of which each taker says how many there are ([`Self::take_within`],
    /// [`Self::take_for_within`]).
    #[must_use]
    pub fn unnumbered() -> Arc<Self> {
        Self::new(usize::MAX, Semaphore::MAX_PERMITS)
    }

    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, open: AtomicUsize::new(0), addresses: Places::new(per_address) })
    }

    /// # Errors
    /// [`Full::Total`] when too many are open.
    pub fn take(self: &Arc<Self>) -> Result<Slot, Full> {
        self.take_within(self.total)
    }

    /// The same with the taker's own number.
    ///
    /// # Errors
    /// [`Full::Total`] when as many are open.
    pub fn take_within(self: &Arc<Self>, total: usize) -> Result<Slot, Full> {
        if self.open.fetch_add(1, Ordering::AcqRel) < total {
            Ok(Slot(Arc::clone(self)))
        } else {
            self.open.fetch_sub(1, Ordering::AcqRel);
            Err(Full::Total)
        }
    }

    /// Forgets addresses that have none.
    pub fn sweep(&self) {
        self.addresses.sweep();
    }

    /// # Errors
    /// [`Full::Address`] when this address has too many.
    pub fn take_for(&self, source: Source) -> Result<Place, Full> {
        self.addresses.take(Holder::Address(source)).ok_or(Full::Address)
    }

    /// The same with the taker's own number.
    ///
    /// # Errors
    /// [`Full::Address`] when this address has as many.
    pub fn take_for_within(&self, source: Source, most: usize) -> Result<Place, Full> {
        self.addresses.take_within(Holder::Address(source), most).ok_or(Full::Address)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
