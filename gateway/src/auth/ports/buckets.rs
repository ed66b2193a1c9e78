//! Rate limits that replicas share.

use std::time::Duration;

use async_trait::async_trait;

use crate::auth::bucket::BucketLimit;
use crate::auth::error::StoreError;
use crate::auth::source::Source;

/// What a replica has let through of an address since its last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub source: Source,
    /// Below zero what was reserved for it and not used.
    pub tokens: i32,
    /// How long ago it began to.
    pub age: Duration,
    /// The [`ReportAnswer::second`] of its last report on this address.
    pub counted_in: u64,
}

/// What a replica may let through of an address until its next report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// What is in the bucket; a debt is below zero.
    pub level: f64,
    pub tokens: u32,
    /// How much of it is out of the bucket already.
    pub reserved: u32,
}

/// The answer to a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportAnswer {
    /// In the order of the report.
    pub allowances: Vec<Allowance>,
    /// The engine's present second, by which it counts who is active.
    pub second: u64,
    /// How many replicas are alive.
    pub replicas: u32,
}

/// The buckets that replicas have in common. Not on the way of a request.
#[async_trait]
pub trait Buckets: Send + Sync {
    /// Books what was spent and says what may be spent next, and that this replica lives;
    /// with nothing spent, only that. What fails may have been booked all the same.
    async fn report(&self, limit: BucketLimit, usage: &[Usage])
    -> Result<ReportAnswer, StoreError>;
}
