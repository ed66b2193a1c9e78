//! The buckets of addresses that all replicas have in common.

use async_trait::async_trait;

use crate::auth::bucket::BucketLimit;
use crate::auth::error::StoreError;
use crate::auth::ports::{Allowance, Buckets, ReportAnswer, Usage};

use super::Engine;
use super::link::accepted;

pub(super) const SCRIPT: &str = include_str!("buckets.lua");

/// How long a replica counts as alive after its last report. Longer than a server is
/// away that restarts: who comes back first must not take itself for the only one.
const ALIVE_SECONDS: u32 = 10;

#[async_trait]
impl Buckets for Engine {
    async fn report(
        &self,
        limit: BucketLimit,
        usage: &[Usage],
    ) -> Result<ReportAnswer, StoreError> {
        let mut keys = vec![self.names.replicas()];
        keys.extend(usage.iter().map(|usage| self.names.bucket(usage.source)));
        let mut command = self.invoke(&self.buckets, &keys);
        command.arg(&self.replica).arg(ALIVE_SECONDS).arg(limit.per_second).arg(limit.burst);
        for Usage { tokens, age, counted_in, .. } in usage {
            let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
            command.arg(tokens).arg(age).arg(counted_in);
        }
        let mut answers = self.script(&self.buckets, &command, None).await?.into_iter();
        let numbers: Vec<i64> =
            redis::from_redis_value(accepted(answers.next())?).map_err(|_| {
                StoreError::Unavailable("unexpected reply from Redis to a report".into())
            })?;
        read(&numbers, usage.len())
    }
}

/// The second and the replicas alive; level in millionths, tokens allowed and what of them is
/// reserved for each address.
fn read(numbers: &[i64], addresses: usize) -> Result<ReportAnswer, StoreError> {
    let parse = || {
        let (&[second, replicas], rest) = numbers.split_first_chunk()?;
        let allowance = |numbers: &[i64]| {
            let &[level, tokens, reserved] = numbers else { return None };
            // The script keeps it within a minute's tokens and the burst.
            #[expect(clippy::cast_precision_loss, reason = "of a millionth of a token")]
            let level = level as f64 / 1e6;
            let (tokens, reserved) = (tokens.try_into().ok()?, reserved.try_into().ok()?);
            Some(Allowance { level, tokens, reserved })
        };
        let allowances: Vec<Allowance> = rest.chunks(3).map(allowance).collect::<Option<_>>()?;
        let (second, replicas) = (second.try_into().ok()?, replicas.try_into().ok()?);
        (allowances.len() == addresses).then_some(ReportAnswer { allowances, second, replicas })
    };
    parse().ok_or_else(|| StoreError::Unavailable("unexpected count from Redis".to_owned()))
}

#[cfg(test)]
mod tests;
