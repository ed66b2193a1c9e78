//! Workspaces and who is in them.

use async_trait::async_trait;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::workspace::{Workspace, WorkspaceId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    Done,
    NoWorkspace,
    NoAccount,
    NoMember,
}

/// What a store does with workspaces.
#[async_trait]
pub trait Workspaces: Send + Sync {
    /// Adds a workspace.
    async fn create_workspace(&self, workspace: Workspace) -> Result<(), StoreError>;

    /// Gives a workspace another name. `None` when there is none.
    async fn rename_workspace(
        &self,
        workspace: WorkspaceId,
        name: String,
    ) -> Result<Option<Workspace>, StoreError>;

    /// Removes a workspace and its memberships. `false` when there is none.
    async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<bool, StoreError>;

    /// Makes an account a member, or changes its role; with `None` it is one no more.
    async fn set_member(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        role: Option<String>,
    ) -> Result<MemberChange, StoreError>;
}
