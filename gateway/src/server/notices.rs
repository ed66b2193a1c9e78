//! What a new version makes different for the accounts and keys that are there: said
//! at the first start with it, and never again.

use crate::auth::Core;
use crate::auth::account::Account;
use crate::auth::ports::Notice;
use crate::config::{Access, Config, KeyAccess, Route, UnverifiedEmail};

pub(super) async fn give(config: &Config, core: &Core) {
    // With the setting nothing is different; who takes it out is told then.
    if config.identity.unverified_email == UnverifiedEmail::Withheld
        && is_first(core, Notice::UnverifiedEmail).await
    {
        let accounts = core.standing().count_accounts(is_withheld);
        if accounts > 0 {
            let remedy = "mark the addresses as verified by `portcullis user verify NAME` or `--all`, \
                          or set identity.unverified_email = true";
            tracing::warn!(accounts, remedy, "unverified e-mail addresses no longer injected");
        }
    }
    if is_first(core, Notice::ServerKeys).await {
        let keys = core.standing().count_keys(|key| key.server.is_some());
        if keys > 0 {
            let remedy = "routes with agents = true take them; on others that should, set \
                          keys = \"any\" or \"servers\"";
            tracing::warn!(keys, remedy, "keys bound to a server refused on most routes");
        }
    }
    if config.routes.iter().any(refuses_unbound_agents) && is_first(core, Notice::UnboundKeys).await
    {
        let keys = core.standing().count_keys(|key| key.server.is_none());
        if keys > 0 {
            let remedy = "give agents keys of their servers (`portcullis key create --server`)";
            tracing::warn!(keys, remedy, "keys bound to no server refused on routes with agents");
        }
    }
}

fn refuses_unbound_agents(route: &Route) -> bool {
    let unbound = matches!(route.access, Access::Authenticated { keys: KeyAccess::Servers, .. });
    route.agents.are_accepted() && unbound
}

/// Whether upstreams learn less about an account than they did.
fn is_withheld(account: &Account) -> bool {
    (account.email.is_some() && !account.email_verified) || account.is_named_by_unverified_email()
}

/// A store that cannot be asked is asked at the next start.
async fn is_first(core: &Core, notice: Notice) -> bool {
    core.store().take_notice(notice).await.unwrap_or_else(|error| {
        tracing::debug!(%error, notice = notice.as_str(), "notice could not be claimed in the store");
        false
    })
}
