//! API keys: access without a user's password.
//!
//! The text is `sk_live_` + 43 characters of base62 (256 random bits) + 6 of
//! checksum, so that a typing error is refused without a look-up. Only the
//! SHA-256 of the text is kept; a fast digest suffices for 256 random bits.

mod operations;

use std::borrow::Borrow;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::account::AccountId;
use super::account::limits::AccountLimits;
use super::ports::{Entropy, TokenSigner};
use super::secret::Secret;
use super::server::ServerId;
use super::time::{Seconds, Timestamp};

pub use operations::NewKey;

pub const PREFIX: &str = "sk_live_";
const RANDOM_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
/// How long each key is, in bytes.
pub const LENGTH: usize = PREFIX.len() + RANDOM_LENGTH + CHECKSUM_LENGTH;
/// How much of the text may be shown for support.
const SHOWN_LENGTH: usize = PREFIX.len() + 6;

/// For how long a rotated key goes on beside its successor, unless somebody says.
pub const DEFAULT_OVERLAP: Seconds = Seconds(86_400);
/// The longest overlap that contracts grant: thirty days.
pub const MAX_OVERLAP: Seconds = Seconds(30 * 86_400);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub Uuid);

/// A time, or none yet, that can be set where the key lies.
#[derive(Debug, Default)]
pub struct AtomicTimestamp(AtomicU64);

impl AtomicTimestamp {
    #[must_use]
    pub fn at(at: Option<Timestamp>) -> Self {
        Self(AtomicU64::new(at.map_or(0, |at| at.0)))
    }

    #[must_use]
    pub fn get(&self) -> Option<Timestamp> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Timestamp)
    }

    pub fn set(&self, at: Option<Timestamp>) {
        self.0.store(at.map_or(0, |at| at.0), Ordering::Relaxed);
    }
}

impl Clone for AtomicTimestamp {
    fn clone(&self) -> Self {
        Self::at(self.get())
    }
}

impl PartialEq for AtomicTimestamp {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for AtomicTimestamp {}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub owner: AccountId,
    pub name: String,
    /// The beginning of the text, to recognise a key by.
    pub shown: String,
    pub digest: [u8; 32],
    /// The server whose agents present it (S0-15).
    pub server: Option<ServerId>,
    pub scopes: Vec<String>,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    /// When a successor takes its place for good.
    pub superseded: AtomicTimestamp,
    pub last_used: AtomicTimestamp,
}

impl ApiKey {
    /// When it ends by itself.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        match (self.expires, self.superseded.get()) {
            (Some(expires), Some(superseded)) => Some(expires.min(superseded)),
            (expires, superseded) => expires.or(superseded),
        }
    }

    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends().is_some_and(|ends| ends <= now)
    }

    /// Whether it is this owner's, where one is named.
    #[must_use]
    pub fn is_of(&self, owner: Option<AccountId>) -> bool {
        owner.is_none_or(|owner| owner == self.owner)
    }

    /// What a rotation makes of it; `None` when there is nothing to rotate: it is not the
    /// owner's who asks, or has ended.
    #[must_use]
    pub fn rotate(self, rotation: &KeyRotation) -> Option<Succession> {
        if !self.is_of(rotation.owner) || self.has_ended(rotation.successor.created) {
            return None;
        }
        let new = rotation.successor.clone().of(&self);
        if rotation.is_without_overlap() {
            return Some(Succession::InPlace { old: self, new });
        }
        // No rotation gives it more time than it has.
        let ends = self.ends().map_or(rotation.until, |ends| ends.min(rotation.until));
        self.superseded.set(Some(ends));
        Some(Succession::Beside { old: self, new })
    }
}

/// A key and the one that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Succession {
    /// The old one goes at once, and out of every list.
    InPlace { old: ApiKey, new: ApiKey },
    /// The old one goes on for a while: its owner must have room for both.
    Beside { old: ApiKey, new: ApiKey },
}

impl AccountLimits {
    /// Which of an account's keys go for one more, where it has `held`, which are as many as
    /// it may have: those that have ended. `None` when that leaves no room, and none goes.
    #[must_use]
    pub fn make_room_for_key<K: Borrow<ApiKey>>(
        self,
        held: usize,
        keys: Vec<K>,
        now: Timestamp,
    ) -> Option<Vec<K>> {
        let mut ended = keys;
        ended.retain(|key| key.borrow().has_ended(now));
        self.has_room_for_key(held.saturating_sub(ended.len())).then_some(ended)
    }
}

/// The key that takes another one's place, which goes on for a while (overlap).
#[derive(Debug, Clone)]
pub struct KeyRotation {
    pub key: KeyId,
    /// Only if it is this account's.
    pub owner: Option<AccountId>,
    pub successor: Successor,
    /// The old key ends then, if it does not end before.
    pub until: Timestamp,
}

impl KeyRotation {
    /// Whether the old key goes at once, and out of every list.
    #[must_use]
    pub fn is_without_overlap(&self) -> bool {
        self.until <= self.successor.created
    }
}

/// What is new about the key that follows another.
#[derive(Debug, Clone)]
pub struct Successor {
    pub id: KeyId,
    pub shown: String,
    pub digest: [u8; 32],
    pub created: Timestamp,
}

impl Successor {
    /// A key for the same purpose. One that was to end lives as long again.
    #[must_use]
    pub fn of(self, old: &ApiKey) -> ApiKey {
        let Self { id, shown, digest, created } = self;
        let lifetime = old.expires.map(|expires| expires.since(old.created));
        let expires = lifetime.map(|length| Timestamp(created.0.saturating_add(length)));
        let (superseded, last_used) = (AtomicTimestamp::default(), AtomicTimestamp::default());
        ApiKey { id, shown, digest, created, expires, superseded, last_used, ..old.clone() }
    }
}

fn generate(entropy: &dyn Entropy, signer: &dyn TokenSigner) -> Secret {
    let mut random = [0u8; 32];
    entropy.fill(&mut random);
    let mut text = String::with_capacity(LENGTH);
    text.push_str(PREFIX);
    text.push_str(&base62::<RANDOM_LENGTH>(&random));
    let sum = checksum(&text, signer);
    text.push_str(&sum);
    Secret::new(text)
}

fn is_well_formed(text: &str, signer: &dyn TokenSigner) -> bool {
    text.len() == LENGTH
        && text.starts_with(PREFIX)
        && text.bytes().skip(PREFIX.len()).all(|b| b.is_ascii_alphanumeric())
        && checksum(&text[..PREFIX.len() + RANDOM_LENGTH], signer)
            == text[PREFIX.len() + RANDOM_LENGTH..]
}

fn checksum(body: &str, signer: &dyn TokenSigner) -> String {
    let digest = signer.digest(body.as_bytes());
    base62::<CHECKSUM_LENGTH>(&digest[..4])
}

/// The number in `bytes`, big-endian, as `N` base62 digits, least significant first.
fn base62<const N: usize>(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = bytes.to_vec();
    let mut text = String::with_capacity(N);
    for _ in 0..N {
        let mut remainder = 0u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        text.push(char::from(DIGITS[remainder as usize % 62]));
    }
    text
}

#[cfg(test)]
mod tests;
