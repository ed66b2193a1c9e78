//! Sign-ins.

use uuid::Uuid;

use super::record::Record;
use super::{Reply, Span, Who, find, page};
use crate::auth::Core;
use crate::auth::error::{Entity, Error};
use crate::auth::token::SessionId;

pub(super) async fn list(core: &Core, user: Option<&Who>, span: Span) -> Result<Reply, Error> {
    let account = user.map(|user| find(core, user)).transpose()?.map(|account| account.id);
    let after = span.after.map(SessionId);
    let mut sessions = core.store().list_sessions(account, after, span.probe()).await?;
    let next = span.cut(&mut sessions, |session| session.id.0);
    // Some that have expired may not have been swept yet; then a page has fewer.
    let now = core.clock().now();
    let live = sessions.iter().filter(|session| session.expires > now);
    let live = live.map(|session| Record::Session(session.into()));
    Ok(page(core, live.collect(), next))
}

pub(super) async fn end(core: &Core, id: Uuid) -> Result<Reply, Error> {
    if core.store().end_session(SessionId(id), core.clock().now()).await? {
        Ok(Reply::Done)
    } else {
        Err(Error::Unknown(Entity::Session))
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
