//! Revocations: in the file, or here at once and in the file later.

use redb::WriteTransaction;

use crate::auth::error::StoreError;
use crate::auth::time::Seconds;
use crate::store::pending_revocations::{Delivery, Revocation};

use super::records::{read_account, read_key, remove_key, write_account};
use super::schema::{Expiring, REVOKED};
use super::sessions::end_session_in;
use super::step::Step;
use super::{EmbeddedStore, schema, sessions};

impl EmbeddedStore {
    /// Ends it in the file; what the file does not take holds here at once, and is written
    /// later.
    pub(super) async fn revoke_or_keep_pending(
        &self,
        revocation: Revocation,
    ) -> Result<bool, StoreError> {
        let token_ttl = self.token_ttl;
        let end =
            move |txn: &WriteTransaction| revoke_in(txn, revocation, Delivery::AtOnce, token_ttl);
        let sent = self.writer.submit(end).await;
        self.pending.keep_unless_sent(&self.standing, (revocation, token_ttl), sent)
    }
}

/// Ends a token, a session or a key. `false` when there is none.
pub(super) fn revoke_in(
    txn: &WriteTransaction,
    revocation: Revocation,
    delivery: Delivery,
    token_ttl: Seconds,
) -> Result<Step<bool>, StoreError> {
    match revocation {
        Revocation::Token(token, expires) => {
            txn.open_table(REVOKED)?.insert(*token.0.as_bytes(), expires.0)?;
            schema::expire(txn, expires, Expiring::Revocation, token.0.as_bytes())?;
            Ok(Step::changed(true, move |standing| standing.revoke_token(token, expires)))
        }
        Revocation::Session(session, now) => {
            let Some(session) = sessions::find(txn, session)? else {
                return Ok(Step::unchanged(false));
            };
            let ended = end_session_in(txn, &session, now, token_ttl)?;
            Ok(Step::changed(true, move |standing| standing.end_sessions(&[ended])))
        }
        Revocation::Sessions(account, at) => {
            let Some(mut account) = read_account(txn, account)? else {
                return Ok(Step::unchanged(false));
            };
            let ended = account.ended;
            match delivery {
                Delivery::AtOnce => sessions::end_all(txn, &mut account, None)?,
                Delivery::Late => sessions::end_up_to(txn, &mut account, at)?,
            }
            if account.ended != ended {
                write_account(txn, &account)?;
            }
            Ok(Step::changed(true, move |standing| standing.put_account(account)))
        }
        Revocation::Key(key, owner) => {
            let stored = read_key(txn, key)?;
            let Some(stored) = stored.filter(|key| key.is_of(owner)) else {
                return Ok(Step::unchanged(false));
            };
            remove_key(txn, key)?;
            Ok(Step::changed(true, move |standing| standing.remove_key(&stored.digest)))
        }
    }
}
