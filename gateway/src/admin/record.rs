//! What administrators see of accounts and things. The members are an interface.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::account::{Account, AccountState};
use crate::auth::api_key::ApiKey;
use crate::auth::session::Session as SignIn;
use crate::auth::time::Timestamp;
use crate::auth::{register, server, workspace};
use crate::telemetry::log::rfc3339;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    User(User),
    Key(Key),
    Server(Server),
    Workspace(Workspace),
    Member(Member),
    Session(Session),
    Lockout(Lockout),
    Registration(Registration),
}

impl Record {
    /// The account it belongs to, if it is not one itself.
    #[must_use]
    pub fn account(&self) -> Option<Uuid> {
        match self {
            Record::Key(key) => Some(key.owner),
            Record::Server(server) => server.owner,
            Record::Session(session) => Some(session.user_id),
            Record::User(_)
            | Record::Workspace(_)
            | Record::Member(_)
            | Record::Lockout(_)
            | Record::Registration(_) => None,
        }
    }

    /// Its members alone, without what it is.
    ///
    /// # Panics
    /// Never: they are plain text, numbers and lists of them.
    #[must_use]
    pub fn members(&self) -> serde_json::Value {
        let members = match self {
            Record::User(user) => serde_json::to_value(user),
            Record::Key(key) => serde_json::to_value(key),
            Record::Server(server) => serde_json::to_value(server),
            Record::Workspace(workspace) => serde_json::to_value(workspace),
            Record::Member(member) => serde_json::to_value(member),
            Record::Session(session) => serde_json::to_value(session),
            Record::Lockout(lockout) => serde_json::to_value(lockout),
            Record::Registration(registration) => serde_json::to_value(registration),
        };
        members.expect("plain text, numbers and lists of them serialize")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    pub id: Uuid,
    pub username: String,
    pub email: Option<String>,
    /// Whether somebody other than its holder vouches for the address.
    #[serde(default)]
    pub email_verified: bool,
    pub full_name: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub avatar_url: Option<String>,
    pub roles: Vec<String>,
    pub state: State,
    /// Whether GitHub signs it in.
    pub github: bool,
    pub created: String,
    /// When a session of it was last opened, if that is known.
    #[serde(default)]
    pub last_sign_in: Option<String>,
    /// From how many addresses it has signed in of late, and when one was last noted; where
    /// it is shown alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_addresses: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_noted: Option<String>,
}

impl User {
    pub fn shown_at(account: &Account, now: Timestamp) -> Self {
        let known = account.known_addresses(now).map(|(_, noted)| noted);
        Self {
            known_addresses: Some(account.known_addresses(now).count()).filter(|count| *count > 0),
            last_noted: known.max().map(rfc3339),
            ..account.into()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Enabled,
    Disabled,
}

impl State {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Enabled => "enabled",
            State::Disabled => "disabled",
        }
    }
}

impl From<AccountState> for State {
    fn from(state: AccountState) -> Self {
        match state {
            AccountState::Enabled => State::Enabled,
            AccountState::Disabled => State::Disabled,
        }
    }
}

impl From<State> for AccountState {
    fn from(state: State) -> Self {
        match state {
            State::Enabled => AccountState::Enabled,
            State::Disabled => AccountState::Disabled,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Key {
    pub id: Uuid,
    pub owner: Uuid,
    pub name: String,
    pub shown: String,
    pub server: Option<Uuid>,
    pub scopes: Vec<String>,
    pub created: String,
    pub expires: Option<String>,
    pub last_used: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    pub id: Uuid,
    pub name: String,
    pub owner: Option<Uuid>,
    pub created: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Workspace {
    pub id: Uuid,
    pub name: String,
    pub created: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    pub user_id: Uuid,
    pub username: String,
    pub role: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    pub id: Uuid,
    pub user_id: Uuid,
    /// Of the client that opened it, which chooses its `User-Agent` freely.
    #[serde(default)]
    pub address: Option<IpAddr>,
    #[serde(default)]
    pub user_agent: Option<String>,
    pub created: String,
    #[serde(default)]
    pub last_used: String,
    pub expires: String,
}

impl Session {
    /// A session with its last use, as far as this gateway and the store know.
    #[must_use]
    pub fn used_at(session: &SignIn, last_use: Timestamp) -> Self {
        let client = session.client.as_ref();
        let user_agent = client.and_then(|client| client.user_agent.as_ref());
        Self {
            id: session.id.0,
            user_id: session.account.0,
            address: client.map(|client| client.address),
            user_agent: user_agent.map(|name| name.as_str().to_owned()),
            created: rfc3339(session.created),
            last_used: rfc3339(last_use),
            expires: rfc3339(session.expires),
        }
    }
}

/// An address with counted failures; of IPv6 the first one of its /64.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lockout {
    pub address: IpAddr,
    pub failures: u32,
    pub locked_until: Option<String>,
}

/// Whether anybody may make an account: only if neither says otherwise.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Registration {
    pub state: Registering,
    pub configured: Registering,
    pub stored: Registering,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registering {
    Open,
    Closed,
}

impl From<register::Registering> for Registering {
    fn from(registering: register::Registering) -> Self {
        match registering {
            register::Registering::Open => Registering::Open,
            register::Registering::Closed => Registering::Closed,
        }
    }
}

impl From<Registering> for register::Registering {
    fn from(registering: Registering) -> Self {
        match registering {
            Registering::Open => register::Registering::Open,
            Registering::Closed => register::Registering::Closed,
        }
    }
}

impl From<&Account> for User {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.0,
            username: account.username.as_str().to_owned(),
            email: account.email.clone(),
            email_verified: account.email_verified,
            full_name: account.name.full.clone(),
            first_name: account.name.first.clone(),
            last_name: account.name.last.clone(),
            avatar_url: account.avatar.clone(),
            roles: account.roles.clone(),
            state: account.state.into(),
            github: account.github.is_some(),
            created: rfc3339(account.created),
            last_sign_in: account.last_sign_in.map(rfc3339),
            known_addresses: None,
            last_noted: None,
        }
    }
}

impl From<&ApiKey> for Key {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.0,
            owner: key.owner.0,
            name: key.name.clone(),
            shown: key.shown.clone(),
            server: key.server.map(|server| server.0),
            scopes: key.scopes.clone(),
            created: rfc3339(key.created),
            expires: key.ends().map(rfc3339),
            last_used: key.last_used.get().map(rfc3339),
        }
    }
}

impl From<&server::Server> for Server {
    fn from(server: &server::Server) -> Self {
        Self {
            id: server.id.0,
            name: server.name.clone(),
            owner: server.owner.map(|owner| owner.0),
            created: rfc3339(server.created),
        }
    }
}

impl From<&workspace::Workspace> for Workspace {
    fn from(workspace: &workspace::Workspace) -> Self {
        Self {
            id: workspace.id.0,
            name: workspace.name.clone(),
            created: rfc3339(workspace.created),
        }
    }
}
