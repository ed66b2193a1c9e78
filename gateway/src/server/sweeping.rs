//! Removing what has expired, by time that has surely passed.

use std::time::Duration;

use crate::auth::ports::Store;
use crate::auth::time::{Passed, PassedTime, Timestamp};

pub(super) struct Sweeping(PassedTime);

impl Sweeping {
    pub(super) fn begin(now: Timestamp, elapsed: Duration) -> Self {
        Self(PassedTime::from(now, elapsed))
    }

    /// Looks at both clocks, and removes what has expired by them.
    pub(super) async fn sweep(&mut self, store: &dyn Store, now: Timestamp, elapsed: Duration) {
        let Passed { past, jumped } = self.0.look(now, elapsed);
        if let Some(jumped) = jumped {
            tracing::warn!(
                seconds = jumped.as_secs(),
                "wall clock jumped: expired revocations and sessions are removed by elapsed time \
                 until the clock has been steady for a day"
            );
        }
        match store.sweep(now, past).await {
            Ok(0) => {}
            Ok(records) => tracing::debug!(records, "expired records removed"),
            Err(error) => tracing::warn!(%error, "expired records not removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::auth::ports::{Attempts as _, Failure, FailureLimit, Sessions as _};
    use crate::auth::source::Source;
    use crate::auth::standing::{Sizes, Standing};
    use crate::auth::time::Seconds;
    use crate::auth::token::TokenId;
    use crate::store::in_memory::InMemoryStore;

    const START: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR: u64 = 3_600;

    #[tokio::test]
    async fn under_a_clock_that_jumped_only_what_has_passed_is_forgotten() {
        let standing = Arc::new(Standing::default());
        let week = Seconds(168 * HOUR);
        let store = InMemoryStore::new(Arc::clone(&standing), week);
        let after = |seconds| START.plus(Seconds(seconds));
        store.revoke_token(TokenId(Uuid::nil()), after(HOUR)).await.unwrap();
        let limit = FailureLimit { attempts: 1, user_attempts: 9, window: Seconds(300) };
        let failure = Failure { source: Source::V4(1), user: None };
        store.count_failure(failure, limit, START).await.unwrap();
        let kept = || {
            let Sizes { revoked, lockouts, .. } = standing.sizes();
            (revoked, lockouts)
        };
        let mut sweeping = Sweeping::begin(START, Duration::ZERO);
        let mut sweep = async |hours: u64, ahead: u64| {
            let (now, elapsed) = (after((hours + ahead) * HOUR), Duration::from_secs(hours * HOUR));
            sweeping.sweep(&store, now, elapsed).await;
        };
        assert_eq!(kept(), (1, 1));
        for hours in 1..=20 {
            sweep(hours, 72).await;
            assert_eq!(kept(), (1, 0), "its window is over by any clock");
        }
        sweep(24, 0).await;
        assert_eq!(kept(), (1, 0), "a day more than it lived");
        sweep(26, 0).await;
        assert_eq!(kept(), (0, 0));
    }
}
