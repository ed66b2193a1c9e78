//! Failed attempts, counted over all replicas; while the server cannot be asked, here.

use async_trait::async_trait;

use crate::auth::error::{StoreError, Verdict};
use crate::auth::ports::{Attempts, Counted, Failure, FailureCount, FailureLimit};
use crate::auth::source::Source;
use crate::auth::time::Timestamp;
use crate::store::failures::MAX_USERS;
use crate::store::replica::change::{Change, parse_source};

use super::link::accepted;
use super::transaction::Transaction;
use super::{Engine, SharedStore};

pub(super) const SCRIPT: &str = include_str!("failures.lua");

/// Addresses listed at once.
const MAX_LISTED: usize = 100_000;

#[async_trait]
impl Attempts for SharedStore {
    async fn count_failure(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        self.engine.count_failure(failure, limit, now).await
    }

    async fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        self.engine.count_registration(source, limit, now).await
    }

    async fn list_failures(&self, now: Timestamp) -> Result<Vec<FailureCount>, StoreError> {
        self.engine.list_failures(now).await
    }

    async fn forgive(&self, source: Source) -> Result<bool, StoreError> {
        self.engine.forgive(source).await
    }
}

impl Engine {
    pub(super) async fn count_failure(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        match self.count_shared(failure, limit, now).await {
            // Guessing must not become free while the server is away.
            Err(StoreError::Unavailable(_) | StoreError::Busy) => {
                Ok(self.failures.count(failure, limit, now, self.standing()))
            }
            counted => counted,
        }
    }

    /// Not counted here while the server is away: then nobody can register.
    pub(super) async fn count_registration(
        &self,
        source: Source,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        let mut command = self.invoke(&self.count, &[self.names.registrations_of(source)]);
        command.arg(source.address().to_string()).arg(limit.attempts);
        command.arg(limit.window.millis()).arg(now.0);
        let mut answers = self.script(&self.count, &command, None).await?.into_iter();
        let (over, ends): (u8, u64) = redis::from_redis_value(accepted(answers.next())?)
            .map_err(|_| StoreError::Unavailable("unexpected count from Redis".to_owned()))?;
        Ok(if over == 1 { Verdict::LockedOut(Timestamp(ends)) } else { Verdict::Allowed })
    }

    async fn count_shared(
        &self,
        failure: Failure,
        limit: FailureLimit,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        let (names, source) = (&self.names, failure.source);
        let keys = [
            names.failure(source),
            names.failures(),
            names.lockouts(),
            names.changes(),
            names.guessed(),
            names.guessed_ends(),
            names.slowed(),
        ];
        let mut command = self.invoke(&self.count, &keys);
        command.arg(source.address().to_string()).arg(limit.attempts);
        command.arg(limit.window.millis()).arg(now.0);
        command.arg(failure.user.map(|user| user.0.to_string()).unwrap_or_default());
        command.arg(limit.user_attempts).arg(MAX_USERS);
        let mut answers = self.script(&self.count, &command, None).await?.into_iter();
        let (locked, ends, slowed, slowed_until): (u8, u64, u8, u64) =
            redis::from_redis_value(accepted(answers.next())?)
                .map_err(|_| StoreError::Unavailable("unexpected count from Redis".to_owned()))?;
        let (ends, slowed_until) = (Timestamp(ends), Timestamp(slowed_until));
        let address = if locked == 1 { Verdict::LockedOut(ends) } else { Verdict::Allowed };
        if locked == 1 {
            self.standing().lock_out(source, ends);
        }
        if let Some(user) = failure.user.filter(|_| slowed > 0) {
            self.standing().slow_down(user, slowed_until);
        }
        Ok(Counted { address, slowed: (slowed == 2).then_some(slowed_until) })
    }

    pub(super) async fn list_failures(
        &self,
        now: Timestamp,
    ) -> Result<Vec<FailureCount>, StoreError> {
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(self.names.failures()).arg(now.0 + 1).arg("+inf").arg("WITHSCORES");
        range.arg("LIMIT").arg(0).arg(MAX_LISTED);
        let listed: Vec<(String, u64)> = self.query(&range).await?;
        let mut counts = Vec::with_capacity(listed.len());
        for page in listed.chunks(500) {
            let mut wanted = Vec::with_capacity(page.len());
            for (address, _) in page {
                let key = self.names.failure(parse_source(address)?);
                wanted.push((key, Some("count".to_owned())));
            }
            let (_, found) = self.read_snapshot(&wanted).await?;
            for ((address, ends), count) in page.iter().zip(found) {
                // It may have gone meanwhile.
                let Some(count) = count else { continue };
                let count = std::str::from_utf8(&count).ok().and_then(|text| text.parse().ok());
                counts.push(FailureCount {
                    source: parse_source(address)?,
                    failures: count.unwrap_or(0),
                    ends: Timestamp(*ends),
                });
            }
        }
        Ok(counts)
    }

    pub(super) async fn forgive(&self, source: Source) -> Result<bool, StoreError> {
        self.failures.forgive(source);
        let address = source.address().to_string();
        let mut exists = redis::cmd("EXISTS");
        exists.arg(self.names.failure(source));
        let known: u8 = self.query(&exists).await?;
        let mut transaction = Transaction::new(self);
        transaction.delete(self.names.failure(source));
        transaction.run("ZREM", self.names.failures(), [address.clone().into_bytes()]);
        transaction.run("ZREM", self.names.lockouts(), [address.clone().into_bytes()]);
        transaction.publish(Change::Forgiven(address));
        self.commit(transaction).await?;
        Ok(known > 0)
    }
}
