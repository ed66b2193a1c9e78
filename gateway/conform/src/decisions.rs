//! What the documents leave open and this gateway has settled.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Dialect::{Envelope, Form, Plain, Status};
use crate::client::Call;
use crate::collisions::{access_tokens, is_error_of};
use crate::expected::Counted;
use crate::fixture::{Fixture, Person};
use crate::form::{accepted, agent_key, agent_socket, auth_message, ends, free_key, new_free_key};
use crate::limits::no_failures;
use crate::report::{Check, Fault, differs, ensure, untried};
use crate::socket::Message;
use crate::{Statement, form, plain, status, upload};

pub(crate) const STATEMENTS: &[Statement] = &[
    Statement::new("D-01", "form: a registration is answered with 201", |s| {
        Box::pin(async move {
            s.needs(&[Form])?;
            form::registered(s).await?.1.status(201).map(drop)
        })
    }),
    Statement::new("D-02", "plain: a login brings refreshToken as well", |s| {
        Box::pin(async move {
            s.needs(&[Plain])?;
            plain::signed_in(s).await?.text("/refreshToken").map(drop)
        })
    }),
    Statement::new("D-03", "every dialect has its shape of error", |s| {
        Box::pin(async move {
            let broken = "{\"";
            let calls = [
                (Form, Call::post("/api/v1/auth/register").typed("application/json", broken)),
                (Status, Call::post("/api/logout")),
                (Envelope, Call::post("/api/auth/register").typed("application/json", broken)),
                (Plain, Call::post("/api/v1/auth/logout")),
            ];
            for (dialect, call) in calls {
                if s.needs(&[dialect]).is_ok() {
                    is_error_of(dialect, &s.send(call).await?.json()?)?;
                }
            }
            Ok(())
        })
    }),
    Statement::new("D-04", "a key passes in X-API-Key and as bearer", |s| {
        Box::pin(async move {
            let key = free_key(s).await?;
            s.send(Call::get(&s.proxied_v1).key(&key.text)).await?.passed()?;
            s.send(Call::get(&s.proxied_v1).bearer(&key.text)).await?.passed()?;
            let last = if key.text.ends_with('a') { 'b' } else { 'a' };
            let mistyped = format!("{}{last}", &key.text[..key.text.len() - 1]);
            s.send(Call::get(&s.proxied_v1).key(&mistyped)).await?.status(401).map(drop)
        })
    }),
    Statement::new("D-05", "a socket whose key is not good: auth_error, close 4401", |s| {
        Box::pin(async move {
            let mut socket = agent_socket(s).await?;
            socket.send(&auth_message("sk_live_000000000000000000000000")).await?;
            let answer = socket.next().await;
            let closed = socket.next().await;
            s.forgive().await?;
            match answer? {
                Message::Text(text) if text.contains(r#""auth_error""#) => {}
                other => return differs(format!("expected auth_error, found {other:?}")),
            }
            match closed? {
                Message::Close(Some(4401)) => Ok(()),
                other => differs(format!("expected a close with 4401, found {other:?}")),
            }
        })
    }),
    Statement::new("D-06", "a socket that stays silent is closed after 5 seconds", |s| {
        Box::pin(async move {
            let mut socket = agent_socket(s).await?;
            let opened = Instant::now();
            loop {
                match socket.next_within(Duration::from_secs(8)).await? {
                    Message::Text(_) => {}
                    Message::Close(Some(4401)) => break,
                    other => return differs(format!("expected 4401, found {other:?}")),
                }
            }
            let took = opened.elapsed();
            ensure(took > Duration::from_secs(4), || format!("closed after {took:.1?} already"))
        })
    }),
    Statement::new("D-07", "claims: sub, type, iat, nbf, exp, jti, sid, iss, aud", |s| {
        Box::pin(async move {
            for (dialect, token) in access_tokens(s).await? {
                for claim in ["sub", "type", "iat", "nbf", "exp", "jti", "sid", "iss", "aud"] {
                    ensure(!token.claim(claim).is_null(), || {
                        format!("{}: no claim {claim}", dialect.word())
                    })?;
                }
            }
            Ok(())
        })
    }),
    Statement::new("D-08", "an answer with a credential in it is never stored", |s| {
        Box::pin(async move {
            s.needs(&[Status])?;
            let said = status::signed_in(s).await?;
            let said = said.field("cache-control").unwrap_or_default();
            ensure(said.contains("no-store"), || format!("Cache-Control is {said:?}"))
        })
    }),
    Statement::new("D-09", "a password change ends the other sessions, not this one", |s| {
        Box::pin(async move {
            s.needs(&[Status])?;
            let bob = s.person().await?;
            let (mine, other) = (status::login(s, &bob).await?, status::login(s, &bob).await?);
            let token = mine.text("/access_token")?;
            let changed = status::change(s, &token, &bob.password, "Newer1@ newer").await?;
            changed.status(200)?;
            s.send(Call::get(&s.proxied).bearer(&token)).await?.passed()?;
            let ended = other.text("/access_token")?;
            s.send(Call::get(&s.proxied).bearer(&ended)).await?.status(401)?;
            status::refresh(s, &other.text("/refresh_token")?).await?.status(401).map(drop)
        })
    }),
    Statement::new("D-10", "a disabled user is refused with the next request", |s| {
        Box::pin(async move {
            s.needs(&[Status])?;
            let bob = s.person().await?;
            let token = status::login(s, &bob).await?.text("/access_token")?;
            s.send(Call::get(&s.proxied).bearer(&token)).await?.passed()?;
            let path = format!("/api/admin/users/{}", bob.id);
            let disable = Call::patch(path).json(&json!({ "state": "disabled" }));
            s.admin(disable).await?.status(200)?;
            s.send(Call::get(&s.proxied).bearer(&token)).await?.status(401)?;
            status::try_login(s, &bob).await?.status(401).map(drop)
        })
    }),
    Statement::new("D-11", "an open WebSocket ends within a second of its credential", |s| {
        Box::pin(async move {
            let key = new_free_key(s).await?;
            let mut socket = match s.client.open(&Call::get(&s.proxied).key(&key.text)).await? {
                Ok(socket) => socket,
                // Of an upstream that serves the path but no WebSocket there.
                Err(refused) if !s.echo && matches!(refused.status, 200 | 400 | 404 | 426) => {
                    let path = &s.proxied;
                    return untried(format!("the upstream opens no WebSocket at {path}"));
                }
                Err(refused) => return Err(refused.fault("101")),
            };
            let path = format!("/api/admin/keys/{}", key.id);
            s.admin(Call::delete(path)).await?.status(204)?;
            ends(&mut socket).await
        })
    }),
    Statement::new("D-12", "what follows the first message goes to the upstream", |s| {
        Box::pin(async move {
            let key = agent_key(s).await?;
            let mut socket = agent_socket(s).await?;
            socket.send(&auth_message(&key.text)).await?;
            accepted(&mut socket).await?;
            if !s.echo {
                return untried("only the upstream echo shows what comes after it");
            }
            // From here on the upstream answers.
            socket.send("hello").await?;
            match socket.next().await? {
                Message::Text(text) if text == "hello" => Ok(()),
                other => differs(format!("expected the message back, found {other:?}")),
            }
        })
    }),
    Statement::new("D-13", "identity fields of a client never reach an upstream", |s| {
        Box::pin(async move {
            if !s.echo {
                return untried("only the upstream echo shows what it was sent");
            }
            // In every spelling that some upstream reads as one of them.
            let forged = [
                "x-portcullis-username",
                "x_portcullis_username",
                "x!portcullis!username",
                "x.portcullis.roles",
                "x-portcullis-roles",
                "x-portcullis-server-id",
                "x-forwarded-user",
                "x-auth-request-user",
                "x-remote-user",
            ];
            let mut call = s.as_admin(Call::get(&s.proxied));
            for name in forged {
                call = call.field(name, "forged-by-conform");
            }
            let seen = s.client.send(&call).await?;
            let text = String::from_utf8_lossy(&seen.status(200)?.body).into_owned();
            ensure(!text.contains("forged-by-conform"), || "a forged field went on".to_owned())
        })
    }),
    Statement::new("D-14", "two credentials at once are refused", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let key = agent_key(s).await?;
            let both = Call::get(&s.proxied).basic(&ann.username, &ann.password).key(&key.text);
            s.send(both).await?.status(400).map(drop)
        })
    }),
    Statement::new("D-15", "an ordinary user has nothing to do with the admin API", |s| {
        Box::pin(async move {
            let ann: &Person = s.ann().await?;
            let call = Call::get("/api/admin/users").basic(&ann.username, &ann.password);
            s.send(call).await?.status(403)?;
            s.send(Call::get("/api/admin/users")).await?.status(401).map(drop)
        })
    }),
    Statement::new("D-16", "only wrong passwords count as failed attempts", |s| {
        Box::pin(async move {
            let judged = refused_without_a_guess(s).await;
            let failures = s.failures().await;
            s.forgive().await?;
            judged?;
            let failures = failures?;
            match s.expected.counted {
                Counted::Passwords => ensure(failures == 0, || {
                    format!("{failures} failed attempts without a wrong password")
                })?,
                Counted::All => ensure(failures > 0, || "a refused token is not counted".into())?,
            }
            fails_once(s, Call::get(&s.proxied).basic(&s.fresh_name(), WRONG)).await
        })
    }),
    Statement::new("D-17", "another site's page signs nobody in and fails no attempt", |s| {
        Box::pin(async move {
            s.needs(&[Status])?;
            let ann = s.ann().await?;
            let body = json!({ "username": ann.username, "password": ann.password });
            let login = |site: &str| {
                Call::post("/api/auth/login").json(&body).field("sec-fetch-site", site)
            };
            s.send(login("same-origin")).await?.status(200)?;
            let basic = Call::post(&s.proxied).basic(&s.fresh_name(), WRONG);
            s.forgive().await?;
            for foreign in [login("cross-site"), basic.field("sec-fetch-site", "cross-site")] {
                s.client.send(&foreign).await?.status(403)?;
            }
            no_failures(s).await
        })
    }),
    Statement::new("D-18", "a former password by Basic is refused and is no guess", |s| {
        Box::pin(async move {
            s.needs(&[Status])?;
            let bob = s.person().await?;
            let token = status::login(s, &bob).await?.text("/access_token")?;
            let changed = status::change(s, &token, &bob.password, "Newer1@ newer").await?;
            changed.status(200)?;
            s.forgive().await?;
            let former = Call::get(&s.proxied).basic(&bob.username, &bob.password);
            s.client.send(&former).await?.status(401)?;
            if s.expected.counted == Counted::Passwords {
                no_failures(s).await?;
            }
            s.forgive().await?;
            // Whoever types it into a login is not a page that was left open.
            let body = json!({ "username": bob.username, "password": bob.password });
            fails_once(s, Call::post("/api/auth/login").json(&body)).await
        })
    }),
    Statement::new("D-19", "further members are ignored, and an error names its member", |s| {
        Box::pin(async move {
            s.needs(&[Status])?;
            let ann = s.ann().await?;
            let more = json!({
                "username": ann.username, "password": ann.password, "device_name": "conform",
            });
            s.send(Call::post("/api/auth/login").json(&more)).await?.status(200)?;
            let less = json!({ "username": ann.username });
            let refused = s.send(Call::post("/api/auth/login").json(&less)).await?;
            let words = refused.status(400)?.text("/error")?;
            ensure(words.contains("password"), || format!("{words:?} names no member"))
        })
    }),
    Statement::new("D-20", "a key of no server opens no agent's socket", |s| {
        Box::pin(async move {
            let key = free_key(s).await?;
            let mut socket = agent_socket(s).await?;
            socket.send(&auth_message(&key.text)).await?;
            match socket.next().await? {
                Message::Text(text) if text.contains(r#""auth_error""#) => Ok(()),
                other => differs(format!("expected auth_error, found {other:?}")),
            }
        })
    }),
    Statement::new("D-21", "an upload that is refused before it has come is told why", |s| {
        Box::pin(upload::refused_in_words(s))
    }),
];

const WRONG: &str = "Wrong1@ wrong";

/// Sends what is refused but holds no password: a token of each kind, a key, a first
/// message. Whoever calls it has to forgive.
async fn refused_without_a_guess(s: &Fixture) -> Check {
    s.forgive().await?;
    let (_, token) = access_tokens(s)
        .await?
        .pop()
        .ok_or_else(|| Fault::Untried("no dialect is served that gives a token".to_owned()))?;
    let bearer = Call::get(&s.proxied).bearer(&token.forged());
    s.client.send(&bearer).await?.status(401)?;
    if s.expected.counted == Counted::All {
        return Ok(());
    }
    let mut calls = vec![Call::get(&s.proxied_v1).key("sk_live_000000000000000000000000")];
    let refresh = [
        (Form, "/api/v1/auth/refresh", "refresh_token"),
        (Status, "/api/auth/refresh", "refresh_token"),
        (Plain, "/api/v1/auth/refresh", "refreshToken"),
    ];
    for (dialect, path, member) in refresh {
        if s.needs(&[dialect]).is_ok() {
            calls.push(Call::post(path).json(&json!({ member: token.forged() })));
        }
    }
    for call in calls {
        s.client.send(&call).await?.status(401)?;
    }
    match agent_socket(s).await {
        Ok(mut socket) => {
            socket.send(&auth_message("sk_live_000000000000000000000000")).await?;
            socket.next().await.map(drop)
        }
        // Agents have no route here.
        Err(Fault::Untried(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// A refusal that is counted, once.
async fn fails_once(s: &Fixture, wrong: Call) -> Check {
    s.forgive().await?;
    let refused = s.client.send(&wrong).await;
    let failures = s.failures().await;
    s.forgive().await?;
    refused?.status(401)?;
    let failures = failures?;
    ensure(failures == 1, || format!("a wrong password is counted {failures} times"))
}
