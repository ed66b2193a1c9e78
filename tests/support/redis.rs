//! Real servers of the Redis protocol as child processes, each with a directory and
//! a loopback address of its own.

pub mod cluster;
pub mod sentinels;
pub mod talk;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use rcgen::CertifiedKey;
use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Process;
use super::{eventually, fresh_host, within};

use talk::{Reply, Talk};

/// The user a gateway signs in as; it may touch the gateway's keys only. A test asks
/// as the default user, who needs no password.
pub const USER: &str = "gate";
pub const PASSWORD: &str = "what-only-gateway-and-server-know";

const PORT: u16 = 7379;
const TLS_PORT: u16 = 7380;
const CLUSTER_PORT: u16 = 7381;

/// Where the servers lie; installed when they are missing.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = super::repository();
    let status = Command::new(root.join("tests/redis/install")).status();
    assert!(status.expect("the installer starts").success(), "the installer fails");
    root.join("target/redis").canonicalize().expect("the installer made it")
});

pub struct RedisServer {
    directory: TempDir,
    host: IpAddr,
    program: &'static str,
    arguments: &'static [&'static str],
    process: Option<Process>,
}

pub struct Builder {
    host: IpAddr,
    program: &'static str,
    settings: Vec<String>,
    certified: Option<String>,
    dump: Option<PathBuf>,
    arguments: &'static [&'static str],
}

impl Builder {
    /// One more line of the server's configuration; it wins over those before.
    pub fn set(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// Begins with what this file of `SAVE` holds, and keeps changes in memory only.
    pub fn dump(mut self, file: &Path) -> Self {
        self.dump = Some(file.to_owned());
        // With it on, the server begins empty.
        self.set("appendonly no")
    }

    /// Valkey 9 in place of Redis 7.0: it knows WAITAOF, and no TLS.
    pub fn valkey(mut self) -> Self {
        self.program = "valkey-server";
        self
    }

    /// Speaks TLS too, under a certificate for its address.
    pub fn tls(self) -> Self {
        let host = self.host.to_string();
        self.tls_as(&host)
    }

    /// Speaks TLS too, under a certificate for this name.
    pub fn tls_as(mut self, name: &str) -> Self {
        self.certified = Some(name.to_owned());
        self
    }

    pub async fn start(self) -> RedisServer {
        // In memory: a kill loses nothing there, and a busy disk delays nobody.
        let directory = TempDir::with_prefix_in("portcullis-redis-", "/dev/shm")
            .expect("a directory can be made");
        let mut lines =
            vec![format!("bind {}", self.host), format!("port {PORT}"), "save \"\"".to_owned()];
        if let Some(name) = &self.certified {
            // No authority: trusted for standing in `store.roots`.
            let made = rcgen::generate_simple_self_signed([name.clone()]);
            let CertifiedKey { cert, signing_key } = made.expect("a certificate can be made");
            let write = |name: &str, text: String| {
                std::fs::write(directory.path().join(name), text).expect("a file can be written");
            };
            write("tls.pem", cert.pem());
            write("tls.key", signing_key.serialize_pem());
            lines.push(format!("tls-port {TLS_PORT}"));
            lines.push("tls-cert-file tls.pem\ntls-key-file tls.key".to_owned());
            lines.push("tls-ca-cert-file tls.pem\ntls-auth-clients no".to_owned());
        }
        if let Some(dump) = &self.dump {
            std::fs::copy(dump, directory.path().join("dump.rdb")).expect("a file can be copied");
        }
        lines.extend(self.settings);
        std::fs::write(directory.path().join("server.conf"), lines.join("\n"))
            .expect("a file can be written");
        let mut server = RedisServer {
            directory,
            host: self.host,
            program: self.program,
            arguments: self.arguments,
            process: None,
        };
        server.restart().await;
        server
    }
}

impl RedisServer {
    /// Keeps every change on disk before it answers.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn builder() -> Builder {
        Self::bare()
            .set("appendonly yes")
            .set("appendfsync always")
            .set(&format!("user {USER} on >{PASSWORD} ~{{portcullis}}:* &* +@all"))
    }

    fn bare() -> Builder {
        Builder {
            host: fresh_host(),
            program: "redis-server",
            settings: Vec::new(),
            certified: None,
            dump: None,
            arguments: &[],
        }
    }

    pub fn address(&self) -> SocketAddr {
        (self.host, PORT).into()
    }

    pub fn url(&self) -> String {
        format!("redis://{USER}@{}/0", self.address())
    }

    pub fn tls_url(&self) -> String {
        format!("rediss://{USER}@{}:{TLS_PORT}/0", self.host)
    }

    /// The certificate it shows, which is its own authority.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("tls.pem")
    }

    /// Starts it on what its directory holds, after a kill or a stop if it still runs.
    pub async fn restart(&mut self) {
        self.launch().await;
        let ready = async || {
            (self.try_ask(&["PING"]).await? == Reply::Text("PONG".to_owned())).then_some(())
        };
        eventually("the server to serve", ready).await;
    }

    /// Like `restart`, without waiting until it serves: it may have much to read.
    pub async fn launch(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::TERM);
            within("the server to end", process.end()).await;
        }
        let mut command = Command::new(PROGRAMS.join(self.program));
        command.arg("server.conf").args(self.arguments).current_dir(&self.directory).env_clear();
        self.process = Some(Process::start(&mut command, None));
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// SIGSTOP: connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.process.as_ref().expect("the server runs").signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("the server runs").signal(Signal::CONT);
    }

    /// What it says, if it says anything.
    pub async fn try_ask(&self, words: &[&str]) -> Option<Reply> {
        Talk::open(self.address()).await.ok()?.command(words).await.ok()
    }

    /// What it says to a command of the default user.
    pub async fn ask(&self, words: &[&str]) -> Reply {
        let talk = async { Talk::open(self.address()).await?.command(words).await };
        let reply = within("a reply of the server", talk).await;
        reply.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A command that the server is expected to carry out.
    pub async fn tell(&self, words: &[&str]) -> Reply {
        match self.ask(words).await {
            Reply::Error(error) => panic!("{words:?}: {error}"),
            reply => reply,
        }
    }

    /// A line of `INFO`.
    pub async fn info(&self, name: &str) -> String {
        let info = self.tell(&["INFO", "everything"]).await.text();
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} is not in INFO")).to_owned()
    }
}
