//! What working with a password hash costs, so that hashes can be compared and every
//! failed attempt made to cost the same.

use super::account::HashedPassword;

/// A stored cost above this is not worked on: one check would hold a thread for
/// minutes. Whoever imported such a hash resets the password.
pub const MAX_BCRYPT_COST: u32 = 16;
pub const MAX_ARGON2_KIB: u32 = 256 * 1024;
pub const MAX_ARGON2_PASSES: u32 = 16;

/// bcrypt's own floor.
const MIN_BCRYPT_COST: u32 = 4;
/// Blocks of argon2id, of 1 KiB each, in the time of one round of bcrypt, as measured.
/// Machines differ: by so much a failed attempt on argon2id, which no import makes, may
/// be told from others.
const ARGON2_BLOCKS_PER_ROUND: u64 = 76;

/// Work in rounds of bcrypt, of which a hash of cost 12 takes 2^12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Work(pub u64);

impl Work {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub fn of_bcrypt(cost: u32) -> Self {
        Self(1_u64.checked_shl(cost).unwrap_or(u64::MAX))
    }

    #[must_use]
    pub fn of_argon2(kib: u32, passes: u32) -> Self {
        Self(u64::from(kib) * u64::from(passes) / ARGON2_BLOCKS_PER_ROUND)
    }

    /// What it takes to verify against `hash`; nothing if it is none that is worked on.
    #[must_use]
    pub fn of(hash: &HashedPassword) -> Self {
        bcrypt_cost(&hash.0).map(Self::of_bcrypt).or_else(|| argon2(&hash.0)).unwrap_or_default()
    }

    /// Costs of the bcrypt operations that together are what `done` falls short of this:
    /// of 2^12 less 2^5 those of 5, 6 and so on to 11. Below bcrypt's floor nothing is
    /// made up for.
    pub fn beyond(self, done: Self) -> impl Iterator<Item = u32> {
        let missing = self.0.saturating_sub(done.0);
        (MIN_BCRYPT_COST..u64::BITS).rev().filter(move |cost| missing >> cost & 1 == 1)
    }
}

/// `$2b$12$` and 53 characters.
fn bcrypt_cost(hash: &str) -> Option<u32> {
    let rest = hash.strip_prefix("$2").filter(|_| hash.len() == 60)?;
    let (version, rest) = rest.split_once('$')?;
    let (cost, _) = rest.split_once('$')?;
    let cost = cost.parse().ok().filter(|_| matches!(version, "a" | "b" | "x" | "y"))?;
    (MIN_BCRYPT_COST..=MAX_BCRYPT_COST).contains(&cost).then_some(cost)
}

/// `$argon2id$v=19$m=19456,t=2,p=1$`, salt and hash.
fn argon2(hash: &str) -> Option<Work> {
    let parts: Vec<&str> = hash.strip_prefix("$argon2id$")?.split('$').collect();
    let [_version, parameters, _salt, _hash] = parts.as_slice() else { return None };
    let parameter = |name: &str| {
        let mut all = parameters.split(',').filter_map(|one| one.split_once('='));
        all.find(|(known, _)| *known == name)?.1.parse::<u32>().ok()
    };
    let (kib, passes) = (parameter("m")?, parameter("t")?);
    (kib <= MAX_ARGON2_KIB && passes <= MAX_ARGON2_PASSES).then(|| Work::of_argon2(kib, passes))
}

#[cfg(test)]
mod tests;
