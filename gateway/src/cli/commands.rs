//! The commands of administration, and what each asks for.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Subcommand;
use uuid::Uuid;

use crate::admin::record::{Registering, State};
use crate::admin::{Hidden, Invitation, NewKey, NewUser, Owner, Request, Span, Who};
use crate::auth::api_key::DEFAULT_OVERLAP;
use crate::auth::ports::Clock;
use crate::auth::time::Seconds;
use crate::clock::SystemClock;

use super::administer::read_password;
use super::parse_seconds;

/// A request, and what to tell people when it is done; nothing where the answer tells.
pub(super) struct Ask {
    pub request: Request,
    pub said: Option<String>,
}

impl Ask {
    fn look(request: Request) -> Self {
        Self { request, said: None }
    }

    fn change(request: Request, said: impl Into<String>) -> Self {
        Self { request, said: Some(said.into()) }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user; the password comes from a prompt or from standard input
    Add {
        name: String,
        #[arg(long)]
        email: Option<String>,
        /// May be given several times [default: user]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        #[arg(long, value_name = "NAME")]
        full_name: Option<String>,
        #[arg(long, value_name = "NAME")]
        first_name: Option<String>,
        #[arg(long, value_name = "NAME")]
        last_name: Option<String>,
    },
    /// List all users
    List,
    /// Show all that is known about a user
    Show { user: String },
    /// Set a user's password; all its sessions end
    Passwd { user: String },
    /// Give a user other roles
    Roles {
        user: String,
        #[arg(required = true, value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Let a disabled user sign in again
    Enable { user: String },
    /// Refuse a user from now on; all its sessions end
    Disable { user: String },
    /// Vouch for a user's e-mail address, so that upstreams are told it
    Verify {
        #[arg(required_unless_present = "all")]
        user: Option<String>,
        /// The addresses of all users, however they came to be
        #[arg(long, conflicts_with = "user")]
        all: bool,
    },
    /// Make an account for somebody who chooses the password by a link
    Invite {
        email: String,
        /// The user name [default: the address]
        #[arg(long)]
        name: Option<String>,
        /// May be given several times [default: user]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Send the link by mail too
        #[arg(long)]
        mail: bool,
    },
    /// Make a link by which a user sets a new password
    ResetLink {
        user: String,
        /// Send the link by mail too
        #[arg(long)]
        mail: bool,
    },
    /// Remove a user with its sessions, keys and memberships
    Remove { user: String },
    /// Add the users of an htpasswd file with bcrypt hashes; existing ones stay as they are
    Import {
        /// `-` reads standard input
        file: PathBuf,
        /// For all of them; may be given several times [default: user]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
}

/// What `user` asks for, except for what concerns many, which is many requests.
///
/// # Errors
/// When no password can be read.
pub(super) fn user(command: UserCommand) -> Result<Ask, String> {
    let hidden = |name: &str| read_password(name).map(|text| Hidden(text.expose().to_owned()));
    Ok(match command {
        UserCommand::Add { name, email, roles, full_name, first_name, last_name } => {
            let password = hidden(&name)?;
            let said = format!("user {name} added");
            let new = NewUser { name, email, password, roles, full_name, first_name, last_name };
            Ask::change(Request::AddUser(new), said)
        }
        UserCommand::List | UserCommand::Import { .. } | UserCommand::Verify { user: None, .. } => {
            Ask::look(Request::ListUsers { page: Span::default() })
        }
        UserCommand::Show { user } => Ask::look(Request::ShowUser { user: user.into() }),
        UserCommand::Passwd { user } => {
            let password = hidden(&user)?;
            let said = format!("password of {user} changed; all its sessions have ended");
            Ask::change(Request::SetPassword { user: user.into(), password }, said)
        }
        UserCommand::Roles { user, roles } => {
            let said = format!("roles of {user} are {}", roles.join(", "));
            change_user(user, Some(roles), None, said)
        }
        UserCommand::Enable { user } => {
            let said = format!("user {user} enabled");
            change_user(user, None, Some(State::Enabled), said)
        }
        UserCommand::Disable { user } => {
            let said = format!("user {user} disabled; all its sessions have ended");
            change_user(user, None, Some(State::Disabled), said)
        }
        UserCommand::Verify { user: Some(user), .. } => {
            let said = format!("the e-mail address of {user} is verified");
            let (roles, state, email_verified) = (None, None, Some(true));
            let user = user.into();
            Ask::change(Request::ChangeUser { user, roles, state, email_verified }, said)
        }
        UserCommand::Invite { email, name, roles, mail } => {
            Ask::look(Request::InviteUser(Invitation { email, name, roles, mail }))
        }
        UserCommand::ResetLink { user, mail } => {
            Ask::look(Request::MakeResetLink { user: user.into(), mail })
        }
        UserCommand::Remove { user } => {
            let said = format!("user {user} removed, with its sessions, keys and memberships");
            Ask::change(Request::RemoveUser { user: user.into() }, said)
        }
    })
}

fn change_user(
    user: String,
    roles: Option<Vec<String>>,
    state: Option<State>,
    said: String,
) -> Ask {
    let email_verified = None;
    Ask::change(Request::ChangeUser { user: user.into(), roles, state, email_verified }, said)
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key; its text is shown this once
    Create {
        /// The user on whose behalf the key acts
        #[arg(long)]
        owner: String,
        /// What the key is for
        #[arg(long, default_value = "")]
        name: String,
        /// The id of the server whose agents present it
        #[arg(long, value_name = "ID")]
        server: Option<Uuid>,
        /// May be given several times
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Such as 90d or 12h [default: never]
        #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
        expires_in: Option<u64>,
    },
    /// List keys, without their secrets
    List {
        #[arg(long)]
        owner: Option<String>,
        #[arg(long, value_name = "ID")]
        server: Option<Uuid>,
    },
    /// Make a key that takes the place of another; its text is shown this once
    Rotate {
        id: Uuid,
        /// How long the old one goes on, such as 1h [default: 24h]
        #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
        overlap: Option<u64>,
    },
    /// Refuse a key from now on, or all of a user
    Revoke {
        #[arg(required_unless_present = "owner")]
        id: Option<Uuid>,
        #[arg(long, conflicts_with = "id", value_name = "USER")]
        owner: Option<String>,
    },
}

pub(super) fn key(command: KeyCommand) -> Ask {
    match command {
        KeyCommand::Create { owner, name, server, scopes, expires_in } => {
            let expires = expires_in.map(|length| SystemClock.now().plus(Seconds(length)).0);
            let owner = owner.into();
            Ask::look(Request::CreateKey(NewKey { owner, name, server, scopes, expires }))
        }
        KeyCommand::List { owner, server } => {
            let owner = owner.map(Who::from);
            Ask::look(Request::ListKeys { owner, server, page: Span::default() })
        }
        KeyCommand::Rotate { id, overlap } => {
            Ask::look(Request::RotateKey { id, overlap: overlap.unwrap_or(DEFAULT_OVERLAP.0) })
        }
        KeyCommand::Revoke { owner: Some(owner), .. } => {
            Ask::look(Request::RevokeKeys { owner: owner.into() })
        }
        KeyCommand::Revoke { id, owner: None } => {
            let id = id.unwrap_or_default();
            Ask::change(Request::RevokeKey { id }, format!("key {id} revoked"))
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum ServerCommand {
    /// Add a server, whose agents sign in with keys of its own
    Add {
        name: String,
        /// The user who may bind keys to it, as administrators may
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
    },
    /// List all servers
    List,
    /// Give a server another name
    Rename { id: Uuid, name: String },
    /// Give a server to a user, or without one to nobody
    Give { id: Uuid, user: Option<String> },
    /// Remove a server with its keys
    Remove { id: Uuid },
}

pub(super) fn server(command: ServerCommand) -> Ask {
    match command {
        ServerCommand::Add { name, owner } => {
            Ask::look(Request::AddServer { name, owner: owner.map(Who::from) })
        }
        ServerCommand::List => Ask::look(Request::ListServers { page: Span::default() }),
        ServerCommand::Rename { id, name } => {
            let said = format!("server {id} is called {name}");
            Ask::change(Request::ChangeServer { id, name: Some(name), owner: Owner::Same }, said)
        }
        ServerCommand::Give { id, user } => {
            let said = format!("server {id} is {}'s", user.as_deref().unwrap_or("nobody"));
            let owner = user.map_or(Owner::Nobody, |user| Owner::User(user.into()));
            Ask::change(Request::ChangeServer { id, name: None, owner }, said)
        }
        ServerCommand::Remove { id } => {
            Ask::change(Request::RemoveServer { id }, format!("server {id} removed, with its keys"))
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum WorkspaceCommand {
    /// Add a workspace
    Add { name: String },
    /// List all workspaces
    List,
    /// Give a workspace another name
    Rename { id: Uuid, name: String },
    /// Remove a workspace; what is scoped to it is refused from now on
    Remove { id: Uuid },
    /// List who is in a workspace
    Members { id: Uuid },
    /// Make a user a member, or give a member another role
    Join {
        id: Uuid,
        user: String,
        #[arg(long, default_value = "member")]
        role: String,
    },
    /// Make a user a member no more
    Leave { id: Uuid, user: String },
}

pub(super) fn workspace(command: WorkspaceCommand) -> Ask {
    match command {
        WorkspaceCommand::Add { name } => Ask::look(Request::AddWorkspace { name }),
        WorkspaceCommand::List => Ask::look(Request::ListWorkspaces { page: Span::default() }),
        WorkspaceCommand::Rename { id, name } => {
            let said = format!("workspace {id} is called {name}");
            Ask::change(Request::RenameWorkspace { id, name }, said)
        }
        WorkspaceCommand::Remove { id } => {
            Ask::change(Request::RemoveWorkspace { id }, format!("workspace {id} removed"))
        }
        WorkspaceCommand::Members { id } => {
            Ask::look(Request::ListMembers { workspace: id, page: Span::default() })
        }
        WorkspaceCommand::Join { id, user, role } => {
            let said = format!("{user} is {role} of workspace {id}");
            Ask::change(Request::SetMember { workspace: id, user: user.into(), role }, said)
        }
        WorkspaceCommand::Leave { id, user } => {
            let said = format!("{user} has left workspace {id}");
            Ask::change(Request::RemoveMember { workspace: id, user: user.into() }, said)
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List sign-ins that have not ended
    List {
        #[arg(long)]
        user: Option<String>,
    },
    /// End a sign-in, or all of a user or of all; their tokens are refused from now on
    End {
        #[arg(required_unless_present_any = ["user", "all"])]
        id: Option<Uuid>,
        #[arg(long, conflicts_with = "id")]
        user: Option<String>,
        /// Those of every user, also whoever administers
        #[arg(long, conflicts_with_all = ["id", "user"])]
        all: bool,
        /// Do not ask whether all are meant
        #[arg(long, requires = "all")]
        yes: bool,
    },
}

pub(super) fn session(command: SessionCommand) -> Ask {
    match command {
        SessionCommand::List { user } => {
            let user = user.map(Who::from);
            Ask::look(Request::ListSessions { user, page: Span::default() })
        }
        SessionCommand::End { user: Some(user), .. } => {
            let said = format!("all sessions of {user} have ended");
            Ask::change(Request::EndSessions { user: user.into() }, said)
        }
        SessionCommand::End { all: true, .. } => {
            Ask::look(Request::EndAllSessions { after: None, limit: Some(END_STEP) })
        }
        SessionCommand::End { id, user: None, all: false, .. } => {
            let id = id.unwrap_or_default();
            Ask::change(Request::EndSession { id }, format!("session {id} has ended"))
        }
    }
}

/// Users of one request to the gateway, which takes no longer than its deadline.
const END_STEP: usize = 100;

/// What is stored holds over restarts and for every gateway of the store. It closes what
/// the configuration opens, and never the other way round.
#[derive(Debug, Subcommand)]
pub(super) enum RegistrationCommand {
    /// Let nobody make an account, from now on and whatever configurations say
    Close,
    /// Take that back; what the configuration closes stays closed
    Open,
    /// Show whether anybody may make an account, and what says so
    Status,
}

pub(super) fn registration(command: &RegistrationCommand) -> Ask {
    let set = |state| Ask::look(Request::SetRegistration { state });
    match command {
        RegistrationCommand::Close => set(Registering::Closed),
        RegistrationCommand::Open => set(Registering::Open),
        RegistrationCommand::Status => Ask::look(Request::ShowRegistration),
    }
}

/// Only a running gateway counts failures.
#[derive(Debug, Subcommand)]
pub(super) enum LockoutCommand {
    /// List the addresses that have failed to sign in
    List,
    /// Forget the failures of an address and let it try again
    Clear { address: IpAddr },
}

pub(super) fn lockout(command: LockoutCommand) -> Ask {
    match command {
        LockoutCommand::List => Ask::look(Request::ListLockouts { page: Span::default() }),
        LockoutCommand::Clear { address } => {
            Ask::change(Request::ClearLockout { address }, format!("{address} may try again"))
        }
    }
}
