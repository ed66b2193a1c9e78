//! Somebody who uses the replicas in any order, and keeps what they answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::{Method, Request};
use serde_json::{Value, json};

use super::history::{Event, Moment, Operation, Outcome};
use crate::support::client::{Answer, Body, Pair, json_request, request};
use crate::support::gateway::Gateway;
use crate::support::site::{Site, with_credential};

/// The operations of all callers, as they end.
pub(super) struct Record {
    since: Instant,
    operations: Mutex<Vec<Operation>>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), operations: Mutex::default() }
    }

    pub(super) fn now(&self) -> Moment {
        self.since.elapsed()
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, replica: usize, began: Moment, event: Event) {
        let operation = Operation { replica, began, ended: self.now(), event };
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
    }
}

/// What a request proves its caller with.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    /// In the record.
    pub(super) name: String,
    /// The value of `Authorization`.
    pub(super) field: String,
}

pub(super) struct Caller {
    sites: Vec<Site>,
    record: Arc<Record>,
}

impl Caller {
    pub(super) fn new(gateways: &[Gateway], record: &Arc<Record>) -> Self {
        Self { sites: gateways.iter().map(Site::of).collect(), record: record.clone() }
    }

    pub(super) fn now(&self) -> Moment {
        self.record.now()
    }

    pub(super) fn note(&self, replica: usize, began: Moment, event: Event) {
        self.record.note(replica, began, event);
    }

    async fn ask(
        &mut self,
        replica: usize,
        request: Request<Body>,
        credential: &Credential,
    ) -> Option<Answer> {
        self.sites[replica].send(with_credential(request, &credential.field)).await
    }

    /// One look at whether it is good.
    pub(super) async fn try_out(&mut self, replica: usize, credential: &Credential) -> Outcome {
        let began = self.now();
        let answer = self.ask(replica, request(Method::GET, "/"), credential).await;
        let outcome = outcome(answer.as_ref());
        self.note(replica, began, Event::Used(credential.name.clone(), outcome));
        outcome
    }

    /// Signs in with what `credential` says too.
    pub(super) async fn login(
        &mut self,
        replica: usize,
        credential: &Credential,
        [name, password]: [&str; 2],
    ) -> Option<Pair> {
        let began = self.now();
        let body = json!({ "username": name, "password": password });
        let answer = self.sites[replica].send(json_request("/api/auth/login", &body)).await;
        let outcome = outcome(answer.as_ref());
        self.note(replica, began, Event::Used(credential.name.clone(), outcome));
        (outcome == Outcome::Done).then(|| answer.expect("done").pair())
    }

    /// Refreshes at these replicas at once; what the first of them gave.
    pub(super) async fn refresh(
        &mut self,
        replicas: &[usize],
        token: &Credential,
    ) -> Option<(usize, Pair)> {
        let began = self.now();
        let record = self.record.clone();
        let asked = self.sites.iter_mut().enumerate().filter(|(site, _)| replicas.contains(site));
        let asked = asked.map(async |(replica, site)| {
            let answer = site.refresh(&token.field).await;
            let pair = match outcome(answer.as_ref()) {
                Outcome::Done => Some(answer.expect("done").pair()),
                Outcome::Refused => None,
                Outcome::Held | Outcome::Unknown => return None,
            };
            let successor = pair.as_ref().map(|pair| pair.refresh.clone());
            record.note(replica, began, Event::Refreshed(token.name.clone(), successor));
            Some((replica, pair?))
        });
        join_all(asked).await.into_iter().flatten().next()
    }

    /// Opens a WebSocket with the ticket at every replica at once.
    pub(super) async fn redeem(&mut self, ticket: &str) {
        let began = self.now();
        let record = self.record.clone();
        join_all(self.sites.iter_mut().enumerate().map(async |(replica, site)| {
            let answer = site.open_socket(ticket).await;
            let event = Event::Redeemed(ticket.to_owned(), outcome(answer.as_ref()));
            record.note(replica, began, event);
        }))
        .await;
    }

    pub(super) async fn ticket(
        &mut self,
        replica: usize,
        credential: &Credential,
    ) -> Option<String> {
        let began = self.now();
        let answer = self.ask(replica, request(Method::GET, "/api/ws-token"), credential).await?;
        let ticket = done(answer)?["token"].as_str().expect("a ticket is text").to_owned();
        self.note(replica, began, Event::Made(ticket.clone()));
        Some(ticket)
    }

    /// Registers the same name at these replicas at once, by other passwords each; one that
    /// did, and its password.
    pub(super) async fn register(
        &mut self,
        replicas: &[usize],
        name: &str,
        password: &str,
    ) -> Option<(usize, String)> {
        let began = self.now();
        let record = self.record.clone();
        let asked = self.sites.iter_mut().enumerate().filter(|(site, _)| replicas.contains(site));
        let asked = asked.map(async |(replica, site)| {
            let password = format!("{password} {replica}");
            let answer = site.send(registration(name, &password)).await;
            let outcome = outcome(answer.as_ref());
            record.note(replica, began, Event::Registered(name.to_owned(), outcome));
            (outcome == Outcome::Done).then_some((replica, password))
        });
        join_all(asked).await.into_iter().flatten().next()
    }

    /// Registers a name that nobody else wants, and says the same again at the next replica
    /// for as long as the answer is 503; one that did.
    pub(super) async fn insist(
        &mut self,
        first: usize,
        name: &str,
        password: &str,
    ) -> Option<usize> {
        let given_up = self.now() + REPEATABLE;
        for attempt in 0.. {
            let replica = (first + attempt) % self.sites.len();
            let began = self.now();
            if began > given_up {
                return None;
            }
            let answer = self.sites[replica].send(registration(name, password)).await;
            let outcome = outcome(answer.as_ref());
            let event = if attempt == 0 { Event::Registered } else { Event::Repeated };
            self.note(replica, began, event(name.to_owned(), outcome));
            match outcome {
                Outcome::Done => return Some(replica),
                Outcome::Unknown if answer.is_some() => {}
                // Without an answer it may have been told to nobody.
                _ => return None,
            }
            tokio::time::sleep(RETRY).await;
        }
        None
    }

    /// A new API key: its id and itself.
    pub(super) async fn make_key(
        &mut self,
        replica: usize,
        owner: &Credential,
    ) -> Option<(String, Credential)> {
        let began = self.now();
        let request = json_request(KEYS, &json!({}));
        let key = done(self.ask(replica, request, owner).await?)?;
        let text = |member: &str| key[member].as_str().expect("a text").to_owned();
        let id = text("keyId");
        let key = Credential { name: id.clone(), field: format!("Bearer {}", text("apiKey")) };
        self.note(replica, began, Event::Made(key.name.clone()));
        Some((id, key))
    }

    pub(super) async fn delete_key(&mut self, replica: usize, owner: &Credential, id: &str) {
        let began = self.now();
        let request = request(Method::DELETE, &format!("{KEYS}/{id}"));
        let answer = self.ask(replica, request, owner).await;
        self.note(replica, began, Event::Ended(id.to_owned(), ending(answer.as_ref())));
    }

    pub(super) async fn logout(&mut self, replica: usize, access: &Credential) {
        let began = self.now();
        let answer = self.ask(replica, request(Method::POST, "/api/logout"), access).await;
        let ended = Event::Ended(access.name.clone(), ending(answer.as_ref()));
        self.note(replica, began, ended);
    }

    /// Changes a password; what ends with the old one is the caller's to note.
    pub(super) async fn change_password(
        &mut self,
        replica: usize,
        old: &Credential,
        [current, new]: [&str; 2],
    ) -> Outcome {
        let answer = self.sites[replica].change_password(&old.field, current, new).await;
        outcome(answer.as_ref())
    }
}

/// Less than the gateway's own, as the last may take a while.
const REPEATABLE: Duration = Duration::from_secs(40);
const RETRY: Duration = Duration::from_millis(100);

fn registration(name: &str, password: &str) -> Request<Body> {
    let body = json!({
        "email": format!("{name}@example.com"), "username": name, "full_name": "Somebody",
        "password": password, "password_confirm": password,
    });
    json_request("/api/v1/auth/register", &body)
}

const KEYS: &str = "/api/v1/auth/keys";

/// The body of an answer that says yes.
fn done(answer: Answer) -> Option<Value> {
    (outcome(Some(&answer)) == Outcome::Done).then(|| answer.json())
}

fn outcome(answer: Option<&Answer>) -> Outcome {
    let Some(answer) = answer else { return Outcome::Unknown };
    match answer.status.as_u16() {
        101 | 200 | 201 | 204 => Outcome::Done,
        401 | 404 | 409 => Outcome::Refused,
        503 => {
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
            Outcome::Unknown
        }
        _ => panic!("nobody expects {answer:?}"),
    }
}

/// Of what holds where it was asked for, even if the store does not hear of it yet.
fn ending(answer: Option<&Answer>) -> Outcome {
    let held = answer
        .is_some_and(|answer| String::from_utf8_lossy(&answer.body).contains("has ended here"));
    match outcome(answer) {
        Outcome::Unknown if held => Outcome::Held,
        other => other,
    }
}
