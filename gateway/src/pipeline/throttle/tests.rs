mod guesses;

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::lanes::MAX_WAITING;
use super::*;
use crate::auth::tests::Bench;
use crate::auth::time::Seconds;
use crate::pipeline::authenticate::{Presented, authenticate};
use crate::telemetry::log::Style;

const ATTEMPTS: u32 = 5;

/// A throttle, and what its callers are held to.
#[derive(Clone)]
struct Held {
    throttle: Arc<Throttle>,
    limits: Limits,
}

impl std::ops::Deref for Held {
    type Target = Throttle;

    fn deref(&self) -> &Throttle {
        &self.throttle
    }
}

impl Held {
    async fn attempt<T: Send + 'static>(
        &self,
        caller: &Caller,
        name: Option<&str>,
        tried: Tried,
        check: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Rejection> {
        let caller = Caller { limits: self.limits.into(), ..caller.clone() };
        self.throttle.attempt(&caller, name, tried, check).await
    }
}

async fn throttle() -> Held {
    throttle_at(Bench::new().await, 1_000, Duration::ZERO)
}

/// On the bench's clock; a user is slowed after so many failures.
fn throttle_at(bench: Bench, user_attempts: u32, pause: Duration) -> Held {
    let (sink, _) = Sink::start(Style::Json, std::io::sink(), std::io::sink()).expect("a thread");
    let throttle = Arc::new(Throttle::new(Arc::new(bench.core), sink));
    Held { throttle, limits: limits(user_attempts, pause) }
}

fn limits(user_attempts: u32, pause: Duration) -> Limits {
    let failures = FailureLimit { attempts: ATTEMPTS, user_attempts, window: Seconds(300) };
    Limits::new(failures, pause, Counted::Passwords)
}

fn caller(last: u8) -> Caller {
    let client = IpAddr::from([192, 0, 2, last]);
    let limits = limits(1_000, Duration::ZERO).into();
    let (source, request_id) = (Source::of(client), "request".into());
    Caller { client, source, request_id, page: Page::Meant, limits }
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
    assert!(throttle.addresses.is_empty(), "nobody waits, nothing is kept");
    assert!(throttle.users.is_empty());
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
async fn slow(throttle: &Held) -> (JoinHandle<Result<(), Rejection>>, Arc<Notify>) {
    slow_of(throttle, caller(1), Ok(())).await
}

/// The same of a caller, and with what it comes to.
async fn slow_of(
    throttle: &Held,
    caller: Caller,
    outcome: Result<(), Error>,
) -> (JoinHandle<Result<(), Rejection>>, Arc<Notify>) {
    let (begun, finish) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let check = {
        let (begun, finish) = (Arc::clone(&begun), Arc::clone(&finish));
        async move {
            begun.notify_one();
            finish.notified().await;
            outcome
        }
    };
    let throttle = throttle.clone();
    let attempt = tokio::spawn(async move {
        throttle.attempt(&caller, Some("ann"), Tried::Password, check).await
    });
    begun.notified().await;
    (attempt, finish)
}

/// Nobody waits for the attempt of another address on another user, however long that takes.
#[tokio::test]
async fn an_address_waits_for_its_own_attempts_only() {
    let throttle = throttle().await;
    let (slow, finish) = slow(&throttle).await;
    throttle.attempt(&caller(2), Some("ben"), Tried::Password, async { Ok(()) }).await.unwrap();
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
        let refused = authenticate(&throttle.core, &throttle.throttle, &caller, presented);
        let refused = tokio::time::timeout(Duration::from_secs(10), refused).await;
        assert!(refused.is_ok_and(|refused| refused.is_err()), "{text}");
    }
    assert!(!slow.is_finished());
    finish.notify_one();
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn each_attempt_is_held_to_the_limits_that_it_came_with() {
    let mut throttle = throttle().await;
    let fail = async |throttle: &Held| {
        let wrong = async { Err::<(), _>(Refusal::PasswordWrong.into()) };
        let failed = throttle.attempt(&caller(1), None, Tried::Password, wrong).await;
        failed.unwrap_err().reason.code()
    };
    for _ in 0..2 {
        assert_eq!(fail(&throttle).await, "password_wrong");
    }
    throttle.limits.failures.attempts = 3;
    assert_eq!(fail(&throttle).await, "password_wrong");
    assert_eq!(fail(&throttle).await, "locked_out");
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
        let limits = Limits { counted, ..limits(1_000, Duration::ZERO) }.into();
        let caller = Caller { page, limits, ..caller(1) };
        for tried in guessable {
            assert!(caller.counts(tried), "{counted:?} {page:?} {tried:?}");
        }
        for tried in random {
            assert_eq!(caller.counts(tried), all, "{counted:?} {page:?} {tried:?}");
        }
    }
}

#[tokio::test]
async fn a_failure_is_a_guess_that_was_wrong_and_no_other_error() {
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
        assert_eq!(caller(1).is_failure(tried, &error), failure, "{error:?} {tried:?}");
    }
}
