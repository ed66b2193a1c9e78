use proptest::prelude::*;

use crate::auth::account::{AccountId, Username};
use crate::auth::tests::{Bench, HERE, PASSWORD};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: u64 = 86_400;

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Seconds(seconds))
}

fn account() -> Account {
    let id = AccountId(uuid::Uuid::from_u128(1));
    Account::new(id, Username::parse("ann").unwrap(), NOW)
}

#[test]
fn a_success_counts_for_thirty_days_and_is_noted_once_a_day() {
    let known = account().known_from(HERE, NOW);
    for (at, is_known, is_news) in [
        (0, true, false),
        (DAY - 1, true, false),
        (DAY, true, true),
        (30 * DAY - 1, true, true),
        (30 * DAY, false, true),
    ] {
        assert_eq!(known.is_known_from(HERE, later(at)), is_known, "after {at} s");
        assert_eq!(known.is_news(HERE, later(at)), is_news, "after {at} s");
    }
    assert!(known.is_known_from(HERE, Timestamp(NOW.0 - 1)), "the clock may be set back");
    assert!(!known.is_known_from(Source::V4(1), NOW) && known.is_news(Source::V4(1), NOW));
}

#[test]
fn addresses_of_another_version_of_the_account_are_strangers() {
    let known = account().known_from(HERE, NOW);
    let changed = Account { version: 2, ..known };
    assert!(!changed.is_known_from(HERE, NOW) && changed.is_news(HERE, NOW));
    let again = changed.known_from(Source::V4(1), NOW);
    assert_eq!(again.known.addresses, [(Source::V4(1), NOW)]);
}

#[test]
fn only_where_and_when_it_has_signed_in_makes_no_difference() {
    let (one, other) = (account(), account().known_from(HERE, NOW));
    let other = Account { last_sign_in: Some(NOW), ..other };
    assert!(one.is_same_but_for_sign_ins(&other) && one != other);
    let renamed = Account { username: Username::parse("ben").unwrap(), ..other };
    assert!(!one.is_same_but_for_sign_ins(&renamed));
}

proptest! {
    /// Whoever succeeded last is known, and never more than are kept.
    #[test]
    fn the_latest_addresses_are_kept(
        successes in prop::collection::vec((0u32..40, 0u64..10_000), 1..80),
    ) {
        let mut known = account();
        let (mut at, mut latest) = (0, std::collections::BTreeMap::new());
        for (address, passed) in successes {
            at += passed;
            known = known.known_from(Source::V4(address), later(at));
            latest.insert(address, at);
        }
        let mut latest: Vec<_> = latest.into_iter().map(|(address, at)| (at, address)).collect();
        latest.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        let left = known.known_addresses(later(at)).count();
        prop_assert_eq!(left, latest.len().min(MAX_KNOWN));
        // Of those of one moment any may go.
        let bound = latest.get(MAX_KNOWN).map(|(at, _)| *at);
        for (time, address) in latest.into_iter().filter(|(at, _)| bound.is_none_or(|b| *at > b)) {
            prop_assert!(known.is_known_from(Source::V4(address), later(at)), "{time}");
        }
    }
}

#[tokio::test]
async fn a_sign_in_is_noted_where_it_was_made_and_not_again_the_same_day() {
    let bench = Bench::new().await;
    let ann = || bench.core.standing().account_by_name("ann").unwrap();
    let note = async || {
        let principal = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
        bench.core.record_success(&principal.account, HERE).await;
        ann().known_addresses(bench.core.clock().now()).collect::<Vec<_>>()
    };
    let first = bench.core.clock().now();
    assert_eq!(note().await, [(HERE, first)]);
    bench.pass(DAY - 1);
    assert_eq!(note().await, [(HERE, first)]);
    bench.pass(1);
    assert_eq!(note().await, [(HERE, bench.core.clock().now())]);
    // What was proven before a change proves nothing after it.
    let before = ann();
    bench.core.reset_password(before.id, "set by an administrator".into()).await.unwrap();
    bench.core.record_success(&before, HERE).await;
    assert!(!ann().is_known_from(HERE, bench.core.clock().now()));
}
