//! Judging an access token on every request: from memory alone, and cheaply.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use moka::sync::Cache;

use super::Core;
use super::error::{Refusal, StoreError};
use super::principal::{Principal, Proof};
use super::standing::SessionUse;
use super::time::{Seconds, Timestamp};
use super::token::{Claims, TokenKind};

/// Longer texts are none of ours.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
const CACHE_ENTRIES: u64 = 100_000;

/// Tokens whose signature was checked before, by SHA-256 of their text. An entry
/// saves the HMAC and the parsing, never a decision: times are judged at every
/// use, standing whenever anything in it has changed since.
pub(super) struct VerifiedTokens {
    entries: Cache<[u8; 32], Arc<Verified>>,
}

struct Verified {
    claims: Claims,
    /// The generation of `Standing` that `principal` was judged under.
    generation: AtomicU64,
    principal: ArcSwap<Principal>,
    /// Here, so that a request notes the use of its session without a lookup.
    used: Arc<SessionUse>,
}

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        Self { entries: Cache::builder().max_capacity(CACHE_ENTRIES).build() }
    }
}

impl Core {
    /// Judges the access token of a request (S1-03, S1-14, S1-17).
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify_access(&self, token: &str) -> Result<Arc<Principal>, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TokenMalformed);
        }
        let now = self.clock.now();
        let digest = self.signer.digest(token.as_bytes());
        // Read before judging: a change that lands meanwhile makes the next use judge again.
        let generation = self.standing.generation();
        if let Some(known) = self.verified.entries.get(&digest) {
            check_times(&known.claims, now, self.policy.clock_skew).inspect_err(|_| {
                self.verified.entries.invalidate(&digest);
            })?;
            if known.generation.load(Ordering::Acquire) != generation {
                let principal = self.verify_claims(&known.claims)?;
                known.principal.store(Arc::new(principal));
                known.generation.store(generation, Ordering::Release);
            }
            known.used.note(now);
            return Ok(known.principal.load_full());
        }
        let claims = self.open_token(token, TokenKind::Access)?;
        let principal = Arc::new(self.verify_claims(&claims)?);
        let used = self.standing.session_uses().of(claims.session);
        used.note(now);
        let verified = Verified {
            claims,
            generation: AtomicU64::new(generation),
            principal: ArcSwap::new(Arc::clone(&principal)),
            used,
        };
        self.verified.entries.insert(digest, Arc::new(verified));
        Ok(principal)
    }

    /// Saves when sessions were last used. For housekeeping, not for requests.
    ///
    /// # Errors
    /// When the store fails; what was not saved is tried again the next time.
    pub async fn save_session_uses(&self) -> Result<(), StoreError> {
        let uses = self.standing.session_uses().take();
        if uses.is_empty() {
            return Ok(());
        }
        let saved = self.store.record_session_uses(uses.clone()).await;
        if saved.is_err() {
            self.standing.session_uses().give_back(uses);
        }
        saved
    }

    /// Whether a text may be a token of ours, good or not, and not another issuer's.
    #[must_use]
    pub fn may_be_token(&self, text: &str) -> bool {
        self.signer.may_be_from(&self.policy.issuer, text)
    }

    /// Signature, issuer, kind and times of a token of ours.
    pub(super) fn open_token(&self, token: &str, kind: TokenKind) -> Result<Claims, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TokenMalformed);
        }
        let claims = self.signer.open(token)?;
        if claims.issuer != self.policy.issuer || claims.audience != self.policy.audience {
            return Err(Refusal::TokenIssuer);
        }
        if claims.kind != kind {
            return Err(Refusal::TokenKind);
        }
        check_times(&claims, self.clock.now(), self.policy.clock_skew)?;
        Ok(claims)
    }

    /// What memory says about a well-formed token: not revoked, its session not
    /// ended, its account enabled. Roles are the account's present ones.
    fn verify_claims(&self, claims: &Claims) -> Result<Principal, Refusal> {
        let account = self.standing.holder(claims.subject, claims.id, claims.session)?;
        let proof = Proof::AccessToken {
            token: claims.id,
            session: claims.session,
            expires: Timestamp::from_seconds(claims.expires_at),
        };
        // Membership is looked up now, whatever the token was issued for.
        let workspace = claims
            .workspace
            .map(|id| self.standing.membership(id, account.id).ok_or(Refusal::WorkspaceLeft))
            .transpose()?;
        Ok(Principal { account, proof, workspace })
    }
}

/// `skew` is what the clocks of gateways that share a store may differ; a token of our
/// own clock gets none. No token lives longer for it.
fn check_times(claims: &Claims, now: Timestamp, skew: Seconds) -> Result<(), Refusal> {
    let now = now.seconds();
    let latest = now.saturating_add(skew.0);
    if claims.expires_at <= now {
        Err(Refusal::TokenExpired)
    } else if claims.not_before > latest || claims.issued_at > latest {
        Err(Refusal::TokenNotYetValid)
    } else {
        Ok(())
    }
}
