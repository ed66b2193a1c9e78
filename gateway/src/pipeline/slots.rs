//! How many of something may be open, in total and for each address: connections, and
//! agents that have not said who they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::auth::ports::Source;

pub struct Slots {
    total: usize,
    per_address: usize,
    open: AtomicUsize,
    of_address: DashMap<Source, usize>,
}

/// Why a connection has no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Total,
    Address,
}

/// A place in the total; freed when dropped.
pub struct Slot(Arc<Slots>);

/// A place among those of one address; freed when dropped.
pub struct AddressSlot(Arc<Slots>, Source);

impl Slots {
    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, per_address, open: AtomicUsize::new(0), of_address: DashMap::new() })
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
    pub fn take_for(self: &Arc<Self>, source: Source) -> Result<AddressSlot, Full> {
        let mut count = self.of_address.entry(source).or_insert(0);
        if *count >= self.per_address {
            return Err(Full::Address);
        }
        *count += 1;
        Ok(AddressSlot(Arc::clone(self), source))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        self.0.of_address.remove_if_mut(&self.1, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, Slots};
    use crate::auth::ports::Source;

    #[test]
    fn slots_are_counted_in_total_and_for_each_address_and_come_back() {
        let slots = Slots::new(2, 1);
        let (here, there) = (Source::V4(1), Source::V4(2));
        let first = slots.take().unwrap();
        let _second = slots.take().unwrap();
        assert_eq!(slots.take().err(), Some(Full::Total));
        drop(first);
        assert!(slots.take().is_ok());
        let mine = slots.take_for(here).unwrap();
        assert_eq!(slots.take_for(here).err(), Some(Full::Address));
        assert!(slots.take_for(there).is_ok());
        drop(mine);
        assert!(slots.take_for(here).is_ok());
        assert!(slots.of_address.is_empty());
    }
}
