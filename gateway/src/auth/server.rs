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

#[cfg(test)]
mod tests {
    use super::{is_storable_label, is_valid_label};

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
}
