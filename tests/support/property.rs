//! Property tests against a running gateway: the same cases in every run, and
//! `PROPTEST_CASES` of them when that is set.

use std::future::Future;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Tries `property` on so many cases, one after the other, and names the smallest
/// that fails.
pub fn check<S: Strategy, T>(
    cases: u32,
    strategy: &S,
    stage: impl Future<Output = T>,
    property: impl AsyncFn(&T, S::Value),
) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let stage = runtime.block_on(stage);
    let asked_for = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked_for.unwrap_or(cases);
    let config =
        Config { cases, max_shrink_iters: 64, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(strategy, |case| {
        runtime.block_on(property(&stage, case));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    // Its processes are told to end by tasks of the runtime's.
    runtime.block_on(async { drop(stage) });
}
