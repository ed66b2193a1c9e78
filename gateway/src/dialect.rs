//! The wire contracts, and which of them a request speaks.
//!
//! A dialect is one file: its endpoints, each in one row with how a request to it becomes a
//! [`Command`] and how what came of that, an [`Outcome`], becomes an answer ([`row`]); and how
//! a [`ClientError`] does. The operations themselves
//! are the core's and know no shape ([`perform`]). Which dialect answers a path is
//! one table ([`Dialects::new`]); contracts that share a path are told apart by what
//! the request says ([`disambiguate`]), before it is decoded.

pub mod admin;
pub mod body;
pub mod delivery;
pub mod disambiguate;
pub mod envelope;
pub mod flow;
pub mod form;
pub mod links;
pub mod notation;
pub mod openapi;
pub mod perform;
pub mod plain;
pub mod row;
pub mod status;
pub mod typed;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use matchit::Router;

use crate::admin::{Reply, Request};
use crate::auth::account::Account;
use crate::auth::api_key::{ApiKey, KeyId, NewKey};
use crate::auth::link::LinkKind;
use crate::auth::login::{AccessToken, Issuance, TokenPair};
use crate::auth::password::PasswordRule;
use crate::auth::ports::StoreHealth;
use crate::auth::register::Registration;
use crate::auth::secret::Secret;
use crate::auth::server::{Server, ServerId};
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::SessionId;
use crate::auth::workspace::WorkspaceId;

pub use crate::contract::{Contract, Operation};

use delivery::{Delivery, DeliveryRule};
use flow::{Beginner, Callback, SavedFlow};
use row::NotEncoded;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointAccess {
    Public,
    Authenticated,
    /// With an access token; nothing else has a session.
    Bearer,
    /// In the role `admin`; a key needs the scope of that name too.
    Administrator,
}

/// Which secret an endpoint tries, so that the failed-attempt limiter
/// stands around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    Password,
    RefreshToken,
    /// Judged by GitHub.
    Code,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub method: Verb,
    /// Below the dialect's prefix; `{name}` is any one segment.
    pub path: &'static str,
    /// Whether the path is the whole one, wherever the dialect is mounted.
    pub fixed: bool,
    pub operation: Operation,
    pub access: EndpointAccess,
    pub attempt: Attempt,
}

impl Endpoint {
    /// What an array is filled with before it has its endpoints.
    const NONE: Self = Self::new(Verb::Get, "", Operation::Describe);

    const fn new(method: Verb, path: &'static str, operation: Operation) -> Self {
        let (access, attempt) = (EndpointAccess::Public, Attempt::None);
        Self { method, path, fixed: false, operation, access, attempt }
    }

    const fn accessible_to(self, access: EndpointAccess) -> Self {
        Self { access, ..self }
    }

    const fn trying(self, attempt: Attempt) -> Self {
        Self { attempt, ..self }
    }

    const fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }
}

/// The methods our endpoints use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    /// Which balancers ask by OPTIONS as well: HAProxy does unless it is told otherwise.
    Probe,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn accepts(self, method: &Method) -> bool {
        match self {
            // HEAD is a GET whose answer has no body (RFC 9110 9.3.2).
            Verb::Get => method == Method::GET || method == Method::HEAD,
            Verb::Probe => Verb::Get.accepts(method) || method == Method::OPTIONS,
            Verb::Post => method == Method::POST,
            Verb::Put => method == Method::PUT,
            Verb::Patch => method == Method::PATCH,
            Verb::Delete => method == Method::DELETE,
        }
    }

    /// Whether a request can be of both.
    fn overlaps(self, other: Self) -> bool {
        let reads = |verb| matches!(verb, Verb::Get | Verb::Probe);
        self == other || reads(self) && reads(other)
    }

    /// As the `Allow` field lists it.
    #[must_use]
    pub fn allow(self) -> &'static str {
        match self {
            Verb::Get => "GET, HEAD",
            Verb::Probe => "GET, HEAD, OPTIONS",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
        }
    }
}

/// A request to one of our endpoints, as far as a dialect reads it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Input<'a> {
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
    pub query: Option<&'a str>,
    /// What stands for the segments in braces, in order.
    pub parameters: &'a [String],
    /// The refresh token of a browser that holds its tokens in cookies, where the
    /// operation wants one and there is no body.
    pub refresh_cookie: Option<&'a str>,
    /// What a browser that comes back from GitHub remembers.
    pub flow_cookie: Option<&'a str>,
}

/// A request, decoded.
#[derive(Debug)]
pub enum Command {
    Register(Registration),
    Login {
        name: String,
        password: Secret,
    },
    Refresh {
        token: Secret,
    },
    Reissue,
    SwitchWorkspace {
        workspace: Option<WorkspaceId>,
    },
    Logout,
    EndSession,
    /// The same of a browser, whose session would be renewed else.
    LogoutOfBrowser,
    EndOwnSession {
        session: SessionId,
    },
    EndOtherSessions,
    ChangePassword {
        current: Secret,
        new: Secret,
    },
    IssueTicket,
    Me,
    Providers,
    Github {
        code: Secret,
    },
    BeginGithub {
        callback: Option<String>,
        return_to: String,
        by: Beginner,
    },
    FinishGithub {
        callback: Option<String>,
        kept: Option<SavedFlow>,
        returned: Callback,
    },
    CreateKey(KeyRequest),
    ListKeys,
    ListServers,
    DeleteKey {
        key: Option<KeyId>,
    },
    RotateKey {
        key: Option<KeyId>,
        overlap: Seconds,
    },
    ShowLink {
        link: Secret,
    },
    FollowLink {
        link: Secret,
        password: Option<Secret>,
        reply: Presentation,
    },
    SendPasswordLink {
        address: String,
    },
    SendAddressLink,
    Administer(Request),
    /// What the owner of a server may do with it.
    OwnServer(Request),
    Health,
}

/// In which form an outcome is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presentation {
    /// For a person with a browser.
    Page,
    Json,
}

/// A key that somebody wants for their own account.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeyRequest {
    pub name: String,
    pub server: Binding,
    pub scopes: Vec<String>,
    pub expires: Expiry,
}

/// When a key that somebody wants is to expire.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    #[default]
    Never,
    At(Timestamp),
    /// So long after it was made.
    After(Seconds),
}

/// What a key is to be bound to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    #[default]
    None,
    Server(ServerId),
    /// A text that is the id of no server.
    Nothing,
}

impl KeyRequest {
    fn of(self, owner: &Account, server: Option<ServerId>, expires: Option<Timestamp>) -> NewKey {
        let Self { name, scopes, .. } = self;
        NewKey { owner: owner.id, name, server, scopes, expires }
    }
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    Registered(Arc<Account>, TokenPair),
    SignedIn(Arc<Account>, TokenPair),
    /// To this URL.
    SentToGithub(String, SavedFlow),
    /// And where the browser wants to go now.
    BackFromGithub(Arc<Account>, TokenPair, String),
    Refreshed(Arc<Account>, TokenPair),
    Reissued(Arc<Account>, AccessToken),
    LoggedOut,
    SessionEnded,
    PasswordChanged,
    Ticket(Secret),
    Me(Arc<Account>),
    Providers(Providers),
    KeyCreated(ApiKey, Secret),
    Keys(Vec<Arc<ApiKey>>),
    /// Those of the caller.
    Servers(Vec<Arc<Server>>),
    KeyDeleted,
    LinkShown(Arc<Account>, LinkKind, Secret),
    LinkFollowed(Arc<Account>, LinkKind, Presentation),
    /// Whether or not it goes anywhere.
    MailTaken,
    Administered(Reply),
    Health(Health),
}

/// How one can register and sign in here (S2-03, S2-06).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Providers {
    /// Whether anybody can make an account with a password.
    pub registration: bool,
    /// Whether passwords sign in.
    pub passwords: bool,
    pub github_client_id: Option<String>,
}

/// What the health endpoints tell (S1-28, S1-29).
#[derive(Debug, Clone)]
pub struct Health {
    pub serving: Serving,
    pub version: &'static str,
    pub pending_update: Option<String>,
    pub cves: Vec<String>,
    /// Of a store that other gateways use too.
    pub store: Option<StoreHealth>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    Healthy,
    /// The shared store is not live, and the operator requires it.
    WithoutStore,
    Draining,
}

impl Serving {
    /// As it is shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Serving::Healthy => "healthy",
            Serving::WithoutStore => "store_unavailable",
            Serving::Draining => "draining",
        }
    }
}

/// Why a request is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// The content type is not one this endpoint reads.
    MediaType,
    /// What is wrong, in words for the client; never a value it sent.
    Malformed(String),
}

impl DecodeError {
    /// For operations that the contract has no endpoint for: they never come.
    pub(crate) fn not_of_this_contract() -> Self {
        Self::Malformed("This contract has no such operation".to_owned())
    }
}

/// The refusals that some contract words otherwise than the table does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bearer token is not good (S3-12).
    TokenRefused,
    /// A sign-in failed because there is no such user. Only a contract that was told to
    /// reveal it may (C11).
    UnknownUser,
    /// Nobody may register here (S2-13).
    RegistrationClosed,
    Other,
}

/// A refusal as a client may see it, to be put in a dialect's shape.
#[derive(Debug, Clone)]
pub struct ClientError<'a> {
    /// Stable, upper case with underscores.
    pub code: &'static str,
    pub message: &'a str,
    /// What contracts that word it in a way of their own know it by.
    pub kind: ErrorKind,
    /// When it was refused.
    pub at: Timestamp,
}

/// What an outcome is encoded for.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub now: Timestamp,
    pub delivery: Delivery,
    pub operation: Operation,
    /// What a form of the console brought.
    pub typed: Option<&'a Typed>,
}

/// What a form of the console brought, without secrets: for the page that comes after it.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// Of the console's table.
    pub row: usize,
    /// What stands for the segments in braces of its path.
    pub parameters: Vec<String>,
    /// The page that has the form, below the console's prefix.
    pub page: String,
    pub fields: Vec<(String, String)>,
}

impl Typed {
    /// The value of a field; empty when it was not there.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// An answer without its framing.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
    /// Beside those that every answer has.
    pub fields: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    fn json(status: StatusCode, body: &impl serde::Serialize) -> Self {
        Self { status, body: body::to_json(body), fields: Vec::new() }
    }

    fn ok(body: &impl serde::Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// One that says all by its status.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, body: Vec::new(), fields: Vec::new() }
    }

    pub(crate) fn with(mut self, fields: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.fields.extend(fields);
        self
    }
}

/// One wire contract.
pub trait Dialect: Send + Sync {
    fn contract(&self) -> Contract;

    /// What its endpoints' paths begin with, such as `/api/v1`.
    fn prefix(&self) -> &str;

    fn endpoints(&self) -> &[Endpoint];

    /// # Errors
    /// When the request is not what the operation takes.
    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError>;

    /// # Errors
    /// When the endpoint does not encode such an outcome, which is a defect.
    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Result<Answer, NotEncoded>;

    /// What a form brought, for dialects of forms.
    fn typed(&self, _operation: Operation, _input: &Input<'_>) -> Option<Typed> {
        None
    }

    /// The body of a refusal; status and fields are chosen by the responder.
    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8>;

    /// How this contract issues tokens (C5, C6). Without it, nobody signs in here.
    fn issuance(&self) -> Issuance {
        Issuance { access_ttl: Seconds(0), rotate: false, shows_role: false, life: None }
    }

    /// What it asks of a new password (C10).
    fn password_rule(&self) -> PasswordRule {
        PasswordRule::default()
    }

    /// How clients get their tokens (S0-20).
    fn delivery(&self) -> DeliveryRule {
        DeliveryRule::Always(Delivery::Body)
    }
}

/// What a dialect's settings have in common.
#[derive(Debug, Clone)]
pub struct Settings {
    pub prefix: String,
    pub access_ttl: Seconds,
    /// Of refresh tokens; how long a cookie with one is kept.
    pub refresh_ttl: Seconds,
    pub password: PasswordRule,
    pub delivery: DeliveryRule,
}

/// An endpoint that a request may be for.
#[derive(Clone)]
pub struct Candidate {
    pub endpoint: Endpoint,
    pub dialect: Arc<dyn Dialect>,
}

/// What a path means to us.
pub enum Resolution {
    /// It belongs to an upstream.
    NotOurs,
    /// Several are told apart by [`disambiguate::choose`]; the first is the path's default.
    Ours { candidates: Vec<Candidate>, parameters: Vec<String> },
    /// It is ours, by another method.
    WrongMethod(String),
}

/// The dialects that are mounted, and the table of their paths.
pub struct Dialects {
    mounted: Vec<Arc<dyn Dialect>>,
    table: Router<Vec<Candidate>>,
    own_paths: Vec<OwnPath>,
    documents: HashMap<Contract, Vec<u8>>,
}

/// A path that the gateway serves itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnPath {
    /// `{name}` is any one segment.
    pub path: String,
    /// What it begins with, if all that is below that is of one kind: the path itself, or
    /// what several have in common.
    pub group: String,
    /// As `Allow` lists them.
    pub methods: String,
    /// Whose it is; several contracts can share it.
    pub contracts: Vec<&'static str>,
}

/// Two endpoints whose paths cannot be told apart.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Ambiguous {
    pub path: String,
    pub reason: String,
}

impl Dialects {
    /// `mounted` in order of precedence: the first of those that share a path is its
    /// default, and the first of all shapes refusals below nobody's prefix (C14).
    /// `readers` may read the OpenAPI documents (S1-04).
    ///
    /// # Errors
    /// When two paths are ambiguous.
    pub fn new(
        mounted: Vec<Arc<dyn Dialect>>,
        health: HealthPaths,
        readers: EndpointAccess,
    ) -> Result<Self, Ambiguous> {
        let mut paths: Vec<(String, Vec<Candidate>)> = Vec::new();
        for dialect in &mounted {
            let document = openapi::endpoint(dialect.contract(), readers);
            for endpoint in dialect.endpoints().iter().chain(&document) {
                if endpoint.operation == Operation::Health && health == HealthPaths::Upstream {
                    continue;
                }
                let prefix = if endpoint.fixed { "" } else { dialect.prefix() };
                let path = format!("{prefix}{}", endpoint.path);
                let candidate = Candidate { endpoint: *endpoint, dialect: Arc::clone(dialect) };
                match paths.iter_mut().find(|(known, _)| *known == path) {
                    Some((_, candidates)) => candidates.push(candidate),
                    None => paths.push((path, vec![candidate])),
                }
            }
        }
        for (path, candidates) in &paths {
            disambiguate::check(path, candidates)?;
        }
        let mut own_paths: Vec<OwnPath> =
            paths.iter().map(|(path, candidates)| own_path(path, candidates)).collect();
        own_paths.sort_unstable();
        let mut table = Router::new();
        for (path, candidates) in paths {
            table
                .insert(path.as_str(), candidates)
                .map_err(|error| Ambiguous { path, reason: error.to_string() })?;
        }
        let documents = mounted.iter().filter_map(|dialect| {
            let contract = dialect.contract();
            let is_there = |method: &Method, path: &str| {
                let found = table.at(path).map_or(&[][..], |found| found.value.as_slice());
                found.iter().any(|candidate| {
                    candidate.dialect.contract() == contract
                        && candidate.endpoint.method.accepts(method)
                })
            };
            let document = openapi::describe(contract, dialect.prefix(), is_there)?;
            Some((contract, document))
        });
        let documents = documents.collect();
        Ok(Self { mounted, table, own_paths, documents })
    }

    /// The OpenAPI document of a contract that is mounted.
    #[must_use]
    pub fn document(&self, contract: Contract) -> Answer {
        let body = self.documents.get(&contract).cloned().unwrap_or_default();
        Answer { status: StatusCode::OK, body, fields: Vec::new() }
    }

    /// Every path that is the gateway's, in alphabetical order.
    #[must_use]
    pub fn own_paths(&self) -> &[OwnPath] {
        &self.own_paths
    }

    /// Looks up a normalised path.
    #[must_use]
    pub fn resolve(&self, method: &Method, path: &str) -> Resolution {
        let Ok(found) = self.table.at(path) else {
            return Resolution::NotOurs;
        };
        let candidates: Vec<Candidate> = found
            .value
            .iter()
            .filter(|candidate| candidate.endpoint.method.accepts(method))
            .cloned()
            .collect();
        if candidates.is_empty() {
            return Resolution::WrongMethod(allowed(found.value));
        }
        let parameters = found.params.iter().map(|(_, value)| value.to_owned()).collect();
        Resolution::Ours { candidates, parameters }
    }

    /// The methods of a normalised path that is ours, as `Allow` lists them.
    #[must_use]
    pub fn methods(&self, path: &str) -> String {
        self.table.at(path).map_or_else(|_| String::new(), |found| allowed(found.value))
    }

    /// Whose endpoint's a normalised path is: of several that share it, the default.
    #[must_use]
    pub fn owner(&self, path: &str) -> Option<Contract> {
        let found = self.table.at(path).ok()?;
        found.value.first().map(|candidate| candidate.dialect.contract())
    }

    /// The shape of a refusal on a path before, or without, an endpoint: that of the
    /// path's default, else of the longest prefix above it, else of the first (C14).
    #[must_use]
    pub fn shape(&self, path: &str) -> Option<&Arc<dyn Dialect>> {
        if let Ok(found) = self.table.at(path) {
            return found.value.first().map(|candidate| &candidate.dialect);
        }
        let mut shape: Option<&Arc<dyn Dialect>> = None;
        for dialect in self.mounted.iter().filter(|dialect| is_below(path, dialect.prefix())) {
            if shape.is_none_or(|shape| dialect.prefix().len() > shape.prefix().len()) {
                shape = Some(dialect);
            }
        }
        shape.or(self.mounted.first())
    }

    /// Whether any dialect gives browsers their tokens in cookies.
    #[must_use]
    pub fn use_cookies(&self) -> bool {
        self.mounted.iter().any(|dialect| dialect.delivery().uses_cookies())
    }
}

fn own_path(path: &str, candidates: &[Candidate]) -> OwnPath {
    let first = candidates.first();
    let whole = first.is_some_and(|it| it.dialect.contract().entry().is_one_group);
    let fixed = first.is_some_and(|candidate| candidate.endpoint.fixed);
    let prefix = first.map_or("", |candidate| candidate.dialect.prefix());
    let group = match path.strip_prefix(prefix) {
        Some(_) if whole && !fixed => prefix.to_owned(),
        Some(rest) if !fixed => {
            let segment = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
            format!("{prefix}/{segment}")
        }
        _ => path.rsplit_once('/').map_or(path, |(above, _)| above).to_owned(),
    };
    let group = if group.is_empty() { path.to_owned() } else { group };
    let mut contracts: Vec<&str> =
        candidates.iter().map(|candidate| candidate.dialect.contract().as_str()).collect();
    contracts.dedup();
    OwnPath { path: path.to_owned(), group, methods: allowed(candidates), contracts }
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn allowed(candidates: &[Candidate]) -> String {
    let mut verbs: Vec<Verb> =
        candidates.iter().map(|candidate| candidate.endpoint.method).collect();
    verbs.sort_unstable();
    verbs.dedup();
    let mut list = String::new();
    for verb in verbs {
        let separator = if list.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(list, "{separator}{}", verb.allow());
    }
    list
}

/// Whether `/health` is ours or the upstream's (C16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthPaths {
    Own,
    Upstream,
}

#[cfg(test)]
mod tests;
