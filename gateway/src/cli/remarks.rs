//! What an operator is told besides, once a change is made that is allowed and seldom meant.

use crate::admin::record::{Record, State, User};
use crate::admin::{NewKey, Request};
use crate::auth::account::{ADMIN_ROLE, DEFAULT_ROLE};
use crate::config::value::nearest;
use crate::server::{self, Forgotten};

use super::Place;
use super::configuration::roles_of_routes;
use super::desk::{Desk, name_and_id};
use super::named::Thing;
use super::output::complain;

/// What to look at behind a change.
pub(super) struct Remarks {
    /// Given to somebody.
    roles: Vec<String>,
    /// Given to something whose kind need not have names apart.
    name: Option<(Thing, String)>,
    administrator_taken: bool,
    first_password_replaced: bool,
}

impl Remarks {
    /// Of a request, before it is carried out on this user, if on one.
    pub(super) fn on(request: &Request, user: Option<&User>) -> Self {
        let takes_admin = match request {
            Request::RemoveUser { .. } => true,
            Request::ChangeUser { roles, state, .. } => {
                let without = |roles: &Vec<String>| !roles.iter().any(|role| role == ADMIN_ROLE);
                *state == Some(State::Disabled) || roles.as_ref().is_some_and(without)
            }
            _ => false,
        };
        let replaces = matches!(request, Request::SetPassword { .. } | Request::RemoveUser { .. });
        Self {
            roles: roles_in(request),
            name: name_in(request),
            administrator_taken: takes_admin && user.is_some_and(is_administrator),
            first_password_replaced: replaces
                && user.is_some_and(|user| user.username == server::FIRST_ACCOUNT),
        }
    }

    pub(super) fn tell(self, desk: &mut Desk<'_>) {
        warn_of_unknown_roles(desk.place, &self.roles);
        if let Some((thing, name)) = self.name {
            warn_of_shared_name(desk, thing, &name);
        }
        if self.administrator_taken {
            warn_without_administrator(desk);
        }
        // Nobody is to look for a password there that is none any more.
        if self.first_password_replaced {
            match server::forget_password(desk.config()) {
                Forgotten::Absent => {}
                Forgotten::Removed(path) => {
                    complain(&format!("{} held the old password and was removed", path.display()));
                }
                Forgotten::Left(path) => complain(&format!(
                    "warning: {} holds the old password; remove it",
                    path.display()
                )),
            }
        }
    }
}

fn is_administrator(user: &User) -> bool {
    user.state == State::Enabled && user.roles.iter().any(|role| role == ADMIN_ROLE)
}

fn roles_in(request: &Request) -> Vec<String> {
    match request {
        Request::AddUser(new) => new.roles.clone(),
        Request::InviteUser(invitation) => invitation.roles.clone(),
        Request::ChangeUser { roles: Some(roles), .. } => roles.clone(),
        _ => Vec::new(),
    }
}

fn name_in(request: &Request) -> Option<(Thing, String)> {
    match request {
        Request::AddServer { name, .. } | Request::ChangeServer { name: Some(name), .. } => {
            Some((Thing::Server, name.clone()))
        }
        Request::AddWorkspace { name } | Request::RenameWorkspace { name, .. } => {
            Some((Thing::Workspace, name.clone()))
        }
        Request::CreateKey(NewKey { name, .. }) if !name.is_empty() => {
            Some((Thing::Key, name.clone()))
        }
        _ => None,
    }
}

/// Nothing forbids a role that no route asks for, since upstreams are told it; where routes
/// ask for others, it is a slip more often.
pub(super) fn warn_of_unknown_roles(place: &Place, roles: &[String]) {
    if roles.is_empty() {
        return;
    }
    let Some(asked) = roles_of_routes(place).filter(|asked| !asked.is_empty()) else { return };
    let known = || asked.iter().map(String::as_str).chain([ADMIN_ROLE, DEFAULT_ROLE]);
    for role in roles.iter().filter(|role| known().all(|known| known != role.as_str())) {
        let hint = nearest(role, known()).unwrap_or_else(|| {
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            format!("they ask for {}", asked.join(", "))
        });
        complain(&format!("warning: no route requires the role {role:?}; {hint}"));
    }
}

fn warn_of_shared_name(desk: &mut Desk<'_>, thing: Thing, name: &str) {
    let Ok(items) = desk.list(thing) else { return };
    let known = items.iter().filter_map(name_and_id);
    if known.filter(|(known, _)| *known == name).count() > 1 {
        let word = thing.word();
        complain(&format!(
            "warning: another {word} has the name {name:?} too; commands know them apart by their \
             ids alone"
        ));
    }
}

/// Commands on this machine need no administrator, but the API does.
fn warn_without_administrator(desk: &mut Desk<'_>) {
    let Ok(items) = desk.list(Thing::User) else { return };
    let is_left = |record: &Record| matches!(record, Record::User(user) if is_administrator(user));
    if !items.iter().any(is_left) {
        complain(&format!(
            "warning: no enabled user has the role {ADMIN_ROLE} any more; `portcullis user roles \
             NAME {ADMIN_ROLE}` gives it to one"
        ));
    }
}
