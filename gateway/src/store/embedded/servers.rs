//! Servers.

use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};

use crate::auth::account::AccountId;
use crate::auth::error::StoreError;
use crate::auth::ports::{ServerChange, ServerChanged, Servers};
use crate::auth::server::{Server, ServerId};
use crate::store::record::Record;

use super::records::{find_keys, read_account, read_server, remove_keys, write_server};
use super::schema::SERVERS;
use super::step::Step;
use super::{EmbeddedStore, schema};

#[async_trait]
impl Servers for EmbeddedStore {
    async fn create_server(&self, server: Server) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                if let Some(owner) = server.owner
                    && read_account(txn, owner)?.is_none()
                {
                    return Ok(Step::unchanged(false));
                }
                write_server(txn, &server)?;
                Ok(Step::changed(true, move |standing| standing.put_server(server)))
            })
            .await
    }

    async fn change_server(&self, change: ServerChange) -> Result<ServerChanged, StoreError> {
        self.writer
            .submit(move |txn| {
                let Some(server) = read_server(txn, change.server)? else {
                    return Ok(Step::unchanged(ServerChanged::NoServer));
                };
                let server = server.apply(&change);
                if let Some(owner) = server.owner
                    && read_account(txn, owner)?.is_none()
                {
                    return Ok(Step::unchanged(ServerChanged::NoOwner));
                }
                write_server(txn, &server)?;
                let changed = ServerChanged::Changed(server.clone());
                Ok(Step::changed(changed, move |standing| standing.put_server(server)))
            })
            .await
    }

    async fn delete_server(&self, server: ServerId) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                if txn.open_table(SERVERS)?.get(*server.0.as_bytes())?.is_none() {
                    return Ok(Step::unchanged(false));
                }
                let keys = find_keys(txn, |key| key.server == Some(server))?;
                remove_keys(txn, &keys)?;
                txn.open_table(SERVERS)?.remove(*server.0.as_bytes())?;
                Ok(Step::changed(true, move |standing| {
                    for key in keys {
                        standing.remove_key(&key.digest);
                    }
                    standing.remove_server(server);
                }))
            })
            .await
    }
}

/// Makes an account's servers nobody's.
pub(super) fn disown_servers(
    txn: &WriteTransaction,
    owner: AccountId,
) -> Result<Vec<Server>, StoreError> {
    let mut servers = Vec::new();
    for entry in txn.open_table(SERVERS)?.iter()? {
        let (id, stored) = entry?;
        let server = Server::decode(stored.value(), &schema::named("server", id.value()))?;
        if server.owner == Some(owner) {
            servers.push(Server { owner: None, ..server });
        }
    }
    for server in &servers {
        write_server(txn, server)?;
    }
    Ok(servers)
}
