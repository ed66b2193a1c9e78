//! S1's two limits: failed attempts and requests of one address.

use std::time::{Duration, Instant};

use crate::Statement;
use crate::client::{Call, Limit, limit_of};
use crate::fixture::Fixture;
use crate::reply::Reply;
use crate::report::{Check, Fault, differs, ensure, untried};
use crate::status::HEALTH;

/// More requests on end than this are not sent to find a limit.
const MOST_REQUESTS: u32 = 500;
const MOST_PER_SECOND: u32 = 150;
/// So many together, since the way may be long.
const AT_ONCE: usize = 6;
/// Of a rate in seconds, seen over a network.
const TOLERANCE: f64 = 0.25;

pub(crate) const STATEMENTS: &[Statement] = &[
    Statement::new("S1-30", "5 failed attempts in 300 s, then 429", |s| {
        Box::pin(async move {
            let locked = lock_out(s).await;
            s.forgive().await?;
            let Locked { failures, took, refused } = locked?;
            let (attempts, window) = (s.expected.attempts, s.expected.window);
            ensure(failures == attempts, || {
                format!("expected 429 after {attempts} failures, found it after {failures}")
            })?;
            if let Some(said) = policy(&refused) {
                ensure(said == (attempts, window), || {
                    format!("expected {attempts} in {window} s, found {} in {} s", said.0, said.1)
                })?;
            }
            // The window began with the first failure.
            let wait = wait_of(&refused)?;
            let least = window.saturating_sub(took.as_secs() + 2);
            ensure((least..=window).contains(&wait), || {
                format!("expected a wait of {window} s or little less, found {wait} s")
            })
        })
    }),
    Statement::new("S1-31", "the 429 says in Retry-After when to come back", |s| {
        Box::pin(async move {
            let locked = lock_out(s).await;
            s.forgive().await?;
            let (wait, window) = (wait_of(&locked?.refused)?, s.expected.window);
            ensure(wait >= 1 && wait <= window, || format!("Retry-After {wait} of {window} s"))
        })
    }),
    Statement::new("S1-32", "it holds for right passwords too, to the window's end", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let locked = lock_out(s).await;
            let right = Call::get(&s.proxied).basic(&ann.username, &ann.password);
            let first = s.client.send(&right).await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let second = s.client.send(&right).await;
            s.forgive().await?;
            locked?;
            let (first, second) = (wait_of(&first?)?, wait_of(&second?)?);
            ensure(second < first, || {
                format!("the wait does not shrink with time: {first} s, then {second} s")
            })?;
            s.send(right).await?.passed()
        })
    }),
    Statement::new("S1-33", "every address has 20 requests a second", |s| {
        Box::pin(async move {
            empty_bucket(s).await?;
            let began = Instant::now();
            let mut passed = 0;
            while began.elapsed() < Duration::from_secs(2) {
                for reply in s.client.send_together(&Call::get(HEALTH[0]), AT_ONCE).await? {
                    passed += u32::from(reply.status != 429);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let rate = f64::from(passed) / began.elapsed().as_secs_f64();
            let expected = f64::from(s.expected.requests_per_second);
            let off = (rate - expected).abs();
            ensure(off < expected * TOLERANCE + 1.0, || {
                format!("expected {expected} requests/s to pass, found {rate:.1}")
            })
        })
    }),
    Statement::new("S1-34", "and a burst of 60", |s| {
        Box::pin(async move {
            let (burst, rate) = (s.expected.burst, s.expected.requests_per_second);
            let full = Duration::from_secs_f64(f64::from(burst) / f64::from(rate) + 0.5);
            s.waits(full)?;
            empty_bucket(s).await?;
            tokio::time::sleep(full).await;
            let began = Instant::now();
            let Bucket { passed, refused } = empty_bucket(s).await?;
            let most = f64::from(burst) + began.elapsed().as_secs_f64() * f64::from(rate) + 1.0;
            ensure(passed >= burst && f64::from(passed) <= most, || {
                format!("expected {burst} requests to pass at once, found {passed}")
            })?;
            match policy(&refused) {
                Some((said, _)) if said != u64::from(burst) => {
                    differs(format!("expected a quota of {burst}, found {said}"))
                }
                _ => Ok(()),
            }
        })
    }),
    Statement::new("S1-35", "the two limits do not count for each other", |s| {
        Box::pin(async move {
            // Locked out, other requests pass.
            let locked = lock_out(s).await;
            let token_passes = s.client.send(&s.as_admin(Call::get(&s.proxied))).await;
            s.forgive().await?;
            locked?;
            token_passes?.passed()?;
            // Out of requests, no attempt has failed.
            let emptied = empty_bucket(s).await;
            no_failures(s).await?;
            emptied.map(drop)
        })
    }),
];

/// No failed attempt of this address is counted.
pub(crate) async fn no_failures(s: &Fixture) -> Check {
    let failures = s.failures().await?;
    ensure(failures == 0, || format!("{failures} failed attempts without an attempt"))
}

/// How a lock-out came about.
struct Locked {
    /// Failures until it did.
    failures: u64,
    took: Duration,
    refused: Reply,
}

/// Gives wrong passwords, which every gateway counts, until this address is refused.
/// Whoever calls it has to forgive.
async fn lock_out(s: &Fixture) -> Result<Locked, Fault> {
    s.forgive().await?;
    let began = Instant::now();
    for failures in 0..=s.expected.attempts + 1 {
        let wrong = Call::get(&s.proxied).basic(&s.fresh_name(), "Wrong1@ wrong");
        let reply = s.client.send(&wrong).await?;
        if limit_of(&reply) == Some(Limit::Attempts) {
            return Ok(Locked { failures, took: began.elapsed(), refused: reply });
        }
        reply.status(401)?;
    }
    differs(format!("more than {} failed attempts and still no 429", s.expected.attempts))
}

fn wait_of(reply: &Reply) -> Result<u64, Fault> {
    let wait = reply.status(429)?.field("retry-after").and_then(|wait| wait.parse().ok());
    wait.ok_or_else(|| reply.fault("seconds in Retry-After"))
}

/// Quota and window of `RateLimit-Policy: "name";q=60;w=3`.
fn policy(reply: &Reply) -> Option<(u64, u64)> {
    let parameters = reply.field("ratelimit-policy")?;
    let number = |name: &str| {
        parameters.split(';').find_map(|part| part.trim().strip_prefix(name)?.parse().ok())
    };
    Some((number("q=")?, number("w=")?))
}

struct Bucket {
    passed: u32,
    refused: Reply,
}

/// Asks until the rate limit refuses.
async fn empty_bucket(s: &Fixture) -> Result<Bucket, Fault> {
    let most = s.expected.burst.saturating_mul(2).max(MOST_REQUESTS / 2);
    if most > MOST_REQUESTS || s.expected.requests_per_second > MOST_PER_SECOND {
        return untried("the limit is more than a run sends");
    }
    let call = Call::get(HEALTH[0]);
    let mut passed = 0;
    while passed < most {
        let mut refused = None;
        for reply in s.client.send_together(&call, AT_ONCE).await? {
            match reply.status {
                429 => refused = Some(reply),
                _ => passed += 1,
            }
        }
        if let Some(refused) = refused {
            wait_of(&refused)?;
            return Ok(Bucket { passed, refused });
        }
    }
    differs(format!("{passed} requests on end met no limit"))
}
