//! The one thread that writes, and its group commit: whatever waits is applied
//! in one transaction and made durable by one fsync, so that many sign-ins at
//! once cost little more than one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::oneshot;

use crate::auth::error::StoreError;
use crate::auth::standing::Standing;
use crate::auth::time::Seconds;
use crate::store::pending_revocations::{Delivery, PendingRevocations};

use super::revocations::revoke_in;
use super::step::Step;
use super::{Location, schema};

/// Changes that may wait; beyond this the caller hears "busy" at once.
const QUEUE_LENGTH: usize = 4_096;
/// Changes in one transaction.
const MAX_BATCH: usize = 512;
/// From a failed write to the next attempt: opening the file again reads all of it.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// From one look whether something has to be caught up with to the next.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
const PROBE_BYTES: usize = 64 * 1024;

/// Those that are not written yet.
pub(super) struct Revocations {
    pub pending: Arc<PendingRevocations>,
    pub token_ttl: Seconds,
}

pub(super) struct Writer {
    queue: Option<SyncSender<Job>>,
    healthy: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        database: Database,
        location: Location,
        standing: Arc<Standing>,
        revocations: Revocations,
    ) -> std::io::Result<Self> {
        let (queue, changes) = sync_channel(QUEUE_LENGTH);
        let healthy = Arc::new(AtomicBool::new(true));
        let commits = Arc::new(AtomicU64::new(0));
        let engine = Engine {
            database: Some(database),
            location,
            standing,
            revocations,
            healthy: Arc::clone(&healthy),
            commits: Arc::clone(&commits),
            retry: Instant::now(),
            frozen: None,
            next_look: Instant::now() + PROBE_PAUSE,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || engine.run(&changes))?;
        Ok(Self { queue: Some(queue), healthy, commits, thread: Some(thread) })
    }

    /// Applies `change` in the next transaction and answers when it is durable.
    pub(super) async fn submit<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction) -> Result<Step<T>, StoreError> + Send + 'static,
    {
        self.queue_up(change, true).await
    }

    /// Answers what `read` finds, in its turn among the changes, frozen or not.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction) -> Result<T, StoreError> + Send + 'static,
    {
        self.queue_up(move |txn| read(txn).map(Step::unchanged), false).await
    }

    async fn queue_up<T, F>(&self, change: F, writes: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction) -> Result<Step<T>, StoreError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let pending = Pending { change: Some(change), step: None, writes, answer };
        self.send(Job::Change(Box::new(pending)))?;
        result.await.map_err(|_| stopped())?
    }

    /// Everything as it is when all changes before this are through. With `freeze`, no
    /// change comes after it for that long.
    pub(super) async fn snapshot(
        &self,
        freeze: Option<Duration>,
    ) -> Result<ReadTransaction, StoreError> {
        let (answer, result) = oneshot::channel();
        self.send(Job::Snapshot { freeze, answer })?;
        result.await.map_err(|_| stopped())?
    }

    /// Lets changes in again; answers whether they were kept out.
    pub(super) async fn thaw(&self) -> Result<bool, StoreError> {
        let (answer, result) = oneshot::channel();
        self.send(Job::Thaw { answer })?;
        result.await.map_err(|_| stopped())
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => stopped(),
        })
    }

    /// Transactions so far.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(super) fn health(&self) -> Result<(), StoreError> {
        if self.healthy.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(StoreError::Unavailable("the last change could not be written".to_owned()))
        }
    }
}

impl Drop for Writer {
    /// Lets the thread finish what is queued and close the file.
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        tracing::debug!(commits = self.commits(), "store closed");
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store has stopped".to_owned())
}

fn frozen() -> StoreError {
    StoreError::Unavailable("it is frozen for an export".to_owned())
}

enum Job {
    Change(Box<dyn Change>),
    Snapshot {
        freeze: Option<Duration>,
        answer: oneshot::Sender<Result<ReadTransaction, StoreError>>,
    },
    Thaw {
        answer: oneshot::Sender<bool>,
    },
}

struct Engine {
    /// Absent after a failed write, until it has been opened again.
    database: Option<Database>,
    location: Location,
    standing: Arc<Standing>,
    revocations: Revocations,
    healthy: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    /// Not opened again before.
    retry: Instant,
    /// No change is let in before.
    frozen: Option<Instant>,
    /// When what could not be written is tried again, however much else there is to do.
    next_look: Instant,
}

impl Engine {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let pause = self.next_look.saturating_duration_since(Instant::now());
            if pause.is_zero() {
                self.catch_up();
                self.next_look = Instant::now() + PROBE_PAUSE;
                continue;
            }
            let first = match jobs.recv_timeout(pause) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let (mut batch, mut next) = (Vec::new(), Some(first));
            while let Some(Job::Change(change)) = next {
                batch.push(change);
                next = if batch.len() < MAX_BATCH { jobs.try_recv().ok() } else { None };
            }
            if !batch.is_empty() {
                self.carry_out(batch);
            }
            // Whoever asked may have left; a change it let in or kept out stands.
            match next {
                Some(Job::Snapshot { freeze, answer }) => drop(answer.send(self.snapshot(freeze))),
                Some(Job::Thaw { answer }) => drop(answer.send(self.thaw())),
                Some(Job::Change(_)) | None => {}
            }
        }
        self.catch_up();
        if let Some(database) = self.database.take()
            && let Err(error) = database.close()
        {
            tracing::error!(%error, "store not closed cleanly");
        }
    }

    fn carry_out(&mut self, mut batch: Vec<Box<dyn Change>>) {
        if self.is_frozen() {
            let (changes, looks) = batch.into_iter().partition(|change| change.writes());
            batch = looks;
            for change in changes {
                change.finish(Err(frozen()), &self.standing);
            }
        }
        let outcome = self.commit(&mut batch);
        self.record_outcome(&outcome);
        let outcome = outcome.map(|_| ());
        self.commits.fetch_add(1, Ordering::Relaxed);
        for change in batch {
            change.finish(outcome.clone(), &self.standing);
        }
    }

    /// Writes what ended while nothing could be written, and looks whether
    /// changes are taken again when they were not.
    fn catch_up(&mut self) {
        let revocations = self.revocations.pending.next(MAX_BATCH);
        let healthy = self.healthy.load(Ordering::Relaxed);
        if revocations.is_empty() && healthy || self.is_frozen() || !healthy && !self.has_room() {
            return;
        }
        let token_ttl = self.revocations.token_ttl;
        let (mut batch, mut answers): (Vec<Box<dyn Change>>, _) = (Vec::new(), Vec::new());
        for revocation in revocations {
            let (answer, result) = oneshot::channel();
            let end =
                move |txn: &WriteTransaction| revoke_in(txn, revocation, Delivery::Late, token_ttl);
            batch.push(Box::new(Pending { change: Some(end), step: None, writes: true, answer }));
            answers.push((revocation, result));
        }
        if !healthy {
            // Nothing, made durable.
            let change = Some(|_: &WriteTransaction| Ok(Step::changed((), |_| {})));
            let answer = oneshot::channel().0;
            batch.push(Box::new(Pending { change, step: None, writes: true, answer }));
        }
        self.carry_out(batch);
        let mut written = 0;
        for (revocation, mut result) in answers {
            match result.try_recv() {
                Ok(Ok(_)) => {}
                Ok(Err(error @ StoreError::Damaged(_))) => {
                    tracing::error!(%error, "pending revocation could not be stored, dropped");
                }
                _ => continue,
            }
            self.revocations.pending.sent(&self.standing, revocation);
            written += 1;
        }
        if written > 0 {
            tracing::info!(revocations = written, "pending revocations stored");
        }
    }

    /// Whether the disk takes more than the few free pages that the file may have of its
    /// own: with those alone the next change would fail again.
    fn has_room(&self) -> bool {
        let Location::File(path) = &self.location else { return true };
        let probe = path.with_extension("probe");
        let written = std::fs::File::create(&probe).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &vec![0; PROBE_BYTES])?;
            file.sync_all()
        });
        let removed = std::fs::remove_file(&probe);
        written.and(removed).is_ok()
    }

    fn snapshot(&mut self, freeze: Option<Duration>) -> Result<ReadTransaction, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        let snapshot = self.database.insert(database).begin_read()?;
        if let Some(length) = freeze {
            self.frozen = Some(Instant::now() + length);
            let seconds = length.as_secs();
            tracing::info!(seconds, "store frozen: sign-ins and changes refused");
        }
        Ok(snapshot)
    }

    fn is_frozen(&mut self) -> bool {
        match self.frozen {
            Some(until) if until <= Instant::now() => !self.thaw(),
            frozen => frozen.is_some(),
        }
    }

    fn thaw(&mut self) -> bool {
        let thawed = self.frozen.take().is_some();
        if thawed {
            tracing::info!("store unfrozen");
        }
        thawed
    }

    /// Answers whether anything was written.
    fn commit(&mut self, batch: &mut [Box<dyn Change>]) -> Result<bool, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        let result = apply(&database, batch);
        if result.is_ok() || matches!(self.location, Location::Memory) {
            self.database = Some(database);
        } else {
            self.retry = Instant::now() + RETRY;
        }
        result
    }

    /// After a failed write redb works no further on the same handle, and only the
    /// file knows whether the change has lasted: memory follows it.
    fn reopen(&mut self) -> Result<Database, StoreError> {
        let unavailable = |error: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("not open since a write failed: {error}"))
        };
        if Instant::now() < self.retry {
            return Err(unavailable(&"it is tried again soon"));
        }
        self.retry = Instant::now() + RETRY;
        let database = schema::reopen(&self.location).map_err(|error| unavailable(&error))?;
        schema::load(&database, &self.standing, &self.location)
            .map_err(|error| unavailable(&error))?;
        Ok(database)
    }

    /// One line when writing begins to fail and one when it works again.
    fn record_outcome(&self, outcome: &Result<bool, StoreError>) {
        let store = self.location.path();
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                if !self.healthy.swap(true, Ordering::Relaxed) {
                    tracing::info!(store = %store.display(), "store writable again");
                }
            }
            Err(error) => {
                if self.healthy.swap(false, Ordering::Relaxed) {
                    tracing::error!(
                        %error,
                        store = %store.display(),
                        "store not writable: sign-ins and changes refused, existing credentials stay \
                         valid; check the disk's free space and health"
                    );
                }
            }
        }
    }
}

/// Answers whether anything was written.
fn apply(database: &Database, batch: &mut [Box<dyn Change>]) -> Result<bool, StoreError> {
    let txn = database.begin_write()?;
    let mut wrote = false;
    for change in batch.iter_mut() {
        wrote |= change.apply(&txn)?;
    }
    if wrote {
        txn.commit()?;
    } else {
        txn.abort()?;
    }
    Ok(wrote)
}

/// A change with its types erased, so that different ones share a transaction.
trait Change: Send {
    /// Works on the transaction; answers whether it wrote. A damaged record is
    /// this change's own affair (changes read before they write, so nothing is
    /// half done); any other error fails the transaction.
    fn apply(&mut self, txn: &WriteTransaction) -> Result<bool, StoreError>;

    /// Whether it may write; refused while the store is frozen.
    fn writes(&self) -> bool;

    /// Publishes and answers, once the transaction is through or has failed.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>, standing: &Standing);
}

struct Pending<T, F> {
    change: Option<F>,
    step: Option<Result<Step<T>, StoreError>>,
    writes: bool,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Change for Pending<T, F>
where
    T: Send,
    F: FnOnce(&WriteTransaction) -> Result<Step<T>, StoreError> + Send,
{
    fn apply(&mut self, txn: &WriteTransaction) -> Result<bool, StoreError> {
        let Some(change) = self.change.take() else {
            return Ok(false);
        };
        match change(txn) {
            Ok(step) => {
                let wrote = step.publish.is_some();
                self.step = Some(Ok(step));
                Ok(wrote)
            }
            Err(error @ StoreError::Damaged(_)) => {
                self.step = Some(Err(error));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn writes(&self) -> bool {
        self.writes
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>, standing: &Standing) {
        let answer = match (outcome, self.step) {
            (Ok(()), Some(Ok(step))) => {
                if let Some(publish) = step.publish {
                    publish(standing);
                }
                Ok(step.answer)
            }
            (Ok(()), Some(Err(error))) | (Err(error), _) => Err(error),
            (Ok(()), None) => Err(stopped()),
        };
        // The caller may have left; the change stands all the same.
        let _ = self.answer.send(answer);
    }
}
