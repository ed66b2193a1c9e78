//! `store import`: all of an export comes into a store, or nothing of it counts.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::Place;
use crate::cli::desk::prepare;
use crate::cli::output::say;
use crate::config::Config;
use crate::files;
use crate::server;
use crate::store::archive::file::{Part, Reading, import as write};
use crate::store::archive::{Counts, Import, Left, Unfinished, copy};
use crate::store::embedded::EmbeddedArchive;
use crate::store::shared::Beginning;

use super::{Failure, in_words};

const PRESENT: &str = "the store holds records already; import into an empty one, or add to it what \
                       it lacks of the export (--resume)";
const NOTHING: &str = "nothing was imported";
const UNFINISHED: &str = "it is not finished; run it again, with --resume";
const GOES_ON: &str = "no gateway uses what was imported; after the fix continue with --resume";

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
            ("standard input".to_owned(), kept("standard input", io::stdin().lock())?)
        } else {
            let name = file.display().to_string();
            let opened = File::open(file).map_err(|error| format!("{name}: {error}"))?;
            let found = opened.metadata().map_err(|error| format!("{name}: {error}"))?;
            if found.is_dir() {
                return Err(format!("{name}: this is a directory"));
            }
            let file = if found.is_file() { opened } else { kept(&name, opened)? };
            (name, file)
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
    async fn write(&self, to: &mut dyn Import) -> Result<u64, String> {
        let mut added = 0;
        for part in [Part::Ends, Part::Rest] {
            let mut reading = self.read()?;
            let written = write(to, &mut reading, part).await;
            added += written.map_err(|error| self.told(&error))?;
            if reading.sha256() != self.sha256 {
                return Err(self.told(&"it has changed while it was read"));
            }
        }
        Ok(added)
    }

    /// As [`Self::write`], into a scratch store.
    ///
    /// # Errors
    /// What clashes, or why it cannot be tried.
    pub(super) async fn rehearse(&self, scratch: EmbeddedArchive) -> Result<u64, String> {
        let mut import = scratch.import().map_err(|error| error.to_string())?;
        self.write(&mut import).await
    }

    /// As [`Self::write`], to its end.
    ///
    /// # Errors
    /// Why it was given up, and what is left of it.
    async fn import(&self, mut to: Box<dyn Import>) -> Result<u64, String> {
        let reason = match self.write(&mut *to).await {
            Ok(added) => {
                let Err(error) = to.finish().await else { return Ok(added) };
                let left = match error {
                    Unfinished::Undone(_) => NOTHING,
                    Unfinished::Unknown(_) => UNFINISHED,
                };
                return Err(format!("{error}\n{left}"));
            }
            Err(reason) => reason,
        };
        let left = match to.give_up().await {
            Ok(Left::Nothing) => NOTHING.to_owned(),
            Ok(Left::Part) => GOES_ON.to_owned(),
            Err(error) => format!("{error}\n{GOES_ON}"),
        };
        Err(format!("{reason}\n{left}"))
    }

    fn read(&self) -> Result<Reading<BufReader<&File>>, String> {
        (&self.file).seek(SeekFrom::Start(0)).map_err(|error| self.told(&error))?;
        Reading::begin(BufReader::new(&self.file)).map_err(|error| self.told(&error))
    }

    fn told(&self, error: &dyn Display) -> String {
        format!("{}: {error}", self.name)
    }
}

/// What comes through a pipe, as a file of which nothing is left behind: it can be read once,
/// and is whole only at its end.
fn kept(name: &str, mut from: impl io::Read) -> Result<File, String> {
    let directory = std::env::temp_dir();
    let unkept = |error: &dyn Display| {
        format!("{name} cannot be read, or kept in {} (TMPDIR): {error}", directory.display())
    };
    let mut file = files::unnamed(&directory).map_err(|error| unkept(&error))?;
    io::copy(&mut from, &mut file).map_err(|error| unkept(&error))?;
    Ok(file)
}

/// Tries it on a copy of what is there: into a shared store nothing is written, and no mark
/// is left, by which no gateway uses it, before it is known that nothing clashes.
async fn rehearse(config: &Config, source: &Source, beginning: Beginning) -> Result<u64, String> {
    let scratch = server::scratch_archive().map_err(|error| error.to_string())?;
    let present = server::find_beside_import(config, &source.sha256, beginning).await;
    if let Some(present) = present.map_err(|error| error.to_string())? {
        let copied = copy(&*present, &scratch).await.map_err(|error| error.to_string())?;
        if beginning == Beginning::New && copied.counts.values().any(|count| *count > 0) {
            return Err(PRESENT.to_owned());
        }
    }
    source.rehearse(scratch).await
}

async fn carry_out(config: &Config, source: &Source, beginning: Beginning) -> Result<u64, String> {
    if config.store.shared.is_some() {
        rehearse(config, source, beginning).await?;
    }
    let begun = server::begin_import(config, &source.sha256, beginning).await;
    let begun = begun.map_err(|error| error.to_string())?;
    source.import(begun.ok_or_else(|| PRESENT.to_owned())?).await
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
    let added = runtime.block_on(async {
        if dry_run {
            rehearse(&config, &source, beginning).await
        } else {
            carry_out(&config, &source, beginning).await
        }
    });
    let (added, total) = (added?, source.counts.values().sum::<u64>());
    let (verb, were) = if dry_run { ("would be added", "are") } else { ("added", "were") };
    Ok(say(&format!(
        "{added} records {verb}, {} {were} there already: {}\n",
        total - added,
        in_words(&source.counts)
    )))
}
