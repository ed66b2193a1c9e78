//! S0, dialect `form`: registration, a login from a form, agents with keys on
//! WebSockets.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::Dialect::Form;
use crate::client::Call;
use crate::delivery::{self, ACCESS, Delivery, REFRESH as REFRESH_COOKIE};
use crate::expected::Registration;
use crate::fixture::{Fixture, Person, echoed};
use crate::reply::{Reply, is_uuid};
use crate::report::{Check, Fault, differs, ensure, untried};
use crate::sign_in::{self, FORM_TOKEN, LOGIN_V1 as LOGIN};
use crate::socket::{Message, Socket};
use crate::token::Token;
use crate::web::{self, Visitor};
use crate::{Dialect, Statement, collisions};

const REGISTER: &str = "/api/v1/auth/register";
const REFRESH: &str = "/api/v1/auth/refresh";
/// Where agents connect unless the operator says otherwise.
const AGENTS: &str = "/api/v1/agents/ws";
/// Without a special character, as in the contract's own example.
const SAMPLE_PASSWORD: &str = "password123";
const PAIR: &[delivery::Token] = &[FORM_TOKEN, delivery::Token::refresh("/refresh_token")];
/// An end that is promised within a second, seen over a network.
const SOON: Duration = Duration::from_millis(2500);

pub(crate) const STATEMENTS: &[Statement] = &[
    Statement::new("S0-01", "people come with tokens, agents with keys", |s| {
        Box::pin(async move {
            let key = free_key(s).await?;
            let person = s.send(Call::get(&s.proxied_v1).bearer(&access(s).await?.text)).await?;
            let agent = s.send(Call::get(&s.proxied_v1).key(&key.text)).await?;
            person.passed()?;
            agent.passed()?;
            let schemes = [&person, &agent].map(|seen| echoed(seen, "x-portcullis-scheme"));
            ensure(!s.echo || schemes[0] != schemes[1], || {
                format!("the upstream cannot tell them apart: {schemes:?}")
            })
        })
    }),
    Statement::new("S0-02", "registration from JSON with the five members", |s| {
        Box::pin(async move {
            registered(s).await?;
            for missing in ["email", "username", "password", "password_confirm"] {
                let mut body = registration(&s.stranger());
                if let Some(members) = body.as_object_mut() {
                    members.remove(missing);
                }
                s.send(Call::post(REGISTER).json(&body)).await?.not_accepted()?;
            }
            Ok(())
        })
    }),
    Statement::new("S0-03", "its answer: user, two tokens, type bearer, unwrapped", |s| {
        Box::pin(async move {
            let (who, answer) = registered(s).await?;
            answer.members("", &["user", "access_token", "refresh_token", "token_type"])?;
            answer.has_members("/user", &["id", "email", "username", "full_name"])?;
            answer.is("/user/email", who.email)?.is("/user/username", who.username)?;
            answer.is("/user/full_name", "Ann Conform")?.is("/token_type", "bearer")?;
            Token::read(&answer.text("/access_token")?)?;
            Token::read(&answer.text("/refresh_token")?).map(drop)
        })
    }),
    Statement::new("S0-04", "the user's id is a UUID", |s| {
        Box::pin(async move { is_uuid(&registered(s).await?.1.text("/user/id")?) })
    }),
    Statement::new("S0-05", "two different passwords register nobody", |s| {
        Box::pin(async move {
            registered(s).await?;
            let who = s.stranger();
            let mut body = registration(&who);
            body["password_confirm"] = "password124".into();
            s.send(Call::post(REGISTER).json(&body)).await?.not_accepted()?;
            // The name and the address are still free.
            register(s, &who).await.map(drop)
        })
    }),
    Statement::new("S0-06", "a password without special characters is taken", |s| {
        Box::pin(async move {
            let (who, _) = registered(s).await?;
            ensure(who.password == SAMPLE_PASSWORD, || "not the sample".to_owned())?;
            login(s, &who).await.map(drop)
        })
    }),
    Statement::new("S0-07", "a login checks username and password from a form", |s| {
        Box::pin(async move {
            signed_in(s).await?.status(200)?;
            let ann = s.ann().await?;
            let wrong = [("username", ann.username.as_str()), ("password", "Wrong1@ wrong")];
            let refused = s.send(Call::post(LOGIN).form(&wrong)).await?;
            refused.status(401)?.members("", &["detail"]).map(drop)
        })
    }),
    Statement::new("S0-08", "its answer: two tokens and type bearer, no user", |s| {
        Box::pin(async move {
            let answer = signed_in(s).await?;
            answer.members("", &["access_token", "refresh_token", "token_type"])?;
            answer.is("/token_type", "bearer").map(drop)
        })
    }),
    Statement::new("S0-09", "the token in the Authorization field opens /api/v1", |s| {
        Box::pin(async move {
            s.send(Call::get(&s.proxied_v1)).await?.status(401)?;
            s.send(Call::get(&s.proxied_v1).bearer(&access(s).await?.text)).await?.passed()
        })
    }),
    Statement::new("S0-10", "access tokens live 30 minutes", |s| {
        Box::pin(async move { access(s).await?.lives(s.expected.access_ttl(Form)) })
    }),
    Statement::new(
        "S0-11",
        "a refresh brings an access token; the refresh token stays good",
        |s| {
            Box::pin(async move {
                let pair = login(s, s.ann().await?).await?;
                for _ in 0..2 {
                    let answer = refresh(s, &pair.text("/refresh_token")?).await?;
                    answer.status(200)?.members("", &["access_token", "token_type"])?;
                    answer.is("/token_type", "bearer")?;
                    let token = Token::read(&answer.text("/access_token")?)?;
                    token.lives(s.expected.access_ttl(Form))?;
                    s.send(Call::get(&s.proxied_v1).bearer(&token.text)).await?.passed()?;
                }
                Ok(())
            })
        },
    ),
    Statement::new("S0-12", "refresh tokens live seven days", |s| {
        Box::pin(async move {
            let token = Token::read(&signed_in(s).await?.text("/refresh_token")?)?;
            token.lives(s.expected.refresh_ttl)
        })
    }),
    Statement::new("S0-13", "keys are made in the web interface", |s| {
        Box::pin(async move {
            let made = key_by_hand(s).await?;
            let path = agents_path(s);
            let seen = s.send(Call::get(path).key(&made.key)).await?;
            if s.agent_path.is_none() && matches!(seen.status, 403 | 404) {
                return no_agents(path);
            }
            ensure(seen.status != 401, || format!("{path} refuses the key that was made"))
        })
    }),
    Statement::new("S0-14", "a key's text is shown once", |s| {
        Box::pin(async move {
            let key = agent_key(s).await?;
            for path in ["/api/admin/keys?limit=200", &format!("/api/admin/keys/{}", key.id)] {
                let shown = s.admin(Call::get(path)).await?;
                let text = String::from_utf8_lossy(&shown.status(200)?.body).into_owned();
                ensure(!text.contains(&key.text), || format!("{} shows it again", shown.asked))?;
            }
            // In the web interface too.
            let made = key_by_hand(s).await?;
            for path in [&made.form, &made.list] {
                let page = web::text_of(made.visitor.get(path).await?.status(200)?);
                ensure(!page.contains(&made.key), || format!("{path} shows it again"))?;
            }
            // The form that made it, sent once more.
            let again = made.visitor.press(&made.page, "Create API Key", &[]).await?;
            let shown = web::text_of(&again);
            ensure(!shown.contains("sk_live_"), || "the form makes a second key".to_owned())
        })
    }),
    Statement::new("S0-15", "a key belongs to one server", |s| {
        Box::pin(async move {
            let key = agent_key(s).await?;
            key.made.is("/server", key.server.clone())?;
            if !s.echo {
                return untried("only the upstream echo shows what it was told of the server");
            }
            // Of what is not a handshake the echo tells what it was sent.
            let path = agents_path(s);
            let seen = s.send(Call::get(path).key(&key.text)).await?;
            if s.agent_path.is_none() && matches!(seen.status, 403 | 404) {
                return no_agents(path);
            }
            let server = echoed(&seen, "x-portcullis-server-id");
            ensure(server.as_ref() == Some(&key.server), || {
                format!("expected the upstream to hear of {}, found {server:?}", key.server)
            })
        })
    }),
    Statement::new(
        "S0-16",
        "a socket opens without credentials; its first message brings the key",
        |s| {
            Box::pin(async move {
                let mut socket = agent_socket(s).await?;
                socket.send(&auth_message(&agent_key(s).await?.text)).await?;
                accepted(&mut socket).await.map(drop)
            })
        },
    ),
    Statement::new("S0-17", "it is answered with auth_success and the key's server", |s| {
        Box::pin(async move {
            let key = agent_key(s).await?;
            let mut socket = agent_socket(s).await?;
            socket.send(&auth_message(&key.text)).await?;
            let expected = json!({
                "type": "auth_success",
                "server_id": key.server,
                "message": "Connected successfully",
            });
            let found = accepted(&mut socket).await?;
            ensure(found == expected, || format!("expected {expected}, found {found}"))
        })
    }),
    Statement::new("S0-18", "HTTPS, and keys that can be rotated", |s| {
        Box::pin(async move {
            ensure(s.client.is_encrypted(), || "this is plain HTTP".to_owned())?;
            let key = new_free_key(s).await?;
            let path = format!("/api/admin/keys/{}/rotate", key.id);
            let at_once = json!({ "overlap_seconds": 0 });
            let rotated = s.admin(Call::post(path).json(&at_once)).await?;
            let text = rotated.status(201)?.text("/api_key")?;
            ensure(text != key.text, || "the key is the old one".to_owned())?;
            s.send(Call::get(&s.proxied_v1).key(&text)).await?.passed()?;
            s.send(Call::get(&s.proxied_v1).key(&key.text)).await?.status(401).map(drop)
        })
    }),
    Statement::new("S0-19", "a revoked key ends at once, its open sockets too", |s| {
        Box::pin(async move {
            let free = new_free_key(s).await?;
            s.send(Call::get(&s.proxied_v1).key(&free.text)).await?.passed()?;
            let path = format!("/api/admin/keys/{}", free.id);
            s.admin(Call::new(Method::DELETE, path)).await?.status(204)?;
            s.send(Call::get(&s.proxied_v1).key(&free.text)).await?.status(401)?;
            let key = new_key(s).await?;
            let mut socket = agent_socket(s).await?;
            socket.send(&auth_message(&key.text)).await?;
            accepted(&mut socket).await?;
            let path = format!("/api/admin/keys/{}", key.id);
            s.admin(Call::new(Method::DELETE, path)).await?.status(204)?;
            ends(&mut socket).await
        })
    }),
    Statement::new("S0-20", "a front end may keep the tokens, or the browser in cookies", |s| {
        Box::pin(async move {
            Token::read(&signed_in(s).await?.text("/access_token")?)?;
            for (dialect, token) in collisions::access_tokens(s).await? {
                if s.delivery(dialect) == Some(Delivery::Cookie) {
                    holds_in_a_cookie(s, dialect, &token.text).await?;
                }
            }
            Ok(())
        })
    }),
];

/// The browser's cookie opens what the token opens, and no other site's page uses it.
async fn holds_in_a_cookie(s: &Fixture, dialect: Dialect, token: &str) -> Check {
    let cookie = |call: Call| call.field("cookie", format!("{ACCESS}={token}"));
    let word = dialect.word();
    let of_dialect = |fault: Fault| match fault {
        Fault::Differs(text) => Fault::Differs(format!("{word}: {text}")),
        other => other,
    };
    let opened = s.send(cookie(Call::get(&s.proxied_v1))).await?;
    opened.passed().map_err(of_dialect)?;
    let foreign = cookie(Call::post(&s.proxied_v1)).field("sec-fetch-site", "cross-site");
    s.send(foreign).await?.status(403).map_err(of_dialect)?;
    // Only the cookie it was given as counts.
    let swapped = Call::get(&s.proxied_v1).field("cookie", format!("{REFRESH_COOKIE}={token}"));
    s.send(swapped).await?.status(401).map(drop).map_err(of_dialect)
}

fn registration(who: &Person) -> Value {
    json!({
        "email": who.email,
        "username": who.username,
        "password": SAMPLE_PASSWORD,
        "password_confirm": SAMPLE_PASSWORD,
        "full_name": "Ann Conform",
    })
}

pub(crate) async fn register(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let answer = s.send(Call::post(REGISTER).json(&registration(who))).await?;
    match answer.status {
        200 | 201 => s.delivered(Form, answer, PAIR),
        403 if s.expected.registration != Some(Registration::Open) => {
            answer.members("", &["detail"])?.text("/detail")?;
            untried("registration is closed on this gateway")
        }
        _ => Err(answer.fault("200 or 201")),
    }
}

/// Somebody who has registered here, and the answer to it.
pub(crate) async fn registered(s: &Fixture) -> Result<(Person, Reply), Fault> {
    let answer = s.once("form register", async { register(s, &s.stranger()).await }).await?;
    let who = Person {
        id: answer.text("/user/id")?,
        username: answer.text("/user/username")?,
        email: answer.text("/user/email")?,
        password: SAMPLE_PASSWORD.to_owned(),
    };
    Ok((who, answer))
}

pub(crate) async fn try_login(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let sign_in = sign_in::form(&who.username, &who.password);
    s.delivered(Form, s.send(sign_in).await?, PAIR)
}

pub(crate) async fn login(s: &Fixture, who: &Person) -> Result<Reply, Fault> {
    let reply = try_login(s, who).await?;
    reply.status(200)?;
    Ok(reply)
}

/// The answer of one login that nothing ends.
pub(crate) async fn signed_in(s: &Fixture) -> Result<Reply, Fault> {
    let ann = s.ann().await?;
    s.once("form login", login(s, ann)).await
}

pub(crate) async fn access(s: &Fixture) -> Result<Token, Fault> {
    Token::read(&signed_in(s).await?.text("/access_token")?)
}

pub(crate) async fn refresh(s: &Fixture, token: &str) -> Result<Reply, Fault> {
    let reply = s.send(Call::post(REFRESH).json(&json!({ "refresh_token": token }))).await?;
    s.delivered(Form, reply, &[FORM_TOKEN])
}

/// A key that is bound to a server.
pub(crate) struct AgentKey {
    pub id: String,
    pub text: String,
    pub server: String,
    made: Reply,
}

async fn make_key(s: &Fixture) -> Result<Reply, Fault> {
    let server = s.server().await?;
    s.key(s.ann().await?, Some(&server)).await
}

fn read_key(made: Reply) -> Result<AgentKey, Fault> {
    Ok(AgentKey {
        id: made.text("/id")?,
        text: made.text("/api_key")?,
        server: made.text("/server")?,
        made,
    })
}

/// One that nothing ends.
pub(crate) async fn agent_key(s: &Fixture) -> Result<AgentKey, Fault> {
    read_key(s.once("agent key", make_key(s)).await?)
}

/// What a person has made in the web interface, step by step as the contract tells.
struct MadeByHand<'a> {
    visitor: Visitor<'a>,
    key: String,
    /// Where the form is, and where the server's keys are listed.
    form: String,
    list: String,
    /// The page with the form.
    page: String,
}

async fn key_by_hand(s: &Fixture) -> Result<MadeByHand<'_>, Fault> {
    let ann = s.ann().await?;
    let name = s.fresh_name();
    s.make("/api/admin/servers", &json!({ "name": name, "owner": ann.id })).await?;
    let visitor = Visitor::sign_in(s, ann).await?;
    let servers = visitor.open("/servers").await?;
    let (_, server) = visitor.follow(&servers, &name).await?;
    let (list, keys) = visitor.follow(&server, "API Keys").await?;
    let (form, page) = visitor.follow(&keys, "Create API Key").await?;
    let key_name = s.fresh_name();
    let typed = [("name", key_name.as_str()), ("expires", "")];
    let made = visitor.press(&page, "Create API Key", &typed).await?;
    let shown = web::text_of(made.status(201)?);
    let key = shown
        .split_once("id=\"key\"")
        .and_then(|(_, rest)| rest.split_once('>').and_then(|(_, rest)| rest.split('<').next()));
    match key.filter(|key| key.starts_with("sk_live_")) {
        Some(key) => Ok(MadeByHand { key: key.to_owned(), visitor, form, list, page }),
        None => differs(format!("{}: the page shows no key", made.asked)),
    }
}

pub(crate) async fn new_key(s: &Fixture) -> Result<AgentKey, Fault> {
    read_key(make_key(s).await?)
}

/// A key that is bound to no server: one for a program that acts for its owner.
pub(crate) struct FreeKey {
    pub id: String,
    pub text: String,
}

pub(crate) async fn new_free_key(s: &Fixture) -> Result<FreeKey, Fault> {
    read_free_key(&s.key(s.ann().await?, None).await?)
}

/// One that nothing ends.
pub(crate) async fn free_key(s: &Fixture) -> Result<FreeKey, Fault> {
    read_free_key(&s.once("free key", async { s.key(s.ann().await?, None).await }).await?)
}

fn read_free_key(made: &Reply) -> Result<FreeKey, Fault> {
    Ok(FreeKey { id: made.text("/id")?, text: made.text("/api_key")? })
}

pub(crate) fn auth_message(key: &str) -> String {
    json!({ "type": "auth", "api_key": key }).to_string()
}

fn agents_path(s: &Fixture) -> &str {
    s.agent_path.as_deref().unwrap_or(AGENTS)
}

fn no_agents<T>(path: &str) -> Result<T, Fault> {
    untried(format!("agents have no route at {path}; name theirs with --agent-path"))
}

/// A socket on the agents' route, without any credential.
pub(crate) async fn agent_socket(s: &Fixture) -> Result<Socket, Fault> {
    let path = agents_path(s);
    match s.client.open(&Call::get(path)).await? {
        Ok(socket) => Ok(socket),
        Err(refused) if s.agent_path.is_none() && matches!(refused.status, 401 | 404) => {
            no_agents(path)
        }
        Err(refused) => Err(refused.fault("101 without a credential")),
    }
}

/// The answer that the first message was good.
pub(crate) async fn accepted(socket: &mut Socket) -> Result<Value, Fault> {
    match socket.next().await? {
        Message::Text(text) => {
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            ensure(answer["type"] == "auth_success", || format!("refused with {text}"))?;
            Ok(answer)
        }
        other => differs(format!("expected auth_success, found {other:?}")),
    }
}

/// The socket is closed because its credential is no longer good.
pub(crate) async fn ends(socket: &mut Socket) -> Check {
    loop {
        match socket.next_within(SOON).await? {
            Message::Text(_) => {}
            Message::Close(Some(4401)) => return Ok(()),
            other => return differs(format!("expected a close with 4401, found {other:?}")),
        }
    }
}
