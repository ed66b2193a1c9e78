//! Which configuration a command is about, and what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::decode::decode;
use crate::config::file::{CONFIG_VARIABLE, Sources, load, load_with_settings};
use crate::config::named_files::Files;
use crate::config::record::Settings;
use crate::config::report::{Position, Problems, Report};
use crate::config::unknown::UNKNOWN_KEY;
use crate::config::{Access, Config, DirectoryChoice};
use crate::files::read_at_most;
use crate::server;

use super::output::{fail, say};
use super::{EXIT_CONFIG, Format, Place, RunOptions};

/// Where a file lies that nobody names: in the working directory, or where packages put it.
pub(super) const CONVENTIONAL: [&str; 2] = ["config.toml", "/etc/portcullis/config.toml"];

/// Of a configuration file; the largest ones have some hundred KiB.
const MAX_BYTES: u64 = 1 << 20;

/// Where systemd keeps the state of deploy/portcullis.service, and the image its own.
const SERVICE_STATE: &str = "/var/lib/portcullis";

/// A configuration file that was read.
struct Found {
    path: PathBuf,
    text: String,
    choice: Choice,
}

/// Why a file is the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Named,
    /// It lies where one is looked for.
    Conventional,
}

/// The file that is named, on the command line or by the environment, or else the first
/// that lies where one is looked for.
fn choose(
    place: &Place,
    variable: Option<PathBuf>,
    exists: impl Fn(&Path) -> bool,
) -> Option<(PathBuf, Choice)> {
    if let Some(named) = place.config.clone().or(variable) {
        return Some((named, Choice::Named));
    }
    let mut conventional = CONVENTIONAL.iter().map(PathBuf::from);
    conventional.find(|path| exists(path)).map(|path| (path, Choice::Conventional))
}

fn chosen(place: &Place) -> Option<(PathBuf, Choice)> {
    // One that is there and cannot be read is a mistake, and not passed over.
    choose(place, variable(), |path| path.symlink_metadata().is_ok())
}

fn variable() -> Option<PathBuf> {
    std::env::var_os(CONFIG_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// The file that somebody names, whether it is there or not.
pub(super) fn named(place: &Place) -> Option<PathBuf> {
    place.config.clone().or_else(variable)
}

fn find(place: &Place) -> Result<Option<Found>, ExitCode> {
    let Some((path, choice)) = chosen(place) else { return Ok(None) };
    let name = path.display().to_string();
    if choice == Choice::Conventional
        && path == Path::new(CONVENTIONAL[0])
        && let Some(owner) = whose_for_root(&path)
    {
        let message =
            format!("{owner}, and users who can write it choose what root reads and creates");
        let help = format!("if it is meant, name it: --config {name}");
        return Err(refuse_whole(place, &name, message, Some(help)));
    }
    let read = File::open(&path).and_then(|file| read_at_most(file, MAX_BYTES));
    let bytes = read.map_err(|error| {
        let (message, help) = unreadable(&error, place);
        refuse_whole(place, &name, message, help)
    })?;
    match decode(bytes) {
        Ok(text) => Ok(Some(Found { path, text, choice })),
        Err(fault) => Err(refuse_whole(place, &name, fault.message(), Some(fault.remedy(&name)))),
    }
}

/// Root works in directories of everybody: who else can write the file that lies in one, or
/// has made the link that leads to one, if this is root.
fn whose_for_root(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let link = path.symlink_metadata().ok()?;
    let found = path.metadata().ok()?;
    if let Some(uid) = [link.uid(), found.uid()].into_iter().find(|uid| *uid != 0) {
        return Some(format!("it belongs to user {uid}"));
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return Some("every user can write it".to_owned());
    }
    let group = found.gid();
    (group != 0 && found.mode() & GROUP_WRITES != 0)
        .then(|| format!("every user in group {group} can write it"))
}

/// Why a file cannot be read, and what to do about it.
fn unreadable(error: &io::Error, place: &Place) -> (String, Option<String>) {
    let another = match place.config {
        None if variable().is_some() => {
            "PORTCULLIS_CONFIG names it: set it to another, or unset it"
        }
        _ => "name a file that exists",
    };
    let (message, help) = match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file", another),
        io::ErrorKind::PermissionDenied => ("this user may not read it", another),
        io::ErrorKind::FileTooLarge => {
            ("the file is larger than 1 MiB", "name a configuration, which is TOML")
        }
        io::ErrorKind::IsADirectory => {
            ("expected a file, found a directory", "name the file in it")
        }
        _ => return (error.to_string(), None),
    };
    (message.to_owned(), Some(help.to_owned()))
}

/// What a configuration is read from.
pub(super) struct Reading {
    pub sources: Sources,
    /// The file, if nobody named it.
    conventional: Option<PathBuf>,
}

pub(super) fn read_sources(
    place: &Place,
    options: &RunOptions,
    files: Files,
) -> Result<Reading, ExitCode> {
    let found = find(place)?;
    let mut environment = BTreeMap::new();
    let mut unreadable = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => drop(environment.insert(name, value)),
            (Ok(name), Err(_)) => unreadable.push(name),
            (Err(_), _) => {}
        }
    }
    // Some start programs without it.
    if let (false, Some(home)) = (environment.contains_key("HOME"), std::env::home_dir()) {
        environment.insert("HOME".to_owned(), home.display().to_string());
    }
    let mut conventional = None;
    let mut is_piped = false;
    let file = found.map(|Found { path, text, choice }| {
        conventional = (choice == Choice::Conventional).then(|| path.clone());
        // Also a file that /dev/stdin leads to: nothing of ours belongs beside that name.
        is_piped = ["/dev", "/proc"].iter().any(|root| path.starts_with(root))
            || path.metadata().is_ok_and(|found| !found.is_file());
        (path.display().to_string(), text)
    });
    let (to, listen) = (options.to.clone(), options.listen.clone());
    let sources = Sources { file, environment, unreadable, is_piped, to, listen, files };
    Ok(Reading { sources, conventional })
}

/// Says what is wrong with a configuration: with `--format json` on standard output, for
/// whoever reads that.
pub(super) fn refuse(place: &Place, problems: &Problems, conventional: Option<&Path>) -> ExitCode {
    if place.format == Some(Format::Json) {
        return refuse_in_json(&problems.reports);
    }
    let count = match problems.count {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let mut message = format!("{problems}\n{count} in the configuration");
    if let Some(path) = conventional.filter(|_| problems.reports.iter().all(is_foreign)) {
        let path = path.display();
        // Writing to a string does not fail.
        let _ = write!(
            message,
            "\n{path} was read because none was named: --config FILE and {CONFIG_VARIABLE} \
             name another"
        );
    }
    fail(EXIT_CONFIG, &message)
}

/// Whether a problem is what the file of another program would have.
fn is_foreign(report: &Report) -> bool {
    report.message == UNKNOWN_KEY && !report.key.contains('.')
}

/// Stands before each remedy, for people.
const REMEDY: &str = "\n      = ";

/// Says what is wrong with all of it: it has no key and no line.
pub(super) fn refuse_whole(
    place: &Place,
    at: &str,
    message: String,
    help: Option<String>,
) -> ExitCode {
    if place.format == Some(Format::Json) {
        let (at, key, expected) = (at.to_owned(), String::new(), None);
        let (message, help) = match message.split_once(REMEDY) {
            Some((what, remedies)) => (what.to_owned(), Some(remedies.replace(REMEDY, "; "))),
            None => (message, help),
        };
        let report = Report { place: at, position: None, key, message, expected, help };
        return refuse_in_json(&[report]);
    }
    let help = help.map(|help| format!("{REMEDY}{help}")).unwrap_or_default();
    let at = if at.is_empty() { String::new() } else { format!("{at}: ") };
    fail(EXIT_CONFIG, &format!("{at}{message}{help}"))
}

fn refuse_in_json(reports: &[Report]) -> ExitCode {
    let member = |report: &Report| {
        let mut member = json!({
            "place": report.place,
            "key": report.key,
            "message": report.message,
            "help": report.help,
        });
        if let Some(Position { file, line, column }) = &report.position {
            member["file"] = file.as_str().into();
            member["line"] = (*line).into();
            member["column"] = (*column).into();
        }
        if let Some(expected) = &report.expected {
            member["expected"] = expected.as_str().into();
        }
        member
    };
    let problems: Vec<Value> = reports.iter().map(member).collect();
    match say(&format!("{:#}\n", json!({ "problems": problems }))) {
        ExitCode::SUCCESS => EXIT_CONFIG.into(),
        unsaid => unsaid,
    }
}

/// Reads the configuration, or says what is wrong with it.
pub(super) fn configure(
    place: &Place,
    options: RunOptions,
    files: Files,
) -> Result<Config, ExitCode> {
    load_from(place, options, files).map(|loaded| loaded.config)
}

/// A configuration, and the settings and the file that it comes from.
pub(super) struct Loaded {
    pub config: Config,
    pub settings: Settings,
    /// The file's name and text.
    pub file: Option<(String, String)>,
}

pub(super) fn load_from(
    place: &Place,
    options: RunOptions,
    files: Files,
) -> Result<Loaded, ExitCode> {
    let Reading { sources, conventional } = read_sources(place, &options, files)?;
    let file = sources.file.clone();
    let (mut config, mut settings) = load_with_settings(sources)
        .map_err(|problems| refuse(place, &problems, conventional.as_deref()))?;
    let RunOptions { log_format, log_level, .. } = options;
    if let Some(format) = log_format {
        config.log.format = format;
        settings.set_by_option(("log", "format"), format.as_str(), "--log-format");
    }
    if let Some(level) = log_level {
        settings.set_by_option(("log", "level"), &level, "--log-level");
        config.log.level = level;
    }
    Ok(Loaded { config, settings, file })
}

/// Where the store lies is all that matters to some commands; routes may be missing.
pub(super) fn configure_store(place: &Place) -> Result<Config, ExitCode> {
    let options = RunOptions { to: Some("echo".to_owned()), ..RunOptions::default() };
    let mut config = configure(place, options, Files::NotNeeded)?;
    // Only the service manager's own processes are told where it keeps state, of a gateway
    // that runs or that it has stopped.
    let service = Path::new(SERVICE_STATE);
    if config.store.chosen == DirectoryChoice::Conventional
        && may_be_the_service(place)
        && !server::holds_gateway(&config.store.directory)
        && server::holds_gateway(service)
    {
        service.clone_into(&mut config.store.directory);
        config.store.former = None;
    }
    Ok(config)
}

/// A configuration that somebody names, or that lies in the working directory, is another
/// gateway's.
fn may_be_the_service(place: &Place) -> bool {
    chosen(place).is_none_or(|(path, choice)| {
        choice == Choice::Conventional && path == Path::new(CONVENTIONAL[1])
    })
}

/// The roles that routes ask for; `None` when the configuration cannot be read as a whole,
/// which commands on a store do without.
pub(super) fn roles_of_routes(place: &Place) -> Option<BTreeSet<String>> {
    chosen(place)?;
    let reading = read_sources(place, &RunOptions::default(), Files::NotNeeded).ok()?;
    let config = load(reading.sources).ok()?;
    let roles = config.routes.into_iter().flat_map(|route| match route.access {
        Access::Authenticated { roles, .. } => roles,
        Access::Public => Vec::new(),
    });
    Some(roles.collect())
}

/// Where a gateway was looked for, for whoever has one elsewhere.
pub(super) fn looked_in(place: &Place, config: &Config) -> String {
    let directory = &config.store.directory;
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
    let why = match chosen(place) {
        Some((path, _)) => format!("where {} has its state", path.display()),
        None => format!(
            "where a gateway without a configuration file has its state: there is no {}",
            CONVENTIONAL.join(" and no ")
        ),
    };
    format!(
        "looked in {}, {why}. For a gateway with another configuration say --config FILE, or set \
         {CONFIG_VARIABLE}",
        directory.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_comes_before_those_that_lie_where_one_is_looked_for() {
        let named =
            |config: Option<&str>| Place { config: config.map(PathBuf::from), format: None };
        let all = |_: &Path| true;
        let etc = |path: &Path| path.starts_with("/etc");
        let none = |_: &Path| false;
        let variable = || Some(PathBuf::from("v.toml"));
        let path = |chosen: Option<(PathBuf, Choice)>| {
            chosen.map(|(path, choice)| (path.display().to_string(), choice))
        };
        let is = |path: &str, choice| Some((path.to_owned(), choice));
        let option = named(Some("o.toml"));
        assert_eq!(path(choose(&option, variable(), all)), is("o.toml", Choice::Named));
        assert_eq!(path(choose(&named(None), variable(), all)), is("v.toml", Choice::Named));
        let working = is("config.toml", Choice::Conventional);
        assert_eq!(path(choose(&named(None), None, all)), working);
        let packaged = is("/etc/portcullis/config.toml", Choice::Conventional);
        assert_eq!(path(choose(&named(None), None, etc)), packaged);
        assert_eq!(path(choose(&named(None), None, none)), None);
        // One that is named is not passed over because it is not there.
        assert_eq!(path(choose(&option, None, none)), is("o.toml", Choice::Named));
    }
}
