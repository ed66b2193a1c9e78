//! `store import`: all of an export comes into a store, or nothing of it counts.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::Place;
use crate::cli::administer::prepare;
use crate::cli::output::say;
use crate::files;
use crate::server::{self, StartError};
use crate::store::archive::file::{Part, Reading, import as write};
use crate::store::archive::{Counts, Import, copy};
use crate::store::shared::Beginning;

use super::{Failure, in_words};

const PRESENT: &str = "the store holds records already; import into an empty one, or add to it what \
                       it lacks of the export (--resume)";

/// An export that was read once and is whole. It is read again for each part of it.
pub(super) struct Source {
    /// For messages.
    name: String,
    file: File,
    sha256: String,
    pub counts: Counts,
}

impl Source {
    /// Opens and reads a file, or standard input with `-`.
    ///
    /// # Errors
    /// When it is not a whole export.
    pub(super) fn open(file: &Path) -> Result<Self, String> {
        let (name, file) = if file == Path::new("-") {
            ("standard input".to_owned(), keep_input()?)
        } else {
            let name = file.display().to_string();
            let opened = File::open(file).map_err(|error| format!("{name}: {error}"))?;
            (name, opened)
        };
        let mut source = Self { name, file, sha256: String::new(), counts: Counts::new() };
        let mut reading = source.read()?;
        while reading.next_entry().map_err(|error| source.told(&error))?.is_some() {}
        let (sha256, counts) = (reading.sha256(), reading.counts().clone());
        drop(reading);
        (source.sha256, source.counts) = (sha256, counts);
        Ok(source)
    }

    /// Writes what ends something, then the rest; answers how many records were not there.
    ///
    /// # Errors
    /// Why it was given up.
    pub(super) async fn import(&self, mut to: Box<dyn Import>) -> Result<u64, String> {
        let mut added = 0;
        for part in [Part::Ends, Part::Rest] {
            let mut reading = self.read()?;
            let written = write(&mut *to, &mut reading, part).await;
            added += written.map_err(|error| self.told(&error))?;
            if reading.sha256() != self.sha256 {
                return Err(self.told(&"it has changed while it was read"));
            }
        }
        to.finish().await.map_err(|error| error.to_string())?;
        Ok(added)
    }

    fn read(&self) -> Result<Reading<BufReader<&File>>, String> {
        (&self.file).seek(SeekFrom::Start(0)).map_err(|error| self.told(&error))?;
        Reading::begin(BufReader::new(&self.file)).map_err(|error| self.told(&error))
    }

    fn told(&self, error: &dyn Display) -> String {
        format!("{}: {error}", self.name)
    }
}

/// Standard input as a file, of which nothing is left behind: what comes through a pipe can be
/// read once, and is whole only at its end.
fn keep_input() -> Result<File, String> {
    let directory = std::env::temp_dir();
    let unkept = |error: &dyn Display| {
        format!("standard input cannot be kept in {} (TMPDIR): {error}", directory.display())
    };
    let mut file = files::unnamed(&directory).map_err(|error| unkept(&error))?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(|error| unkept(&error))?;
    Ok(file)
}

pub(super) fn import(
    place: &Place,
    file: &Path,
    resume: bool,
    dry_run: bool,
) -> Result<ExitCode, Failure> {
    let (config, runtime) = prepare(place)?;
    let source = Source::open(file)?;
    let beginning = if resume { Beginning::Resume } else { Beginning::New };
    let started = |error: StartError| error.to_string();
    let added: Result<u64, String> = runtime.block_on(async {
        if dry_run {
            let scratch = server::scratch_archive().map_err(started)?;
            if let Some(present) = server::find_archive(&config).await.map_err(started)? {
                let counts = copy(&*present, &scratch).await.map_err(|error| error.to_string())?;
                if beginning == Beginning::New && counts.values().any(|count| *count > 0) {
                    return Err(PRESENT.to_owned());
                }
            }
            let import = scratch.import().map_err(|error| error.to_string())?;
            return source.import(Box::new(import)).await;
        }
        if config.store.shared.is_some()
            && beginning == Beginning::New
            && let Ok(scratch) = server::scratch_archive()
        {
            // What clashes with itself is known before a mark is left.
            let import = scratch.import().map_err(|error| error.to_string())?;
            source.import(Box::new(import)).await?;
        }
        let begun = server::begin_import(&config, &source.sha256, beginning).await;
        let import = begun.map_err(started)?.ok_or_else(|| PRESENT.to_owned())?;
        source.import(import).await.map_err(|reason| match &config.store.shared {
            None => format!("{reason}\nnothing was imported"),
            Some(_) => format!(
                "{reason}\nno gateway uses what was imported; --resume goes on when that is mended"
            ),
        })
    });
    let (added, total) = (added?, source.counts.values().sum::<u64>());
    let (verb, were) = if dry_run { ("would be added", "are") } else { ("added", "were") };
    Ok(say(&format!(
        "{added} records {verb}, {} {were} there already: {}\n",
        total - added,
        in_words(&source.counts)
    )))
}
