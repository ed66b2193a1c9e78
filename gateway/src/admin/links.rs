//! Links that administrators make for people.

use super::users::check_roles;
use super::{Hidden, Invitation, Reply, Who, find};
use crate::auth::Core;
use crate::auth::account::{Account, AccountState, PersonName};
use crate::auth::error::{Error, Refusal};
use crate::auth::link::{Link, LinkKind};
use crate::telemetry::log::rfc3339;

pub(super) async fn invite(core: &Core, invitation: Invitation) -> Result<Reply, Error> {
    let Invitation { email, name, roles, mail } = invitation;
    check_roles(&roles)?;
    let account = core.unfinished_account(name.as_deref(), Some(email), PersonName::default())?;
    let account =
        Account { roles: if roles.is_empty() { account.roles.clone() } else { roles }, ..account };
    // Before the account is made: without links there is no way in.
    let link = core.make_link(&account, LinkKind::Both)?;
    core.store_account(account.clone()).await?;
    Ok(hand_out(core, &account, (LinkKind::Both, link), mail))
}

pub(super) fn reset(core: &Core, user: &Who, mail: bool) -> Result<Reply, Error> {
    let account = find(core, user)?;
    if account.state == AccountState::Disabled {
        return Err(Refusal::AccountDisabled.into());
    }
    let link = core.make_link(&account, LinkKind::Password)?;
    Ok(hand_out(core, &account, (LinkKind::Password, link), mail))
}

fn hand_out(core: &Core, account: &Account, (kind, link): (LinkKind, Link), mail: bool) -> Reply {
    Reply::NewLink {
        user: account.into(),
        url: Hidden(link.url.expose().to_owned()),
        expires: rfc3339(link.expires),
        mailed: mail && core.send_link(account, kind, link),
    }
}
