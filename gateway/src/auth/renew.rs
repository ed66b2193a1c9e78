//! Renewing the access token of a browser that keeps both its tokens in cookies. The gateway
//! does it, with the request at hand that needs it: no script can, for it sees neither token.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::Core;
use super::account::AccountId;
use super::error::{Error, Refusal};
use super::login::{AccessToken, Issuance};
use super::ports::{Rotation, RotationMode};
use super::principal::Principal;
use super::secret::Secret;
use super::session::RefreshUse;
use super::time::{Seconds, Timestamp};
use super::token::{Claims, TokenKind};
use super::workspace::WorkspaceId;

/// How long a renewal is shared by requests that bring the tokens from before it: those that
/// were under way when it was made, in however many tabs.
const SHARED: Duration = Duration::from_secs(30);
const MAX_SHARED: u64 = 10_000;

/// Fresh tokens of a browser's session.
#[derive(Debug)]
pub struct Renewed {
    pub access: AccessToken,
    /// In place of the one that was presented, which is good until it expires. `None` of a
    /// contract's refresh token: a page may be rotating it at the same moment.
    pub renewal: Option<Secret>,
    /// How long what renews the session is good for.
    pub renewal_ttl: Seconds,
}

/// Renewals that are under way or have just been made, by a digest of the tokens that they
/// are for.
pub(super) struct Renewals(Cache<[u8; 32], Arc<OnceCell<Arc<Renewed>>>>);

impl Default for Renewals {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_SHARED).time_to_live(SHARED).build())
    }
}

/// Until when a browser that keeps its session in use may go on with what it has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewable {
    /// When the renewal token expires.
    pub until: Timestamp,
    /// For how long it was good: so long after a later use a later one would be.
    pub span: Seconds,
}

impl Core {
    /// Renews a session by the renewal or refresh token that a browser holds beside its access
    /// token, which has expired or is gone. Requests that come with the same tokens share one
    /// renewal. The new access token is scoped to the workspace of the `expired` one.
    ///
    /// # Errors
    /// When the token is refused or the store fails.
    pub async fn renew(
        &self,
        token: &str,
        expired: Option<&str>,
    ) -> Result<(Arc<Principal>, Arc<Renewed>), Error> {
        let parts = [token.as_bytes(), expired.unwrap_or_default().as_bytes()];
        let key = self.signer.keyed_digest(&[0; 32], &parts);
        loop {
            let shared = self.renewals.0.get_with(key, Arc::default);
            let is_new = !shared.initialized();
            let renewed = shared.get_or_try_init(|| self.renew_alone(token, expired));
            let renewed = Arc::clone(renewed.await?);
            match self.verify_access(renewed.access.text.expose()) {
                // Made so long ago that it has had its time.
                Err(Refusal::TokenExpired) if !is_new => self.renewals.0.invalidate(&key),
                judged => return Ok((judged?, renewed)),
            }
        }
    }

    async fn renew_alone(&self, token: &str, expired: Option<&str>) -> Result<Arc<Renewed>, Error> {
        let claims = self.open_renewing(token)?;
        let account = self.present_account(claims.subject).await?;
        self.standing.check_token(claims.id, claims.session)?;
        if account.has_ended(claims.session) {
            return Err(Refusal::SessionEnded.into());
        }
        let now = self.clock.now();
        let session = self.store.find_session(claims.session, now).await?;
        let session = session.ok_or(Refusal::SessionEnded)?;
        if session.recognize(claims.id, self.policy.refresh_grace, now) == RefreshUse::Reused {
            // The store decides it once more, by what the session is then, and ends the family.
            let (presented, mode) = (claims.id, RotationMode::Keep);
            let successor = self.mint(presented, Seconds(0));
            let rotation = Rotation { session: claims.session, presented, successor, now, mode };
            self.store.rotate(rotation).await?;
            return Err(Refusal::RefreshReused.into());
        }
        let left = session.left(now);
        let issuance = Issuance {
            access_ttl: self.policy.renewed_access_ttl.min(left),
            rotate: false,
            shows_role: false,
            life: None,
        };
        let minted = self.mint(session.current.refresh, issuance.access_ttl);
        let workspace = expired.and_then(|expired| self.workspace_of(expired, &claims));
        let text = self.sign_access(&account, session.id, minted, workspace, issuance);
        let access = AccessToken { text, ttl: Seconds(minted.access_ttl) };
        if claims.kind == TokenKind::Refresh {
            // A contract's own, whose lifetime is not renewed.
            let renewal_ttl = Seconds(claims.expires_at.saturating_sub(now.seconds()));
            return Ok(Arc::new(Renewed { access, renewal: None, renewal_ttl }));
        }
        let renewal_ttl = Seconds(claims.span()).min(left);
        let good = (TokenKind::Renewal, renewal_ttl);
        let renewal = Some(self.sign_renewing(&account, session.id, minted, good));
        Ok(Arc::new(Renewed { access, renewal, renewal_ttl }))
    }

    /// Ends the session that a browser's tokens name, whether or not they have expired: it is
    /// signed out by its cookies, whatever else came with them. The account, if there was one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_named(&self, tokens: &[&str]) -> Result<Option<AccountId>, Error> {
        let mut account = None;
        for token in tokens {
            let Ok(claims) = self.signer.open(token) else { continue };
            let ours =
                claims.issuer == self.policy.issuer && claims.audience == self.policy.audience;
            // What is known to have ended needs no store, which may take nothing now.
            let ends = ours && !self.standing.has_ended(claims.session);
            if ends && self.store.end_session(claims.session, self.clock.now()).await? {
                account = Some(claims.subject);
            }
        }
        Ok(account)
    }

    /// How long what a session has opened may go on while the session is used, by the token
    /// that renews it. `None` when it is none that can.
    #[must_use]
    pub fn renewable(&self, principal: &Principal, token: &str) -> Option<Renewable> {
        let claims = self.open_renewing(token).ok()?;
        (principal.session() == Some(claims.session)).then(|| Renewable {
            until: Timestamp::from_seconds(claims.expires_at),
            span: Seconds(claims.span()),
        })
    }

    /// Until when a session may go on that could be renewed until then when it was last looked
    /// at: by its last use here, and never past what the store keeps of it.
    pub async fn renewed_until(&self, principal: &Principal, renewable: Renewable) -> Timestamp {
        let Some(session) = principal.session() else { return renewable.until };
        let Some(used) = self.standing.session_uses().last(session) else {
            return renewable.until;
        };
        let later = used.plus(renewable.span);
        if later <= renewable.until {
            return renewable.until;
        }
        // A task of its own, for those who wait for this from several threads.
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        match tokio::spawn(async move { store.find_session(session, now).await }).await {
            Ok(Ok(Some(session))) => later.min(session.expires),
            _ => renewable.until,
        }
    }

    fn open_renewing(&self, token: &str) -> Result<Claims, Refusal> {
        match self.open_token(token, TokenKind::Renewal) {
            Err(Refusal::TokenKind) => self.open_token(token, TokenKind::Refresh),
            opened => opened,
        }
    }

    /// What an expired access token of the same session was scoped to, if the account is a
    /// member still.
    fn workspace_of(&self, expired: &str, renewing: &Claims) -> Option<WorkspaceId> {
        let claims = self.signer.open(expired).ok()?;
        let same = claims.kind == TokenKind::Access && claims.session == renewing.session;
        let workspace = claims.workspace.filter(|_| same)?;
        self.standing.membership(workspace, claims.subject).map(|_| workspace)
    }
}
