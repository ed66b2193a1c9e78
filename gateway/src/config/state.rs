//! Where the gateway keeps its own files when no key says so: never where it was started,
//! which may be a directory that an upstream serves.

use std::path::{Path, PathBuf};

use super::DirectoryChoice;
use super::problem::Origin;
use super::reader::{Located, Reader};
use super::record::FallbackSource;

/// A store's directory beside a configuration file, and before that where it was started.
const DATA: &str = "data";
/// Of a certificate that the gateway makes itself.
pub const CERTS: &str = "certs";
/// Where systemd says that a unit keeps state.
const STATE_VARIABLE: &str = "STATE_DIRECTORY";
const PROGRAM: &str = "portcullis";

/// Where state lies.
pub(super) struct State {
    /// Store, secret key and admin socket.
    pub store: PathBuf,
    pub chosen: DirectoryChoice,
    /// A certificate of the gateway's own.
    pub certificates: PathBuf,
    /// Where version 0.1 kept both, if that is elsewhere.
    pub former_store: Option<PathBuf>,
    pub former_certificates: Option<PathBuf>,
    /// What says where the store lies, if no key does.
    pub source: FallbackSource,
}

/// In this order: `store.path`; `$STATE_DIRECTORY` (systemd); `data` and `certs` beside the
/// configuration file; the user's directory for state (XDG Base Directory Specification).
pub(super) fn find_state(
    reader: &Reader,
    written: Option<&Located<String>>,
    beside: Option<&Path>,
) -> State {
    let path = written.cloned().map(|found| reader.locate("store.path", found));
    let given = state_directory(reader);
    let chosen = match (&path, &given) {
        (None, None) => DirectoryChoice::Conventional,
        _ => DirectoryChoice::Named,
    };
    let source = match given {
        Some(_) => FallbackSource::Variable(STATE_VARIABLE.to_owned()),
        None => FallbackSource::Computed,
    };
    let certificates = given.as_deref().or(beside).map(|directory| directory.join(CERTS));
    let store = match (path, given, beside) {
        (Some(path), _, _) => path.value,
        (None, Some(given), _) => given,
        (None, None, Some(beside)) => beside.join(DATA),
        (None, None, None) => user_state(reader).unwrap_or_else(|| {
            let message = "there is no directory for state: neither STATE_DIRECTORY, nor \
                           XDG_STATE_HOME, nor HOME names one by its whole path";
            let help = "set PORTCULLIS_STORE__PATH, or name a configuration file";
            reader.note(Origin::Absent, "store.path", message, help);
            PathBuf::from(DATA)
        }),
    };
    let certificates = certificates.unwrap_or_else(|| store.join(CERTS));
    let former_store = written.map_or(DATA, |written| &written.value).into();
    State {
        former_store: Some(former_store).filter(|former| *former != store),
        former_certificates: Some(PathBuf::from(CERTS)).filter(|former| *former != certificates),
        store,
        chosen,
        certificates,
        source,
    }
}

/// The first of the directories that systemd has made for the unit.
fn state_directory(reader: &Reader) -> Option<PathBuf> {
    let found = reader.variable(STATE_VARIABLE)?;
    let first = PathBuf::from(found.value.split(':').next().unwrap_or_default());
    if first.as_os_str().is_empty() {
        return None;
    }
    if !first.is_absolute() {
        let message =
            "expected an absolute path: a relative one would depend on the working directory";
        let help = format!("write a path like /var/lib/{PROGRAM}, or unset it");
        reader.note(found.origin, "", message, help);
    }
    Some(first)
}

/// Relative paths in these variables are to be ignored, says the specification.
fn user_state(reader: &Reader) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let found = reader.variable(name).map(|found| PathBuf::from(found.value));
        found.filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    absolute("XDG_STATE_HOME").or_else(home).map(|state| state.join(PROGRAM))
}

#[cfg(test)]
mod tests;
