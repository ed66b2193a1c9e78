//! The audit lines of the gateway's own endpoints.

use std::sync::Arc;

use crate::admin::change::Change;
use crate::auth::account::canonical_name;
use crate::auth::error::Error;
use crate::auth::federation::{Joined, Joining};
use crate::auth::principal::Principal;
use crate::dialect::{self, Command};
use crate::pipeline::gateway::Gateway;
use crate::pipeline::reason::{Rejection, Tried};
use crate::pipeline::throttle::Caller;
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};

/// A line of the audit log, before its outcome is known.
pub(super) struct Entry {
    /// As far as it is known before.
    change: Change,
    actor: Actor,
}

impl Entry {
    /// None for what changes nothing; several for what changes several things.
    pub(super) async fn of(
        gateway: &Gateway,
        command: &Command,
        caller: &Caller,
        principal: Option<&Arc<Principal>>,
    ) -> Vec<Self> {
        let (changes, credential, acting) = match command {
            Command::Administer(request) | Command::OwnServer(request) => {
                let acting = principal.map(|principal| Arc::clone(&principal.account));
                (Change::of(&gateway.core, request).await, None, acting)
            }
            command => match change_of(gateway, command, principal) {
                Some((change, credential)) => (vec![change], credential, None),
                None => return Vec::new(),
            },
        };
        let actor = Actor::Client {
            address: caller.client,
            request_id: Arc::clone(&caller.request_id),
            credential: credential.or(principal.map(|principal| principal.scheme().as_str())),
            session: principal.and_then(|principal| principal.session()).map(|session| session.0),
            acting,
        };
        let entry = |change| Self { change, actor: actor.clone() };
        changes.into_iter().map(entry).collect()
    }

    /// A line of its own: who can sign in to an account is another matter than who has.
    pub(super) fn write_joined(&self, gateway: &Gateway, joined: &Joined) {
        let event = match joined.joining {
            Joining::Made => Event::Register,
            Joining::Linked => Event::GithubLink,
            Joining::TakenOver => Event::GithubTakeover,
        };
        gateway.sink.audit(AuditRecord {
            at: gateway.core.clock().now(),
            event,
            outcome: Outcome::Success,
            reason: "ok",
            account: gateway.core.standing().account(joined.account),
            actor: self.actor.clone(),
            detail: Some(format!("github {}", joined.subject)),
        });
    }

    pub(super) fn write(
        self,
        gateway: &Gateway,
        done: &Result<dialect::Outcome, Error>,
        tried: Tried,
    ) {
        let (outcome, reason, changes) = match done {
            Ok(done) => (Outcome::Success, "ok", came_to(gateway, self.change, done)),
            // Nothing was tried; a flood of these belongs in the access log.
            Err(Error::HasherBusy) => return,
            Err(error) => {
                let rejection = Rejection::from_core(error.clone(), tried);
                (outcome_of(error), rejection.reason.code(), vec![self.change])
            }
        };
        for Change { event, account, detail } in changes {
            let (at, actor) = (gateway.core.clock().now(), self.actor.clone());
            gateway.sink.audit(AuditRecord { at, event, outcome, reason, account, actor, detail });
        }
    }
}

/// A store that is away refuses nobody.
pub(super) fn outcome_of(error: &Error) -> Outcome {
    match error {
        Error::Store(_) => Outcome::Failed,
        _ => Outcome::Refused,
    }
}

/// What a command is going to change, and by which secret in its body.
fn change_of(
    gateway: &Gateway,
    command: &Command,
    principal: Option<&Arc<Principal>>,
) -> Option<(Change, Option<&'static str>)> {
    let core = &gateway.core;
    let own = || principal.map(|principal| Arc::clone(&principal.account));
    let (event, account, credential) = match command {
        Command::Login { name, .. } => {
            let account = core.standing().account_by_name(&canonical_name(name));
            (Event::Login, account, Some("password"))
        }
        Command::Register(_) => (Event::Register, None, Some("password")),
        Command::Github { .. } | Command::FinishGithub { .. } => {
            (Event::Login, None, Some("github"))
        }
        Command::Refresh { token } => {
            (Event::Refresh, core.owner_of(token.expose()), Some("refresh-token"))
        }
        Command::Reissue => (Event::Refresh, own(), None),
        Command::SwitchWorkspace { .. } => (Event::WorkspaceSwitch, own(), None),
        Command::Logout | Command::LogoutOfBrowser | Command::EndSession => {
            (Event::Logout, own(), None)
        }
        Command::EndOwnSession { .. } | Command::EndOtherSessions => {
            (Event::SessionEnd, own(), None)
        }
        Command::ChangePassword { .. } => (Event::PasswordChange, own(), None),
        Command::IssueTicket => (Event::WsToken, own(), None),
        Command::CreateKey(_) => (Event::KeyCreate, own(), None),
        Command::RotateKey { .. } => (Event::KeyRotate, own(), None),
        Command::DeleteKey { .. } => (Event::KeyRevoke, own(), None),
        Command::FollowLink { link, .. } => {
            let account = core.read_link(link.expose()).ok().map(|(account, _)| account);
            (Event::LinkFollow, account, Some("link"))
        }
        Command::BeginGithub { .. }
        | Command::Me
        | Command::Providers
        | Command::ListKeys
        | Command::ListServers
        | Command::ShowLink { .. }
        | Command::SendPasswordLink { .. }
        | Command::SendAddressLink
        | Command::Administer(_)
        | Command::OwnServer(_)
        | Command::Health => return None,
    };
    let detail = detail_of(command);
    Some((Change { event, account, detail }, credential))
}

/// Of what else than an account a command tells.
pub(super) fn detail_of(command: &Command) -> Option<String> {
    match command {
        Command::DeleteKey { key: Some(key) } | Command::RotateKey { key: Some(key), .. } => {
            Some(format!("key {}", key.0))
        }
        Command::EndOwnSession { session } => Some(format!("session {}", session.0)),
        Command::EndOtherSessions => Some("all others".to_owned()),
        Command::SwitchWorkspace { workspace: Some(workspace) } => {
            Some(format!("workspace {}", workspace.0))
        }
        _ => None,
    }
}

/// What a change came to, now that what was made has an id.
fn came_to(gateway: &Gateway, change: Change, done: &dialect::Outcome) -> Vec<Change> {
    use dialect::Outcome as Done;
    vec![match done {
        Done::Registered(account, pair)
        | Done::SignedIn(account, pair)
        | Done::BackFromGithub(account, pair, ..) => {
            let signed_in = Change { account: Some(Arc::clone(account)), ..change };
            let superseded = pair.superseded.iter().map(|session| {
                gateway.counters.sessions_superseded.increment();
                Change {
                    event: Event::SessionSuperseded,
                    account: Some(Arc::clone(account)),
                    detail: Some(format!("session {}", session.0)),
                }
            });
            return std::iter::once(signed_in).chain(superseded).collect();
        }
        Done::LinkFollowed(account, kind, _) => Change {
            account: Some(Arc::clone(account)),
            detail: Some(kind.as_str().to_owned()),
            ..change
        },
        Done::KeyCreated(key, _) => Change { detail: Some(format!("key {}", key.id.0)), ..change },
        Done::Administered(reply) => return change.done(&gateway.core, reply),
        _ => change,
    }]
}
