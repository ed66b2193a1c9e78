//! The commands of administration, and what each asks for.

pub(super) mod key;
pub(super) mod server;
pub(super) mod session;
pub(super) mod user;
pub(super) mod workspace;

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::Args;
use uuid::Uuid;

use crate::admin::{Request, Who};
use crate::auth::api_key::PREFIX;
use crate::dialect::notation::parse_id;

use super::desk::Desk;

/// A request, and what to tell people when it is done; nothing where the answer tells.
pub(super) struct Ask {
    pub request: Request,
    pub said: Option<String>,
    /// What to ask before, of whoever has not said `--yes`.
    pub question: Option<String>,
}

impl Ask {
    fn look(request: Request) -> Self {
        Self { request, said: None, question: None }
    }

    fn change(request: Request, said: impl Into<String>) -> Self {
        Self { request, said: Some(said.into()), question: None }
    }

    /// For what cannot be taken back.
    fn after(self, confirmed: &Confirmed, question: String) -> Self {
        Self { question: (!confirmed.yes).then_some(question), ..self }
    }
}

/// Of commands that remove something.
#[derive(Debug, Args)]
pub(super) struct Confirmed {
    /// Do not ask first
    #[arg(long, short)]
    yes: bool,
}

/// A thing by its id, in any form that the gateway writes, or by a name that only it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    Id(Uuid),
    Name(String),
}

impl FromStr for Named {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(parse_id(text).map_or_else(|| Self::Name(text.to_owned()), Self::Id))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Id(id) => id.fmt(f),
            Named::Name(name) => name.fmt(f),
        }
    }
}

/// Whether a text is a key or a token rather than the name of one: it goes into no message.
pub(super) fn is_credential(text: &str) -> bool {
    text.starts_with(PREFIX) || text.starts_with("eyJ")
}

/// What commands name. A user's name is its own; others of the kind may have the name of a
/// key, a server or a workspace too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    Key,
    Server,
    User,
    Workspace,
}

impl Thing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Thing::Key => "key",
            Thing::Server => "server",
            Thing::User => "user",
            Thing::Workspace => "workspace",
        }
    }
}

/// A user by name, e-mail address, or id in any form that the gateway writes.
///
/// # Errors
/// When there is none.
fn find_user(desk: &mut Desk<'_>, user: String) -> Result<Who, String> {
    let named = parse_id(&user).map_or_else(|| Named::Name(user), Named::Id);
    desk.find(Thing::User, &named).map(Who::Id)
}

/// An id alone: what it stands for has no name. Whoever writes a token in its place is not
/// shown it.
///
/// # Errors
/// When it is none.
fn session_id(text: &str) -> Result<Uuid, String> {
    parse_id(text).ok_or_else(|| {
        let holds_credential = text.split(' ').any(is_credential);
        let found = if holds_credential { "a credential".to_owned() } else { format!("{text:?}") };
        format!(
            "expected the id of a session, as `portcullis session list` shows it, found {found}"
        )
    })
}
