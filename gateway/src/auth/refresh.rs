//! Redeeming a refresh token.

use std::sync::Arc;

use super::Core;
use super::account::Account;
use super::error::{Error, Refusal};
use super::login::TokenPair;
use super::ports::{Rotated, Rotation, RotationMode};
use super::time::{Seconds, Timestamp};
use super::token::{Session, TokenId, TokenKind};

/// How the contract in use renews.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    pub access_ttl: Seconds,
    /// Whether the answer can carry a successor and the operator wants one (C6).
    pub rotate: bool,
}

impl Core {
    /// Exchanges a refresh token for a fresh access token, and where the
    /// contract rotates for a successor of itself (S1-15, C6).
    ///
    /// # Errors
    /// When the token is refused or a port fails.
    pub async fn refresh(&self, token: &str, renewal: Renewal) -> Result<TokenPair, Error> {
        let claims = self.open_token(token, TokenKind::Refresh)?;
        let account = self.standing.enabled_account(claims.subject)?;
        let refresh = if renewal.rotate { TokenId(self.new_uuid()) } else { claims.id };
        let successor = self.mint(refresh, renewal.access_ttl);
        let mode = if renewal.rotate {
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
                let session = Session {
                    id: claims.session,
                    account: account.id,
                    created: Timestamp::default(),
                    expires: Timestamp::default(),
                    current: minted,
                    replaced: None,
                };
                let mut pair = self.sign_pair(&session, minted);
                if !renewal.rotate {
                    // The very token that was presented: its lifetime is not renewed.
                    pair.refresh = token.into();
                }
                Ok(pair)
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
