//! The engine of a single machine: redb, one file, one writer.
//!
//! Changes queue for the writer thread (`writer`), which puts all that wait
//! into one transaction and one fsync, publishes them to [`Standing`] and then
//! answers. Reads never come here: what the request path needs is in memory.
//!
//! The intents stand in a file for each part of the port, under the names that the shared
//! engine has for them.

mod accounts;
mod activity;
mod archive;
mod check;
mod failures;
mod keys;
mod records;
mod revocations;
mod schema;
mod servers;
mod sessions;
mod step;
mod sweep;
mod tickets;
mod workspaces;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::auth::error::StoreError;
use crate::auth::ports::{AccountLimits, Notice, Store, StoreHealth, StoreState};
use crate::auth::register::Registering;
use crate::auth::standing::Standing;
use crate::auth::time::{Seconds, Timestamp};

use super::archive::{Records, Snapshots};
use super::failures::Failures;
use super::pending_revocations::PendingRevocations;

use archive::Snapshot;
use keys::Coming;
use step::Step;
use writer::{Revocations, Writer};

pub use archive::{EmbeddedArchive, EmbeddedImport};
pub use check::Checked;
pub use schema::{FILE, OpenError, PARTIAL, judge};

pub struct EmbeddedStore {
    writer: Writer,
    standing: Arc<Standing>,
    pending: Arc<PendingRevocations>,
    failures: Failures,
    coming: Coming,
    limits: AccountLimits,
    /// How long the end of a session must be remembered after it: the longest
    /// lifetime of a token that names it.
    token_ttl: Seconds,
}

/// Where the file lies.
#[derive(Debug, Clone)]
pub enum Location {
    File(PathBuf),
    /// Nothing survives; for tests.
    Memory,
    /// A disk that can lose power.
    #[cfg(test)]
    Simulated(tests::disk::Disk),
}

impl EmbeddedStore {
    /// Opens or creates the store and loads what the request path needs.
    ///
    /// # Errors
    /// When the file is locked by another process, damaged, foreign or newer.
    /// A new store is only ever made where no file was.
    pub fn open(
        location: &Location,
        standing: Arc<Standing>,
        token_ttl: Seconds,
    ) -> Result<Self, OpenError> {
        let database = schema::open(location)?;
        activity::prune(&database).map_err(|error| schema::incomplete(&error, &location.path()))?;
        schema::load(&database, &standing, location)?;
        let pending = Arc::<PendingRevocations>::default();
        let revocations = Revocations { pending: Arc::clone(&pending), token_ttl };
        let writer = Writer::start(database, location.clone(), Arc::clone(&standing), revocations)
            .map_err(|source| OpenError::Io { path: location.path(), source })?;
        Ok(Self {
            writer,
            standing,
            pending,
            failures: Failures::default(),
            coming: Coming::default(),
            limits: AccountLimits::default(),
            token_ttl,
        })
    }

    /// With other limits for each account.
    #[must_use]
    pub fn with_limits(self, limits: AccountLimits) -> Self {
        Self { limits, ..self }
    }

    /// Reads a store that nothing else has open and looks whether it is whole: each
    /// page, each record, and each reference from one record to another.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn check(location: &Location) -> Result<Checked, OpenError> {
        let database = schema::reopen(location)?;
        check::check(&database).map_err(|error| OpenError::Damaged {
            path: location.path(),
            reason: error.to_string(),
        })
    }
}

#[async_trait]
impl Snapshots for EmbeddedStore {
    async fn snapshot(&self, freeze: Option<Duration>) -> Result<Box<dyn Records>, StoreError> {
        Ok(Box::new(Snapshot::of(self.writer.snapshot(freeze).await?)))
    }

    async fn thaw(&self) -> Result<bool, StoreError> {
        self.writer.thaw().await
    }
}

impl Location {
    /// Whether there is a store already.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Location::File(path) => path.exists(),
            Location::Memory => false,
            #[cfg(test)]
            Location::Simulated(_) => false,
        }
    }

    /// The file's name inside the data directory.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self::File(directory.join(FILE))
    }

    fn path(&self) -> PathBuf {
        match self {
            Location::File(path) => path.clone(),
            Location::Memory => PathBuf::from("memory"),
            #[cfg(test)]
            Location::Simulated(_) => PathBuf::from("simulated"),
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn set_registration(&self, registering: Registering) -> Result<(), StoreError> {
        self.writer
            .submit(move |txn| {
                schema::write_registration(txn, registering)?;
                Ok(Step::changed((), move |standing| standing.set_registration(registering)))
            })
            .await
    }

    async fn sweep(&self, now: Timestamp, past: Timestamp) -> Result<u64, StoreError> {
        self.sweep_all(now, past).await
    }

    async fn take_notice(&self, notice: Notice) -> Result<bool, StoreError> {
        self.writer
            .submit(move |txn| {
                if schema::take_notice(txn, notice.as_str())? {
                    Ok(Step::changed(true, |_| {}))
                } else {
                    Ok(Step::unchanged(false))
                }
            })
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.health()
    }

    fn health(&self) -> Option<StoreHealth> {
        let takes_changes = self.writer.health().is_ok();
        Some(StoreHealth {
            state: if takes_changes { StoreState::Live } else { StoreState::Refusing },
            staleness: None,
            undelivered: self.pending.len(),
        })
    }
}

#[cfg(test)]
mod tests;
