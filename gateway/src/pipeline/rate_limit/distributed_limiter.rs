//! This replica's part of the buckets that all replicas have in common.
//!
//! Each address has a copy of its shared bucket here, judged without asking anybody, and
//! an allowance, which keeps replicas from spending the same tokens. What was spent is
//! reported away from the request: soon when it is more than this replica's even share of
//! a burst, otherwise within half a second. While nobody answers, a request costs as many
//! tokens as there are replicas, so that together they stay within the limit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_queue::SegQueue;
use dashmap::DashMap;
use tokio::sync::Notify;

use crate::auth::bucket::{Bucket, BucketLimit, Micros, whole};
use crate::auth::ports::{Buckets, ReportAnswer, Usage};
use crate::auth::source::Source;

use super::{MAX_ADDRESSES, coarse};

/// Between two reports on one address.
pub const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// Until a report that is not urgent; also how often a replica says that it lives.
pub const IDLE_INTERVAL: Duration = Duration::from_millis(500);
/// How long an answer counts.
pub const STALE: Duration = Duration::from_secs(1);
/// What all replicas together let pass between two trips, and between two addresses that
/// are reported: 10,000 trips and 50,000 addresses a second leave the engine free.
const TRIP_SPACING: Duration = Duration::from_micros(100);
const ADDRESS_SPACING: Duration = Duration::from_micros(20);
/// Addresses in one report.
pub const REPORT_SIZE: usize = 500;

const NEVER: u64 = u64::MAX;

pub struct DistributedLimiter {
    limit: BucketLimit,
    known: DashMap<Source, Known>,
    /// What is to be reported, and when. A few entries for an address at most.
    due: SegQueue<(Micros, Source)>,
    urgent: Notify,
    /// When the engine last answered.
    answered_at: AtomicU64,
    replicas: AtomicU32,
    crowded: AtomicBool,
}

/// What is known of an address.
struct Known {
    bucket: Bucket,
    unreported: i32,
    /// When the first of them was spent.
    since: Micros,
    allowance: u32,
    reported: Option<Micros>,
    answered: Option<Micros>,
    /// The engine's second of the last answer.
    second: u64,
    due: Option<Micros>,
}

impl DistributedLimiter {
    #[must_use]
    pub fn new(limit: BucketLimit) -> Arc<Self> {
        Arc::new(Self {
            limit,
            known: DashMap::new(),
            due: SegQueue::new(),
            urgent: Notify::new(),
            answered_at: AtomicU64::new(NEVER),
            replicas: AtomicU32::new(1),
            crowded: AtomicBool::new(false),
        })
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there may be one.
    pub fn take(&self, source: Source, now: Micros) -> Result<(), Duration> {
        let key = if self.crowded.load(Ordering::Relaxed) { coarse(source) } else { source };
        let replicas = self.replicas.load(Ordering::Relaxed);
        let mut known = self.known.entry(key).or_insert_with(|| Known::new(self.limit, now));
        let known = &mut *known;
        known.bucket.refill(self.limit, now);
        if !self.is_attached(now) {
            let cost = f64::from(replicas.min(self.limit.burst));
            known.bucket.take(self.limit, cost)?;
            // What has come in again since it was spent is not owed to anybody.
            let owed = whole((f64::from(self.limit.burst) - known.bucket.level) / cost);
            let owed = i32::try_from(owed).unwrap_or(i32::MAX);
            known.spend(now);
            known.unreported = known.unreported.min(owed);
            self.schedule(known, key, now.plus(IDLE_INTERVAL), now);
            return Ok(());
        }
        let allotted = known.answered.is_some_and(|answered| now.since(answered) <= STALE);
        if allotted && known.allowance == 0 && known.bucket.level >= 1.0 {
            self.schedule(known, key, known.soon(now), now);
            return Err(REPORT_INTERVAL);
        }
        let was_full = known.bucket.is_full(self.limit);
        if let Err(wait) = known.bucket.take(self.limit, 1.0) {
            // So that its next token is allotted by then.
            self.schedule(known, key, known.soon(now).max(now.plus(wait)), now);
            return Err(wait);
        }
        known.spend(now);
        if allotted {
            known.allowance = known.allowance.saturating_sub(1);
        }
        // Below this all replicas together have kept back less than one burst.
        let spent = u32::try_from(known.unreported).unwrap_or(0);
        let few = spent.saturating_mul(replicas) < self.limit.burst;
        let due = if few && (allotted || was_full || known.due.is_some()) {
            now.plus(IDLE_INTERVAL)
        } else {
            known.soon(now)
        };
        self.schedule(known, key, due, now);
        Ok(())
    }

    /// Whether the engine has answered lately.
    #[must_use]
    pub fn is_attached(&self, now: Micros) -> bool {
        let answered_at = self.answered_at.load(Ordering::Relaxed);
        answered_at != NEVER && now.since(Micros(answered_at)) <= STALE
    }

    /// How many replicas were alive when that was last known.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed)
    }

    fn schedule(&self, known: &mut Known, source: Source, due: Micros, now: Micros) {
        if known.due.is_none_or(|known| known > due) {
            known.due = Some(due);
            self.due.push((due, source));
            if due < now.plus(IDLE_INTERVAL) {
                self.urgent.notify_one();
            }
        }
    }

    /// Learns what a report of the time `sent` was answered.
    pub fn apply_answer(&self, sent: Micros, now: Micros, report: &[Usage], answer: &ReportAnswer) {
        self.answered_at.store(now.0, Ordering::Relaxed);
        self.replicas.store(answer.replicas.max(1), Ordering::Relaxed);
        for (usage, allowance) in report.iter().zip(&answer.allowances) {
            let Some(mut known) = self.known.get_mut(&usage.source) else { continue };
            let since = known.unreported;
            known.bucket = Bucket { level: allowance.level - f64::from(since), at: sent };
            known.allowance = allowance.tokens.saturating_sub(u32::try_from(since).unwrap_or(0));
            let reserved = i32::try_from(allowance.reserved).unwrap_or(i32::MAX);
            known.unreported = since.saturating_sub(reserved);
            known.answered = Some(sent);
            known.second = answer.second;
        }
    }

    /// Keeps for a later report what could not be reported. If it was booked all the same
    /// it counts twice, not never.
    pub fn requeue(&self, report: &[Usage], now: Micros) {
        for usage in report {
            if let Some(mut known) = self.known.get_mut(&usage.source) {
                known.unreported = known.unreported.saturating_add(usage.tokens);
                self.schedule(&mut known, usage.source, now.plus(IDLE_INTERVAL), now);
            }
        }
    }

    /// Forgets full buckets with nothing to report.
    pub fn sweep(&self, now: Micros) {
        self.known.retain(|_, known| {
            known.bucket.refill(self.limit, now);
            known.due.is_some()
                || !known.bucket.is_full(self.limit)
                || known.reported.is_some_and(|reported| now.since(reported) <= STALE)
        });
        self.crowded.store(self.known.len() >= MAX_ADDRESSES, Ordering::Relaxed);
    }
}

impl Known {
    fn new(limit: BucketLimit, now: Micros) -> Self {
        Self {
            bucket: Bucket::full(limit, now),
            unreported: 0,
            since: now,
            allowance: 0,
            reported: None,
            answered: None,
            second: 0,
            due: None,
        }
    }

    fn spend(&mut self, now: Micros) {
        if self.unreported <= 0 {
            self.since = now;
        }
        self.unreported = self.unreported.saturating_add(1);
    }

    fn soon(&self, now: Micros) -> Micros {
        self.reported.map_or(now, |reported| reported.plus(REPORT_INTERVAL).max(now))
    }
}

/// What is to be reported, in order of time.
#[derive(Default)]
pub struct ReportQueue(BinaryHeap<Reverse<(Micros, Source)>>);

impl ReportQueue {
    /// What is due, to be sent now; nothing of it counts as unreported any more.
    pub fn take_due(&mut self, limiter: &DistributedLimiter, now: Micros) -> Vec<Usage> {
        while let Some(entry) = limiter.due.pop() {
            self.0.push(Reverse(entry));
        }
        let mut report = Vec::new();
        while let Some(Reverse((due, source))) = self.0.peek().copied()
            && due <= now
            && report.len() < REPORT_SIZE
        {
            self.0.pop();
            let Some(mut known) = limiter.known.get_mut(&source) else { continue };
            // Otherwise it was reported already, as more urgent than this entry says.
            if known.due == Some(due) {
                known.due = None;
                known.reported = Some(now);
                let tokens = std::mem::take(&mut known.unreported);
                let age = now.since(known.since).min(IDLE_INTERVAL);
                report.push(Usage { source, tokens, age, counted_in: known.second });
            }
        }
        report
    }

    /// When the next report is due.
    #[must_use]
    pub fn next(&self) -> Option<Micros> {
        self.0.peek().map(|Reverse((due, _))| *due)
    }
}

/// How long a replica pauses after a trip. What is due meanwhile goes together on the
/// next, an address once.
#[must_use]
pub fn pause_after(replicas: u32, addresses: usize) -> Duration {
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
    let all = TRIP_SPACING.saturating_add(ADDRESS_SPACING.saturating_mul(addresses));
    all.saturating_mul(replicas).min(IDLE_INTERVAL)
}

/// Now, as this process counts.
#[must_use]
pub fn micros(started: Instant) -> Micros {
    Micros(0).plus(started.elapsed())
}

/// Reports on and on. Moments count from `started`.
pub async fn run(limiter: Arc<DistributedLimiter>, buckets: Arc<dyn Buckets>, started: Instant) {
    let now = || micros(started);
    let mut together = true;
    let mut queue = ReportQueue::default();
    let mut heartbeat = now();
    loop {
        let sent = now();
        let report = queue.take_due(&limiter, sent);
        if !report.is_empty() || heartbeat <= sent {
            heartbeat = sent.plus(IDLE_INTERVAL);
            match buckets.report(limiter.limit, &report).await {
                Ok(answer) => {
                    if !std::mem::replace(&mut together, true) {
                        tracing::info!(answer.replicas, "shared rate limiting restored");
                    }
                    limiter.apply_answer(sent, now(), &report, &answer);
                    tokio::time::sleep(pause_after(answer.replicas, report.len())).await;
                }
                Err(error) => {
                    limiter.requeue(&report, now());
                    if !limiter.is_attached(now()) && std::mem::replace(&mut together, false) {
                        let parts = limiter.replicas();
                        tracing::warn!(%error, parts, "shared rate limiting unavailable, each replica limits to its part");
                    }
                    tokio::time::sleep(REPORT_INTERVAL).await;
                }
            }
        }
        let next = queue.next().map_or(heartbeat, |due| due.min(heartbeat));
        let _ = tokio::time::timeout(next.since(now()), limiter.urgent.notified()).await;
    }
}

#[cfg(test)]
mod tests;
