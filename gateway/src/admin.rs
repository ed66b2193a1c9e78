//! Administration: what can be asked about a gateway's accounts and things, and
//! carrying it out. The command line asks through the socket or on the store, the
//! HTTP API on behalf of an account.

pub mod browser;
pub mod change;
mod keys;
mod links;
mod lockouts;
pub mod record;
mod registration;
mod servers;
mod sessions;
mod users;
mod workspaces;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Core;
use crate::auth::account::{Account, AccountId, canonical_name};
use crate::auth::error::{Entity, Error, Name};
use crate::auth::server::is_valid_label;

use record::{Key, Record, Registering, State};
use users::UserChange;

/// What an administrator asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    AddUser(NewUser),
    ImportUsers {
        users: Vec<Import>,
        roles: Vec<String>,
    },
    ListUsers {
        #[serde(default)]
        page: Span,
    },
    ShowUser {
        user: Who,
    },
    /// What is not given stays.
    ChangeUser {
        user: Who,
        #[serde(default)]
        roles: Option<Vec<String>>,
        #[serde(default)]
        state: Option<State>,
        /// Whether somebody vouches for the address.
        #[serde(default)]
        email_verified: Option<bool>,
    },
    /// Vouches for the addresses of all of them that have one.
    VerifyUsers {
        users: Vec<Uuid>,
    },
    /// All sessions end.
    SetPassword {
        user: Who,
        password: Hidden,
    },
    RemoveUser {
        user: Who,
    },
    /// Makes an account whose password a link lets somebody set.
    InviteUser(Invitation),
    /// Makes a link that lets a user set a new password.
    MakeResetLink {
        user: Who,
        /// Whether it is sent by mail too.
        mail: bool,
    },
    ListSessions {
        user: Option<Who>,
        #[serde(default)]
        page: Span,
    },
    EndSession {
        id: Uuid,
    },
    EndSessions {
        user: Who,
    },
    /// Of all users, or of so many after one of them.
    EndAllSessions {
        #[serde(default)]
        after: Option<Uuid>,
        #[serde(default)]
        limit: Option<usize>,
    },
    CreateKey(NewKey),
    ListKeys {
        owner: Option<Who>,
        #[serde(default)]
        server: Option<Uuid>,
        #[serde(default)]
        page: Span,
    },
    ShowKey {
        id: Uuid,
    },
    RotateKey {
        id: Uuid,
        /// How long the old one goes on, in seconds.
        overlap: u64,
    },
    RevokeKey {
        id: Uuid,
    },
    /// All that the user has.
    RevokeKeys {
        owner: Who,
    },
    AddServer {
        name: String,
        owner: Option<Who>,
    },
    ListServers {
        #[serde(default)]
        page: Span,
    },
    ShowServer {
        id: Uuid,
    },
    ChangeServer {
        id: Uuid,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        owner: Owner,
    },
    /// Its keys go with it.
    RemoveServer {
        id: Uuid,
    },
    AddWorkspace {
        name: String,
    },
    ListWorkspaces {
        #[serde(default)]
        page: Span,
    },
    ShowWorkspace {
        id: Uuid,
    },
    RenameWorkspace {
        id: Uuid,
        name: String,
    },
    RemoveWorkspace {
        id: Uuid,
    },
    ListMembers {
        workspace: Uuid,
        #[serde(default)]
        page: Span,
    },
    SetMember {
        workspace: Uuid,
        user: Who,
        role: String,
    },
    RemoveMember {
        workspace: Uuid,
        user: Who,
    },
    ListLockouts {
        #[serde(default)]
        page: Span<IpAddr>,
    },
    /// Its failures are forgotten too.
    ClearLockout {
        address: IpAddr,
    },
    ShowRegistration,
    /// `Open` takes back that it was closed; what the configuration closes stays closed.
    SetRegistration {
        state: Registering,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewUser {
    pub name: String,
    pub email: Option<String>,
    pub password: Hidden,
    /// With none it gets the default one.
    pub roles: Vec<String>,
    #[serde(default)]
    pub full_name: Option<String>,
    #[serde(default)]
    pub first_name: Option<String>,
    #[serde(default)]
    pub last_name: Option<String>,
}

/// An account for somebody who is to choose the password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invitation {
    pub email: String,
    /// `None`: the address.
    #[serde(default)]
    pub name: Option<String>,
    /// With none it gets the default one.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whether the link is sent by mail too.
    #[serde(default)]
    pub mail: bool,
}

/// An account with the hash it had elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    pub name: String,
    pub hash: Hidden,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewKey {
    pub owner: Who,
    pub name: String,
    #[serde(default)]
    pub server: Option<Uuid>,
    pub scopes: Vec<String>,
    /// In milliseconds since the epoch.
    #[serde(default)]
    pub expires: Option<u64>,
}

/// What becomes of a server's owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    #[default]
    Same,
    Nobody,
    User(Who),
}

/// An account, by its id or by a name it signs in with. A text that reads as an id is
/// one: nobody can choose an id, but a name that looks like somebody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Who {
    Id(Uuid),
    Name(String),
}

impl From<String> for Who {
    fn from(text: String) -> Self {
        match Uuid::try_parse(&text) {
            Ok(id) if text.len() == uuid::fmt::Hyphenated::LENGTH => Who::Id(id),
            _ => Who::Name(text),
        }
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        match who {
            Who::Id(id) => id.to_string(),
            Who::Name(name) => name,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Id(id) => id.fmt(f),
            Who::Name(name) => name.fmt(f),
        }
    }
}

/// Which part of a list: so many, after one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span<T = Uuid> {
    pub after: Option<T>,
    pub limit: usize,
}

/// However many are asked for.
const MAX_PAGE: usize = 1_000;

impl<T> Default for Span<T> {
    fn default() -> Self {
        Self { after: None, limit: MAX_PAGE }
    }
}

impl<T: Copy + Ord> Span<T> {
    /// As many as are asked for, and one more to see whether there are.
    fn probe(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE) + 1
    }

    /// This part of a whole list in the order of its ids.
    fn of<I>(&self, all: Vec<I>, id: impl Fn(&I) -> T) -> Vec<I> {
        let wanted = |item: &I| self.after.is_none_or(|after| id(item) > after);
        all.into_iter().filter(wanted).take(self.probe()).collect()
    }

    /// Takes the one more away again, and says after which the next part begins.
    fn cut<I>(&self, items: &mut Vec<I>, id: impl Fn(&I) -> T) -> Option<T> {
        let limit = self.probe() - 1;
        let more = items.len() > limit;
        items.truncate(limit);
        items.last().filter(|_| more).map(id)
    }
}

/// A text that no log may show.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done,
    Made(Record),
    /// As it is now.
    Found(Record),
    /// An account as it is now, and the roles it had.
    Changed {
        user: Record,
        former_roles: Vec<String>,
    },
    Page(Page),
    NewKey {
        key: Key,
        text: Hidden,
    },
    Imported {
        added: Vec<String>,
        present: Vec<String>,
    },
    /// Users whose sessions have ended, and after whom to go on.
    SessionsEnded {
        users: u64,
        next: Option<Uuid>,
    },
    KeysRevoked {
        keys: u64,
    },
    /// For this user; the link is shown this once.
    NewLink {
        user: record::User,
        url: Hidden,
        expires: String,
        mailed: bool,
    },
    /// Whose addresses were not verified before.
    Verified {
        users: Vec<String>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    pub items: Vec<Record>,
    /// What to go on after, as [`Span::after`].
    pub next: Option<String>,
    /// User names of the accounts that the items name by their ids.
    pub names: BTreeMap<Uuid, String>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Somebody at the machine, who can always let somebody in again.
    Operator,
    /// Somebody who could lock everybody out, himself included.
    Client,
}

/// Carries out a request.
///
/// # Errors
/// Why it was not done.
pub async fn perform(core: &Core, request: Request, by: By) -> Result<Reply, Error> {
    match request {
        Request::AddUser(new) => users::add(core, new).await,
        Request::ImportUsers { users, roles } => users::import(core, users, &roles).await,
        Request::ListUsers { page } => users::list(core, page).await,
        Request::ShowUser { user } => users::show(core, &user).await,
        Request::ChangeUser { user, roles, state, email_verified } => {
            users::change(core, &user, UserChange { roles, state, email_verified }, by).await
        }
        Request::VerifyUsers { users } => users::verify(core, users).await,
        Request::SetPassword { user, password } => users::set_password(core, &user, password).await,
        Request::RemoveUser { user } => users::remove(core, &user, by).await,
        Request::InviteUser(invitation) => links::invite(core, invitation).await,
        Request::MakeResetLink { user, mail } => links::reset(core, &user, mail),
        Request::ListSessions { user, page } => sessions::list(core, user.as_ref(), page).await,
        Request::EndSession { id } => sessions::end(core, id).await,
        Request::EndSessions { user } => sessions::end_all(core, &user).await,
        Request::EndAllSessions { after, limit } => {
            sessions::end_everybodys(core, after, limit).await
        }
        Request::CreateKey(new) => keys::create(core, new).await,
        Request::ListKeys { owner, server, page } => {
            keys::list(core, owner.as_ref(), server, page).await
        }
        Request::ShowKey { id } => keys::show(core, id).await,
        Request::RotateKey { id, overlap } => keys::rotate(core, id, overlap).await,
        Request::RevokeKey { id } => keys::revoke(core, id).await,
        Request::RevokeKeys { owner } => keys::revoke_all(core, &owner).await,
        Request::AddServer { name, owner } => servers::add(core, name, owner.as_ref()).await,
        Request::ListServers { page } => Ok(servers::list(core, page)),
        Request::ShowServer { id } => servers::show(core, id),
        Request::ChangeServer { id, name, owner } => servers::change(core, id, name, owner).await,
        Request::RemoveServer { id } => servers::remove(core, id).await,
        Request::AddWorkspace { name } => workspaces::add(core, name).await,
        Request::ListWorkspaces { page } => Ok(workspaces::list(core, page)),
        Request::ShowWorkspace { id } => workspaces::show(core, id),
        Request::RenameWorkspace { id, name } => workspaces::rename(core, id, name).await,
        Request::RemoveWorkspace { id } => workspaces::remove(core, id).await,
        Request::ListMembers { workspace, page } => workspaces::members(core, workspace, page),
        Request::SetMember { workspace, user, role } => {
            workspaces::set_member(core, workspace, &user, role).await
        }
        Request::RemoveMember { workspace, user } => {
            workspaces::remove_member(core, workspace, &user).await
        }
        Request::ListLockouts { page } => lockouts::list(core, page).await,
        Request::ClearLockout { address } => lockouts::clear(core, address).await,
        Request::ShowRegistration => Ok(registration::show(core)),
        Request::SetRegistration { state } => registration::set(core, state).await,
    }
}

fn find(core: &Core, who: &Who) -> Result<Arc<Account>, Error> {
    let found = match who {
        Who::Id(id) => core.standing().account(AccountId(*id)),
        Who::Name(name) => core.standing().account_by_name(&canonical_name(name)),
    };
    found.ok_or(Error::Unknown(Entity::Account))
}

fn check_label(name: &str) -> Result<(), Error> {
    if is_valid_label(name) { Ok(()) } else { Err(Error::Name(Name::Label)) }
}

fn page(core: &Core, items: Vec<Record>, next: Option<impl fmt::Display>) -> Reply {
    let accounts = items.iter().filter_map(Record::account).map(AccountId);
    let known = accounts.filter_map(|id| core.standing().account(id));
    let names = known.map(|account| (account.id.0, account.username.as_str().to_owned()));
    let names = names.collect();
    Reply::Page(Page { items, next: next.map(|next| next.to_string()), names })
}

#[cfg(test)]
mod tests;
