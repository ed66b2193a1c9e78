//! What the statements are tried with: an administrator's session, people, servers
//! and workspaces made for this run and removed after it, and a clean record at the
//! failed-attempt limiter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::auth::secret::Secret;

use super::client::{Call, Client, Limit, limit_of};
use super::delivery::{self, Delivery};
use super::expected::Expected;
use super::reply::Reply;
use super::report::{Check, Fault, differs, unseen};
use super::token::Token;
use super::traces::Run;
use super::{Dialect, Options, random_bytes};

/// Of the upstream, unless the operator names another path: behind a route that wants a
/// credential, answered with 2xx.
const PROXIED: &str = "/api/conform";
/// The same below `/api/v1`.
const PROXIED_V1: &str = "/api/v1/servers";

/// Somebody made for this run.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub username: String,
    pub email: String,
    pub password: String,
}

pub struct Stage {
    pub client: Client,
    /// The agents' route, if the operator has named one.
    pub agent_path: Option<String>,
    /// A WebSocket route that takes tickets, if the operator has named one.
    pub ticket_path: Option<String>,
    /// A path of the upstream that wants a credential.
    pub proxied: String,
    /// The same below `/api/v1`.
    pub proxied_v1: String,
    pub expected: Expected,
    /// What the upstream was sent can be seen.
    pub echo: bool,
    mounted: BTreeSet<Dialect>,
    deliveries: Mutex<BTreeMap<Dialect, Delivery>>,
    admin: String,
    /// Our own address, as the gateway counts failed attempts.
    address: String,
    run: Run,
    counter: AtomicU32,
    kept: Mutex<BTreeMap<&'static str, Reply>>,
    ann: OnceCell<Person>,
}

/// Why there can be no run, in words for the operator.
type Obstacle = String;

impl Stage {
    pub async fn set(options: &Options, password: &Secret) -> Result<Self, Obstacle> {
        let client = Client::new(&options.url, &options.trust)?;
        let words = |fault: Fault| match fault {
            Fault::Differs(text) | Fault::Unseen(text) => text,
        };
        let name = options.admin.as_str();
        let before = client.send(&failures_call().basic(name, password.expose())).await;
        let before = before.map_err(words)?;
        match before.status {
            200 => {}
            401 => return Err(format!("the password of {name} is not accepted")),
            403 => return Err(format!("{name} has not the role admin")),
            429 => return Err("this address is locked out after failed attempts".to_owned()),
            _ => return Err(words(before.fault("the admin API"))),
        }
        let admin = sign_in(&client, name, password).await?;
        let run = Run::new();
        let proxied = options.proxied_path.as_deref().unwrap_or(PROXIED);
        let proxied_v1 = options.proxied_v1_path.as_deref().unwrap_or(PROXIED_V1);
        let wrong = Call::get(proxied).basic(&run.name(0), "not a password");
        let address = own_address(&client, &admin, &wrong).await.map_err(words)?;
        let mounted = match options.dialects.as_slice() {
            [] => find_mounted(&client).await.map_err(words)?,
            named => named.iter().copied().collect(),
        };
        let seen = client.send(&Call::get(proxied).bearer(&admin)).await.map_err(words)?;
        let stage = Self {
            echo: is_echo(&seen),
            proxied: proxied.to_owned(),
            proxied_v1: proxied_v1.to_owned(),
            expected: options.expected.clone(),
            client,
            agent_path: options.agent_path.clone(),
            ticket_path: options.ticket_path.clone(),
            mounted,
            deliveries: Mutex::default(),
            admin,
            address,
            run,
            counter: AtomicU32::new(1),
            kept: Mutex::default(),
            ann: OnceCell::new(),
        };
        stage.forgive().await.map_err(words)?;
        Ok(stage)
    }

    /// Whether all of these are served here.
    pub fn needs(&self, dialects: &[Dialect]) -> Check {
        match dialects.iter().find(|dialect| !self.mounted.contains(dialect)) {
            None => Ok(()),
            Some(missing) => unseen(format!("the dialect {} is not served here", missing.word())),
        }
    }

    /// Sends a request. What it costs at the failed-attempt limiter is forgiven.
    pub async fn send(&self, call: Call) -> Result<Reply, Fault> {
        let mut reply = self.client.send(&call).await?;
        if limit_of(&reply) == Some(Limit::Attempts) {
            self.forgive().await?;
            reply = self.client.send(&call).await?;
        }
        if reply.status == 401 && call.attempt {
            self.forgive().await?;
        }
        Ok(reply)
    }

    /// Asks the admin API.
    pub async fn admin(&self, call: Call) -> Result<Reply, Fault> {
        self.client.send(&call.bearer(&self.admin)).await
    }

    /// A call with the administrator's token, which passes whatever is locked.
    pub fn as_admin(&self, call: Call) -> Call {
        call.bearer(&self.admin)
    }

    /// Clears this address's failed attempts.
    pub async fn forgive(&self) -> Check {
        let path = format!("/api/admin/lockouts/{}", self.address);
        let reply = self.admin(Call::delete(path)).await?;
        match reply.status {
            204 | 404 => Ok(()),
            _ => Err(reply.fault("204 or 404")),
        }
    }

    /// Failed attempts of this address that are counted now.
    pub async fn failures(&self) -> Result<u64, Fault> {
        let reply = self.admin(failures_call()).await?;
        Ok(counted(&reply)?.remove(&self.address).unwrap_or(0))
    }

    /// Asks once and gives every statement the same answer.
    pub async fn once(
        &self,
        what: &'static str,
        ask: impl Future<Output = Result<Reply, Fault>>,
    ) -> Result<Reply, Fault> {
        if let Some(kept) = lock(&self.kept).get(what) {
            return Ok(kept.clone());
        }
        let reply = ask.await?;
        lock(&self.kept).insert(what, reply.clone());
        Ok(reply)
    }

    /// The response with its tokens where a body has them. One dialect delivers all its
    /// tokens in the same way.
    pub fn delivered(
        &self,
        dialect: Dialect,
        reply: Reply,
        tokens: &[delivery::Token],
    ) -> Result<Reply, Fault> {
        if !matches!(reply.status, 200 | 201) {
            return Ok(reply);
        }
        let (found, reply) = delivery::read(reply, tokens);
        let before = *lock(&self.deliveries).entry(dialect).or_insert(found);
        if before != found {
            let place = |delivery| match delivery {
                Delivery::Body => "the body",
                Delivery::Cookie => "cookies",
            };
            return differs(format!(
                "{}: tokens come in {}, before they came in {}",
                reply.asked,
                place(found),
                place(before)
            ));
        }
        Ok(reply)
    }

    /// How a dialect was seen to deliver its tokens.
    pub fn delivery(&self, dialect: Dialect) -> Option<Delivery> {
        lock(&self.deliveries).get(&dialect).copied()
    }

    /// A name that nobody has, which the end of this run or of the next one recognises.
    pub fn fresh_name(&self) -> String {
        self.run.name(self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// Somebody who is not registered yet.
    pub fn stranger(&self) -> Person {
        let username = self.fresh_name();
        Person {
            id: String::new(),
            email: format!("{username}@conform.example"),
            password: format!("Right1@{:016x}", u64::from_be_bytes(random_bytes())),
            username,
        }
    }

    /// Somebody new with an account.
    pub async fn person(&self) -> Result<Person, Fault> {
        let mut person = self.stranger();
        let made = self
            .make(
                "/api/admin/users",
                &json!({
                    "username": person.username,
                    "email": person.email,
                    "password": person.password,
                    "full_name": "Ann Conform",
                    "first_name": "Ann",
                    "last_name": "Conform",
                }),
            )
            .await?;
        person.id = made.text("/id")?;
        Ok(person)
    }

    /// The account for whatever leaves it as it was.
    pub async fn ann(&self) -> Result<&Person, Fault> {
        self.ann.get_or_try_init(|| self.person()).await
    }

    /// Makes something through the admin API. Its name, a fresh one, is all that the
    /// removal needs: no interrupt comes between the thing and a note of it.
    pub async fn make(&self, list: &str, body: &Value) -> Result<Reply, Fault> {
        let reply = self.admin(Call::post(list).json(body)).await?;
        reply.status(201)?;
        Ok(reply)
    }

    /// A server's id.
    pub async fn server(&self) -> Result<String, Fault> {
        self.make("/api/admin/servers", &json!({ "name": self.fresh_name() })).await?.text("/id")
    }

    /// A key of `owner`, bound to a server if one is named: the answer of the admin API.
    pub async fn key(&self, owner: &Person, server: Option<&str>) -> Result<Reply, Fault> {
        let mut body = json!({ "owner": owner.id, "name": self.fresh_name() });
        if let Some(server) = server {
            body["server"] = server.into();
        }
        self.make("/api/admin/keys", &body).await
    }

    /// Removes what this run has made and what an earlier one had to leave, and ends the
    /// administrator's session. Returns what is left behind.
    pub async fn clear(&self) -> Vec<String> {
        self.client.settle().await;
        let left = self.run.clear(self).await;
        let _ = self.forgive().await;
        if let Some(session) = session_of(&self.admin) {
            let _ = self.admin(Call::delete(format!("/api/admin/sessions/{session}"))).await;
        }
        left
    }
}

/// Whether this is what the upstream `echo` says of a request, whatever it was sent.
fn is_echo(reply: &Reply) -> bool {
    reply.status == 200
        && ["/method", "/path", "/version", "/headers", "/body_bytes"]
            .iter()
            .all(|member| reply.at(member).is_ok())
}

fn session_of(token: &str) -> Option<String> {
    Some(Token::read(token).ok()?.claim("sid").as_str()?.to_owned())
}

/// A field of the request as the upstream `echo` saw it.
pub fn echoed(reply: &Reply, field: &str) -> Option<String> {
    let json = reply.json().ok()?;
    Some(json["headers"][field][0].as_str()?.to_owned())
}

fn failures_call() -> Call {
    Call::get("/api/admin/lockouts?limit=200")
}

fn counted(reply: &Reply) -> Result<BTreeMap<String, u64>, Fault> {
    reply.status(200)?;
    let items = reply.at("/items")?;
    let read =
        |item: &Value| Some((item["address"].as_str()?.to_owned(), item["failures"].as_u64()?));
    Ok(items.as_array().into_iter().flatten().filter_map(read).collect())
}

/// The address whose count rises whenever an attempt of ours fails.
async fn own_address(client: &Client, admin: &str, wrong: &Call) -> Result<String, Fault> {
    /// Fewer than lock an address out by default.
    const TRIES: usize = 4;
    let failures = failures_call().bearer(admin);
    let mut before = counted(&client.send(&failures).await?)?;
    let mut risen: Option<BTreeSet<String>> = None;
    for _ in 0..TRIES {
        client.send(wrong).await?;
        let after = counted(&client.send(&failures).await?)?;
        // Others may fail at the same time, but not always.
        let rose = after.iter().filter(|(address, count)| before.get(*address) < Some(*count));
        let rose: BTreeSet<String> = rose.map(|(address, _)| address.clone()).collect();
        let candidates = match risen {
            Some(risen) => risen.intersection(&rose).cloned().collect(),
            None => rose,
        };
        if candidates.len() < 2 {
            return candidates.into_iter().next().ok_or_else(|| {
                Fault::Differs("a failed attempt of ours is counted for no address".to_owned())
            });
        }
        (risen, before) = (Some(candidates), after);
    }
    Err(Fault::Unseen("others fail to sign in all the time; try again when it is quiet".into()))
}

/// A token of the administrator, by whichever contract is served.
async fn sign_in(client: &Client, name: &str, password: &Secret) -> Result<String, Obstacle> {
    let password = password.expose();
    let body = json!({ "username": name, "password": password });
    let ways = [
        (Call::post("/api/auth/login").json(&body), "/access_token"),
        (Call::post("/api/v1/auth/login").json(&body), "/token"),
        (
            Call::post("/api/v1/auth/login").form(&[("username", name), ("password", password)]),
            "/access_token",
        ),
    ];
    for (call, member) in ways {
        if let Ok(reply) = client.send(&call).await
            && reply.status == 200
            && let (_, reply) = delivery::read(reply, &[delivery::Token::access(member)])
            && let Ok(token) = reply.text(member)
        {
            return Ok(token);
        }
    }
    Err(format!("no login gives {name} a token"))
}

/// Which dialects answer. Their paths may belong to an upstream, which wants a credential.
async fn find_mounted(client: &Client) -> Result<BTreeSet<Dialect>, Fault> {
    let probes = [
        (Dialect::Form, Call::post("/api/v1/auth/register").json(&json!({}))),
        (Dialect::Status, Call::post("/api/auth/login").json(&json!({ "username": "" }))),
        (Dialect::Envelope, Call::post("/api/auth/login").json(&json!({ "email": "" }))),
        (Dialect::Plain, Call::post("/api/v1/auth/login").json(&json!({}))),
    ];
    let mut mounted = BTreeSet::new();
    for (dialect, call) in probes {
        let reply = client.send(&call).await?;
        let other = match dialect {
            Dialect::Status => reply.at("/success").is_ok(),
            Dialect::Envelope => reply.at("/status").is_ok(),
            // The form's login takes no JSON.
            Dialect::Plain => reply.status == 415,
            Dialect::Form => false,
        };
        if !matches!(reply.status, 401 | 404 | 405) && !other {
            mounted.insert(dialect);
        }
    }
    Ok(mounted)
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
