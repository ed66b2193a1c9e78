//! Commands that look after the store: check, export, backup, import.

mod import;
mod partial;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

use crate::config::Config;
use crate::server;
use crate::socket::{self, Answer, Question};
use crate::store::archive::file::{Export, is_last};
use crate::store::archive::{Copied, Counts, Orphans, copy};
use crate::store::embedded::Location;

use super::configuration::{configure_store, looked_in};
use super::desk::{no_answer, no_store, prepare};
use super::output::{complain, fail, say};
use super::{Place, parse_seconds};
use import::Source;
use partial::Partial;

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Check every page and record for damage; no gateway may have a file open
    Check {
        /// Check an export instead
        file: Option<PathBuf>,
    },
    /// Write every record as a line of JSON, secrets only as hashes
    ///
    /// Works beside the running gateway and without it. What gateways change meanwhile in
    /// a shared store may be in it or not.
    Export {
        /// [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// From the moment of the export on, refuse changes and sign-ins for so long, such
        /// as 60s; a restart and `store thaw` end it
        #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
        freeze: Option<u64>,
    },
    /// Export into a file, which appears when it is complete and verified
    Backup {
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Add every record of an export to an empty store; no gateway may have a file open
    Import {
        /// `-` reads standard input
        file: PathBuf,
        /// Continue an interrupted import, or add the records of this export that a store lacks
        #[arg(long)]
        resume: bool,
        /// Report what would be done and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Let the running gateway accept changes again after `export --freeze`
    Thaw,
}

const NEVER_USED: &str = "the shared store holds nothing of a gateway (store.prefix)";

pub(super) fn store(place: &Place, command: StoreCommand) -> ExitCode {
    let done = match command {
        StoreCommand::Check { file: None } => check(place),
        StoreCommand::Check { file: Some(file) } => check_export(place, &file),
        StoreCommand::Export { output, freeze } => export(place, output.as_deref(), freeze),
        StoreCommand::Backup { output } => export(place, Some(&output), None),
        StoreCommand::Import { file, resume, dry_run } => {
            import::import(place, &file, resume, dry_run)
        }
        StoreCommand::Thaw => thaw(place),
    };
    done.unwrap_or_else(|failure| match failure {
        Failure::Told(code) => code,
        Failure::Reason(reason) => fail(1, &reason),
    })
}

/// Why a command has not done its work.
enum Failure {
    Told(ExitCode),
    Reason(String),
}

impl From<ExitCode> for Failure {
    fn from(code: ExitCode) -> Self {
        Failure::Told(code)
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure::Reason(reason)
    }
}

fn check(place: &Place) -> Result<ExitCode, Failure> {
    let config = configure_store(place)?;
    if config.store.shared.is_some() {
        return check_shared(place);
    }
    server::judge_store(&config).map_err(|error| error.to_string())?;
    if !Location::in_directory(&config.store.directory).exists() {
        return Err(no_store(place, &config).into());
    }
    let store = server::check_store(&config).map_err(|error| error.to_string())?;
    if !store.faults.is_empty() {
        return Err(format!("the store is damaged:\n{}", store.faults.join("\n")).into());
    }
    Ok(say(&format!(
        "the store is whole: {} accounts, {} sessions, {} keys, {} tickets, {} revocations\n",
        store.accounts, store.sessions, store.keys, store.tickets, store.revocations
    )))
}

/// A shared store is whole if all of it can be read and goes into another.
fn check_shared(place: &Place) -> Result<ExitCode, Failure> {
    let (config, runtime) = prepare(place)?;
    let checked: Result<Copied, String> = runtime.block_on(async {
        let archive = server::find_archive(&config).await.map_err(|error| error.to_string())?;
        let archive = archive.ok_or_else(|| NEVER_USED.to_owned())?;
        let scratch = server::scratch_archive().map_err(|error| error.to_string())?;
        copy(&*archive, &scratch).await.map_err(|error| error.to_string())
    });
    let Copied { counts, orphans } = checked?;
    if let Some(lost) = &orphans.lost {
        let all = in_words(&orphans.counts);
        return Err(format!(
            "the store is damaged: {lost}; of what is not there are {all}; if gateways are at \
             work, try again"
        )
        .into());
    }
    let left = if orphans.counts.is_empty() {
        String::new()
    } else {
        format!("; left of what is gone: {}", in_words(&orphans.counts))
    };
    Ok(say(&format!("the store is whole: {}{left}\n", in_words(&counts))))
}

fn check_export(place: &Place, file: &Path) -> Result<ExitCode, Failure> {
    let (_, runtime) = prepare(place)?;
    let source = Source::open(file)?;
    runtime.block_on(async {
        let scratch = server::scratch_archive().map_err(|error| error.to_string())?;
        source.rehearse(scratch).await
    })?;
    Ok(say(&format!("the export is whole: {}\n", in_words(&source.counts))))
}

fn thaw(place: &Place) -> Result<ExitCode, Failure> {
    let (config, runtime) = prepare(place)?;
    match runtime.block_on(socket::ask(&config.store.directory, &Question::Thaw)) {
        Ok(Some(Answer::Thawed(true))) => Ok(say("the gateway takes changes again\n")),
        Ok(Some(Answer::Thawed(false))) => Ok(say("the gateway was not frozen\n")),
        Ok(Some(Answer::Failed(failed))) => Err(failed.reason.into()),
        Ok(Some(_)) => Err("unexpected answer".to_owned().into()),
        Ok(None) => Err(format!("no gateway is running; {}", looked_in(place, &config)).into()),
        Err(error) => Err(no_answer(&error).into()),
    }
}

fn export(place: &Place, file: Option<&Path>, freeze: Option<u64>) -> Result<ExitCode, Failure> {
    let (config, runtime) = prepare(place)?;
    match file {
        // Of a device or a pipe nothing is replaced, and nothing can be read back.
        Some(path) if partial::is_special(path) => {
            let to = path.display().to_string();
            let opened = File::options().write(true).open(path);
            let mut out = opened.map_err(|error| format!("{to}: {error}"))?;
            runtime.block_on(write_export(place, &config, freeze, &to, &mut out, Write::flush))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(path) if path != Path::new("-") => {
            let mut partial = Partial::beside(path)?;
            let keep = |partial: &mut Partial| partial.keep();
            let to = path.display().to_string();
            runtime.block_on(write_export(place, &config, freeze, &to, &mut partial, keep))?;
            let counts = partial.counts.take().unwrap_or_default();
            Ok(say(&format!("{} in {}\n", in_words(&counts), path.display())))
        }
        _ => {
            let mut out = io::stdout().lock();
            let to = "standard output";
            runtime.block_on(write_export(place, &config, freeze, to, &mut out, Write::flush))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Writes an export of the running gateway's store, or of the one at rest, and then
/// keeps it, which is when a freeze becomes the caller's.
async fn write_export<W: Write>(
    place: &Place,
    config: &Config,
    freeze: Option<u64>,
    to: &str,
    out: &mut W,
    keep: impl FnOnce(&mut W) -> io::Result<()>,
) -> Result<(), String> {
    let unwritten = |error: io::Error| format!("{to}: the export could not be written: {error}");
    let directory = &config.store.directory;
    let running = if config.store.shared.is_none() {
        socket::ask_health(directory).await.map_err(|error| no_answer(&error))?;
        socket::export(directory, freeze).await.map_err(|error| no_answer(&error))?
    } else if freeze.is_some() {
        return Err("only a store in a file can be frozen, by its gateway".to_owned());
    } else {
        None
    };
    let Some(mut lines) = running else {
        if freeze.is_some() {
            complain("no gateway is running; there is nothing to freeze");
        }
        let archive = server::find_archive(config).await.map_err(|error| error.to_string())?;
        let archive = archive.ok_or_else(|| match &config.store.shared {
            None => no_store(place, config),
            Some(_) => NEVER_USED.to_owned(),
        })?;
        let mut export = Export::of(&*archive);
        while let Some(lines) = export.next().await.map_err(|error| error.to_string())? {
            out.write_all(&lines).map_err(unwritten)?;
        }
        keep(out).map_err(unwritten)?;
        tell_left_out(export.orphans());
        return Ok(());
    };
    let mut complete = false;
    loop {
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).await.map_err(|error| no_answer(&error))?;
        if line.is_empty() {
            return Err("the gateway has stopped in the middle of the export".to_owned());
        }
        if let Ok(Answer::Failed(failed)) = serde_json::from_slice(&line) {
            return Err(failed.reason);
        }
        complete |= is_last(&line);
        out.write_all(&line).map_err(unwritten)?;
        if complete {
            break;
        }
    }
    keep(out).map_err(unwritten)?;
    if freeze.is_none() {
        return Ok(());
    }
    let mut answer = String::new();
    lines.write_all(b"\n").await.map_err(|error| no_answer(&error))?;
    lines.read_line(&mut answer).await.map_err(|error| no_answer(&error))?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Frozen { seconds: 1.. }) => Ok(()),
        _ => Err("the freeze was over before the export was: changes since are not in it; give \
                  it longer"
            .to_owned()),
    }
}

fn tell_left_out(orphans: &Orphans) {
    if orphans.counts.is_empty() {
        return;
    }
    let all = in_words(&orphans.counts);
    complain(&match &orphans.lost {
        None => format!("left out, of what is gone: {all}"),
        Some(lost) => format!(
            "left out, of what is not there: {all}: {lost}; `portcullis store check` looks \
             whether the store is damaged"
        ),
    });
}

/// `3 accounts, 1 session`
fn in_words(counts: &Counts) -> String {
    let words = counts.iter().filter(|(_, count)| **count > 0).map(|(kind, count)| {
        let plural = if *count == 1 { "" } else { "s" };
        format!("{count} {}{plural}", kind.as_str().replace('_', " "))
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "no records".to_owned() } else { words.join(", ") }
}
