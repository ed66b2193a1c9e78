//! Every path of the console: who may ask for it, and what it is.

use uuid::Uuid;

use crate::dialect::{Attempt, Endpoint, EndpointAccess, Operation, Verb};

use super::{LinksBy, Settings};

/// Whose things a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Own,
    /// Anybody's, for administrators.
    All,
}

impl Scope {
    /// What the paths of its pages begin with, below the console's prefix.
    #[must_use]
    pub fn base(self) -> &'static str {
        match self {
            Scope::Own => "",
            Scope::All => "/admin",
        }
    }

    /// The list of a server's keys, or of those that are looked at without one.
    #[must_use]
    pub fn key_list(self, server: Option<Uuid>) -> String {
        match server {
            Some(server) => format!("{}/servers/{server}/keys", self.base()),
            None => format!("{}/keys", self.base()),
        }
    }
}

/// What a browser can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Home,
    SignIn,
    Register,
    Forgotten,
    /// Behind the sign-in: on to where the browser was.
    Continue,
    SignedOut,
    Account,
    Password,
    Servers(Scope),
    Server(Scope),
    ServerKeys(Scope),
    DeleteServer(Scope),
    Keys(Scope),
    /// For a server, or for none.
    NewKey(Scope),
    RotateKey(Scope),
    RevokeKey(Scope),
    Users,
    User,
    Sessions,
    Lockouts,
    Refusals,
}

impl Page {
    /// Where it belongs to in the navigation.
    #[must_use]
    pub fn place(self) -> &'static str {
        match self {
            Page::Account | Page::Password => "/account",
            Page::Home
            | Page::Servers(Own)
            | Page::Server(Own)
            | Page::ServerKeys(Own)
            | Page::DeleteServer(Own) => "/servers",
            Page::Keys(Own) | Page::NewKey(Own) | Page::RotateKey(Own) | Page::RevokeKey(Own) => {
                "/keys"
            }
            Page::Servers(All)
            | Page::Server(All)
            | Page::ServerKeys(All)
            | Page::DeleteServer(All)
            | Page::NewKey(All) => "/admin/servers",
            Page::Keys(All) | Page::RotateKey(All) | Page::RevokeKey(All) => "/admin/keys",
            Page::Users | Page::User => "/admin/users",
            Page::Sessions => "/admin/sessions",
            Page::Lockouts => "/admin/lockouts",
            Page::Refusals => "/admin/refusals",
            Page::SignIn | Page::Register | Page::Forgotten | Page::Continue | Page::SignedOut => {
                ""
            }
        }
    }
}

/// What a form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    SignIn,
    Register,
    SendLink,
    ChangePassword,
    VerifyAddress,
    EndSession,
    EndOthers,
    CreateServer(Scope),
    RenameServer(Scope),
    DeleteServer(Scope),
    SetOwner,
    CreateKey(Scope),
    RotateKey(Scope),
    RevokeKey(Scope),
    Invite,
    SetRoles,
    SetState,
    SetVerified,
    MakeResetLink,
    EndUsersSessions,
    EndAnySession,
    ClearLockout,
}

impl Deed {
    /// The list of such things as the form is about.
    #[must_use]
    pub fn list(self) -> Option<String> {
        match self {
            Deed::CreateServer(scope)
            | Deed::RenameServer(scope)
            | Deed::DeleteServer(scope)
            | Deed::CreateKey(scope) => Some(format!("{}/servers", scope.base())),
            Deed::SetOwner => Some("/admin/servers".to_owned()),
            Deed::RotateKey(scope) | Deed::RevokeKey(scope) => Some(scope.key_list(None)),
            Deed::SetRoles
            | Deed::SetState
            | Deed::SetVerified
            | Deed::MakeResetLink
            | Deed::EndUsersSessions => Some("/admin/users".to_owned()),
            Deed::SignIn
            | Deed::Register
            | Deed::SendLink
            | Deed::ChangePassword
            | Deed::VerifyAddress
            | Deed::EndSession
            | Deed::EndOthers
            | Deed::Invite
            | Deed::EndAnySession
            | Deed::ClearLockout => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Page(Page),
    Deed(Deed),
    Asset,
    /// Whatever else lies below the prefix: no route gets a form that was meant for the console.
    Nothing(Verb),
    SignOut,
    BeginGithub,
    FinishGithub,
}

#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Below the prefix; `{name}` is any one segment.
    pub path: &'static str,
    pub what: What,
    pub access: EndpointAccess,
    attempt: Attempt,
}

impl Row {
    pub(super) fn endpoint(&self, index: usize) -> Endpoint {
        let (method, operation) = match self.what {
            What::Page(_) => (Verb::Get, Operation::ConsolePage(index)),
            What::Asset => (Verb::Get, Operation::ConsoleAsset),
            What::Nothing(verb) => (verb, Operation::ConsoleAsset),
            What::Deed(_) => (Verb::Post, Operation::Console(index)),
            What::SignOut => (Verb::Post, Operation::ConsoleSignOut),
            What::BeginGithub => (Verb::Get, Operation::BeginGithub),
            What::FinishGithub => (Verb::Get, Operation::FinishGithub),
        };
        let (path, access, attempt) = (self.path, self.access, self.attempt);
        Endpoint { method, path, fixed: false, operation, access, attempt }
    }
}

const fn row(path: &'static str, what: What, access: EndpointAccess) -> Row {
    Row { path, what, access, attempt: Attempt::None }
}

const fn trying(row: Row, attempt: Attempt) -> Row {
    Row { attempt, ..row }
}

use EndpointAccess::{Administrator, Authenticated, Public};
use Scope::{All, Own};
use What::{Deed as D, Page as P};

const ROWS: &[Row] = &[
    row("/assets/{file}", What::Asset, Public),
    row("/{*rest}", What::Nothing(Verb::Get), Public),
    row("/{*rest}", What::Nothing(Verb::Post), Public),
    row("/sign-in", P(Page::SignIn), Public),
    trying(row("/sign-in", D(Deed::SignIn), Public), Attempt::Password),
    row("/continue", P(Page::Continue), Public),
    row("/register", P(Page::Register), Public),
    row("/register", D(Deed::Register), Public),
    row("/signed-out", P(Page::SignedOut), Public),
    row("/sign-out", What::SignOut, Public),
    row("", P(Page::Home), Authenticated),
    row("/", P(Page::Home), Authenticated),
    row("/account", P(Page::Account), Authenticated),
    row("/account/password", P(Page::Password), Authenticated),
    trying(row("/account/password", D(Deed::ChangePassword), Authenticated), Attempt::Password),
    row("/account/sessions/{id}/end", D(Deed::EndSession), Authenticated),
    row("/account/sessions/end-others", D(Deed::EndOthers), Authenticated),
    row("/servers", P(Page::Servers(Own)), Authenticated),
    row("/servers/{id}", P(Page::Server(Own)), Authenticated),
    row("/servers/{id}/rename", D(Deed::RenameServer(Own)), Authenticated),
    row("/servers/{id}/keys", P(Page::ServerKeys(Own)), Authenticated),
    row("/servers/{id}/keys/new", P(Page::NewKey(Own)), Authenticated),
    row("/servers/{id}/keys/new", D(Deed::CreateKey(Own)), Authenticated),
    row("/keys", P(Page::Keys(Own)), Authenticated),
    row("/keys/new", P(Page::NewKey(Own)), Authenticated),
    row("/keys/new", D(Deed::CreateKey(Own)), Authenticated),
    row("/keys/{id}/rotate", P(Page::RotateKey(Own)), Authenticated),
    row("/keys/{id}/rotate", D(Deed::RotateKey(Own)), Authenticated),
    row("/keys/{id}/revoke", P(Page::RevokeKey(Own)), Authenticated),
    row("/keys/{id}/revoke", D(Deed::RevokeKey(Own)), Authenticated),
    row("/admin/servers", P(Page::Servers(All)), Administrator),
    row("/admin/servers", D(Deed::CreateServer(All)), Administrator),
    row("/admin/servers/{id}", P(Page::Server(All)), Administrator),
    row("/admin/servers/{id}/rename", D(Deed::RenameServer(All)), Administrator),
    row("/admin/servers/{id}/owner", D(Deed::SetOwner), Administrator),
    row("/admin/servers/{id}/delete", P(Page::DeleteServer(All)), Administrator),
    row("/admin/servers/{id}/delete", D(Deed::DeleteServer(All)), Administrator),
    row("/admin/servers/{id}/keys", P(Page::ServerKeys(All)), Administrator),
    row("/admin/servers/{id}/keys/new", P(Page::NewKey(All)), Administrator),
    row("/admin/servers/{id}/keys/new", D(Deed::CreateKey(All)), Administrator),
    row("/admin/keys", P(Page::Keys(All)), Administrator),
    row("/admin/keys/{id}/rotate", P(Page::RotateKey(All)), Administrator),
    row("/admin/keys/{id}/rotate", D(Deed::RotateKey(All)), Administrator),
    row("/admin/keys/{id}/revoke", P(Page::RevokeKey(All)), Administrator),
    row("/admin/keys/{id}/revoke", D(Deed::RevokeKey(All)), Administrator),
    row("/admin/users", P(Page::Users), Administrator),
    row("/admin/users/{id}", P(Page::User), Administrator),
    row("/admin/users/{id}/roles", D(Deed::SetRoles), Administrator),
    row("/admin/users/{id}/state", D(Deed::SetState), Administrator),
    row("/admin/users/{id}/verified", D(Deed::SetVerified), Administrator),
    row("/admin/users/{id}/end-sessions", D(Deed::EndUsersSessions), Administrator),
    row("/admin/sessions", P(Page::Sessions), Administrator),
    row("/admin/sessions/{id}/end", D(Deed::EndAnySession), Administrator),
    row("/admin/lockouts", P(Page::Lockouts), Administrator),
    row("/admin/lockouts", D(Deed::ClearLockout), Administrator),
    row("/admin/refusals", P(Page::Refusals), Administrator),
];

const GITHUB: Row = row("/github", What::BeginGithub, Public);
const OWN_CALLBACK: Row =
    trying(row("/github/callback", What::FinishGithub, Public), Attempt::Code);
const WITH_LINKS: &[Row] = &[
    row("/admin/users", D(Deed::Invite), Administrator),
    row("/admin/users/{id}/reset-link", D(Deed::MakeResetLink), Administrator),
];
const WITH_MAIL: &[Row] = &[
    row("/forgotten", P(Page::Forgotten), Public),
    row("/forgotten", D(Deed::SendLink), Public),
    row("/account/verify", D(Deed::VerifyAddress), Authenticated),
];
const OWN_SERVERS: &[Row] = &[
    row("/servers", D(Deed::CreateServer(Own)), Authenticated),
    row("/servers/{id}/delete", P(Page::DeleteServer(Own)), Authenticated),
    row("/servers/{id}/delete", D(Deed::DeleteServer(Own)), Authenticated),
];

/// Those that the settings leave.
pub(super) fn rows(settings: &Settings) -> Vec<Row> {
    let mut rows = ROWS.to_vec();
    if settings.callback.is_some() {
        rows.push(GITHUB);
        rows.extend(settings.own_callback.then_some(OWN_CALLBACK));
    }
    for (is_there, more) in [
        (settings.links != LinksBy::Nothing, WITH_LINKS),
        (settings.links == LinksBy::Mail, WITH_MAIL),
        (settings.own_servers, OWN_SERVERS),
    ] {
        if is_there {
            rows.extend_from_slice(more);
        }
    }
    rows.retain(|row| settings.administration || row.access != Administrator);
    rows
}
