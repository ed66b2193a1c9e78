//! Workspaces and their members.

use async_trait::async_trait;
use redis::cmd;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::ports::{MemberChange, Workspaces};
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::store::record::check_member_role;
use crate::store::replica::change::Change;

use super::SharedStore;
use super::records::text;

#[async_trait]
impl Workspaces for SharedStore {
    async fn create_workspace(&self, workspace: Workspace) -> Result<(), StoreError> {
        let (engine, workspace) = (&*self.engine, &workspace);
        engine
            .transact(move |mut txn| async move {
                txn.run("ZADD", engine.names.workspaces(), [b"0".to_vec(), text(workspace.id.0)]);
                txn.write(engine.names.workspace(workspace.id.0), workspace, None)?;
                txn.publish(Change::workspace(workspace));
                Ok((txn, ()))
            })
            .await
    }

    async fn rename_workspace(
        &self,
        workspace: WorkspaceId,
        name: String,
    ) -> Result<Option<Workspace>, StoreError> {
        let (engine, name) = (&*self.engine, &name);
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.workspace(workspace.0);
                let Some(known) = txn.record::<Workspace>(key.clone()).await? else {
                    return Ok((txn, None));
                };
                let renamed = Workspace { name: name.clone(), ..known };
                txn.write(key, &renamed, None)?;
                txn.publish(Change::workspace(&renamed));
                Ok((txn, Some(renamed)))
            })
            .await
    }

    async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.workspace(workspace.0);
                if txn.read(key.clone()).await?.is_none() {
                    return Ok((txn, false));
                }
                let members = engine.names.members(workspace.0);
                for account in txn.ids(cmd("HKEYS").arg(&members)).await? {
                    txn.run("SREM", engine.names.workspaces_of(account), [text(workspace.0)]);
                }
                txn.delete(members);
                txn.delete(key);
                txn.run("ZREM", engine.names.workspaces(), [text(workspace.0)]);
                txn.publish(Change::WorkspaceGone(workspace.0));
                Ok((txn, true))
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
        let (engine, role) = (&*self.engine, &role);
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.workspace(workspace.0);
                if txn.read(key).await?.is_none() {
                    return Ok((txn, MemberChange::NoWorkspace));
                }
                let members = engine.names.members(workspace.0);
                let joined = engine.names.workspaces_of(account.0);
                match role {
                    Some(role) => {
                        if engine.account(&mut txn, account).await?.is_none() {
                            return Ok((txn, MemberChange::NoAccount));
                        }
                        txn.touch(account.0);
                        txn.run("HSET", members, [text(account.0), role.clone().into_bytes()]);
                        txn.run("SADD", joined, [text(workspace.0)]);
                    }
                    None => {
                        let mut known = cmd("HEXISTS");
                        known.arg(&members).arg(account.0.to_string());
                        if engine.query::<u8>(&known).await? == 0 {
                            txn.confirm();
                            return Ok((txn, MemberChange::NoMember));
                        }
                        txn.run("HDEL", members, [text(account.0)]);
                        txn.run("SREM", joined, [text(workspace.0)]);
                    }
                }
                txn.publish(Change::Member(workspace.0, account.0, role.clone()));
                Ok((txn, MemberChange::Done))
            })
            .await
    }
}
