//! What another gateway has just made and this one's memory does not know yet: a
//! credential that memory refuses for that reason is judged once more after a look at
//! the store. Everything else is judged from memory alone.

use std::sync::Arc;

use super::Core;
use super::account::{Account, AccountId};
use super::error::{Error, Refusal};
use super::ports::Missing;
use super::principal::Principal;
use super::token::TokenKind;

impl Core {
    /// As [`Core::verify_access`].
    ///
    /// # Errors
    /// Why the token is refused, or that the store that may know more cannot be asked.
    pub async fn verify_or_load_access(&self, token: &str) -> Result<Arc<Principal>, Error> {
        match self.verify_access(token) {
            // Boxed: the way of nearly every request must not carry the room for this.
            Err(refusal @ (Refusal::UserUnknown | Refusal::WorkspaceLeft)) => {
                Box::pin(self.load_and_verify_access(token, refusal)).await
            }
            judged => Ok(judged?),
        }
    }

    async fn load_and_verify_access(
        &self,
        token: &str,
        refusal: Refusal,
    ) -> Result<Arc<Principal>, Error> {
        let claims = self.open_token(token, TokenKind::Access)?;
        let mut learned = false;
        if self.standing.account(claims.subject).is_none() {
            learned = self.store.load_missing(Missing::Account(claims.subject)).await?;
        }
        if let Some(workspace) = claims.workspace
            && self.standing.membership(workspace, claims.subject).is_none()
        {
            learned |= self.store.load_missing(Missing::Member(workspace, claims.subject)).await?;
        }
        if learned { Ok(self.verify_access(token)?) } else { Err(refusal.into()) }
    }

    /// As [`Core::verify_key`].
    ///
    /// # Errors
    /// Why the key is refused, or that the store that may know more cannot be asked.
    pub async fn verify_or_load_key(&self, text: &str) -> Result<Principal, Error> {
        match self.verify_key(text) {
            Err(Refusal::KeyUnknown) => {
                let digest = self.signer.digest(text.as_bytes());
                if Box::pin(self.store.load_missing(Missing::Key(digest))).await? {
                    Ok(self.verify_key(text)?)
                } else {
                    Err(Refusal::KeyUnknown.into())
                }
            }
            judged => Ok(judged?),
        }
    }

    /// An account that something we have signed or kept speaks of.
    pub(super) async fn present_account(&self, id: AccountId) -> Result<Arc<Account>, Error> {
        match self.standing.enabled_account(id) {
            Err(Refusal::UserUnknown) if self.store.load_missing(Missing::Account(id)).await? => {
                Ok(self.standing.enabled_account(id)?)
            }
            found => Ok(found?),
        }
    }
}
