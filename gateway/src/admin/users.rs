//! Accounts.

use std::sync::Arc;

use tokio::task::JoinSet;
use uuid::Uuid;

use super::record::{Record, State, User};
use super::{By, Hidden, Import, NewUser, Reply, Span, Who, find, page};
use crate::auth::Core;
use crate::auth::account::{
    Account, AccountId, HashedPassword, PersonName, Username, is_plausible_email, is_valid_role,
};
use crate::auth::error::{Entity, Error, Name, StoreError};
use crate::auth::password::{Unacceptable, check_acceptable};
use crate::auth::ports::{AccountChange, AccountChanged, Administration, Creation, Replacement};
use crate::auth::secret::Secret;
use crate::crypto::passwords::check_imported;

pub(super) async fn add(core: &Core, new: NewUser) -> Result<Reply, Error> {
    let NewUser { name, email, password, roles, full_name, first_name, last_name } = new;
    let person = PersonName { full: full_name, first: first_name, last: last_name };
    let email = email.or_else(|| address_of(&name));
    let account = core.unfinished_account(Some(&name), email, person)?;
    check_roles(&roles)?;
    check_acceptable(&password.0).map_err(Error::Password)?;
    let hash = core.hash_password(Secret::new(password.0)).await?;
    let account = Account {
        // Whoever enters it answers for it.
        email_verified: account.email.is_some(),
        roles: if roles.is_empty() { account.roles.clone() } else { roles },
        password: Some(hash),
        ..account
    };
    core.store_account(account.clone()).await?;
    Ok(Reply::Made(Record::User((&account).into())))
}

/// A user name that is an e-mail address is the account's own.
fn address_of(name: &str) -> Option<String> {
    is_plausible_email(name).then(|| name.to_owned())
}

/// All at once, for the store commits together what comes together.
pub(super) async fn import(
    core: &Core,
    users: Vec<Import>,
    roles: &[String],
) -> Result<Reply, Error> {
    check_roles(roles)?;
    let mut creations = JoinSet::new();
    let mut accounts = Vec::with_capacity(users.len());
    for Import { name, hash } in users {
        check_imported(&hash.0).map_err(|_| Error::Password(Unacceptable::ForeignHash))?;
        let username = Username::parse(&name).map_err(|_| Error::Name(Name::User))?;
        let account = Account::new(AccountId(core.new_uuid()), username, core.clock().now());
        let roles = if roles.is_empty() { account.roles.clone() } else { roles.to_vec() };
        let email = address_of(&name);
        accounts.push(Account {
            email_verified: email.is_some(),
            email,
            roles,
            password: Some(HashedPassword(hash.0)),
            ..account
        });
    }
    for account in accounts {
        let (store, name) = (core.store().clone(), account.username.as_str().to_owned());
        creations.spawn(async move { (name, store.create_account(account).await) });
    }
    let (mut added, mut present) = (Vec::new(), Vec::new());
    for (name, creation) in creations.join_all().await {
        match creation? {
            Creation::Created => added.push(name),
            Creation::NameTaken | Creation::EmailTaken | Creation::GithubTaken => {
                present.push(name);
            }
        }
    }
    added.sort_unstable();
    present.sort_unstable();
    Ok(Reply::Imported { added, present })
}

pub(super) async fn list(core: &Core, span: Span) -> Result<Reply, Error> {
    let after = span.after.map(AccountId);
    let mut accounts = match core.store().list_accounts(after, span.probe()).await {
        // As in memory, without last sign-ins.
        Err(StoreError::Unavailable(_)) => {
            span.of(core.standing().accounts(), |account| account.id.0)
        }
        listed => listed?.into_iter().map(Arc::new).collect(),
    };
    let next = span.cut(&mut accounts, |account| account.id.0);
    let users = accounts.iter().map(|account| Record::User(account.as_ref().into()));
    Ok(page(core, users.collect(), next))
}

/// The account with its last sign-in, which only the store holds. While a shared store is
/// unreachable the account is shown without it.
async fn with_last_sign_in(core: &Core, account: &Account) -> Account {
    let last_sign_in = core.store().last_sign_in(account.id).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "last sign-in could not be read");
        None
    });
    Account { last_sign_in, ..account.clone() }
}

pub(super) async fn show(core: &Core, user: &Who) -> Result<Reply, Error> {
    let account = with_last_sign_in(core, &*find(core, user)?).await;
    Ok(Reply::Found(Record::User(User::shown_at(&account, core.clock().now()))))
}

/// What is `None` stays.
pub(super) struct UserChange {
    pub roles: Option<Vec<String>>,
    pub state: Option<State>,
    pub email_verified: Option<bool>,
}

pub(super) async fn change(
    core: &Core,
    user: &Who,
    change: UserChange,
    by: By,
) -> Result<Reply, Error> {
    let UserChange { roles, state, email_verified } = change;
    let account = find(core, user)?;
    if email_verified == Some(true) && account.email.is_none() {
        return Err(Error::Unknown(Entity::Email));
    }
    check_roles(roles.as_deref().unwrap_or_default())?;
    let state = state.map(Into::into);
    let (account, administration, now) = (account.id, by.administration(), core.clock().now());
    let change = AccountChange {
        roles,
        state,
        email_verified,
        ..AccountChange::of(account, administration, now)
    };
    let former = former(core.store().change_account(change).await?)?;
    let account = with_last_sign_in(core, &*find(core, &Who::Id(account.0))?).await;
    let (user, former_roles) = (Record::User((&account).into()), former.roles);
    Ok(Reply::Changed { user, former_roles })
}

/// What an account was before it was changed.
fn former(changed: AccountChanged) -> Result<Account, Error> {
    match changed {
        AccountChanged::Changed(former) => Ok(*former),
        AccountChanged::NoAccount => Err(Error::Unknown(Entity::Account)),
        AccountChanged::LastAdministrator => Err(Error::LastAdministrator),
    }
}

impl By {
    fn administration(self) -> Administration {
        match self {
            By::Operator => Administration::MayEnd,
            By::Client => Administration::MustRemain,
        }
    }
}

/// All at once, as [`import`] does.
pub(super) async fn verify(core: &Core, users: Vec<Uuid>) -> Result<Reply, Error> {
    let now = core.clock().now();
    let mut changes = JoinSet::new();
    let accounts = users.into_iter().filter_map(|id| core.standing().account(AccountId(id)));
    for account in accounts.filter(|it| it.email.is_some() && !it.email_verified) {
        let unchanged = AccountChange::of(account.id, Administration::MayEnd, now);
        let change = AccountChange { email_verified: Some(true), ..unchanged };
        let (store, name) = (core.store().clone(), account.username.as_str().to_owned());
        changes.spawn(async move { (name, store.change_account(change).await) });
    }
    let mut users = Vec::new();
    for (name, changed) in changes.join_all().await {
        if matches!(changed?, AccountChanged::Changed(_)) {
            users.push(name);
        }
    }
    users.sort_unstable();
    Ok(Reply::Verified { users })
}

pub(super) async fn set_password(
    core: &Core,
    user: &Who,
    password: Hidden,
) -> Result<Reply, Error> {
    let account = find(core, user)?;
    match core.reset_password(account.id, Secret::new(password.0)).await? {
        Replacement::Replaced => Ok(Reply::Done),
        Replacement::Stale => Err(Error::Unknown(Entity::Account)),
    }
}

pub(super) async fn remove(core: &Core, user: &Who, by: By) -> Result<Reply, Error> {
    let account = find(core, user)?;
    let (administration, now) = (by.administration(), core.clock().now());
    let deleted = core.store().delete_account(account.id, administration, now).await?;
    former(deleted).map(|_| Reply::Done)
}

pub(super) fn check_roles(roles: &[String]) -> Result<(), Error> {
    if roles.iter().all(|role| is_valid_role(role)) { Ok(()) } else { Err(Error::Name(Name::Role)) }
}
