//! Guesses at one user from many addresses.

use super::*;
use crate::auth::account::AccountId;

/// Longer than any test: whoever waits for it waits for ever.
const PAUSE: Duration = Duration::from_secs(3_600);
/// As many strangers as wait for a turn.
const CROWD: u32 = 64;

/// Anybody, each in a network of their own.
fn stranger(number: u32) -> Caller {
    let client = IpAddr::from((0x0a00_0001 + (number << 8)).to_be_bytes());
    Caller { client, source: Source::of(client), ..caller(1) }
}

/// Where `ann` signed in before.
fn known(number: u8) -> Caller {
    let client = IpAddr::from([203, 0, 113, number]);
    Caller { client, source: Source::of(client), ..caller(1) }
}

async fn throttle_of(user_attempts: u32, pause: Duration) -> Held {
    let bench = Bench::new().await;
    let ann = bench.core.standing().account_by_name("ann").unwrap();
    for number in 0..16 {
        bench.core.record_success(&ann, known(number).source).await;
    }
    throttle_at(bench, user_attempts, pause)
}

async fn guess(throttle: &Held, caller: &Caller, name: &str) -> Result<(), Rejection> {
    let wrong = async { Err(Refusal::PasswordWrong.into()) };
    throttle.attempt(caller, Some(name), Tried::Password, wrong).await
}

async fn succeed(throttle: &Held, caller: &Caller) -> Result<(), Rejection> {
    throttle.attempt(caller, Some("ann"), Tried::Password, async { Ok(()) }).await
}

fn code(outcome: &Result<(), Rejection>) -> &'static str {
    outcome.as_ref().map_or_else(|rejection| rejection.reason.code(), |()| "ok")
}

fn is_slowed(throttle: &Throttle, name: &str) -> bool {
    let now = throttle.core.clock().now();
    throttle.core.standing().is_slowed(throttle.core.guessed(name).0, now)
}

/// Strangers who try until the test ends, while one of them is being judged until the
/// returned one is notified. One more may wait: beyond that, one drawn of all gives way.
async fn besieged(throttle: &Held) -> Arc<Notify> {
    let wrong = Err(Refusal::PasswordWrong.into());
    let (_, finish) = slow_of(throttle, stranger(0), wrong).await;
    for number in 1..CROWD {
        let throttle = throttle.clone();
        tokio::spawn(async move { guess(&throttle, &stranger(number), "ann").await });
    }
    tokio::task::yield_now().await;
    finish
}

/// Was: an address that had never failed got 429 for the right password in 59 of 59 tries.
#[tokio::test]
async fn a_known_address_waits_for_no_stranger() {
    for user_attempts in [1_000, 1] {
        let throttle = throttle_of(user_attempts, PAUSE).await;
        let finish = besieged(&throttle).await;
        if user_attempts == 1 {
            // From where it is known too: nobody is told by this that it is slow.
            guess(&throttle, &known(9), "ann").await.unwrap_err();
        }
        assert_eq!(is_slowed(&throttle, "ann"), user_attempts == 1);
        for number in 0..3 {
            soon(succeed(&throttle, &known(number))).await.unwrap();
        }
        finish.notify_one();
    }
}

/// Was: whoever signed in from behind one address waited for the crowd at another's name.
#[tokio::test]
async fn who_shares_an_address_with_an_attempt_on_a_crowded_user_does_not_wait_with_it() {
    for user_attempts in [1_000, 1] {
        let throttle = throttle_of(user_attempts, PAUSE).await;
        let finish = besieged(&throttle).await;
        if user_attempts == 1 {
            guess(&throttle, &known(9), "ann").await.unwrap_err();
        }
        let waiting = wait_on(&throttle, 1_000);
        tokio::task::yield_now().await;
        for name in [Some("ben"), None] {
            let caller = stranger(1_000);
            let attempt = throttle.attempt(&caller, name, Tried::Password, async { Ok(()) });
            soon(attempt).await.unwrap();
        }
        assert!(!waiting.is_finished(), "control: the crowd is there");
        finish.notify_one();
    }
}

/// Else who shares one of them with the user would fill the queue of all.
#[tokio::test]
async fn each_known_address_waits_once() {
    let throttle = throttle_of(1_000, PAUSE).await;
    let mut held = Vec::new();
    for number in 1..=2 {
        held.push(slow_of(&throttle, known(number), Ok(())).await);
    }
    for _ in 0..MAX_WAITING {
        let throttle = throttle.clone();
        tokio::spawn(async move { guess(&throttle, &known(3), "ann").await });
    }
    tokio::task::yield_now().await;
    let other = {
        let throttle = throttle.clone();
        tokio::spawn(async move { succeed(&throttle, &known(4)).await })
    };
    tokio::task::yield_now().await;
    for (attempt, finish) in held {
        finish.notify_one();
        attempt.await.unwrap().unwrap();
    }
    soon(other).await.unwrap().unwrap();
}

/// Was: whoever shares an address with a user and signed in there many times at once kept
/// that one waiting for all of it.
#[tokio::test]
async fn attempts_on_one_user_stand_in_one_line_and_others_of_the_address_go_between() {
    let throttle = throttle_of(1_000, Duration::ZERO).await;
    let (held, finish) = slow(&throttle).await;
    let (done, mut order) = tokio::sync::mpsc::channel(64);
    for name in [["eve"; 20].as_slice(), &["ben"]].concat() {
        let (throttle, done) = (throttle.clone(), done.clone());
        tokio::spawn(async move {
            let caller = caller(1);
            let attempt = throttle.attempt(&caller, Some(name), Tried::Password, async { Ok(()) });
            attempt.await.unwrap();
            done.send(name).await.unwrap();
        });
        tokio::task::yield_now().await;
    }
    finish.notify_one();
    held.await.unwrap().unwrap();
    let (first, second) = (soon(order.recv()).await, soon(order.recv()).await);
    assert_eq!((first, second), (Some("eve"), Some("ben")));
}

#[tokio::test]
async fn a_pause_that_has_become_shorter_holds_for_those_who_wait_too() {
    let mut throttle = throttle_of(1, PAUSE).await;
    guess(&throttle, &stranger(1), "ann").await.unwrap_err();
    let before = throttle.clone();
    let waiting = tokio::spawn(async move { succeed(&before, &stranger(2)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    throttle.limits = limits(1, Duration::from_millis(100));
    soon(succeed(&throttle, &stranger(3))).await.unwrap();
    soon(waiting).await.unwrap().unwrap();
}

/// However many wait for a crowded user: who need not wait is served, and who must is
/// refused beyond a bound.
#[tokio::test]
async fn attempts_that_wait_for_crowded_users_are_bounded_for_each_address() {
    let throttle = throttle_of(1, PAUSE).await;
    let more = 6;
    let names: Vec<String> =
        (0..MAX_WAITING + more).map(|number| format!("nobody {number}")).collect();
    for (number, name) in names.iter().enumerate() {
        guess(&throttle, &stranger(u32::try_from(number).unwrap()), name).await.unwrap_err();
        assert!(is_slowed(&throttle, name), "strangers wait for the pause");
    }
    let mut waiting = Vec::new();
    for name in names {
        let throttle = throttle.clone();
        waiting.push(tokio::spawn(async move { guess(&throttle, &stranger(99), &name).await }));
    }
    while waiting.iter().filter(|attempt| attempt.is_finished()).count() < more {
        tokio::task::yield_now().await;
    }
    let other = soon(guess(&throttle, &stranger(99), "nobody else")).await;
    assert_eq!(code(&other), "password_wrong");
    let (refused, waiting): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(JoinHandle::is_finished);
    assert_eq!(waiting.len(), MAX_WAITING);
    for attempt in refused {
        assert_eq!(code(&attempt.await.unwrap()), "attempts_queued");
    }
    for attempt in waiting {
        attempt.abort();
        attempt.await.unwrap_err();
    }
    assert!(throttle.addresses.is_empty(), "nobody waits, nothing is kept");
}

/// It has waited, and keeps others waiting for the user's turn that it holds.
#[tokio::test]
async fn who_comes_back_with_the_turn_of_its_user_goes_before_those_who_came_meanwhile() {
    let throttle = throttle_of(1_000, Duration::ZERO).await;
    let (held, finish) = slow(&throttle).await;
    let (done, mut order) = tokio::sync::mpsc::channel(8);
    let spawn = |name: &'static str, check: Option<Arc<Notify>>| {
        let (throttle, done) = (throttle.clone(), done.clone());
        tokio::spawn(async move {
            let check = async move {
                if let Some(check) = check {
                    check.notified().await;
                }
                Ok(())
            };
            let outcome = throttle.attempt(&stranger(1), Some(name), Tried::Password, check).await;
            done.send((name, code(&outcome))).await.unwrap();
        })
    };
    spawn("ann", None);
    tokio::task::yield_now().await;
    let first = Arc::<Notify>::default();
    spawn("first", Some(Arc::clone(&first)));
    for name in ["second", "third"] {
        tokio::task::yield_now().await;
        spawn(name, None);
    }
    // Now it is ann's turn, while another attempt of the address is judged.
    tokio::task::yield_now().await;
    finish.notify_one();
    held.await.unwrap().unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    first.notify_one();
    let mut names = Vec::new();
    while names.len() < 4 {
        let (name, code) = soon(order.recv()).await.unwrap();
        assert_eq!(code, "ok");
        names.push(name);
    }
    // The second stood at the door.
    assert_eq!(names, ["first", "second", "ann", "third"]);
}

/// Whatever users are tried, whoever leaves, from an address as many guesses are judged as
/// it may make, one after another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_one_address_exactly_the_allowed_number_is_judged_whoever_is_guessed_at() {
    for round in 0..50 {
        let throttle = throttle_of(1_000, Duration::ZERO).await;
        let judged = Arc::<Judged>::default();
        // Others keep the users' turns busy.
        let noise: Vec<_> = (0..40)
            .map(|number| {
                let throttle = throttle.clone();
                let name = ["ann", "ben", "eve"][number as usize % 3];
                tokio::spawn(async move { guess(&throttle, &stranger(100 + number), name).await })
            })
            .collect();
        let attempts: Vec<_> = (0..60)
            .map(|number| {
                let (throttle, judged) = (throttle.clone(), Arc::clone(&judged));
                let name = [Some("ann"), Some("ben"), Some("eve"), None][number % 4];
                tokio::spawn(async move {
                    throttle.attempt(&stranger(1), name, Tried::Password, judged.wrong()).await
                })
            })
            .collect();
        for leaving in attempts.iter().skip(round % 7).step_by(7) {
            leaving.abort();
        }
        for attempt in noise.into_iter().chain(attempts) {
            let _ = soon(attempt).await;
        }
        while !throttle.addresses.is_empty() || !throttle.users.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(judged.all.load(Ordering::SeqCst), ATTEMPTS, "round {round}");
        assert_eq!(judged.most.load(Ordering::SeqCst), 1, "one after another");
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("nothing to wait for")
}

/// Waits for the next pause.
fn wait_on(throttle: &Held, number: u32) -> JoinHandle<Result<(), Rejection>> {
    let throttle = throttle.clone();
    tokio::spawn(async move { succeed(&throttle, &stranger(number)).await })
}

#[tokio::test]
async fn strangers_have_their_attempts_and_then_wait_for_the_pause() {
    let throttle = throttle_of(3, PAUSE).await;
    for number in 0..3 {
        assert!(!is_slowed(&throttle, "ann"));
        let outcome = soon(guess(&throttle, &stranger(number), "ann")).await;
        assert_eq!(code(&outcome), "password_wrong");
    }
    assert!(is_slowed(&throttle, "ann"));
    let waiting = wait_on(&throttle, 4);
    // Others are served meanwhile.
    soon(succeed(&throttle, &known(1))).await.unwrap();
    soon(guess(&throttle, &stranger(5), "ben")).await.unwrap_err();
    assert!(!waiting.is_finished());
    throttle.sweep();
    assert!(!throttle.users.is_empty(), "the pause counts on");
}

/// The order is not that of coming: over some rounds each of three is first.
#[tokio::test]
async fn strangers_are_taken_at_random() {
    let throttle = throttle_of(100_000, Duration::ZERO).await;
    let mut first = std::collections::HashSet::new();
    for round in 0..40 {
        let (held, finish) = slow(&throttle).await;
        let (done, mut order) = tokio::sync::mpsc::channel(3);
        for number in 0..3 {
            let (throttle, done) = (throttle.clone(), done.clone());
            tokio::spawn(async move {
                let caller = stranger(1 + 3 * round + number);
                let _ = succeed(&throttle, &caller).await;
                let _ = done.send(number).await;
            });
            tokio::task::yield_now().await;
        }
        finish.notify_one();
        held.await.unwrap().unwrap();
        first.insert(order.recv().await.unwrap());
        for _ in 0..2 {
            order.recv().await.unwrap();
        }
    }
    assert_eq!(first.len(), 3, "by chance not so once in ten million runs");
}

#[tokio::test]
async fn of_strangers_beyond_those_that_may_wait_one_gives_way_for_each() {
    let throttle = throttle_of(1, PAUSE).await;
    guess(&throttle, &stranger(999), "ann").await.unwrap_err();
    let mut waiting: Vec<_> = (0..CROWD + 6).map(|number| wait_on(&throttle, number)).collect();
    let mut refused = Vec::new();
    while refused.len() < 6 {
        tokio::task::yield_now().await;
        for index in (0..waiting.len()).rev() {
            if waiting[index].is_finished() {
                refused.push(waiting.swap_remove(index).await.unwrap());
            }
        }
    }
    assert_eq!(waiting.len(), usize::try_from(CROWD).unwrap());
    for outcome in refused {
        let Err(Rejection { reason: Reason::UserAttemptsQueued { retry_after }, .. }) = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(retry_after, PAUSE);
    }
}

#[tokio::test]
async fn who_has_waited_too_long_is_told_to_come_again() {
    let mut throttle = throttle_of(1, PAUSE).await;
    throttle.limits.longest_wait = Duration::ZERO;
    guess(&throttle, &stranger(1), "ann").await.unwrap_err();
    let outcome = soon(succeed(&throttle, &stranger(2))).await;
    assert_eq!(code(&outcome), "user_attempts_queued");
    soon(succeed(&throttle, &known(1))).await.unwrap();
}

/// Was: 140 addresses that signed in to one account with its password filled the queue of
/// hashes.
#[tokio::test]
async fn of_one_account_two_passwords_are_verified_at_once() {
    let throttle = throttle_of(1_000, Duration::ZERO).await;
    for known_ones in [0, 16] {
        let judged = Arc::<Judged>::default();
        let callers = (0..140).map(|number| match u8::try_from(number) {
            Ok(number) if number < known_ones => known(number),
            _ => stranger(number),
        });
        let attempts = callers.map(|caller| {
            let (throttle, judged) = (throttle.clone(), Arc::clone(&judged));
            let check = async move {
                // Its outcome is not what counts here.
                let _ = judged.wrong().await;
                Ok(())
            };
            async move { throttle.attempt(&caller, Some("ann"), Tried::Password, check).await }
        });
        let outcomes: Vec<Result<(), Rejection>> = join_all(attempts).await;
        let most = judged.most.load(Ordering::SeqCst);
        assert_eq!(most, if known_ones == 0 { 1 } else { 2 }, "{known_ones} known");
        let (judged, shed) =
            (judged.all.load(Ordering::SeqCst) as usize, codes(&outcomes, "user_attempts_queued"));
        assert_eq!(judged + shed, 140);
        assert!(judged >= 64 + usize::from(known_ones), "{judged} judged");
        let of_known = usize::from(known_ones);
        assert!(outcomes.iter().take(of_known).all(Result::is_ok), "who is known is served");
    }
    assert!(throttle.users.is_empty(), "nothing is kept of who is not tried");
}

/// By whichever name, however it is written: it is one user.
#[tokio::test]
async fn all_names_of_a_user_are_counted_together() {
    let throttle = throttle_of(3, PAUSE).await;
    for (number, name) in ["ann", "ANN", "Ann@Example.com"].into_iter().enumerate() {
        assert!(!is_slowed(&throttle, "ann"));
        guess(&throttle, &stranger(u32::try_from(number).unwrap()), name).await.unwrap_err();
    }
    assert!(is_slowed(&throttle, "ann") && is_slowed(&throttle, "ann@example.com"));
    assert!(!is_slowed(&throttle, "ben"));
}

/// A name that is nobody's is slow as if it were somebody's, and is stored nowhere.
#[tokio::test]
async fn a_name_that_is_nobodys_is_slowed_alike() {
    let throttle = throttle_of(3, PAUSE).await;
    for number in 0..3 {
        let outcome = soon(guess(&throttle, &stranger(number), "typed by mistake")).await;
        assert_eq!(code(&outcome), "password_wrong");
    }
    assert!(is_slowed(&throttle, "typed by mistake"));
    let (one, nobody) = throttle.core.guessed("typed by mistake");
    assert!(nobody.is_none() && one != throttle.core.guessed("typed by mistakf").0);
    assert_eq!(one, throttle.core.guessed("Typed By Mistake").0);
    assert_ne!(one.0, uuid::Uuid::nil());
}

#[tokio::test]
async fn a_known_address_is_locked_out_by_its_own_failures_like_any_other() {
    let throttle = throttle_of(1_000, PAUSE).await;
    for _ in 0..ATTEMPTS {
        let outcome = guess(&throttle, &known(1), "ann").await;
        assert_eq!(code(&outcome), "password_wrong");
    }
    assert_eq!(code(&succeed(&throttle, &known(1)).await), "locked_out");
    succeed(&throttle, &known(2)).await.unwrap();
}

#[tokio::test]
async fn failures_of_known_addresses_slow_strangers_down() {
    let throttle = throttle_of(2, PAUSE).await;
    for number in 1..=2 {
        guess(&throttle, &known(number), "ann").await.unwrap_err();
    }
    assert!(is_slowed(&throttle, "ann"));
    soon(succeed(&throttle, &known(3))).await.unwrap();
}

/// Whoever leaves while it waits takes nobody's turn, and no room.
#[tokio::test]
async fn a_turn_is_not_given_to_who_has_left() {
    let throttle = throttle_of(100_000, Duration::ZERO).await;
    let finish = besieged(&throttle).await;
    let mut leaving = Vec::new();
    for number in 100..110 {
        let throttle = throttle.clone();
        leaving.push(tokio::spawn(async move { guess(&throttle, &stranger(number), "ann").await }));
    }
    tokio::task::yield_now().await;
    for attempt in leaving {
        attempt.abort();
        let _ = attempt.await;
    }
    finish.notify_one();
    while !throttle.users.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(code(&soon(guess(&throttle, &stranger(2_000), "ann")).await), "password_wrong");
}

/// By another gateway's judgement.
#[tokio::test]
async fn a_lock_out_that_comes_while_an_attempt_waits_counts() {
    let throttle = throttle_of(1_000, PAUSE).await;
    let (held, finish) = slow(&throttle).await;
    let waiting = wait_on(&throttle, 2);
    tokio::task::yield_now().await;
    let until = throttle.core.clock().now().plus(Seconds(300));
    throttle.core.standing().lock_out(stranger(2).source, until);
    finish.notify_one();
    held.await.unwrap().unwrap();
    assert_eq!(code(&soon(waiting).await.unwrap()), "locked_out");
}

#[tokio::test]
async fn an_account_is_guessed_at_under_its_id() {
    let bench = Bench::new().await;
    let ben = bench.add("ben", "another horse").await;
    let (guessed, account) = bench.core.guessed("BEN");
    assert_eq!((AccountId(guessed.0), account.map(|ben| ben.id)), (ben, Some(ben)));
}

/// Those before it in its line may each wait as long as one may.
#[tokio::test]
async fn nobody_waits_longer_in_a_line_than_for_a_user() {
    let mut throttle = throttle().await;
    throttle.limits.longest_wait = Duration::ZERO;
    let (first, finish) = slow_of(&throttle, stranger(1), Ok(())).await;
    assert_eq!(code(&guess(&throttle, &stranger(1), "ann").await), "attempts_queued");
    finish.notify_one();
    assert_eq!(code(&first.await.unwrap()), "ok");
    assert!(throttle.lines.is_empty());
}
