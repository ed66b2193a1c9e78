//! Failed attempts. In memory only: whoever could restart the gateway to forget failures
//! needs no password guessing.

use async_trait::async_trait;

use crate::auth::error::{StoreError, Verdict};
use crate::auth::ports::{Attempts, Counted, Failure, FailureCount, FailureLimit};
use crate::auth::source::Source;
use crate::auth::time::Timestamp;

use super::EmbeddedStore;

#[async_trait]
impl Attempts for EmbeddedStore {
    async fn count_failure(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        Ok(self.failures.count(failure, limit, now, &self.standing))
    }

    async fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        Ok(self.failures.count_registration(source, limit, now))
    }

    async fn list_failures(&self, now: Timestamp) -> Result<Vec<FailureCount>, StoreError> {
        Ok(self.failures.list(now))
    }

    async fn forgive(&self, source: Source) -> Result<bool, StoreError> {
        self.standing.unlock(source);
        Ok(self.failures.forgive(source))
    }
}
