//! `portcullis workspace`.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use crate::admin::{Request, Span};
use crate::cli::desk::Desk;

use super::{Ask, Confirmed, find_user};
use crate::cli::named::{Named, Thing};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum WorkspaceCommand {
    /// Add a workspace
    Add {
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// List all workspaces
    #[command(alias = "ls")]
    List,
    /// Give a workspace another name
    Rename {
        workspace: Named,
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Remove a workspace; what is scoped to it is refused from now on
    #[command(alias = "rm", alias = "delete")]
    Remove {
        /// By its id or name
        workspace: Named,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// List who is in a workspace
    Members { workspace: Named },
    /// Make a user a member, or give a member another role
    Join {
        workspace: Named,
        user: String,
        #[arg(long, default_value = "member")]
        role: String,
    },
    /// Remove a user from a workspace
    Leave { workspace: Named, user: String },
}

pub(in crate::cli) fn workspace(
    command: WorkspaceCommand,
    desk: &mut Desk<'_>,
) -> Result<Ask, String> {
    Ok(match command {
        WorkspaceCommand::Add { name } => Ask::look(Request::AddWorkspace { name }),
        WorkspaceCommand::List => Ask::look(Request::ListWorkspaces { page: Span::default() }),
        WorkspaceCommand::Rename { workspace, name } => {
            let said = format!("workspace {workspace} is called {name}");
            Ask::change(
                Request::RenameWorkspace { id: desk.find(Thing::Workspace, &workspace)?, name },
                said,
            )
        }
        WorkspaceCommand::Remove { workspace, confirmed } => {
            let (id, said) = (
                desk.find(Thing::Workspace, &workspace)?,
                format!("workspace {workspace} removed"),
            );
            let question =
                format!("Remove the workspace {workspace}, and refuse what is scoped to it?");
            Ask::change(Request::RemoveWorkspace { id }, said).after(&confirmed, question)
        }
        WorkspaceCommand::Members { workspace } => {
            let (workspace, page) = (desk.find(Thing::Workspace, &workspace)?, Span::default());
            Ask::look(Request::ListMembers { workspace, page })
        }
        WorkspaceCommand::Join { workspace, user, role } => {
            let said = format!("{user} is {role} of workspace {workspace}");
            let workspace = desk.find(Thing::Workspace, &workspace)?;
            let user = find_user(desk, user)?;
            Ask::change(Request::SetMember { workspace, user, role }, said)
        }
        WorkspaceCommand::Leave { workspace, user } => {
            let said = format!("{user} has left workspace {workspace}");
            let workspace = desk.find(Thing::Workspace, &workspace)?;
            let user = find_user(desk, user)?;
            Ask::change(Request::RemoveMember { workspace, user }, said)
        }
    })
}
