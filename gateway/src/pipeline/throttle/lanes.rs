//! Attempts of one address: one after another, in order of arrival.
//!
//! An attempt that has to wait for its user steps aside, so that it keeps nobody else behind
//! its address waiting. When it comes back it has the user's turn, which others wait for:
//! it goes before those who came meanwhile, but for the one that stands at the door. Nobody
//! who has an address's turn waits for anything but the judgement, so no two wait for each
//! other.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pipeline::reason::{Reason, Rejection};

/// Attempts that may be in one lane, and as many that may be aside.
pub(super) const MAX_WAITING: usize = 64;

/// Turns, one after another for each key.
pub(super) struct Lanes<K: Eq + Hash>(Arc<DashMap<K, Arc<Lane>>>);

struct Lane {
    turn: Arc<Semaphore>,
    /// Who is next of those who have come, and not come back.
    door: Semaphore,
    places: Arc<Semaphore>,
    places_aside: Arc<Semaphore>,
    attempts: AtomicUsize,
}

impl Default for Lane {
    fn default() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            turn: semaphore(1),
            door: Semaphore::new(1),
            places: semaphore(MAX_WAITING),
            places_aside: semaphore(MAX_WAITING),
            attempts: AtomicUsize::new(0),
        }
    }
}

impl<K: Eq + Hash> Default for Lanes<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Copy> Lanes<K> {
    /// Waits for the key's turn.
    ///
    /// # Errors
    /// [`Reason::AttemptsQueued`] when too many wait already.
    pub(super) async fn turn(&self, key: K) -> Result<Turn<K>, Rejection> {
        let lane = {
            let lane = self.0.entry(key).or_default();
            // Under the map's lock: a lane that is joined cannot be removed.
            lane.attempts.fetch_add(1, Ordering::AcqRel);
            Arc::clone(&lane)
        };
        let mut turn = Turn { lanes: Arc::clone(&self.0), key, lane, place: None, permit: None };
        turn.place = Some(take_place(&turn.lane.places)?);
        {
            let _door = turn.lane.door.acquire().await;
            turn.permit = Arc::clone(&turn.lane.turn).acquire_owned().await.ok();
        }
        Ok(turn)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn take_place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Rejection> {
    Arc::clone(places).try_acquire_owned().map_err(|_| Reason::AttemptsQueued.into())
}

/// The right to make an attempt; the next in line gets it when this is dropped.
pub(super) struct Turn<K: Eq + Hash> {
    lanes: Arc<DashMap<K, Arc<Lane>>>,
    key: K,
    lane: Arc<Lane>,
    place: Option<OwnedSemaphorePermit>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<K: Eq + Hash> Turn<K> {
    /// Lets others have the turn while something else is waited for, and takes it again.
    ///
    /// # Errors
    /// [`Reason::AttemptsQueued`] when too many are aside already, and what was waited for.
    pub(super) async fn without<T>(
        &mut self,
        wait: impl Future<Output = Result<T, Rejection>>,
    ) -> Result<T, Rejection> {
        self.place = Some(take_place(&self.lane.places_aside)?);
        self.permit = None;
        let came = wait.await?;
        self.permit = Arc::clone(&self.lane.turn).acquire_owned().await.ok();
        Ok(came)
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        (self.permit, self.place) = (None, None);
        self.lane.attempts.fetch_sub(1, Ordering::AcqRel);
        // Under the map's lock, so that nobody joins the lane as it goes.
        self.lanes.remove_if(&self.key, |_, lane| lane.attempts.load(Ordering::Acquire) == 0);
    }
}
