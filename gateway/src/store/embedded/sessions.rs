//! Sign-ins of one account: opened within its limit, and ended all at once by a mark on
//! its record, whatever their number. Their records go after, a few in one transaction.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};
use uuid::Uuid;

use crate::auth::account::ended::EndedSessions;
use crate::auth::account::{Account, AccountId};
use crate::auth::error::StoreError;
use crate::auth::ports::{
    AccountLimits, CLEARED_AT_ONCE, LOOKED_AT_ONCE, Rotated, Rotation, SUPERSEDED_AT_ONCE,
    SessionOpening, Sessions,
};
use crate::auth::session::{Redeemed, Session, Surplus};
use crate::auth::standing::Standing;
use crate::auth::time::{Seconds, Timestamp};
use crate::auth::token::{SessionId, TokenId};
use crate::store::pending_revocations::Revocation;
use crate::store::record::Record;

use super::records::{
    SWEEP_BATCH, after_id, read_account, read_session, write_account, write_session,
};
use super::schema::{ACCOUNT_SESSIONS, CLEARING, ENDED, Expiring, Id, SESSION_USES, SESSIONS};
use super::step::Step;
use super::tickets::drop_tickets;
use super::{EmbeddedStore, activity, schema};

const LAST: Id = [u8::MAX; 16];

fn session_id(id: Id) -> SessionId {
    SessionId(Uuid::from_bytes(id))
}

#[async_trait]
impl Sessions for EmbeddedStore {
    async fn open_session(
        &self,
        session: Session,
        version: u64,
    ) -> Result<SessionOpening, StoreError> {
        let limits = self.limits;
        self.writer.submit(move |txn| open(txn, &session, version, limits)).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let token_ttl = self.token_ttl;
        self.writer.submit(move |txn| rotate(txn, &rotation, token_ttl)).await
    }

    async fn revoke_token(&self, token: TokenId, expires: Timestamp) -> Result<(), StoreError> {
        self.revoke_or_keep_pending(Revocation::Token(token, expires)).await.map(drop)
    }

    async fn end_session(&self, session: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.revoke_or_keep_pending(Revocation::Session(session, now)).await
    }

    async fn end_sessions(&self, account: AccountId, now: Timestamp) -> Result<bool, StoreError> {
        let ended = self.revoke_or_keep_pending(Revocation::Sessions(account, now)).await?;
        self.clear_sessions(account).await;
        Ok(ended)
    }

    async fn find_session(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        self.writer
            .read(move |txn| {
                let session = find(txn, session)?;
                Ok(session.filter(|session| session.is_live(now)))
            })
            .await
    }

    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        let (standing, after) = (Arc::clone(&self.standing), after_id(after.map(|id| id.0)));
        self.writer
            .read(move |txn| match account {
                Some(account) => list_of(txn, account, after, limit),
                None => list(txn, &standing, after, limit),
            })
            .await
    }

    async fn record_session_uses(
        &self,
        uses: Vec<(SessionId, Timestamp)>,
    ) -> Result<(), StoreError> {
        for uses in uses.chunks(SWEEP_BATCH) {
            let uses = uses.to_vec();
            self.writer.submit(move |txn| activity::record_uses(txn, &uses)).await?;
        }
        Ok(())
    }
}

impl EmbeddedStore {
    /// Removes what is left of sessions that ended at once, a few at a time; what fails is
    /// the next sweep's.
    pub(super) async fn clear_sessions(&self, account: AccountId) {
        while let Ok(true) = self.writer.submit(move |txn| clear_more(txn, account)).await {}
    }
}

pub(super) fn open(
    txn: &WriteTransaction,
    session: &Session,
    version: u64,
    limits: AccountLimits,
) -> Result<Step<SessionOpening>, StoreError> {
    let account = read_account(txn, session.account)?;
    let Some(mut account) = account.filter(|account| account.is_current(version)) else {
        return Ok(Step::unchanged(SessionOpening::Stale));
    };
    let Surplus { expired, superseded } = surplus(txn, &account, limits, session.created)?;
    if let Err(last) = account.make_room_for(session.id, &superseded) {
        return Ok(Step::unchanged(SessionOpening::Behind(last)));
    }
    add(txn, session)?;
    remove(txn, account.id, &expired)?;
    if superseded.is_empty() {
        return Ok(Step::changed(SessionOpening::Opened { superseded }, |_| ()));
    }
    remove(txn, account.id, &superseded)?;
    write_account(txn, &account)?;
    Ok(Step::changed(SessionOpening::Opened { superseded }, move |standing| {
        standing.put_account(account);
    }))
}

pub(super) fn rotate(
    txn: &WriteTransaction,
    rotation: &Rotation,
    token_ttl: Seconds,
) -> Result<Step<Rotated>, StoreError> {
    let Some(mut session) = find(txn, rotation.session)? else {
        return Ok(Step::unchanged(Rotated::Unknown));
    };
    match session.redeem(rotation, token_ttl) {
        Redeemed::Expired => Ok(Step::unchanged(Rotated::Unknown)),
        Redeemed::Repeated(pair) | Redeemed::Kept(pair) => Ok(Step::unchanged(Rotated::Pair(pair))),
        Redeemed::Replaced(pair) => {
            write_session(txn, &session)?;
            Ok(Step::changed(Rotated::Pair(pair), |_| ()))
        }
        Redeemed::Reused => {
            let ended = end_session_in(txn, &session, rotation.now, token_ttl)?;
            Ok(Step::changed(Rotated::FamilyEnded, move |standing| {
                standing.end_sessions(&[ended]);
            }))
        }
    }
}

pub(super) fn add(txn: &WriteTransaction, session: &Session) -> Result<(), StoreError> {
    write_session(txn, session)?;
    activity::record_sign_in(txn, session.account, session.created)?;
    let index = (*session.account.0.as_bytes(), *session.id.0.as_bytes());
    txn.open_table(ACCOUNT_SESSIONS)?.insert(index, ())?;
    schema::expire(txn, session.expires, Expiring::Session, session.id.0.as_bytes())
}

/// Which sessions of an account give way to a new one. Counts no more than may be, and those
/// that can end.
pub(super) fn surplus(
    txn: &WriteTransaction,
    account: &Account,
    limits: AccountLimits,
    now: Timestamp,
) -> Result<Surplus, StoreError> {
    let owner = *account.id.0.as_bytes();
    let index = txn.open_table(ACCOUNT_SESSIONS)?;
    let mut all = Vec::new();
    if let Some(but) = account.ended.and_then(|ended| ended.but)
        && index.get((owner, *but.0.as_bytes()))?.is_some()
    {
        all.push(but);
    }
    let after = account.ended.map_or(Bound::Included((owner, [0; 16])), |ended| {
        Bound::Excluded((owner, *ended.up_to.0.as_bytes()))
    });
    let rest = index.range::<(Id, Id)>((after, Bound::Included((owner, LAST))))?;
    let most = limits.sessions.saturating_sub(1).saturating_add(SUPERSEDED_AT_ONCE);
    for entry in rest.take(most) {
        all.push(session_id(entry?.0.value().1));
    }
    if limits.has_room_for_session(all.len()) {
        return Ok(Surplus::default());
    }
    let (mut oldest, sessions) = (Vec::new(), txn.open_table(SESSIONS)?);
    for id in all.iter().copied().take(LOOKED_AT_ONCE) {
        // One that does not read is as old as any other.
        let has_expired = sessions.get(*id.0.as_bytes())?.is_none_or(|stored| {
            Session::decode(stored.value(), "session").is_ok_and(|session| !session.is_live(now))
        });
        oldest.push((id, has_expired));
    }
    Ok(Surplus::of(all.len(), oldest, limits))
}

/// A session that has not ended, whether or not its record is there still.
pub(super) fn find(txn: &WriteTransaction, id: SessionId) -> Result<Option<Session>, StoreError> {
    let Some(session) = read_session(txn, id)? else { return Ok(None) };
    let account = read_account(txn, session.account)?;
    Ok(account.filter(|account| !account.has_ended(id)).map(|_| session))
}

/// Removes a session and remembers its end for as long as a token may name it.
pub(super) fn end_session_in(
    txn: &WriteTransaction,
    session: &Session,
    now: Timestamp,
    token_ttl: Seconds,
) -> Result<(SessionId, Timestamp), StoreError> {
    let until = session.end_counts_until(now, token_ttl);
    let id = *session.id.0.as_bytes();
    txn.open_table(SESSIONS)?.remove(id)?;
    activity::forget_session(txn, id)?;
    txn.open_table(ACCOUNT_SESSIONS)?.remove((*session.account.0.as_bytes(), id))?;
    txn.open_table(ENDED)?.insert(id, until.0)?;
    schema::expire(txn, until, Expiring::Ending, &id)?;
    Ok((session.id, until))
}

/// Ends every session of an account but one, with its tickets; its record is the caller's to
/// write.
pub(super) fn end_all(
    txn: &WriteTransaction,
    account: &mut Account,
    keep: Option<SessionId>,
) -> Result<(), StoreError> {
    drop_tickets(txn, account.id)?;
    let owner = *account.id.0.as_bytes();
    let index = txn.open_table(ACCOUNT_SESSIONS)?;
    let last = match index.range((owner, [0; 16])..=(owner, LAST))?.next_back() {
        Some(entry) => session_id(entry?.0.value().1),
        None => return Ok(()),
    };
    let kept = match keep {
        Some(session) => index.get((owner, *session.0.as_bytes()))?.is_some(),
        None => false,
    };
    drop(index);
    account.end_sessions(last, keep.filter(|_| kept));
    clear(txn, account.id, account.ended).map(drop)
}

/// Ends every session of an account that was opened up to a moment, as memory has done
/// already; its record is the caller's to write.
pub(super) fn end_up_to(
    txn: &WriteTransaction,
    account: &mut Account,
    at: Timestamp,
) -> Result<(), StoreError> {
    drop_tickets(txn, account.id)?;
    account.end_up_to(at);
    clear(txn, account.id, account.ended).map(drop)
}

/// Removes some of what has ended at once, and notes whether there is more.
pub(super) fn clear(
    txn: &WriteTransaction,
    account: AccountId,
    ended: Option<EndedSessions>,
) -> Result<bool, StoreError> {
    let owner = *account.0.as_bytes();
    let up_to = ended.map_or(LAST, |ended| *ended.up_to.0.as_bytes());
    let goes_on = ended.and_then(|ended| ended.but);
    let (mut gone, mut more) = (Vec::new(), false);
    for entry in txn.open_table(ACCOUNT_SESSIONS)?.range((owner, [0; 16])..=(owner, up_to))? {
        let session = session_id(entry?.0.value().1);
        if goes_on == Some(session) {
            continue;
        }
        if gone.len() == CLEARED_AT_ONCE {
            more = true;
            break;
        }
        gone.push(session);
    }
    remove(txn, account, &gone)?;
    let mut clearing = txn.open_table(CLEARING)?;
    if more {
        clearing.insert(owner, ())?;
    } else {
        clearing.remove(owner)?;
    }
    Ok(more)
}

/// By their ids: one that does not read goes like any other.
pub(super) fn remove(
    txn: &WriteTransaction,
    account: AccountId,
    gone: &[SessionId],
) -> Result<(), StoreError> {
    let (mut sessions, mut index) = (txn.open_table(SESSIONS)?, txn.open_table(ACCOUNT_SESSIONS)?);
    let mut uses = txn.open_table(SESSION_USES)?;
    for session in gone {
        let id = *session.0.as_bytes();
        sessions.remove(id)?;
        uses.remove(id)?;
        index.remove((*account.0.as_bytes(), id))?;
    }
    Ok(())
}

/// One step more of an account's clearing; answers whether there is another.
pub(super) fn clear_more(
    txn: &WriteTransaction,
    account: AccountId,
) -> Result<Step<bool>, StoreError> {
    if txn.open_table(CLEARING)?.get(*account.0.as_bytes())?.is_none() {
        return Ok(Step::unchanged(false));
    }
    // Of an account that is gone, nothing stays.
    let more = match read_account(txn, account)? {
        Some(Account { ended: None, .. }) => {
            txn.open_table(CLEARING)?.remove(*account.0.as_bytes())?;
            false
        }
        Some(account) => clear(txn, account.id, account.ended)?,
        None => clear(txn, account, None)?,
    };
    Ok(Step::changed(more, |_| ()))
}

/// One step more of any account's clearing; answers whether there was one to take.
pub(super) fn clear_next(txn: &WriteTransaction) -> Result<Step<bool>, StoreError> {
    let next = txn.open_table(CLEARING)?.first()?.map(|entry| entry.0.value());
    let Some(next) = next else { return Ok(Step::unchanged(false)) };
    clear_more(txn, AccountId(Uuid::from_bytes(next)))?;
    Ok(Step::changed(true, |_| ()))
}

/// Those of one account, in order of ids.
pub(super) fn list_of(
    txn: &WriteTransaction,
    account: AccountId,
    after: Bound<Id>,
    limit: usize,
) -> Result<Vec<Session>, StoreError> {
    let owner = *account.0.as_bytes();
    let Some(account) = read_account(txn, account)? else { return Ok(Vec::new()) };
    let (from, to) = (after.map(|id| (owner, id)), Bound::Included((owner, LAST)));
    let (mut listed, uses) = (Vec::new(), txn.open_table(SESSION_USES)?);
    for entry in txn.open_table(ACCOUNT_SESSIONS)?.range::<(Id, Id)>((from, to))? {
        let id = session_id(entry?.0.value().1);
        if listed.len() == limit {
            break;
        }
        if !account.has_ended(id)
            && let Some(session) = read_session(txn, id)?
        {
            listed.push(activity::with_last_use(session, Some(&uses))?);
        }
    }
    Ok(listed)
}

/// Those of all accounts, in order of ids.
pub(super) fn list(
    txn: &WriteTransaction,
    standing: &Standing,
    after: Bound<Id>,
    limit: usize,
) -> Result<Vec<Session>, StoreError> {
    let (mut listed, uses) = (Vec::new(), txn.open_table(SESSION_USES)?);
    for entry in txn.open_table(SESSIONS)?.range::<Id>((after, Bound::Unbounded))? {
        let (id, stored) = entry?;
        if listed.len() == limit {
            break;
        }
        let session: Session =
            Record::decode(stored.value(), &schema::named("session", id.value()))?;
        let account = standing.account(session.account);
        if account.is_some_and(|account| !account.has_ended(session.id)) {
            listed.push(activity::with_last_use(session, Some(&uses))?);
        }
    }
    Ok(listed)
}
