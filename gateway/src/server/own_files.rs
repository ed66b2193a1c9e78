//! What lies where the gateway keeps its own files: judged before anything is read or made
//! there, by every start, every `check` and every command.

use std::io;
use std::path::{Path, PathBuf};

use crate::auth::secret::Secret;
use crate::config::warning::{self, Warning};
use crate::config::{ADMIN_SOCKET, CERTS, Config, SelfSigned};
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::jwt::MIN_SECRET_BYTES;
use crate::edge::certificates;
use crate::files::{self, Directory, Fault, Find, Kind, in_shell};
use crate::store::embedded::{self, Location};

use super::made_up_password::is_made_up;
use super::{Fact, StartError, needs_certificate};

const STORE_PATH: &str = "store.path";
const SECRET: &str = "secret_key";
/// Holds the first administrator's password until somebody has read it.
const ADMIN_PASSWORD: &str = "admin_password";

/// Judges the store's directory and every name in it that is ours, for a command.
///
/// # Errors
/// When one of them is a link, somebody else's, or open to others.
pub fn judge_store(config: &Config) -> Result<(), StartError> {
    refuse_former_store(config)?;
    Ok(judge(config, Directory::look).map(drop)?)
}

/// Refuses to begin anew where state lies that version 0.1 would have used: tokens, accounts
/// and the certificate that clients trust would seem to be gone.
///
/// # Errors
/// When state lies at a former place and none at the one that counts now.
fn refuse_former(config: &Config) -> Result<(), StartError> {
    refuse_former_store(config)?;
    let Some(former) = &config.tls.former else { return Ok(()) };
    let (directory, name) = files::split(&config.tls.certificate);
    let lies_there = certificates::is_own(&former.join(&name)) && !is_anothers(config, former);
    if needs_certificate(config) && lies_there && !config.tls.certificate.exists() {
        let key = files::split(&config.tls.key).1;
        let names = [name, key].into_iter();
        let files = names.filter(|name| former.join(name).exists()).collect();
        let (former, now) = (absolute(former), absolute(directory));
        return Err(StartError::FormerCertificate { former, files, now });
    }
    Ok(())
}

fn refuse_former_store(config: &Config) -> Result<(), StartError> {
    match former_state(config) {
        Some(former) if !holds_state(&config.store.directory) => {
            let files = [SECRET, ADMIN_PASSWORD, embedded::FILE];
            Err(StartError::FormerStore {
                former: absolute(former),
                files: files.into_iter().filter(|name| former.join(name).exists()).collect(),
                now: absolute(&config.store.directory),
            })
        }
        _ => Ok(()),
    }
}

/// What is there and should not be, and what should be and is not.
pub(super) fn warnings(config: &Config) -> impl Iterator<Item = Warning> {
    left_behind(config).into_iter().chain(store_missing(config)).chain(unwritable(config))
}

fn store_missing(config: &Config) -> Option<Warning> {
    let directory = &config.store.directory;
    let lies_there = |name| directory.join(name).exists();
    let is_missing =
        config.store.shared.is_none() && lies_there(SECRET) && !lies_there(embedded::FILE);
    is_missing.then(|| {
        let place = absolute(directory).display().to_string();
        let message = format!("{SECRET} lies here, and the store {} does not", embedded::FILE);
        Warning::of_machine(warning::STORE_MISSING, &place, STORE_PATH, &message)
    })
}

/// Whoever asks need not be who starts the gateway, so that this is no mistake.
fn unwritable(config: &Config) -> Option<Warning> {
    let state = (&*config.store.directory, STORE_PATH);
    let tls = &config.tls;
    let is_to_be_made = needs_certificate(config)
        && tls.self_signed == SelfSigned::WhenMissing
        && !tls.certificate.exists();
    let pair = is_to_be_made.then(|| (files::split(&tls.certificate).0, "tls.certificate"));
    [Some(state), pair].into_iter().flatten().find_map(|(directory, key)| {
        let (nearest, error) = files::unwritable(directory)?;
        let why = match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => "on a read-only file system",
            _ => "not writable for this user",
        };
        let message = format!("{} is {why}", absolute(&nearest).display());
        let place = absolute(directory).display().to_string();
        Some(Warning::of_machine(warning::STATE_UNWRITABLE, &place, key, &message))
    })
}

/// What lies where version 0.1 kept it, although another place counts.
fn left_behind(config: &Config) -> Option<Warning> {
    let former = former_state(config)?;
    let now = &config.store.directory;
    // A link may have been left for whoever looks at the former place.
    let same = former.canonicalize().ok() == now.canonicalize().ok();
    (holds_state(now) && !same).then(|| {
        let (place, now) = (absolute(former), absolute(now));
        let message = format!("state lies here, and that in {} is used", now.display());
        let place = place.display().to_string();
        Warning::of_machine(warning::STATE_LEFT_BEHIND, &place, STORE_PATH, &message)
    })
}

/// The command that moves files of ours.
pub(super) fn moving(from: &Path, names: &[impl AsRef<str>], to: &Path) -> String {
    let to = in_shell(to);
    let from: Vec<String> = names.iter().map(|name| in_shell(&from.join(name.as_ref()))).collect();
    format!("mkdir -p -m 700 {to} && mv {} {to}/", from.join(" "))
}

fn former_state(config: &Config) -> Option<&Path> {
    let former = config.store.former.as_deref();
    former.filter(|former| {
        holds_state(former) && !is_strangers(former) && !is_anothers(config, former)
    })
}

/// Whether somebody else has put it there: what is moved to where it counts decides who is
/// an administrator.
fn is_strangers(state: &Path) -> bool {
    let is_foreign = |fault: &Fault| matches!(fault, Fault::Owner { .. } | Fault::Link { .. });
    let judged = Directory::look(state, STORE_PATH).and_then(|found| {
        let Some(directory) = found else { return Ok(()) };
        [SECRET, embedded::FILE]
            .iter()
            .try_for_each(|name| directory.judge(name, Kind::File).map(drop))
    });
    judged.as_ref().is_err_and(is_foreign)
}

/// Whether the state is that of a configuration that lies beside it, where it belongs, and
/// that is not this one.
fn is_anothers(config: &Config, state: &Path) -> bool {
    // The directory of `config.toml` has no name.
    let directory = |path: &Path| Path::new(".").join(path).canonicalize().ok();
    let Some(beside) = absolute(state).parent().map(Path::to_owned) else { return false };
    let ours = config.store.beside.as_deref().and_then(directory);
    beside.join("config.toml").exists() && directory(&beside) != ours
}

/// Whether a gateway has left its state in a directory.
fn holds_state(directory: &Path) -> bool {
    [SECRET, embedded::FILE].iter().any(|name| directory.join(name).exists())
}

/// Whether a gateway has its state in a directory, or runs there.
#[must_use]
pub fn holds_gateway(directory: &Path) -> bool {
    holds_state(directory) || directory.join(ADMIN_SOCKET).exists()
}

/// Whether nothing else lies in a directory. The operator's own may be named as well.
pub(super) fn holds_only_ours(directory: &Path) -> bool {
    let is_ours = |entry: io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_ours))
    };
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.all(is_ours))
}

fn is_ours(name: &str) -> bool {
    let whole = name.strip_suffix(files::PARTIAL).unwrap_or(name);
    [SECRET, ADMIN_PASSWORD].contains(&whole)
        || [embedded::FILE, embedded::PARTIAL, ADMIN_SOCKET, files::GIT_IGNORE, CERTS]
            .contains(&name)
}

/// As whoever reads it in another directory needs it.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn judge(config: &Config, find: Find) -> Result<Option<Directory>, Fault> {
    let Some(directory) = find(&config.store.directory, STORE_PATH)? else {
        return Ok(None);
    };
    let partial = files::partial(SECRET);
    let password = files::partial(ADMIN_PASSWORD);
    for name in [SECRET, &partial, ADMIN_PASSWORD, &password, embedded::FILE, embedded::PARTIAL] {
        directory.judge(name, Kind::File)?;
    }
    directory.judge(ADMIN_SOCKET, Kind::Socket)?;
    Ok(Some(directory))
}

/// Everything of ours that a start uses: what it would refuse, and nothing made.
///
/// # Errors
/// When something of it cannot be used.
pub(super) fn check(config: &Config, find: Find) -> Result<(), StartError> {
    refuse_former(config)?;
    let directory = judge(config, find)?;
    if config.store.shared.is_none() {
        embedded::judge(&Location::in_directory(&config.store.directory))?;
    }
    if config.auth.secret_key.is_none()
        && let Some(directory) = directory
    {
        read_secret(config, &directory)?;
    }
    if needs_certificate(config) {
        certificates::check(&config.tls, find)?;
    }
    Ok(())
}

/// The directory of the store, the secret and the admin socket.
///
/// # Errors
/// When it cannot be used, or made.
pub fn make_directory(config: &Config) -> Result<Directory, Fault> {
    let directory = Directory::make(&config.store.directory, 0o700, STORE_PATH)?;
    // Not where other things lie, which somebody may want to keep.
    if holds_only_ours(&config.store.directory) {
        directory.keep_from_git();
    }
    Ok(directory)
}

/// Keeps the first administrator's password where only its reader comes; answers where.
///
/// # Errors
/// When it cannot be written.
pub(super) fn keep_password(
    config: &Config,
    directory: &Directory,
    password: &Secret,
) -> Result<PathBuf, Fault> {
    // One that no start has made is the operator's own.
    if directory.judge(ADMIN_PASSWORD, Kind::File)? && kept_password(directory).is_none() {
        return Err(Fault::Occupied { path: directory.path().join(ADMIN_PASSWORD) });
    }
    directory.write(ADMIN_PASSWORD, format!("{}\n", password.expose()).as_bytes(), 0o600)?;
    Ok(config.store.directory.join(ADMIN_PASSWORD))
}

/// What has become of the file with the first administrator's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// There was none.
    Absent,
    Removed(PathBuf),
    Left(PathBuf),
}

/// Removes the first administrator's password, once it is no account's any more. Root does so
/// in the directory of the user whose gateway it commands.
#[must_use]
pub fn forget_password(config: &Config) -> Forgotten {
    let path = config.store.directory.join(ADMIN_PASSWORD);
    let Ok(Some(directory)) = Directory::look(&config.store.directory, STORE_PATH) else {
        return Forgotten::Absent;
    };
    if kept_password(&directory).is_none() {
        return Forgotten::Absent;
    }
    match directory.remove(ADMIN_PASSWORD) {
        Ok(()) => Forgotten::Removed(path),
        Err(_) => Forgotten::Left(path),
    }
}

/// The password that is kept for whoever reads it, if there is one that a start has made up:
/// a file of that name may be the operator's own.
pub(super) fn kept_password(directory: &Directory) -> Option<Secret> {
    let bytes = directory.read(ADMIN_PASSWORD).ok()??;
    let text = String::from_utf8(bytes).ok().map(Secret::new)?;
    let password = text.expose().trim_end();
    is_made_up(password).then(|| password.into())
}

/// The file with the first password, if a start has made it.
pub(super) fn made_password(config: &Config) -> Option<PathBuf> {
    let directory = Directory::look(&config.store.directory, STORE_PATH).ok()??;
    kept_password(&directory).map(|_| config.store.directory.join(ADMIN_PASSWORD))
}

/// The configured secret, or the one kept beside the store, made at the first start.
pub(super) fn secret_key(
    config: &Config,
    directory: &Directory,
    tell: &mut impl FnMut(&Config, Fact),
) -> Result<Secret, StartError> {
    if let Some(secret) = &config.auth.secret_key {
        let former = config.auth.previous_secret_key.as_ref();
        // What is not used does not keep a gateway from starting.
        if let Ok(Some(kept)) = read_secret(config, directory)
            && [Some(secret), former].into_iter().flatten().all(|key| key.expose() != kept.expose())
        {
            tell(config, Fact::SecretUnused { path: config.store.directory.join(SECRET) });
        }
        return Ok(secret.clone());
    }
    if let Some(secret) = read_secret(config, directory)? {
        return Ok(secret);
    }
    // Of two first starts at once, one makes it.
    let _lock = directory.lock();
    if let Some(secret) = read_secret(config, directory)? {
        return Ok(secret);
    }
    let secret = Secret::random_hex::<32>(&SystemEntropy::default());
    // Complete on the disk before anything is signed with it.
    directory.write(SECRET, format!("{}\n", secret.expose()).as_bytes(), 0o600)?;
    tell(config, Fact::SecretMade { path: config.store.directory.join(SECRET) });
    Ok(secret)
}

fn read_secret(config: &Config, directory: &Directory) -> Result<Option<Secret>, StartError> {
    let Some(bytes) = directory.read(SECRET)? else { return Ok(None) };
    let wrong = |found| StartError::SecretFile { path: config.store.directory.join(SECRET), found };
    let text = String::from_utf8(bytes).map_err(|_| wrong("bytes that are no text".to_owned()))?;
    match text.trim_end() {
        secret if secret.len() < MIN_SECRET_BYTES => Err(wrong(format!("{} bytes", secret.len()))),
        secret => Ok(Some(Secret::new(secret.to_owned()))),
    }
}
