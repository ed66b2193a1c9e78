//! The commands of administration, and what each asks for.

pub(super) mod key;
pub(super) mod server;
pub(super) mod session;
pub(super) mod user;
pub(super) mod workspace;

use clap::Args;
use uuid::Uuid;

use crate::admin::{Request, Who};
use crate::dialect::notation::parse_id;

use super::desk::Desk;
use super::named::{Named, Thing, is_credential};

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
