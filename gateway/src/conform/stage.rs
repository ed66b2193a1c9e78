//! What the statements are tried with: an administrator's session, people, servers
//! and workspaces made for this run and removed after it, and a clean record at the
//! failed-attempt limiter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::auth::secret::Secret;

use super::client::{Call, Client, Limit, limit_of, percent};
use super::reply::Reply;
use super::report::{Check, Fault, unseen};
use super::{Dialect, Options, random_bytes};

/// Behind every route of an upstream, as far as the gateway is concerned.
pub const PROXIED: &str = "/api/conform";
/// The same below `/api/v1`.
pub const PROXIED_V1: &str = "/api/v1/servers";

const PAGES: usize = 100;

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
    /// What the upstream was sent can be seen.
    pub echo: bool,
    mounted: BTreeSet<Dialect>,
    admin: String,
    /// Our own address, as the gateway counts failed attempts.
    address: String,
    run: String,
    counter: AtomicU32,
    kept: Mutex<BTreeMap<&'static str, Reply>>,
    ann: OnceCell<Person>,
    /// Paths of the admin API to delete at the end.
    made: Mutex<Vec<String>>,
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
        let run = format!("conform-{:08x}", u32::from_be_bytes(random_bytes()));
        let address = own_address(&client, &admin, &run).await.map_err(words)?;
        let mounted = match options.dialects.as_slice() {
            [] => find_mounted(&client).await.map_err(words)?,
            named => named.iter().copied().collect(),
        };
        let seen = client.send(&Call::get(PROXIED).bearer(&admin)).await.map_err(words)?;
        let stage = Self {
            echo: echoed(&seen, "x-portcullis-user-id").is_some(),
            client,
            agent_path: options.agent_path.clone(),
            ticket_path: options.ticket_path.clone(),
            mounted,
            admin,
            address,
            run,
            counter: AtomicU32::new(0),
            kept: Mutex::default(),
            ann: OnceCell::new(),
            made: Mutex::default(),
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
        if limit_of(&reply) == Some(Limit::Attempts) && reply.status == 429 {
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

    /// A name that nobody has, which the end of the run recognises.
    pub fn fresh_name(&self) -> String {
        format!("{}-{}", self.run, self.counter.fetch_add(1, Ordering::Relaxed))
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

    /// Makes something through the admin API, to be removed at the end.
    pub async fn make(&self, list: &str, body: &Value) -> Result<Reply, Fault> {
        let reply = self.admin(Call::post(list).json(body)).await?;
        reply.status(201)?;
        let id = reply.text("/id")?;
        lock(&self.made).push(format!("{list}/{id}"));
        Ok(reply)
    }

    /// A server's id.
    pub async fn server(&self) -> Result<String, Fault> {
        self.make("/api/admin/servers", &json!({ "name": self.fresh_name() })).await?.text("/id")
    }

    /// A key of `owner`, bound to a server if one is named: the answer of the admin API.
    pub async fn key(&self, owner: &Person, server: Option<&str>) -> Result<Reply, Fault> {
        let mut body = json!({ "owner": owner.id, "name": "conform" });
        if let Some(server) = server {
            body["server"] = server.into();
        }
        self.make("/api/admin/keys", &body).await
    }

    /// Removes what was made. Answers what is left behind.
    pub async fn clear(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut paths = std::mem::take(&mut *lock(&self.made));
        paths.reverse();
        // Those who registered themselves.
        match self.registered().await {
            Ok(users) => paths.extend(users),
            Err(Fault::Differs(text) | Fault::Unseen(text)) => left.push(text),
        }
        let mut gone = BTreeSet::new();
        for path in paths.into_iter().filter(|path| gone.insert(path.clone())) {
            match self.admin(Call::delete(&path)).await {
                Ok(reply) if matches!(reply.status, 204 | 404) => {}
                Ok(reply) => left.push(format!("{path} is left behind: {}", reply.status)),
                Err(_) => left.push(format!("{path} is left behind: no answer")),
            }
        }
        let _ = self.forgive().await;
        left
    }

    async fn registered(&self) -> Result<Vec<String>, Fault> {
        let mut users = Vec::new();
        let mut path = "/api/admin/users?limit=200".to_owned();
        for _ in 0..PAGES {
            let page = self.admin(Call::get(&path)).await?;
            page.status(200)?;
            for user in page.at("/items")?.as_array().into_iter().flatten() {
                let name = user["username"].as_str().unwrap_or_default();
                if let Some(id) = user["id"].as_str().filter(|_| name.starts_with(&self.run)) {
                    users.push(format!("/api/admin/users/{id}"));
                }
            }
            match page.at("/next")? {
                Value::String(next) => {
                    path = format!("/api/admin/users?limit=200&cursor={}", percent(&next));
                }
                _ => break,
            }
        }
        Ok(users)
    }
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
async fn own_address(client: &Client, admin: &str, nobody: &str) -> Result<String, Fault> {
    /// Fewer than lock an address out by default.
    const TRIES: usize = 4;
    let failures = failures_call().bearer(admin);
    let mut before = counted(&client.send(&failures).await?)?;
    let mut risen: Option<BTreeSet<String>> = None;
    for _ in 0..TRIES {
        client.send(&Call::get(PROXIED).basic(nobody, "not a password")).await?;
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
    for (call, token) in ways {
        if let Ok(reply) = client.send(&call).await
            && reply.status == 200
            && let Some(token) = reply.text(token).ok().or(reply.cookie_token().map(str::to_owned))
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
