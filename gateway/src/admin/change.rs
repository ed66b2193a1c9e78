//! What a request changes, for the audit log.

use std::sync::Arc;

use super::record::{Record, Registering, State};
use super::{Reply, Request, Who, find};
use crate::auth::Core;
use crate::auth::account::{Account, AccountId, canonical_name};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::token::SessionId;
use crate::telemetry::audit::Event;

/// One line's worth. What is about to be removed is looked up before it is.
#[derive(Debug)]
pub struct Change {
    pub event: Event,
    /// Whose account it is about, if there is one.
    pub account: Option<Arc<Account>>,
    pub detail: Option<String>,
}

impl Change {
    fn about(event: Event, account: Option<Arc<Account>>) -> Self {
        Self { event, account, detail: None }
    }

    fn to(event: Event, what: &str, id: impl std::fmt::Display) -> Self {
        Self { event, account: None, detail: Some(format!("{what} {id}")) }
    }

    fn of_account(self, account: Option<Arc<Account>>) -> Self {
        Self { account, ..self }
    }

    /// What `request` is going to change; nothing if it only looks.
    pub async fn of(core: &Core, request: &Request) -> Vec<Self> {
        let named = |user: &Who| find(core, user).ok();
        let about = |event, user: &Who| Change::about(event, named(user));
        let change = match request {
            Request::ListUsers { .. }
            | Request::ShowUser { .. }
            | Request::ListSessions { .. }
            | Request::ListKeys { .. }
            | Request::ShowKey { .. }
            | Request::ListServers { .. }
            | Request::ShowServer { .. }
            | Request::ListWorkspaces { .. }
            | Request::ShowWorkspace { .. }
            | Request::ListMembers { .. }
            | Request::ListLockouts { .. }
            | Request::ShowRegistration => return Vec::new(),
            Request::AddUser(_) | Request::ImportUsers { .. } => {
                Change::about(Event::UserAdd, None)
            }
            Request::ChangeUser { user, roles, state, email_verified } => {
                let roles = roles.as_ref().map(|_| Event::UserRoles);
                let state = state.map(|state| match state {
                    State::Enabled => Event::UserEnable,
                    State::Disabled => Event::UserDisable,
                });
                let verified = email_verified
                    .map(|verified| if verified { Event::UserVerify } else { Event::UserUnverify });
                return [roles, state, verified]
                    .into_iter()
                    .flatten()
                    .map(|it| about(it, user))
                    .collect();
            }
            Request::VerifyUsers { .. } => Change::about(Event::UserVerify, None),
            Request::SetPassword { user, .. } => about(Event::UserPassword, user),
            Request::RemoveUser { user } => about(Event::UserDelete, user),
            Request::EndSession { id } => {
                let now = core.clock().now();
                let session = core.store().find_session(SessionId(*id), now).await.ok().flatten();
                let account = session.and_then(|it| core.standing().account(it.account));
                Change::to(Event::SessionEnd, "session", id).of_account(account)
            }
            Request::EndSessions { user } => about(Event::SessionEnd, user),
            Request::EndAllSessions { after, .. } => Change {
                event: Event::SessionEnd,
                account: None,
                detail: Some(match after {
                    None => "all users".to_owned(),
                    Some(id) => format!("all users after {id}"),
                }),
            },
            Request::RevokeKeys { owner } => {
                let keys = named(owner).map(|owner| core.standing().keys(Some(owner.id)));
                let each = |key: Arc<ApiKey>| {
                    Change::to(Event::KeyRevoke, "key", key.id.0).of_account(named(owner))
                };
                return keys.unwrap_or_default().into_iter().map(each).collect();
            }
            Request::CreateKey(new) => about(Event::KeyCreate, &new.owner),
            Request::RotateKey { id, .. } => Self::to_key(core, Event::KeyRotate, *id).await,
            Request::RevokeKey { id } => Self::to_key(core, Event::KeyRevoke, *id).await,
            Request::AddServer { .. } => Change::about(Event::ServerAdd, None),
            Request::ChangeServer { id, .. } => Change::to(Event::ServerChange, "server", id),
            Request::RemoveServer { id } => Change::to(Event::ServerDelete, "server", id),
            Request::AddWorkspace { .. } => Change::about(Event::WorkspaceAdd, None),
            Request::RenameWorkspace { id, .. } => {
                Change::to(Event::WorkspaceChange, "workspace", id)
            }
            Request::RemoveWorkspace { id } => Change::to(Event::WorkspaceDelete, "workspace", id),
            Request::SetMember { workspace, user, .. } => {
                Change::to(Event::MemberSet, "workspace", workspace).of_account(named(user))
            }
            Request::RemoveMember { workspace, user } => {
                Change::to(Event::MemberDelete, "workspace", workspace).of_account(named(user))
            }
            Request::SetRegistration { state } => Change::about(
                match state {
                    Registering::Open => Event::RegistrationOpen,
                    Registering::Closed => Event::RegistrationClose,
                },
                None,
            ),
            Request::ClearLockout { address } => {
                Change::to(Event::LockoutClear, "address", address)
            }
        };
        vec![change]
    }

    async fn to_key(core: &Core, event: Event, id: uuid::Uuid) -> Self {
        let key = core.store().find_key(KeyId(id)).await.ok().flatten();
        let owner = key.and_then(|key| core.standing().account(key.owner));
        Self::to(event, "key", id).of_account(owner)
    }

    /// What it has changed, now that what was made has an id.
    #[must_use]
    pub fn done(self, core: &Core, reply: &Reply) -> Vec<Self> {
        let change = match reply {
            Reply::Made(Record::User(user)) => {
                self.of_account(core.standing().account(AccountId(user.id)))
            }
            Reply::Made(Record::Server(server)) => Self::to(self.event, "server", server.id),
            Reply::Made(Record::Workspace(made)) => Self::to(self.event, "workspace", made.id),
            Reply::NewKey { key, .. } => {
                let owner = core.standing().account(AccountId(key.owner));
                Self::to(self.event, "key", key.id).of_account(owner)
            }
            Reply::Imported { added: names, .. } | Reply::Verified { users: names } => {
                let account =
                    |name: &String| core.standing().account_by_name(&canonical_name(name));
                return names.iter().map(|it| Self::about(self.event, account(it))).collect();
            }
            _ => self,
        };
        vec![change]
    }
}
