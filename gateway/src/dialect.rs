//! The wire contracts, and which of them a request speaks.
//!
//! A dialect is one file: its endpoints, how a body becomes a [`Command`], how an
//! [`Outcome`] or a [`ClientError`] becomes an answer. The operations themselves
//! are the core's and know no shape. Which dialect answers a path is one table
//! ([`Dialects::new`]); a path that two contracts share becomes a row with two
//! endpoints and the rule that tells them apart, decided before decoding.

pub mod status;

use std::collections::HashMap;
use std::sync::Arc;

use http::{Method, StatusCode};

use crate::auth::Core;
use crate::auth::error::Error;
use crate::auth::login::{Issuance, TokenPair};
use crate::auth::password::PasswordRule;
use crate::auth::principal::Principal;
use crate::auth::secret::Secret;

/// What an endpoint does, whatever its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Login,
    Refresh,
    Logout,
    ChangePassword,
    IssueTicket,
    Health,
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Public,
    Authenticated,
}

/// Which secret in its body an endpoint tries, so that the failed-attempt limiter
/// stands around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    Password,
    RefreshToken,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub method: Verb,
    pub path: &'static str,
    pub operation: Operation,
    pub admission: Admission,
    pub attempt: Attempt,
}

/// The methods our endpoints use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
}

impl Verb {
    fn accepts(self, method: &Method) -> bool {
        match self {
            // HEAD is a GET whose answer has no body (RFC 9110 9.3.2).
            Verb::Get => method == Method::GET || method == Method::HEAD,
            Verb::Post => method == Method::POST,
        }
    }

    /// As the `Allow` field lists it.
    #[must_use]
    pub fn allow(self) -> &'static str {
        match self {
            Verb::Get => "GET, HEAD",
            Verb::Post => "POST",
        }
    }
}

/// A request, decoded.
#[derive(Debug)]
pub enum Command {
    Login { name: String, password: Secret },
    Refresh { token: Secret },
    Logout,
    ChangePassword { current: Secret, new: Secret },
    IssueTicket,
    Health,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    SignedIn(TokenPair),
    LoggedOut,
    PasswordChanged,
    Ticket(Secret),
    Health(Health),
}

/// What the health endpoints tell (S1-28, S1-29).
#[derive(Debug, Clone)]
pub struct Health {
    pub serving: Serving,
    pub version: &'static str,
    pub pending_update: Option<String>,
    pub cves: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    Healthy,
    Draining,
}

/// Why a body is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// The content type is not one this endpoint reads.
    MediaType,
    /// What is wrong, in words for the client; never a value it sent.
    Malformed(String),
}

/// A refusal as a client may see it, to be put in a dialect's shape.
#[derive(Debug, Clone)]
pub struct ClientError<'a> {
    /// Stable, upper case with underscores.
    pub code: &'static str,
    pub message: &'a str,
}

/// An answer without its framing.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// One wire contract.
pub trait Dialect: Send + Sync {
    fn endpoints(&self) -> &'static [Endpoint];

    /// # Errors
    /// When the body is not what the operation takes.
    fn decode(
        &self,
        operation: Operation,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Command, DecodeError>;

    fn encode(&self, outcome: Outcome) -> Answer;

    /// The body of a refusal; status and fields are chosen by the responder.
    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8>;

    /// How this contract renews, and how long its access tokens live (C5, C6).
    fn issuance(&self) -> Issuance;
}

/// What a path means to us.
pub enum Resolution<'a> {
    /// It belongs to an upstream.
    NotOurs,
    Endpoint(&'static Endpoint, &'a Arc<dyn Dialect>),
    /// It is ours, by another method.
    WrongMethod(&'static str),
}

/// The dialects that are mounted, and the table of their paths.
pub struct Dialects {
    mounted: Vec<Arc<dyn Dialect>>,
    table: HashMap<&'static str, Row>,
}

/// Who answers a path. The contracts' shared paths (C1 to C4) add a rule here
/// that looks at the request; today every path has one owner.
struct Row {
    dialect: usize,
    endpoint: &'static Endpoint,
}

impl Dialects {
    /// `mounted` in order of precedence; the first shapes refusals of paths that
    /// belong to none (C14).
    #[must_use]
    pub fn new(mounted: Vec<Arc<dyn Dialect>>, health: HealthPaths) -> Self {
        let mut table = HashMap::new();
        for (index, dialect) in mounted.iter().enumerate() {
            for endpoint in dialect.endpoints() {
                if endpoint.operation == Operation::Health && health == HealthPaths::Upstream {
                    continue;
                }
                let row = Row { dialect: index, endpoint };
                let claimed = table.insert(endpoint.path, row);
                debug_assert!(claimed.is_none(), "two dialects claim {}", endpoint.path);
            }
        }
        Self { mounted, table }
    }

    /// Looks up a normalised path.
    #[must_use]
    pub fn resolve(&self, method: &Method, path: &str) -> Resolution<'_> {
        let Some(row) = self.table.get(path) else {
            return Resolution::NotOurs;
        };
        let dialect = &self.mounted[row.dialect];
        if row.endpoint.method.accepts(method) {
            Resolution::Endpoint(row.endpoint, dialect)
        } else {
            Resolution::WrongMethod(row.endpoint.method.allow())
        }
    }

    /// The shape of a refusal on a path that is not ours.
    #[must_use]
    pub fn shape(&self, path: &str) -> Option<&dyn Dialect> {
        let owner = self.table.get(path).map_or(0, |row| row.dialect);
        self.mounted.get(owner).map(AsRef::as_ref)
    }
}

/// Whether `/health` is ours or the upstream's (C16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthPaths {
    Own,
    Upstream,
}

/// Carries out a command that needs the core.
///
/// # Errors
/// What the core answers.
pub async fn perform(
    core: &Core,
    dialect: &dyn Dialect,
    command: Command,
    principal: Option<&Principal>,
    health: impl FnOnce() -> Health + Send,
) -> Result<Outcome, Error> {
    // The pipeline has let nobody through to these without a principal.
    let caller = || principal.ok_or(Error::NotForKeys);
    match command {
        Command::Login { name, password } => {
            let (_, pair) = core.login(&name, &password, dialect.issuance()).await?;
            Ok(Outcome::SignedIn(pair))
        }
        Command::Refresh { token } => {
            core.refresh(token.expose(), dialect.issuance()).await.map(Outcome::SignedIn)
        }
        Command::Logout => {
            core.logout(caller()?).await?;
            Ok(Outcome::LoggedOut)
        }
        Command::ChangePassword { current, new } => {
            core.change_password(caller()?, current, new, PasswordRule::default()).await?;
            Ok(Outcome::PasswordChanged)
        }
        Command::IssueTicket => core.issue_ticket(caller()?).await.map(Outcome::Ticket),
        Command::Health => Ok(Outcome::Health(health())),
    }
}
