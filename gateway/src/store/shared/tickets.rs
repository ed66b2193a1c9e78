//! Tickets: a record for each, which Redis removes by itself, and an index of each account's.

use async_trait::async_trait;
use redis::cmd;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::ports::{Opening, Tickets};
use crate::auth::ticket::Ticket;
use crate::auth::time::Timestamp;
use crate::store::record::Record;

use super::records::number;
use super::transaction::Transaction;
use super::{Engine, SharedStore};

/// What the clocks of gateways may differ by, where a ticket's end is looked at.
const TICKET_SLACK_MS: u64 = 300_000;

#[async_trait]
impl Tickets for SharedStore {
    async fn issue_ticket(&self, digest: [u8; 32], ticket: Ticket) -> Result<Opening, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let account = engine.account(&mut txn, ticket.account).await?;
                if !account.is_some_and(|account| account.is_current(ticket.version)) {
                    return Ok((txn, Opening::Stale));
                }
                txn.touch(ticket.account.0);
                let key = engine.names.ticket(&digest);
                let index = engine.names.tickets_of(ticket.account.0);
                txn.run("ZADD", index.clone(), [number(ticket.expires.0), key.clone().into()]);
                // Those of long ago went by themselves; their names go now and then.
                let long_ago = ticket.expires.0.saturating_sub(86_400_000);
                txn.run("ZREMRANGEBYSCORE", index, [b"-inf".to_vec(), number(long_ago)]);
                txn.set(key, ticket.encode()?, Some(ticket.expires));
                Ok((txn, Opening::Opened))
            })
            .await
    }

    async fn take_ticket(
        &self,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.ticket(&digest);
                let Some(bytes) = txn.read(key.clone()).await? else { return Ok((txn, None)) };
                txn.delete(key);
                Ok((txn, Ticket::decode(&bytes, "ticket")?.redeem(now)))
            })
            .await
    }
}

impl Engine {
    pub(super) async fn end_tickets(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let index = self.names.tickets_of(account.0);
        // Names of those that went by themselves lie there for a day.
        let mut live = cmd("ZRANGEBYSCORE");
        live.arg(&index).arg(now.0.saturating_sub(TICKET_SLACK_MS)).arg("+inf");
        let tickets: Vec<String> = self.query(&live).await?;
        for ticket in tickets {
            txn.delete(ticket);
        }
        txn.delete(index);
        Ok(())
    }
}
