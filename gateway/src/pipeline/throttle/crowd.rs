//! Strangers whose attempts on one user wait: who goes first, and who gives way when there
//! are too many. Both are chosen at random, a network first and then one in it, so that
//! neither coming early nor coming often from one network counts.

use crate::auth::source::Source;

/// Strangers that may wait for attempts on one user.
pub(super) const MAX_WAITING: usize = 64;
/// Of them, those of one network.
pub(super) const MAX_OF_NETWORK: usize = 16;

/// Attempts that wait, each with its network.
pub(super) struct Crowd<W>(Vec<(Network, W)>);

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
    /// of one of those with most.
    ///
    /// `random` draws a number below the one it is given.
    pub(super) fn join(
        &mut self,
        source: Source,
        waiter: W,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Option<W> {
        let network = Network::of(source);
        self.0.push((network, waiter));
        if self.of(network).count() > MAX_OF_NETWORK {
            return self.take_of(network, random);
        }
        if self.0.len() <= MAX_WAITING {
            return None;
        }
        let mut networks = self.networks();
        let most = networks.iter().map(|network| self.of(*network).count()).max();
        networks.retain(|network| Some(self.of(*network).count()) == most);
        let largest = *networks.get(random(networks.len()))?;
        self.take_of(largest, random)
    }

    /// Takes out the next one.
    pub(super) fn choose(&mut self, random: &mut impl FnMut(usize) -> usize) -> Option<W> {
        let networks = self.networks();
        if networks.is_empty() {
            return None;
        }
        let network = *networks.get(random(networks.len()))?;
        self.take_of(network, random)
    }

    /// Takes out those that do not wait any more.
    pub(super) fn retain(&mut self, waits: impl Fn(&W) -> bool) {
        self.0.retain(|(_, waiter)| waits(waiter));
    }

    fn networks(&self) -> Vec<Network> {
        let mut networks: Vec<_> = self.0.iter().map(|(network, _)| *network).collect();
        networks.sort_unstable();
        networks.dedup();
        networks
    }

    /// The places of a network's attempts.
    fn of(&self, network: Network) -> impl Iterator<Item = usize> {
        let places = self.0.iter().enumerate();
        places.filter(move |(_, (of, _))| *of == network).map(|(place, _)| place)
    }

    fn take_of(&mut self, network: Network, random: &mut impl FnMut(usize) -> usize) -> Option<W> {
        let drawn = random(self.of(network).count());
        let place = self.of(network).nth(drawn)?;
        Some(self.0.swap_remove(place).1)
    }
}

#[cfg(test)]
mod tests;
