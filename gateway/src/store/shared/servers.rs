//! Servers, in an index of each owner's.

use async_trait::async_trait;
use redis::cmd;

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::ports::{ServerChange, ServerChanged, Servers};
use crate::auth::server::{Server, ServerId};
use crate::store::record::Record;
use crate::store::replica::change::Change;

use super::records::text;
use super::transaction::Transaction;
use super::{Engine, SharedStore};

#[async_trait]
impl Servers for SharedStore {
    async fn create_server(&self, server: Server) -> Result<bool, StoreError> {
        let (engine, server) = (&*self.engine, &server);
        engine
            .transact(move |mut txn| async move {
                if let Some(owner) = server.owner
                    && engine.account(&mut txn, owner).await?.is_none()
                {
                    return Ok((txn, false));
                }
                txn.run("ZADD", engine.names.servers(), [b"0".to_vec(), text(server.id.0)]);
                engine.write_server(&mut txn, server, None)?;
                Ok((txn, true))
            })
            .await
    }

    async fn change_server(&self, change: ServerChange) -> Result<ServerChanged, StoreError> {
        let (engine, change) = (&*self.engine, &change);
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.server(change.server.0);
                let Some(before) = txn.record::<Server>(key).await? else {
                    return Ok((txn, ServerChanged::NoServer));
                };
                let server = before.apply(change);
                if let Some(owner) = server.owner
                    && engine.account(&mut txn, owner).await?.is_none()
                {
                    return Ok((txn, ServerChanged::NoOwner));
                }
                engine.write_server(&mut txn, &server, before.owner)?;
                Ok((txn, ServerChanged::Changed(server)))
            })
            .await
    }

    async fn delete_server(&self, server: ServerId) -> Result<bool, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.server(server.0);
                let Some(bytes) = txn.read(key.clone()).await? else {
                    txn.confirm();
                    return Ok((txn, false));
                };
                txn.guard(server.0).await?;
                // A record that does not read can be removed all the same.
                let owner = Server::decode(&bytes, &key).ok().and_then(|server| server.owner);
                if let Some(owner) = owner {
                    txn.run("SREM", engine.names.servers_of(owner.0), [text(server.0)]);
                }
                engine.drop_keys(&mut txn, &engine.names.keys_on(server.0)).await?;
                txn.delete(key);
                txn.delete(engine.names.guard(server.0));
                txn.run("ZREM", engine.names.servers(), [text(server.0)]);
                txn.publish(Change::ServerGone(server.0));
                Ok((txn, true))
            })
            .await
    }
}

impl Engine {
    pub(super) fn write_server(
        &self,
        txn: &mut Transaction<'_>,
        server: &Server,
        former: Option<AccountId>,
    ) -> Result<(), StoreError> {
        if let Some(former) = former.filter(|former| server.owner != Some(*former)) {
            txn.run("SREM", self.names.servers_of(former.0), [text(server.id.0)]);
        }
        if let Some(owner) = server.owner {
            txn.touch(owner.0);
            txn.run("SADD", self.names.servers_of(owner.0), [text(server.id.0)]);
        }
        txn.write(self.names.server(server.id.0), server, None)?;
        txn.publish(Change::server(server));
        Ok(())
    }

    pub(super) async fn disown_servers(
        &self,
        txn: &mut Transaction<'_>,
        owner: AccountId,
    ) -> Result<(), StoreError> {
        let index = self.names.servers_of(owner.0);
        for id in txn.ids(cmd("SMEMBERS").arg(&index)).await? {
            let key = self.names.server(id);
            if let Some(server) = txn.record::<Server>(key.clone()).await? {
                let server = Server { owner: None, ..server };
                txn.write(key, &server, None)?;
                txn.publish(Change::server(&server));
            }
        }
        txn.delete(index);
        Ok(())
    }
}
