//! Removes what has expired, in steps that no sign-in waits long for.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use crate::auth::account::Account;
use crate::auth::error::StoreError;
use crate::auth::session::Session;
use crate::auth::time::{SWEEP_SLACK, Timestamp};
use crate::store::record::Record;

use super::records::SWEEP_BATCH;
use super::schema::{
    ACCOUNT_SESSIONS, ACCOUNTS, Digest, ENDED, EXPIRIES, Expiring, Id, REVOKED, SESSIONS, TICKETS,
};
use super::step::Step;
use super::{EmbeddedStore, activity, schema, sessions};

impl EmbeddedStore {
    pub(super) async fn sweep_all(
        &self,
        now: Timestamp,
        past: Timestamp,
    ) -> Result<u64, StoreError> {
        self.failures.sweep(now);
        self.standing.sweep(now, past);
        self.pending.sweep(past);
        // What a restart has broken off.
        while self.writer.submit(sessions::clear_next).await? {}
        let mut total = 0;
        loop {
            let sweep = move |txn: &WriteTransaction| sweep(txn, now, past, SWEEP_BATCH);
            let swept = self.writer.submit(sweep).await?;
            total += swept as u64;
            if swept < SWEEP_BATCH {
                return Ok(total);
            }
        }
    }
}

/// Removes up to `limit` records whose time has come.
fn sweep(
    txn: &WriteTransaction,
    now: Timestamp,
    past: Timestamp,
    limit: usize,
) -> Result<Step<usize>, StoreError> {
    let mut due = Vec::new();
    let mut expiries = txn.open_table(EXPIRIES)?;
    let latest = now.max(past).0;
    for entry in expiries.range(..(latest, 0, [].as_slice()))? {
        let key = entry?.0;
        let (at, kind, id) = key.value();
        let until = if Expiring::may_go_early(kind) { now } else { past };
        if at < until.0 {
            due.push((at, kind, id.to_vec()));
        }
        if due.len() == limit {
            break;
        }
    }
    let mut changed = Vec::new();
    for (at, kind, id) in &due {
        expiries.remove((*at, *kind, id.as_slice()))?;
        if *kind == Expiring::Ticket as u8 {
            if let Ok(digest) = Digest::try_from(id.as_slice()) {
                txn.open_table(TICKETS)?.remove(digest)?;
            }
            continue;
        }
        let Ok(id) = Id::try_from(id.as_slice()) else {
            continue;
        };
        let stays = if *kind == Expiring::Revocation as u8 {
            sweep_end(txn, REVOKED, id, past)?
        } else if *kind == Expiring::Ending as u8 {
            sweep_end(txn, ENDED, id, past)?
        } else if *kind == Expiring::Former as u8 {
            changed.extend(sweep_former(txn, id, now)?);
            None
        } else {
            // Rotation may have lengthened the session since this note was made.
            sweep_session(txn, id, past)?
        };
        if let Some(until) = stays {
            expiries.insert((until.0, *kind, id.as_slice()), ())?;
        }
    }
    let swept = due.len();
    if swept == 0 {
        return Ok(Step::unchanged(0));
    }
    Ok(Step::changed(swept, move |standing| {
        for account in changed {
            standing.put_account(account);
        }
    }))
}

/// Removes what ended a credential, or answers until when it stays: notes of earlier
/// versions know of no slack.
fn sweep_end(
    txn: &WriteTransaction,
    table: TableDefinition<Id, u64>,
    id: Id,
    past: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut ends = txn.open_table(table)?;
    let stays = ends.get(id)?.map(|expires| Timestamp(expires.value()).plus(SWEEP_SLACK));
    let stays = stays.filter(|until| *until > past);
    if stays.is_none() {
        ends.remove(id)?;
    }
    Ok(stays)
}

/// Takes from an account's record what is left of its former password. A later change has
/// a note of its own.
fn sweep_former(
    txn: &WriteTransaction,
    id: Id,
    now: Timestamp,
) -> Result<Option<Account>, StoreError> {
    let mut accounts = txn.open_table(ACCOUNTS)?;
    let stored = accounts.get(id)?.map(|stored| stored.value().to_vec());
    // A record that does not read is not this sweep's to judge, nor to stumble over.
    let account =
        stored.and_then(|bytes| Account::decode(&bytes, &schema::named("account", id)).ok());
    let Some(account) = account.and_then(|account| account.forget_former(now)) else {
        return Ok(None);
    };
    accounts.insert(id, account.encode()?.as_slice())?;
    Ok(Some(account))
}

/// Removes an expired session, or says until when it lives.
fn sweep_session(
    txn: &WriteTransaction,
    id: Id,
    past: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut sessions = txn.open_table(SESSIONS)?;
    let session = match sessions.get(id)? {
        Some(stored) => Session::decode(stored.value(), &schema::named("session", id)),
        None => return Ok(None),
    };
    match session {
        Ok(session) if session.kept_until() > past => Ok(Some(session.kept_until())),
        Ok(session) => {
            sessions.remove(id)?;
            activity::forget_session(txn, id)?;
            txn.open_table(ACCOUNT_SESSIONS)?.remove((*session.account.0.as_bytes(), id))?;
            Ok(None)
        }
        Err(error) => {
            // It cannot be redeemed either; it goes, with a trace in the log.
            tracing::warn!(%error, "damaged session removed");
            sessions.remove(id)?;
            activity::forget_session(txn, id)?;
            // Whose it was cannot be read, so all are looked at.
            txn.open_table(ACCOUNT_SESSIONS)?.retain(|(_, session), ()| session != id)?;
            Ok(None)
        }
    }
}
