//! Carrying out a decoded request on the core.

use std::sync::Arc;

use crate::admin::{self, By, Owner, Request, Who};
use crate::auth::Core;
use crate::auth::account::Account;
use crate::auth::error::{Entity, Error};
use crate::auth::federation::{FederationError, Grant, Joined};
use crate::auth::principal::Principal;
use crate::auth::register::Registering;
use crate::auth::server::ServerId;
use crate::auth::session_client::SessionClient;

use super::flow::SavedFlow;
use super::{Binding, Command, Dialect, Expiry, Health, KeyRequest, Outcome, Providers};

/// `client` is who calls: the account that is proven is known at its address from now on.
/// `joined` is told how an account has come to be GitHub's, whatever comes of the rest.
///
/// # Errors
/// What the core answers.
pub async fn perform(
    core: &Core,
    dialect: &dyn Dialect,
    command: Command,
    (client, principal): (&SessionClient, Option<&Principal>),
    health: impl FnOnce() -> Health + Send,
    joined: &mut Option<Joined>,
) -> Result<Outcome, Error> {
    let outcome = carry_out(core, dialect, command, (client, principal), health, joined).await?;
    let proven = match &outcome {
        Outcome::Registered(account, _)
        | Outcome::SignedIn(account, _)
        | Outcome::Refreshed(account, _)
        | Outcome::BackFromGithub(account, ..) => Some(Arc::clone(account)),
        // As they are after the change.
        Outcome::LinkFollowed(account, ..) => core.standing().account(account.id),
        Outcome::PasswordChanged => {
            principal.and_then(|principal| core.standing().account(principal.account_id()))
        }
        _ => None,
    };
    if let Some(proven) = proven {
        core.record_success(&proven, client.source()).await;
    }
    Ok(outcome)
}

async fn carry_out(
    core: &Core,
    dialect: &dyn Dialect,
    command: Command,
    (client, principal): (&SessionClient, Option<&Principal>),
    health: impl FnOnce() -> Health + Send,
    joined: &mut Option<Joined>,
) -> Result<Outcome, Error> {
    // The pipeline has let nobody through to these without a principal.
    let caller = || principal.ok_or(Error::NotForKeys);
    let (issuance, rule) = (dialect.issuance(), dialect.password_rule());
    let signed_in = |(account, pair)| Outcome::SignedIn(account, pair);
    let refreshed = |(account, pair)| Outcome::Refreshed(account, pair);
    let reissued = |(account, access)| Outcome::Reissued(account, access);
    match command {
        Command::Register(new) => {
            let (account, pair) = core.register(new, client, rule, issuance).await?;
            Ok(Outcome::Registered(account, pair))
        }
        Command::Login { name, password } => {
            core.login(&name, &password, client, issuance).await.map(signed_in)
        }
        Command::Github { code } => {
            let grant = Grant { code, verifier: None, redirect: None };
            core.sign_in_with_github(grant, client, issuance, joined).await.map(signed_in)
        }
        Command::BeginGithub { callback, return_to, by } => {
            let (flow, url) = core.begin_github(&callback.ok_or(Error::NotFederated)?)?;
            Ok(Outcome::SentToGithub(url, SavedFlow { flow, return_to, by }))
        }
        Command::FinishGithub { callback, kept, returned } => {
            let redirect = callback.filter(|_| core.github().is_some());
            let redirect = redirect.ok_or(Error::NotFederated)?;
            let same = |kept: &SavedFlow| core.is_same_flow(&kept.flow, &returned.state);
            let SavedFlow { flow, return_to, .. } = kept.filter(same).ok_or(Error::ForeignFlow)?;
            let code = returned.code.ok_or(Error::Federation(FederationError::CodeRefused))?;
            let grant = Grant { code, verifier: Some(flow.verifier), redirect: Some(redirect) };
            let (account, pair) = core.sign_in_with_github(grant, client, issuance, joined).await?;
            Ok(Outcome::BackFromGithub(account, pair, return_to))
        }
        Command::Refresh { token } => core.refresh(token.expose(), issuance).await.map(refreshed),
        Command::Reissue => core.reissue(caller()?, issuance).await.map(reissued),
        Command::SwitchWorkspace { workspace } => {
            let workspace = workspace.ok_or(Error::Unknown(Entity::Workspace))?;
            core.switch_workspace(caller()?, workspace, issuance).await.map(reissued)
        }
        Command::Logout
        | Command::EndSession
        | Command::LogoutOfBrowser
        | Command::EndOwnSession { .. }
        | Command::EndOtherSessions => end(core, caller()?, &command).await,
        Command::ChangePassword { current, new } => {
            core.change_password(caller()?, current, new, rule, client.source()).await?;
            Ok(Outcome::PasswordChanged)
        }
        Command::IssueTicket => core.issue_ticket(caller()?).await.map(Outcome::Ticket),
        Command::Me => Ok(Outcome::Me(Arc::clone(&caller()?.account))),
        Command::Providers => Ok(Outcome::Providers(Providers {
            registration: core.policy().local_accounts && core.registration() == Registering::Open,
            passwords: core.policy().local_accounts,
            github_client_id: core.github().map(|provider| provider.client_id().to_owned()),
        })),
        Command::CreateKey(wanted) => create_key(core, person(caller()?)?, wanted).await,
        Command::ListKeys => Ok(Outcome::Keys(core.standing().keys(Some(person(caller()?)?.id)))),
        Command::ListServers => {
            Ok(Outcome::Servers(core.standing().servers_of(person(caller()?)?.id)))
        }
        Command::DeleteKey { key } => {
            let owner = person(caller()?)?.id;
            let key = key.ok_or(Error::Unknown(Entity::Key))?;
            if core.store().delete_key(key, Some(owner)).await? {
                Ok(Outcome::KeyDeleted)
            } else {
                Err(Error::Unknown(Entity::Key))
            }
        }
        Command::RotateKey { key, overlap } => {
            let owner = person(caller()?)?.id;
            let key = key.ok_or(Error::Unknown(Entity::Key))?;
            let (key, text) = core.rotate_key(key, Some(owner), overlap).await?;
            Ok(Outcome::KeyCreated(key, text))
        }
        Command::ShowLink { link } => {
            let (account, kind) = core.read_link(link.expose())?;
            Ok(Outcome::LinkShown(account, kind, link))
        }
        Command::FollowLink { link, password, reply } => {
            let (account, kind) = core.follow_link(link.expose(), password).await?;
            Ok(Outcome::LinkFollowed(account, kind, reply))
        }
        Command::SendPasswordLink { address } => {
            core.send_password_link(&address)?;
            Ok(Outcome::MailTaken)
        }
        Command::SendAddressLink => {
            core.send_address_link(person(caller()?)?)?;
            Ok(Outcome::MailTaken)
        }
        Command::Administer(request) => {
            admin::perform(core, request, By::Client).await.map(Outcome::Administered)
        }
        Command::OwnServer(request) => {
            let request = own_server(core, person(caller()?)?, request)?;
            admin::perform(core, request, By::Client).await.map(Outcome::Administered)
        }
        Command::Health => Ok(Outcome::Health(health())),
    }
}

/// What people end of their own.
async fn end(core: &Core, caller: &Principal, command: &Command) -> Result<Outcome, Error> {
    match command {
        Command::EndOwnSession { session } => {
            core.end_own_session(person(caller)?.id, *session).await?;
        }
        Command::EndOtherSessions => {
            core.end_other_sessions(person(caller)?.id, caller.session()).await?;
        }
        Command::LogoutOfBrowser => {
            core.end_session(caller).await?;
            return Ok(Outcome::LoggedOut);
        }
        Command::EndSession => core.end_session(caller).await?,
        _ => {
            core.logout(caller).await?;
            return Ok(Outcome::LoggedOut);
        }
    }
    Ok(Outcome::SessionEnded)
}

/// Keys are managed by people: one that leaked must not make itself a successor.
fn person(principal: &Principal) -> Result<&Arc<Account>, Error> {
    match principal.key() {
        Some(_) => Err(Error::NotForKeys),
        None => Ok(&principal.account),
    }
}

/// As many servers as somebody may make who administers nothing.
const MAX_OWN_SERVERS: usize = 100;

/// What the owner of a server asks for, if it is the owner who does.
fn own_server(core: &Core, owner: &Account, request: Request) -> Result<Request, Error> {
    let is_own = |id: uuid::Uuid| {
        let server = core.standing().server(ServerId(id));
        server.is_some_and(|server| server.owner == Some(owner.id))
    };
    match request {
        Request::AddServer { name, .. } => {
            if core.standing().servers_of(owner.id).len() >= MAX_OWN_SERVERS {
                return Err(Error::TooMany(Entity::Server));
            }
            Ok(Request::AddServer { name, owner: Some(Who::Id(owner.id.0)) })
        }
        Request::ChangeServer { id, owner: Owner::Same, .. } | Request::RemoveServer { id }
            if is_own(id) =>
        {
            Ok(request)
        }
        _ => Err(Error::Unknown(Entity::Server)),
    }
}

async fn create_key(core: &Core, owner: &Account, wanted: KeyRequest) -> Result<Outcome, Error> {
    let expires = match wanted.expires {
        Expiry::Never => None,
        Expiry::At(time) => Some(time),
        Expiry::After(life) => Some(core.clock().now().plus(life)),
    };
    core.check_terms(&wanted.name, &wanted.scopes, expires)?;
    let server = match wanted.server {
        Binding::None => None,
        Binding::Server(id) => Some(bindable(core, owner, id)?),
        Binding::Nothing => return Err(Error::Unknown(Entity::Server)),
    };
    let (key, text) = core.create_key(wanted.of(owner, server, expires)).await?;
    Ok(Outcome::KeyCreated(key, text))
}

/// The server, if the account may bind keys to it: whoever has such a key speaks for
/// the server's agents.
fn bindable(core: &Core, account: &Account, id: ServerId) -> Result<ServerId, Error> {
    let server = core.standing().server(id);
    let allowed = server.filter(|server| account.is_admin() || server.owner == Some(account.id));
    allowed.map(|server| server.id).ok_or(Error::Unknown(Entity::Server))
}

#[cfg(test)]
mod tests;
