//! Tickets, under their digests.

use async_trait::async_trait;
use redb::{ReadableTable as _, WriteTransaction};

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::ports::{Opening, Tickets};
use crate::auth::ticket::Ticket;
use crate::auth::time::Timestamp;
use crate::store::record::Record;

use super::records::read_account;
use super::schema::{Expiring, TICKETS};
use super::step::Step;
use super::{EmbeddedStore, schema};

#[async_trait]
impl Tickets for EmbeddedStore {
    async fn issue_ticket(&self, digest: [u8; 32], ticket: Ticket) -> Result<Opening, StoreError> {
        self.writer
            .submit(move |txn| {
                let account = read_account(txn, ticket.account)?;
                if !account.is_some_and(|account| account.is_current(ticket.version)) {
                    return Ok(Step::unchanged(Opening::Stale));
                }
                txn.open_table(TICKETS)?.insert(digest, ticket.encode()?.as_slice())?;
                schema::expire(txn, ticket.expires, Expiring::Ticket, &digest)?;
                Ok(Step::changed(Opening::Opened, |_| ()))
            })
            .await
    }

    async fn take_ticket(
        &self,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        self.writer
            .submit(move |txn| {
                let mut tickets = txn.open_table(TICKETS)?;
                let Some(stored) = tickets.get(digest)? else {
                    return Ok(Step::unchanged(None));
                };
                // Before it is removed: what cannot be read changes nothing.
                let ticket = Ticket::decode(stored.value(), "ticket")?;
                drop(stored);
                tickets.remove(digest)?;
                Ok(Step::changed(ticket.redeem(now), |_| ()))
            })
            .await
    }
}

pub(super) fn drop_tickets(txn: &WriteTransaction, account: AccountId) -> Result<(), StoreError> {
    // Tickets live two minutes, so there are few; each one is looked at.
    txn.open_table(TICKETS)?.retain(|_, stored| {
        Ticket::decode(stored, "ticket").is_ok_and(|ticket| ticket.account != account)
    })?;
    Ok(())
}
