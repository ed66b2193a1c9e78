//! What the statements are tried with: an administrator's session, people, servers
//! and workspaces made for this run and removed after it, and a clean record at the
//! failed-attempt limiter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::client::{Call, Client, Limit, limit_of};
use crate::delivery::{self, Delivery};
use crate::expected::Expected;
use crate::password::Password;
use crate::provided::{self, Resources};
use crate::reply::Reply;
use crate::report::{Check, Fault, differs, untried};
use crate::sign_in;
use crate::token::Token;
use crate::traces::Run;
use crate::{Dialect, Options, random_bytes};

/// Of the upstream, unless the operator names another path: behind a route that wants a
/// credential, answered with 2xx.
const PROXIED: &str = "/api/conform";
/// The same below `/api/v1`.
const PROXIED_V1: &str = "/api/v1/servers";

/// Nobody wants a quick run to wait longer for one statement.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_COMPLETE_WAIT: Duration = Duration::from_secs(300);

/// Somebody made for this run.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub username: String,
    pub email: String,
    pub password: String,
}

pub struct Fixture {
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
    /// What the operator provides.
    pub provided: Resources,
    complete: bool,
    administrator: (String, Password),
    /// What the upstream was sent can be seen.
    pub echo: bool,
    mounted: BTreeSet<Dialect>,
    deliveries: Mutex<BTreeMap<Dialect, Delivery>>,
    admin: Mutex<String>,
    /// Our own address, as the gateway counts failed attempts.
    address: String,
    run: Run,
    counter: AtomicU32,
    kept: Mutex<BTreeMap<&'static str, Reply>>,
    ann: OnceCell<Person>,
}

/// Why there can be no run, in words for the operator.
type Obstacle = String;

impl Fixture {
    pub async fn set_up(options: &Options, password: &Password) -> Result<Self, Obstacle> {
        let client = Client::new(&options.url, &options.tls)?;
        let words = Fault::into_words;
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
        let admin = administrator_token(&client, name, password).await?;
        let fixture = Self::behind(options, password, &client, &admin).await;
        if fixture.is_err() {
            end_session(&client, &admin).await;
        }
        fixture
    }

    /// Behind the administrator's sign-in.
    async fn behind(
        options: &Options,
        password: &Password,
        client: &Client,
        admin: &str,
    ) -> Result<Self, Obstacle> {
        let words = Fault::into_words;
        let name = options.admin.as_str();
        let run = Run::new();
        let proxied = options.proxied_path.as_deref().unwrap_or(PROXIED);
        let proxied_v1 = options.proxied_v1_path.as_deref().unwrap_or(PROXIED_V1);
        let wrong = Call::get(proxied).basic(&run.name(0), "not a password");
        let address = own_address(client, admin, &wrong).await.map_err(words)?;
        let administrator = (name.to_owned(), password.clone());
        let provided =
            Resources::new(options.provided.clone(), &options.tls, administrator.clone())?;
        let mounted = match options.dialects.as_slice() {
            [] => find_mounted(client).await.map_err(words)?,
            named => named.iter().copied().collect(),
        };
        let seen = client.send(&Call::get(proxied).bearer(admin)).await.map_err(words)?;
        let fixture = Self {
            echo: is_echo(&seen),
            proxied: proxied.to_owned(),
            proxied_v1: proxied_v1.to_owned(),
            expected: options.expected.clone(),
            provided,
            complete: options.complete,
            administrator,
            client: client.clone(),
            agent_path: options.agent_path.clone(),
            ticket_path: options.ticket_path.clone(),
            mounted,
            deliveries: Mutex::default(),
            admin: Mutex::new(admin.to_owned()),
            address,
            run,
            counter: AtomicU32::new(1),
            kept: Mutex::default(),
            ann: OnceCell::new(),
        };
        fixture.forgive().await.map_err(words)?;
        Ok(fixture)
    }

    /// Whether all of these are served here.
    pub fn needs(&self, dialects: &[Dialect]) -> Check {
        match dialects.iter().find(|dialect| !self.mounted.contains(dialect)) {
            None => Ok(()),
            Some(missing) => untried(format!("the dialect {} is not served here", missing.word())),
        }
    }

    /// Whether to wait so long for one statement.
    pub fn waits(&self, wait: Duration) -> Check {
        let seconds = wait.as_secs();
        match wait {
            _ if wait <= LONGEST_WAIT => Ok(()),
            _ if wait > LONGEST_COMPLETE_WAIT => {
                untried(format!("it takes {seconds} s, which is too long for a run"))
            }
            _ if self.complete => Ok(()),
            _ => untried(format!("it takes {seconds} s, which only --complete waits for")),
        }
    }

    /// Has the gateway restarted, and waits until it serves again.
    pub async fn restart(&self) -> Check {
        self.provided.restart(&self.client, &self.served()).await
    }

    /// What a gateway answers with 2xx that is at work.
    fn served(&self) -> Call {
        self.as_admin(Call::get(&self.proxied))
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
        self.client.send(&self.as_admin(call)).await
    }

    /// A call with the administrator's token, which passes whatever is locked.
    pub fn as_admin(&self, call: Call) -> Call {
        call.bearer(&lock(&self.admin))
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

    /// Where a restart has made an end of the administrator's token.
    async fn sign_in_again(&self) {
        let refused = self.admin(failures_call()).await.is_ok_and(|reply| reply.status == 401);
        let (name, password) = &self.administrator;
        if refused && let Ok(token) = administrator_token(&self.client, name, password).await {
            *lock(&self.admin) = token;
        }
    }

    /// Removes what this run has made and what an earlier one had to leave, and ends the
    /// administrator's session. Returns what is left behind.
    pub async fn clear(&self) -> Vec<String> {
        self.client.settle().await;
        if self.provided.has_restarted() {
            // Interrupted behind the command, it may not serve yet; if it never does, the
            // removal says so.
            let _ = provided::serves_again(&self.client, &self.served()).await;
            self.sign_in_again().await;
        }
        let admin = lock(&self.admin).clone();
        let left = self.run.clear(&self.client, &admin).await;
        let _ = self.forgive().await;
        end_session(&self.client, &admin).await;
        self.provided.sign_out().await;
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

/// Ends the session of an administrator's token.
async fn end_session(client: &Client, token: &str) {
    if let Some(session) = session_of(token) {
        let end = Call::delete(format!("/api/admin/sessions/{session}"));
        let _ = client.send(&end.bearer(token)).await;
    }
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
    Err(Fault::Untried("others fail to sign in all the time; try again when it is quiet".into()))
}

/// A token of the administrator, by whichever contract is served.
async fn administrator_token(
    client: &Client,
    name: &str,
    password: &Password,
) -> Result<String, Obstacle> {
    let password = password.expose();
    let ways = [
        (sign_in::status(name, password), sign_in::STATUS_TOKEN),
        (sign_in::plain(name, password), sign_in::PLAIN_TOKEN),
        (sign_in::form(name, password), sign_in::FORM_TOKEN),
    ];
    for (login, token) in ways {
        if let Ok(token) = sign_in::token(client, &login, token).await {
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
