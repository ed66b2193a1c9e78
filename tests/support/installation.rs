//! A directory with files and an environment to run the binary in, and nothing
//! of the surrounding environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{Ended, Process};

pub struct Installation {
    directory: TempDir,
    binary: PathBuf,
    environment: BTreeMap<String, String>,
    /// Of the shell that starts the binary.
    limits: Vec<String>,
    user: Option<u32>,
}

impl Installation {
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("portcullis-").expect("a directory can be made");
        let binary = super::portcullis();
        Self { directory, binary, environment: BTreeMap::new(), limits: Vec::new(), user: None }
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.set_env(name, Some(value));
        self
    }

    /// Runs another build than the one under test.
    pub fn set_binary(&mut self, binary: &Path) {
        binary.clone_into(&mut self.binary);
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

    /// The soft limit of the processes started from now on.
    pub fn limit_open_files(&mut self, limit: u32) {
        self.limits = vec![format!("ulimit -Sn {limit}")];
    }

    /// Kills the processes started from now on as soon as one makes a file longer than
    /// this; `None` lets them go on.
    pub fn kill_at_file_bytes(&mut self, limit: Option<u64>) {
        // In POSIX's blocks.
        self.limits = limit.map(|limit| format!("ulimit -f {}", limit / 512)).into_iter().collect();
    }

    /// Processes started from now on are this user's, of a group of the same number; `None`
    /// makes them the tests' own again.
    pub fn run_as(&mut self, user: Option<u32>) {
        use std::os::unix::fs::PermissionsExt;
        // The user may enter neither the directory above the binary nor this one.
        let copy = self.path("portcullis");
        if !copy.exists() {
            std::fs::copy(&self.binary, copy).expect("the binary is a file");
        }
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&self.directory, open).expect("the directory is ours");
        self.user = user;
    }

    pub fn has_env(&self, name: &str) -> bool {
        self.environment.contains_key(name)
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where state lies when nothing says otherwise and there is no configuration file.
    pub fn state(&self, name: &str) -> PathBuf {
        self.path(".local/state/portcullis").join(name)
    }

    /// Starts the binary here.
    pub fn start(&self, arguments: &[&str], input: Option<&str>) -> Process {
        self.start_in("", arguments, input)
    }

    /// Starts the binary in a directory below this one.
    pub fn start_in(&self, directory: &str, arguments: &[&str], input: Option<&str>) -> Process {
        Process::start(&mut self.command(directory, arguments), input)
    }

    /// The binary, as it is started in a directory below this one.
    pub fn command(&self, directory: &str, arguments: &[&str]) -> Command {
        use std::os::unix::process::CommandExt;
        let copy = self.path("portcullis");
        let binary = if self.user.is_some() { &copy } else { &self.binary };
        let mut command = if self.limits.is_empty() {
            Command::new(binary)
        } else {
            let mut shell = Command::new("/bin/sh");
            let script = format!("{} && exec \"$0\" \"$@\"", self.limits.join(" && "));
            shell.args(["-c", &script]).arg(binary);
            shell
        };
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.args(arguments).current_dir(self.path(directory)).env_clear();
        // Without a configuration file, state lies below it.
        command.env("HOME", self.directory.path()).envs(&self.environment);
        command
    }

    /// Runs the binary here to its end.
    pub async fn run(&self, arguments: &[&str], input: Option<&str>) -> Ended {
        self.start(arguments, input).end().await
    }
}
