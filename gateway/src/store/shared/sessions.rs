//! Sign-ins and keys of one account within its limits, and sign-ins that end all at once:
//! by a mark on its record, whatever their number. Their records go after, a few in one
//! script, so that nobody waits long for it.

use redis::cmd;
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::error::StoreError;
use crate::auth::ports::{CLEARED_AT_ONCE, LOOKED_AT_ONCE, SUPERSEDED_AT_ONCE, SessionOpening};
use crate::auth::session::{EndedSessions, Session, Surplus};
use crate::auth::time::Timestamp;
use crate::auth::token::SessionId;

use super::Engine;
use super::archive::from_score;
use super::change::Change;
use super::intents::{CLOCK_SLACK, SWEEP_BATCH, Step, text};
use super::transaction::Transaction;

/// What the clocks of gateways may differ by, where a ticket's end is looked at.
const TICKET_SLACK_MS: u64 = 300_000;

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
        self.add_session(&mut txn, session).await?;
        self.remove_sessions(&mut txn, account.id.0, &ids(&expired));
        if !superseded.is_empty() {
            self.remove_ended(&mut txn, account.id.0, &ids(&superseded), session.created);
            self.write_account(&mut txn, &account)?;
        }
        Ok((txn, SessionOpening::Opened { superseded }))
    }

    /// Which sessions of an account give way to a new one.
    async fn surplus(
        &self,
        txn: &mut Transaction<'_>,
        account: &Account,
        now: Timestamp,
    ) -> Result<Surplus, StoreError> {
        let (limits, goes_on) = (self.settings.limits, self.goes_on(account).await?);
        let (index, from) = (self.names.sessions_of(account.id.0), after(account.ended));
        let mut question = cmd("ZLEXCOUNT");
        question.arg(&index).arg(&from).arg("+");
        let later: usize = self.ask(&question).await?;
        let count = later + usize::from(goes_on.is_some());
        // Where others come meanwhile and there is no room for them, it is decided anew.
        let room = limits.sessions.saturating_sub(count + 1);
        txn.at_most(index.clone(), Some(from.clone()), later + room);
        if limits.has_room_for_session(count) {
            return Ok(Surplus::default());
        }
        let mut range = cmd("ZRANGEBYLEX");
        range.arg(&index).arg(from).arg("+").arg("LIMIT").arg(0).arg(LOOKED_AT_ONCE);
        let mut all: Vec<Uuid> = goes_on.into_iter().map(|session| session.0).collect();
        all.extend(txn.ids(&range).await?);
        let ends = self.ends_of(account.id.0, &all).await?;
        let oldest = all.into_iter().zip(ends).map(|(id, end)| {
            // Who lengthens it meanwhile, by another clock, keeps it.
            (SessionId(id), end.is_some_and(|end| end.plus(CLOCK_SLACK) <= now))
        });
        Ok(Surplus::of(count, oldest, limits))
    }

    /// When each of an account's sessions ends by itself.
    async fn ends_of(
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
            let found: Vec<Option<f64>> = self.ask(&scores).await?;
            ends.extend(found.into_iter().map(|end| end.map(from_score)));
        }
        Ok(ends)
    }

    /// The one that went on when all others ended, if it still does.
    async fn goes_on(&self, account: &Account) -> Result<Option<SessionId>, StoreError> {
        match account.ended.and_then(|ended| ended.but) {
            Some(but) if self.is_listed(account.id, but).await? => Ok(Some(but)),
            _ => Ok(None),
        }
    }

    async fn is_listed(&self, account: AccountId, id: SessionId) -> Result<bool, StoreError> {
        let mut score = cmd("ZSCORE");
        score.arg(self.names.sessions_of(account.0)).arg(id.0.to_string());
        Ok(self.ask::<Option<f64>>(&score).await?.is_some())
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

    async fn end_tickets(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let index = self.names.tickets_of(account.0);
        // Names of those that went by themselves lie there for a day.
        let mut live = cmd("ZRANGEBYSCORE");
        live.arg(&index).arg(now.0.saturating_sub(TICKET_SLACK_MS)).arg("+inf");
        let tickets: Vec<String> = self.ask(&live).await?;
        for ticket in tickets {
            txn.delete(ticket);
        }
        txn.delete(index);
        Ok(())
    }

    /// Removes some of what has ended at once, and notes whether there is more.
    async fn clear(
        &self,
        txn: &mut Transaction<'_>,
        account: Uuid,
        ended: Option<EndedSessions>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let up_to = ended.map_or_else(|| "+".to_owned(), |ended| format!("[{}", ended.up_to.0));
        let goes_on = ended.and_then(|ended| ended.but);
        let mut range = cmd("ZRANGEBYLEX");
        range.arg(self.names.sessions_of(account)).arg("-").arg(up_to);
        // Besides these the one that goes on, and one that tells of more.
        range.arg("LIMIT").arg(0).arg(CLEARED_AT_ONCE + 2);
        let mut gone = txn.ids(&range).await?;
        gone.retain(|id| goes_on != Some(SessionId(*id)));
        let noted = if gone.len() > CLEARED_AT_ONCE { "SADD" } else { "SREM" };
        txn.run(noted, self.names.clearing(), [text(account)]);
        gone.truncate(CLEARED_AT_ONCE);
        self.remove_ended(txn, account, &gone, now);
        Ok(())
    }

    /// Removes sessions whose end an account's record tells. Gateways of earlier versions
    /// do not read it there and hear of each.
    fn remove_ended(&self, txn: &mut Transaction<'_>, owner: Uuid, gone: &[Uuid], now: Timestamp) {
        if gone.is_empty() {
            return;
        }
        self.remove_sessions(txn, owner, gone);
        let until = now.plus(self.settings.token_ttl).plus(CLOCK_SLACK).0;
        txn.tell(Change::EndedAtOnce(owner));
        txn.tell(Change::Ended(gone.iter().map(|id| (*id, until)).collect()));
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
            tracing::debug!(%error, %account, "ended sessions are removed later");
        }
    }

    async fn try_clear(&self, account: Uuid, now: Timestamp) -> Result<(), StoreError> {
        let mut noted = cmd("SISMEMBER");
        noted.arg(self.names.clearing()).arg(account.to_string());
        while self.ask::<bool>(&noted).await? {
            self.transact(move |txn| self.clear_more(txn, account, now)).await?;
        }
        Ok(())
    }

    async fn clear_more<'s>(
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
        let accounts: Vec<String> = self.ask(&some).await?;
        for account in accounts.iter().filter_map(|id| id.parse().ok()) {
            self.clear_sessions(account, now).await;
        }
        Ok(())
    }

    /// Whether the owner may have one key more. Where it has as many as it may, keys that
    /// have ended go.
    pub(super) async fn make_room(
        &self,
        txn: &mut Transaction<'_>,
        owner: AccountId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (limits, index) = (self.settings.limits, self.names.keys_of(owner.0));
        let held: usize = self.ask(cmd("SCARD").arg(&index)).await?;
        if limits.has_room_for_key(held) {
            txn.at_most(index, None, limits.keys - 1);
            return Ok(true);
        }
        let keys = self.keys_in(txn, &index).await?;
        let Some(ended) = limits.make_room_for_key(held, keys, now) else { return Ok(false) };
        for key in &ended {
            self.drop_key(txn, key);
        }
        txn.at_most(index, None, held);
        Ok(true)
    }
}

fn ids(sessions: &[SessionId]) -> Vec<Uuid> {
    sessions.iter().map(|session| session.0).collect()
}

/// Where the ids of sessions begin that have not ended at once.
fn after(ended: Option<EndedSessions>) -> String {
    ended.map_or_else(|| "-".to_owned(), |ended| format!("({}", ended.up_to.0))
}
