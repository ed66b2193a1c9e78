//! Accounts: a person or a program that signs in with a password.

use uuid::Uuid;

use super::time::Timestamp;

/// One UUIDv7 inside; each dialect has its own text form of it (C8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub Uuid);

/// A stored password hash in modular crypt (`$2b$…`) or PHC (`$argon2id$…`) form.
#[derive(Clone, PartialEq, Eq)]
pub struct HashedPassword(pub String);

impl std::fmt::Debug for HashedPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashedPassword(…)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub username: Username,
    pub email: Option<String>,
    /// The first role is the account's main one.
    pub roles: Vec<String>,
    pub password: HashedPassword,
    pub state: AccountState,
    pub created: Timestamp,
    /// Grows with every change of password or state. A sign-in that began
    /// under an older version cannot open a session.
    pub version: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    Enabled,
    Disabled,
}

/// A valid user name: 1 to 128 bytes of visible ASCII without `:` (which ends
/// the name in HTTP Basic, RFC 7617), `,`, `"`, `\` or `/`. Names are kept as written
/// and compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a user name is 1 to 128 visible ASCII characters without a colon, comma, quote, slash or backslash"
)]
pub struct InvalidUsername;

impl Username {
    /// # Errors
    /// When the text breaks the rule above.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let allowed = |b: u8| b.is_ascii_graphic() && !b":,\"\\/".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidUsername)
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which names are unique and looked up.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical_name(&self.0)
    }
}

/// The form under which a user name or e-mail address is looked up.
#[must_use]
pub fn canonical_name(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// A plausible e-mail address: `local@domain`, visible ASCII, at most 254 bytes,
/// the domain with a dot. Whether it is deliverable only a message can tell.
#[must_use]
pub fn is_plausible_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    text.len() <= 254
        && text.bytes().all(|b| b.is_ascii_graphic() && !b",\"\\/:<>()".contains(&b))
        && !local.is_empty()
        && !local.contains('@')
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
}

/// A role is a short token, so that a list of them fits in one header field.
#[must_use]
pub fn is_valid_role(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b))
}
