//! Addresses that failed to sign in.

use super::*;
use crate::auth::ports::{Failure, FailureLimit};
use crate::auth::source::Source;

const LIMIT: FailureLimit =
    FailureLimit { attempts: 3, user_attempts: 1_000, window: Seconds(300) };

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Bench {
    async fn fail(&self, from: &str, times: u32) {
        let failure = Failure { source: Source::of(address(from)), user: None };
        for _ in 0..times {
            let now = self.core.clock().now();
            self.core.store().count_failure(failure, LIMIT, now).await.unwrap();
        }
    }

    /// Address, failures and whether it is locked out until the end of its window.
    async fn lockouts(&self, page: Span<IpAddr>) -> Vec<(String, u32, Option<String>)> {
        let page = self.page(Request::ListLockouts { page }).await;
        let lockouts = page.items.into_iter().map(|record| match record {
            Record::Lockout(lockout) => {
                (lockout.address.to_string(), lockout.failures, lockout.locked_until)
            }
            other => panic!("{other:?}"),
        });
        lockouts.collect()
    }

    fn is_locked_out(&self, from: &str) -> bool {
        let now = self.core.clock().now();
        let verdict = self.core.standing().verdict(Source::of(address(from)), now);
        matches!(verdict, crate::auth::error::Verdict::LockedOut(_))
    }
}

#[tokio::test]
async fn failures_are_listed_by_address_for_their_window_with_who_is_locked_out() {
    let bench = Bench::new();
    assert_eq!(bench.lockouts(Span::default()).await, []);
    // Addresses of a /64 are one.
    bench.fail("2001:db8::1", 1).await;
    bench.fail("2001:db8::2", 1).await;
    bench.fail("203.0.113.9", 3).await;
    bench.fail("192.0.2.1", 1).await;
    let listed = bench.lockouts(Span::default()).await;
    let locked = Some("2027-01-15T08:05:00.000Z".to_owned());
    assert_eq!(
        listed,
        [
            ("192.0.2.1".to_owned(), 1, None),
            ("203.0.113.9".to_owned(), 3, locked),
            ("2001:db8::".to_owned(), 2, None),
        ]
    );
    bench.pass(299);
    assert_eq!(bench.lockouts(Span::default()).await.len(), 3);
    bench.pass(1);
    assert_eq!(bench.lockouts(Span::default()).await, []);
}

#[tokio::test]
async fn the_list_goes_on_behind_an_address() {
    let bench = Bench::new();
    for from in ["192.0.2.3", "192.0.2.1", "192.0.2.2"] {
        bench.fail(from, 1).await;
    }
    let mut after = None;
    for expected in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let page = bench.page(Request::ListLockouts { page: Span { after, limit: 1 } }).await;
        let [Record::Lockout(lockout)] = &page.items[..] else { panic!("{page:?}") };
        assert_eq!(lockout.address, address(expected));
        let next = (expected != "192.0.2.3").then(|| expected.to_owned());
        assert_eq!(page.next, next);
        after = page.next.map(|next| address(&next));
    }
}

#[tokio::test]
async fn who_is_let_in_again_has_not_failed_and_nobody_else_is() {
    let bench = Bench::new();
    bench.fail("203.0.113.9", 3).await;
    bench.fail("203.0.113.10", 3).await;
    bench.fail("2001:db8::1", 3).await;
    for (from, said) in [("203.0.113.9", "203.0.113.9"), ("2001:db8::1", "2001:db8::ffff")] {
        assert!(bench.is_locked_out(from));
        let clear = async || bench.ask(Request::ClearLockout { address: address(said) }).await;
        clear().await.unwrap();
        assert!(!bench.is_locked_out(from), "{from}");
        assert_error!(clear().await, Error::Unknown(Entity::Lockout));
    }
    assert!(bench.is_locked_out("203.0.113.10"));
    bench.fail("203.0.113.9", 2).await;
    assert!(!bench.is_locked_out("203.0.113.9"), "failures are forgotten too");
}
