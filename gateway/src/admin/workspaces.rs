//! Workspaces and who is in them. Pages are made from all that memory holds: one of
//! members looks at every membership there is.

use uuid::Uuid;

use super::record::{Member, Record};
use super::users::check_roles;
use super::{Reply, Span, Who, check_label, find, page};
use crate::auth::Core;
use crate::auth::account::{Account, AccountId};
use crate::auth::error::{Entity, Error};
use crate::auth::ports::MemberChange;
use crate::auth::workspace::{Workspace, WorkspaceId};

pub(super) async fn add(core: &Core, name: String) -> Result<Reply, Error> {
    check_label(&name)?;
    let (id, created) = (WorkspaceId(core.new_uuid()), core.clock().now());
    let workspace = Workspace { id, name, created };
    core.store().create_workspace(workspace.clone()).await?;
    Ok(Reply::Made(Record::Workspace((&workspace).into())))
}

pub(super) fn list(core: &Core, span: Span) -> Reply {
    let mut workspaces = span.of(core.standing().workspaces(), |workspace| workspace.id.0);
    let next = span.cut(&mut workspaces, |workspace| workspace.id.0);
    let workspaces = workspaces.iter().map(|known| Record::Workspace(known.as_ref().into()));
    page(core, workspaces.collect(), next)
}

pub(super) fn show(core: &Core, id: Uuid) -> Result<Reply, Error> {
    let found = core.standing().workspace(WorkspaceId(id));
    let workspace = found.ok_or(Error::Unknown(Entity::Workspace))?;
    Ok(Reply::Found(Record::Workspace(workspace.as_ref().into())))
}

pub(super) async fn rename(core: &Core, id: Uuid, name: String) -> Result<Reply, Error> {
    check_label(&name)?;
    let renamed = core.store().rename_workspace(WorkspaceId(id), name).await?;
    let workspace = renamed.ok_or(Error::Unknown(Entity::Workspace))?;
    Ok(Reply::Found(Record::Workspace((&workspace).into())))
}

pub(super) async fn remove(core: &Core, id: Uuid) -> Result<Reply, Error> {
    if core.store().delete_workspace(WorkspaceId(id)).await? {
        Ok(Reply::Done)
    } else {
        Err(Error::Unknown(Entity::Workspace))
    }
}

pub(super) fn members(core: &Core, workspace: Uuid, span: Span) -> Result<Reply, Error> {
    show(core, workspace)?;
    let members = core.standing().members(WorkspaceId(workspace));
    let mut members = span.of(members, |(account, _)| account.0);
    let next = span.cut(&mut members, |(account, _)| account.0);
    let known = members.iter().filter_map(|(account, role)| {
        Some(describe(core.standing().account(*account)?.as_ref(), role))
    });
    Ok(page(core, known.collect(), next))
}

pub(super) async fn set_member(
    core: &Core,
    workspace: Uuid,
    user: &Who,
    role: String,
) -> Result<Reply, Error> {
    check_roles(std::slice::from_ref(&role))?;
    show(core, workspace)?;
    let account = find(core, user)?;
    change(core, workspace, account.id, Some(role.clone())).await?;
    Ok(Reply::Found(describe(&account, &role)))
}

pub(super) async fn remove_member(
    core: &Core,
    workspace: Uuid,
    user: &Who,
) -> Result<Reply, Error> {
    show(core, workspace)?;
    // Somebody who does not exist is no member either.
    let account = find(core, user).map_err(|_| Error::Unknown(Entity::Member))?;
    change(core, workspace, account.id, None).await?;
    Ok(Reply::Done)
}

async fn change(
    core: &Core,
    workspace: Uuid,
    account: AccountId,
    role: Option<String>,
) -> Result<(), Error> {
    match core.store().set_member(WorkspaceId(workspace), account, role).await? {
        MemberChange::Done => Ok(()),
        MemberChange::NoWorkspace => Err(Error::Unknown(Entity::Workspace)),
        MemberChange::NoAccount => Err(Error::Unknown(Entity::Account)),
        MemberChange::NoMember => Err(Error::Unknown(Entity::Member)),
    }
}

fn describe(account: &Account, role: &str) -> Record {
    Record::Member(Member {
        user_id: account.id.0,
        username: account.username.as_str().to_owned(),
        role: role.to_owned(),
    })
}
