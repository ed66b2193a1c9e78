//! Ids of requests and traces: unique, ordered, not secret. They are made from a
//! random start and a counter, without a system call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;
use uuid::fmt::Simple;

use crate::auth::ports::{Clock, Entropy};

pub struct Ids {
    clock: Arc<dyn Clock>,
    seed: u64,
    counter: AtomicU64,
}

impl Ids {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        let mut seed = [0; 8];
        entropy.fill(&mut seed);
        Self { clock, seed: u64::from_ne_bytes(seed), counter: AtomicU64::new(0) }
    }

    /// A UUIDv7.
    #[must_use]
    pub fn request_id(&self) -> Arc<str> {
        let (high, low) = (self.next(), self.next());
        let mut random = [0; 10];
        random[..8].copy_from_slice(&high.to_be_bytes());
        random[8..].copy_from_slice(&low.to_be_bytes()[..2]);
        let id = uuid::Builder::from_unix_timestamp_millis(self.clock.now().0, &random).into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        Arc::from(&*id.hyphenated().encode_lower(&mut text))
    }

    /// The head of a new trace (W3C Trace Context); not sampled, for we record none.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let nonzero = |number: u64| number.max(1);
        let (mut trace, mut span) = ([0; Simple::LENGTH], [0; Simple::LENGTH]);
        let trace = digits(nonzero(self.next()), self.next(), &mut trace);
        let span = digits(nonzero(self.next()), 0, &mut span);
        ["00-", trace, "-", &span[..16], "-00"].concat()
    }

    /// One that is given to nobody else.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.next()
    }

    /// splitmix64: every number once before any comes again.
    fn next(&self) -> u64 {
        let step = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut z =
            self.seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Thirty-two hexadecimal digits, without the formatter's detours.
fn digits(high: u64, low: u64, text: &mut [u8; Simple::LENGTH]) -> &str {
    Uuid::from_u64_pair(high, low).simple().encode_lower(text)
}

#[cfg(test)]
mod tests;
