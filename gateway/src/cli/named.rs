//! What command lines name, by an id or by a name.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::auth::api_key::PREFIX;
use crate::dialect::notation::parse_id;

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
