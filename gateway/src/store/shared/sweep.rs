//! What Redis does not remove by itself. Any number of replicas may do it at once.

use redis::cmd;
use uuid::Uuid;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::session::Session;
use crate::auth::time::{SWEEP_SLACK, Timestamp};
use crate::store::record::Record;

use super::Engine;
use super::records::{SWEEP_BATCH, Step, text};
use super::transaction::Transaction;

impl Engine {
    /// What Redis does not remove by itself. Any number of replicas may do it at once.
    pub(super) async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError> {
        let names = &self.names;
        let mut swept = 0;
        let until = |at: Timestamp| format!("({}", at.0);
        let long_ago = past.minus(SWEEP_SLACK);
        for (index, at) in [
            (names.revoked(), long_ago),
            (names.ended(), long_ago),
            (names.failures(), now),
            (names.lockouts(), now),
            (names.slowed(), now),
        ] {
            let mut remove = cmd("ZREMRANGEBYSCORE");
            swept += self.query::<u64>(remove.arg(index).arg("-inf").arg(until(at))).await?;
        }
        swept += self.sweep_former(now).await?;
        self.clear_broken_off(now).await?;
        loop {
            let mut due = cmd("ZRANGEBYSCORE");
            due.arg(names.session_ends()).arg("-inf").arg(until(long_ago));
            due.arg("LIMIT").arg(0).arg(SWEEP_BATCH);
            let due: Vec<String> = self.query(&due).await?;
            let batch = due.len();
            let mut txn = Transaction::new(self);
            let ids = |entry: &str| -> Option<(Uuid, Uuid)> {
                let (owner, id) = entry.split_once('/')?;
                Some((owner.parse().ok()?, id.parse().ok()?))
            };
            let known: Vec<_> = due.iter().filter_map(|entry| ids(entry)).collect();
            let records = self.records(known.iter().map(|(_, id)| names.session(*id))).await?;
            for ((owner, id), record) in known.into_iter().zip(records) {
                // Who lengthens it meanwhile, by another clock, keeps it.
                let session = record.as_deref().map(|record| Session::decode(record, "session"));
                if session.is_some_and(|read| read.is_ok_and(|read| read.kept_until() > past)) {
                    continue;
                }
                txn.expected.push((names.session(id), record));
                txn.run("ZREM", names.sessions(), [text(id)]);
                txn.run("ZREM", names.sessions_of(owner), [text(id)]);
                txn.run("ZREM", names.session_ends(), [format!("{owner}/{id}").into_bytes()]);
                txn.delete(names.session(id));
                txn.delete(names.session_use(id));
            }
            if txn.is_empty() || !self.commit(txn).await? {
                return Ok(swept);
            }
            swept += batch as u64;
            if batch < SWEEP_BATCH {
                return Ok(swept);
            }
        }
    }

    /// Takes from the records of accounts what is left of their former passwords.
    pub(super) async fn sweep_former(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut due = cmd("ZRANGEBYSCORE");
        due.arg(self.names.former_ends()).arg("-inf").arg(format!("({}", now.0));
        due.arg("LIMIT").arg(0).arg(SWEEP_BATCH);
        let due: Vec<String> = self.query(&due).await?;
        let ids: Vec<Uuid> = due.iter().filter_map(|id| id.parse().ok()).collect();
        for id in &ids {
            self.transact(move |txn| self.forget_former(txn, AccountId(*id), now)).await?;
        }
        Ok(ids.len() as u64)
    }

    pub(super) async fn forget_former<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        id: AccountId,
        now: Timestamp,
    ) -> Step<'s, ()> {
        // A record that is gone, or does not read, is not this sweep's to judge.
        let account = match self.account(&mut txn, id).await {
            Err(StoreError::Damaged(_)) => None,
            read => read?,
        };
        let former = account.as_ref().and_then(|account| account.former.as_ref());
        if former.is_some_and(|former| !former.is_over(now)) {
            return Ok((Transaction::new(self), ()));
        }
        txn.run("ZREM", self.names.former_ends(), [text(id.0)]);
        if let Some(account) = account.and_then(|account| account.forget_former(now)) {
            self.write_account(&mut txn, &account)?;
        }
        Ok((txn, ()))
    }
}
