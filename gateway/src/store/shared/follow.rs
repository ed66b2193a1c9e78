//! Finding the server, following its stream of changes, and reading everything anew
//! when the thread is lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisError, Value, cmd};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::auth::account::Account;
use crate::auth::api_key::ApiKey;
use crate::auth::error::StoreError;
use crate::auth::ports::StoreState;
use crate::auth::server::Server;
use crate::auth::standing::Found;
use crate::auth::workspace::Workspace;
use crate::store::pending_revocations::Delivery;
use crate::store::record::{Record, check_member_role};
use crate::store::replica::change::{self, Change};
use crate::store::replica::memory::Place;

use super::link::{Connected, LinkError, connect};
use super::schema::{self, Beginning, Mark, OpenError};
use super::transaction::Transaction;
use super::{Engine, find};

/// How long the server keeps a query for changes before it answers "none": what
/// memory may miss while all is well is this and a trip.
const BLOCK_MS: u16 = 250;
const BLOCK: Duration = Duration::from_millis(BLOCK_MS as u64);
/// Entries taken at once.
const ENTRIES: usize = 1_000;
const PAGE: usize = 500;
const PROBE_PAUSE: Duration = Duration::from_secs(1);
/// Probes between two queries for the primary.
const PRIMARY_PROBES: u64 = 5;
/// Revocations that are sent from one probe to the next, and of these how many may fail.
const DELIVERED_AT_ONCE: usize = 1_000;
const FAILED_AT_ONCE: usize = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A server that was found fit, before it is followed.
pub(super) struct Attached {
    connected: Connected,
    follower: MultiplexedConnection,
}

impl Engine {
    /// Finds the server and looks whether it is the one we know.
    pub(super) async fn attach(&self) -> Result<Attached, OpenError> {
        let settings = &self.settings;
        let address = find::primary(settings, self.asked_first.load(Ordering::Relaxed)).await?;
        let connected = Connected::open(settings, address.clone()).await?;
        let fresh = Uuid::from_slice(&self.random_bytes::<16>()).unwrap_or_default();
        let known = self.installation.load_full();
        let known = Some(known.as_str()).filter(|known| !known.is_empty());
        let meta = schema::claim(settings, &connected, known, &fresh.to_string()).await?;
        self.installation.store(Arc::new(meta.installation));
        let follower = connect(settings, &address, Some(BLOCK + settings.timeout)).await?;
        Ok(Attached { connected, follower })
    }

    /// Takes commands without following.
    pub(super) async fn connect(&self) -> Result<(), OpenError> {
        self.link.set(&Arc::new(self.attach().await?.connected));
        Ok(())
    }

    /// As [`Engine::connect`], to a database that is marked for an import.
    pub(super) async fn connect_for_import(
        &self,
        export: &str,
        beginning: Beginning,
    ) -> Result<Mark, OpenError> {
        let connected = self.find_primary().await?;
        let fresh = Uuid::from_slice(&self.random_bytes::<16>()).unwrap_or_default().to_string();
        let settings = &self.settings;
        let mark = schema::begin_import(settings, &connected, export, beginning, &fresh).await?;
        self.use_connection(connected, &mark.installation);
        Ok(mark)
    }

    /// The same where it is marked, and nothing is changed.
    pub(super) async fn connect_to_import(&self, export: &str) -> Result<(), OpenError> {
        let connected = self.find_primary().await?;
        let installation = schema::find_import(&self.settings, &connected, export).await?;
        self.use_connection(connected, &installation);
        Ok(())
    }

    async fn find_primary(&self) -> Result<Connected, OpenError> {
        let settings = &self.settings;
        let address = find::primary(settings, self.asked_first.load(Ordering::Relaxed)).await?;
        Ok(Connected::open(settings, address).await?)
    }

    fn use_connection(&self, connected: Connected, installation: &str) {
        self.installation.store(Arc::new(installation.to_owned()));
        self.link.set(&Arc::new(connected));
    }

    /// Follows for ever; `ready` hears of the first time that everything is known, or
    /// that it cannot be for now.
    pub(super) async fn follow(
        self: &Arc<Self>,
        mut first: Option<Attached>,
        mut ready: Option<oneshot::Sender<()>>,
    ) {
        let mut pause = FIRST_PAUSE;
        loop {
            let attached = match first.take() {
                Some(attached) => Ok(attached),
                None => self.attach().await,
            };
            match attached {
                Ok(attached) => {
                    let since = Instant::now();
                    let error = self.follow_one(attached, &mut ready).await;
                    self.link.clear();
                    self.mark_unavailable(&error);
                    if since.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                }
                Err(error) => self.mark_unavailable(&error),
            }
            if let Some(ready) = ready.take() {
                let _ = ready.send(());
            }
            self.asked_first.fetch_add(1, Ordering::Relaxed);
            // Replicas that lost the server at once do not come back at once.
            tokio::time::sleep(pause / 2 + pause.mul_f64(self.fraction() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// After a follower that failed: what it had done with the last change is not known.
    pub(super) fn begin_anew(&self) {
        self.set_state(StoreState::Unreachable);
        self.link.clear();
        self.memory.forget_position();
    }

    /// One line when the server is lost, and one for each new reason.
    pub(super) fn mark_unavailable(&self, error: &OpenError) {
        let foreign = error.is_foreign();
        self.set_state(if foreign { StoreState::Foreign } else { StoreState::Unreachable });
        let text = error.to_string();
        let mut last = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *last != text {
            tracing::error!(
                error = text,
                "shared store unavailable: sign-ins and changes refused, existing credentials stay valid"
            );
            *last = text;
        }
    }

    /// Follows one server until it is lost, and says why.
    async fn follow_one(
        &self,
        attached: Attached,
        ready: &mut Option<oneshot::Sender<()>>,
    ) -> OpenError {
        let Attached { connected, mut follower } = attached;
        let address = connected.address.clone();
        let connected = Arc::new(connected);
        let lost = |error: StoreError| -> OpenError {
            if connected.is_foreign() {
                return OpenError::Replaced { address: address.clone() };
            }
            LinkError::Unreachable(address.clone(), error.to_string()).into()
        };
        let since = Instant::now();
        self.link.set(&connected);
        let resumes = match self.can_resume().await {
            Ok(resumes) => resumes,
            Err(error) => return lost(error),
        };
        if !resumes {
            self.memory.forget_ahead();
            match self.end_of_stream().await {
                Ok(place) => self.memory.begin_reading(place),
                Err(error) => return lost(error),
            }
            self.set_state(StoreState::Resyncing);
        }
        let reading = async {
            if !resumes {
                self.read_everything().await?;
            }
            self.wait_until_fresh(since).await;
            self.set_state(StoreState::Live);
            self.loaded.store(true, Ordering::Release);
            self.log_following(&address, resumes);
            if let Some(ready) = ready.take() {
                let _ = ready.send(());
            }
            // Memory knows all of it: nobody waits for it.
            self.deliver().await;
            self.probe(&address).await
        };
        tokio::select! {
            error = self.read_stream(&connected, &mut follower) => lost(error),
            result = reading => match result {
                Err(error) => lost(error),
                Ok(()) => lost(StoreError::Busy),
            },
            () = connected.wait_broken() => {
                lost(StoreError::Unavailable("a trip failed".to_owned()))
            }
        }
    }

    /// Looks whether this is still the server to follow. While changes are refused, tries
    /// one that means nothing: health tells when it was taken.
    async fn probe(&self, address: &super::Address) -> Result<(), StoreError> {
        for second in 1u64.. {
            tokio::time::sleep(PROBE_PAUSE).await;
            // A primary that was replaced may not know it yet. Others are asked each time,
            // and who cannot say, or names one that is no primary, is no reason.
            let asked = usize::try_from(second / PRIMARY_PROBES).unwrap_or(0);
            if second % PRIMARY_PROBES == 0
                && let Ok(primary) = find::primary(&self.settings, asked).await
                && primary != *address
                && schema::is_primary(&self.settings, &primary).await
            {
                return Err(StoreError::Unavailable(format!("{primary} is primary now")));
            }
            if !self.writable.load(Ordering::Relaxed) {
                let mut probe = Transaction::new(self);
                let arguments = [&b"1"[..], b"PX", b"1000"].map(<[u8]>::to_vec);
                probe.run("SET", self.names.probe(), arguments);
                // Its outcome is recorded like any other's.
                let _ = self.commit(probe).await;
            }
            if self.pending.len() > 0 && self.writable.load(Ordering::Relaxed) {
                self.deliver().await;
            }
        }
        Ok(())
    }

    /// Waits until nothing of the others before `moment` is missing.
    async fn wait_until_fresh(&self, moment: Instant) {
        loop {
            let more = self.freshened.notified();
            if self.fresh_at().is_some_and(|fresh| fresh >= moment) {
                return;
            }
            more.await;
        }
    }

    fn log_following(&self, address: &super::Address, resumed: bool) {
        let mut last = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        last.clear();
        let sizes = self.standing().sizes();
        tracing::info!(
            store = %address,
            resumed,
            accounts = sizes.accounts,
            keys = sizes.keys,
            "following the shared store"
        );
    }

    /// Whether the stream still has every place that memory has seen.
    async fn can_resume(&self) -> Result<bool, StoreError> {
        if self.memory.is_reading() || self.memory.position() == Place::default() {
            return Ok(false);
        }
        for place in self.memory.landmarks() {
            let mut entry = cmd("XRANGE");
            entry.arg(self.names.changes()).arg(place.to_string()).arg(place.to_string());
            if !matches!(self.query::<Value>(&entry).await?, Value::Array(found) if found.len() == 1)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn end_of_stream(&self) -> Result<Place, StoreError> {
        Ok(self.read_snapshot(&[]).await?.0)
    }

    /// Applies what comes, until an error.
    async fn read_stream(
        &self,
        connected: &Connected,
        follower: &mut MultiplexedConnection,
    ) -> StoreError {
        let failed = |error: RedisError| {
            connected.record_error(&error);
            StoreError::Unavailable(error.to_string())
        };
        loop {
            // Everything committed before the query is in the answer.
            let asked = Instant::now();
            let full = match self.read_entries(follower).await {
                Ok(answer) => self.apply_entries(answer, asked),
                Err(error) => return failed(error),
            };
            match full {
                Ok(true) => {}
                Ok(false) => {
                    if let Err(error) = self.wait_for_entries(follower).await {
                        return failed(error);
                    }
                }
                Err(error) => return error,
            }
        }
    }

    /// What has come behind memory's position, if it is of the database that memory was
    /// read from.
    async fn read_entries(
        &self,
        follower: &mut MultiplexedConnection,
    ) -> Result<Value, RedisError> {
        let mut query = cmd("XREAD");
        query.arg("COUNT").arg(ENTRIES);
        query.arg("STREAMS").arg(self.names.changes()).arg(self.memory.position().to_string());
        let bound = self.bound(&query);
        let answer = follower.send_packed_command(&bound).await.and_then(Value::extract_error);
        if answer.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT")) {
            let mut load = cmd("SCRIPT");
            load.arg("LOAD").arg(self.command.text.as_ref());
            follower.send_packed_command(&load).await.and_then(Value::extract_error)?;
            return follower.send_packed_command(&bound).await.and_then(Value::extract_error);
        }
        answer
    }

    /// Waits for an entry, at most [`BLOCK`]. It only wakes: it may be another database's.
    async fn wait_for_entries(
        &self,
        follower: &mut MultiplexedConnection,
    ) -> Result<(), RedisError> {
        let mut wait = cmd("XREAD");
        wait.arg("COUNT").arg(1).arg("BLOCK").arg(BLOCK_MS);
        wait.arg("STREAMS").arg(self.names.changes()).arg(self.memory.position().to_string());
        follower.send_packed_command(&wait).await.and_then(Value::extract_error).map(drop)
    }

    /// Answers whether there may be more already.
    fn apply_entries(&self, answer: Value, asked: Instant) -> Result<bool, StoreError> {
        let entries = entries(answer).ok_or_else(|| {
            StoreError::Unavailable(
                "unexpected reply from Redis to a read of the stream".to_owned(),
            )
        })?;
        let full = entries.len() == ENTRIES;
        for (place, published) in entries {
            match change::parse(&published) {
                Ok(changes) => {
                    let applied = self.memory.apply_next(place, change::ours(changes));
                    // What it meant to say is found in the records.
                    applied.inspect_err(|_| self.memory.forget_position())?;
                }
                Err(error) => {
                    // Written by hand; what it meant to say is found in the records.
                    tracing::error!(%error, %place, "undecodable change in the stream, full resync");
                    self.memory.forget_position();
                    return Err(error);
                }
            }
        }
        if !full {
            self.set_fresh(asked);
        }
        Ok(full)
    }

    /// Sends the server pending revocations, or some of them: each that is pending now at most
    /// once. What it does not take is tried again when all others have been, also those
    /// that are left for the next time.
    async fn deliver(&self) {
        let (mut delivered, mut failed) = (0, 0);
        for _ in 0..self.pending.len().min(DELIVERED_AT_ONCE) {
            // One at a time: its turn is over when it was tried, and not before.
            let Some(revocation) = self.pending.next(1).pop() else { break };
            match self.revoke(revocation, Delivery::Late).await {
                Ok(_) => {}
                Err(error @ StoreError::Damaged(_)) => {
                    tracing::error!(%error, "pending revocation could not be sent to the shared store, dropped");
                }
                Err(error) => {
                    tracing::debug!(%error, "pending revocation could not be sent to the shared store, will be retried");
                    failed += 1;
                    if failed == FAILED_AT_ONCE {
                        break;
                    }
                    continue;
                }
            }
            self.pending.sent(self.standing(), revocation);
            delivered += 1;
        }
        if delivered > 0 {
            tracing::info!(revocations = delivered, "pending revocations sent to the shared store");
        }
    }

    /// All that requests are judged by, page after page, while changes come in.
    async fn read_everything(&self) -> Result<(), StoreError> {
        let names = &self.names;
        let mut found = Found::default();
        // What ends something comes first.
        self.read_scores(&names.revoked(), |id, at| Some(Change::Revoked(id.parse().ok()?, at)))
            .await?;
        self.read_scores(&names.ended(), |id, at| {
            Some(Change::Ended(vec![(id.parse().ok()?, at)]))
        })
        .await?;
        self.read_scores(&names.lockouts(), |address, at| {
            Some(Change::LockedOut(address.to_owned(), at))
        })
        .await?;
        self.read_scores(&names.slowed(), |user, at| Some(Change::Slowed(user.parse().ok()?, at)))
            .await?;
        let closed: bool = self.query(cmd("EXISTS").arg(names.registration())).await?;
        self.memory.apply_page(vec![Change::RegistrationClosed(closed)], &mut found);
        let index = names.accounts();
        self.read_records::<Account>(&index, |id| names.account(id), Change::account, &mut found)
            .await?;
        let index = names.servers();
        self.read_records::<Server>(&index, |id| names.server(id), Change::server, &mut found)
            .await?;
        let index = names.workspaces();
        let key = |id| names.workspace(id);
        self.read_records::<Workspace>(&index, key, Change::workspace, &mut found).await?;
        let workspaces: Vec<Uuid> = found.workspaces.iter().map(|workspace| workspace.0).collect();
        for workspace in workspaces {
            self.read_members(workspace, &mut found).await?;
        }
        let index = names.keys();
        self.read_records::<ApiKey>(&index, |id| names.key(id), Change::key, &mut found).await?;
        self.read_uses().await?;
        self.memory.finish_reading(&found);
        Ok(())
    }

    async fn read_records<T: Record>(
        &self,
        index: &str,
        key: impl Fn(Uuid) -> String,
        change: impl Fn(&T) -> Change,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let from = after.map_or_else(|| "-".to_owned(), |last| format!("({last}"));
            let mut range = cmd("ZRANGEBYLEX");
            range.arg(index).arg(from).arg("+").arg("LIMIT").arg(0).arg(PAGE);
            let ids: Vec<String> = self.query(&range).await?;
            let keys: Vec<String> = ids.iter().filter_map(|id| id.parse().ok()).map(&key).collect();
            if !keys.is_empty() {
                let records: Vec<Option<Vec<u8>>> = self.query(cmd("MGET").arg(&keys)).await?;
                let mut page = Vec::with_capacity(keys.len());
                for (name, record) in keys.iter().zip(records) {
                    let Some(record) = record else { continue };
                    match T::decode(&record, name) {
                        Ok(record) => page.push(change(&record)),
                        Err(error) => tracing::error!(%error, "skipping undecodable record"),
                    }
                }
                self.memory.apply_page(page, found);
            }
            if ids.len() < PAGE {
                return Ok(());
            }
            after = ids.into_iter().next_back();
        }
    }

    async fn read_members(&self, workspace: Uuid, found: &mut Found) -> Result<(), StoreError> {
        let mut all = cmd("HGETALL");
        all.arg(self.names.members(workspace));
        let members: Vec<(String, String)> = self.query(&all).await?;
        let members = members.into_iter().filter_map(|(account, role)| {
            if let Err(error) = check_member_role(&role) {
                tracing::error!(%error, %workspace, account, "skipping undecodable record");
                return None;
            }
            Some(Change::Member(workspace, account.parse().ok()?, Some(role)))
        });
        self.memory.apply_page(members.collect(), found);
        Ok(())
    }

    /// A sorted set by score; what is there all the time is met at least once.
    async fn read_scores(
        &self,
        index: &str,
        change: impl Fn(&str, u64) -> Option<Change>,
    ) -> Result<(), StoreError> {
        let mut cursor: u64 = 0;
        loop {
            let mut scan = cmd("ZSCAN");
            scan.arg(index).arg(cursor).arg("COUNT").arg(PAGE);
            let (next, page): (u64, Vec<(String, f64)>) = self.query(&scan).await?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let changes = page.iter().filter_map(|(member, score)| change(member, *score as u64));
            self.memory.apply_page(changes.collect(), &mut Found::default());
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    async fn read_uses(&self) -> Result<(), StoreError> {
        let mut cursor: u64 = 0;
        let mut uses = Vec::new();
        loop {
            let mut scan = cmd("HSCAN");
            scan.arg(self.names.key_uses()).arg(cursor).arg("COUNT").arg(PAGE);
            let (next, page): (u64, Vec<(String, u64)>) = self.query(&scan).await?;
            uses.extend(page.iter().filter_map(|(key, at)| Some((key.parse().ok()?, *at))));
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        self.memory.apply_page(vec![Change::Used(uses)], &mut Found::default());
        Ok(())
    }

    fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// From zero to one.
    fn fraction(&self) -> f64 {
        f64::from(u16::from_le_bytes(self.random_bytes())) / f64::from(u16::MAX)
    }
}

/// `[[stream, [[id, [field, value, …]], …]]]`, or nil when nothing has come.
fn entries(answer: Value) -> Option<Vec<(Place, Vec<u8>)>> {
    type Entry = (String, Vec<(String, Vec<u8>)>);
    type Streams = Option<Vec<(String, Vec<Entry>)>>;
    let streams = Streams::from_redis_value(answer).ok()?.unwrap_or_default();
    let entries = streams.into_iter().flat_map(|(_, entries)| entries);
    entries
        .map(|(place, fields)| {
            // An entry of somebody else publishes nothing.
            let published = fields.into_iter().find(|(name, _)| name == "changes");
            let published = published.map_or_else(|| b"[]".to_vec(), |(_, bytes)| bytes);
            Some((Place::parse(&place)?, published))
        })
        .collect()
}
