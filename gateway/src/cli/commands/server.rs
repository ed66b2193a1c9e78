//! `portcullis server`.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use crate::admin::{Owner, Request, Span};
use crate::cli::desk::Desk;

use super::{Ask, Confirmed, find_user};
use crate::cli::named::{Named, Thing};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ServerCommand {
    /// Add a server, whose agents sign in with its keys
    Add {
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// The user who may bind keys to it, as administrators may
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
    },
    /// List all servers
    #[command(alias = "ls")]
    List,
    /// Give a server another name
    Rename {
        server: Named,
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Set the owner of a server, or remove it
    Give { server: Named, user: Option<String> },
    /// Remove a server with its keys
    #[command(alias = "rm", alias = "delete")]
    Remove {
        /// By its id or name
        server: Named,
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

pub(in crate::cli) fn server(command: ServerCommand, desk: &mut Desk<'_>) -> Result<Ask, String> {
    Ok(match command {
        ServerCommand::Add { name, owner } => {
            let owner = owner.map(|owner| find_user(desk, owner)).transpose()?;
            Ask::look(Request::AddServer { name, owner })
        }
        ServerCommand::List => Ask::look(Request::ListServers { page: Span::default() }),
        ServerCommand::Rename { server, name } => {
            let (id, said) =
                (desk.find(Thing::Server, &server)?, format!("server {server} renamed to {name}"));
            Ask::change(Request::ChangeServer { id, name: Some(name), owner: Owner::Same }, said)
        }
        ServerCommand::Give { server, user } => {
            let said = match &user {
                Some(user) => format!("server {server} belongs to {user}"),
                None => format!("server {server} has no owner"),
            };
            let id = desk.find(Thing::Server, &server)?;
            let owner = match user {
                Some(user) => Owner::User(find_user(desk, user)?),
                None => Owner::Nobody,
            };
            Ask::change(Request::ChangeServer { id, name: None, owner }, said)
        }
        ServerCommand::Remove { server, confirmed } => {
            let said = format!("server {server} removed, with its keys");
            Ask::change(Request::RemoveServer { id: desk.find(Thing::Server, &server)? }, said)
                .after(&confirmed, format!("Remove the server {server} with its keys?"))
        }
    })
}
