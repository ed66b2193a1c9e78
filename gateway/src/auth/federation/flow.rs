//! A sign-in that takes a browser to the service and back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::Core;
use crate::auth::error::Error;
use crate::auth::secret::Secret;

/// What is remembered of a sign-in that began here until the browser comes back.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Comes back with the browser (RFC 6749 10.12).
    pub state: Secret,
    /// Goes with the code, and nowhere else (RFC 7636).
    pub verifier: Secret,
}

impl Core {
    /// Begins a sign-in that a browser takes to GitHub and back to `redirect`: what to
    /// remember, and where to send it.
    ///
    /// # Errors
    /// When GitHub is not configured.
    pub fn begin_github(&self, redirect: &str) -> Result<(Flow, String), Error> {
        let provider = self.github.as_ref().ok_or(Error::NotFederated)?;
        let entropy = self.entropy.as_ref();
        let state = Secret::random_hex::<32>(entropy);
        let verifier = Secret::random_hex::<32>(entropy);
        let challenge = self.signer.digest(verifier.expose().as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let url = provider.authorize_url(state.expose(), &challenge, redirect);
        Ok((Flow { state, verifier }, url))
    }

    /// Whether the browser that came back is the one that was sent away. Compared are
    /// digests, so that time tells nothing.
    #[must_use]
    pub fn is_same_flow(&self, flow: &Flow, state: &Secret) -> bool {
        let digest = |text: &Secret| self.signer.digest(text.expose().as_bytes());
        digest(&flow.state) == digest(state)
    }
}
