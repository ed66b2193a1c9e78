//! The things there are, and the names they have: for errors to speak of.

/// What can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    Account,
    Key,
    Server,
    Session,
    Workspace,
    Member,
    Lockout,
    /// An account's own.
    Email,
}

impl Entity {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Entity::Account => "user",
            Entity::Key => "key",
            Entity::Server => "server",
            Entity::Session => "session",
            Entity::Workspace => "workspace",
            Entity::Member => "member",
            Entity::Lockout => "lockout",
            Entity::Email => "e-mail address",
        }
    }
}

/// What an account is called by, or a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    User,
    Email,
    Person,
    Label,
    Role,
    Scope,
}

impl Name {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Name::User => "user name",
            Name::Email => "e-mail address",
            Name::Person => "person's name",
            Name::Label => "name",
            Name::Role => "role",
            Name::Scope => "scope",
        }
    }

    /// The rule in words a user can act on.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Name::User => {
                "A user name has 1 to 254 visible ASCII characters without colon, comma, quote, slash and backslash, does not read as an id, and is an e-mail address only if it is the account's own"
            }
            Name::Email => "The e-mail address must look like name@example.com",
            Name::Person => {
                "A name has 1 to 200 bytes of text without control or invisible characters"
            }
            Name::Label => {
                "A name has at most 200 bytes of text without control or invisible characters"
            }
            Name::Role => "A role has 1 to 64 letters, digits and -_.:/",
            Name::Scope => "A scope has 1 to 64 letters, digits and -_.:/",
        }
    }
}
