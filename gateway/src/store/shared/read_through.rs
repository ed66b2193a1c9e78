//! What another gateway has just made and memory does not know yet.

use redis::cmd;
use uuid::Uuid;

use crate::auth::account::Account;
use crate::auth::api_key::ApiKey;
use crate::auth::error::StoreError;
use crate::auth::ports::Missing;
use crate::store::record::Record;
use crate::store::replica::change::Change;

use super::Engine;

impl Engine {
    pub(super) async fn load_missing(&self, what: Missing) -> Result<bool, StoreError> {
        match what {
            Missing::Account(id) => Ok(self.load_account(id.0).await?.is_some()),
            Missing::Key(digest) => {
                let index = self.names.key_digest(&digest);
                let id: Option<String> = self.query(cmd("GET").arg(index)).await?;
                let Some(id) = id.and_then(|id| id.parse().ok()) else { return Ok(false) };
                let key = self.names.key(id);
                let (place, mut held) = self.read_snapshot(&[(key.clone(), None)]).await?;
                let Some(bytes) = held.pop().flatten() else { return Ok(false) };
                let found = ApiKey::decode(&bytes, &key)?;
                if found.digest != digest {
                    return Err(StoreError::Damaged(format!("{key}: of another digest")));
                }
                let owner = found.owner;
                self.apply_read(place, vec![Change::key(&found)])?;
                if self.standing().account(owner).is_none() {
                    self.load_account(owner.0).await?;
                }
                Ok(true)
            }
            Missing::Member(workspace, account) => {
                let key = self.names.members(workspace.0);
                let wanted = [(key, Some(account.0.to_string()))];
                let (place, mut held) = self.read_snapshot(&wanted).await?;
                let role = held.pop().flatten().and_then(|role| String::from_utf8(role).ok());
                let Some(role) = role else { return Ok(false) };
                self.apply_read(place, vec![Change::Member(workspace.0, account.0, Some(role))])?;
                Ok(true)
            }
        }
    }

    pub(super) async fn load_account(&self, id: Uuid) -> Result<Option<Account>, StoreError> {
        let key = self.names.account(id);
        let (place, mut held) = self.read_snapshot(&[(key.clone(), None)]).await?;
        let Some(bytes) = held.pop().flatten() else { return Ok(None) };
        let account = Account::decode(&bytes, &key)?;
        self.apply_read(place, vec![Change::account(&account)])?;
        Ok(Some(account))
    }
}
