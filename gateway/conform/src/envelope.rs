//! S2, dialect `envelope`: everything in `data`, GitHub, workspaces.

use http::Method;
use serde_json::{Value, json};

use crate::Dialect::Envelope;
use crate::Statement;
use crate::client::Call;
use crate::delivery;
use crate::expected::Registration;
use crate::fixture::{Fixture, Person, echoed};
use crate::plain::is_near;
use crate::reply::{Precision, Reply, has_prefix, time};
use crate::report::{Check, Fault, differs, ensure, untried};
use crate::token::Token;

const PROVIDERS: &str = "/api/auth/providers";
const REGISTER: &str = "/api/auth/register";
const LOGIN: &str = "/api/auth/login";
const GITHUB: &str = "/api/auth/github";
const ME: &str = "/api/auth/me";
const REFRESH: &str = "/api/auth/refresh";
const SWITCH: &str = "/api/auth/switch-workspace";
const USER: &[&str] = &["id", "email", "firstName", "lastName", "role"];
const TOKEN: &[delivery::Token] = &[delivery::Token::access("/data/token")];
const NO_WORKSPACE: &str = "550e8400-e29b-41d4-a716-446655440000";

pub(crate) const STATEMENTS: &[Statement] = &[
    Statement::new("S2-01", "the token of /api/auth is good as bearer", |s| {
        Box::pin(async move {
            let token = access(s).await?;
            s.send(Call::get(&s.proxied).bearer(&token.text)).await?.passed()?;
            s.send(Call::get(ME).bearer(&token.text)).await?.status(200).map(drop)
        })
    }),
    Statement::new("S2-02", "the envelope: success, data, a timestamp in milliseconds", |s| {
        Box::pin(async move {
            for answer in [providers(s).await?, signed_in(s).await?, me(s).await?] {
                answer.members("", &["success", "data", "timestamp"])?.is("/success", true)?;
                is_near(&answer, time(&answer.text("/timestamp")?, Precision::Milliseconds)?)?;
            }
            Ok(())
        })
    }),
    Statement::new("S2-03", "the providers are public", |s| {
        Box::pin(async move {
            let data = providers(s).await?.at("/data")?;
            ensure(data["local"].is_boolean() && data["github"].is_boolean(), || {
                format!("expected two booleans, found {data}")
            })?;
            let client = data.get("githubClientId");
            ensure(client.is_none_or(Value::is_string), || {
                format!("expected githubClientId to be text, found {data}")
            })
        })
    }),
    Statement::new("S2-04", "github is true exactly when it is configured", |s| {
        Box::pin(async move {
            let said = providers(s).await?.at("/data/github")? == json!(true);
            let refused = github(s).await?;
            if said {
                return is_judged_by_github(&refused);
            }
            error_is(&refused, 404, "GITHUB_DISABLED")
        })
    }),
    Statement::new("S2-05", "githubClientId is there when github is, and only then", |s| {
        Box::pin(async move {
            let data = providers(s).await?.at("/data")?;
            let there = data.get("githubClientId").is_some_and(Value::is_string);
            let absent = data.get("githubClientId").is_none();
            ensure(if data["github"] == json!(true) { there } else { absent }, || {
                format!("found {data}")
            })
        })
    }),
    Statement::new("S2-06", "local says whether one can register, login whether sign in", |s| {
        Box::pin(async move {
            let data = providers(s).await?.at("/data")?;
            if data["login"] == json!(true) {
                login(s, s.ann().await?).await?;
            }
            let tried = s.send(Call::post(REGISTER).json(&registration(&s.stranger()))).await?;
            if data["local"] == json!(true) {
                return tried.status(201).map(drop);
            }
            error_is(&tried, 403, "LOCAL_AUTH_DISABLED")
        })
    }),
    Statement::new("S2-07", "registration takes four members and needs each", |s| {
        Box::pin(async move {
            registered(s).await?;
            for missing in ["email", "firstName", "lastName", "password"] {
                let mut body = registration(&s.stranger());
                if let Some(members) = body.as_object_mut() {
                    members.remove(missing);
                }
                s.send(Call::post(REGISTER).json(&body)).await?.not_accepted()?;
            }
            Ok(())
        })
    }),
    Statement::new("S2-08", "a password needs a special character", |s| {
        Box::pin(async move {
            registered(s).await?;
            let who = Person { password: "SecurePass1".to_owned(), ..s.stranger() };
            let refused = s.send(Call::post(REGISTER).json(&registration(&who))).await?;
            refused.not_accepted()?;
            register(s, &Person { password: "SecurePass1@".to_owned(), ..who }).await.map(drop)
        })
    }),
    Statement::new("S2-09", "nobody registers where passwords sign nobody in", |s| {
        Box::pin(async move {
            let login = providers(s).await?.at("/data/login")? == json!(true);
            let tried = s.send(Call::post(REGISTER).json(&registration(&s.stranger()))).await?;
            match tried.status {
                201 => ensure(login, || "registered, though login is false".to_owned()),
                _ => error_is(&tried, 403, "LOCAL_AUTH_DISABLED"),
            }
        })
    }),
    Statement::new("S2-10", "its answer: 201 with token and user", |s| {
        Box::pin(async move {
            let (who, answer) = registered(s).await?;
            answer.members("/data", &["token", "user"])?.has_members("/data/user", USER)?;
            answer.is("/data/user/email", who.email)?;
            answer.is("/data/user/firstName", "Ann")?.is("/data/user/lastName", "Conform")?;
            let token = Token::read(&answer.text("/data/token")?)?;
            s.send(Call::get(ME).bearer(&token.text)).await?.status(200).map(drop)
        })
    }),
    Statement::new("S2-11", "ids are like usr_abc123", |s| {
        Box::pin(async move { has_prefix(&registered(s).await?.1.text("/data/user/id")?, "usr_") })
    }),
    Statement::new("S2-12", "a new account has the role user", |s| {
        Box::pin(async move { registered(s).await?.1.is("/data/user/role", "user").map(drop) })
    }),
    Statement::new("S2-13", "registration that is off: 403 LOCAL_AUTH_DISABLED", |s| {
        Box::pin(async move {
            let tried = s.send(Call::post(REGISTER).json(&registration(&s.stranger()))).await?;
            match tried.status {
                201 if s.expected.registration == Some(Registration::Closed) => {
                    Err(tried.fault("403, since registration is closed"))
                }
                201 => {
                    let call = Call::post(REGISTER).json(&registration(&s.stranger()));
                    let tried = s.provided.send_without_accounts(call).await?;
                    if tried.status == 201 {
                        let made = tried.text("/data/user/email")?;
                        return differs(format!("it is on there, and {made} stays there"));
                    }
                    error_is(&tried, 403, "LOCAL_AUTH_DISABLED")
                }
                _ => error_is(&tried, 403, "LOCAL_AUTH_DISABLED"),
            }
        })
    }),
    Statement::new("S2-14", "a known e-mail: 409 EMAIL_ALREADY_EXISTS", |s| {
        Box::pin(async move {
            let (who, _) = registered(s).await?;
            for email in [who.email.clone(), who.email.to_uppercase()] {
                let again = registration(&Person { email, ..who.clone() });
                let refused = s.send(Call::post(REGISTER).json(&again)).await?;
                error_is(&refused, 409, "EMAIL_ALREADY_EXISTS")?;
            }
            Ok(())
        })
    }),
    Statement::new("S2-15", "a login takes e-mail and password; token and user come", |s| {
        Box::pin(async move { has_token_and_user(&signed_in(s).await?, &s.ann().await?.email) })
    }),
    Statement::new("S2-16", "a login that is off: 403 LOCAL_AUTH_DISABLED", |s| {
        Box::pin(async move {
            // Else no password would have signed the administrator in.
            login(s, s.ann().await?).await?;
            let call = Call::post(LOGIN).json(&credentials(s.ann().await?));
            error_is(&s.provided.send_without_accounts(call).await?, 403, "LOCAL_AUTH_DISABLED")
        })
    }),
    Statement::new("S2-17", "a wrong e-mail or password: 401 INVALID_CREDENTIALS", |s| {
        Box::pin(async move {
            let ann = s.ann().await?.clone();
            let wrong = Person { password: "Wrong1@ wrong".to_owned(), ..ann };
            let known = try_login(s, &wrong).await?;
            let unknown = try_login(s, &s.stranger()).await?;
            error_is(&known, 401, "INVALID_CREDENTIALS")?;
            error_is(&unknown, 401, "INVALID_CREDENTIALS")?;
            ensure(known.at("/error")? == unknown.at("/error")?, || {
                "the two can be told apart".to_owned()
            })
        })
    }),
    Statement::new("S2-18", "a code of GitHub's brings token and user", |s| {
        Box::pin(async move {
            let refused = github(s).await?;
            if providers(s).await?.at("/data/github")? != json!(true) {
                error_is(&refused, 404, "GITHUB_DISABLED")?;
                return untried("GitHub is not configured; codes are refused with GITHUB_DISABLED");
            }
            is_judged_by_github(&refused)?;
            let code = json!({ "code": s.provided.github_code().await? });
            // Older than whom the code makes.
            let ann = s.ann().await?;
            let answer = s.send(Call::post(GITHUB).json(&code)).await?;
            let answer = s.delivered(Envelope, answer, TOKEN)?;
            let whole = has_token_and_user(&answer, &answer.text("/data/user/email")?)
                .and_then(|()| answer.text("/data/user/avatarUrl"));
            // GitHub's codes are good once.
            let again = s.send(Call::post(GITHUB).json(&code)).await;
            forget(s, &answer, ann).await?;
            whole?;
            error_is(&again?, 401, "GITHUB_CODE_REFUSED")
        })
    }),
    Statement::new("S2-19", "me: the seven members, createdAt in milliseconds", |s| {
        Box::pin(async move {
            s.send(Call::get(ME)).await?.status(401)?;
            let (ann, answer) = (s.ann().await?, me(s).await?);
            let members: Vec<&str> =
                USER.iter().copied().chain(["avatarUrl", "createdAt"]).collect();
            answer.has_members("/data", &members)?.is("/data/email", ann.email.as_str())?;
            time(&answer.text("/data/createdAt")?, Precision::Milliseconds)?;
            // An administrator has vouched for the address.
            answer.is("/data/emailVerified", true).map(drop)
        })
    }),
    Statement::new("S2-20", "a refresh: the token as bearer, no body; token and user come", |s| {
        Box::pin(async move {
            let answer = refresh(s, &access(s).await?.text).await?;
            has_token_and_user(&answer, &s.ann().await?.email)
        })
    }),
    Statement::new("S2-21", "the new token has the roles of now", |s| {
        Box::pin(async move {
            let bob = s.person().await?;
            let before = login(s, &bob).await?;
            before.is("/data/user/role", "user")?;
            set_roles(s, &bob, &["admin"]).await?;
            let after = refresh(s, &before.text("/data/token")?).await?;
            let token = Token::read(&after.status(200)?.text("/data/token")?)?;
            let may = s.send(Call::get("/api/admin/lockouts").bearer(&token.text)).await;
            // An administrator for no longer than it takes.
            set_roles(s, &bob, &["user"]).await?;
            after.is("/data/user/role", "admin")?;
            ensure(token.claim("role").is_null() || token.claim("role") == "admin", || {
                format!("the token still says {}", token.claim("role"))
            })?;
            may?.status(200).map(drop)
        })
    }),
    Statement::new("S2-22", "a workspace is switched to by its UUID; token and user come", |s| {
        Box::pin(async move { has_token_and_user(&switched(s).await?.1, &s.ann().await?.email) })
    }),
    Statement::new("S2-23", "the token is scoped to that workspace", |s| {
        Box::pin(async move {
            let (workspace, answer) = switched(s).await?;
            let token = Token::read(&answer.text("/data/token")?)?;
            ensure(token.claim("workspace") == workspace.as_str(), || {
                format!("expected the claim {workspace}, found {}", token.claim("workspace"))
            })?;
            let seen = s.send(Call::get(&s.proxied).bearer(&token.text)).await?;
            seen.passed()?;
            let told = echoed(&seen, "x-portcullis-workspace");
            ensure(!s.echo || told.as_deref() == Some(&workspace), || {
                format!("expected the upstream to hear of {workspace}, found {told:?}")
            })
        })
    }),
    Statement::new("S2-24", "no such workspace and no access: the same 404", |s| {
        Box::pin(async move {
            let token = access(s).await?.text;
            let foreign = new_workspace(s).await?;
            let mut errors = Vec::new();
            for id in [NO_WORKSPACE, &foreign] {
                let refused = switch(s, &token, id).await?;
                error_is(&refused, 404, "WORKSPACE_NOT_FOUND")?;
                errors.push(refused.at("/error")?);
            }
            ensure(errors[0] == errors[1], || "the two can be told apart".to_owned())
        })
    }),
    Statement::new("S2-25", "token text begins eyJhbGciOiJIUzI1NiIs", |s| {
        Box::pin(async move { access(s).await?.begins("eyJhbGciOiJIUzI1NiIs") })
    }),
];

fn registration(who: &Person) -> Value {
    json!({
        "email": who.email,
        "firstName": "Ann",
        "lastName": "Conform",
        "password": who.password,
    })
}

pub(crate) async fn register(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let answer = s.send(Call::post(REGISTER).json(&registration(who))).await?;
    if answer.status == 403 && s.expected.registration != Some(Registration::Open) {
        error_is(&answer, 403, "LOCAL_AUTH_DISABLED")?;
        return untried("registration is closed on this gateway");
    }
    answer.status(201)?;
    s.delivered(Envelope, answer, TOKEN)
}

/// Somebody who has registered here, and the answer to it.
pub(crate) async fn registered(s: &Fixture) -> Result<(Person, Reply), Fault> {
    let answer = s
        .once("envelope register", async {
            let who = Person { password: "SecurePass1@".to_owned(), ..s.stranger() };
            register(s, &who).await
        })
        .await?;
    let who = Person {
        id: answer.text("/data/user/id")?,
        username: answer.text("/data/user/email")?,
        email: answer.text("/data/user/email")?,
        password: "SecurePass1@".to_owned(),
    };
    Ok((who, answer))
}

fn credentials(who: &Person) -> Value {
    json!({ "email": who.email, "password": who.password })
}

pub(crate) async fn try_login(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    s.delivered(Envelope, s.send(Call::post(LOGIN).json(&credentials(who))).await?, TOKEN)
}

pub(crate) async fn login(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let reply = try_login(s, who).await?;
    reply.status(200)?;
    Ok(reply)
}

/// The answer of one login that nothing ends.
pub(crate) async fn signed_in(s: &Fixture) -> Result<Reply, Fault> {
    let ann = s.ann().await?;
    s.once("envelope login", login(s, ann)).await
}

pub(crate) async fn access(s: &Fixture) -> Result<Token, Fault> {
    Token::read(&signed_in(s).await?.text("/data/token")?)
}

async fn providers(s: &Fixture) -> Result<Reply, Fault> {
    let reply = s.send(Call::get(PROVIDERS)).await?;
    reply.status(200)?;
    Ok(reply)
}

async fn me(s: &Fixture) -> Result<Reply, Fault> {
    let reply = s.send(Call::get(ME).bearer(&access(s).await?.text)).await?;
    reply.status(200)?;
    Ok(reply)
}

/// GitHub refused the code, or could not be asked.
fn is_judged_by_github(refused: &Reply) -> Check {
    match refused.status {
        502 => error_is(refused, 502, "GITHUB_UNAVAILABLE"),
        504 => error_is(refused, 504, "GITHUB_TIMEOUT"),
        _ => error_is(refused, 401, "GITHUB_CODE_REFUSED"),
    }
}

/// A code that GitHub never gave out.
async fn github(s: &Fixture) -> Result<Reply, Fault> {
    s.once("github", async {
        s.send(Call::post(GITHUB).json(&json!({ "code": "conform-0000000000" }))).await
    })
    .await
}

/// Ends what a code of GitHub's has begun: the session, and the account if it is younger than
/// somebody of this run.
async fn forget(s: &Fixture, answer: &Reply, of_this_run: &Person) -> Check {
    let path = |id: &str| format!("/api/admin/users/{id}");
    let created = async |path: &str| {
        let found = s.admin(Call::get(path)).await?;
        time(&found.text("/created")?, Precision::Milliseconds)
    };
    let account = path(&answer.text("/data/user/id")?);
    if created(&account).await? > created(&path(&of_this_run.id)).await? {
        return s.admin(Call::delete(&account)).await?.status(204).map(drop);
    }
    let token = Token::read(&answer.text("/data/token")?)?;
    if let Some(session) = token.claim("sid").as_str() {
        let end = Call::delete(format!("/api/admin/sessions/{session}"));
        s.admin(end).await?.status(204)?;
    }
    Ok(())
}

pub(crate) async fn refresh(s: &Fixture, token: &str) -> Result<Reply, Fault> {
    let reply = s.send(Call::new(Method::POST, REFRESH).bearer(token)).await?;
    s.delivered(Envelope, reply, TOKEN)
}

async fn switch(s: &Fixture, token: &str, workspace: &str) -> Result<Reply, Fault> {
    let body = json!({ "workspaceId": workspace });
    s.delivered(Envelope, s.send(Call::post(SWITCH).json(&body).bearer(token)).await?, TOKEN)
}

async fn new_workspace(s: &Fixture) -> Result<String, Fault> {
    let body = json!({ "name": s.fresh_name() });
    s.make("/api/admin/workspaces", &body).await?.text("/id")
}

/// A workspace that Ann is a member of, and the answer to her switching to it.
async fn switched(s: &Fixture) -> Result<(String, Reply), Fault> {
    let ann = s.ann().await?;
    let workspace = new_workspace(s).await?;
    let path = format!("/api/admin/workspaces/{workspace}/members/{}", ann.id);
    let member = Call::new(Method::PUT, path).json(&json!({ "role": "member" }));
    s.admin(member).await?.status(200)?;
    let answer = switch(s, &access(s).await?.text, &workspace).await?;
    answer.status(200)?;
    Ok((workspace, answer))
}

async fn set_roles(s: &Fixture, who: &Person, roles: &[&str]) -> Check {
    let call = Call::patch(format!("/api/admin/users/{}", who.id)).json(&json!({ "roles": roles }));
    s.admin(call).await?.status(200).map(drop)
}

fn has_token_and_user(answer: &Reply, email: &str) -> Check {
    answer.status(200)?.members("/data", &["token", "user"])?;
    let user = answer.at("/data/user")?;
    // An avatar is shown where there is one.
    let named = |name: &&str| user.get(*name).is_some();
    ensure(USER.iter().all(named), || format!("members are missing in {user}"))?;
    answer.is("/data/user/email", email)?;
    Token::read(&answer.text("/data/token")?).map(drop)
}

pub(crate) fn error_is(reply: &Reply, status: u16, code: &str) -> Check {
    reply.status(status)?.members("", &["success", "error", "timestamp"])?;
    reply.is("/success", false)?.is("/error/code", code)?;
    reply.text("/error/message")?;
    time(&reply.text("/timestamp")?, Precision::Milliseconds).map(drop)
}
