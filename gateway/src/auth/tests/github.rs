//! Signing in with GitHub, as far as the core decides it.

use async_trait::async_trait;

use super::super::federation::{FederatedIdentity, FederationError, Grant, IdentityProvider};
use super::{Arc, Bench};

/// Vouches for nobody.
struct Closed;

#[async_trait]
impl IdentityProvider for Closed {
    fn client_id(&self) -> &'static str {
        "Iv1.0123456789abcdef"
    }

    fn is_restricted(&self) -> bool {
        true
    }

    fn authorize_url(&self, _: &str, _: &str, _: &str) -> String {
        String::new()
    }

    async fn exchange(&self, _: Grant) -> Result<FederatedIdentity, FederationError> {
        Err(FederationError::NotAllowed)
    }
}

#[tokio::test]
async fn github_is_offered_when_it_is_configured() {
    let mut bench = Bench::new().await;
    assert!(bench.core.github().is_none());
    bench.core.github = Some(Arc::new(Closed));
    let offered = bench.core.github().map(|provider| provider.client_id().to_owned());
    assert_eq!(offered.as_deref(), Some("Iv1.0123456789abcdef"));
}
