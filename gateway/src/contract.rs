//! The wire contracts by name: what the configuration, the table of paths and the OpenAPI
//! documents have to know of each, in one row. What they say is in [`crate::dialect`].

pub mod shared_path;

/// Declares the contracts and the list of all of them, so that none can be left out.
macro_rules! contracts {
    ($($contract:ident),+ $(,)?) => {
        /// The contracts, by the shape of what they say.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Contract {
            $($contract),+
        }

        impl Contract {
            /// In order of precedence: of two that share a path, the first is its default, and
            /// the first of all shapes what belongs to none (C14).
            pub const BY_PRECEDENCE: &[Contract] = &[$(Contract::$contract),+];
        }
    };
}

contracts! { Status, Plain, Envelope, Form, Links, Admin, Console }

/// What there is to know of a contract before it is mounted.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// As the configuration and the reference name it.
    pub name: &'static str,
    /// What its paths begin with, unless it is mounted elsewhere.
    pub prefix: &'static str,
    /// Whether all below the prefix is of one kind, to whoever lists paths.
    pub is_one_group: bool,
    /// `None` of what is for people.
    pub document: Option<Document>,
}

/// An OpenAPI document as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// Wherever the contract itself is mounted.
    pub served_at: &'static str,
    pub text: &'static str,
}

impl Entry {
    const fn new(name: &'static str, prefix: &'static str) -> Self {
        Self { name, prefix, is_one_group: false, document: None }
    }

    const fn one_group(self) -> Self {
        Self { is_one_group: true, ..self }
    }

    const fn documented(self, served_at: &'static str, text: &'static str) -> Self {
        Self { document: Some(Document { served_at, text }), ..self }
    }
}

impl Contract {
    /// The one table of contracts.
    #[must_use]
    pub const fn entry(self) -> Entry {
        match self {
            Contract::Form => Entry::new("form", "/api/v1")
                .documented("/api/openapi/form.json", include_str!("openapi/form.json")),
            Contract::Status => Entry::new("status", "/api")
                .documented("/api/openapi/status.json", include_str!("openapi/status.json")),
            Contract::Envelope => Entry::new("envelope", "/api")
                .documented("/api/openapi/envelope.json", include_str!("openapi/envelope.json")),
            Contract::Plain => Entry::new("plain", "/api/v1")
                .documented("/api/openapi/plain.json", include_str!("openapi/plain.json")),
            Contract::Admin => Entry::new("admin", "/api/admin")
                .one_group()
                .documented("/api/openapi/admin.json", include_str!("openapi/admin.json")),
            Contract::Links => Entry::new("links", "/api/links")
                .one_group()
                .documented("/api/openapi/links.json", include_str!("openapi/links.json")),
            Contract::Console => Entry::new("console", "/.portcullis/console").one_group(),
        }
    }

    /// As the configuration and the reference name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.entry().name
    }
}

/// What an endpoint does, whatever its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Register,
    Login,
    /// A new access token for a refresh token.
    Refresh,
    /// A new access token for an access token (S2-20).
    Reissue,
    SwitchWorkspace,
    /// Revokes the token that is presented (S1-16).
    Logout,
    /// Ends the session of the token that is presented (S3-11).
    EndSession,
    ChangePassword,
    IssueTicket,
    Me,
    Providers,
    Github,
    /// Sends a browser to GitHub.
    BeginGithub,
    /// Takes it back.
    FinishGithub,
    CreateKey,
    ListKeys,
    DeleteKey,
    RotateKey,
    ListServers,
    /// Shows what a link is for; changes nothing.
    ShowLink,
    FollowLink,
    /// Sends a link for a new password to an address, by mail.
    SendPasswordLink,
    /// Sends the caller a link that verifies the account's address.
    SendAddressLink,
    /// A row of the admin API's table.
    Administer(usize),
    /// A row of the console's table: what a form asks for.
    Console(usize),
    /// One that is a page.
    ConsolePage(usize),
    ConsoleAsset,
    /// Ends the session that the browser's cookies name.
    ConsoleSignOut,
    Health,
    /// The OpenAPI document of the contract.
    Describe,
}
