//! The records of the configured store, to be exported, imported or looked at.

use std::sync::Arc;

use crate::auth::ports::Entropy;
use crate::auth::time::Seconds;
use crate::config::{self, Config};
use crate::crypto::entropy::SystemEntropy;
use crate::store::archive::{Archive, Import, is_empty};
use crate::store::embedded::{self, EmbeddedArchive, EmbeddedImport, Location};
use crate::store::shared::{self, Beginning, SharedArchive};

use super::StartError;
use super::stores::shared_settings;

/// The records of a store that is there: a shared one, or one that no gateway has open.
///
/// # Errors
/// When it cannot be opened.
pub async fn find_archive(config: &Config) -> Result<Option<Box<dyn Archive>>, StartError> {
    if let Some(shared) = &config.store.shared {
        let (settings, entropy) = archive_settings(shared)?;
        if shared::inspect(&settings).await?.schema.is_none() {
            return Ok(None);
        }
        return Ok(Some(Box::new(SharedArchive::open(settings, entropy).await?)));
    }
    let location = Location::in_directory(&config.store.directory);
    if !location.exists() {
        return Ok(None);
    }
    Ok(Some(Box::new(EmbeddedArchive::reopen(&location)?)))
}

/// Begins an import of the export with this checksum. `None` when it should be a new one
/// and there are records.
///
/// # Errors
/// When the store cannot be opened, or holds a part of another import.
pub async fn begin_import(
    config: &Config,
    export: &str,
    beginning: Beginning,
) -> Result<Option<Box<dyn Import>>, StartError> {
    if let Some(shared) = &config.store.shared {
        return begin_shared_import(shared, export, beginning).await;
    }
    let path = config.store.directory.join(embedded::FILE);
    if let Some(import) = EmbeddedImport::begin(&path)? {
        return Ok(Some(Box::new(import)));
    }
    let present = EmbeddedArchive::reopen(&Location::File(path))?;
    if beginning == Beginning::New && !is_empty(&present).await? {
        return Ok(None);
    }
    Ok(Some(Box::new(present.import()?)))
}

async fn begin_shared_import(
    shared: &config::SharedStore,
    export: &str,
    beginning: Beginning,
) -> Result<Option<Box<dyn Import>>, StartError> {
    let (settings, entropy) = archive_settings(shared)?;
    let import = SharedArchive::import(settings, entropy, export, beginning).await?;
    // A gateway may have begun there since it was looked at.
    if beginning == Beginning::New {
        match is_empty(import.records()).await {
            Ok(true) => {}
            Ok(false) => {
                Box::new(import).give_up().await?;
                return Ok(None);
            }
            Err(error) => {
                // Where the mark stays, whoever comes next is told.
                let _ = Box::new(import).give_up().await;
                return Err(error.into());
            }
        }
    }
    Ok(Some(Box::new(import)))
}

/// The records beside which those of the export with this checksum would come. Those of an
/// import that was cut short belong to them when it is resumed.
///
/// # Errors
/// As [`find_archive`].
pub async fn find_beside_import(
    config: &Config,
    export: &str,
    beginning: Beginning,
) -> Result<Option<Box<dyn Archive>>, StartError> {
    match (find_archive(config).await, &config.store.shared) {
        (
            Err(StartError::SharedStore(shared::OpenError::Importing { export: marked, .. })),
            Some(shared),
        ) if marked == export && beginning == Beginning::Resume => {
            let (settings, entropy) = archive_settings(shared)?;
            Ok(Some(Box::new(SharedArchive::cut_short(settings, entropy, export).await?)))
        }
        (found, _) => found,
    }
}

/// For who follows nobody: no session is ended, so no token's lifetime matters.
fn archive_settings(
    shared: &config::SharedStore,
) -> Result<(shared::Settings, Arc<dyn Entropy>), StartError> {
    Ok((shared_settings(shared, Seconds(0))?, Arc::new(SystemEntropy::default())))
}

/// An empty store to try things in, of which nothing is left behind.
///
/// # Errors
/// When there is no place for it.
pub fn scratch_archive() -> Result<EmbeddedArchive, StartError> {
    Ok(EmbeddedArchive::scratch()?)
}
