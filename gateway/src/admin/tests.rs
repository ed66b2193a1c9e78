//! The operations on a core with a set clock, counted randomness and a store of maps.

mod changes;
mod keys;
mod links;
mod lockouts;
mod pages;
mod records;
mod registration;
mod servers;
mod sessions;
mod texts;
mod users;
mod workspaces;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::record::{Record, Session, State, User};
use super::*;
use crate::auth::error::Refusal;
use crate::auth::login::{Issuance, TokenPair};
use crate::auth::ports::{AccountLimits, Entropy, Mailer, Message};
use crate::auth::principal::Principal;
use crate::auth::secret::Secret;
use crate::auth::tests::{CLIENT, Counting, HERE, PASSWORD, SetClock, core_over};
use crate::auth::time::Seconds;
use crate::store::in_memory::InMemoryStore;

/// Which error it was, with the outcome where it was none of these.
macro_rules! assert_error {
    ($outcome:expr, $error:pat) => {{
        let outcome = $outcome;
        assert!(matches!(outcome, Err($error)), "{outcome:?}");
    }};
}
use assert_error;

/// An id that nothing has.
const NOBODY: Uuid = Uuid::from_u128(7);
const ISSUANCE: Issuance =
    Issuance { access_ttl: Seconds(28_800), rotate: true, shows_role: false, life: None };

/// As bcrypt writes it; of which password does not matter.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuMsu9aS7Wk2Db0q3Uq3w2kq0GJHyHqlK";

/// Numbers, so that ids and secrets are unlike each other and in order.
#[derive(Default)]
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        bytes.fill(0);
        for (byte, of_number) in bytes.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte = of_number;
        }
    }
}

/// What was handed over to be sent, while there is room.
#[derive(Default)]
struct Mails(Mutex<Vec<Message>>, std::sync::atomic::AtomicBool);

impl Mailer for Mails {
    fn send(&self, message: Message) -> Result<(), Error> {
        if self.1.load(Ordering::SeqCst) {
            return Err(Error::MailBusy);
        }
        self.0.lock().unwrap().push(message);
        Ok(())
    }
}

struct Bench {
    core: Core,
    clock: Arc<SetClock>,
    store: Arc<InMemoryStore>,
    mails: Arc<Mails>,
}

impl Bench {
    fn new() -> Self {
        Self::with_limits(AccountLimits::default())
    }

    fn with_limits(limits: AccountLimits) -> Self {
        let clock = Arc::new(SetClock(AtomicU64::new(1_800_000_000_000)));
        let mails = Arc::new(Mails::default());
        let mailer = Some(Arc::clone(&mails) as Arc<dyn Mailer>);
        let mut core = core_over(Arc::<Counting>::default(), Arc::clone(&clock), mailer);
        let store = InMemoryStore::new(Arc::clone(core.standing()), Seconds(604_800));
        let store = Arc::new(store.with_limits(limits));
        core.store = Arc::clone(&store) as Arc<_>;
        core.entropy = Arc::new(Counted::default());
        Self { core, clock, store, mails }
    }

    /// With the user `ann`.
    async fn with_ann() -> Self {
        let bench = Self::new();
        bench.add("ann").await;
        bench
    }

    fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    async fn ask(&self, request: Request) -> Result<Reply, Error> {
        perform(&self.core, request, By::Operator).await
    }

    async fn ask_as_client(&self, request: Request) -> Result<Reply, Error> {
        perform(&self.core, request, By::Client).await
    }

    /// With an address of that name, and the default role.
    async fn add(&self, name: &str) -> Uuid {
        self.add_as(name, &[]).await
    }

    async fn add_as(&self, name: &str, roles: &[&str]) -> Uuid {
        let email = Some(format!("{name}@example.com"));
        let new = NewUser { email, roles: texts(roles), ..new_user(name) };
        made_user(self.ask(Request::AddUser(new)).await.unwrap()).id
    }

    async fn add_server(&self, name: &str, owner: Option<&str>) -> Uuid {
        let request = Request::AddServer { name: name.to_owned(), owner: owner.map(named) };
        match self.ask(request).await.unwrap() {
            Reply::Made(Record::Server(server)) => server.id,
            other => panic!("{other:?}"),
        }
    }

    async fn add_workspace(&self, name: &str) -> Uuid {
        match self.ask(Request::AddWorkspace { name: name.to_owned() }).await.unwrap() {
            Reply::Made(Record::Workspace(workspace)) => workspace.id,
            other => panic!("{other:?}"),
        }
    }

    async fn add_key(&self, owner: &str, server: Option<Uuid>) -> (Key, String) {
        new_key(self.ask(Request::CreateKey(NewKey { server, ..key_of(owner) })).await.unwrap())
    }

    fn account(&self, name: &str) -> Arc<Account> {
        self.core.standing().account_by_name(name).unwrap()
    }

    async fn sign_in(&self, name: &str) -> Result<TokenPair, Error> {
        let signed_in = self.core.login(name, &PASSWORD.into(), &CLIENT, ISSUANCE).await;
        signed_in.map(|(_, pair)| pair)
    }

    fn verify(&self, pair: &TokenPair) -> Result<Arc<Principal>, Refusal> {
        self.core.verify_access(pair.access.text.expose())
    }

    fn judge(&self, pair: &TokenPair) -> Result<(), Refusal> {
        self.verify(pair).map(drop)
    }

    async fn refresh(&self, pair: &TokenPair) -> Result<(), Error> {
        self.core.refresh(pair.refresh.expose(), ISSUANCE).await.map(drop)
    }

    fn judge_key(&self, text: &str) -> Result<(), Refusal> {
        self.core.verify_key(text).map(drop)
    }

    async fn basic(&self, name: &str, password: &str) -> Result<(), Error> {
        self.core.verify_basic(name, &Secret::from(password), HERE).await.map(drop)
    }

    /// The whole list, and its names.
    async fn page(&self, request: Request) -> Page {
        match self.ask(request).await.unwrap() {
            Reply::Page(page) => page,
            other => panic!("{other:?}"),
        }
    }

    async fn show(&self, name: &str) -> User {
        match self.ask(Request::ShowUser { user: named(name) }).await.unwrap() {
            Reply::Found(Record::User(user)) => user,
            other => panic!("{other:?}"),
        }
    }

    async fn sessions(&self) -> Vec<Session> {
        let page = self.page(Request::ListSessions { user: None, page: Span::default() }).await;
        let sessions = page.items.into_iter().map(|record| match record {
            Record::Session(session) => session,
            other => panic!("{other:?}"),
        });
        sessions.collect()
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn named(name: &str) -> Who {
    Who::Name(name.to_owned())
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        name: name.to_owned(),
        email: None,
        password: Hidden(PASSWORD.to_owned()),
        roles: Vec::new(),
        full_name: None,
        first_name: None,
        last_name: None,
    }
}

fn key_of(owner: &str) -> NewKey {
    let (owner, name) = (named(owner), "ci".to_owned());
    NewKey { owner, name, server: None, scopes: Vec::new(), expires: None }
}

fn made_user(reply: Reply) -> User {
    match reply {
        Reply::Made(Record::User(user)) => user,
        other => panic!("{other:?}"),
    }
}

fn new_key(reply: Reply) -> (Key, String) {
    match reply {
        Reply::NewKey { key, text } => (key, text.0),
        other => panic!("{other:?}"),
    }
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn change_state(user: &str, state: State) -> Request {
    let state = Some(state);
    Request::ChangeUser { user: named(user), roles: None, state, email_verified: None }
}

fn change_roles(user: &str, roles: &[&str]) -> Request {
    let roles = Some(texts(roles));
    Request::ChangeUser { user: named(user), roles, state: None, email_verified: None }
}

fn change_verified(user: &str, verified: bool) -> Request {
    let email_verified = Some(verified);
    Request::ChangeUser { user: named(user), roles: None, state: None, email_verified }
}
