use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::auth::tests::Bench;
use crate::auth::time::Seconds;
use crate::pipeline::authenticate::{Presented, authenticate};
use crate::telemetry::log::Style;

const ATTEMPTS: u32 = 5;

async fn throttle() -> Arc<Throttle> {
    throttle_at(Bench::new().await, 1_000)
}

/// On the bench's clock; a name is slowed after so many failures.
fn throttle_at(bench: Bench, name_attempts: u32) -> Arc<Throttle> {
    let core = Arc::new(bench.core);
    let limits = Limits {
        address: FailureLimit { attempts: ATTEMPTS, window: Seconds(300) },
        name: NameLimit { attempts: name_attempts, pause: Duration::ZERO },
        registrations: 100,
        counted: Counted::Passwords,
    };
    let (sink, _) = Sink::start(Style::Json, std::io::sink(), std::io::sink()).expect("a thread");
    Arc::new(Throttle::new(core, limits, sink))
}

fn caller(last: u8) -> Caller {
    let client = IpAddr::from([192, 0, 2, last]);
    Caller { client, source: Source::of(client), request_id: "request".into(), page: Page::Meant }
}

/// What is being judged, and the most that ever was at once.
#[derive(Default)]
struct Judged {
    all: AtomicU32,
    now: AtomicU32,
    most: AtomicU32,
}

impl Judged {
    /// One judgement, which takes a few turns of everything else.
    async fn wrong(self: Arc<Self>) -> Result<(), Error> {
        self.all.fetch_add(1, Ordering::SeqCst);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
        Err(Refusal::PasswordWrong.into())
    }
}

fn codes(outcomes: &[Result<(), Rejection>], code: &str) -> usize {
    let of = |outcome: &&Result<(), Rejection>| {
        outcome.as_ref().is_err_and(|rejection| rejection.reason.code() == code)
    };
    outcomes.iter().filter(of).count()
}

#[tokio::test]
async fn of_many_wrong_attempts_at_once_exactly_the_allowed_number_is_judged() {
    let throttle = throttle().await;
    let (judged, caller) = (Arc::<Judged>::default(), caller(1));
    let attempts = (0..50).map(|_| {
        throttle.attempt(&caller, Some("ann"), Tried::Password, Arc::clone(&judged).wrong())
    });
    let outcomes = join_all(attempts).await;
    assert_eq!(judged.all.load(Ordering::SeqCst), ATTEMPTS);
    assert_eq!(judged.most.load(Ordering::SeqCst), 1, "one after another");
    assert_eq!((codes(&outcomes, "password_wrong"), codes(&outcomes, "locked_out")), (5, 45));
    assert!(throttle.addresses.0.is_empty(), "nobody waits, nothing is kept");
}

#[tokio::test]
async fn more_than_may_wait_for_one_address_are_sent_away() {
    let throttle = throttle().await;
    let (judged, caller) = (Arc::<Judged>::default(), caller(1));
    let attempts = (0..70).map(|_| {
        throttle.attempt(&caller, Some("ann"), Tried::Password, Arc::clone(&judged).wrong())
    });
    let outcomes = join_all(attempts).await;
    assert_eq!(codes(&outcomes, "attempts_queued"), 70 - MAX_WAITING);
    assert_eq!(judged.all.load(Ordering::SeqCst), ATTEMPTS);
}

/// An attempt that is being judged until the returned one is notified.
async fn slow(throttle: &Arc<Throttle>) -> (JoinHandle<Result<(), Rejection>>, Arc<Notify>) {
    let (begun, finish) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let check = {
        let (begun, finish) = (Arc::clone(&begun), Arc::clone(&finish));
        async move {
            begun.notify_one();
            finish.notified().await;
            Ok(())
        }
    };
    let throttle = Arc::clone(throttle);
    let attempt = tokio::spawn(async move {
        throttle.attempt(&caller(1), Some("ann"), Tried::Password, check).await
    });
    begun.notified().await;
    (attempt, finish)
}

/// Nobody waits for the attempt of another address, however long that takes.
#[tokio::test]
async fn an_address_waits_for_its_own_attempts_only() {
    let throttle = throttle().await;
    let (slow, finish) = slow(&throttle).await;
    throttle.attempt(&caller(2), Some("ann"), Tried::Password, async { Ok(()) }).await.unwrap();
    assert!(!slow.is_finished());
    finish.notify_one();
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_not_counted_waits_for_no_attempt_of_its_address() {
    let throttle = throttle().await;
    let (slow, finish) = slow(&throttle).await;
    for (text, presented) in [
        ("token", Presented::Bearer("x")),
        ("key", Presented::Key("sk_live_x")),
        ("ticket", Presented::Ticket("x")),
    ] {
        let caller = caller(1);
        let refused = authenticate(&throttle.core, &throttle, &caller, presented);
        let refused = tokio::time::timeout(Duration::from_secs(10), refused).await;
        assert!(refused.is_ok_and(|refused| refused.is_err()), "{text}");
    }
    assert!(!slow.is_finished());
    finish.notify_one();
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_name_is_slowed_by_its_failures_until_its_window_ends() {
    let throttle = throttle_at(Bench::new().await, 2);
    let begun = throttle.core.clock().now();
    let end = begun.plus(throttle.limit().window);
    let slowed = |name, at| {
        let failures = throttle.failures.get(&name);
        failures.is_some_and(|failures| failures.slows(throttle.limits.name, at))
    };
    let (ann, ben) = (1, 2);
    throttle.count_name(ann, begun);
    throttle.count_name(ben, begun);
    assert!(!slowed(ann, begun) && !slowed(ben, begun), "one failure is a typing error");
    throttle.count_name(ann, begun);
    assert!(throttle.is_slowed(ann) && !throttle.is_slowed(ben));
    assert!(!throttle.is_slowed(3), "a name that never failed");
    assert!(slowed(ann, Timestamp(end.0 - 1)) && !slowed(ann, end));
    // The window does not move, and the next one begins with nothing.
    throttle.count_name(ann, Timestamp(end.0 - 1));
    assert!(!slowed(ann, end));
    throttle.count_name(ann, end);
    assert!(!slowed(ann, end));
    throttle.count_name(ann, end);
    assert!(slowed(ann, end));
}

/// Names cost whoever sends them an attempt each, and the gateway no more than this.
#[tokio::test]
async fn of_too_many_names_those_that_are_guessed_at_are_kept() {
    let throttle = throttle_at(Bench::new().await, 2);
    let now = throttle.core.clock().now();
    let (guessed, over) = (u64::MAX, u64::MAX - 1);
    throttle.failures.insert(guessed, NameFailures { ends: now.plus(Seconds(1)), count: 2 });
    throttle.failures.insert(over, NameFailures { ends: now, count: 9 });
    let crowd = u64::try_from(MAX_NAMES - 2).expect("a number");
    for name in 0..crowd {
        throttle.count_name(name, now);
    }
    assert_eq!(throttle.failures.len(), MAX_NAMES, "there is room for these");
    throttle.count_name(crowd, now);
    assert_eq!(throttle.failures.len(), 2, "who failed once is forgotten, and what is over");
    assert!(throttle.is_slowed(guessed));
    // Where all are guessed at, all are forgotten: the bound counts.
    for name in 0..=crowd {
        throttle.failures.insert(name, NameFailures { ends: now.plus(Seconds(1)), count: 2 });
    }
    assert_eq!(throttle.failures.len(), MAX_NAMES);
    throttle.count_name(u64::MAX - 2, now);
    assert_eq!(throttle.failures.len(), 1);
}

#[tokio::test]
async fn a_sweep_forgets_names_whose_window_has_ended_and_no_others() {
    let throttle = throttle_at(Bench::new().await, 2);
    let now = throttle.core.clock().now();
    for (name, ends) in [(1, now), (2, Timestamp(now.0 + 1)), (3, Timestamp(now.0 - 1))] {
        throttle.failures.insert(name, NameFailures { ends, count: 2 });
    }
    throttle.sweep();
    let left: Vec<u64> = throttle.failures.iter().map(|entry| *entry.key()).collect();
    assert_eq!(left, [2]);
}

fn counting(bench: Bench, counted: Counted) -> Arc<Throttle> {
    let mut throttle = throttle_at(bench, 1_000);
    Arc::get_mut(&mut throttle).expect("nobody else has it").limits.counted = counted;
    throttle
}

/// Only what can be guessed locks anybody out, unless the operator wants all of it, and
/// then what a foreign page makes up is still no attempt of its visitor.
#[tokio::test]
async fn passwords_count_always_and_what_is_random_where_all_is_counted() {
    let guessable = [Tried::Password, Tried::Credential(Scheme::Basic)];
    let random = [
        Tried::RefreshToken,
        Tried::Credential(Scheme::Bearer),
        Tried::Credential(Scheme::ApiKey),
        Tried::Credential(Scheme::Ticket),
    ];
    for (counted, page, all) in [
        (Counted::Passwords, Page::Meant, false),
        (Counted::Passwords, Page::Foreign, false),
        (Counted::All, Page::Meant, true),
        (Counted::All, Page::Foreign, false),
    ] {
        let throttle = counting(Bench::new().await, counted);
        let caller = Caller { page, ..caller(1) };
        for tried in guessable {
            assert!(throttle.counts(&caller, tried), "{counted:?} {page:?} {tried:?}");
        }
        for tried in random {
            assert_eq!(throttle.counts(&caller, tried), all, "{counted:?} {page:?} {tried:?}");
        }
    }
}

#[tokio::test]
async fn a_failure_is_a_guess_that_was_wrong_and_no_other_error() {
    let throttle = throttle().await;
    let code = |error| Error::Federation(error);
    for (error, tried, failure) in [
        (Refusal::PasswordWrong.into(), Tried::Password, true),
        (Refusal::UserUnknown.into(), Tried::Credential(Scheme::Basic), true),
        (code(FederationError::CodeRefused), Tried::Password, true),
        (Refusal::PasswordFormer.into(), Tried::Password, false),
        (Refusal::TokenExpired.into(), Tried::Credential(Scheme::Bearer), false),
        (code(FederationError::Timeout), Tried::Password, false),
        (Error::HasherBusy, Tried::Password, false),
        (Error::NotForKeys, Tried::Password, false),
    ] {
        assert_eq!(throttle.is_failure(&caller(1), tried, &error), failure, "{error:?} {tried:?}");
    }
}
