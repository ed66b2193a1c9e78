//! A child process, what it writes, and how it ends. Killed when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use super::within;

pub struct Process {
    child: Child,
    pub stdout: Lines,
    pub stderr: Lines,
}

/// How a process ended and all it wrote.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Process {
    /// Starts `command`; `input` is all its standard input will ever hold.
    pub fn start(command: &mut Command, input: Option<&str>) -> Self {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut process = Self::start_with(command, stdin);
        if let Some(input) = input {
            let mut pipe = process.child.stdin.take().expect("standard input is piped");
            // A process that ends without reading is judged by its exit, not by this.
            let _ = pipe.write_all(input.as_bytes());
        }
        process
    }

    /// Starts `command`, whose standard input is this.
    pub fn start_with(command: &mut Command, stdin: impl Into<Stdio>) -> Self {
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = Lines::collect(child.stdout.take().expect("standard output is piped"));
        let stderr = Lines::collect(child.stderr.take().expect("standard error is piped"));
        Self { child, stdout, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory it holds now, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("a running process has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.expect("a process has resident memory") << 10
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a child has a process id"), signal).expect("the child takes it");
    }

    /// Waits for the process to end by itself.
    pub async fn end(mut self) -> Ended {
        within("the process to end", async {
            self.stdout.end().await;
            self.stderr.end().await;
        })
        .await;
        let status = self.child.wait().expect("the child's status can be read");
        Ended { status, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the child is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, growing until it closes.
pub struct Lines(watch::Receiver<Vec<String>>);

impl Lines {
    /// Reads on a thread, so that the process never waits for a reader.
    fn collect(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(Vec::new());
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let Ok(line) = line else { break };
                sender.send_modify(|lines| lines.push(line));
            }
        });
        Self(receiver)
    }

    pub fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub fn text(&self) -> String {
        self.all().join("\n")
    }

    /// Waits until `find` finds something; `None` when the pipe closed before.
    pub async fn find<T>(&self, mut find: impl FnMut(&[String]) -> Option<T>) -> Option<T> {
        let mut found = None;
        let mut lines = self.0.clone();
        let seen = lines.wait_for(|lines| {
            found = find(lines);
            found.is_some()
        });
        // The guard it answers must not outlive this statement: the reader waits for it.
        let _ = seen.await;
        found
    }

    async fn end(&self) {
        // It can only answer that the pipe has closed.
        let _ = self.0.clone().wait_for(|_| false).await;
    }
}
