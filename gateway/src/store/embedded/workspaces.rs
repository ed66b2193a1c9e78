//! Workspaces and their members.

use async_trait::async_trait;
use redb::ReadableTable;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::ports::{MemberChange, Workspaces};
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::store::record::check_member_role;

use super::EmbeddedStore;
use super::records::{read_account, read_workspace, write_workspace};
use super::schema::{Id, MEMBERS, WORKSPACES};
use super::step::Step;

#[async_trait]
impl Workspaces for EmbeddedStore {
    async fn create_workspace(&self, workspace: Workspace) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                write_workspace(txn, &workspace)?;
                Ok(Step::changed((), move |standing| standing.put_workspace(workspace)))
            })
            .await
    }

    async fn rename_workspace(
        &self,
        workspace: WorkspaceId,
        name: String,
    ) -> Result<Option<Workspace>, StoreError> {
        self.writer
            .submit(move |txn| {
                let Some(workspace) = read_workspace(txn, workspace)? else {
                    return Ok(Step::unchanged(None));
                };
                let workspace = Workspace { name, ..workspace };
                write_workspace(txn, &workspace)?;
                let renamed = workspace.clone();
                Ok(Step::changed(Some(renamed), move |standing| standing.put_workspace(workspace)))
            })
            .await
    }

    async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                let id = *workspace.0.as_bytes();
                if txn.open_table(WORKSPACES)?.remove(id)?.is_none() {
                    return Ok(Step::unchanged(false));
                }
                let all = (id, [0; 16])..=(id, [u8::MAX; 16]);
                txn.open_table(MEMBERS)?.retain_in::<(Id, Id), _>(all, |_, _| false)?;
                Ok(Step::changed(true, move |standing| standing.remove_workspace(workspace)))
            })
            .await
    }

    async fn set_member(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        role: Option<String>,
    ) -> Result<MemberChange, StoreError> {
        role.as_deref().map_or(Ok(()), check_member_role)?;
        self.writer
            .submit(move |txn| {
                let member = (*workspace.0.as_bytes(), *account.0.as_bytes());
                if txn.open_table(WORKSPACES)?.get(member.0)?.is_none() {
                    return Ok(Step::unchanged(MemberChange::NoWorkspace));
                }
                let mut members = txn.open_table(MEMBERS)?;
                match &role {
                    Some(_) if read_account(txn, account)?.is_none() => {
                        return Ok(Step::unchanged(MemberChange::NoAccount));
                    }
                    Some(role) => drop(members.insert(member, role.as_str())?),
                    None if members.remove(member)?.is_none() => {
                        return Ok(Step::unchanged(MemberChange::NoMember));
                    }
                    None => {}
                }
                Ok(Step::changed(MemberChange::Done, move |standing| {
                    standing.put_member(workspace, account, role.as_deref());
                }))
            })
            .await
    }
}
