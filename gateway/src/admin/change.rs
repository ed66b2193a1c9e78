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
                let account = named(user);
                let about = |event| Self::about(event, account.clone());
                let roles = roles.as_ref().map(|roles| {
                    // As far as memory knows; what it came to is known when it is done.
                    let former = account.as_ref().map(|account| account.roles.as_slice());
                    let detail = roles_changed(former.unwrap_or_default(), roles);
                    Self { detail, ..about(Event::UserRoles) }
                });
                let state = state.map(|state| match state {
                    State::Enabled => about(Event::UserEnable),
                    State::Disabled => about(Event::UserDisable),
                });
                let verified = email_verified.map(|verified| {
                    about(if verified { Event::UserVerify } else { Event::UserUnverify })
                });
                return [roles, state, verified].into_iter().flatten().collect();
            }
            Request::VerifyUsers { .. } => Change::about(Event::UserVerify, None),
            Request::SetPassword { user, .. } => about(Event::UserPassword, user),
            Request::RemoveUser { user } => about(Event::UserDelete, user),
            Request::InviteUser(_) => Change::about(Event::UserInvite, None),
            Request::MakeResetLink { user, .. } => about(Event::ResetLink, user),
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
            Reply::NewLink { user, .. } if self.event == Event::ResetLink => {
                self.of_account(core.standing().account(AccountId(user.id)))
            }
            Reply::NewLink { user, .. } | Reply::Made(Record::User(user)) => {
                let detail = roles_changed(&[], &user.roles);
                let account = core.standing().account(AccountId(user.id));
                Self { account, detail, ..self }
            }
            Reply::Changed { user: Record::User(user), former_roles }
                if self.event == Event::UserRoles =>
            {
                Self { detail: roles_changed(former_roles, &user.roles), ..self }
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
                let changed = |account: Option<Arc<Account>>| {
                    let given = account.as_ref().map(|account| account.roles.as_slice());
                    let given = given.filter(|_| self.event == Event::UserAdd);
                    let detail = roles_changed(&[], given.unwrap_or_default());
                    Self { detail, ..Self::about(self.event, account) }
                };
                return names.iter().map(|it| changed(account(it))).collect();
            }
            _ => self,
        };
        vec![change]
    }
}

/// Which roles were given and which taken: `roles +ops -user`; nothing if neither.
fn roles_changed(former: &[String], now: &[String]) -> Option<String> {
    let missing_in = |others: &[String], roles: &[String], sign: &str| {
        let roles = roles.iter().filter(|role| !others.contains(role)).map(String::as_str);
        let roles: Vec<&str> = roles.collect();
        if roles.is_empty() { String::new() } else { format!(" {sign}{}", roles.join(",")) }
    };
    let (given, taken) = (missing_in(former, now, "+"), missing_in(now, former, "-"));
    let changed = !given.is_empty() || !taken.is_empty();
    changed.then(|| format!("roles{given}{taken}"))
}

#[cfg(test)]
mod tests {
    use super::roles_changed;

    #[test]
    fn roles_given_and_taken_are_named() {
        let check = |former: &[&str], now: &[&str], expected: Option<&str>| {
            let [former, now] =
                [former, now].map(|it| it.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(roles_changed(&former, &now).as_deref(), expected);
        };
        check(&["user"], &["ops", "admin"], Some("roles +ops,admin -user"));
        check(&["user"], &["user", "ops"], Some("roles +ops"));
        check(&["a", "b", "c"], &["b"], Some("roles -a,c"));
        check(&[], &["user"], Some("roles +user"));
        check(&["a", "b"], &["b", "a"], None);
    }
}
