//! The directories and files that the gateway makes for itself. Whoever else can write there
//! chooses what it reads and where it writes: so each is judged as it is opened, by its
//! descriptor, and a link in its place is not followed.
//!
//! What the operator names (certificates, secrets) is not judged here: it may well be a link.

mod users;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use users::Users;

/// Why a directory or a file is not used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(
        "{} is a symbolic link, and its owner chooses where the gateway writes; replace it with its \
         target, or name the target in {key}", path.display()
    )]
    Link { path: PathBuf, key: &'static str },
    #[error(
        "{} belongs to {owner}, and this process runs as {us}: run it as the owner, or set another \
         {key}; to take ownership of everything there, `chown -R {uid} {}`", path.display(), in_shell(path)
    )]
    Owner { path: PathBuf, owner: String, us: String, uid: u32, key: &'static str },
    #[error(
        "{} has mode {mode:04o}: other users can create files in it; check its content, then \
         `chmod go-w {}`, or name a directory inside it in {key}", path.display(), in_shell(path)
    )]
    WritableDirectory { path: PathBuf, mode: u32, key: &'static str },
    #[error(
        "{} has mode {mode:04o}: other users can change it; check its content, then \
         `chmod go-w {}`", path.display(), in_shell(path)
    )]
    WritableFile { path: PathBuf, mode: u32 },
    #[error(
        "{} exists, and the gateway did not create it: if it holds the intended password, name \
         it in ADMIN_PASSWORD_FILE, or move it away", path.display()
    )]
    Occupied { path: PathBuf },
    #[error(
        "another gateway runs in {}: set a separate directory for each in {key} or STATE_DIRECTORY",
        path.display()
    )]
    InUse { path: PathBuf, key: &'static str },
    #[error("{} is not a {wanted}; move it away", path.display())]
    Kind { path: PathBuf, wanted: &'static str },
    #[error("{}: {}", path.display(), words(source))]
    Io { path: PathBuf, source: io::Error },
}

/// What the system says, and what to do about it.
fn words(error: &io::Error) -> Cow<'static, str> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "permission denied: run it as the owner, or name another directory (store.path, \
             STATE_DIRECTORY)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: name a directory that can be written (store.path, \
             STATE_DIRECTORY)"
        }
        io::ErrorKind::StorageFull => "no space is left on the disk",
        io::ErrorKind::NotADirectory => "something on the way to it is no directory",
        _ => return error.to_string().into(),
    }
    .into()
}

/// Behind the name of a file that is not complete yet.
pub const PARTIAL: &str = ".partial";
/// What keeps a directory out of Git.
pub const GIT_IGNORE: &str = ".gitignore";

/// Secrets and certificates are much shorter.
const MAX_READ_BYTES: u64 = 1 << 20;

/// What may lie under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Socket,
}

/// A directory in which only we and root can put anything.
pub struct Directory {
    file: File,
    path: PathBuf,
    /// The configuration's key that names it or what lies in it.
    key: &'static str,
    /// Whose it is, beside root's.
    user: u32,
}

/// How a directory is found, by its path and the key that names it: [`Directory::find`] by
/// who makes files there, [`Directory::look`] by who does not.
pub type Find = fn(&Path, &'static str) -> Result<Option<Directory>, Fault>;

impl Directory {
    /// Opens one that is there; `None` where nothing is.
    ///
    /// # Errors
    /// When it is a link, somebody else's, or others can write there.
    pub fn find(path: &Path, key: &'static str) -> Result<Option<Self>, Fault> {
        Self::find_of(our_uid(), path, key)
    }

    /// As [`Directory::find`], for whoever makes nothing there. Root may look at what root
    /// has given to another user, and judges it as that user would.
    ///
    /// # Errors
    /// As [`Directory::find`].
    pub fn look(path: &Path, key: &'static str) -> Result<Option<Self>, Fault> {
        Self::find_of(given_by_root(path).unwrap_or_else(our_uid), path, key)
    }

    fn find_of(user: u32, path: &Path, key: &'static str) -> Result<Option<Self>, Fault> {
        // Without the slash or dot at its end, behind which a link is followed.
        let path: PathBuf = match path.components().collect::<PathBuf>() {
            path if path.as_os_str().is_empty() => PathBuf::from("."),
            path => path,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let io = |errno: Errno| Fault::Io { path: path.clone(), source: errno.into() };
        let opened = match rustix::fs::open(&path, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) if is_link(&path) => {
                if !is_roots_link(user, &path) {
                    return Err(Fault::Link { path, key });
                }
                rustix::fs::open(&path, flags, Mode::empty())
            }
            opened => opened,
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR) if path.exists() => {
                return Err(Fault::Kind { path, wanted: "directory" });
            }
            // Who owns it says more than that it cannot be entered.
            Err(Errno::ACCESS) => {
                let found = rustix::fs::stat(&path).map_err(io)?;
                check_owner(user, &path, found.st_uid, key)?;
                return Err(io(Errno::ACCESS));
            }
            Err(errno) => return Err(io(errno)),
        };
        let found = rustix::fs::fstat(&opened).map_err(io)?;
        check_owner(user, &path, found.st_uid, key)?;
        if can_others_write(user, &found) {
            let mode = mode_of(&found);
            return Err(Fault::WritableDirectory { path, mode, key });
        }
        Ok(Some(Self { file: File::from(opened), path, key, user }))
    }

    /// Opens it, and makes it first where nothing is.
    ///
    /// # Errors
    /// As [`Directory::find`], or when it cannot be made.
    pub fn make(path: &Path, mode: u32, key: &'static str) -> Result<Self, Fault> {
        let failed = |source| Fault::Io { path: path.to_owned(), source };
        if let Some(found) = Self::find(path, key)? {
            return Ok(found);
        }
        std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed)?;
        Self::find(path, key)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    /// Lets git take nothing of what lies here. That is a convenience: where it fails, nothing
    /// does.
    pub fn keep_from_git(&self) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o600);
        let made = rustix::fs::openat(&self.file, GIT_IGNORE, flags | OFlags::CLOEXEC, mode);
        if let Ok(made) = made {
            let _ = File::from(made).write_all(b"*\n");
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps others who would make files here away until it is dropped. Where directories
    /// cannot be locked, nothing does.
    #[must_use]
    pub fn lock(&self) -> Lock<'_> {
        let _ = self.file.lock();
        Lock(&self.file)
    }

    /// Looks at what lies under a name, if anything does; answers whether it does.
    ///
    /// # Errors
    /// When it is a link, somebody else's, or nothing of its kind.
    pub fn judge(&self, name: &str, kind: Kind) -> Result<bool, Fault> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match rustix::fs::statat(&self.file, name, flags) {
            Ok(found) => self.judge_found(name, kind, &found).map(|()| true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.failed(name, errno)),
        }
    }

    fn judge_found(&self, name: &str, kind: Kind, found: &Stat) -> Result<(), Fault> {
        let path = self.path.join(name);
        let found_kind = FileType::from_raw_mode(found.st_mode);
        match (found_kind, kind) {
            (FileType::Symlink, _) => return Err(Fault::Link { path, key: self.key }),
            (FileType::RegularFile, Kind::File) | (FileType::Socket, Kind::Socket) => {}
            (_, Kind::File) => return Err(Fault::Kind { path, wanted: "regular file" }),
            (_, Kind::Socket) => return Err(Fault::Kind { path, wanted: "socket" }),
        }
        check_owner(self.user, &path, found.st_uid, self.key)?;
        // A socket is closed a moment after it is made; its directory keeps others out.
        if kind == Kind::File && can_others_write(self.user, found) {
            return Err(Fault::WritableFile { path, mode: mode_of(found) });
        }
        Ok(())
    }

    /// Opens a file of ours; `None` where nothing is.
    ///
    /// # Errors
    /// As [`Directory::judge`], or when it cannot be opened.
    pub fn open(&self, name: &str, access: Access) -> Result<Option<File>, Fault> {
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
        };
        // Whoever puts a pipe there shall not hold us up.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = match rustix::fs::openat(&self.file, name, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => {
                self.judge(name, Kind::File)?;
                return Err(self.failed(name, errno));
            }
        };
        let found = rustix::fs::fstat(&opened).map_err(|errno| self.failed(name, errno))?;
        self.judge_found(name, Kind::File, &found)?;
        Ok(Some(File::from(opened)))
    }

    /// Makes a file in the place of what an earlier start left half done.
    ///
    /// # Errors
    /// When something else lies there, or it cannot be made.
    pub fn begin(&self, name: &str, mode: u32) -> Result<File, Fault> {
        if self.judge(name, Kind::File)? {
            self.remove(name)?;
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let made: Result<OwnedFd, Errno> = rustix::fs::openat(
            &self.file,
            name,
            flags | OFlags::CLOEXEC,
            Mode::from_raw_mode(mode),
        );
        made.map(File::from).map_err(|errno| self.failed(name, errno))
    }

    /// Gives a file that is whole its name, for good.
    ///
    /// # Errors
    /// When that fails; the file has one of the two names.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        rustix::fs::renameat(&self.file, from, &self.file, to)
            .map_err(|errno| self.failed(to, errno))?;
        self.sync()
    }

    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), Fault> {
        rustix::fs::unlinkat(&self.file, name, AtFlags::empty())
            .map_err(|errno| self.failed(name, errno))
    }

    /// Writes what was done here to the disk.
    ///
    /// # Errors
    /// When that fails.
    pub fn sync(&self) -> Result<(), Fault> {
        let failed = |source| Fault::Io { path: self.path.clone(), source };
        self.file.sync_all().map_err(failed)
    }

    /// Writes a file that is there whole, and on the disk, or not at all: under another
    /// name first.
    ///
    /// # Errors
    /// When something else lies there, or it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Fault> {
        let partial = partial(name);
        let mut file = self.begin(&partial, mode)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(source) = written {
            let _ = self.remove(&partial);
            return Err(Fault::Io { path: self.path.join(partial), source });
        }
        self.rename(&partial, name)
    }

    /// Reads a file of ours; `None` where nothing is.
    ///
    /// # Errors
    /// As [`Directory::open`], or when it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let Some(file) = self.open(name, Access::Read)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let failed = |source| Fault::Io { path: self.path.join(name), source };
        file.take(MAX_READ_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    /// Judges who is at the other end of a socket of ours.
    ///
    /// # Errors
    /// When it is neither its user nor root.
    pub fn judge_peer(&self, name: &str, user: u32) -> Result<(), Fault> {
        check_owner(self.user, &self.path.join(name), user, self.key)
    }

    fn failed(&self, name: &str, errno: Errno) -> Fault {
        Fault::Io { path: self.path.join(name), source: errno.into() }
    }
}

/// While it lasts, nobody else who locks the directory makes files in it.
pub struct Lock<'a>(&'a File);

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy)]
pub enum Access {
    Read,
    Write,
}

/// A file in this directory of which nothing is left behind, not even by a kill.
///
/// # Errors
/// When there is no place for it.
pub fn unnamed(directory: &Path) -> Result<File, Fault> {
    use std::hash::{BuildHasher, RandomState};
    use std::os::unix::fs::OpenOptionsExt;
    let path = directory.join(format!("portcullis-{:016x}", RandomState::new().hash_one(0)));
    let failed = |source| Fault::Io { path: path.clone(), source };
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(file)
}

/// Where this process would make something first on the way to a file in this directory, and
/// why it may not; `None` where it may, or the system does not tell.
#[must_use]
pub fn unwritable(directory: &Path) -> Option<(PathBuf, io::Error)> {
    use rustix::fs::Access;
    let here = |path| if path == Path::new("") { Path::new(".") } else { path };
    let nearest = directory.ancestors().map(here).find(|path| path.exists())?;
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    match rustix::fs::accessat(rustix::fs::CWD, nearest, wanted, AtFlags::EACCESS) {
        Err(errno @ (Errno::ACCESS | Errno::ROFS)) => Some((nearest.to_owned(), errno.into())),
        _ => None,
    }
}

/// A path as a word of a shell.
#[must_use]
pub fn in_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Reads to the end of what may have none.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] when there is more than this, of which no more is kept.
pub fn read_at_most(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Under which a file lies until it is whole.
#[must_use]
pub fn partial(name: &str) -> String {
    format!("{name}{PARTIAL}")
}

/// A path as a directory of ours and a name in it.
#[must_use]
pub fn split(path: &Path) -> (&Path, String) {
    let name = path.file_name().map(OsString::from).unwrap_or_default();
    (path.parent().unwrap_or(Path::new("")), name.to_string_lossy().into_owned())
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_symlink())
}

/// Root has placed it for another user, where nobody else could have: as systemd does for
/// the `StateDirectory` of a unit with `DynamicUser`. For itself, root names the place.
fn is_roots_link(user: u32, path: &Path) -> bool {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return false,
    };
    user != 0
        && path.symlink_metadata().is_ok_and(|link| link.uid() == 0)
        && parent.metadata().is_ok_and(|parent| is_roots_alone(&parent))
}

/// To whom root has given a directory that nobody else can have put where it is, if we
/// are root and it is another's.
fn given_by_root(path: &Path) -> Option<u32> {
    let there = path.canonicalize().ok()?;
    let owner = there.metadata().ok()?.uid();
    let is_safe = |directory: &Path| directory.metadata().is_ok_and(|found| is_roots_alone(&found));
    let given = our_uid() == 0 && owner != 0 && there.ancestors().skip(1).all(is_safe);
    given.then_some(owner)
}

fn is_roots_alone(directory: &Metadata) -> bool {
    directory.uid() == 0 && directory.mode() & 0o022 == 0
}

fn our_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// What belongs to root is safe from everybody whom we could be safe from.
fn check_owner(us: u32, path: &Path, owner: u32, key: &'static str) -> Result<(), Fault> {
    if owner == us || owner == 0 {
        return Ok(());
    }
    let (path, users) = (path.to_owned(), Users::read());
    Err(Fault::Owner { path, owner: users.name(owner), us: users.name(us), uid: us, key })
}

fn can_others_write(us: u32, found: &Stat) -> bool {
    let mode = mode_of(found);
    mode & 0o002 != 0 || (mode & 0o020 != 0 && !is_group_of_one(us, found.st_gid))
}

/// Whether nobody else is in a group: the one that many systems make for each user, and
/// the one that Kubernetes gives a pod's volumes to. Of root's nothing is said.
fn is_group_of_one(us: u32, group: u32) -> bool {
    us != 0 && Users::read().is_alone_in(us, group)
}

fn mode_of(found: &Stat) -> u32 {
    found.st_mode & 0o7777
}
