//! An export on its way into a file.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::store::archive::Counts;
use crate::store::archive::file::Reading;

const SUFFIX: &str = ".partial";

/// A file under another name until it is complete.
pub(super) struct Partial {
    path: PathBuf,
    written: PathBuf,
    file: io::BufWriter<File>,
    /// Once it is kept.
    pub counts: Option<Counts>,
}

impl Partial {
    pub(super) fn beside(path: &Path) -> Result<Self, String> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(SUFFIX);
        let partial = path.with_file_name(name);
        let failed = |error| format!("{}: {error}", partial.display());
        // One left by a command that was killed may be another user's to read.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(&partial);
        let file = file.map_err(failed)?;
        let file = io::BufWriter::new(file);
        Ok(Self { path: path.to_owned(), written: partial, file, counts: None })
    }

    /// Reads it back from the disk and gives it its name.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        let mut reading = Reading::begin(BufReader::new(File::open(&self.written)?));
        let reading = reading.as_mut().map_err(|error| io::Error::other(error.to_string()))?;
        while reading.next_entry().map_err(io::Error::other)?.is_some() {}
        std::fs::rename(&self.written, &self.path)?;
        let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        self.counts = Some(reading.counts().clone());
        Ok(())
    }
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
