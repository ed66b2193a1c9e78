//! Revocations: in the store, or here at once and in the store later.

use crate::auth::api_key::ApiKey;
use crate::auth::error::StoreError;
use crate::store::pending_revocations::{Delivery, Revocation};
use crate::store::replica::change::Change;

use super::Engine;
use super::records::{CLOCK_SLACK, number, text};

impl Engine {
    /// Carries out what ends a token, sessions or a key. `false` when there is none.
    pub(super) async fn revoke(
        &self,
        revocation: Revocation,
        delivery: Delivery,
    ) -> Result<bool, StoreError> {
        self.transact(move |mut txn| async move {
            match revocation {
                Revocation::Token(token, expires) => {
                    let until = expires.plus(CLOCK_SLACK).0;
                    txn.run("ZADD", self.names.revoked(), [number(until), text(token.0)]);
                    txn.publish(Change::Revoked(token.0, until));
                    Ok((txn, true))
                }
                Revocation::Session(session, now) => {
                    let Some(session) = self.session(&mut txn, session).await? else {
                        txn.confirm();
                        return Ok((txn, false));
                    };
                    let ended = self.end_session(&mut txn, &session, now);
                    txn.publish(Change::Ended(vec![ended]));
                    Ok((txn, true))
                }
                Revocation::Sessions(account, now) => {
                    let Some(mut account) = self.account(&mut txn, account).await? else {
                        txn.confirm();
                        return Ok((txn, false));
                    };
                    let ended = account.ended;
                    match delivery {
                        Delivery::AtOnce => self.end_all(&mut txn, &mut account, None, now).await?,
                        Delivery::Late => self.end_up_to(&mut txn, &mut account, now).await?,
                    }
                    if account.ended != ended {
                        self.write_account(&mut txn, &account)?;
                    }
                    Ok((txn, true))
                }
                Revocation::Key(key, owner) => {
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

    /// As [`Self::revoke`]; what cannot be sent holds here at once, and is sent later.
    pub(super) async fn revoke_or_keep_pending(
        &self,
        revocation: Revocation,
    ) -> Result<bool, StoreError> {
        let sent = self.revoke(revocation, Delivery::AtOnce).await;
        self.pending.keep_unless_sent(self.standing(), (revocation, self.settings.token_ttl), sent)
    }
}
