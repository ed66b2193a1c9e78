//! `portcullis user`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::admin::record::State;
use crate::admin::{Hidden, Invitation, NewUser, Request, Span, Who};
use crate::cli::desk::Desk;
use crate::cli::input::read_password;

use super::{Ask, Confirmed, find_user};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UserCommand {
    /// Add a user; the password comes from a prompt or from standard input
    Add {
        /// By which it signs in
        name: String,
        /// Another name to sign in with, which is sent to upstreams
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
    #[command(alias = "ls")]
    List,
    /// Show all that is known about a user
    Show {
        /// By name, e-mail address or id
        user: String,
    },
    /// Set a user's password; all its sessions end
    Passwd {
        /// By name, e-mail address or id
        user: String,
    },
    /// Replace a user's roles: it has these from now on, and no others
    Roles {
        /// By name, e-mail address or id
        user: String,
        /// All that it is to have
        #[arg(required = true, value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Let a disabled user sign in again
    Enable {
        /// By name, e-mail address or id
        user: String,
    },
    /// Refuse a user from now on; all its sessions end
    Disable {
        /// By name, e-mail address or id
        user: String,
    },
    /// Mark a user's e-mail address as verified, so that it is sent to upstreams
    Verify {
        /// By name, e-mail address or id
        #[arg(required_unless_present = "all")]
        user: Option<String>,
        /// The addresses of all users, however they came to be
        #[arg(long, conflicts_with = "user")]
        all: bool,
    },
    /// Make an account and a link by which its user sets the password
    Invite {
        /// Of whom the link is for
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
        /// By name, e-mail address or id
        user: String,
        /// Send the link by mail too
        #[arg(long)]
        mail: bool,
    },
    /// Remove a user with its sessions, keys and memberships
    #[command(alias = "rm", alias = "delete")]
    Remove {
        /// By name, e-mail address or id
        user: String,
        #[command(flatten)]
        confirmed: Confirmed,
    },
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
/// When there is no such user, or no password can be read.
pub(in crate::cli) fn user(command: UserCommand, desk: &mut Desk<'_>) -> Result<Ask, String> {
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
        UserCommand::Show { user } => Ask::look(Request::ShowUser { user: find_user(desk, user)? }),
        UserCommand::Passwd { user } => {
            let said = format!("password of {user} changed; all its sessions have ended");
            let id = find_user(desk, user.clone())?;
            desk.step_away();
            let password = hidden(&user)?;
            Ask::change(Request::SetPassword { user: id, password }, said)
        }
        UserCommand::Roles { user, roles } => {
            let said = format!("roles of {user} are {}", roles.join(", "));
            change_user(find_user(desk, user)?, Some(roles), None, said)
        }
        UserCommand::Enable { user } => {
            let said = format!("user {user} enabled");
            change_user(find_user(desk, user)?, None, Some(State::Enabled), said)
        }
        UserCommand::Disable { user } => {
            let said = format!("user {user} disabled; all its sessions have ended");
            change_user(find_user(desk, user)?, None, Some(State::Disabled), said)
        }
        UserCommand::Verify { user: Some(user), .. } => {
            let said = format!("the e-mail address of {user} is verified");
            let (roles, state, email_verified) = (None, None, Some(true));
            let user = find_user(desk, user)?;
            Ask::change(Request::ChangeUser { user, roles, state, email_verified }, said)
        }
        UserCommand::Invite { email, name, roles, mail } => {
            Ask::look(Request::InviteUser(Invitation { email, name, roles, mail }))
        }
        UserCommand::ResetLink { user, mail } => {
            Ask::look(Request::MakeResetLink { user: find_user(desk, user)?, mail })
        }
        UserCommand::Remove { user, confirmed } => {
            let said = format!("user {user} removed, with its sessions, keys and memberships");
            let question =
                format!("Remove the user {user} with its sessions, keys and memberships?");
            let user = find_user(desk, user)?;
            Ask::change(Request::RemoveUser { user }, said).after(&confirmed, question)
        }
    })
}

fn change_user(user: Who, roles: Option<Vec<String>>, state: Option<State>, said: String) -> Ask {
    let email_verified = None;
    Ask::change(Request::ChangeUser { user, roles, state, email_verified }, said)
}
