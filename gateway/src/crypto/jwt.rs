//! Our own tokens: HS256 under a header text that never varies.
//!
//! `jsonwebtoken` does the signing and checking. The header is compared as text
//! before anything else, because the crate writes `typ` first and accepts an
//! unknown `crit`: with one exact header there is no algorithm to choose, no
//! `kid` to follow and nothing critical to ignore (RFC 8725 3.1).

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::account::AccountId;
use crate::auth::error::Refusal;
use crate::auth::ports::TokenSigner;
use crate::auth::secret::Secret;
use crate::auth::token::{Claims, SessionId, TokenId, TokenKind};
use crate::auth::workspace::WorkspaceId;

/// `{"alg":"HS256","typ":"JWT"}` (S3-05, C15).
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// A secret for HS256 has at least as many bits as the digest (RFC 7518 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// Signs with the current secret; opens with it or the previous one, and seals likewise.
pub struct Hs256Signer {
    sign: EncodingKey,
    open: Vec<DecodingKey>,
    /// The same two, for what is kept beside tokens.
    secret: hmac::Key,
    previous: Option<hmac::Key>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret key has {0} bytes; at least {MIN_SECRET_BYTES} are needed")]
pub struct SecretTooShort(pub usize);

/// The claims as JSON, in this order. Unknown members are passed over so that a
/// newer version's tokens can be read; duplicate members are an error.
#[derive(Serialize, Deserialize)]
struct WireClaims<'a> {
    sub: Uuid,
    #[serde(rename = "type")]
    kind: WireKind,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: Uuid,
    sid: Uuid,
    #[serde(borrow)]
    iss: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    aud: std::borrow::Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    role: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspace: Option<Uuid>,
}

/// Of a token that may be anybody's.
#[derive(Deserialize)]
struct WireIssuer<'a> {
    #[serde(borrow, default)]
    iss: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum WireKind {
    Access,
    Refresh,
    Renewal,
}

impl Hs256Signer {
    /// # Errors
    /// When a secret is shorter than [`MIN_SECRET_BYTES`].
    pub fn new(current: &Secret, previous: Option<&Secret>) -> Result<Self, SecretTooShort> {
        let check = |secret: &Secret| {
            let length = secret.expose().len();
            if length < MIN_SECRET_BYTES { Err(SecretTooShort(length)) } else { Ok(()) }
        };
        check(current)?;
        previous.map_or(Ok(()), check)?;
        let all = std::iter::once(current).chain(previous);
        let key = |secret: &Secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Ok(Self {
            sign: EncodingKey::from_secret(current.expose().as_bytes()),
            open: all.map(|secret| DecodingKey::from_secret(secret.expose().as_bytes())).collect(),
            secret: key(current),
            previous: previous.map(key),
        })
    }

    /// The secret signs texts that begin `eyJ`, which no purpose does: what is sealed and
    /// what is signed never stand for one another.
    fn seal_by(&self, secret: &hmac::Key, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::sign(secret, format!("portcullis: {purpose}").as_bytes());
        let mut derived = [0; 32];
        derived.copy_from_slice(key.as_ref());
        self.keyed_digest(&derived, parts)
    }
}

impl TokenSigner for Hs256Signer {
    fn sign(&self, claims: &Claims) -> String {
        let wire = WireClaims {
            sub: claims.subject.0,
            kind: match claims.kind {
                TokenKind::Access => WireKind::Access,
                TokenKind::Refresh => WireKind::Refresh,
                TokenKind::Renewal => WireKind::Renewal,
            },
            iat: claims.issued_at,
            nbf: claims.not_before,
            exp: claims.expires_at,
            jti: claims.id.0,
            sid: claims.session.0,
            iss: claims.issuer.as_str().into(),
            aud: claims.audience.as_str().into(),
            role: claims.role.as_deref().map(Into::into),
            workspace: claims.workspace.map(|workspace| workspace.0),
        };
        let payload =
            serde_json::to_vec(&wire).expect("claims of plain text and numbers serialize");
        let mut token = String::with_capacity(HEADER.len() + payload.len() * 4 / 3 + 48);
        token.push_str(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = jsonwebtoken::crypto::sign(token.as_bytes(), &self.sign, Algorithm::HS256)
            .expect("HS256 signs under any key");
        token.push('.');
        token.push_str(&signature);
        token
    }

    fn open(&self, token: &str) -> Result<Claims, Refusal> {
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::TokenMalformed)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::TokenMalformed)?;
        if header != HEADER || payload.contains('.') {
            return Err(Refusal::TokenMalformed);
        }
        let genuine = self.open.iter().any(|key| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, Algorithm::HS256)
                .unwrap_or(false)
        });
        if !genuine {
            return Err(Refusal::TokenSignature);
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refusal::TokenMalformed)?;
        if !payload.starts_with(b"{") {
            // serde takes a list for an object's members in their order.
            return Err(Refusal::TokenMalformed);
        }
        let wire: WireClaims<'_> =
            serde_json::from_slice(&payload).map_err(|_| Refusal::TokenMalformed)?;
        Ok(Claims {
            subject: AccountId(wire.sub),
            kind: match wire.kind {
                WireKind::Access => TokenKind::Access,
                WireKind::Refresh => TokenKind::Refresh,
                WireKind::Renewal => TokenKind::Renewal,
            },
            issued_at: wire.iat,
            not_before: wire.nbf,
            expires_at: wire.exp,
            id: TokenId(wire.jti),
            session: SessionId(wire.sid),
            issuer: wire.iss.into_owned(),
            audience: wire.aud.into_owned(),
            role: wire.role.map(std::borrow::Cow::into_owned),
            workspace: wire.workspace.map(WorkspaceId),
        })
    }

    fn may_be_from(&self, issuer: &str, token: &str) -> bool {
        let Some(rest) = token.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('.')) else {
            return false;
        };
        let payload = rest.split('.').next().unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).ok();
        let named = payload
            .as_deref()
            .and_then(|payload| serde_json::from_slice::<WireIssuer<'_>>(payload).ok());
        // What does not read may be ours, cut or mistyped. Ours all name an issuer.
        named.is_none_or(|named| named.iss.is_some_and(|named| named == issuer))
    }

    fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        out
    }

    fn keyed_digest(&self, key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }

    fn seal(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.seal_by(&self.secret, purpose, parts)
    }

    fn is_seal(&self, seal: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> bool {
        // Both, whichever it is.
        std::iter::once(&self.secret).chain(&self.previous).fold(false, |found, secret| {
            let sealed = self.seal_by(secret, purpose, parts);
            found | constant_time::verify_slices_are_equal(&sealed, seal).is_ok()
        })
    }
}

#[cfg(test)]
mod tests;
