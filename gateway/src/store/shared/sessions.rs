//! Sign-ins and keys of one account within its limits, and sign-ins that end all at once:
//! by a mark on its record, whatever their number. Their records go after, a few in one
//! script, so that nobody waits long for it.

use async_trait::async_trait;
use redis::cmd;
use uuid::Uuid;

use crate::auth::account::ended::EndedSessions;
use crate::auth::account::{Account, AccountId};
use crate::auth::error::StoreError;
use crate::auth::ports::{
    CLEARED_AT_ONCE, LOOKED_AT_ONCE, Rotated, Rotation, SUPERSEDED_AT_ONCE, SessionOpening,
    Sessions,
};
use crate::auth::session::{Redeemed, Session, Surplus};
use crate::auth::time::{SWEEP_SLACK, Timestamp};
use crate::auth::token::{SessionId, TokenId};
use crate::store::pending_revocations::Revocation;
use crate::store::replica::change::Change;

use super::archive::from_score;
use super::records::{CLOCK_SLACK, SWEEP_BATCH, Step, number, text};
use super::transaction::Transaction;
use super::{Engine, SharedStore};

#[async_trait]
impl Sessions for SharedStore {
    async fn open_session(
        &self,
        session: Session,
        version: u64,
    ) -> Result<SessionOpening, StoreError> {
        let (engine, session) = (&*self.engine, &session);
        engine.transact(move |txn| engine.open_session(txn, session, version)).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let (engine, rotation) = (&*self.engine, &rotation);
        engine.transact(move |txn| engine.rotate(txn, rotation)).await
    }

    async fn revoke_token(&self, token: TokenId, expires: Timestamp) -> Result<(), StoreError> {
        self.engine.revoke_or_keep_pending(Revocation::Token(token, expires)).await.map(drop)
    }

    async fn end_session(&self, session: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.engine.revoke_or_keep_pending(Revocation::Session(session, now)).await
    }

    async fn end_sessions(&self, account: AccountId, now: Timestamp) -> Result<bool, StoreError> {
        let ended = self.engine.revoke_or_keep_pending(Revocation::Sessions(account, now)).await?;
        self.engine.clear_sessions(account.0, now).await;
        Ok(ended)
    }

    async fn find_session(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let mut txn = Transaction::new(&self.engine);
        let session = self.engine.session(&mut txn, session).await?;
        Ok(session.filter(|session| session.is_live(now)))
    }

    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        let names = &self.engine.names;
        let index =
            account.map_or_else(|| names.sessions(), |account| names.sessions_of(account.0));
        let key = |id| names.session(id);
        let standing = self.engine.standing();
        let kept_session = |session: &Session| {
            let account = standing.account(session.account);
            account.is_none_or(|account| !account.has_ended(session.id))
        };
        let listed =
            self.engine.page_of(&index, after.map(|id| id.0), limit, key, kept_session).await?;
        self.engine.with_last_uses(listed).await
    }

    async fn record_session_uses(
        &self,
        uses: Vec<(SessionId, Timestamp)>,
    ) -> Result<(), StoreError> {
        self.engine.record_session_uses(&uses).await
    }
}

impl Engine {
    /// A session that has not ended, whether or not its record is there still.
    pub(super) async fn session(
        &self,
        txn: &mut Transaction<'_>,
        id: SessionId,
    ) -> Result<Option<Session>, StoreError> {
        let key = self.names.session(id.0);
        let Some(session) = txn.record::<Session>(key).await? else { return Ok(None) };
        let account = self.account(txn, session.account).await?;
        Ok(account.filter(|account| !account.has_ended(id)).map(|_| session))
    }

    pub(super) async fn open_session<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        session: &Session,
        version: u64,
    ) -> Step<'s, SessionOpening> {
        let account = self.account(&mut txn, session.account).await?;
        let Some(mut account) = account.filter(|account| account.is_current(version)) else {
            return Ok((txn, SessionOpening::Stale));
        };
        let surplus = self.surplus(&mut txn, &account, session.created).await?;
        let Surplus { expired, superseded } = surplus;
        if let Err(last) = account.make_room_for(session.id, &superseded) {
            return Ok((Transaction::new(self), SessionOpening::Behind(last)));
        }
        self.add_session(&mut txn, session)?;
        self.remove_sessions(&mut txn, account.id.0, &ids(&expired));
        if !superseded.is_empty() {
            self.remove_ended(&mut txn, account.id.0, &ids(&superseded), session.created);
            self.write_account(&mut txn, &account)?;
        }
        Ok((txn, SessionOpening::Opened { superseded }))
    }

    pub(super) async fn rotate<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        rotation: &Rotation,
    ) -> Step<'s, Rotated> {
        let Some(mut session) = self.session(&mut txn, rotation.session).await? else {
            return Ok((txn, Rotated::Unknown));
        };
        let rotated = match session.redeem(rotation, self.settings.token_ttl) {
            Redeemed::Expired => Rotated::Unknown,
            Redeemed::Kept(pair) => Rotated::Pair(pair),
            // One that is handed out again is written again, so that it is durable too.
            Redeemed::Replaced(pair) | Redeemed::Repeated(pair) => {
                self.write_session(&mut txn, &session)?;
                Rotated::Pair(pair)
            }
            Redeemed::Reused => {
                let ended = self.end_session(&mut txn, &session, rotation.now);
                txn.publish(Change::Ended(vec![ended]));
                Rotated::FamilyEnded
            }
        };
        Ok((txn, rotated))
    }

    pub(super) fn add_session(
        &self,
        txn: &mut Transaction<'_>,
        session: &Session,
    ) -> Result<(), StoreError> {
        txn.touch(session.account.0);
        self.record_sign_in(txn, session.account, session.created);
        txn.run("ZADD", self.names.sessions(), [b"0".to_vec(), text(session.id.0)]);
        self.write_session(txn, session)
    }

    pub(super) fn write_session(
        &self,
        txn: &mut Transaction<'_>,
        session: &Session,
    ) -> Result<(), StoreError> {
        let (id, owner) = (session.id.0, session.account.0);
        txn.write(self.names.session(id), session, Some(session.expires.plus(SWEEP_SLACK)))?;
        txn.run("ZADD", self.names.sessions_of(owner), [b"0".to_vec(), text(id)]);
        let both = format!("{owner}/{id}").into_bytes();
        txn.run("ZADD", self.names.session_ends(), [number(session.expires.0), both]);
        Ok(())
    }

    /// Which sessions of an account give way to a new one.
    pub(super) async fn surplus(
        &self,
        txn: &mut Transaction<'_>,
        account: &Account,
        now: Timestamp,
    ) -> Result<Surplus, StoreError> {
        let (limits, kept_session) = (self.settings.limits, self.kept_session(account).await?);
        let (index, from) = (self.names.sessions_of(account.id.0), after(account.ended));
        let mut query = cmd("ZLEXCOUNT");
        query.arg(&index).arg(&from).arg("+");
        let later: usize = self.query(&query).await?;
        let count = later + usize::from(kept_session.is_some());
        // Where others come meanwhile and there is no room for them, it is decided anew.
        let room = limits.sessions.saturating_sub(count + 1);
        txn.at_most(index.clone(), Some(from.clone()), later + room);
        if limits.has_room_for_session(count) {
            return Ok(Surplus::default());
        }
        let mut range = cmd("ZRANGEBYLEX");
        range.arg(&index).arg(from).arg("+").arg("LIMIT").arg(0).arg(LOOKED_AT_ONCE);
        let mut all: Vec<Uuid> = kept_session.into_iter().map(|session| session.0).collect();
        all.extend(txn.ids(&range).await?);
        let ends = self.ends_of(account.id.0, &all).await?;
        let oldest = all.into_iter().zip(ends).map(|(id, end)| {
            // Who lengthens it meanwhile, by another clock, keeps it.
            (SessionId(id), end.is_some_and(|end| end.plus(CLOCK_SLACK) <= now))
        });
        Ok(Surplus::of(count, oldest, limits))
    }

    /// When each of an account's sessions ends by itself.
    pub(super) async fn ends_of(
        &self,
        owner: Uuid,
        sessions: &[Uuid],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let mut ends = Vec::with_capacity(sessions.len());
        for some in sessions.chunks(SWEEP_BATCH) {
            let mut scores = cmd("ZMSCORE");
            scores.arg(self.names.session_ends());
            for id in some {
                scores.arg(format!("{owner}/{id}"));
            }
            let found: Vec<Option<f64>> = self.query(&scores).await?;
            ends.extend(found.into_iter().map(|end| end.map(from_score)));
        }
        Ok(ends)
    }

    /// The one that went on when all others ended, if it still does.
    pub(super) async fn kept_session(
        &self,
        account: &Account,
    ) -> Result<Option<SessionId>, StoreError> {
        match account.ended.and_then(|ended| ended.but) {
            Some(but) if self.is_listed(account.id, but).await? => Ok(Some(but)),
            _ => Ok(None),
        }
    }

    pub(super) async fn is_listed(
        &self,
        account: AccountId,
        id: SessionId,
    ) -> Result<bool, StoreError> {
        let mut score = cmd("ZSCORE");
        score.arg(self.names.sessions_of(account.0)).arg(id.0.to_string());
        Ok(self.query::<Option<f64>>(&score).await?.is_some())
    }

    /// Removes a session and remembers its end for as long as a token may name it.
    pub(super) fn end_session(
        &self,
        txn: &mut Transaction<'_>,
        session: &Session,
        now: Timestamp,
    ) -> (Uuid, u64) {
        let until = session.end_counts_until(now, self.settings.token_ttl).plus(CLOCK_SLACK);
        let ended = (session.id.0, until.0);
        self.remove_sessions(txn, session.account.0, &[session.id.0]);
        txn.run("ZADD", self.names.ended(), [number(ended.1), text(ended.0)]);
        ended
    }

    /// Ends every session of an account but one, with its tickets; its record is the
    /// caller's to write. What is opened in between makes the transaction fail.
    pub(super) async fn end_all(
        &self,
        txn: &mut Transaction<'_>,
        account: &mut Account,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        txn.guard(account.id.0).await?;
        let index = self.names.sessions_of(account.id.0);
        let last = txn.ids(cmd("ZRANGE").arg(&index).arg(-1).arg(-1)).await?;
        if let Some(last) = last.first() {
            let kept = match keep {
                Some(session) => self.is_listed(account.id, session).await?,
                None => false,
            };
            account.end_sessions(SessionId(*last), keep.filter(|_| kept));
            self.clear(txn, account.id.0, account.ended, now).await?;
        }
        self.end_tickets(txn, account.id, now).await
    }

    /// Ends every session of an account that was opened up to a moment, as memory has done
    /// already; its record is the caller's to write.
    pub(super) async fn end_up_to(
        &self,
        txn: &mut Transaction<'_>,
        account: &mut Account,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        txn.guard(account.id.0).await?;
        account.end_up_to(at);
        self.clear(txn, account.id.0, account.ended, at).await?;
        self.end_tickets(txn, account.id, at).await
    }

    /// Removes some of what has ended at once, and notes whether there is more.
    pub(super) async fn clear(
        &self,
        txn: &mut Transaction<'_>,
        account: Uuid,
        ended: Option<EndedSessions>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let up_to = ended.map_or_else(|| "+".to_owned(), |ended| format!("[{}", ended.up_to.0));
        let kept_session = ended.and_then(|ended| ended.but);
        let mut range = cmd("ZRANGEBYLEX");
        range.arg(self.names.sessions_of(account)).arg("-").arg(up_to);
        // Besides these the one that goes on, and one that tells of more.
        range.arg("LIMIT").arg(0).arg(CLEARED_AT_ONCE + 2);
        let mut gone = txn.ids(&range).await?;
        gone.retain(|id| kept_session != Some(SessionId(*id)));
        let noted = if gone.len() > CLEARED_AT_ONCE { "SADD" } else { "SREM" };
        txn.run(noted, self.names.clearing(), [text(account)]);
        gone.truncate(CLEARED_AT_ONCE);
        self.remove_ended(txn, account, &gone, now);
        Ok(())
    }

    /// Removes sessions whose end an account's record tells. Gateways of earlier versions
    /// do not read it there and hear of each.
    pub(super) fn remove_ended(
        &self,
        txn: &mut Transaction<'_>,
        owner: Uuid,
        gone: &[Uuid],
        now: Timestamp,
    ) {
        if gone.is_empty() {
            return;
        }
        self.remove_sessions(txn, owner, gone);
        let until = now.plus(self.settings.token_ttl).plus(CLOCK_SLACK).0;
        txn.publish(Change::EndedAtOnce(owner));
        txn.publish(Change::Ended(gone.iter().map(|id| (*id, until)).collect()));
    }

    pub(super) fn remove_sessions(&self, txn: &mut Transaction<'_>, owner: Uuid, gone: &[Uuid]) {
        let ids = || gone.iter().map(|id| text(*id)).collect();
        let both = gone.iter().map(|id| format!("{owner}/{id}").into_bytes()).collect();
        for id in gone {
            txn.delete(self.names.session(*id));
            txn.delete(self.names.session_use(*id));
        }
        txn.run_each("ZREM", &self.names.sessions(), ids());
        txn.run_each("ZREM", &self.names.sessions_of(owner), ids());
        txn.run_each("ZREM", &self.names.session_ends(), both);
    }

    /// Removes what is left of sessions that ended at once, a few at a time; what fails is
    /// the next sweep's.
    pub(super) async fn clear_sessions(&self, account: Uuid, now: Timestamp) {
        if let Err(error) = self.try_clear(account, now).await {
            tracing::debug!(%error, %account, "ended sessions could not be cleared, will be retried");
        }
    }

    pub(super) async fn try_clear(&self, account: Uuid, now: Timestamp) -> Result<(), StoreError> {
        let mut noted = cmd("SISMEMBER");
        noted.arg(self.names.clearing()).arg(account.to_string());
        while self.query::<bool>(&noted).await? {
            self.transact(move |txn| self.clear_more(txn, account, now)).await?;
        }
        Ok(())
    }

    pub(super) async fn clear_more<'s>(
        &'s self,
        mut txn: Transaction<'s>,
        id: Uuid,
        now: Timestamp,
    ) -> Step<'s, ()> {
        match self.account(&mut txn, AccountId(id)).await? {
            Some(Account { ended: None, .. }) => {
                txn.run("SREM", self.names.clearing(), [text(id)]);
            }
            // Of an account that is gone, nothing stays.
            account => {
                let ended = account.and_then(|account| account.ended);
                self.clear(&mut txn, id, ended, now).await?;
            }
        }
        Ok((txn, ()))
    }

    /// What the end of another gateway has broken off.
    pub(super) async fn clear_broken_off(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut some = cmd("SRANDMEMBER");
        some.arg(self.names.clearing()).arg(SUPERSEDED_AT_ONCE);
        let accounts: Vec<String> = self.query(&some).await?;
        for account in accounts.iter().filter_map(|id| id.parse().ok()) {
            self.clear_sessions(account, now).await;
        }
        Ok(())
    }
}

fn ids(sessions: &[SessionId]) -> Vec<Uuid> {
    sessions.iter().map(|session| session.0).collect()
}

/// Where the ids of sessions begin that have not ended at once.
fn after(ended: Option<EndedSessions>) -> String {
    ended.map_or_else(|| "-".to_owned(), |ended| format!("({}", ended.up_to.0))
}
