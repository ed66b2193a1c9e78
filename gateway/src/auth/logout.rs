//! Ending what a credential gave.

use super::Core;
use super::error::Error;
use super::principal::{Principal, Proof};

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
}
