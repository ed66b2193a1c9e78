//! Addresses from which an account has signed in of late. Strangers who guess at its
//! password do not stand in the way of anybody there.
//!
//! They hold for one version of the account: what changes its password or state forgets
//! them all, and whoever signs in after that is known again.

use crate::auth::source::Source;
use crate::auth::time::{Seconds, Timestamp};

use super::Account;

/// Addresses of one account; the one that was longest without a success goes first.
pub const MAX_KNOWN: usize = 16;
/// How long a success counts.
const REMEMBERED: Seconds = Seconds(30 * 86_400);
/// How old a note of a success becomes before another is made: signing in all day writes
/// one.
const NOTED_ANEW: Seconds = Seconds(86_400);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownAddresses {
    /// Of the account, for which they hold.
    pub version: u64,
    /// With the time of the last success that was noted.
    pub addresses: Vec<(Source, Timestamp)>,
}

impl Account {
    /// Addresses from which it has signed in of late.
    pub fn known_addresses(&self, now: Timestamp) -> impl Iterator<Item = (Source, Timestamp)> {
        let current = self.known.version == self.version;
        let addresses = self.known.addresses.iter().copied().filter(move |_| current);
        addresses.filter(move |(_, at)| now.since(*at) < REMEMBERED.millis())
    }

    #[must_use]
    pub fn is_known_from(&self, source: Source, now: Timestamp) -> bool {
        self.known_addresses(now).any(|(known, _)| known == source)
    }

    /// Whether a success from there has to be noted.
    #[must_use]
    pub fn is_news(&self, source: Source, now: Timestamp) -> bool {
        !self
            .known_addresses(now)
            .any(|(known, at)| known == source && now.since(at) < NOTED_ANEW.millis())
    }

    /// With a success from there, of what was proven at `version`; `None` when it has changed
    /// since.
    #[must_use]
    pub fn proven_from(&self, version: u64, source: Source, now: Timestamp) -> Option<Self> {
        (self.version == version).then(|| self.known_from(source, now))
    }

    /// With a success from there.
    #[must_use]
    pub fn known_from(&self, source: Source, now: Timestamp) -> Self {
        let others = self.known_addresses(now).filter(|(known, _)| *known != source);
        let mut addresses: Vec<_> = others.collect();
        addresses.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
        addresses.truncate(MAX_KNOWN - 1);
        addresses.push((source, now));
        Self { known: KnownAddresses { version: self.version, addresses }, ..self.clone() }
    }

    /// Whether nothing is different but from where and when it has signed in.
    #[must_use]
    pub fn is_same_but_for_sign_ins(&self, other: &Self) -> bool {
        let (known, last_sign_in) = (self.known.clone(), self.last_sign_in);
        self == other || *self == Self { known, last_sign_in, ..other.clone() }
    }
}

#[cfg(test)]
mod tests;
