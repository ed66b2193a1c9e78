//! S3, dialect `plain`: bare answers in camel case, `error` and nothing else, API
//! keys.

use serde_json::json;

use crate::Dialect::Plain;
use crate::Statement;
use crate::client::Call;
use crate::delivery;
use crate::expected::Served;
use crate::fixture::{Fixture, Person};
use crate::reply::{Precision, Reply, has_prefix, time};
use crate::report::{Check, Fault, differs, ensure, untried};
use crate::sign_in::{self, LOGIN_V1 as LOGIN, PLAIN_TOKEN};
use crate::token::Token;

const REFRESH: &str = "/api/v1/auth/refresh";
const LOGOUT: &str = "/api/v1/auth/logout";
const KEYS: &str = "/api/v1/auth/keys";
const PAIR: &[delivery::Token] = &[PLAIN_TOKEN, delivery::Token::refresh("/refreshToken")];
const NO_SUCH_KEY: &str = "key_abc123";

pub(crate) const STATEMENTS: &[Statement] = &[
    Statement::new("S3-01", "the token in the Authorization field opens /api/v1", |s| {
        Box::pin(async move {
            s.send(Call::get(&s.proxied_v1)).await?.status(401)?;
            s.send(Call::get(&s.proxied_v1).bearer(&access(s).await?.text)).await?.passed()
        })
    }),
    Statement::new("S3-02", "a login takes username and password, both", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            signed_in(s).await?.status(200)?;
            for half in [json!({ "username": ann.username }), json!({ "password": ann.password })] {
                let refused = s.send(Call::post(LOGIN).json(&half)).await?;
                refused.status(400)?.members("", &["error"])?;
            }
            Ok(())
        })
    }),
    Statement::new("S3-03", "its answer: token, expires_in 3600, user; ids like user_123", |s| {
        Box::pin(async move {
            let (ann, answer) = (s.ann().await?, signed_in(s).await?);
            // Without a refresh token in it, nobody could refresh.
            let members = ["token", "expires_in", "user", "refreshToken"];
            answer.status(200)?.members("", &members)?;
            answer.is("/expires_in", s.expected.access_ttl(Plain))?;
            answer.has_members("/user", &["id", "username", "email"])?;
            answer.is("/user/username", ann.username.as_str())?;
            answer.is("/user/email", ann.email.as_str())?;
            has_prefix(&answer.text("/user/id")?, "user_")
        })
    }),
    Statement::new("S3-04", "the token lives an hour", |s| {
        Box::pin(async move { access(s).await?.lives(s.expected.access_ttl(Plain)) })
    }),
    Statement::new("S3-05", "its header text is that of HS256 and JWT, to the letter", |s| {
        Box::pin(async move { access(s).await?.begins("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.") })
    }),
    Statement::new("S3-06", "a wrong password: 401 Invalid credentials", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let wrong = Person { password: "Wrong1@ wrong".to_owned(), ..ann.clone() };
            let refused = try_login(s, &wrong).await?;
            refused.status(401)?.body_is(json!({ "error": "Invalid credentials" })).map(drop)
        })
    }),
    Statement::new("S3-07", "an unknown user: 401 User not found, or the same if hidden", |s| {
        Box::pin(async move {
            let refused = try_login(s, &s.stranger()).await?;
            let hidden = json!({ "error": "Invalid credentials" });
            if refused.status(401)?.json()? == hidden {
                return Ok(());
            }
            refused.body_is(json!({ "error": "User not found" })).map(drop)
        })
    }),
    Statement::new("S3-08", "a refresh token brings a token and expires_in 3600", |s| {
        Box::pin(async move {
            let answer = refresh(s, &login(s, s.ann().await?).await?).await?;
            let ttl = s.expected.access_ttl(Plain);
            answer.status(200)?.members("", &["token", "expires_in"])?.is("/expires_in", ttl)?;
            let token = Token::read(&answer.text("/token")?)?;
            token.lives(ttl)?;
            s.send(Call::get(&s.proxied_v1).bearer(&token.text)).await?.passed()
        })
    }),
    Statement::new("S3-09", "a bad one: 401 Invalid or expired refresh token", |s| {
        Box::pin(async move {
            let words = json!({ "error": "Invalid or expired refresh token" });
            let of_access = access(s).await?.text;
            for bad in ["nonsense", &of_access] {
                let body = json!({ "refreshToken": bad });
                let refused = s.send(Call::post(REFRESH).json(&body)).await?;
                refused.status(401)?.body_is(words.clone())?;
            }
            Ok(())
        })
    }),
    Statement::new("S3-10", "a logout says so", |s| {
        Box::pin(async move {
            let token = login(s, s.ann().await?).await?.text("/token")?;
            let done = s.send(Call::post(LOGOUT).bearer(&token)).await?;
            done.status(200)?.body_is(json!({ "message": "Successfully logged out" })).map(drop)
        })
    }),
    Statement::new("S3-11", "and ends the session with all its tokens", |s| {
        Box::pin(async move {
            let answer = login(s, s.ann().await?).await?;
            let token = answer.text("/token")?;
            let second = refresh(s, &answer).await?.text("/token")?;
            for token in [&token, &second] {
                s.send(Call::get(&s.proxied_v1).bearer(token)).await?.passed()?;
            }
            s.send(Call::post(LOGOUT).bearer(&token)).await?.status(200)?;
            for token in [&token, &second] {
                s.send(Call::get(&s.proxied_v1).bearer(token)).await?.status(401)?;
            }
            refresh(s, &answer).await?.status(401).map(drop)
        })
    }),
    Statement::new("S3-12", "without a token: 401 Authentication required", |s| {
        Box::pin(async move {
            let refused = s.send(Call::post(LOGOUT)).await?;
            refused.status(401)?.body_is(json!({ "error": "Authentication required" })).map(drop)
        })
    }),
    Statement::new("S3-13", "key management can be switched off", |s| {
        Box::pin(async move {
            let token = access(s).await?.text;
            let make = Call::post(KEYS).json(&json!({ "name": s.fresh_name() }));
            let (list, made) = if s.expected.keys == Served::Here {
                listed(s, &token).await?;
                (
                    s.provided.send_without_keys(Call::get(KEYS)).await?,
                    s.provided.send_without_keys(make).await?,
                )
            } else {
                let list = s.send(Call::get(KEYS).bearer(&token)).await?;
                (list, s.send(make.bearer(&token)).await?)
            };
            let listed = list.status == 200 && list.json().is_ok_and(|body| body.is_array());
            if made.at("/apiKey").is_ok() {
                let remove = Call::delete(format!("{KEYS}/{}", made.text("/keyId")?));
                match s.expected.keys {
                    Served::Here => s.provided.send_without_keys(remove).await?,
                    Served::Not => s.send(remove.bearer(&token)).await?,
                };
                return differs("it is on: a key was made, and removed");
            }
            ensure(!listed, || "it is on: keys are listed".to_owned())?;
            // The upstream's, or nobody's. Everything else tells nothing of keys.
            for reply in [list, made] {
                if !matches!(reply.status, 200..=299 | 404 | 405) {
                    return Err(reply.fault("2xx of the upstream, 404 or 405"));
                }
            }
            Ok(())
        })
    }),
    Statement::new("S3-14", "a key alone gives access", |s| {
        Box::pin(async move {
            let key = key(s).await?;
            s.send(Call::get(&s.proxied_v1).key(&key.text("/apiKey")?)).await?.passed()
        })
    }),
    Statement::new("S3-15", "a new key: 201 with keyId, apiKey, name, createdAt", |s| {
        Box::pin(async move {
            let key = key(s).await?;
            key.status(201)?.members("", &["keyId", "apiKey", "name", "createdAt"])?;
            key.is("/name", "conform")?;
            s.send(Call::post(KEYS).json(&json!({}))).await?.status(401).map(drop)
        })
    }),
    Statement::new("S3-16", "key_…, sk_live_ and 24 or more, a time in seconds", |s| {
        Box::pin(async move {
            let key = key(s).await?;
            has_prefix(&key.text("/keyId")?, "key_")?;
            let text = key.text("/apiKey")?;
            let secret = text.strip_prefix("sk_live_").unwrap_or_default();
            ensure(secret.len() >= 24, || "expected sk_live_ and 24 characters".to_owned())?;
            let made = time(&key.text("/createdAt")?, Precision::Seconds)?;
            is_near(&key, made)
        })
    }),
    Statement::new("S3-17", "one's own keys in a bare list, without secrets", |s| {
        Box::pin(async move {
            let key = key(s).await?;
            let id = key.text("/keyId")?;
            let list = listed(s, &access(s).await?.text).await?;
            let items = list.at("")?.as_array().cloned().unwrap_or_default();
            let mine = items.iter().position(|item| item["keyId"] == id.as_str());
            let Some(mine) = mine else { return Err(list.fault("the new key in it")) };
            for (place, _) in items.iter().enumerate() {
                let members = ["keyId", "name", "createdAt", "lastUsed"];
                list.has_members(&format!("/{place}"), &members)?;
            }
            time(&list.text(&format!("/{mine}/createdAt"))?, Precision::Seconds)?;
            let text = String::from_utf8_lossy(&list.body).into_owned();
            ensure(!text.contains("sk_live_"), || "a secret is listed".to_owned())?;
            // Somebody else's list is not this one.
            let other = login(s, &s.person().await?).await?.text("/token")?;
            listed(s, &other).await?.body_is(json!([])).map(drop)
        })
    }),
    Statement::new("S3-18", "lastUsed is null, then the time of use", |s| {
        Box::pin(async move {
            let key = new_key(s).await?;
            let id = key.text("/keyId")?;
            let before = last_used(s, &id).await?;
            ensure(before.is_null(), || format!("expected null before its use, found {before}"))?;
            let used = s.send(Call::get(&s.proxied_v1).key(&key.text("/apiKey")?)).await?;
            used.passed()?;
            match last_used(s, &id).await?.as_str() {
                Some(text) => is_near(&used, time(text, Precision::Seconds)?),
                None => differs("still null after its use"),
            }
        })
    }),
    Statement::new("S3-19", "a deleted key: 204, no body, and it stops working", |s| {
        Box::pin(async move {
            let key = new_key(s).await?;
            let text = key.text("/apiKey")?;
            s.send(Call::get(&s.proxied_v1).key(&text)).await?.passed()?;
            let gone = delete(s, &key.text("/keyId")?).await?;
            ensure(gone.status(204)?.body.is_empty(), || "204 with a body".to_owned())?;
            s.send(Call::get(&s.proxied_v1).key(&text)).await?.status(401).map(drop)
        })
    }),
    Statement::new("S3-20", "an unknown key or another's: 404 API key not found", |s| {
        Box::pin(async move {
            let words = json!({ "error": "API key not found" });
            let key = new_key(s).await?;
            let bob = s.person().await?;
            let other = login(s, &bob).await?.text("/token")?;
            let path = format!("{KEYS}/{}", key.text("/keyId")?);
            let foreign = s.send(Call::delete(path).bearer(&other)).await?;
            foreign.status(404)?.body_is(words.clone())?;
            // It is still there.
            s.send(Call::get(&s.proxied_v1).key(&key.text("/apiKey")?)).await?.passed()?;
            delete(s, NO_SUCH_KEY).await?.status(404)?.body_is(words).map(drop)
        })
    }),
];

pub(crate) async fn try_login(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let sign_in = sign_in::plain(&who.username, &who.password);
    s.delivered(Plain, s.send(sign_in).await?, PAIR)
}

pub(crate) async fn login(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let reply = try_login(s, who).await?;
    reply.status(200)?;
    Ok(reply)
}

/// The answer of one login that nothing ends.
pub(crate) async fn signed_in(s: &Fixture) -> Result<Reply, Fault> {
    let ann = s.ann().await?;
    s.once("plain login", login(s, ann)).await
}

pub(crate) async fn access(s: &Fixture) -> Result<Token, Fault> {
    Token::read(&signed_in(s).await?.text("/token")?)
}

/// Redeems the refresh token of a login's answer.
pub(crate) async fn refresh(s: &Fixture, login: &Reply) -> Result<Reply, Fault> {
    redeem(s, &login.text("/refreshToken")?).await
}

pub(crate) async fn redeem(s: &Fixture, token: &str) -> Result<Reply, Fault> {
    let body = json!({ "refreshToken": token });
    s.delivered(Plain, s.send(Call::post(REFRESH).json(&body)).await?, &[PLAIN_TOKEN])
}

/// That it is switched off is stated by the operator.
fn keys_are_served(s: &Fixture) -> Check {
    match s.expected.keys {
        Served::Here => Ok(()),
        Served::Not => untried("key management is switched off on this gateway"),
    }
}

pub(crate) async fn new_key(s: &Fixture) -> Result<Reply, Fault> {
    keys_are_served(s)?;
    let call = Call::post(KEYS).json(&json!({ "name": "conform" }));
    let reply = s.send(call.bearer(&access(s).await?.text)).await?;
    reply.status(201)?;
    Ok(reply)
}

/// A key that nothing ends.
async fn key(s: &Fixture) -> Result<Reply, Fault> {
    s.once("plain key", new_key(s)).await
}

async fn listed(s: &Fixture, token: &str) -> Result<Reply, Fault> {
    let reply = s.send(Call::get(KEYS).bearer(token)).await?;
    reply.status(200)?;
    Ok(reply)
}

async fn last_used(s: &Fixture, id: &str) -> Result<serde_json::Value, Fault> {
    let list = listed(s, &access(s).await?.text).await?;
    let items = list.at("")?.as_array().cloned().unwrap_or_default();
    let mine = items.into_iter().find(|item| item["keyId"] == id);
    mine.map(|item| item["lastUsed"].clone()).ok_or_else(|| list.fault("the key in it"))
}

async fn delete(s: &Fixture, id: &str) -> Result<Reply, Fault> {
    s.send(Call::delete(format!("{KEYS}/{id}")).bearer(&access(s).await?.text)).await
}

/// The time is about that of the response, which says when it was sent (RFC 9110 6.6.1).
pub(crate) fn is_near(reply: &Reply, time: jiff::Timestamp) -> Check {
    const SECONDS: i64 = 10;
    let now = reply.date().ok_or_else(|| reply.fault("a Date"))?;
    ensure((now.as_second() - time.as_second()).abs() <= SECONDS, || {
        format!("expected a time about {now}, found {time}")
    })
}
