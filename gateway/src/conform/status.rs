//! S1, dialect `status`: Basic or bearer, token pairs, revocation, tickets, limits.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Statement;
use super::client::{Call, Limit, limit_of};
use super::reply::Reply;
use super::report::{Check, Fault, differs, ensure, unseen};
use super::stage::{PROXIED, PROXIED_V1, Person, Stage};
use super::token::{DAYS_7, Token};

const LOGIN: &str = "/api/auth/login";
const REFRESH: &str = "/api/auth/refresh";
const LOGOUT: &str = "/api/logout";
const CHANGE_PASSWORD: &str = "/api/change-password";
const WS_TOKEN: &str = "/api/ws-token";
const HEALTH: [&str; 2] = ["/health", "/api/health"];
const HOURS_8: i64 = 8 * 3600;
/// Members of every answer that brings a pair of tokens.
const PAIR: &[&str] = &["status", "access_token", "refresh_token", "token_type"];
/// To find the rate limit.
const MOST_REQUESTS: u32 = 500;
/// So many together, since the way may be long.
const AT_ONCE: usize = 6;

pub(super) const STATEMENTS: &[Statement] = &[
    Statement::new("S1-01", "protected paths take Basic and bearer alike", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let token = access(s).await?;
            for path in [PROXIED, WS_TOKEN] {
                s.send(Call::get(path).basic(&ann.username, &ann.password)).await?.passed()?;
                s.send(Call::get(path).bearer(&token.text)).await?.passed()?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-02", "Basic passes with the password and with no other", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            s.send(Call::get(PROXIED).basic(&ann.username, &ann.password)).await?.passed()?;
            let wrong = s.send(Call::get(PROXIED).basic(&ann.username, "Wrong1@ wrong")).await?;
            wrong.status(401).map(drop)
        })
    }),
    Statement::new("S1-03", "bearer passes with a token and with nothing else", |s| {
        Box::pin(async move {
            s.send(Call::get(PROXIED).bearer(&access(s).await?.text)).await?.passed()?;
            s.send(Call::get(PROXIED).bearer("eyJhbGciOi.nothing.else")).await?.status(401)?;
            Ok(())
        })
    }),
    Statement::new("S1-04", "health is public, everything else under /api is not", |s| {
        Box::pin(async move {
            for path in HEALTH {
                s.send(Call::get(path)).await?.status(200)?;
            }
            for path in ["/api", "/api/", PROXIED, PROXIED_V1, WS_TOKEN] {
                s.send(Call::get(path)).await?.status(401)?;
            }
            for path in [LOGOUT, CHANGE_PASSWORD] {
                s.send(Call::post(path)).await?.status(401)?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-05", "what curl -u sends to a path with a query passes", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let call = Call::get("/api/conform?from=curl").field("user-agent", "curl/8.14.1");
            s.send(call.basic(&ann.username, &ann.password)).await?.passed()
        })
    }),
    Statement::new("S1-06", "so does a token in the field after a login", |s| {
        Box::pin(async move {
            let call = Call::get("/api/conform?from=curl").field("user-agent", "curl/8.14.1");
            s.send(call.bearer(&access(s).await?.text)).await?.passed()
        })
    }),
    Statement::new("S1-07", "a login checks username and password from JSON", |s| {
        Box::pin(async move {
            signed_in(s).await?.status(200)?;
            let ann = s.ann().await?;
            let wrong = json!({ "username": ann.username, "password": "Wrong1@ wrong" });
            s.send(Call::post(LOGIN).json(&wrong)).await?.status(401)?;
            let half = json!({ "username": ann.username });
            s.send(Call::post(LOGIN).json(&half)).await?.status(400)?;
            Ok(())
        })
    }),
    Statement::new("S1-08", "the login's answer: status, two tokens, type Bearer", |s| {
        Box::pin(async move { is_pair(&signed_in(s).await?) })
    }),
    Statement::new("S1-09", "access tokens live 8 hours unless set otherwise", |s| {
        Box::pin(async move {
            match access(s).await?.lifetime()? {
                HOURS_8 => Ok(()),
                found if found > 0 => unseen(format!("set to {found} s on this gateway")),
                found => differs(format!("a lifetime of {found} s")),
            }
        })
    }),
    Statement::new("S1-10", "refresh tokens live seven days", |s| {
        Box::pin(async move { refresh_token(s).await?.lives(DAYS_7) })
    }),
    Statement::new("S1-11", "both tokens are signed with HS256, and forgeries refused", |s| {
        Box::pin(async move {
            for token in [access(s).await?, refresh_token(s).await?] {
                ensure(token.header.contains(r#""alg":"HS256""#), || {
                    format!("expected alg HS256, found {}", token.header)
                })?;
                ensure(token.signature.len() == 32, || {
                    format!("a signature of {} bytes", token.signature.len())
                })?;
            }
            let forged = access(s).await?.forged();
            s.send(Call::get(PROXIED).bearer(&forged)).await?.status(401)?;
            let forged = json!({ "refresh_token": refresh_token(s).await?.forged() });
            s.send(Call::post(REFRESH).json(&forged)).await?.status(401).map(drop)
        })
    }),
    Statement::new("S1-12", "the claim type is access or refresh", |s| {
        Box::pin(async move {
            for (token, kind) in
                [(access(s).await?, "access"), (refresh_token(s).await?, "refresh")]
            {
                ensure(token.claim("type") == kind, || {
                    format!("expected type {kind}, found {}", token.claim("type"))
                })?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-13", "token text begins eyJhbGciOi", |s| {
        Box::pin(async move {
            access(s).await?.begins("eyJhbGciOi")?;
            refresh_token(s).await?.begins("eyJhbGciOi")
        })
    }),
    Statement::new("S1-14", "a refresh token opens no protected endpoint", |s| {
        Box::pin(async move {
            let token = refresh_token(s).await?;
            for path in [PROXIED, WS_TOKEN] {
                s.send(Call::get(path).bearer(&token.text)).await?.status(401)?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-15", "a refresh token in the body brings a fresh pair", |s| {
        Box::pin(async move {
            let old = login(s, s.ann().await?).await?;
            let new = refresh(s, &old.text("/refresh_token")?).await?;
            is_pair(&new)?;
            let (before, after) = (old.text("/access_token")?, new.text("/access_token")?);
            ensure(before != after, || "the access token is the old one".to_owned())?;
            s.send(Call::get(PROXIED).bearer(&after)).await?.passed()
        })
    }),
    Statement::new("S1-16", "a logout succeeds and ends only the token it came with", |s| {
        Box::pin(async move {
            let mine = login(s, s.ann().await?).await?.text("/access_token")?;
            let done = s.send(Call::post(LOGOUT).bearer(&mine)).await?;
            done.status(200)?.is("/status", "success")?;
            s.send(Call::get(PROXIED).bearer(&access(s).await?.text)).await?.passed()
        })
    }),
    Statement::new("S1-17", "a token that was logged out is refused everywhere", |s| {
        Box::pin(async move {
            let token = login(s, s.ann().await?).await?.text("/access_token")?;
            s.send(Call::get(PROXIED).bearer(&token)).await?.passed()?;
            s.send(Call::post(LOGOUT).bearer(&token)).await?.status(200)?;
            for path in [PROXIED, WS_TOKEN] {
                s.send(Call::get(path).bearer(&token)).await?.status(401)?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-18", "and is so after a restart", |_| {
        Box::pin(async { unseen("a restart cannot be caused from outside") })
    }),
    Statement::new("S1-19", "a logout with Basic succeeds and changes nothing", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let done = s.send(Call::post(LOGOUT).basic(&ann.username, &ann.password)).await?;
            done.status(200)?.is("/status", "success")?;
            s.send(Call::get(PROXIED).basic(&ann.username, &ann.password)).await?.passed()?;
            s.send(Call::get(PROXIED).bearer(&access(s).await?.text)).await?.passed()
        })
    }),
    Statement::new("S1-20", "a password is changed with the current and the new one", |s| {
        Box::pin(async move {
            let bob = s.person().await?;
            let token = login(s, &bob).await?.text("/access_token")?;
            let done = change(s, &token, &bob.password, "Newer1@ newer").await?;
            done.status(200)?.is("/status", "success").map(drop)
        })
    }),
    Statement::new("S1-21", "a wrong current password changes nothing", |s| {
        Box::pin(async move {
            let token = access(s).await?.text;
            let refused = change(s, &token, "Wrong1@ wrong", "Newer1@ newer").await?;
            refused.status(401)?.is("/status", "error")?;
            login(s, s.ann().await?).await.map(drop)
        })
    }),
    Statement::new("S1-22", "the new password is hashed with bcrypt", |_| {
        Box::pin(async { unseen("no answer shows a hash") })
    }),
    Statement::new("S1-23", "at every moment the old password works or the new one", |s| {
        Box::pin(async move {
            let bob = s.person().await?;
            let newer = Person { password: "Newer1@ newer".to_owned(), ..bob.clone() };
            let token = login(s, &bob).await?.text("/access_token")?;
            let changed = change(s, &token, &bob.password, &newer.password);
            let (changed, watched) = tokio::join!(changed, never_neither(s, &bob, &newer));
            changed?.status(200)?;
            watched?;
            for (person, status) in [(&bob, 401), (&newer, 200)] {
                try_login(s, person).await?.status(status)?;
                let basic = Call::get(WS_TOKEN).basic(&person.username, &person.password);
                s.send(basic).await?.status(status)?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-24", "a ticket comes as status and token", |s| {
        Box::pin(async move {
            let answer = ticket_answer(s).await?;
            answer.members("", &["status", "token"])?.is("/status", "success")?;
            answer.text("/token").map(drop)
        })
    }),
    Statement::new("S1-25", "of many that bring one ticket, one gets in", |s| {
        Box::pin(async move {
            let path = ticket_route(s).await?;
            let ticket = ticket_answer(s).await?.text("/token")?;
            let call = Call::get(format!("{path}?token={ticket}"));
            let open = || s.client.open(&call);
            let (one, two, three) = tokio::join!(open(), open(), open());
            s.forgive().await?;
            let opened = [one?, two?, three?].iter().filter(|opened| opened.is_ok()).count();
            ensure(opened == 1, || format!("expected one of 3 to get in, found {opened}"))
        })
    }),
    Statement::new("S1-26", "a ticket is good for two minutes", |_| {
        Box::pin(async { unseen("no answer says how long, and a run does not wait so long") })
    }),
    Statement::new("S1-27", "a ticket opens the stream's WebSocket, once", |s| {
        Box::pin(async move {
            let path = ticket_route(s).await?;
            let ticket = ticket_answer(s).await?.text("/token")?;
            let call = Call::get(format!("{path}?token={ticket}"));
            if let Err(refused) = s.client.open(&call).await? {
                return Err(refused.fault("101"));
            }
            let again = s.client.open(&call).await?;
            s.forgive().await?;
            match again {
                Err(refused) => refused.status(401).map(drop),
                Ok(_) => differs("the ticket opened a second socket"),
            }
        })
    }),
    Statement::new("S1-28", "both health paths say healthy and a version", |s| {
        Box::pin(async move {
            for path in HEALTH {
                let health = s.send(Call::get(path)).await?;
                health.status(200)?.is("/status", "healthy")?.text("/version")?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-29", "health shows updates and CVEs when there are any", |s| {
        Box::pin(async move {
            let health = s.send(Call::get(HEALTH[0])).await?;
            let json = health.status(200)?.json()?;
            let none = json.get("pending_update").is_none() && json.get("cves").is_none();
            if none {
                return unseen("none pending on this gateway, and none shown");
            }
            let update = json.get("pending_update").is_none_or(serde_json::Value::is_string);
            let cves = json.get("cves").is_none_or(serde_json::Value::is_array);
            ensure(update && cves, || "an indicator that is no text or list".to_owned())
        })
    }),
    Statement::new("S1-30", "5 failed attempts in 300 s, then 429", |s| {
        Box::pin(async move {
            let locked = lock_out(s).await;
            s.forgive().await?;
            let Locked { failures, quota, window, .. } = locked?;
            ensure(failures == quota, || format!("{failures} failures, though {quota} are said"))?;
            match (quota, window) {
                (5, 300) => Ok(()),
                _ => unseen(format!("set to {quota} in {window} s on this gateway")),
            }
        })
    }),
    Statement::new("S1-31", "the 429 says in Retry-After when to come back", |s| {
        Box::pin(async move {
            let locked = lock_out(s).await;
            s.forgive().await?;
            let Locked { wait, window, .. } = locked?;
            ensure(wait >= 1 && wait <= window, || format!("Retry-After {wait} of {window} s"))
        })
    }),
    Statement::new("S1-32", "it holds for right passwords too, to the window's end", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let locked = lock_out(s).await;
            let right = Call::get(PROXIED).basic(&ann.username, &ann.password);
            let first = s.client.send_once(&right).await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let second = s.client.send_once(&right).await;
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
            let bucket = empty_bucket(s).await?;
            let began = Instant::now();
            let mut passed = 0;
            while began.elapsed() < Duration::from_secs(2) {
                for reply in s.client.send_together(&Call::get(HEALTH[0]), AT_ONCE).await? {
                    passed += u32::from(reply.status != 429);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let rate = f64::from(passed) / began.elapsed().as_secs_f64();
            let said = f64::from(bucket.quota) / f64::from(bucket.window);
            // The window is said in whole seconds.
            ensure(rate > said * 0.75 && rate < said * 1.25 + 1.0, || {
                format!("{rate:.1} requests/s passed, though {said:.1} are said")
            })?;
            match (bucket.quota, bucket.window) {
                (60, 3) => Ok(()),
                _ => unseen(format!("set to {said:.1} requests/s on this gateway")),
            }
        })
    }),
    Statement::new("S1-34", "and a burst of 60", |s| {
        Box::pin(async move {
            let bucket = empty_bucket(s).await?;
            let full = Duration::from_secs(u64::from(bucket.window)) + Duration::from_millis(500);
            if full > Duration::from_secs(30) {
                return unseen("the bucket takes too long to fill on this gateway");
            }
            tokio::time::sleep(full).await;
            let began = Instant::now();
            let passed = empty_bucket(s).await?.passed;
            let quota = bucket.quota;
            let refilled =
                began.elapsed().as_secs_f64() * f64::from(quota) / f64::from(bucket.window);
            let most = f64::from(quota) + refilled + 1.0;
            ensure(passed >= quota && f64::from(passed) <= most, || {
                format!("{passed} requests passed at once, though {quota} are said")
            })?;
            match quota {
                60 => Ok(()),
                _ => unseen(format!("set to {quota} on this gateway")),
            }
        })
    }),
    Statement::new("S1-35", "the two limits do not count for each other", |s| {
        Box::pin(async move {
            // Locked out, other requests pass.
            let locked = lock_out(s).await;
            let token_passes = s.client.send(&s.as_admin(Call::get(PROXIED))).await;
            s.forgive().await?;
            locked?;
            token_passes?.passed()?;
            // Out of requests, no attempt has failed.
            let emptied = empty_bucket(s).await;
            let failures = s.failures().await?;
            ensure(failures == 0, || format!("{failures} failed attempts without an attempt"))?;
            emptied.map(drop)
        })
    }),
];

pub(super) async fn try_login(s: &Stage, who: &Person) -> Result<Reply, Fault> {
    let body = json!({ "username": who.username, "password": who.password });
    s.send(Call::post(LOGIN).json(&body)).await
}

pub(super) async fn login(s: &Stage, who: &Person) -> Result<Reply, Fault> {
    let reply = try_login(s, who).await?;
    reply.status(200)?;
    Ok(reply)
}

/// The answer of one login that nothing ends.
pub(super) async fn signed_in(s: &Stage) -> Result<Reply, Fault> {
    let ann = s.ann().await?;
    s.once("status login", login(s, ann)).await
}

pub(super) async fn access(s: &Stage) -> Result<Token, Fault> {
    Token::read(&signed_in(s).await?.text("/access_token")?)
}

pub(super) async fn refresh_token(s: &Stage) -> Result<Token, Fault> {
    Token::read(&signed_in(s).await?.text("/refresh_token")?)
}

pub(super) async fn refresh(s: &Stage, token: &str) -> Result<Reply, Fault> {
    s.send(Call::post(REFRESH).json(&json!({ "refresh_token": token }))).await
}

pub(super) async fn change(
    s: &Stage,
    token: &str,
    current: &str,
    new: &str,
) -> Result<Reply, Fault> {
    let body = json!({ "current_password": current, "new_password": new });
    s.send(Call::post(CHANGE_PASSWORD).json(&body).bearer(token)).await
}

fn is_pair(reply: &Reply) -> Check {
    reply.status(200)?.members("", PAIR)?;
    reply.is("/status", "success")?.is("/token_type", "Bearer")?;
    Token::read(&reply.text("/access_token")?)?;
    Token::read(&reply.text("/refresh_token")?).map(drop)
}

/// Tries the old password until it fails; the new one must work then.
async fn never_neither(s: &Stage, old: &Person, new: &Person) -> Check {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        let tried = |who: &Person| Call::get(WS_TOKEN).basic(&who.username, &who.password);
        let reply = s.send(tried(old)).await?;
        if reply.status == 401 {
            return s.send(tried(new)).await?.status(200).map(drop);
        }
        reply.status(200)?;
    }
    differs("the old password still works after 10 s")
}

async fn ticket_answer(s: &Stage) -> Result<Reply, Fault> {
    let reply = s.send(Call::get(WS_TOKEN).bearer(&access(s).await?.text)).await?;
    reply.status(200)?;
    Ok(reply)
}

/// Where the shipped configuration has a WebSocket that tickets open.
const TICKETS: &str = "/api/logs/stream";

/// The path of a WebSocket that tickets open.
async fn ticket_route(s: &Stage) -> Result<&str, Fault> {
    if let Some(path) = s.ticket_path.as_deref() {
        return Ok(path);
    }
    let ticket = ticket_answer(s).await?.text("/token")?;
    match s.client.open(&Call::get(format!("{TICKETS}?token={ticket}"))).await? {
        Ok(_) => Ok(TICKETS),
        Err(refused) if matches!(refused.status, 401 | 404) => {
            unseen(format!("tickets have no route at {TICKETS}; name theirs with --ticket-path"))
        }
        Err(refused) => Err(refused.fault("101 with a ticket")),
    }
}

/// How a lock-out came about and what its answer says.
struct Locked {
    failures: u64,
    quota: u64,
    window: u64,
    wait: u64,
}

/// Fails until this address is refused. Whoever calls it has to forgive.
async fn lock_out(s: &Stage) -> Result<Locked, Fault> {
    /// More failures than any operator would allow.
    const MOST: u64 = 100;
    s.forgive().await?;
    for failures in 0..MOST {
        let wrong = Call::get(PROXIED).basic(&s.fresh_name(), "Wrong1@ wrong");
        let mut reply = s.client.send_once(&wrong).await?;
        if reply.status == 429 && limit_of(&reply) == Some(Limit::Requests) {
            reply = s.client.send(&wrong).await?;
        }
        if reply.status == 429 {
            let (quota, window) = policy(&reply).unwrap_or((5, 300));
            return Ok(Locked { failures, quota, window, wait: wait_of(&reply)? });
        }
        reply.status(401)?;
    }
    differs(format!("{MOST} failed attempts and still no 429"))
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
    quota: u32,
    window: u32,
}

/// Asks until the rate limit refuses.
async fn empty_bucket(s: &Stage) -> Result<Bucket, Fault> {
    let call = Call::get(HEALTH[0]);
    let mut passed = 0;
    while passed < MOST_REQUESTS {
        let mut refused = None;
        for reply in s.client.send_together(&call, AT_ONCE).await? {
            match reply.status {
                429 => refused = Some(reply),
                _ => passed += 1,
            }
        }
        if let Some(reply) = refused {
            wait_of(&reply)?;
            let (quota, window) = policy(&reply).unwrap_or((60, 3));
            let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).max(1);
            return Ok(Bucket { passed, quota: narrow(quota), window: narrow(window) });
        }
    }
    unseen(format!("{MOST_REQUESTS} requests on end met no limit"))
}
