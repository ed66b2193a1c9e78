//! HTTP Basic (RFC 7617): `base64(user ":" password)`. Clients that know nothing else send
//! an API key as the password, under any user name (twine, pip, git, container clients), or
//! as the user name beside an empty password (`curl -u KEY:`).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::Core;
use crate::auth::error::Refusal;
use crate::auth::principal::{Principal, Scheme};
use crate::auth::secret::Secret;
use crate::pipeline::reason::{Reason, Rejection, Tried};
use crate::pipeline::throttle::{Caller, Throttle};

use super::api_key;
use super::own::Own;

pub(super) async fn authenticate(
    core: &Arc<Core>,
    throttle: &Arc<Throttle>,
    caller: &Caller,
    encoded: &str,
) -> Result<Principal, Rejection> {
    let credential = decode(encoded);
    // Told by its form: it is no guess at a password, and costs no hash.
    if let Some(key) = credential.as_ref().and_then(|pair| key_in(core.as_ref(), pair)) {
        return api_key::authenticate(core, throttle, caller, key).await;
    }
    throttle.check(caller.source)?;
    if let Some((name, password)) = &credential {
        // The common case: verified lately, no turn and no hash needed.
        if let Some(principal) = core.cached_basic(name, password.expose()) {
            return Ok(principal);
        }
        // A tab that has not heard of a new password: no guess, and no turn to wait for.
        // That it is told so quickly, without a hash, tells who has the former password
        // what it was.
        if core.is_former_basic(name, password.expose()) {
            let refusal = Refusal::PasswordFormer;
            return Err(Reason::CredentialRefused(Scheme::Basic, refusal).into());
        }
    }
    let name = credential.as_ref().map(|(name, _)| name.clone());
    let (core, from) = (Arc::clone(core), caller.source);
    let verify = async move {
        let (name, password) = credential.ok_or(Refusal::CredentialMalformed)?;
        let principal = core.verify_basic(&name, &password, from).await?;
        core.record_success(&principal.account, from).await;
        Ok(principal)
    };
    throttle.attempt(caller, name.as_deref(), Tried::Credential(Scheme::Basic), verify).await
}

/// Whether an API key stands in it.
pub(super) fn holds_key(own: &impl Own, encoded: &str) -> bool {
    decode(encoded).is_some_and(|pair| key_in(own, &pair).is_some())
}

/// The API key among name and password, told by its form and checksum: the password, or
/// the name where there is none.
pub fn key_in<'a>(own: &impl Own, (name, password): &'a (String, Secret)) -> Option<&'a str> {
    let password = password.expose();
    let text = if password.is_empty() { name } else { password };
    own.is_key(text).then_some(text)
}

/// The name ends at the first colon; a password may hold more of them.
#[must_use]
pub fn decode(encoded: &str) -> Option<(String, Secret)> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.into()))
}
