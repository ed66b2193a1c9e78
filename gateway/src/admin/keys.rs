//! API keys of anybody.

use uuid::Uuid;

use super::record::{Key, Record};
use super::{Hidden, NewKey, Reply, Span, Who, find, page};
use crate::auth::Core;
use crate::auth::api_key::{self, ApiKey, KeyId};
use crate::auth::error::{Entity, Error, StoreError};
use crate::auth::secret::Secret;
use crate::auth::server::ServerId;
use crate::auth::time::{Seconds, Timestamp};

pub(super) async fn create(core: &Core, new: NewKey) -> Result<Reply, Error> {
    let NewKey { owner, name, server, scopes, expires } = new;
    let owner = find(core, &owner)?.id;
    let (server, expires) = (server.map(ServerId), expires.map(Timestamp));
    core.check_terms(&name, &scopes, expires)?;
    let new = api_key::NewKey { owner, name, server, scopes, expires };
    core.create_key(new).await.map(shown_once)
}

/// Those of one account are at hand; those of a server are looked for among all keys
/// in memory; all of them are read page by page, while the store can be asked.
pub(super) async fn list(
    core: &Core,
    owner: Option<&Who>,
    server: Option<Uuid>,
    span: Span,
) -> Result<Reply, Error> {
    let server = server.map(ServerId);
    if server.is_some_and(|server| core.standing().server(server).is_none()) {
        return Err(Error::Unknown(Entity::Server));
    }
    let mut keys = match (owner, server) {
        (Some(owner), server) => {
            let mut keys = core.standing().keys(Some(find(core, owner)?.id));
            keys.retain(|key| server.is_none() || key.server == server);
            span.of(keys, |key| key.id.0)
        }
        (None, Some(server)) => span.of(core.standing().keys_of_server(server), |key| key.id.0),
        (None, None) => match core.store().list_keys(span.after.map(KeyId), span.probe()).await {
            // In an incident a key is looked for by its name, whatever the store does.
            Err(StoreError::Unavailable(_)) => span.of(core.standing().keys(None), |key| key.id.0),
            listed => listed?,
        },
    };
    let next = span.cut(&mut keys, |key| key.id.0);
    let keys = keys.iter().map(|key| Record::Key(key.as_ref().into()));
    Ok(page(core, keys.collect(), next))
}

pub(super) async fn show(core: &Core, id: Uuid) -> Result<Reply, Error> {
    let key = core.store().find_key(KeyId(id)).await?.ok_or(Error::Unknown(Entity::Key))?;
    Ok(Reply::Found(Record::Key(key.as_ref().into())))
}

pub(super) async fn rotate(core: &Core, id: Uuid, overlap: u64) -> Result<Reply, Error> {
    core.rotate_key(KeyId(id), None, Seconds(overlap)).await.map(shown_once)
}

pub(super) async fn revoke(core: &Core, id: Uuid) -> Result<Reply, Error> {
    if core.store().delete_key(KeyId(id), None).await? {
        Ok(Reply::Done)
    } else {
        Err(Error::Unknown(Entity::Key))
    }
}

/// Keys that are made meanwhile are looked for as well, but not for ever.
const LOOKS: usize = 3;

pub(super) async fn revoke_all(core: &Core, owner: &Who) -> Result<Reply, Error> {
    let owner = find(core, owner)?.id;
    let (mut revoked, mut all_stored) = (0, Ok(()));
    for _ in 0..LOOKS {
        let keys = core.standing().keys(Some(owner));
        if keys.is_empty() {
            break;
        }
        for key in keys {
            match core.store().delete_key(key.id, Some(owner)).await {
                // It has ended, and so shall the others.
                Err(StoreError::Held) => all_stored = Err(StoreError::Held),
                deleted => revoked += u64::from(deleted?),
            }
        }
    }
    all_stored?;
    Ok(Reply::KeysRevoked { keys: revoked })
}

fn shown_once((key, text): (ApiKey, Secret)) -> Reply {
    Reply::NewKey { key: Key::from(&key), text: Hidden(text.expose().to_owned()) }
}
