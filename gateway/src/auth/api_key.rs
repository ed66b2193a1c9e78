//! API keys: access without a user's password.
//!
//! The text is `sk_live_` + 43 characters of base62 (256 random bits) + 6 of
//! checksum, so that a typing error is refused without a look-up. Only the
//! SHA-256 of the text is kept; a fast digest suffices for 256 random bits.

use uuid::Uuid;

use super::Core;
use super::account::AccountId;
use super::error::{Error, Refusal};
use super::ports::{Entropy, TokenSigner};
use super::principal::{Principal, Proof};
use super::secret::Secret;
use super::time::Timestamp;

pub const PREFIX: &str = "sk_live_";
const RANDOM_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
/// How much of the text may be shown for support.
const SHOWN_LENGTH: usize = PREFIX.len() + 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub Uuid);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub owner: AccountId,
    pub name: String,
    /// The beginning of the text, to recognise a key by.
    pub shown: String,
    pub digest: [u8; 32],
    pub scopes: Vec<String>,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
}

/// What to make a key from.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub owner: AccountId,
    pub name: String,
    pub scopes: Vec<String>,
    pub expires: Option<Timestamp>,
}

impl Core {
    /// Makes and stores a key; the text is shown this once. `None` when the owner is gone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_key(&self, new: NewKey) -> Result<Option<(ApiKey, Secret)>, Error> {
        let text = generate(self.entropy.as_ref(), self.signer.as_ref());
        let key = ApiKey {
            id: KeyId(self.new_uuid()),
            owner: new.owner,
            name: new.name,
            shown: text.expose()[..SHOWN_LENGTH].to_owned(),
            digest: self.signer.digest(text.expose().as_bytes()),
            scopes: new.scopes,
            created: self.clock.now(),
            expires: new.expires,
        };
        let stored = self.store.create_key(key.clone()).await?;
        Ok(stored.then_some((key, text)))
    }

    /// Judges a key presented with a request, from memory alone.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify_key(&self, text: &str) -> Result<Principal, Refusal> {
        if !is_well_formed(text, self.signer.as_ref()) {
            return Err(Refusal::KeyMalformed);
        }
        let digest = self.signer.digest(text.as_bytes());
        let key = self.standing.key(&digest).ok_or(Refusal::KeyUnknown)?;
        if key.expires.is_some_and(|expires| expires <= self.clock.now()) {
            return Err(Refusal::KeyExpired);
        }
        let account = self.standing.enabled_account(key.owner)?;
        Ok(Principal { account, proof: Proof::Key(key) })
    }
}

fn generate(entropy: &dyn Entropy, signer: &dyn TokenSigner) -> Secret {
    let mut random = [0u8; 32];
    entropy.fill(&mut random);
    let mut text = String::with_capacity(PREFIX.len() + RANDOM_LENGTH + CHECKSUM_LENGTH);
    text.push_str(PREFIX);
    text.push_str(&base62::<RANDOM_LENGTH>(&random));
    let sum = checksum(&text, signer);
    text.push_str(&sum);
    Secret::new(text)
}

fn is_well_formed(text: &str, signer: &dyn TokenSigner) -> bool {
    text.len() == PREFIX.len() + RANDOM_LENGTH + CHECKSUM_LENGTH
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
