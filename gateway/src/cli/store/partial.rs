//! An export on its way into a file.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::cli::output::unwritable;
use crate::store::archive::Counts;
use crate::store::archive::file::{BEGINNING, Reading};

const SUFFIX: &str = ".partial";
/// Of the number before it, by which it is known from a file of somebody's own.
const DIGITS: usize = 16;
/// Of a name that the number and the suffix stand behind.
const MAX_NAME_BYTES: usize = 200;

/// A file under another name until it is complete.
pub(super) struct Partial {
    path: PathBuf,
    written: PathBuf,
    file: io::BufWriter<File>,
    /// Once it is kept.
    pub counts: Option<Counts>,
}

impl Partial {
    /// In the place of what is there only if that is an export, or empty: a file that is
    /// named by mistake may be the store itself.
    ///
    /// # Errors
    /// When something else lies there, or no file can be made beside it.
    pub(super) fn beside(path: &Path) -> Result<Self, String> {
        let path = &led_to(path);
        if let Some(found) = what_else_lies_there(path) {
            return Err(format!("{}: {found}; name another file", path.display()));
        }
        remove_left(path);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        // There is room for no more behind a long one.
        if name.len() > MAX_NAME_BYTES {
            name = "export".into();
        }
        // Two commands into one file have a name each, and the last one keeps its own.
        name.push(format!(".{:0DIGITS$x}{SUFFIX}", RandomState::new().hash_one(0)));
        let partial = path.with_file_name(name);
        let failed = |error: io::Error| format!("{}: {}", path.display(), unwritable(&error));
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&partial);
        let file = file.map_err(failed)?;
        // By which others know that it is not left over.
        let _ = file.try_lock();
        let file = io::BufWriter::new(file);
        Ok(Self { path: path.to_owned(), written: partial, file, counts: None })
    }

    /// Reads it back from the disk and gives it its name.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        let mut file = self.file.get_ref();
        file.rewind()?;
        let mut reading = Reading::begin(BufReader::new(file));
        let reading = reading.as_mut().map_err(|error| io::Error::other(error.to_string()))?;
        while reading.next_entry().map_err(io::Error::other)?.is_some() {}
        let counts = reading.counts().clone();
        std::fs::rename(&self.written, &self.path)?;
        let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        self.counts = Some(counts);
        Ok(())
    }
}

/// Where a link leads, it goes on leading, also to what is not there yet, if no other link
/// leads there.
fn led_to(path: &Path) -> PathBuf {
    let beside = |path: &Path| {
        let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(directory.join(path.file_name()?))
    };
    let target = || beside(&path.parent()?.join(std::fs::read_link(path).ok()?));
    path.canonicalize().ok().or_else(target).unwrap_or_else(|| path.to_owned())
}

/// Whether it is a device, a pipe or a socket, which is written as it is.
pub(super) fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn what_else_lies_there(path: &Path) -> Option<&'static str> {
    let found = path.metadata().ok()?;
    if found.is_dir() {
        return Some("this is a directory");
    }
    let mut beginning = Vec::new();
    let opened = File::open(path).map(|file| file.take(BEGINNING.len() as u64));
    let read = opened.and_then(|mut file| file.read_to_end(&mut beginning));
    let is_ours = read.is_ok() && (beginning.is_empty() || beginning == BEGINNING.as_bytes());
    (!is_ours).then_some("another file exists, which is not an export and was not changed")
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.counts.is_none() {
            let _ = std::fs::remove_file(&self.written);
        }
    }
}

/// Removes what commands that were killed have left in the directory of `path`: files with
/// hashes that nobody would look for.
fn remove_left(path: &Path) {
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    let Ok(entries) = std::fs::read_dir(directory.unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.rsplit_once('.'));
        let is_number =
            |text: &str| text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if number.is_some_and(|(_, number)| is_number(number))
            && is_left(&entry.path()).unwrap_or(false)
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a file of ours begins like an export, and nobody is writing it.
fn is_left(path: &Path) -> io::Result<bool> {
    // Whoever puts a pipe there shall not hold us up.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let mut file = File::options().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
        return Ok(false);
    }
    let mut beginning = [0; BEGINNING.len()];
    file.read_exact(&mut beginning)?;
    Ok(beginning == *BEGINNING.as_bytes() && file.try_lock().is_ok())
}
