//! Redeeming a refresh token.

use std::sync::Arc;

use super::Core;
use super::account::Account;
use super::error::{Error, Refusal};
use super::login::{Issuance, TokenPair};
use super::ports::{Rotated, Rotation, RotationMode};
use super::token::{TokenId, TokenKind};

impl Core {
    /// Exchanges a refresh token for a fresh access token, and where the
    /// contract rotates for a successor of itself (S1-15, C6).
    ///
    /// # Errors
    /// When the token is refused or a port fails.
    pub async fn refresh(
        &self,
        token: &str,
        issuance: Issuance,
    ) -> Result<(Arc<Account>, TokenPair), Error> {
        let claims = self.open_token(token, TokenKind::Refresh)?;
        let account = self.present_account(claims.subject).await?;
        // What ended here while the store was away has not ended there yet.
        self.standing.check_token(claims.id, claims.session)?;
        if account.has_ended(claims.session) {
            return Err(Refusal::SessionEnded.into());
        }
        let refresh = if issuance.rotate { TokenId(self.new_uuid()) } else { claims.id };
        let successor = self.mint(refresh, issuance.access_ttl);
        let mode = if issuance.rotate {
            RotationMode::Rotate { grace: self.policy.refresh_grace }
        } else {
            RotationMode::Keep
        };
        let rotation = Rotation {
            session: claims.session,
            presented: claims.id,
            successor,
            now: successor.issued_at,
            mode,
        };
        match self.store.rotate(rotation).await? {
            Rotated::Pair(minted) => {
                self.standing.session_uses().of(claims.session).note(successor.issued_at);
                let mut pair = self.sign_pair(&account, claims.session, minted, issuance);
                if !issuance.rotate {
                    // The very token that was presented: its lifetime is not renewed.
                    pair.refresh = token.into();
                }
                Ok((account, pair))
            }
            Rotated::FamilyEnded => Err(Refusal::RefreshReused.into()),
            Rotated::Unknown => Err(Refusal::SessionEnded.into()),
        }
    }

    /// Whose token this is by its signature, good or not: for the audit log.
    #[must_use]
    pub fn owner_of(&self, token: &str) -> Option<Arc<Account>> {
        self.standing.account(self.signer.open(token).ok()?.subject)
    }
}
