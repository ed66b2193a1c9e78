//! Strangers whose attempts on one user wait: who goes first, and who gives way when there
//! are too many. Both are chosen at random, a network first, then an address in it and then
//! one of its attempts, so that neither coming early nor coming often from one place counts.

use std::collections::BTreeMap;

use crate::auth::ports::Source;

/// Strangers that may wait for attempts on one user.
pub(super) const MAX_WAITING: usize = 64;
/// Of them, those of one network.
pub(super) const MAX_OF_NETWORK: usize = 16;

/// Attempts that wait, each with its address.
pub(super) struct Crowd<W>(Vec<(Source, W)>);

/// A /24 of IPv4 or a /48 of IPv6: what one owner is likely to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Network(Source);

impl Network {
    fn of(source: Source) -> Self {
        Self(match source {
            Source::V4(bits) => Source::V4(bits & !0xff),
            // The first 64 bits of the address.
            Source::V6(bits) => Source::V6(bits & !0xffff),
        })
    }
}

impl<W> Default for Crowd<W> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<W> Crowd<W> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an attempt. Where there are too many now, one gives way: of its network, or else
    /// of one of those with most; there of one of the addresses with most.
    ///
    /// `random` draws a number below the one it is given.
    pub(super) fn join(
        &mut self,
        source: Source,
        waiter: W,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Option<W> {
        let network = Network::of(source);
        self.0.push((source, waiter));
        let networks = self.networks();
        let crowded = if networks.get(&network).is_some_and(|of_it| *of_it > MAX_OF_NETWORK) {
            network
        } else if self.0.len() > MAX_WAITING {
            any(&largest(networks), random)?
        } else {
            return None;
        };
        let source = any(&largest(self.addresses(crowded)), random)?;
        self.take_of(source, random)
    }

    /// Takes out the next one.
    pub(super) fn choose(&mut self, random: &mut impl FnMut(usize) -> usize) -> Option<W> {
        let network = any(&self.networks(), random)?;
        let source = any(&self.addresses(network), random)?;
        self.take_of(source, random)
    }

    /// Takes out those that do not wait any more.
    pub(super) fn retain(&mut self, waits: impl Fn(&W) -> bool) {
        self.0.retain(|(_, waiter)| waits(waiter));
    }

    fn networks(&self) -> Counted<Network> {
        count(self.0.iter().map(|(source, _)| Network::of(*source)))
    }

    fn addresses(&self, network: Network) -> Counted<Source> {
        let sources = self.0.iter().map(|(source, _)| *source);
        count(sources.filter(|source| Network::of(*source) == network))
    }

    fn take_of(&mut self, source: Source, random: &mut impl FnMut(usize) -> usize) -> Option<W> {
        let places = self.0.iter().enumerate().filter(|(_, (of, _))| *of == source);
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        let place = *places.get(random(places.len()))?;
        Some(self.0.swap_remove(place).1)
    }
}

/// How many attempts there are of each.
type Counted<K> = BTreeMap<K, usize>;

fn count<K: Ord>(all: impl Iterator<Item = K>) -> Counted<K> {
    let mut counted = Counted::new();
    all.for_each(|one| *counted.entry(one).or_default() += 1);
    counted
}

/// Those with most.
fn largest<K: Ord>(mut counted: Counted<K>) -> Counted<K> {
    let most = counted.values().max().copied();
    counted.retain(|_, attempts| Some(*attempts) == most);
    counted
}

fn any<K: Copy>(of: &Counted<K>, random: &mut impl FnMut(usize) -> usize) -> Option<K> {
    of.keys().nth(random(of.len())).copied()
}

#[cfg(test)]
mod tests;
