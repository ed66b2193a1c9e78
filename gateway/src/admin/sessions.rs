//! Sign-ins.

use uuid::Uuid;

use super::record::{Record, Session};
use super::{Reply, Span, Who, find, page};
use crate::auth::Core;
use crate::auth::account::AccountId;
use crate::auth::error::{Entity, Error, StoreError};
use crate::auth::token::SessionId;

pub(super) async fn list(core: &Core, user: Option<&Who>, span: Span) -> Result<Reply, Error> {
    let account = user.map(|user| find(core, user)).transpose()?.map(|account| account.id);
    let after = span.after.map(SessionId);
    let mut sessions = core.store().list_sessions(account, after, span.probe()).await?;
    let next = span.cut(&mut sessions, |session| session.id.0);
    // Some that have expired may not have been swept yet; then a page has fewer.
    let now = core.clock().now();
    let live = sessions.iter().filter(|session| session.expires > now);
    let records = live.map(|session| {
        // Uses at this gateway may not be saved yet.
        let here = core.standing().session_uses().last(session.id).unwrap_or_default();
        Record::Session(Session::used_at(session, session.last_use().max(here)))
    });
    Ok(page(core, records.collect(), next))
}

pub(super) async fn end(core: &Core, id: Uuid) -> Result<Reply, Error> {
    if core.store().end_session(SessionId(id), core.clock().now()).await? {
        Ok(Reply::Done)
    } else {
        Err(Error::Unknown(Entity::Session))
    }
}

/// Users whose sessions end between two looks at the list of all: each is a change of its
/// own, so that others come in between.
const STEP: usize = 100;

/// Whoever signs in meanwhile may be past already, and stays.
pub(super) async fn end_everybodys(
    core: &Core,
    after: Option<Uuid>,
    limit: Option<usize>,
) -> Result<Reply, Error> {
    // As of lists: with none at all the answer could not say where to go on.
    let limit = limit.unwrap_or(usize::MAX).max(1);
    let (mut users, mut last) = (0, after.map(AccountId));
    let mut all_stored = Ok(());
    loop {
        let step = STEP.min(limit.saturating_sub(users));
        let accounts = core.store().list_accounts(last, step).await?;
        for account in &accounts {
            match core.store().end_sessions(account.id, core.clock().now()).await {
                // They have ended, and so shall those of the others.
                Err(StoreError::Held) => all_stored = Err(StoreError::Held),
                ended => drop(ended?),
            }
        }
        users += accounts.len();
        last = accounts.last().map(|account| account.id);
        let (done, reached) = (accounts.len() < step, users >= limit);
        if done || reached {
            all_stored?;
            let next = last.map(|id| id.0).filter(|_| !done);
            return Ok(Reply::SessionsEnded { users: users as u64, next });
        }
    }
}

pub(super) async fn end_all(core: &Core, user: &Who) -> Result<Reply, Error> {
    let account = find(core, user)?;
    if core.store().end_sessions(account.id, core.clock().now()).await? {
        Ok(Reply::Done)
    } else {
        Err(Error::Unknown(Entity::Account))
    }
}
