//! Making, rotating and judging keys.

use std::sync::Arc;

use crate::auth::Core;
use crate::auth::account::{Account, AccountId, is_valid_role};
use crate::auth::error::{Entity, Error, Name, Refusal, StoreError};
use crate::auth::ports::{KeyCreation, KeyRotated};
use crate::auth::principal::{Principal, Proof};
use crate::auth::secret::Secret;
use crate::auth::server::{ServerId, is_valid_label};
use crate::auth::time::{Seconds, Timestamp};

use super::{
    ApiKey, AtomicTimestamp, KeyId, KeyRotation, SHOWN_LENGTH, Successor, generate, is_well_formed,
};

/// What to make a key from.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub owner: AccountId,
    pub name: String,
    pub server: Option<ServerId>,
    pub scopes: Vec<String>,
    pub expires: Option<Timestamp>,
}

impl Core {
    /// Whether a key may be called so, be good for this and end then.
    ///
    /// # Errors
    /// The first of these that may not be.
    pub fn check_terms(
        &self,
        name: &str,
        scopes: &[String],
        expires: Option<Timestamp>,
    ) -> Result<(), Error> {
        if !is_valid_label(name) {
            Err(Error::Name(Name::Label))
        } else if !scopes.iter().all(|scope| is_valid_role(scope)) {
            Err(Error::Name(Name::Scope))
        } else if expires.is_some_and(|expires| expires <= self.clock.now()) {
            Err(Error::Past)
        } else {
            Ok(())
        }
    }

    /// Makes and stores a key; the text is shown this once.
    ///
    /// # Errors
    /// When its owner or server does not exist, the owner has too many, or the store fails.
    pub async fn create_key(&self, new: NewKey) -> Result<(ApiKey, Secret), Error> {
        let (successor, text) = self.new_key_text();
        let Successor { id, shown, digest, created } = successor;
        let key = ApiKey {
            id,
            owner: new.owner,
            name: new.name,
            shown,
            digest,
            server: new.server,
            scopes: new.scopes,
            created,
            expires: new.expires,
            superseded: AtomicTimestamp::default(),
            last_used: AtomicTimestamp::default(),
        };
        match self.store.create_key(key.clone()).await? {
            KeyCreation::Created => Ok((key, text)),
            KeyCreation::NoOwner => Err(Error::Unknown(Entity::Account)),
            KeyCreation::NoServer => Err(Error::Unknown(Entity::Server)),
            KeyCreation::TooMany => Err(Error::TooMany(Entity::Key)),
        }
    }

    /// Makes a key that takes the place of another, which ends after `overlap`.
    ///
    /// # Errors
    /// When there is no such key (of this owner, if one is named), its owner has too many,
    /// or the store fails.
    pub async fn rotate_key(
        &self,
        key: KeyId,
        owner: Option<AccountId>,
        overlap: Seconds,
    ) -> Result<(ApiKey, Secret), Error> {
        let (successor, text) = self.new_key_text();
        let until = successor.created.plus(overlap);
        let rotation = KeyRotation { key, owner, successor, until };
        match self.store.rotate_key(rotation).await? {
            KeyRotated::Rotated(key) => Ok((key, text)),
            KeyRotated::NoKey => Err(Error::Unknown(Entity::Key)),
            KeyRotated::TooMany => Err(Error::TooMany(Entity::Key)),
        }
    }

    fn new_key_text(&self) -> (Successor, Secret) {
        let text = generate(self.entropy.as_ref(), self.signer.as_ref());
        let successor = Successor {
            id: KeyId(self.new_uuid()),
            shown: text.expose()[..SHOWN_LENGTH].to_owned(),
            digest: self.signer.digest(text.expose().as_bytes()),
            created: self.clock.now(),
        };
        (successor, text)
    }

    /// Judges a key presented with a request, from memory alone.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify_key(&self, text: &str) -> Result<Principal, Refusal> {
        let (account, key) = self.recall_key(text)?;
        self.standing.note_use(&key, self.clock.now());
        Ok(Principal::new(account, Proof::Key(key)))
    }

    /// The same of a key that is not used thereby: its owner and itself.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn recall_key(&self, text: &str) -> Result<(Arc<Account>, Arc<ApiKey>), Refusal> {
        if !is_well_formed(text, self.signer.as_ref()) {
            return Err(Refusal::KeyMalformed);
        }
        let digest = self.signer.digest(text.as_bytes());
        let key = self.standing.key(&digest).ok_or(Refusal::KeyUnknown)?;
        if key.has_ended(self.clock.now()) {
            return Err(Refusal::KeyExpired);
        }
        Ok((self.standing.enabled_account(key.owner)?, key))
    }

    /// Whether a text is a key by its form and checksum, good or not.
    #[must_use]
    pub fn is_key(&self, text: &str) -> bool {
        is_well_formed(text, self.signer.as_ref())
    }

    /// Writes down when keys were last used, all at once, away from any request.
    ///
    /// # Errors
    /// When the store fails; what was not written is tried again with the next.
    pub async fn save_key_uses(&self) -> Result<(), StoreError> {
        let uses = self.standing.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        let saved = self.store.record_key_uses(uses.clone()).await;
        if saved.is_err() {
            self.standing.return_uses(uses);
        }
        saved
    }
}
