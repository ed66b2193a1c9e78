//! The engine that replicas share: Redis, or what speaks like it.
//!
//! Every replica holds in memory all that requests are judged by, and follows a stream
//! of changes (`follow`, `replica/memory`), so that no request waits for a trip. What an intent
//! needs is read, the core decides, and one script commits that first looks whether what
//! was read still holds (`transaction`); all keys share a hash slot, so the script is
//! atomic in Cluster too. The intents stand in a file for each part of the port, under the
//! names that the embedded engine has for them. Without the server, known tokens and keys go on; changes
//! fail, and what ends a token or a key holds here at once and there on its return
//! (`store/pending_revocations`).

mod accounts;
mod activity;
mod archive;
mod buckets;
mod failures;
mod find;
mod follow;
mod keys;
mod link;
mod names;
mod read_through;
mod records;
mod revocations;
mod schema;
mod servers;
mod sessions;
mod settings;
mod sweep;
mod tickets;
mod transaction;
mod workspaces;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use redis::{Arg, Cmd, FromRedisValue, ToRedisArgs, Value, cmd};
use tokio_util::task::AbortOnDropHandle;

use crate::auth::error::StoreError;
use crate::auth::ports::{Buckets, Entropy, Missing, Notice, Store, StoreHealth, StoreState};
use crate::auth::register::Registering;
use crate::auth::standing::Standing;
use crate::auth::time::Timestamp;
use crate::background::keep_running;
use crate::store::failures::Failures;
use crate::store::pending_revocations::PendingRevocations;
use crate::store::replica::change::{self, Change};
use crate::store::replica::memory::{Memory, Place};

use link::{Link, accepted};
use names::Names;
use transaction::{Committed, Transaction};

pub use archive::{SharedArchive, SharedImport};
pub use link::LinkError;
pub use schema::{Beginning, Inspection, OpenError, inspect};
pub use settings::{Address, Durability, Settings, Topology};

/// How often an intent is decided anew when something it read has changed meanwhile.
const MAX_DECISIONS: usize = 32;

/// Looked for again after this long; asking for what is not there costs a trip.
const MISSES_KEPT: Duration = Duration::from_secs(1);
const MISSES: u64 = 10_000;

/// The engine, and the task that follows the others.
pub struct SharedStore {
    engine: Arc<Engine>,
    /// Ends with the store.
    _follower: AbortOnDropHandle<()>,
}

struct Engine {
    settings: Settings,
    names: Names,
    link: Link,
    memory: Memory,
    entropy: Arc<dyn Entropy>,
    /// What counts while the server cannot be asked.
    failures: Failures,
    pending: PendingRevocations,
    /// Whose database it is; empty before the first has been seen.
    installation: ArcSwap<String>,
    /// What was looked for and is nowhere.
    misses: moka::sync::Cache<Missing, ()>,
    /// Which Sentinel or node is asked first.
    asked_first: AtomicUsize,
    state: AtomicU8,
    /// Said once.
    last_error: std::sync::Mutex<String>,
    /// Whether the last change was taken.
    writable: AtomicBool,
    started: Instant,
    /// Milliseconds after `started` up to which nothing of the others has been missed;
    /// zero before the first time.
    fresh: AtomicU64,
    /// Wakes when `fresh` has grown.
    freshened: tokio::sync::Notify,
    /// Whether memory has ever been read to its end.
    loaded: AtomicBool,
    commit: Script,
    read: Script,
    command: Script,
    count: Script,
    buckets: Script,
    /// What the others know this replica by.
    replica: String,
}

/// What lies under the name of registration.
const CLOSED: &[u8] = b"closed";

/// What every script begins with that has no such look of its own.
const BOUND: &str = include_str!("shared/bound.lua");
const COMMAND: &str = include_str!("shared/command.lua");

/// A script and the name by which a server keeps it.
struct Script {
    text: Cow<'static, str>,
    sha: String,
}

impl Script {
    fn bound(text: &str) -> Self {
        Self::new(format!("{BOUND}{text}"))
    }

    fn new(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        let digest = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
            text.as_bytes(),
        );
        Self { text, sha: data_encoding::HEXLOWER.encode(digest.as_ref()) }
    }
}

impl SharedStore {
    /// Begins to follow. A server that cannot be reached is no error: it is tried again
    /// until it can, and [`StoreHealth`] tells.
    ///
    /// # Errors
    /// What trying again does not mend: credentials, TLS, a foreign or newer schema, a
    /// server that cannot keep what it should.
    pub async fn open(
        settings: Settings,
        standing: Arc<Standing>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let engine = Arc::new(Engine::new(settings, standing, entropy));
        let first = match engine.attach().await {
            Ok(attached) => Some(attached),
            Err(error) if error.is_passing() => {
                engine.mark_unavailable(&error);
                None
            }
            Err(error) => return Err(error),
        };
        let (ready, loaded) = tokio::sync::oneshot::channel();
        let follower = Arc::clone(&engine);
        let start = Mutex::new(Some((first, ready)));
        let follower = keep_running("shared store", move || {
            let first = start.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (attached, ready) =
                first.map_or((None, None), |(first, ready)| (first, Some(ready)));
            let engine = Arc::clone(&follower);
            if ready.is_none() {
                engine.begin_anew();
            }
            async move { engine.follow(attached, ready).await }
        });
        // Nothing can be judged before it is known; without a server it never is.
        let _ = loaded.await;
        Ok(Self { engine, _follower: follower })
    }
}

#[async_trait]
impl Store for SharedStore {
    async fn load_missing(&self, what: Missing) -> Result<bool, StoreError> {
        if self.engine.misses.contains_key(&what) {
            return Ok(false);
        }
        let found = self.engine.load_missing(what).await?;
        if !found {
            self.engine.misses.insert(what, ());
        }
        Ok(found)
    }

    async fn set_registration(&self, registering: Registering) -> Result<(), StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                engine.write_registration(&mut txn, registering);
                Ok((txn, ()))
            })
            .await
    }

    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError> {
        self.engine.failures.sweep(now);
        self.engine.standing().sweep(now, past);
        self.engine.pending.sweep(past);
        self.engine.sweep(now, past).await
    }

    fn buckets(&self) -> Option<Arc<dyn Buckets>> {
        Some(Arc::clone(&self.engine) as Arc<dyn Buckets>)
    }

    async fn take_notice(&self, notice: Notice) -> Result<bool, StoreError> {
        let engine = &*self.engine;
        engine
            .transact(move |mut txn| async move {
                let key = engine.names.notice(notice.as_str());
                if txn.read(key.clone()).await?.is_some() {
                    return Ok((txn, false));
                }
                txn.set(key, b"1".to_vec(), None);
                Ok((txn, true))
            })
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.engine.query::<u8>(cmd("EXISTS").arg(self.engine.names.meta())).await?;
        if self.engine.writable.load(std::sync::atomic::Ordering::Relaxed) {
            Ok(())
        } else {
            Err(StoreError::Unavailable("the last change was not taken".to_owned()))
        }
    }

    fn health(&self) -> Option<StoreHealth> {
        Some(self.engine.health())
    }

    fn is_loaded(&self) -> bool {
        self.engine.loaded.load(std::sync::atomic::Ordering::Acquire)
    }
}

impl Engine {
    fn new(settings: Settings, standing: Arc<Standing>, entropy: Arc<dyn Entropy>) -> Self {
        let mut replica = [0; 12];
        entropy.fill(&mut replica);
        Self {
            names: Names::new(&settings.prefix),
            link: Link::default(),
            memory: Memory::new(standing),
            entropy,
            failures: Failures::default(),
            pending: PendingRevocations::default(),
            misses: moka::sync::Cache::builder()
                .max_capacity(MISSES)
                .time_to_live(MISSES_KEPT)
                .build(),
            installation: ArcSwap::default(),
            asked_first: AtomicUsize::new(0),
            state: AtomicU8::new(StoreState::Unreachable as u8),
            last_error: std::sync::Mutex::default(),
            writable: AtomicBool::new(true),
            started: Instant::now(),
            fresh: AtomicU64::new(0),
            freshened: tokio::sync::Notify::new(),
            loaded: AtomicBool::new(false),
            commit: Script::new(transaction::SCRIPT),
            read: Script::new(include_str!("shared/read.lua")),
            command: Script::bound(COMMAND),
            count: Script::bound(failures::SCRIPT),
            buckets: Script::bound(buckets::SCRIPT),
            replica: data_encoding::HEXLOWER.encode(&replica),
            settings,
        }
    }

    fn write_registration(&self, txn: &mut Transaction<'_>, registering: Registering) {
        let key = self.names.registration();
        match registering {
            Registering::Closed => txn.set(key, CLOSED.to_vec(), None),
            Registering::Open => txn.delete(key),
        }
        txn.publish(Change::RegistrationClosed(registering == Registering::Closed));
    }

    fn standing(&self) -> &Standing {
        self.memory.standing()
    }

    fn random(&self) -> Vec<u8> {
        let mut bytes = [0; 12];
        self.entropy.fill(&mut bytes);
        data_encoding::HEXLOWER.encode(&bytes).into_bytes()
    }

    /// Carries out one command on the database that memory was read from, or none.
    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let answers = self.script(&self.command, &self.bound(command), None).await?;
        T::from_redis_value(accepted(answers.into_iter().next())?).map_err(|error| {
            StoreError::Unavailable(format!("unexpected reply from Redis: {error}"))
        })
    }

    /// Each as [`Self::query`] does, without waiting for one another.
    async fn query_each(&self, commands: &[Cmd]) -> Result<Vec<Value>, StoreError> {
        let mut all = redis::Pipeline::new();
        for command in commands {
            all.add_command(self.bound(command));
        }
        let answers = self.script_all(&self.command, &all, false).await?;
        answers.into_iter().map(|answer| accepted(Some(answer))).collect()
    }

    /// A command as the arguments of [`COMMAND`].
    fn bound(&self, command: &Cmd) -> Cmd {
        let words: Vec<&[u8]> = command
            .args_iter()
            .filter_map(|word| match word {
                Arg::Simple(word) => Some(word),
                _ => None,
            })
            .collect();
        let keys = words.iter().copied().filter(|word| self.names.is_key(word)).collect::<Vec<_>>();
        let mut bound = self.invoke(&self.command, &keys);
        bound.arg(words);
        bound
    }

    /// A script that begins with [`BOUND`], with its keys; its arguments come behind.
    fn invoke<K: ToRedisArgs>(&self, script: &Script, keys: &[K]) -> Cmd {
        let mut invocation = redis::cmd("EVALSHA");
        invocation.arg(&script.sha).arg(keys.len() + 1).arg(self.names.meta()).arg(keys);
        invocation.arg(self.installation.load().as_str());
        invocation
    }

    /// Runs a script that the server may have forgotten.
    async fn script(
        &self,
        script: &Script,
        command: &Cmd,
        wait: Option<&Cmd>,
    ) -> Result<Vec<Value>, StoreError> {
        let mut commands = redis::Pipeline::new();
        commands.add_command(command.clone());
        if let Some(wait) = wait {
            commands.add_command(wait.clone());
        }
        self.script_all(script, &commands, wait.is_some()).await
    }

    /// The same for several at once, of which the first is the script.
    async fn script_all(
        &self,
        script: &Script,
        commands: &redis::Pipeline,
        waits: bool,
    ) -> Result<Vec<Value>, StoreError> {
        let send = async || {
            if waits {
                self.link.call_and_wait(commands).await
            } else {
                self.link.call_all(commands).await
            }
        };
        let answers = send().await?;
        if !is_unknown_script(&answers) {
            return Ok(answers);
        }
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(script.text.as_ref());
        self.link.call(&load).await?;
        send().await
    }

    /// Decides and commits, anew if something has changed in between.
    async fn transact<'s, T, F, D>(&'s self, decide: D) -> Result<T, StoreError>
    where
        D: Fn(Transaction<'s>) -> F,
        F: Future<Output = Result<(Transaction<'s>, T), StoreError>>,
    {
        for _ in 0..MAX_DECISIONS {
            let (transaction, answer) = decide(Transaction::new(self)).await?;
            if transaction.is_empty() || self.commit(transaction).await? {
                return Ok(answer);
            }
        }
        Err(StoreError::Busy)
    }

    /// `false` when something that was read has changed.
    async fn commit(&self, transaction: Transaction<'_>) -> Result<bool, StoreError> {
        let command = transaction.command(&self.commit.sha, &self.installation.load())?;
        let wait = self.wait();
        let outcome = async {
            let mut answers = self.script(&self.commit, &command, wait.as_ref()).await?.into_iter();
            let answer = accepted(answers.next())?;
            let committed = Committed::parse(&answer)?;
            if let Committed::At(Some(place)) = committed {
                // What is published holds here too, whether or not it is durable yet.
                self.memory.apply_own(place, change::ours(transaction.changes))?;
            }
            if let (Committed::At(_), Some(waited)) = (&committed, answers.next()) {
                self.check_durable(waited)?;
            }
            Ok(matches!(committed, Committed::At(_)))
        };
        let outcome: Result<bool, StoreError> = outcome.await;
        self.record_outcome(&outcome);
        outcome
    }

    /// What has to follow a change before it counts.
    fn wait(&self) -> Option<Cmd> {
        // Less than the trip's own deadline, so that the answer is the server's.
        let millis = u64::try_from(self.settings.timeout.as_millis()).unwrap_or(u64::MAX) * 3 / 4;
        match self.settings.durability {
            Durability::Fast => None,
            Durability::Fsync => {
                let mut wait = redis::cmd("WAITAOF");
                wait.arg(1).arg(0).arg(millis);
                Some(wait)
            }
            Durability::Replicated(replicas) => {
                let mut wait = redis::cmd("WAIT");
                wait.arg(replicas).arg(millis);
                Some(wait)
            }
        }
    }

    fn check_durable(&self, waited: Value) -> Result<(), StoreError> {
        let waited = accepted(Some(waited))?;
        let unsafe_yet =
            |what: &str| StoreError::Unavailable(format!("the change was made but {what} in time"));
        match (self.settings.durability, waited) {
            (Durability::Fsync, Value::Array(parts)) => match parts.first() {
                Some(Value::Int(1..)) => Ok(()),
                _ => Err(unsafe_yet("not written to the append-only file")),
            },
            (Durability::Replicated(wanted), Value::Int(copies)) => {
                if copies >= i64::from(wanted) {
                    Ok(())
                } else {
                    Err(unsafe_yet(&format!("only {copies} of {wanted} replicas had it")))
                }
            }
            _ => Err(unsafe_yet("not confirmed")),
        }
    }

    /// One line when changes begin to fail and one when they work again.
    fn record_outcome<T>(&self, outcome: &Result<T, StoreError>) {
        match outcome {
            Ok(_) => {
                if !self.writable.swap(true, Ordering::Relaxed) {
                    tracing::info!("shared store writable again");
                }
            }
            Err(StoreError::Unavailable(reason)) => {
                if self.writable.swap(false, Ordering::Relaxed) {
                    tracing::error!(
                        reason,
                        "shared store not writable: sign-ins and changes refused, existing credentials \
                         stay valid"
                    );
                }
            }
            Err(_) => {}
        }
    }

    /// Reads records as one snapshot, with the place in the stream at which they stood.
    /// A field is read from a hash, none from a string.
    async fn read_snapshot(
        &self,
        wanted: &[(String, Option<String>)],
    ) -> Result<(Place, Vec<Option<Vec<u8>>>), StoreError> {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.read.sha).arg(wanted.len() + 2);
        command.arg(self.names.changes()).arg(self.names.meta());
        for (key, _) in wanted {
            command.arg(key);
        }
        command.arg(self.installation.load().as_str());
        for (_, field) in wanted {
            command.arg(field.as_deref().unwrap_or(""));
        }
        let mut answers = self.script(&self.read, &command, None).await?.into_iter();
        let unexpected =
            || StoreError::Unavailable("unexpected reply from Redis to a read".to_owned());
        let Value::Array(parts) = accepted(answers.next())? else { return Err(unexpected()) };
        let mut parts = parts.into_iter();
        let place = parts.next().ok_or_else(unexpected)?;
        let place = String::from_redis_value(place).map_err(|_| unexpected())?;
        let place = Place::parse(&place).ok_or_else(unexpected)?;
        let held: Result<Vec<Option<Vec<u8>>>, _> =
            parts.map(FromRedisValue::from_redis_value).collect();
        Ok((place, held.map_err(|_| unexpected())?))
    }

    /// Brings records that were read to memory, unless it knows later ones.
    fn apply_read(&self, place: Place, changes: Vec<Change>) -> Result<(), StoreError> {
        self.memory.apply_read(place, changes)
    }

    fn set_state(&self, state: StoreState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Nothing of the others up to then has been missed.
    fn set_fresh(&self, asked: Instant) {
        let millis = asked.duration_since(self.started).as_millis();
        self.fresh.store(u64::try_from(millis).unwrap_or(u64::MAX).max(1), Ordering::Release);
        self.freshened.notify_waiters();
    }

    /// The last moment up to which nothing of the others has been missed.
    fn fresh_at(&self) -> Option<Instant> {
        match self.fresh.load(Ordering::Acquire) {
            0 => None,
            millis => Some(self.started + Duration::from_millis(millis)),
        }
    }

    fn health(&self) -> StoreHealth {
        let state = match self.state.load(Ordering::Acquire) {
            state if state == StoreState::Live as u8 => {
                if self.writable.load(Ordering::Relaxed) {
                    StoreState::Live
                } else {
                    StoreState::Refusing
                }
            }
            state if state == StoreState::Resyncing as u8 => StoreState::Resyncing,
            state if state == StoreState::Foreign as u8 => StoreState::Foreign,
            _ => StoreState::Unreachable,
        };
        let loaded = self.loaded.load(Ordering::Acquire);
        let staleness = self.fresh_at().filter(|_| loaded).map(|fresh| fresh.elapsed());
        StoreHealth { state, staleness, undelivered: self.pending.len() }
    }
}

fn is_unknown_script(answers: &[Value]) -> bool {
    matches!(answers.first(), Some(Value::ServerError(error)) if error.code() == "NOSCRIPT")
}

#[cfg(test)]
mod tests;
