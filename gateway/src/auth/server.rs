//! Servers: the machines whose agents sign in with keys of their own (S0-15).

use uuid::Uuid;

use super::account::AccountId;
use super::ports::{NewOwner, ServerChange};
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

impl Server {
    /// What a change makes of it. Whether its owner exists is the store's to say.
    #[must_use]
    pub fn apply(&self, change: &ServerChange) -> Self {
        let owner = match change.owner {
            NewOwner::Same => self.owner,
            NewOwner::Nobody => None,
            NewOwner::Account(owner) => Some(owner),
        };
        let name = change.name.as_ref().unwrap_or(&self.name).clone();
        Self { name, owner, ..self.clone() }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_at_most_200_bytes_and_nothing_hidden_unless_it_was_stored_before() {
        for (text, valid, storable) in [
            ("", true, true),
            ("build agent é", true, true),
            (&*"é".repeat(100), true, true),
            (&*"é".repeat(101), false, false),
            (&*"x".repeat(201), false, false),
            ("line\nbreak", false, false),
            ("turned \u{202e}around", false, true),
            ("no\u{200b}width", false, true),
        ] {
            assert_eq!(is_valid_label(text), valid, "{text:?}");
            assert_eq!(is_storable_label(text), storable, "{text:?}");
        }
    }

    #[test]
    fn a_change_of_a_server_leaves_alone_what_it_does_not_name() {
        let account = |number| AccountId(Uuid::from_u128(number));
        let server = |name: &str, owner| {
            let (name, id) = (name.to_owned(), ServerId(Uuid::from_u128(9)));
            Server { id, name, owner, created: Timestamp(1) }
        };
        let before = server("web", Some(account(1)));
        for (case, name, owner, after) in [
            ("nothing", None, NewOwner::Same, before.clone()),
            ("its name", Some("db"), NewOwner::Same, server("db", Some(account(1)))),
            ("nobody's", None, NewOwner::Nobody, server("web", None)),
            ("another's", None, NewOwner::Account(account(2)), server("web", Some(account(2)))),
            ("both", Some("db"), NewOwner::Nobody, server("db", None)),
        ] {
            let change = ServerChange { server: before.id, name: name.map(str::to_owned), owner };
            assert_eq!(before.apply(&change), after, "{case}");
        }
    }
}
