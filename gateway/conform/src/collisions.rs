//! Where two contracts want one path or one thing, and which of them gets it.

use serde_json::{Value, json};

use crate::Dialect::{Envelope, Form, Plain, Status};
use crate::client::Call;
use crate::fixture::{Fixture, Person};
use crate::reply::{Precision, Reply, has_prefix, is_uuid, time};
use crate::report::{Check, Fault, ensure, untried};
use crate::token::Token;
use crate::web::navigation;
use crate::{Statement, envelope, form, plain, status};

const LOGIN_V1: &str = "/api/v1/auth/login";
const LOGIN: &str = "/api/auth/login";
const GITHUB: &str = "/api/auth/github";
const REFRESH_V1: &str = "/api/v1/auth/refresh";
const REFRESH: &str = "/api/auth/refresh";
/// Nobody may choose these, whatever else the contract allows.
const TOO_SHORT: &str = "Short1@";

pub(crate) const STATEMENTS: &[Statement] = &[
    Statement::new("C1", "/api/v1/auth/login: the content type decides", |s| {
        Box::pin(async move {
            s.needs(&[Form, Plain])?;
            form::signed_in(s).await?.text("/access_token")?;
            plain::signed_in(s).await?.text("/token")?;
            let other = Call::post(LOGIN_V1).typed("text/plain", "username=a&password=b");
            s.send(other).await?.status(415).map(drop)
        })
    }),
    Statement::new("C2", "/api/v1/auth/refresh: the member's name decides", |s| {
        Box::pin(async move {
            s.needs(&[Form, Plain])?;
            let of_form = form::signed_in(s).await?.text("/refresh_token")?;
            let of_plain = plain::signed_in(s).await?.text("/refreshToken")?;
            for token in [&of_form, &of_plain] {
                form::refresh(s, token).await?.status(200)?.text("/access_token")?;
                plain::redeem(s, token).await?.status(200)?.text("/token")?;
            }
            let both = json!({ "refresh_token": of_form, "refreshToken": of_plain });
            s.send(Call::post(REFRESH_V1).json(&both)).await?.status(400).map(drop)
        })
    }),
    Statement::new("C3", "/api/auth/login: username or email decides, not both", |s| {
        Box::pin(async move {
            s.needs(&[Status, Envelope])?;
            status::signed_in(s).await?.text("/access_token")?;
            envelope::signed_in(s).await?.text("/data/token")?;
            let ann = s.ann().await?;
            let both = json!({
                "username": ann.username, "email": ann.email, "password": ann.password,
            });
            for body in [both, json!({ "password": ann.password })] {
                let refused = s.send(Call::post(LOGIN).json(&body)).await?;
                refused.status(400)?.is("/status", "error")?;
            }
            Ok(())
        })
    }),
    Statement::new("C4", "/api/auth/refresh: a token in the body, else the bearer's", |s| {
        Box::pin(async move {
            s.needs(&[Status, Envelope])?;
            let pair = status::login(s, s.ann().await?).await?;
            status::refresh(s, &pair.text("/refresh_token")?).await?.text("/access_token")?;
            let token = envelope::access(s).await?.text;
            envelope::refresh(s, &token).await?.text("/data/token")?;
            s.send(Call::post(REFRESH)).await?.status(401).map(drop)
        })
    }),
    Statement::new("C5", "every contract's access tokens live as long as it says", |s| {
        Box::pin(async move {
            for (dialect, token) in access_tokens(s).await? {
                let (found, expected) = (token.lifetime()?, s.expected.access_ttl(dialect));
                ensure(found == expected, || {
                    format!("{}: expected {expected} s, found {found} s", dialect.word())
                })?;
            }
            for token in refresh_tokens(s).await? {
                token.lives(s.expected.refresh_ttl)?;
            }
            Ok(())
        })
    }),
    Statement::new("C6", "a refresh token is replaced only where the answer can say so", |s| {
        Box::pin(async move {
            s.needs(&[Status])?;
            let pair = status::login(s, s.ann().await?).await?;
            let old = pair.text("/refresh_token")?;
            let first = status::refresh(s, &old).await?.text("/refresh_token")?;
            // Once more within the grace: the same successor, or the same token if kept.
            let again = status::refresh(s, &old).await?;
            let again = again.status(200)?.text("/refresh_token")?;
            ensure(first == again, || "two successors of one refresh token".to_owned())?;
            if s.needs(&[Form]).is_ok() {
                let kept = form::login(s, s.ann().await?).await?.text("/refresh_token")?;
                for _ in 0..2 {
                    form::refresh(s, &kept).await?.status(200)?;
                }
            }
            Ok(())
        })
    }),
    Statement::new("C7", "bearer and Bearer, seconds and milliseconds, each its own", |s| {
        Box::pin(async move {
            s.needs(&[Form, Status, Envelope, Plain])?;
            form::signed_in(s).await?.is("/token_type", "bearer")?;
            status::signed_in(s).await?.is("/token_type", "Bearer")?;
            let stamp = envelope::signed_in(s).await?.text("/timestamp")?;
            time(&stamp, Precision::Milliseconds)?;
            let key = plain::new_key(s).await?;
            time(&key.text("/createdAt")?, Precision::Seconds).map(drop)
        })
    }),
    Statement::new("C8", "one id in three forms, each taken back", |s| {
        Box::pin(async move {
            s.needs(&[Envelope, Plain])?;
            let ann = s.ann().await?;
            is_uuid(&ann.id)?;
            let usr = envelope::signed_in(s).await?.text("/data/user/id")?;
            let user = plain::signed_in(s).await?.text("/user/id")?;
            has_prefix(&usr, "usr_")?;
            has_prefix(&user, "user_")?;
            let value = |id: &str| id.split_once('_').map(|(_, value)| value.to_owned());
            ensure(value(&usr) == value(&user), || format!("{usr} and {user} differ"))?;
            for id in [&ann.id, &usr, &user] {
                let found = s.admin(Call::get(format!("/api/admin/users/{id}"))).await?;
                found.status(200)?.is("/id", ann.id.as_str())?;
            }
            Ok(())
        })
    }),
    Statement::new("C9", "an account has all its names in every contract", |s| {
        Box::pin(async move {
            let ann = s.ann().await?;
            let by_email = Person { username: ann.email.clone(), ..ann.clone() };
            if s.needs(&[Status]).is_ok() {
                status::login(s, &by_email).await?;
            }
            if s.needs(&[Plain]).is_ok() {
                plain::login(s, &by_email).await?.is("/user/username", ann.username.as_str())?;
            }
            s.needs(&[Form, Envelope])?;
            // Registered with one name, shown with two; registered without, known by e-mail.
            let (who, _) = form::registered(s).await?;
            let shown = envelope::login(s, &who).await?;
            shown.is("/data/user/firstName", "Ann")?.is("/data/user/lastName", "Conform")?;
            let (who, _) = envelope::registered(s).await?;
            form::login(s, &who).await.map(drop)
        })
    }),
    Statement::new("C10", "each contract has its password rule above a common floor", |s| {
        Box::pin(async move {
            s.needs(&[Form, Envelope])?;
            form::registered(s).await?;
            let plain = Person { password: "password123".to_owned(), ..s.stranger() };
            match envelope::register(s, &plain).await {
                Err(Fault::Differs(_)) => {}
                Err(fault) => return Err(fault),
                Ok(reply) => return Err(reply.fault("a refusal")),
            }
            let long = format!("Long1@{}", "x".repeat(67));
            for password in [TOO_SHORT, long.as_str()] {
                let who = s.stranger();
                let body = json!({
                    "email": who.email, "firstName": "A", "lastName": "C", "password": password,
                });
                s.send(Call::post("/api/auth/register").json(&body)).await?.not_accepted()?;
                let body = json!({
                    "email": who.email, "username": who.username, "password": password,
                    "password_confirm": password, "full_name": "A C",
                });
                s.send(Call::post("/api/v1/auth/register").json(&body)).await?.not_accepted()?;
            }
            Ok(())
        })
    }),
    Statement::new("C11", "an unknown user is answered like a wrong password", |s| {
        Box::pin(async move {
            let ann = s.ann().await?.clone();
            let wrong = Person { password: "Wrong1@ wrong".to_owned(), ..ann };
            let nobody = s.stranger();
            let basic = |who: &Person| Call::get(&s.proxied).basic(&who.username, &who.password);
            let mut pairs =
                vec![("Basic", s.send(basic(&wrong)).await?, s.send(basic(&nobody)).await?)];
            if s.needs(&[Form]).is_ok() {
                let known = form::try_login(s, &wrong).await?;
                pairs.push(("form", known, form::try_login(s, &nobody).await?));
            }
            if s.needs(&[Status]).is_ok() {
                let known = status::try_login(s, &wrong).await?;
                pairs.push(("status", known, status::try_login(s, &nobody).await?));
            }
            for (place, known, unknown) in pairs {
                unknown.status(401)?;
                ensure(known.status == 401 && known.body == unknown.body, || {
                    format!("{place}: the two can be told apart")
                })?;
            }
            s.needs(&[Plain])?;
            let known = plain::try_login(s, &wrong).await?;
            let unknown = plain::try_login(s, &nobody).await?;
            if unknown.status(401)?.body == known.status(401)?.body {
                return Ok(());
            }
            untried("the dialect plain reveals unknown users on this gateway")
        })
    }),
    Statement::new("C12", "what obtains a credential needs none", |s| {
        Box::pin(async move {
            let mut paths: Vec<&str> = Vec::new();
            let places: [(_, &[&str]); 4] = [
                (Form, &["/api/v1/auth/register", LOGIN_V1, REFRESH_V1]),
                (Status, &[LOGIN]),
                (Envelope, &["/api/auth/register", LOGIN, GITHUB]),
                (Plain, &[LOGIN_V1, REFRESH_V1]),
            ];
            for (dialect, served) in places {
                if s.needs(&[dialect]).is_ok() {
                    paths.extend(served);
                }
            }
            // What is missing is the content, not a credential.
            for path in paths {
                let reply = s.send(Call::post(path).json(&json!({}))).await?;
                match reply.status {
                    400 | 415 | 422 => {}
                    404 if path == GITHUB => {
                        envelope::error_is(&reply, 404, "GITHUB_DISABLED")?;
                    }
                    _ => return Err(reply.fault("400, 415 or 422")),
                }
            }
            access_tokens(s).await?;
            if s.needs(&[Envelope]).is_ok() {
                s.send(Call::get("/api/auth/providers")).await?.status(200)?;
            }
            Ok(())
        })
    }),
    Statement::new("C13", "/api/logout ends a token, /api/v1/auth/logout a session", |s| {
        Box::pin(async move {
            s.needs(&[Status, Plain])?;
            let ann = s.ann().await?;
            let pair = status::login(s, ann).await?;
            let token = pair.text("/access_token")?;
            s.send(Call::post("/api/logout").bearer(&token)).await?.status(200)?;
            s.send(Call::get(&s.proxied).bearer(&token)).await?.status(401)?;
            status::refresh(s, &pair.text("/refresh_token")?).await?.status(200)?;
            let session = plain::login(s, ann).await?;
            let token = session.text("/token")?;
            s.send(Call::post("/api/v1/auth/logout").bearer(&token)).await?.status(200)?;
            s.send(Call::get(&s.proxied).bearer(&token)).await?.status(401)?;
            plain::refresh(s, &session).await?.status(401).map(drop)
        })
    }),
    Statement::new(
        "C14",
        "a refusal speaks the path's dialect and asks as its client can bear",
        |s| {
            Box::pin(async move {
                let below_v1 = s.send(Call::get(&s.proxied_v1)).await?;
                if s.needs(&[Plain]).is_ok() {
                    below_v1.body_is(json!({ "error": "Authentication required" }))?;
                }
                let elsewhere = s.send(Call::get(&s.proxied)).await?;
                if s.needs(&[Status]).is_ok() {
                    is_error_of(Status, &elsewhere.json()?)?;
                }
                offers(below_v1, &["Basic", "Bearer"])?;
                offers(elsewhere, &["Basic", "Bearer"])?;
                for mode in ["cors", "no-cors"] {
                    let of_browser = Call::get(&s.proxied).field("sec-fetch-mode", mode);
                    offers(s.send(of_browser).await?, &["Bearer"])?;
                }
                // Where no page signs in, the browser's own dialog does.
                let navigated = s.send(navigation(Call::get(&s.proxied))).await?;
                match navigated.field("location") {
                    Some(page) if navigated.status == 303 => {
                        s.send(navigation(Call::get(page))).await?.status(200)?;
                    }
                    _ => offers(navigated, &["Basic"])?,
                }
                let grpc = Call::post(&s.proxied).field("content-type", "application/grpc");
                let refused = s.send(grpc).await?;
                ensure(refused.field("grpc-status") == Some("16"), || {
                    format!(
                        "gRPC: expected grpc-status 16, found {:?}",
                        refused.field("grpc-status")
                    )
                })
            })
        },
    ),
    Statement::new("C15", "every token has the one header, to the letter", |s| {
        Box::pin(async move {
            let tokens = access_tokens(s).await?.into_iter().map(|(_, token)| token);
            for token in tokens.chain(refresh_tokens(s).await?) {
                ensure(token.header == r#"{"alg":"HS256","typ":"JWT"}"#, || {
                    format!("found the header {}", token.header)
                })?;
            }
            Ok(())
        })
    }),
    Statement::new("C16", "/health is the gateway's own unless moved", |s| {
        Box::pin(async move {
            status::health_is_here(s)?;
            let health = s.send(Call::get("/health")).await?;
            health.status(200)?.is("/status", "healthy").map(drop)
        })
    }),
];

/// An access token of every dialect that is served.
pub(crate) async fn access_tokens(s: &Fixture) -> Result<Vec<(crate::Dialect, Token)>, Fault> {
    let mut tokens = Vec::new();
    for dialect in crate::Dialect::ALL {
        if s.needs(&[dialect]).is_ok() {
            let token = match dialect {
                Form => form::access(s).await?,
                Status => status::access(s).await?,
                Envelope => envelope::access(s).await?,
                Plain => plain::access(s).await?,
            };
            tokens.push((dialect, token));
        }
    }
    Ok(tokens)
}

/// And every refresh token.
async fn refresh_tokens(s: &Fixture) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    if s.needs(&[Form]).is_ok() {
        tokens.push(Token::read(&form::signed_in(s).await?.text("/refresh_token")?)?);
    }
    if s.needs(&[Status]).is_ok() {
        tokens.push(status::refresh_token(s).await?);
    }
    if s.needs(&[Plain]).is_ok() {
        tokens.push(Token::read(&plain::signed_in(s).await?.text("/refreshToken")?)?);
    }
    Ok(tokens)
}

/// A refusal that asks for these schemes, in this order.
fn offers(reply: Reply, schemes: &[&str]) -> Check {
    let reply = reply.status(401)?;
    let lines = reply.headers.get_all("www-authenticate").iter();
    let found: Vec<&str> =
        lines.filter_map(|value| value.to_str().ok()?.split(' ').next()).collect();
    ensure(found == schemes, || format!("expected the challenges {schemes:?}, found {found:?}"))
}

/// The members of an error of each dialect.
pub(crate) fn is_error_of(dialect: crate::Dialect, body: &Value) -> Check {
    let text = |pointer: &str| body.pointer(pointer).is_some_and(Value::is_string);
    let (shape, count) = match dialect {
        Form => (text("/detail"), 1),
        Status => (body["status"] == "error" && text("/error") && text("/code"), 3),
        Envelope => {
            let inner = text("/error/code") && text("/error/message") && text("/timestamp");
            (body["success"] == false && inner, 3)
        }
        Plain => (text("/error"), 1),
    };
    let members = body.as_object().map_or(0, serde_json::Map::len);
    ensure(shape && members == count, || format!("{}: found {body}", dialect.word()))
}
