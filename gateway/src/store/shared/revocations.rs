//! What ends a token, a session or a key: here at once, and in the store as soon as it can be told.

use crate::auth::api_key::ApiKey;
use crate::auth::error::StoreError;
use crate::store::held::{Ending, Told};
use crate::store::replica::change::Change;

use super::Engine;
use super::records::{CLOCK_SLACK, number, text};

impl Engine {
    /// Carries out what ends a token, sessions or a key. `false` when there is none.
    pub(super) async fn end(&self, ending: Ending, told: Told) -> Result<bool, StoreError> {
        self.transact(move |mut txn| async move {
            match ending {
                Ending::Token(token, expires) => {
                    let until = expires.plus(CLOCK_SLACK).0;
                    txn.run("ZADD", self.names.revoked(), [number(until), text(token.0)]);
                    txn.tell(Change::Revoked(token.0, until));
                    Ok((txn, true))
                }
                Ending::Session(session, now) => {
                    let Some(session) = self.session(&mut txn, session).await? else {
                        txn.confirm();
                        return Ok((txn, false));
                    };
                    let ended = self.end_session(&mut txn, &session, now);
                    txn.tell(Change::Ended(vec![ended]));
                    Ok((txn, true))
                }
                Ending::Sessions(account, now) => {
                    let Some(mut account) = self.account(&mut txn, account).await? else {
                        txn.confirm();
                        return Ok((txn, false));
                    };
                    let ended = account.ended;
                    match told {
                        Told::AtOnce => self.end_all(&mut txn, &mut account, None, now).await?,
                        Told::Late => self.end_up_to(&mut txn, &mut account, now).await?,
                    }
                    if account.ended != ended {
                        self.write_account(&mut txn, &account)?;
                    }
                    Ok((txn, true))
                }
                Ending::Key(key, owner) => {
                    let key = txn.record::<ApiKey>(self.names.key(key.0)).await?;
                    let Some(key) = key.filter(|key| key.is_of(owner)) else {
                        txn.confirm();
                        return Ok((txn, false));
                    };
                    self.drop_key(&mut txn, &key);
                    Ok((txn, true))
                }
            }
        })
        .await
    }

    /// As [`Self::end`]; what cannot be told holds here at once, and is told later.
    pub(super) async fn end_or_hold(&self, ending: Ending) -> Result<bool, StoreError> {
        let told = self.end(ending, Told::AtOnce).await;
        self.held.hold(self.standing(), (ending, self.settings.token_ttl), told)
    }
}
