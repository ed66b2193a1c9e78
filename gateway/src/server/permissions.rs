//! Who on this machine can read our files. What the gateway has made is closed again when
//! it was opened; what the operator has made is warned of and left as it is.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::config::warning::{self, Warning};
use crate::config::{Config, SecretFile, SelfSigned};
use crate::edge::certificates;
use crate::store::embedded::Location;

use super::own_files;

/// A directory or file that the gateway made, with the mode it is made with.
struct Own {
    path: PathBuf,
    mode: u32,
}

const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;
/// All but the owner.
const EVERYBODY_ELSE: u32 = 0o077;
/// Neither owner nor group: keys are shared with a group on purpose.
const STRANGERS_READ_OR_WRITE: u32 = 0o006;
const STRANGERS: u32 = 0o007;

/// What lies open of what we have made, files before the directory that closes them.
fn open_to_others(config: &Config) -> Vec<(Own, Metadata)> {
    let directory = &config.store.directory;
    let mut own = vec![Own { path: directory.join("secret_key"), mode: FILE }];
    if let Location::File(path) = Location::in_directory(directory) {
        own.push(Own { path, mode: FILE });
    }
    let tls = &config.tls;
    if tls.self_signed == SelfSigned::WhenMissing && certificates::is_own(&tls.certificate) {
        own.push(Own { path: tls.key.clone(), mode: FILE });
    }
    if let Some(path) = own_files::made_password(config) {
        own.push(Own { path, mode: FILE });
    }
    if own_files::holds_only_ours(directory) {
        own.push(Own { path: directory.clone(), mode: DIRECTORY });
    }
    let open = |own: Own| {
        // A link leads to what somebody else has put there.
        let metadata = own.path.symlink_metadata().ok().filter(|it| !it.is_symlink())?;
        let open = metadata.mode() & EVERYBODY_ELSE != 0 && is_reachable(&own.path);
        open.then_some((own, metadata))
    };
    own.into_iter().filter_map(open).collect()
}

/// Whether others come to the file at all: no directory on the way to it keeps them out,
/// and its modes are not those of a mount that cannot be changed from here.
fn is_reachable(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let passable = |directory: &Path| {
        directory.metadata().map_or(true, |metadata| metadata.mode() & 0o011 != 0)
    };
    let read_only =
        statvfs(&path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY));
    !read_only && path.ancestors().skip(1).all(passable)
}

/// A volume's modes are those of whoever mounts it: a pod's are open to all its users.
fn is_mount_point(path: &Path, metadata: &Metadata) -> bool {
    let parent = path.canonicalize().ok().and_then(|path| path.parent()?.metadata().ok());
    parent.is_some_and(|parent| parent.dev() != metadata.dev())
}

/// Closes what we have made and own. What cannot be closed is warned of after it.
pub(super) fn close_own(config: &Config) {
    for (own, _) in open_to_others(config) {
        let (path, mode) = (own.path.display(), format!("{:04o}", own.mode));
        match own.close() {
            Ok(Some(was)) => {
                let was = format!("{was:04o}");
                tracing::warn!(%path, was, mode, "file mode repaired");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%path, mode, %error, "file mode not repaired"),
        }
    }
}

impl Own {
    /// Closes it by its descriptor: a link may have come to lie there since it was looked
    /// at. Answers the mode it had, if it is ours and was open.
    fn close(&self) -> io::Result<Option<u32>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&self.path, flags, Mode::empty())?);
        let found = file.metadata()?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || found.mode() & EVERYBODY_ELSE == 0 {
            return Ok(None);
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        Ok(Some(found.mode() & 0o7777))
    }
}

/// What others can read now, of ours and of the operator's.
pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let own = open_to_others(config).into_iter().filter_map(|(own, metadata)| {
        let (path, mode) = (own.path.display().to_string(), metadata.mode() & 0o777);
        let message = if metadata.uid() == rustix::process::geteuid().as_raw() {
            format!("mode {mode:04o}; a start sets {:04o}", own.mode)
        } else if mode & STRANGERS != 0 && !is_mount_point(&own.path, &metadata) {
            format!("mode {mode:04o}, and the gateway is not its owner")
        } else {
            return None;
        };
        Some(Warning::of_machine(warning::SECRET_READABLE, &path, "store.path", &message))
    });
    let given = config.secret_files.iter().filter_map(|SecretFile { path, place, key }| {
        let mode = path.metadata().ok()?.mode() & 0o777;
        let open = mode & STRANGERS_READ_OR_WRITE != 0 && is_reachable(path);
        let message = format!("{} has mode {mode:04o}", path.display());
        open.then(|| Warning::of_machine(warning::SECRET_READABLE, place, key, &message))
    });
    own.chain(given).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn a_link_that_has_come_to_lie_in_the_place_of_a_file_of_ours_closes_nothing_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        let [ours, elsewhere] = ["ours", "elsewhere"].map(|name| place.path().join(name));
        std::fs::write(&elsewhere, "somebody else's").unwrap();
        std::fs::set_permissions(&elsewhere, Permissions::from_mode(0o644)).unwrap();
        let own = Own { path: ours.clone(), mode: FILE };
        std::fs::copy(&elsewhere, &ours).unwrap();
        assert_eq!(own.close().unwrap(), Some(0o644));
        assert_eq!((mode(&ours), own.close().unwrap()), (FILE, None));
        std::fs::remove_file(&ours).unwrap();
        symlink(&elsewhere, &ours).unwrap();
        own.close().unwrap_err();
        assert_eq!(mode(&elsewhere), 0o644);
    }
}
