//! Accounts, and what ends with a change of them.

use async_trait::async_trait;
use redis::cmd;
use uuid::Uuid;

use crate::auth::account::change::{AccountUpdate, Ends};
use crate::auth::account::{Account, AccountId, HashedPassword, github_name, is_login_name};
use crate::auth::error::StoreError;
use crate::auth::ports::{
    AccountChange, AccountChanged, Accounts, Administration, Creation, GithubLink, PasswordChange,
    Replacement,
};
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::time::Timestamp;
use crate::store::replica::change::Change;

use super::records::{Step, number, text};
use super::transaction::Transaction;
use super::{Engine, SharedStore};

#[async_trait]
impl Accounts for SharedStore {
    async fn create_account(&self, account: Account) -> Result<Creation, StoreError> {
        let (engine, account) = (&*self.engine, &account);
        engine.transact(move |txn| engine.create_account(txn, account)).await
    }

    async fn register(&self, account: Account, session: Session) -> Result<Creation, StoreError> {
        let (engine, account, session) = (&*self.engine, &account, &session);
        engine
            .transact(move |txn| async move {
                let (mut txn, created) = engine.create_account(txn, account).await?;
                if created == Creation::Created {
                    engine.add_session(&mut txn, session)?;
                }
                Ok((txn, created))
            })
            .await
    }

    async fn forget_registration(&self, account: AccountId) -> Result<(), StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let known = engine.account(&mut txn, account).await?;
                if let Some(account) = known.and_then(|known| known.forget_registration()) {
                    engine.write_account(&mut txn, &account)?;
                }
                Ok((txn, ()))
            })
            .await
    }

    async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let names = &self.engine.names;
        let key = |id| names.account(id);
        let listed = self.engine.page(&names.accounts(), after.map(|id| id.0), limit, key).await?;
        self.engine.with_last_sign_ins(listed).await
    }

    async fn last_sign_in(&self, account: AccountId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.engine.last_sign_ins(&[account]).await?.pop().flatten())
    }

    async fn find_account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let engine = &*self.engine;
        if !is_login_name(name) {
            return Ok(None);
        }
        let id: Option<String> = engine.query(cmd("GET").arg(engine.names.name(name))).await?;
        let id: Option<Uuid> = id.and_then(|id| id.parse().ok());
        // A sign-in can afford the trip, and must not be judged by an old password. For a
        // name that is nobody's it is made too: time must not tell who exists.
        let account = engine.load_account(id.unwrap_or_default()).await?;
        Ok(account.filter(|_| id.is_some()))
    }

    async fn replace_password(&self, change: PasswordChange) -> Result<Replacement, StoreError> {
        let (engine, change) = (&*self.engine, &change);
        let replaced = engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, change.account).await?;
                let Some(update) = account.and_then(|account| account.replace_password(change))
                else {
                    return Ok((txn, Replacement::Stale));
                };
                if let Some(former) = &change.former {
                    let ends = [number(former.ends.0), text(change.account.0)];
                    txn.run("ZADD", engine.names.former_ends(), ends);
                }
                engine.update_account(&mut txn, update, change.now).await?;
                Ok((txn, Replacement::Replaced))
            })
            .await?;
        engine.clear_sessions(change.account.0, change.now).await;
        Ok(replaced)
    }

    async fn upgrade_hash(
        &self,
        account: AccountId,
        expected: &HashedPassword,
        replacement: HashedPassword,
    ) -> Result<Replacement, StoreError> {
        let (engine, replacement) = (&*self.engine, &replacement);
        engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, account).await?;
                let upgraded =
                    account.and_then(|account| account.upgrade_hash(expected, replacement));
                let Some(account) = upgraded else { return Ok((txn, Replacement::Stale)) };
                engine.write_account(&mut txn, &account)?;
                Ok((txn, Replacement::Replaced))
            })
            .await
    }

    async fn change_account(&self, change: AccountChange) -> Result<AccountChanged, StoreError> {
        let (engine, change) = (&*self.engine, &change);
        let changed = engine
            .transact(move |mut txn| async move {
                let Some(before) = engine.account(&mut txn, change.account).await? else {
                    return Ok((txn, AccountChanged::NoAccount));
                };
                let Some(update) = before.apply(change) else {
                    txn.confirm();
                    return Ok((txn, AccountChanged::Changed(Box::new(before))));
                };
                if change.administration.needs_another(&before, Some(&update.account))
                    && !engine.has_other_administrator(&mut txn, before.id).await?
                {
                    return Ok((txn, AccountChanged::LastAdministrator));
                }
                engine.update_account(&mut txn, update, change.now).await?;
                Ok((txn, AccountChanged::Changed(Box::new(before))))
            })
            .await?;
        engine.clear_sessions(change.account.0, change.now).await;
        Ok(changed)
    }

    async fn delete_account(
        &self,
        account: AccountId,
        administration: Administration,
        now: Timestamp,
    ) -> Result<AccountChanged, StoreError> {
        let engine = &*self.engine;
        let changed = engine
            .transact(move |mut txn| async move {
                let Some(account) = engine.account(&mut txn, account).await? else {
                    txn.confirm();
                    return Ok((txn, AccountChanged::NoAccount));
                };
                if administration.needs_another(&account, None)
                    && !engine.has_other_administrator(&mut txn, account.id).await?
                {
                    return Ok((txn, AccountChanged::LastAdministrator));
                }
                engine.remove_account(&mut txn, &account, now).await?;
                Ok((txn, AccountChanged::Changed(Box::new(account))))
            })
            .await?;
        engine.clear_sessions(account.0, now).await;
        Ok(changed)
    }

    async fn link_github(&self, link: GithubLink) -> Result<Replacement, StoreError> {
        let (engine, link) = (&*self.engine, &link);
        let linked = engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, link.account).await?;
                let Some(update) = account.and_then(|account| account.link(link)) else {
                    return Ok((txn, Replacement::Stale));
                };
                let name = engine.names.name(&github_name(link.number));
                if txn.read(name.clone()).await?.is_some() {
                    return Ok((txn, Replacement::Stale));
                }
                txn.set(name, text(link.account.0), None);
                engine.update_account(&mut txn, update, link.now).await?;
                Ok((txn, Replacement::Replaced))
            })
            .await?;
        engine.clear_sessions(link.account.0, link.now).await;
        Ok(linked)
    }

    async fn record_success(
        &self,
        account: AccountId,
        version: u64,
        from: Source,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, account).await?;
                let proven = account.and_then(|account| account.proven_from(version, from, now));
                if let Some(account) = proven {
                    engine.write_account(&mut txn, &account)?;
                }
                Ok((txn, ()))
            })
            .await
    }
}

impl Engine {
    pub(super) async fn create_account<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        account: &Account,
    ) -> Step<'s, Creation> {
        for name in account.names() {
            if txn.read(self.names.name(&name)).await?.is_none() {
                continue;
            }
            return Ok((Transaction::new(self), account.taken_by(&name)));
        }
        for name in account.names() {
            txn.set(self.names.name(&name), text(account.id.0), None);
        }
        txn.run("ZADD", self.names.accounts(), [b"0".to_vec(), text(account.id.0)]);
        self.write_account(&mut txn, account)?;
        Ok((txn, Creation::Created))
    }

    pub(super) async fn account(
        &self,
        txn: &mut Transaction<'_>,
        id: AccountId,
    ) -> Result<Option<Account>, StoreError> {
        txn.record(self.names.account(id.0)).await
    }

    /// Whether another account administers the gateway. Memory knows who could; who does, is
    /// read, so that the transaction fails if that one ceases to meanwhile.
    pub(super) async fn has_other_administrator(
        &self,
        txn: &mut Transaction<'_>,
        leaving: AccountId,
    ) -> Result<bool, StoreError> {
        for id in self.standing().administrators().into_iter().filter(|id| *id != leaving) {
            match self.account(txn, id).await {
                Ok(Some(account)) if account.administers() => return Ok(true),
                // Nobody can sign in by a record that does not read.
                Ok(_) | Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Saves what a change makes of an account, with what ends.
    pub(super) async fn update_account(
        &self,
        txn: &mut Transaction<'_>,
        update: AccountUpdate,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let AccountUpdate { mut account, ends } = update;
        match ends {
            Ends::Nothing => {}
            Ends::Sessions { but } => self.end_all(txn, &mut account, but, now).await?,
            Ends::SessionsAndKeys { but } => {
                self.end_all(txn, &mut account, but, now).await?;
                self.drop_keys(txn, &self.names.keys_of(account.id.0)).await?;
            }
        }
        self.write_account(txn, &account)
    }

    /// Removes an account with all that is its own.
    pub(super) async fn remove_account(
        &self,
        txn: &mut Transaction<'_>,
        account: &Account,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end_all(txn, &mut account.clone(), None, now).await?;
        self.drop_keys(txn, &self.names.keys_of(account.id.0)).await?;
        self.disown_servers(txn, account.id).await?;
        let joined = self.names.workspaces_of(account.id.0);
        for workspace in txn.ids(cmd("SMEMBERS").arg(&joined)).await? {
            let member = account.id.0.to_string().into_bytes();
            txn.run("HDEL", self.names.members(workspace), [member]);
        }
        txn.delete(joined);
        for name in account.names() {
            txn.delete(self.names.name(&name));
        }
        txn.delete(self.names.account(account.id.0));
        txn.delete(self.names.guard(account.id.0));
        txn.run("HDEL", self.names.sign_ins(), [text(account.id.0)]);
        txn.run("ZREM", self.names.accounts(), [text(account.id.0)]);
        txn.publish(Change::AccountGone(account.id.0));
        Ok(())
    }

    pub(super) fn write_account(
        &self,
        txn: &mut Transaction<'_>,
        account: &Account,
    ) -> Result<(), StoreError> {
        txn.write(self.names.account(account.id.0), account, None)?;
        txn.publish(Change::account(account));
        Ok(())
    }
}
