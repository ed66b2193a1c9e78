//! S1, dialect `status`: Basic or bearer, token pairs, revocation, tickets, limits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Dialect::Status;
use crate::Statement;
use crate::client::Call;
use crate::delivery;
use crate::expected::Served;
use crate::fixture::{Fixture, Person};
use crate::reply::Reply;
use crate::report::{Check, Fault, differs, ensure, untried};
use crate::sign_in::{self, LOGIN, STATUS_TOKEN};
use crate::token::Token;

const REFRESH: &str = "/api/auth/refresh";
const LOGOUT: &str = "/api/logout";
const CHANGE_PASSWORD: &str = "/api/change-password";
const WS_TOKEN: &str = "/api/ws-token";
pub(crate) const HEALTH: [&str; 2] = ["/health", "/api/health"];
/// Members of every answer that brings a pair of tokens.
const PAIR: &[&str] = &["status", "access_token", "refresh_token", "token_type"];
const TOKENS: &[delivery::Token] = &[STATUS_TOKEN, delivery::Token::refresh("/refresh_token")];

pub(crate) const STATEMENTS: &[Statement] = &[
    Statement::new("S1-01", "protected paths take Basic and bearer alike", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let token = access(s).await?;
            for path in [&s.proxied, WS_TOKEN] {
                s.send(Call::get(path).basic(&ann.username, &ann.password)).await?.passed()?;
                s.send(Call::get(path).bearer(&token.text)).await?.passed()?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-02", "Basic passes with the password and with no other", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            s.send(Call::get(&s.proxied).basic(&ann.username, &ann.password)).await?.passed()?;
            let wrong = s.send(Call::get(&s.proxied).basic(&ann.username, "Wrong1@ wrong")).await?;
            wrong.status(401).map(drop)
        })
    }),
    Statement::new("S1-03", "bearer passes with a token and with nothing else", |s| {
        Box::pin(async move {
            s.send(Call::get(&s.proxied).bearer(&access(s).await?.text)).await?.passed()?;
            s.send(Call::get(&s.proxied).bearer("eyJhbGciOi.nothing.else")).await?.status(401)?;
            Ok(())
        })
    }),
    Statement::new("S1-04", "health is public, everything else under /api is not", |s| {
        Box::pin(async move {
            if s.expected.health == Served::Here {
                for path in HEALTH {
                    s.send(Call::get(path)).await?.status(200)?;
                }
            }
            for path in ["/api", "/api/", &s.proxied, &s.proxied_v1, WS_TOKEN] {
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
            s.send(from_curl(s).basic(&ann.username, &ann.password)).await?.passed()
        })
    }),
    Statement::new("S1-06", "so does a token in the field after a login", |s| {
        Box::pin(async move { s.send(from_curl(s).bearer(&access(s).await?.text)).await?.passed() })
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
        Box::pin(async move { access(s).await?.lives(s.expected.access_ttl(Status)) })
    }),
    Statement::new("S1-10", "refresh tokens live seven days", |s| {
        Box::pin(async move { refresh_token(s).await?.lives(s.expected.refresh_ttl) })
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
            s.send(Call::get(&s.proxied).bearer(&forged)).await?.status(401)?;
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
            for path in [&s.proxied, WS_TOKEN] {
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
            s.send(Call::get(&s.proxied).bearer(&after)).await?.passed()
        })
    }),
    Statement::new("S1-16", "a logout succeeds and ends only the token it came with", |s| {
        Box::pin(async move {
            let mine = login(s, s.ann().await?).await?.text("/access_token")?;
            let done = s.send(Call::post(LOGOUT).bearer(&mine)).await?;
            done.status(200)?.is("/status", "success")?;
            s.send(Call::get(&s.proxied).bearer(&access(s).await?.text)).await?.passed()
        })
    }),
    Statement::new("S1-17", "a token that was logged out is refused everywhere", |s| {
        Box::pin(async move {
            let token = login(s, s.ann().await?).await?.text("/access_token")?;
            s.send(Call::get(&s.proxied).bearer(&token)).await?.passed()?;
            s.send(Call::post(LOGOUT).bearer(&token)).await?.status(200)?;
            for path in [&s.proxied, WS_TOKEN] {
                s.send(Call::get(path).bearer(&token)).await?.status(401)?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-18", "and is so after a restart", |s| {
        Box::pin(async move {
            let ended = login(s, s.ann().await?).await?.text("/access_token")?;
            let kept = login(s, s.ann().await?).await?.text("/access_token")?;
            s.send(Call::post(LOGOUT).bearer(&ended)).await?.status(200)?;
            s.restart().await?;
            s.send(Call::get(&s.proxied).bearer(&ended)).await?.status(401)?;
            // Not for another reason, such as a key that is new with each start.
            s.send(Call::get(&s.proxied).bearer(&kept)).await?.passed()
        })
    }),
    Statement::new("S1-19", "a logout with Basic succeeds and changes nothing", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let done = s.send(Call::post(LOGOUT).basic(&ann.username, &ann.password)).await?;
            done.status(200)?.is("/status", "success")?;
            s.send(Call::get(&s.proxied).basic(&ann.username, &ann.password)).await?.passed()?;
            s.send(Call::get(&s.proxied).bearer(&access(s).await?.text)).await?.passed()
        })
    }),
    Statement::new("S1-20", "a password is changed with the current and the new one", |s| {
        Box::pin(async move {
            let bob = s.person().await?;
            let newer = Person { password: "Newer1@ newer".to_owned(), ..bob.clone() };
            let token = login(s, &bob).await?.text("/access_token")?;
            let done = change(s, &token, &bob.password, &newer.password).await?;
            done.status(200)?.is("/status", "success")?;
            try_login(s, &bob).await?.status(401)?;
            login(s, &newer).await.map(drop)
        })
    }),
    Statement::new("S1-21", "a wrong current password changes nothing", |s| {
        Box::pin(async move {
            let token = access(s).await?.text;
            let refused = change(s, &token, "Wrong1@ wrong", "Newer1@ newer").await?;
            refused.status(401)?.is("/status", "error")?;
            let ann = s.ann().await?;
            login(s, ann).await?;
            let newer = Person { password: "Newer1@ newer".to_owned(), ..ann.clone() };
            try_login(s, &newer).await?.status(401).map(drop)
        })
    }),
    Statement::new("S1-22", "the new password is hashed with bcrypt", |s| {
        Box::pin(async move {
            let bob = s.person().await?;
            let before = s.provided.hash_of(&bob.username).await?;
            let newer = "Newer1@ newer";
            let token = login(s, &bob).await?.text("/access_token")?;
            change(s, &token, &bob.password, newer).await?.status(200)?;
            let after = s.provided.hash_of(&bob.username).await?;
            ensure(after != before, || "the hash is what it was".to_owned())?;
            // `$2b$12$…`: each more doubles the time that it takes to look.
            let cost = after.split('$').nth(2).and_then(|cost| cost.parse::<u32>().ok());
            if cost.is_some_and(|cost| cost > MOST_COST) {
                return untried("the hash takes too long to verify");
            }
            let is_of = |password: String| {
                let hash = after.clone();
                tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash))
            };
            for (password, fits) in [(newer.to_owned(), true), (bob.password, false)] {
                match is_of(password).await {
                    Ok(Ok(verified)) if verified == fits => {}
                    Ok(Ok(_)) => return differs("the hash is not of the new password"),
                    Ok(Err(_)) | Err(_) => return differs("the hash is none of bcrypt's"),
                }
            }
            Ok(())
        })
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
    Statement::new("S1-26", "a ticket is good for two minutes", |s| {
        Box::pin(async move {
            let path = ticket_route(s).await?;
            let life = s.expected.ticket_ttl;
            let slack = (life / 4).min(Duration::from_secs(2));
            let (early_by, late_by) = (life.saturating_sub(slack), life + slack);
            s.waits(late_by)?;
            let asked = Instant::now();
            let early = ticket_answer(s).await?.text("/token")?;
            let late = ticket_answer(s).await?.text("/token")?;
            let issued = Instant::now();
            let open =
                async |ticket| s.client.open(&Call::get(format!("{path}?token={ticket}"))).await;
            tokio::time::sleep_until((asked + early_by).into()).await;
            let opened = open(early).await?;
            if asked.elapsed() >= life {
                return untried("the gateway answers too slowly for a ticket that lives so short");
            }
            tokio::time::sleep_until((issued + late_by).into()).await;
            let refused = open(late).await?;
            s.forgive().await?;
            match (opened, refused) {
                (Ok(_), Err(refused)) => refused.status(401).map(drop),
                (Err(refused), _) => Err(refused.fault("101 at the end of its life")),
                (_, Ok(_)) => differs(format!("a ticket outlives {} s", life.as_secs())),
            }
        })
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
            health_is_here(s)?;
            for path in HEALTH {
                let health = s.send(Call::get(path)).await?;
                health.status(200)?.is("/status", "healthy")?.text("/version")?;
            }
            Ok(())
        })
    }),
    Statement::new("S1-29", "health shows updates and CVEs when there are any", |s| {
        Box::pin(async move {
            health_is_here(s)?;
            let health = s.send(Call::get(HEALTH[0])).await?;
            let json = health.status(200)?.json()?;
            let none = json.get("pending_update").is_none() && json.get("cves").is_none();
            if none {
                return untried("none pending here, and none shown: set health.advisory_file");
            }
            let update = json.get("pending_update").is_none_or(Value::is_string);
            let cves = json.get("cves").is_none_or(Value::is_array);
            ensure(update && cves, || "an indicator that is no text or list".to_owned())
        })
    }),
];

/// Of bcrypt, for some seconds.
const MOST_COST: u32 = 16;

/// What curl sends to a path with a query.
fn from_curl(s: &Fixture) -> Call {
    Call::get(format!("{}?from=curl", s.proxied)).field("user-agent", "curl/8.14.1")
}

/// That it is the upstream's is stated by the operator.
pub(crate) fn health_is_here(s: &Fixture) -> Check {
    match s.expected.health {
        Served::Here => Ok(()),
        Served::Not => untried("health is the upstream's on this gateway"),
    }
}

pub(crate) async fn try_login(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let sign_in = sign_in::status(&who.username, &who.password);
    s.delivered(Status, s.send(sign_in).await?, TOKENS)
}

pub(crate) async fn login(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let reply = try_login(s, who).await?;
    reply.status(200)?;
    Ok(reply)
}

/// The answer of one login that nothing ends.
pub(crate) async fn signed_in(s: &Fixture) -> Result<Reply, Fault> {
    let ann = s.ann().await?;
    s.once("status login", login(s, ann)).await
}

pub(crate) async fn access(s: &Fixture) -> Result<Token, Fault> {
    Token::read(&signed_in(s).await?.text("/access_token")?)
}

pub(crate) async fn refresh_token(s: &Fixture) -> Result<Token, Fault> {
    Token::read(&signed_in(s).await?.text("/refresh_token")?)
}

pub(crate) async fn refresh(s: &Fixture, token: &str) -> Result<Reply, Fault> {
    let reply = s.send(Call::post(REFRESH).json(&json!({ "refresh_token": token }))).await?;
    s.delivered(Status, reply, TOKENS)
}

pub(crate) async fn change(
    s: &Fixture,
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
async fn never_neither(s: &Fixture, old: &Person, new: &Person) -> Check {
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

async fn ticket_answer(s: &Fixture) -> Result<Reply, Fault> {
    let reply = s.send(Call::get(WS_TOKEN).bearer(&access(s).await?.text)).await?;
    reply.status(200)?;
    Ok(reply)
}

/// Where the shipped configuration has a WebSocket that tickets open.
const TICKETS: &str = "/api/logs/stream";

/// The path of a WebSocket that tickets open.
async fn ticket_route(s: &Fixture) -> Result<&str, Fault> {
    if let Some(path) = s.ticket_path.as_deref() {
        return Ok(path);
    }
    let ticket = ticket_answer(s).await?.text("/token")?;
    match s.client.open(&Call::get(format!("{TICKETS}?token={ticket}"))).await? {
        Ok(_) => Ok(TICKETS),
        Err(refused) if matches!(refused.status, 401 | 404) => {
            untried(format!("tickets have no route at {TICKETS}; name theirs with --ticket-path"))
        }
        Err(refused) => Err(refused.fault("101 with a ticket")),
    }
}
