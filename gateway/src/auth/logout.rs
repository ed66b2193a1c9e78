//! Ending what a credential gave.

use super::Core;
use super::api_key::KeyId;
use super::error::Error;
use super::principal::{Principal, Proof};
use super::time::Timestamp;
use super::token::TokenKind;

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

    /// Puts the presented access token on the revocation list (S1-16 to S1-18).
    /// Other credentials have nothing to revoke: a no-op (S1-19).
    ///
    /// # Errors
    /// When the store fails; the token is then still good.
    pub async fn logout(&self, principal: &Principal) -> Result<(), Error> {
        match &principal.proof {
            Proof::AccessToken { token, expires, .. } => {
                Ok(self.store.revoke_token(*token, *expires).await?)
            }
            Proof::Password | Proof::Key(_) | Proof::Ticket { .. } => Ok(()),
        }
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
                self.store.revoke_token(claims.id, expires).await?;
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
