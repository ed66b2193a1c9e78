//! Name and password: signing in for a token pair, and HTTP Basic.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::Core;
use super::account::{Account, AccountId, AccountState, HashedPassword, canonical_name};
use super::error::{Entity, Error, Refusal};
use super::password::is_presentable;
use super::ports::{Entropy, Missing, Priority, SessionOpening};
use super::principal::{Principal, Proof};
use super::secret::Secret;
use super::session::Session;
use super::session_client::SessionClient;
use super::session_life::SessionLife;
use super::source::Source;
use super::time::Seconds;
use super::token::{Claims, Minted, SessionId, TokenId, TokenKind};
use super::workspace::WorkspaceId;

/// An access token and the refresh token that renews it.
#[derive(Debug)]
pub struct TokenPair {
    pub access: AccessToken,
    pub refresh: Secret,
    /// Sign-ins that ended for this one, the oldest of as many as an account may have.
    pub superseded: Vec<SessionId>,
}

#[derive(Debug)]
pub struct AccessToken {
    pub text: Secret,
    /// Its whole lifetime.
    pub ttl: Seconds,
}

/// How a contract issues tokens.
#[derive(Debug, Clone, Copy)]
pub struct Issuance {
    pub access_ttl: Seconds,
    /// Whether a refresh can carry a successor of the refresh token, and the operator
    /// wants one (C6).
    pub rotate: bool,
    /// Whether access tokens tell the account's role (S2-21).
    pub shows_role: bool,
    /// Of a session that the gateway renews for a browser; `None`: a client refreshes it.
    pub life: Option<SessionLife>,
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
    /// Signs in and opens a session (S1-07).
    ///
    /// # Errors
    /// When the credential is refused or a port fails.
    pub async fn login(
        &self,
        name: &str,
        password: &Secret,
        client: &SessionClient,
        issuance: Issuance,
    ) -> Result<(Arc<Account>, TokenPair), Error> {
        let account = self.check_password(name, password, client.source()).await?;
        self.upgrade_hash(&account, password, client.source()).await;
        self.open_session(account, client, issuance).await
    }

    /// Opens a session for an account that has just been proven.
    pub(super) async fn open_session(
        &self,
        account: Arc<Account>,
        client: &SessionClient,
        issuance: Issuance,
    ) -> Result<(Arc<Account>, TokenPair), Error> {
        let minted = self.mint(TokenId(self.new_uuid()), issuance.access_ttl);
        let mut id = SessionId(self.new_uuid());
        loop {
            let session = self.session_of(account.id, id, (minted, client), issuance);
            match self.store.open_session(session, account.version).await? {
                SessionOpening::Opened { superseded } => {
                    let pair = self.sign_pair(&account, id, minted, issuance);
                    return Ok((account, TokenPair { superseded, ..pair }));
                }
                // Changed or disabled while we hashed: what was proven no longer holds.
                SessionOpening::Stale => return Err(Refusal::PasswordWrong.into()),
                // Another gateway's clock is ahead, or both came in one millisecond.
                SessionOpening::Behind(ended) => {
                    id = SessionId(self.uuid_after(ended.0).ok_or(Refusal::PasswordWrong)?);
                }
            }
        }
    }

    /// The first session of an account, which is not opened yet, and the tokens for it.
    pub(super) fn first_session(
        &self,
        account: &Account,
        client: &SessionClient,
        issuance: Issuance,
    ) -> (Session, TokenPair) {
        let minted = self.mint(TokenId(self.new_uuid()), issuance.access_ttl);
        let id = SessionId(self.new_uuid());
        let session = self.session_of(account.id, id, (minted, client), issuance);
        let pair = self.sign_pair(account, session.id, minted, issuance);
        (session, pair)
    }

    fn session_of(
        &self,
        account: AccountId,
        id: SessionId,
        (minted, client): (Minted, &SessionClient),
        issuance: Issuance,
    ) -> Session {
        let created = minted.issued_at;
        let life = issuance.life.map_or(self.policy.refresh_ttl, |life| life.absolute);
        let expires = created.plus(life);
        Session {
            id,
            account,
            created,
            expires,
            current: minted,
            replaced: None,
            client: Some(client.clone()),
            last_used: None,
        }
    }

    /// A new access token of the same session, with the account as it is now (S2-20).
    ///
    /// # Errors
    /// When the caller has no session, or it has ended.
    pub async fn reissue(
        &self,
        principal: &Principal,
        issuance: Issuance,
    ) -> Result<(Arc<Account>, AccessToken), Error> {
        let workspace = principal.workspace.as_ref().map(|membership| membership.workspace);
        self.issue_in_session(principal, workspace, issuance).await
    }

    /// An access token of the same session, scoped to a workspace (S2-22, S2-23).
    ///
    /// # Errors
    /// When there is no such workspace or the caller is no member, which is one answer
    /// (S2-24), and as [`Self::reissue`].
    pub async fn switch_workspace(
        &self,
        principal: &Principal,
        workspace: WorkspaceId,
        issuance: Issuance,
    ) -> Result<(Arc<Account>, AccessToken), Error> {
        let account = principal.account_id();
        if self.standing.membership(workspace, account).is_none()
            && !self.store.load_missing(Missing::Member(workspace, account)).await?
        {
            return Err(Error::Unknown(Entity::Workspace));
        }
        self.issue_in_session(principal, Some(workspace), issuance).await
    }

    async fn issue_in_session(
        &self,
        principal: &Principal,
        workspace: Option<WorkspaceId>,
        issuance: Issuance,
    ) -> Result<(Arc<Account>, AccessToken), Error> {
        let Proof::AccessToken { session, .. } = principal.proof else {
            return Err(Error::NotASession);
        };
        let account = self.standing.enabled_account(principal.account_id())?;
        let now = self.clock.now();
        let session = self.store.find_session(session, now).await?.ok_or(Refusal::SessionEnded)?;
        // No token outlives its session: its end could not be recorded.
        let left = Seconds(session.expires.since(now) / 1000);
        let ttl = issuance.access_ttl.min(left);
        let minted = self.mint(session.current.refresh, ttl);
        let text = self.sign_access(&account, session.id, minted, workspace, issuance);
        Ok((account, AccessToken { text, ttl }))
    }

    /// A Basic credential that was verified lately, from memory alone.
    #[must_use]
    pub fn cached_basic(&self, name: &str, password: &str) -> Option<Principal> {
        let account = self.standing.account_by_name(&canonical_name(name))?;
        if account.state == AccountState::Disabled || !self.policy.local_accounts {
            return None;
        }
        self.basic.hits.get(&self.basic_key(&account, password)?)?;
        Some(Principal::new(account, Proof::Password))
    }

    /// Judges a Basic credential, hashing if it was not verified lately.
    ///
    /// # Errors
    /// When the credential is refused or a port fails.
    pub async fn verify_basic(
        &self,
        name: &str,
        password: &Secret,
        from: Source,
    ) -> Result<Principal, Error> {
        if let Some(principal) = self.cached_basic(name, password.expose()) {
            return Ok(principal);
        }
        match self.prove_basic(name, password, from).await {
            // Changed by another replica, of which memory had not heard when it was asked.
            Err(Error::Refused(Refusal::PasswordWrong))
                if self.is_former_basic(name, password.expose()) =>
            {
                Err(Refusal::PasswordFormer.into())
            }
            proven => proven,
        }
    }

    async fn prove_basic(
        &self,
        name: &str,
        password: &Secret,
        from: Source,
    ) -> Result<Principal, Error> {
        let proven = self.check_password(name, password, from).await?;
        self.upgrade_hash(&proven, password, from).await;
        // It is remembered under the hash that is stored now: so the next request does not
        // come here, whether or not an upgrade was made.
        let account = self.standing.enabled_account(proven.id)?;
        if account.version != proven.version {
            return Err(Refusal::PasswordWrong.into());
        }
        if let Some(key) = self.basic_key(&account, password.expose()) {
            self.basic.hits.insert(key, ());
        }
        Ok(Principal::new(account, Proof::Password))
    }

    /// The account if the password is its current one. Whatever is wrong costs the same:
    /// an unknown user, an account without a password or disabled, a password that none
    /// can have.
    async fn check_password(
        &self,
        name: &str,
        password: &Secret,
        from: Source,
    ) -> Result<Arc<Account>, Error> {
        if !self.policy.local_accounts {
            return Err(Error::LocalAccountsDisabled);
        }
        if !is_presentable(password.expose()) {
            self.matches(None, Secret::from(""), Priority::Normal).await?;
            return Err(Refusal::PasswordWrong.into());
        }
        let name = canonical_name(name);
        // Twice at most: once more when the password was changed while we hashed,
        // so that the new one works and the old one fails from that moment (S1-23).
        for _ in 0..2 {
            let Some(account) = self.store.find_account(&name).await?.map(Arc::new) else {
                self.matches(None, password.clone(), Priority::Normal).await?;
                return Err(Refusal::UserUnknown.into());
            };
            // A disabled account has no right password, which might come cheaper.
            let enabled = account.state == AccountState::Enabled;
            let hash = account.password.clone().filter(|_| enabled);
            let priority = self.priority(&account, from);
            let matches = self.matches(hash, password.clone(), priority).await?;
            let current = self.standing.enabled_account(account.id)?;
            if current.version == account.version {
                return if matches { Ok(current) } else { Err(Refusal::PasswordWrong.into()) };
            }
        }
        Err(Refusal::PasswordWrong.into())
    }

    /// Whether the password is behind the hash. A failure costs what the dearest hash of
    /// all accounts does: else an account with a dearer one than an unknown name is
    /// compared with would be told by its slowness.
    pub(super) async fn matches(
        &self,
        hash: Option<HashedPassword>,
        password: Secret,
        priority: Priority,
    ) -> Result<bool, Error> {
        self.hasher.verify(hash, password, self.standing.dearest_hash(), priority).await
    }

    /// Brings an old or imported hash to today's form while the password is at
    /// hand. Failing to is no reason to refuse the sign-in. The account's version stays:
    /// nothing ends that the password has opened.
    async fn upgrade_hash(&self, account: &Account, password: &Secret, from: Source) {
        let Some(hash) = account.password.as_ref().filter(|hash| self.hasher.outdated(hash)) else {
            return;
        };
        if let Ok(better) = self.hasher.hash(password.clone(), self.priority(account, from)).await {
            let upgraded = self.store.upgrade_hash(account.id, hash, better).await;
            if let Err(error) = upgraded {
                tracing::warn!(%error, "password hash not upgraded");
            }
        }
    }

    /// By what a Basic credential, as it was sent, is known again in this process.
    #[must_use]
    pub fn basic_mark(&self, encoded: &str) -> [u8; 32] {
        self.signer.keyed_digest(&self.basic.key, &[b"as sent", encoded.as_bytes()])
    }

    fn basic_key(&self, account: &Account, password: &str) -> Option<[u8; 32]> {
        let hash = account.password.as_ref()?;
        let parts: [&[u8]; 3] = [account.id.0.as_bytes(), hash.0.as_bytes(), password.as_bytes()];
        Some(self.signer.keyed_digest(&self.basic.key, &parts))
    }

    pub(super) fn mint(&self, refresh: TokenId, access_ttl: Seconds) -> Minted {
        Minted {
            access: TokenId(self.new_uuid()),
            refresh,
            issued_at: self.clock.now(),
            access_ttl: access_ttl.0,
        }
    }

    pub(super) fn sign_pair(
        &self,
        account: &Account,
        session: SessionId,
        minted: Minted,
        issuance: Issuance,
    ) -> TokenPair {
        let good = match issuance.life {
            None => (TokenKind::Refresh, self.policy.refresh_ttl),
            Some(life) => (TokenKind::Renewal, life.renewal_ttl(issuance.access_ttl)),
        };
        TokenPair {
            access: AccessToken {
                text: self.sign_access(account, session, minted, None, issuance),
                ttl: Seconds(minted.access_ttl),
            },
            refresh: self.sign_renewing(account, session, minted, good),
            superseded: Vec::new(),
        }
    }

    /// What renews an access token: of this kind, and good for so long.
    pub(super) fn sign_renewing(
        &self,
        account: &Account,
        session: SessionId,
        minted: Minted,
        (kind, ttl): (TokenKind, Seconds),
    ) -> Secret {
        Secret::new(self.signer.sign(&Claims {
            kind,
            id: minted.refresh,
            expires_at: minted.issued_at.seconds().saturating_add(ttl.0),
            ..self.access_claims(account.id, session, minted)
        }))
    }

    pub(super) fn sign_access(
        &self,
        account: &Account,
        session: SessionId,
        minted: Minted,
        workspace: Option<WorkspaceId>,
        issuance: Issuance,
    ) -> Secret {
        Secret::new(self.signer.sign(&Claims {
            role: issuance.shows_role.then(|| account.main_role().to_owned()),
            workspace,
            ..self.access_claims(account.id, session, minted)
        }))
    }

    fn access_claims(&self, subject: AccountId, session: SessionId, minted: Minted) -> Claims {
        let issued_at = minted.issued_at.seconds();
        Claims {
            subject,
            kind: TokenKind::Access,
            issued_at,
            not_before: issued_at,
            expires_at: issued_at.saturating_add(minted.access_ttl),
            id: minted.access,
            session,
            issuer: self.policy.issuer.clone(),
            audience: self.policy.audience.clone(),
            role: None,
            workspace: None,
        }
    }

    /// A UUIDv7 of the core's own clock and entropy.
    pub fn new_uuid(&self) -> uuid::Uuid {
        self.uuid_at(self.clock.now().0)
    }

    /// One that is sorted behind another, whatever the clock says. `None` behind the last
    /// there could be.
    fn uuid_after(&self, other: uuid::Uuid) -> Option<uuid::Uuid> {
        let millis = u64::try_from(other.as_u128() >> 80).ok()? + 1;
        let after = self.uuid_at(millis.max(self.clock.now().0));
        (after > other).then_some(after)
    }

    fn uuid_at(&self, millis: u64) -> uuid::Uuid {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
