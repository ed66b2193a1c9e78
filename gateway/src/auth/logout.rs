//! Ending what a credential gave.

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Core;
use super::account::AccountId;
use super::api_key::KeyId;
use super::error::{Entity, Error};
use super::principal::{Principal, Proof};
use super::time::Timestamp;
use super::token::{SessionId, TokenId, TokenKind};

/// Tokens of one session that are ended one by one. With one more it ends itself: no
/// sign-in fills what is kept of each.
const ENDED_ONE_BY_ONE: u32 = 100;
/// Sessions of which that is counted; the one that had an end least recently goes first.
const MAX_SESSIONS: u64 = 50_000;

/// Sessions that are read at once.
const LISTED: usize = 200;

/// How many tokens of a session have been ended one by one, at this gateway.
pub(super) struct TokenEnds(Cache<SessionId, u32>);

impl Default for TokenEnds {
    fn default() -> Self {
        let builder = Cache::builder().eviction_policy(EvictionPolicy::lru());
        Self(builder.max_capacity(MAX_SESSIONS).build())
    }
}

impl TokenEnds {
    fn count(&self, session: SessionId) -> u32 {
        let one_more = |known: Option<moka::Entry<SessionId, u32>>| {
            known.map_or(0, moka::Entry::into_value).saturating_add(1)
        };
        self.0.entry(session).and_upsert_with(one_more).into_value()
    }
}

/// What somebody wants ended whose account cannot be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    Token,
    Session,
    Key(KeyId),
}

impl Core {
    /// Ends the session behind the caller's token, with every token of it (S3-11).
    ///
    /// # Errors
    /// When the caller has no session, and when the store fails.
    pub async fn end_session(&self, principal: &Principal) -> Result<(), Error> {
        let session = principal.session().ok_or(Error::NotASession)?;
        self.store.end_session(session, self.clock.now()).await?;
        Ok(())
    }

    /// Ends a session of this account's own.
    ///
    /// # Errors
    /// When the account has no such session, and when the store fails.
    pub async fn end_own_session(
        &self,
        account: AccountId,
        session: SessionId,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let found = self.store.find_session(session, now).await?;
        if found.is_none_or(|found| found.account != account) {
            return Err(Error::Unknown(Entity::Session));
        }
        self.store.end_session(session, now).await?;
        Ok(())
    }

    /// Ends all sessions of an account but one, one by one.
    ///
    /// # Errors
    /// When the store fails; some have ended then.
    pub async fn end_other_sessions(
        &self,
        account: AccountId,
        but: Option<SessionId>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let mut after = None;
        loop {
            let sessions = self.store.list_sessions(Some(account), after, LISTED).await?;
            for session in sessions.iter().filter(|session| Some(session.id) != but) {
                self.store.end_session(session.id, now).await?;
            }
            match sessions.last() {
                Some(last) if sessions.len() == LISTED => after = Some(last.id),
                _ => return Ok(()),
            }
        }
    }

    /// Puts the presented access token on the revocation list (S1-16 to S1-18).
    /// Other credentials have nothing to revoke: a no-op (S1-19).
    ///
    /// # Errors
    /// When the store fails; the token is then still good.
    pub async fn logout(&self, principal: &Principal) -> Result<(), Error> {
        match &principal.proof {
            Proof::AccessToken { token, session, expires, .. } => {
                self.end_token(*token, *session, *expires).await
            }
            Proof::Password | Proof::Key(_) | Proof::Ticket { .. } => Ok(()),
        }
    }

    async fn end_token(
        &self,
        token: TokenId,
        session: SessionId,
        expires: Timestamp,
    ) -> Result<(), Error> {
        let many = self.token_ends.count(session) > ENDED_ONE_BY_ONE;
        if !many || !self.store.end_session(session, self.clock.now()).await? {
            self.store.revoke_token(token, expires).await?;
        }
        Ok(())
    }

    /// Ends what a token of ours gives a right to end, though memory does not know its
    /// account and the store cannot be asked: that we signed it says enough for that.
    ///
    /// # Errors
    /// When the token is not good, and what the store answers.
    pub async fn end_unread(&self, token: &str, what: Unread) -> Result<(), Error> {
        let claims = self.open_token(token, TokenKind::Access)?;
        self.standing.check_token(claims.id, claims.session)?;
        match what {
            Unread::Token => {
                let expires = Timestamp::from_seconds(claims.expires_at);
                self.end_token(claims.id, claims.session, expires).await?;
            }
            Unread::Session => {
                self.store.end_session(claims.session, self.clock.now()).await?;
            }
            Unread::Key(key) => {
                self.store.delete_key(key, Some(claims.subject)).await?;
            }
        }
        Ok(())
    }
}
