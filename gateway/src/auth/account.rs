//! Accounts: a person or a program that signs in with a password.

pub mod change;
pub mod ended;
pub mod former;
pub mod known;
pub mod limits;

use uuid::Uuid;

use super::text::is_hidden;
use super::time::Timestamp;
use super::token::SessionId;

use ended::EndedSessions;
use former::FormerPassword;
use known::KnownAddresses;

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
    /// Whether somebody other than the account's holder vouches for the address:
    /// an administrator, or GitHub that verified it.
    pub email_verified: bool,
    pub name: PersonName,
    /// Where a picture of the holder is.
    pub avatar: Option<String>,
    /// The number of the GitHub account that signs in to this one.
    pub github: Option<u64>,
    /// The first role is the account's main one.
    pub roles: Vec<String>,
    /// `None` signs in by other means only.
    pub password: Option<HashedPassword>,
    /// What is kept for a while of the password before.
    pub former: Option<FormerPassword>,
    /// From where it has signed in of late.
    pub known: KnownAddresses,
    /// A seal of the address that registered it, until that has been answered: it may say
    /// the same again for a minute.
    pub registered_from: Option<Box<[u8; 32]>>,
    pub state: AccountState,
    /// Sign-ins that ended all at once. A store opens none with such an id afterwards, so
    /// that the order of ids decides and no clock does.
    pub ended: Option<EndedSessions>,
    pub created: Timestamp,
    /// When a session of it was last opened, if that is recorded. Set only where accounts are
    /// listed or exported: engines keep it beside the record, and memory does not hold it.
    pub last_sign_in: Option<Timestamp>,
    /// Grows with every change of password or state. A sign-in that began
    /// under an older version cannot open a session.
    pub version: u64,
}

/// The role of an account that was given none.
pub const DEFAULT_ROLE: &str = "user";
/// The role that may administer the gateway.
pub const ADMIN_ROLE: &str = "admin";

impl Account {
    /// An enabled account with the default role and nothing else.
    #[must_use]
    pub fn new(id: AccountId, username: Username, created: Timestamp) -> Self {
        Self {
            id,
            username,
            email: None,
            email_verified: false,
            name: PersonName::default(),
            avatar: None,
            github: None,
            roles: vec![DEFAULT_ROLE.to_owned()],
            password: None,
            former: None,
            known: KnownAddresses::default(),
            registered_from: None,
            state: AccountState::Enabled,
            ended: None,
            created,
            last_sign_in: None,
            version: 1,
        }
    }

    /// Whether a sign-in has ended together with others.
    #[must_use]
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.ended.is_some_and(|ended| ended.contain(session))
    }

    /// Ends every sign-in with an id up to `last`, but one if that goes on still.
    pub fn end_sessions(&mut self, last: SessionId, but: Option<SessionId>) {
        self.ended = Some(self.ended_with(last, but));
    }

    /// The mark that says so once every sign-in with an id up to `last` has ended too.
    fn ended_with(&self, last: SessionId, but: Option<SessionId>) -> EndedSessions {
        let but = but.filter(|session| !self.has_ended(*session));
        let up_to = self.ended.map_or(last, |ended| ended.up_to.max(last));
        EndedSessions { up_to, but }
    }

    /// Ends every sign-in up to a moment, but not one that came later and goes on still.
    pub fn end_up_to(&mut self, at: Timestamp) {
        let last = SessionId::last_of(at);
        let later = self.ended.and_then(|ended| ended.but).filter(|session| *session > last);
        self.end_sessions(last, later);
    }

    /// Remembers what is known to have ended: a gateway of a version that does not know of
    /// it tells of the account without.
    pub fn keep_ended(&mut self, known: &Account) {
        let up_to = |account: &Account| account.ended.map(|ended| ended.up_to);
        if up_to(known) > up_to(self) {
            self.ended = known.ended;
        }
    }

    /// What contracts with a single role show.
    #[must_use]
    pub fn main_role(&self) -> &str {
        self.roles.first().map_or(DEFAULT_ROLE, String::as_str)
    }

    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role == ADMIN_ROLE)
    }

    /// Somebody vouches for the address, or no longer; without one there is nothing to
    /// vouch for.
    pub fn verify_email(&mut self, verified: Option<bool>) {
        if let Some(verified) = verified {
            self.email_verified = verified && self.email.is_some();
        }
    }

    /// The address, if somebody vouches for it.
    #[must_use]
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }

    /// Whether the user name reads like an e-mail address that nobody vouches for.
    #[must_use]
    pub fn is_named_by_unverified_email(&self) -> bool {
        let name = self.username.as_str();
        // Cheap for most names; a request may ask.
        name.contains('@')
            && is_plausible_email(name)
            && !self.verified_email().is_some_and(|email| email.eq_ignore_ascii_case(name))
    }

    /// Whether it can administer the gateway now.
    #[must_use]
    pub fn administers(&self) -> bool {
        self.is_admin() && self.state == AccountState::Enabled
    }

    /// The names under which people find the account, canonical and unique.
    #[must_use]
    pub fn login_names(&self) -> Vec<String> {
        let email = self.email.as_deref().map(canonical_name);
        let mut names = vec![self.username.canonical()];
        names.extend(email.filter(|email| *email != names[0]));
        names
    }

    /// Why it cannot be created when somebody has this one of its [`Self::names`].
    #[must_use]
    pub fn taken_by(&self, name: &str) -> Creation {
        let is_email = self.email.as_deref().is_some_and(|email| canonical_name(email) == name);
        if self.github.is_some_and(|number| github_name(number) == name) {
            Creation::GithubTaken
        } else if is_email {
            Creation::EmailTaken
        } else {
            Creation::NameTaken
        }
    }

    /// Every name of the account in a store's index of names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = self.login_names();
        names.extend(self.github.map(github_name));
        names
    }
}

/// What became of an account that was to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    Created,
    NameTaken,
    EmailTaken,
    /// Another account is this GitHub number's.
    GithubTaken,
}

/// The name of a GitHub number in a store's index of names. Nobody signs in with it: no
/// user name or e-mail address holds a slash.
#[must_use]
pub fn github_name(number: u64) -> String {
    format!("github/{number}")
}

/// What a person is called; contracts show it whole or in two parts (C9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PersonName {
    pub full: Option<String>,
    pub first: Option<String>,
    pub last: Option<String>,
}

impl PersonName {
    #[must_use]
    pub fn whole(full: &str) -> Self {
        Self { full: Some(full.to_owned()), ..Self::default() }
    }

    #[must_use]
    pub fn in_parts(first: &str, last: &str) -> Self {
        Self { full: None, first: Some(first.to_owned()), last: Some(last.to_owned()) }
    }

    /// The name as one text, put together when it came in parts.
    #[must_use]
    pub fn full(&self) -> String {
        self.full.clone().unwrap_or_else(|| {
            let parts = [self.first.as_deref(), self.last.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
        })
    }

    /// First and last name; a whole name is parted at its first space.
    #[must_use]
    pub fn parts(&self) -> (String, String) {
        if self.first.is_some() || self.last.is_some() {
            return (self.first.clone().unwrap_or_default(), self.last.clone().unwrap_or_default());
        }
        let full = self.full.as_deref().unwrap_or_default();
        let (first, last) = full.split_once(' ').unwrap_or((full, ""));
        (first.to_owned(), last.trim_start().to_owned())
    }
}

/// 1 to 200 bytes of text without hidden characters, with something to read in it.
#[must_use]
pub fn is_valid_person_name(text: &str) -> bool {
    text.len() <= 200 && !text.chars().any(is_hidden) && !text.trim().is_empty()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    Enabled,
    Disabled,
}

/// A valid user name: 1 to 254 bytes of visible ASCII without `:` (which ends
/// the name in HTTP Basic, RFC 7617), `,`, `"`, `\` or `/`. Names are kept as written
/// and compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a user name is 1 to 254 visible ASCII characters without a colon, comma, quote, slash or backslash"
)]
pub struct InvalidUsername;

impl Username {
    /// # Errors
    /// When the text breaks the rule above.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let allowed = |b: u8| b.is_ascii_graphic() && !b":,\"\\/".contains(&b);
        if (1..=254).contains(&text.len()) && text.bytes().all(allowed) {
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

/// Whether a canonical name can be anybody's user name or e-mail address, and not a
/// [`github_name`].
#[must_use]
pub fn is_login_name(canonical: &str) -> bool {
    !canonical.contains('/')
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

#[cfg(test)]
mod tests;
