//! Accounts, and what ends with a change of them.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};

use crate::auth::account::change::{AccountUpdate, Ends};
use crate::auth::account::{Account, AccountId, HashedPassword, github_name};
use crate::auth::error::StoreError;
use crate::auth::ports::{
    AccountChange, AccountChanged, Accounts, Administration, Creation, GithubLink, PasswordChange,
    Replacement,
};
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::standing::Standing;
use crate::auth::time::Timestamp;
use crate::store::record::Record;

use super::records::{after_id, find_keys, read_account, remove_keys, write_account};
use super::schema::{ACCOUNTS, Expiring, Id, MEMBERS, NAMES, SIGN_INS};
use super::servers::disown_servers;
use super::step::Step;
use super::{EmbeddedStore, activity, schema, sessions};

#[async_trait]
impl Accounts for EmbeddedStore {
    async fn create_account(&self, account: Account) -> Result<Creation, StoreError> {
        self.writer
            .submit(move |txn| {
                if let Some(taken) = add_account(txn, &account)? {
                    return Ok(Step::unchanged(taken));
                }
                Ok(Step::changed(Creation::Created, move |standing| standing.put_account(account)))
            })
            .await
    }

    async fn register(&self, account: Account, session: Session) -> Result<Creation, StoreError> {
        self.writer
            .submit(move |txn| {
                if let Some(taken) = add_account(txn, &account)? {
                    return Ok(Step::unchanged(taken));
                }
                sessions::add(txn, &session)?;
                Ok(Step::changed(Creation::Created, move |standing| standing.put_account(account)))
            })
            .await
    }

    async fn forget_registration(&self, account: AccountId) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                let known = read_account(txn, account)?;
                let Some(account) = known.and_then(|known| known.forget_registration()) else {
                    return Ok(Step::unchanged(()));
                };
                write_account(txn, &account)?;
                Ok(Step::changed((), move |standing| standing.put_account(account)))
            })
            .await
    }

    async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let after = after_id(after.map(|id| id.0));
        self.writer
            .read(move |txn| {
                let mut listed = Vec::new();
                let accounts = txn.open_table(ACCOUNTS)?;
                for entry in accounts.range::<Id>((after, Bound::Unbounded))?.take(limit) {
                    let (id, stored) = entry?;
                    let name = schema::named("account", id.value());
                    let account = Account::decode(stored.value(), &name)?;
                    let last_sign_in = activity::last_sign_in(txn, account.id)?;
                    listed.push(Account { last_sign_in, ..account });
                }
                Ok(listed)
            })
            .await
    }

    async fn last_sign_in(&self, account: AccountId) -> Result<Option<Timestamp>, StoreError> {
        self.writer.read(move |txn| activity::last_sign_in(txn, account)).await
    }

    async fn find_account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        Ok(self.standing.account_by_name(name).map(|account| (*account).clone()))
    }

    async fn replace_password(&self, change: PasswordChange) -> Result<Replacement, StoreError> {
        let id = change.account;
        let replaced = self
            .writer
            .submit(move |txn| {
                let account = read_account(txn, change.account)?;
                let Some(update) = account.and_then(|account| account.replace_password(&change))
                else {
                    return Ok(Step::unchanged(Replacement::Stale));
                };
                let publish = update_account(txn, update)?;
                if let Some(former) = &change.former {
                    schema::expire(txn, former.ends, Expiring::Former, id.0.as_bytes())?;
                }
                Ok(Step::changed(Replacement::Replaced, publish))
            })
            .await?;
        self.clear_sessions(id).await;
        Ok(replaced)
    }

    async fn upgrade_hash(
        &self,
        account: AccountId,
        expected: &HashedPassword,
        replacement: HashedPassword,
    ) -> Result<Replacement, StoreError> {
        let expected = expected.clone();
        self.writer
            .submit(move |txn| {
                let account = read_account(txn, account)?;
                let upgraded =
                    account.and_then(|account| account.upgrade_hash(&expected, &replacement));
                let Some(account) = upgraded else {
                    return Ok(Step::unchanged(Replacement::Stale));
                };
                write_account(txn, &account)?;
                Ok(Step::changed(Replacement::Replaced, move |standing| {
                    standing.put_account(account);
                }))
            })
            .await
    }

    async fn change_account(&self, change: AccountChange) -> Result<AccountChanged, StoreError> {
        let (standing, id) = (Arc::clone(&self.standing), change.account);
        let changed = self
            .writer
            .submit(move |txn| {
                let Some(before) = read_account(txn, change.account)? else {
                    return Ok(Step::unchanged(AccountChanged::NoAccount));
                };
                let Some(update) = before.apply(&change) else {
                    return Ok(Step::unchanged(AccountChanged::Changed(Box::new(before))));
                };
                if change.administration.needs_another(&before, Some(&update.account))
                    && !has_other_administrator(txn, &standing, before.id)?
                {
                    return Ok(Step::unchanged(AccountChanged::LastAdministrator));
                }
                let publish = update_account(txn, update)?;
                Ok(Step::changed(AccountChanged::Changed(Box::new(before)), publish))
            })
            .await?;
        self.clear_sessions(id).await;
        Ok(changed)
    }

    async fn delete_account(
        &self,
        account: AccountId,
        administration: Administration,
        _now: Timestamp,
    ) -> Result<AccountChanged, StoreError> {
        let standing = Arc::clone(&self.standing);
        let changed = self
            .writer
            .submit(move |txn| {
                let Some(account) = read_account(txn, account)? else {
                    return Ok(Step::unchanged(AccountChanged::NoAccount));
                };
                if administration.needs_another(&account, None)
                    && !has_other_administrator(txn, &standing, account.id)?
                {
                    return Ok(Step::unchanged(AccountChanged::LastAdministrator));
                }
                let publish = remove_account(txn, &account)?;
                Ok(Step::changed(AccountChanged::Changed(Box::new(account)), publish))
            })
            .await?;
        self.clear_sessions(account).await;
        Ok(changed)
    }

    async fn link_github(&self, link: GithubLink) -> Result<Replacement, StoreError> {
        let id = link.account;
        let linked = self
            .writer
            .submit(move |txn| {
                let account = read_account(txn, link.account)?;
                let Some(update) = account.and_then(|account| account.link(&link)) else {
                    return Ok(Step::unchanged(Replacement::Stale));
                };
                let name = github_name(link.number);
                if txn.open_table(NAMES)?.get(name.as_str())?.is_some() {
                    return Ok(Step::unchanged(Replacement::Stale));
                }
                let publish = update_account(txn, update)?;
                txn.open_table(NAMES)?.insert(name.as_str(), link.account.0.as_bytes())?;
                Ok(Step::changed(Replacement::Replaced, publish))
            })
            .await?;
        self.clear_sessions(id).await;
        Ok(linked)
    }

    async fn record_success(
        &self,
        account: AccountId,
        version: u64,
        from: Source,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                let account = read_account(txn, account)?;
                let proven = account.and_then(|account| account.proven_from(version, from, now));
                let Some(account) = proven else { return Ok(Step::unchanged(())) };
                write_account(txn, &account)?;
                Ok(Step::changed((), move |standing| standing.put_account(account)))
            })
            .await
    }
}

/// Whether another account administers the gateway. Memory knows who could, and this
/// transaction whether it does: what stands before in it is not in memory yet.
fn has_other_administrator(
    txn: &WriteTransaction,
    standing: &Standing,
    leaving: AccountId,
) -> Result<bool, StoreError> {
    for id in standing.administrators().into_iter().filter(|id| *id != leaving) {
        if read_account(txn, id)?.is_some_and(|account| account.administers()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Saves what a change makes of an account, with what ends; what to publish.
fn update_account(
    txn: &WriteTransaction,
    update: AccountUpdate,
) -> Result<impl FnOnce(&Standing) + Send + use<>, StoreError> {
    let AccountUpdate { mut account, ends } = update;
    // What may be damaged comes first: a change is not undone by itself.
    account.check_storable()?;
    let mut keys = Vec::new();
    match ends {
        Ends::Nothing => {}
        Ends::Sessions { but } => sessions::end_all(txn, &mut account, but)?,
        Ends::SessionsAndKeys { but } => {
            keys = find_keys(txn, |key| key.owner == account.id)?;
            remove_keys(txn, &keys)?;
            sessions::end_all(txn, &mut account, but)?;
        }
    }
    write_account(txn, &account)?;
    Ok(move |standing: &Standing| {
        for key in keys {
            standing.remove_key(&key.digest);
        }
        standing.put_account(account);
    })
}

/// Removes an account with all that is its own; what to publish.
fn remove_account(
    txn: &WriteTransaction,
    account: &Account,
) -> Result<impl FnOnce(&Standing) + Send + use<>, StoreError> {
    let (owner, id) = (account.id, *account.id.0.as_bytes());
    // What may be damaged comes first: a change is not undone by itself.
    let keys = find_keys(txn, |key| key.owner == owner)?;
    let servers = disown_servers(txn, owner)?;
    remove_keys(txn, &keys)?;
    sessions::end_all(txn, &mut account.clone(), None)?;
    let mut names = txn.open_table(NAMES)?;
    for name in account.names() {
        names.remove(name.as_str())?;
    }
    txn.open_table(MEMBERS)?.retain(|(_, member), _| member != id)?;
    txn.open_table(ACCOUNTS)?.remove(id)?;
    txn.open_table(SIGN_INS)?.remove(id)?;
    Ok(move |standing: &Standing| {
        for key in keys {
            standing.remove_key(&key.digest);
        }
        for server in servers {
            standing.put_server(server);
        }
        standing.remove_account(owner);
    })
}

/// Which of its names somebody has; `None` when it was added.
fn add_account(txn: &WriteTransaction, account: &Account) -> Result<Option<Creation>, StoreError> {
    account.check_storable()?;
    let mut names = txn.open_table(NAMES)?;
    for name in account.names() {
        if names.get(name.as_str())?.is_some() {
            return Ok(Some(account.taken_by(&name)));
        }
    }
    for name in account.names() {
        names.insert(name.as_str(), account.id.0.as_bytes())?;
    }
    write_account(txn, account)?;
    Ok(None)
}
