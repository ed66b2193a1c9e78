//! A running gateway: its own directory, certificate, accounts and port.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::CertifiedKey;
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use toml::Table;

use super::installation::Installation;
use super::process::{Ended, Process};
use super::redis;
use super::{eventually, within};

pub const ADMIN: &str = "admin";
pub const ADMIN_PASSWORD: &str = "correct horse battery";
pub const SECRET_KEY: &str = "forty-three bytes that only the tests share";

/// Every path to the built-in upstream, for whoever is authenticated.
pub const ECHO: &str = "[[route]]\nupstream = \"echo\"\n";

/// What a test's configuration holds unless it says otherwise.
const DEFAULTS: &str = r#"
[[listener]]
address = "127.0.0.1:0"
[tls]
certificate = "server.pem"
key = "server.key"
[auth]
bcrypt_cost = 4
[client]
trusted_proxies = ["127.0.0.0/8"]
"#;

pub struct Gateway {
    installation: Installation,
    arguments: Vec<String>,
    listeners: usize,
    process: Option<Process>,
    addresses: Vec<SocketAddr>,
}

pub struct Builder {
    installation: Installation,
    config: Option<String>,
    defaults: bool,
    shared_store: Option<String>,
    arguments: Vec<String>,
}

impl Builder {
    /// The configuration, laid over the tests' defaults key by key.
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// A shared store in place of a file. A change is as sure as the server makes it by
    /// itself and may take its time, unless the configuration says otherwise.
    pub fn shared_store(mut self, url: &str) -> Self {
        self.shared_store = Some(url.to_owned());
        self.env("STORE_PASSWORD", redis::PASSWORD)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.installation.set_env(name, Some(value));
        self
    }

    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.installation = self.installation.file(name, text);
        self
    }

    /// The content of the file that the store is in when it starts.
    pub fn store(self, content: &[u8]) -> Self {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        let path = self.installation.path("data/portcullis.redb");
        let directory = path.parent().expect("it lies in a directory");
        let made = std::fs::DirBuilder::new().mode(0o700).create(directory);
        let file = || std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path);
        made.and_then(|()| file()?.write_all(content)).expect("a file can be written");
        self
    }

    /// Another build than the one under test.
    pub fn binary(mut self, binary: &Path) -> Self {
        self.installation.set_binary(binary);
        self
    }

    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    /// The limit of open files that the process begins with.
    pub fn open_files(mut self, limit: u32) -> Self {
        self.installation.limit_open_files(limit);
        self
    }

    /// What a newcomer has: no certificate, no secrets, the configuration as written.
    pub fn bare(mut self) -> Self {
        self.defaults = false;
        self
    }

    pub async fn start(mut self) -> Gateway {
        if self.defaults {
            self.provide_defaults();
        }
        let mut listeners = 1;
        if let Some(config) = &self.config {
            listeners = config.matches("[[listener]]").count().max(1);
            self.installation.write("config.toml", config);
        }
        let mut gateway = Gateway {
            installation: self.installation,
            arguments: self.arguments,
            listeners,
            process: None,
            addresses: Vec::new(),
        };
        gateway.restart().await;
        gateway
    }

    fn provide_defaults(&mut self) {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
                .expect("a certificate can be made");
        self.installation.write("server.pem", &cert.pem());
        self.installation.write("server.key", &signing_key.serialize_pem());
        for (name, value) in [("ADMIN_PASSWORD", ADMIN_PASSWORD), ("SECRET_KEY", SECRET_KEY)] {
            if !self.installation.has_env(name) {
                self.installation.set_env(name, Some(value));
            }
        }
        let written = self.config.as_deref().unwrap_or(ECHO);
        let mut config: Table = written.parse().expect("a test's configuration is TOML");
        lay_under(&mut config, DEFAULTS.parse().expect("the defaults are TOML"));
        if let Some(url) = &self.shared_store {
            let store =
                format!("[store]\nurl = \"{url}\"\ndurability = \"fast\"\ntimeout = \"5s\"");
            lay_under(&mut config, store.parse().expect("a URL is plain text"));
        }
        self.config = Some(config.to_string());
    }
}

/// Adds what `config` does not say itself.
fn lay_under(config: &mut Table, defaults: Table) {
    for (key, default) in defaults {
        match (config.get_mut(&key), default) {
            (Some(toml::Value::Table(own)), toml::Value::Table(default)) => lay_under(own, default),
            (Some(_), _) => {}
            (None, default) => {
                config.insert(key, default);
            }
        }
    }
}

impl Gateway {
    pub async fn start(config: &str) -> Self {
        Self::builder().config(config).start().await
    }

    pub fn builder() -> Builder {
        Builder {
            installation: Installation::new(),
            config: None,
            defaults: true,
            shared_store: None,
            arguments: vec!["run".to_owned()],
        }
    }

    /// The first listener's address.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// One for each listener, in the order they were written.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The certificate it serves: the given one, or the one it made itself.
    pub fn certificate(&self) -> CertificateDer<'static> {
        let places = [
            self.path("server.pem"),
            self.path("certs/server.pem"),
            self.installation.state("certs/server.pem"),
        ];
        let path = places.iter().find(|path| path.exists()).expect("the gateway has a certificate");
        CertificateDer::from_pem_file(path).expect("the gateway has a certificate")
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.installation.path(name)
    }

    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Takes effect at the next start.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        self.installation.set_env(name, value);
    }

    /// Stops it if it runs, and starts it again on the same directory.
    pub async fn restart(&mut self) {
        if self.process.is_some() {
            let ended = self.stop().await;
            assert!(ended.status.success(), "{ended:?}");
        }
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let process = self.installation.start(&arguments, None);
        let listening = process.stdout.find(|lines| {
            let addresses: Vec<SocketAddr> =
                lines.iter().filter_map(|line| listening_address(line)).collect();
            (addresses.len() >= self.listeners).then_some(addresses)
        });
        match within("the gateway to listen", listening).await {
            Some(addresses) => self.addresses = addresses,
            None => panic!("the gateway does not start: {:?}", process.end().await),
        }
        self.process = Some(process);
    }

    /// SIGTERM, and how the process ended.
    pub async fn stop(&mut self) -> Ended {
        let process = self.process.take().expect("the gateway runs");
        process.signal(Signal::TERM);
        process.end().await
    }

    pub fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }

    /// SIGKILL: no chance to write anything down.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process().id()
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the gateway runs")
    }

    /// The log of this run so far.
    pub fn log_lines(&self) -> Vec<Value> {
        self.process().stdout.all().iter().map(|line| parse_line(line)).collect()
    }

    /// Waits for a line of the log.
    pub async fn wait_for_log(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let line = self
            .process()
            .stdout
            .find(|lines| lines.iter().map(|line| parse_line(line)).find(|line| wanted(line)));
        within("a line in the log", line).await.expect("the gateway runs on")
    }

    /// The audit line of a request that its client did not wait for, if there is one yet.
    pub fn audited_after_leaving(&self, path: &str) -> Option<Value> {
        let lines = self.log_lines();
        let left = |line: &&Value| line["path"] == path && line["reason"] == "client_left";
        lines.iter().filter(left).find_map(|access| {
            let of_it = |line: &&Value| {
                line["type"] == "audit" && line["request_id"] == access["request_id"]
            };
            lines.iter().find(of_it).cloned()
        })
    }

    /// What every user of the machine can see of it.
    pub fn command_line(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/cmdline", self.process().id()))
            .expect("a running process has a command line")
    }

    /// Like `wait_for_log`, looking at the newest lines first.
    pub async fn wait_for_recent_log(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let newest = |lines: &[String]| {
            lines.iter().rev().map(|line| parse_line(line)).find(|line| wanted(line))
        };
        let line = self.process().stdout.find(newest);
        within("a line in the log", line).await.expect("the gateway runs on")
    }

    /// What this run has written for people so far.
    pub fn stderr(&self) -> String {
        self.process().stderr.text()
    }

    /// Runs a command of the binary in the same directory.
    pub async fn cli(&self, arguments: &[&str], input: Option<&str>) -> Ended {
        self.installation.run(&[arguments, &["--config", "config.toml"]].concat(), input).await
    }

    /// Runs the binary in the gateway's directory, with another configuration.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.installation.run(arguments, None).await
    }

    /// Runs a command that is expected to do its work.
    pub async fn manage(&self, arguments: &[&str], input: Option<&str>) -> String {
        let ended = self.cli(arguments, input).await;
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        ended.stdout
    }

    /// What a running gateway says of itself.
    pub async fn status(&self) -> Value {
        let status = self.manage(&["status", "--format", "json"], None).await;
        serde_json::from_str(&status).expect("the status is JSON")
    }

    /// How far a counter has come.
    pub async fn count(&self, name: &str) -> u64 {
        self.status().await["counters"][name].as_u64().expect("such a counter")
    }

    /// Waits until one of these counters, or all together, have come this far.
    pub async fn counted(&self, names: &[&str], least: u64) {
        eventually(&format!("{least} of {names:?}"), async || {
            let status = self.status().await;
            let count = |name: &&str| status["counters"][name].as_u64().expect("such a counter");
            (names.iter().map(count).sum::<u64>() >= least).then_some(())
        })
        .await;
    }

    /// The memory the process holds now.
    pub fn resident_bytes(&self) -> u64 {
        self.process().resident_bytes()
    }

    pub async fn add_user(&self, name: &str, password: &str, roles: &[&str]) {
        let roles = roles.iter().flat_map(|role| ["--role", role]);
        let arguments: Vec<&str> = ["user", "add", name].into_iter().chain(roles).collect();
        self.manage(&arguments, Some(&format!("{password}\n"))).await;
    }

    /// Makes an API key; `more` goes on the command line. Answers its id and text.
    pub async fn create_key(
        &self,
        owner: &str,
        scopes: &[&str],
        more: &[&str],
    ) -> (String, String) {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        let arguments: Vec<&str> = ["key", "create", "--owner", owner, "--format", "json"]
            .into_iter()
            .chain(scopes)
            .chain(more.iter().copied())
            .collect();
        let key: Value = serde_json::from_str(&self.manage(&arguments, None).await)
            .expect("a key is described as JSON");
        let text = |member: &str| key[member].as_str().expect("a member of text").to_owned();
        (text("id"), text("key"))
    }

    /// The id and the text of a key that is bound to a server of its own, as agents have.
    pub async fn create_server_key(&self, owner: &str, scopes: &[&str]) -> (String, String) {
        let server = self.manage(&["server", "add", "of agents"], None).await;
        self.create_key(owner, scopes, &["--server", &server]).await
    }
}

fn parse_line(line: &str) -> Value {
    serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("not a line of the log: {line}: {error}"))
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    let line = parse_line(line);
    let address = line["address"].as_str().filter(|_| line["message"] == "listening")?;
    Some(address.parse().expect("a listener logs its address"))
}
