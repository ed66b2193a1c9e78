//! When sessions were last used and accounts last signed in. Stored beside their records, as it
//! changes all the time. No gateway holds it in memory, so the stream does not carry it.

use redis::{FromRedisValue, cmd};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::error::StoreError;
use crate::auth::session::Session;
use crate::auth::time::{SWEEP_SLACK, Timestamp};
use crate::auth::token::SessionId;
use crate::store::record::Record;

use super::Engine;
use super::records::{SWEEP_BATCH, Step, number, text};
use super::transaction::Transaction;

impl Engine {
    pub(super) async fn record_session_uses(
        &self,
        uses: &[(SessionId, Timestamp)],
    ) -> Result<(), StoreError> {
        for uses in uses.chunks(SWEEP_BATCH) {
            self.transact(move |txn| self.write_uses(txn, uses)).await?;
        }
        Ok(())
    }

    /// The session records are not among what must not change: a refresh would conflict with
    /// this. A use that is stored for a session that has just ended is never shown, and expires.
    async fn write_uses<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        uses: &[(SessionId, Timestamp)],
    ) -> Step<'s, ()> {
        let names = &self.names;
        let records = self.records(uses.iter().map(|(id, _)| names.session(id.0))).await?;
        let known = self.records(uses.iter().map(|(id, _)| names.session_use(id.0))).await?;
        for (((_, at), record), known) in uses.iter().zip(records).zip(known) {
            let session = record.and_then(|record| Session::decode(&record, "session").ok());
            let Some(session) = session else { continue };
            // Another gateway may have stored a later one.
            if time(known.as_deref()).is_some_and(|known| known >= *at) {
                continue;
            }
            txn.expected.push((names.session_use(session.id.0), known));
            self.set_last_use(&mut txn, &session, *at);
        }
        Ok((txn, ()))
    }

    pub(super) fn set_last_use(&self, txn: &mut Transaction<'_>, session: &Session, at: Timestamp) {
        let expires = session.expires.plus(SWEEP_SLACK);
        txn.set(self.names.session_use(session.id.0), number(at.0), Some(expires));
    }

    /// Adds to sessions when they were last used.
    pub(super) async fn with_last_uses(
        &self,
        sessions: Vec<Session>,
    ) -> Result<Vec<Session>, StoreError> {
        let names = sessions.iter().map(|session| self.names.session_use(session.id.0));
        let uses = self.records(names).await?;
        let used = sessions.into_iter().zip(uses);
        Ok(used
            .map(|(session, at)| Session { last_used: time(at.as_deref()), ..session })
            .collect())
    }

    /// Stores the sign-in of an account unless a later one is stored by then: the clocks of
    /// gateways differ, and of two sign-ins at once the earlier may be stored last.
    pub(super) fn record_sign_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        at: Timestamp,
    ) {
        txn.raise(self.names.sign_ins(), text(account.0), at.0);
    }

    /// Adds to accounts when they last signed in.
    pub(super) async fn with_last_sign_ins(
        &self,
        accounts: Vec<Account>,
    ) -> Result<Vec<Account>, StoreError> {
        let times = self.last_sign_ins(&ids(&accounts)).await?;
        Ok(with_sign_ins(accounts, times))
    }

    /// Adds to accounts the sign-ins that were recorded.
    pub(super) async fn with_recorded_sign_ins(
        &self,
        accounts: Vec<Account>,
    ) -> Result<Vec<Account>, StoreError> {
        let times = self.recorded_sign_ins(&ids(&accounts)).await?;
        Ok(with_sign_ins(accounts, times))
    }

    /// For each account the later one of the sign-in that was recorded and its newest session: an
    /// earlier version opens sessions and notes nothing.
    pub(super) async fn last_sign_ins(
        &self,
        accounts: &[AccountId],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let recorded = self.recorded_sign_ins(accounts).await?;
        let newest = self.newest_sessions(accounts).await?;
        Ok(recorded
            .into_iter()
            .zip(newest)
            .map(|(recorded, newest)| recorded.max(newest))
            .collect())
    }

    async fn recorded_sign_ins(
        &self,
        accounts: &[AccountId],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let mut recorded = Vec::with_capacity(accounts.len());
        for some in accounts.chunks(SWEEP_BATCH) {
            let mut query = cmd("HMGET");
            query.arg(self.names.sign_ins());
            for account in some {
                query.arg(account.0.to_string());
            }
            let found: Vec<Option<Vec<u8>>> = self.query(&query).await?;
            recorded.extend(found.iter().map(|at| time(at.as_deref())));
        }
        Ok(recorded)
    }

    /// When the newest session of each account was opened.
    async fn newest_sessions(
        &self,
        accounts: &[AccountId],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let newest = |account: &AccountId| {
            let mut newest = cmd("ZRANGE");
            newest.arg(self.names.sessions_of(account.0)).arg(-1).arg(-1);
            newest
        };
        let mut names = Vec::with_capacity(accounts.len());
        for some in accounts.chunks(SWEEP_BATCH) {
            let queries: Vec<_> = some.iter().map(newest).collect();
            for answer in self.query_each(&queries).await? {
                let ids = Vec::<String>::from_redis_value(answer)
                    .map_err(|error| StoreError::Unavailable(error.to_string()))?;
                // An account without a session reads the name of none.
                let id = ids.first().and_then(|id| id.parse::<Uuid>().ok()).unwrap_or_default();
                names.push(self.names.session(id));
            }
        }
        let records = self.records(names.into_iter()).await?;
        let opened = |record: Option<Vec<u8>>| {
            // A session that does not decode is reported where sessions are listed.
            Some(Session::decode(&record?, "session").ok()?.created)
        };
        Ok(records.into_iter().map(opened).collect())
    }
}

fn ids(accounts: &[Account]) -> Vec<AccountId> {
    accounts.iter().map(|account| account.id).collect()
}

fn with_sign_ins(accounts: Vec<Account>, times: Vec<Option<Timestamp>>) -> Vec<Account> {
    let signed_in = accounts.into_iter().zip(times);
    signed_in.map(|(account, at)| Account { last_sign_in: at, ..account }).collect()
}

fn time(stored: Option<&[u8]>) -> Option<Timestamp> {
    std::str::from_utf8(stored?).ok()?.parse().ok().map(Timestamp)
}
