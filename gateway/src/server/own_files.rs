//! What lies where the gateway keeps its own files: judged before anything is read or made
//! there, by every start, every `check` and every command.

use crate::auth::secret::Secret;
use crate::config::{ADMIN_SOCKET, Config};
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::jwt::MIN_SECRET_BYTES;
use crate::edge::certificates;
use crate::files::{self, Directory, Fault, Find, Kind};
use crate::store::embedded;

use super::{Fact, StartError, needs_certificate};

const STORE_PATH: &str = "store.path";
const SECRET: &str = "secret_key";

/// Judges the store's directory and every name in it that is ours, for a command.
///
/// # Errors
/// When one of them is a link, somebody else's, or open to others.
pub fn judge_store(config: &Config) -> Result<(), StartError> {
    Ok(judge(config, Directory::look).map(drop)?)
}

fn judge(config: &Config, find: Find) -> Result<Option<Directory>, Fault> {
    let Some(directory) = find(&config.store.directory, STORE_PATH)? else {
        return Ok(None);
    };
    let partial = files::partial(SECRET);
    for name in [SECRET, &partial, embedded::FILE, embedded::PARTIAL] {
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
    let directory = judge(config, find)?;
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
pub(super) fn make_directory(config: &Config) -> Result<Directory, Fault> {
    Directory::make(&config.store.directory, 0o700, STORE_PATH)
}

/// The configured secret, or the one kept beside the store, made at the first start.
pub(super) fn secret_key(
    config: &Config,
    directory: &Directory,
    tell: &mut impl FnMut(&Config, Fact),
) -> Result<Secret, StartError> {
    if let Some(secret) = &config.auth.secret_key {
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
    let text = String::from_utf8(bytes).unwrap_or_default();
    let secret = text.trim_end();
    if secret.len() < MIN_SECRET_BYTES {
        let path = config.store.directory.join(SECRET);
        return Err(StartError::SecretFile { path, bytes: secret.len() });
    }
    Ok(Some(Secret::new(secret.to_owned())))
}
