//! A directory with files and an environment to run the binary in, and nothing
//! of the surrounding environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{Ended, Process};

pub struct Installation {
    directory: TempDir,
    environment: BTreeMap<String, String>,
}

impl Installation {
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("portcullis-").expect("a directory can be made");
        Self { directory, environment: BTreeMap::new() }
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.set_env(name, Some(value));
        self
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.environment.insert(name.to_owned(), value.to_owned()),
            None => self.environment.remove(name),
        };
    }

    pub fn has_env(&self, name: &str) -> bool {
        self.environment.contains_key(name)
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the binary here.
    pub fn start(&self, arguments: &[&str], input: Option<&str>) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).current_dir(&self.directory).env_clear().envs(&self.environment);
        Process::start(&mut command, input)
    }

    /// Runs the binary here to its end.
    pub async fn run(&self, arguments: &[&str], input: Option<&str>) -> Ended {
        self.start(arguments, input).end().await
    }
}
