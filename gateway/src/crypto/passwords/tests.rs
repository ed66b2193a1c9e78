use std::collections::HashSet;
use std::sync::Arc;

use argon2::password_hash::PasswordHasher as _;
use futures_util::FutureExt as _;

use super::{HashingPool, Job, Queue, check_imported, hash_now, is_bearable, waste, work};
use crate::auth::account::HashedPassword;
use crate::auth::error::Error;
use crate::auth::ports::{PasswordHasher as _, Priority};
use crate::auth::secret::Secret;
use crate::auth::work::{MAX_ARGON2_KIB, MAX_ARGON2_PASSES, MAX_BCRYPT_COST, Work};

fn pool() -> HashingPool {
    HashingPool::start(1, 8, 4).unwrap()
}

async fn verifies(hash: &str, password: &str) -> bool {
    let hash = Some(HashedPassword(hash.to_owned()));
    pool().verify(hash, password.into(), Work::NONE, Priority::Normal).await.unwrap()
}

#[tokio::test]
async fn every_form_of_bcrypt_and_argon2id_verifies() {
    // "hunter42" by htpasswd, PHP and the argon2 tool's defaults.
    let bcrypt = hash_now(&"hunter42".into(), 4).unwrap().0;
    for prefix in ["$2a$", "$2b$", "$2y$"] {
        let hash = bcrypt.replacen("$2b$", prefix, 1);
        assert!(verifies(&hash, "hunter42").await, "{hash}");
        assert!(!verifies(&hash, "hunter43").await, "{hash}");
    }
    for (kib, passes) in [(64, 1), (19_456, 2)] {
        let hash = argon2id("hunter42", kib, passes).0;
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(verifies(&hash, "hunter42").await);
        assert!(!verifies(&hash, "hunter43").await);
    }
}

#[tokio::test]
async fn seventy_two_bytes_count_and_the_next_is_refused() {
    let longest = "a".repeat(72);
    let hash = hash_now(&longest.as_str().into(), 4).unwrap().0;
    assert!(verifies(&hash, &longest).await);
    assert!(!verifies(&hash, &"a".repeat(71)).await);
    assert!(!verifies(&hash, &"a".repeat(73)).await, "never truncated");
    assert!(hash_now(&Secret::new("a".repeat(73)), 4).is_none());
}

#[tokio::test]
async fn a_hash_that_cannot_be_right_is_wrong() {
    for hash in [
        "",
        "plain",
        "$2b$04$short",
        "$1$abc",
        "$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC",
        "$argon2id$v=19$m=4194304,t=3,p=1$c29tZXNhbHQ$aGFzaA",
        "$argon2id$broken",
        "é".repeat(30).as_str(),
    ] {
        assert!(!verifies(hash, "hunter42").await, "{hash}");
    }
}

fn argon2id(password: &str, kib: u32, passes: u32) -> HashedPassword {
    let parameters = argon2::Params::new(kib, passes, 1, None).unwrap();
    let argon2 =
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let hash = argon2.hash_password_with_salt(password.as_bytes(), b"a fixed salt....");
    HashedPassword(hash.unwrap().to_string())
}

/// What one check costs, by a pool whose own hashes cost 2^6 rounds.
async fn cost(hash: Option<&HashedPassword>, password: &str, failure: u64) -> (bool, u64) {
    let pool = HashingPool::start(1, 8, 6).unwrap();
    let answer =
        pool.verify(hash.cloned(), password.into(), Work(failure), Priority::Normal).await.unwrap();
    (answer, pool.work_done().0)
}

/// Time is what hashing takes, so its amount is what an observer could learn.
#[tokio::test]
async fn every_failure_costs_the_same_whatever_it_was_compared_with() {
    let bcrypt = |cost| hash_now(&"hunter42".into(), cost).unwrap();
    let (cheap, right, dear) = (bcrypt(4), bcrypt(6), bcrypt(8));
    let argon2id = argon2id("hunter42", 1216, 2);
    let damaged = HashedPassword("$2b$06$short".to_owned());
    let absurd = HashedPassword(right.0.replacen("$06$", "$31$", 1));
    for failure in [64, 256, 300] {
        // Below bcrypt's floor of 2^4 rounds nothing is made up for.
        let expected = if failure == 300 { 288 } else { failure };
        for (hash, matching) in [
            (None, None),
            (Some(&cheap), Some(16)),
            (Some(&right), Some(64)),
            (Some(&argon2id), Some(32)),
            (Some(&damaged), None),
            (Some(&absurd), None),
        ] {
            assert_eq!(cost(hash, "wrong", failure).await, (false, expected), "{failure}");
            if let Some(matching) = matching {
                assert_eq!(cost(hash, "hunter42", failure).await, (true, matching));
            }
        }
    }
    // It is the caller's to ask for as much.
    assert_eq!(cost(Some(&dear), "wrong", 64).await, (false, 256));
    assert_eq!(cost(Some(&dear), "wrong", 256).await, (false, 256));
    assert_eq!(cost(None, "wrong", 0).await, (false, 64), "and never less than a hash");
}

/// Work that is counted and not done would tell by its time who exists.
#[test]
fn what_is_made_up_is_a_hash_of_its_cost() {
    let hashes: HashSet<_> = [4, 5, 6].map(waste).into();
    assert_eq!(hashes.len(), 3, "one that is not worked for is the same at every cost");
}

#[tokio::test]
async fn making_up_takes_no_second_place_in_the_queue() {
    let pool = HashingPool::start(1, 1, 10).unwrap();
    let cheap = hash_now(&"hunter42".into(), 4).unwrap();
    // One place: a second job of its own would be shed, or wait behind others.
    for _ in 0..3 {
        assert!(
            !pool
                .verify(Some(cheap.clone()), "wrong".into(), Work::NONE, Priority::Normal)
                .await
                .unwrap()
        );
    }
    assert_eq!(pool.work_done(), Work(3 << 10));
}

#[tokio::test]
async fn the_configured_cost_is_the_cost_of_what_is_written_and_of_a_failure() {
    for cost in [4, 6] {
        let pool = HashingPool::start(1, 8, cost).unwrap();
        let prefix = format!("$2b${cost:02}$");
        let hash = pool.hash("hunter42".into(), Priority::Normal).await.unwrap();
        assert!(hash.0.starts_with(&prefix), "{}", hash.0);
        assert!(!pool.outdated(&hash));
        assert!(
            pool.verify(Some(hash), "hunter42".into(), Work::NONE, Priority::Normal).await.unwrap()
        );
        let before = pool.work_done().0;
        assert!(!pool.verify(None, "hunter42".into(), Work::NONE, Priority::Normal).await.unwrap());
        assert_eq!(pool.work_done().0 - before, 1 << cost);
    }
}

/// Hashes of the right password at a cost that is not worked on: made elsewhere, since
/// making them here would take what checking them must not.
#[tokio::test]
async fn a_right_password_is_wrong_where_checking_it_would_cost_too_much() {
    for hash in [
        // 256 MiB and 8 KiB, one pass.
        "$argon2id$v=19$m=262152,t=1,p=1$YSBmaXhlZCBzYWx0Li4uLg$m1gbkAOkomuFGKZ0XS5kNv91CA8tYesN1E2+sGH1a3g",
        // 64 KiB, 17 passes.
        "$argon2id$v=19$m=64,t=17,p=1$YSBmaXhlZCBzYWx0Li4uLg$AusYBdAqkD3qK0rxg0fJOuwqv4stVvwtOdZY9NCPEcA",
    ] {
        assert!(!verifies(hash, "hunter42").await, "{hash}");
    }
    // The greatest number of passes that is worked on.
    let most = "$argon2id$v=19$m=64,t=16,p=1$YSBmaXhlZCBzYWx0Li4uLg$BdRUgF2e7cVO6jMkDmcCFYprHAt4KFltRR1OaJmZMqE";
    assert!(verifies(most, "hunter42").await);
}

/// Checking a hash at the bound takes its 256 MiB, so the bound is asked for alone.
#[test]
fn argon2id_is_worked_on_up_to_its_greatest_memory_and_passes() {
    let (kib, passes) = (MAX_ARGON2_KIB, MAX_ARGON2_PASSES);
    assert!(kib == 256 * 1024 && is_bearable(kib, passes) && is_bearable(8, 1));
    for (kib, passes) in [(kib + 1, 1), (8, passes + 1), (kib + 1, passes + 1), (u32::MAX, 1)] {
        assert!(!is_bearable(kib, passes), "{kib} {passes}");
    }
}

#[tokio::test]
async fn a_full_queue_sheds_at_once() {
    let pool = HashingPool::start(1, 1, 12).unwrap();
    let check = || pool.verify(None, "x".into(), Work::NONE, Priority::Normal);
    // One being worked on, one waiting, and the third has no place. The worker may
    // not have taken the first yet, then it is the second.
    let (first, second, third) = tokio::join!(check(), check(), check());
    assert!([first, second, third].iter().any(Result::is_err));
}

#[test]
fn weaker_and_foreign_hashes_are_outdated() {
    let outdated = |hash: &str| pool().outdated(&HashedPassword(hash.to_owned()));
    let costly = HashingPool::start(1, 1, 12).unwrap();
    let cheap = hash_now(&"hunter42".into(), 4).unwrap();
    assert!(costly.outdated(&cheap));
    assert!(!outdated(&cheap.0));
    assert!(!outdated("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"));
    assert!(outdated("$1$abc"));
}

/// A pool whose worker has yet to begin.
fn idle() -> (HashingPool, Arc<Queue<Job>>) {
    let queue = Arc::new(Queue::new(8));
    let jobs = Arc::clone(&queue);
    (HashingPool { queue, cost: 4, rounds: Arc::default() }, jobs)
}

/// Whatever is guessed at, and from however many addresses.
#[tokio::test]
async fn a_full_queue_of_strangers_keeps_no_known_address_from_its_turn() {
    let (pool, jobs) = idle();
    let check = |priority| pool.verify(None, "x".into(), Work::NONE, priority);
    let mut strangers: Vec<_> = (0..8).map(|_| check(Priority::Normal)).collect();
    assert!(strangers.iter_mut().all(|stranger| stranger.now_or_never().is_none()));
    assert!(matches!(check(Priority::Normal).now_or_never(), Some(Err(Error::HasherBusy))));
    let mut known = check(Priority::High);
    assert!((&mut known).now_or_never().is_none(), "it waits");
    let Some(Job::Verify(check, answer)) = jobs.pop() else { panic!("a check") };
    let _ = answer.send(check.carry_out().0);
    assert!(!known.await.unwrap(), "the first job was its own");
}

/// Else a flood of requests that give up would keep those waiting that do not.
#[tokio::test]
async fn nothing_is_hashed_for_a_caller_who_has_left() {
    let (pool, jobs) = idle();
    for _ in 0..3 {
        assert!(
            pool.verify(None, "x".into(), Work::NONE, Priority::Normal).now_or_never().is_none()
        );
        assert!(pool.hash("x".into(), Priority::Normal).now_or_never().is_none());
    }
    let rounds = Arc::clone(&pool.rounds);
    let worker = std::thread::spawn(move || work(&jobs, 4, &rounds));
    let hash = pool.hash("x".into(), Priority::Normal).await.unwrap();
    assert_eq!(pool.work_done(), Work(1 << 4));
    assert!(pool.verify(Some(hash), "x".into(), Work::NONE, Priority::Normal).await.unwrap());
    assert_eq!(pool.work_done(), Work(2 << 4));
    drop(pool);
    worker.join().unwrap();
}

/// Was: the priority was the same for every process, and one that was started behind others
/// already hashed before its traffic.
#[cfg(target_os = "linux")]
#[test]
fn the_hashing_thread_lets_traffic_go_first_whatever_its_priority() {
    use rustix::process::{getpriority_process, setpriority_process};

    // The greater the number, the later the turn; 19 is the last.
    for lowered in [0, 5, 12] {
        let (pool, jobs) = idle();
        let rounds = Arc::clone(&pool.rounds);
        // With no pool there is nothing to do, and the worker returns.
        drop(pool);
        let worker = std::thread::spawn(move || {
            let thread = Some(rustix::thread::gettid());
            let own = getpriority_process(thread).unwrap();
            setpriority_process(thread, own + lowered).unwrap();
            let traffic = getpriority_process(thread).unwrap();
            work(&jobs, 4, &rounds);
            (traffic, getpriority_process(thread).unwrap())
        });
        let (traffic, hashing) = worker.join().unwrap();
        assert_eq!(hashing, (traffic + 10).min(19));
    }
}

#[test]
fn a_hash_is_imported_if_bcrypt_made_it_at_a_cost_that_is_worked_on() {
    let of_cost =
        |cost: u32| format!("$2y${cost:02}$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC");
    for cost in [4, 10, MAX_BCRYPT_COST] {
        assert_eq!(check_imported(&of_cost(cost)), Ok(()), "{cost}");
    }
    for prefix in ["$2a$", "$2b$"] {
        assert_eq!(check_imported(&of_cost(12).replacen("$2y$", prefix, 1)), Ok(()));
    }
    for cost in [MAX_BCRYPT_COST + 1, 31] {
        let hash = of_cost(cost);
        let problem = check_imported(&hash).unwrap_err();
        let bounds = format!("cost {cost} is above {MAX_BCRYPT_COST}");
        assert!(problem.contains(&bounds) && !problem.contains(&hash), "{problem}");
    }
    for hash in ["", "plain", "$1$abc", "$apr1$abcdefgh$abcdefghijklmnopqrstu1", "$2y$10$short"] {
        let problem = check_imported(hash).unwrap_err();
        assert!(problem.contains("expected a bcrypt hash"), "{problem}");
        assert!(hash.is_empty() || !problem.contains(hash), "{problem}");
    }
}
