//! Servers. They are few, so that pages are made from all of them.

use uuid::Uuid;

use super::record::Record;
use super::{Owner, Reply, Span, Who, check_label, find, page};
use crate::auth::Core;
use crate::auth::error::{Entity, Error};
use crate::auth::ports::{NewOwner, ServerChange, ServerChanged};
use crate::auth::server::{Server, ServerId};

pub(super) async fn add(core: &Core, name: String, owner: Option<&Who>) -> Result<Reply, Error> {
    check_label(&name)?;
    let owner = owner.map(|owner| find(core, owner)).transpose()?.map(|account| account.id);
    let (id, created) = (ServerId(core.new_uuid()), core.clock().now());
    let server = Server { id, name, owner, created };
    if core.store().create_server(server.clone()).await? {
        Ok(Reply::Made(Record::Server((&server).into())))
    } else {
        Err(Error::Unknown(Entity::Account))
    }
}

pub(super) fn list(core: &Core, span: Span) -> Reply {
    let mut servers = span.of(core.standing().servers(), |server| server.id.0);
    let next = span.cut(&mut servers, |server| server.id.0);
    let servers = servers.iter().map(|server| Record::Server(server.as_ref().into()));
    page(core, servers.collect(), next)
}

pub(super) fn show(core: &Core, id: Uuid) -> Result<Reply, Error> {
    let server = core.standing().server(ServerId(id)).ok_or(Error::Unknown(Entity::Server))?;
    Ok(Reply::Found(Record::Server(server.as_ref().into())))
}

pub(super) async fn change(
    core: &Core,
    id: Uuid,
    name: Option<String>,
    owner: Owner,
) -> Result<Reply, Error> {
    check_label(name.as_deref().unwrap_or_default())?;
    let owner = match owner {
        Owner::Same => NewOwner::Same,
        Owner::Nobody => NewOwner::Nobody,
        Owner::User(owner) => NewOwner::Account(find(core, &owner)?.id),
    };
    let change = ServerChange { server: ServerId(id), name, owner };
    match core.store().change_server(change).await? {
        ServerChanged::Changed(server) => Ok(Reply::Found(Record::Server((&server).into()))),
        ServerChanged::NoServer => Err(Error::Unknown(Entity::Server)),
        ServerChanged::NoOwner => Err(Error::Unknown(Entity::Account)),
    }
}

pub(super) async fn remove(core: &Core, id: Uuid) -> Result<Reply, Error> {
    if core.store().delete_server(ServerId(id)).await? {
        Ok(Reply::Done)
    } else {
        Err(Error::Unknown(Entity::Server))
    }
}
