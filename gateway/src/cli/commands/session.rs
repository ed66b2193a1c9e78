//! `portcullis session`, `registration` and `lockout`.

use std::net::IpAddr;

use clap::Subcommand;

use crate::admin::record::Registering;
use crate::admin::{Request, Span};
use crate::cli::desk::Desk;

use super::{Ask, Confirmed, find_user, session_id};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SessionCommand {
    /// List sign-ins that have not ended
    #[command(alias = "ls")]
    List {
        #[arg(long)]
        user: Option<String>,
    },
    /// End a sign-in, or all of a user or of all; their tokens are refused from now on
    End {
        #[arg(required_unless_present_any = ["user", "all"])]
        id: Option<String>,
        #[arg(long, conflicts_with = "id")]
        user: Option<String>,
        /// Sessions of every user, administrators included
        #[arg(long, conflicts_with_all = ["id", "user"])]
        all: bool,
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

pub(in crate::cli) fn session(command: SessionCommand, desk: &mut Desk<'_>) -> Result<Ask, String> {
    Ok(match command {
        SessionCommand::List { user } => {
            let user = user.map(|user| find_user(desk, user)).transpose()?;
            Ask::look(Request::ListSessions { user, page: Span::default() })
        }
        SessionCommand::End { user: Some(user), .. } => {
            let said = format!("all sessions of {user} have ended");
            Ask::change(Request::EndSessions { user: find_user(desk, user)? }, said)
        }
        SessionCommand::End { all: true, confirmed, .. } => {
            Ask::look(Request::EndAllSessions { after: None, limit: Some(END_STEP) })
                .after(&confirmed, "End the sessions of all users?".to_owned())
        }
        SessionCommand::End { id, user: None, all: false, .. } => {
            let id = session_id(&id.unwrap_or_default())?;
            Ask::change(Request::EndSession { id }, format!("session {id} has ended"))
        }
    })
}

/// Users of one request to the gateway, which takes no longer than its deadline.
const END_STEP: usize = 100;

/// What is stored holds over restarts and for every gateway of the store. It closes what
/// the configuration opens, and never the other way round.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RegistrationCommand {
    /// Close registration from now on, overriding all configurations
    Close,
    /// Undo `close`; registration that the configuration closes stays closed
    Open,
    /// Show whether registration is open, and which setting decides it
    Status,
}

pub(in crate::cli) fn registration(command: &RegistrationCommand) -> Ask {
    let set = |state| Ask::look(Request::SetRegistration { state });
    match command {
        RegistrationCommand::Close => set(Registering::Closed),
        RegistrationCommand::Open => set(Registering::Open),
        RegistrationCommand::Status => Ask::look(Request::ShowRegistration),
    }
}

/// Only a running gateway counts failures.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LockoutCommand {
    /// List the addresses that have failed to sign in
    #[command(alias = "ls")]
    List,
    /// Forget the failures of an address and let it try again
    Clear {
        #[arg(value_parser = parse_address)]
        address: IpAddr,
    },
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address, as `portcullis lockout list` shows it".to_owned())
}

pub(in crate::cli) fn lockout(command: LockoutCommand) -> Ask {
    match command {
        LockoutCommand::List => Ask::look(Request::ListLockouts { page: Span::default() }),
        LockoutCommand::Clear { address } => {
            Ask::change(Request::ClearLockout { address }, format!("{address} may try again"))
        }
    }
}
