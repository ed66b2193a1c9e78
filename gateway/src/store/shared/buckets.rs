//! The buckets of addresses that all replicas have in common.

use async_trait::async_trait;

use crate::auth::bucket::BucketLimit;
use crate::auth::error::StoreError;
use crate::auth::ports::{Buckets, Exchange, Share, Usage};

use super::Engine;
use super::link::accepted;

pub(super) const SCRIPT: &str = include_str!("buckets.lua");

/// How long a replica counts as alive after its last report. Longer than a server is
/// away that restarts: who comes back first must not take itself for the only one.
const ALIVE_SECONDS: u32 = 10;

#[async_trait]
impl Buckets for Engine {
    async fn exchange(&self, limit: BucketLimit, spent: &[Usage]) -> Result<Exchange, StoreError> {
        let mut keys = vec![self.names.replicas()];
        keys.extend(spent.iter().map(|spent| self.names.bucket(spent.source)));
        let mut command = self.invoke(&self.buckets, &keys);
        command.arg(&self.replica).arg(ALIVE_SECONDS).arg(limit.per_second).arg(limit.burst);
        for Usage { tokens, age, counted_in, .. } in spent {
            let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
            command.arg(tokens).arg(age).arg(counted_in);
        }
        let mut answers = self.script(&self.buckets, &command, None).await?.into_iter();
        let numbers: Vec<i64> =
            redis::from_redis_value(accepted(answers.next())?).map_err(|_| {
                StoreError::Unavailable("unexpected reply from Redis to a report".into())
            })?;
        read(&numbers, spent.len())
    }
}

/// The second and the replicas alive; level in millionths, allowance and what of it is
/// reserved for each address.
fn read(numbers: &[i64], addresses: usize) -> Result<Exchange, StoreError> {
    let parse = || {
        let (&[second, replicas], shares) = numbers.split_first_chunk()?;
        let share = |numbers: &[i64]| {
            let &[level, allowance, reserved] = numbers else { return None };
            // The script keeps it within a minute's tokens and the burst.
            #[expect(clippy::cast_precision_loss, reason = "of a millionth of a token")]
            let level = level as f64 / 1e6;
            let (allowance, reserved) = (allowance.try_into().ok()?, reserved.try_into().ok()?);
            Some(Share { level, allowance, reserved })
        };
        let shares: Vec<Share> = shares.chunks(3).map(share).collect::<Option<_>>()?;
        let (second, replicas) = (second.try_into().ok()?, replicas.try_into().ok()?);
        (shares.len() == addresses).then_some(Exchange { shares, second, replicas })
    };
    parse().ok_or_else(|| StoreError::Unavailable("unexpected count from Redis".to_owned()))
}

#[cfg(test)]
mod tests;
