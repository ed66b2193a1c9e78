//! Name and password: signing in for a token pair, and HTTP Basic.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::Core;
use super::account::{Account, AccountState, canonical_name};
use super::error::{Error, Refusal};
use super::password::is_presentable;
use super::ports::{Entropy, Opening};
use super::principal::{Principal, Proof};
use super::secret::Secret;
use super::time::Seconds;
use super::token::{Claims, Minted, Session, SessionId, TokenId, TokenKind};

/// An access token and the refresh token that renews it.
#[derive(Debug)]
pub struct TokenPair {
    pub access: Secret,
    pub refresh: Secret,
}

/// Verified name-and-password pairs, so that Basic costs a bcrypt only now and
/// then. The key is an HMAC under a key of this process over account, stored
/// hash and password: nothing to invalidate (a changed hash is another key),
/// nothing to read back from a memory dump, and only successes are kept.
pub(super) struct VerifiedPasswords {
    key: [u8; 32],
    hits: Cache<[u8; 32], ()>,
}

impl VerifiedPasswords {
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        let hits =
            Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(300)).build();
        Self { key, hits }
    }
}

impl Core {
    /// Signs in and opens a session (S1-07). `access_ttl` belongs to the contract.
    ///
    /// # Errors
    /// When the credential is refused or a port fails.
    pub async fn login(
        &self,
        name: &str,
        password: &Secret,
        access_ttl: Seconds,
    ) -> Result<(Arc<Account>, TokenPair), Error> {
        let account = self.check_password(name, password).await?;
        self.upgrade_hash(&account, password).await;
        let minted = self.mint(TokenId(self.new_uuid()), access_ttl);
        let now = minted.issued_at;
        let session = Session {
            id: SessionId(self.new_uuid()),
            account: account.id,
            created: now,
            expires: now.plus(self.policy.refresh_ttl),
            current: minted,
            replaced: None,
        };
        let pair = self.sign_pair(&session, minted);
        match self.store.open_session(session, account.version).await? {
            Opening::Opened => Ok((account, pair)),
            // Changed or disabled while we hashed: what was proven no longer holds.
            Opening::Stale => Err(Refusal::PasswordWrong.into()),
        }
    }

    /// A Basic credential that was verified lately, from memory alone.
    #[must_use]
    pub fn recall_basic(&self, name: &str, password: &str) -> Option<Principal> {
        let account = self.standing.account_by_name(&canonical_name(name))?;
        if account.state == AccountState::Disabled {
            return None;
        }
        self.basic.hits.get(&self.basic_key(&account, password))?;
        Some(Principal { account, proof: Proof::Password })
    }

    /// Judges a Basic credential, hashing if it was not verified lately.
    ///
    /// # Errors
    /// When the credential is refused or a port fails.
    pub async fn verify_basic(&self, name: &str, password: &Secret) -> Result<Principal, Error> {
        if let Some(principal) = self.recall_basic(name, password.expose()) {
            return Ok(principal);
        }
        let account = self.check_password(name, password).await?;
        self.basic.hits.insert(self.basic_key(&account, password.expose()), ());
        Ok(Principal { account, proof: Proof::Password })
    }

    /// The account if the password is its current one. Unknown user, disabled
    /// account and wrong password cost the same hash.
    async fn check_password(&self, name: &str, password: &Secret) -> Result<Arc<Account>, Error> {
        if !is_presentable(password.expose()) {
            return Err(Refusal::PasswordWrong.into());
        }
        let name = canonical_name(name);
        // Twice at most: once more when the password was changed while we hashed,
        // so that the new one works and the old one fails from that moment (S1-23).
        for _ in 0..2 {
            let Some(account) = self.store.find_account(&name).await?.map(Arc::new) else {
                self.hasher.verify(None, password.clone()).await?;
                return Err(Refusal::UserUnknown.into());
            };
            let matches =
                self.hasher.verify(Some(account.password.clone()), password.clone()).await?;
            let current = self.standing.enabled_account(account.id)?;
            if current.version == account.version {
                return if matches { Ok(current) } else { Err(Refusal::PasswordWrong.into()) };
            }
        }
        Err(Refusal::PasswordWrong.into())
    }

    /// Brings an old or imported hash to today's form while the password is at
    /// hand. Failing to is no reason to refuse the sign-in.
    async fn upgrade_hash(&self, account: &Account, password: &Secret) {
        if !self.hasher.outdated(&account.password) {
            return;
        }
        if let Ok(better) = self.hasher.hash(password.clone()).await {
            let upgraded = self.store.upgrade_hash(account.id, &account.password, better).await;
            if let Err(error) = upgraded {
                tracing::warn!(%error, "password hash not upgraded");
            }
        }
    }

    fn basic_key(&self, account: &Account, password: &str) -> [u8; 32] {
        let parts: [&[u8]; 3] =
            [account.id.0.as_bytes(), account.password.0.as_bytes(), password.as_bytes()];
        self.signer.keyed_digest(&self.basic.key, &parts)
    }

    pub(super) fn mint(&self, refresh: TokenId, access_ttl: Seconds) -> Minted {
        Minted {
            access: TokenId(self.new_uuid()),
            refresh,
            issued_at: self.clock.now(),
            access_ttl: access_ttl.0,
        }
    }

    pub(super) fn sign_pair(&self, session: &Session, minted: Minted) -> TokenPair {
        let claims = |kind, id, ttl| {
            let issued_at = minted.issued_at.seconds();
            self.signer.sign(&Claims {
                subject: session.account,
                kind,
                issued_at,
                not_before: issued_at,
                expires_at: issued_at.saturating_add(ttl),
                id,
                session: session.id,
                issuer: self.policy.issuer.clone(),
                audience: self.policy.audience.clone(),
            })
        };
        TokenPair {
            access: Secret::new(claims(TokenKind::Access, minted.access, minted.access_ttl)),
            refresh: Secret::new(claims(
                TokenKind::Refresh,
                minted.refresh,
                self.policy.refresh_ttl.0,
            )),
        }
    }

    /// A UUIDv7 of the core's own clock and entropy.
    pub fn new_uuid(&self) -> uuid::Uuid {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(self.clock.now().0, &random).into_uuid()
    }
}
