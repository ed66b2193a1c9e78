//! Servers: the machines whose agents sign in with keys of their own (S0-15).

use uuid::Uuid;

use super::account::AccountId;
use super::text::is_hidden;
use super::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub Uuid);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub id: ServerId,
    pub name: String,
    /// May bind keys to it, as administrators may.
    pub owner: Option<AccountId>,
    pub created: Timestamp,
}

/// The name of a server, a workspace or a key: up to 200 bytes of text without
/// hidden characters.
#[must_use]
pub fn is_valid_label(text: &str) -> bool {
    text.len() <= 200 && !text.chars().any(is_hidden)
}

/// What a name may be that is stored already: rules for new names may be stricter.
#[must_use]
pub fn is_storable_label(text: &str) -> bool {
    text.len() <= 200 && !text.chars().any(char::is_control)
}
