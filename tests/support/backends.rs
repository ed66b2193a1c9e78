//! Servers by others behind the gateway, and a proxy by others in front of it, as child
//! processes, each on a loopback address of its own.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::gateway::Gateway;
use super::process::Process;
use super::{eventually, fresh_host, within};

const PORT: u16 = 8000;
/// Whence the terminating proxy comes to the gateway; its own clients come from 127.0.0.1.
pub const TERMINATOR: &str = "127.0.0.2";

/// Where the programs lie; installed when they are missing.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = super::repository();
    let status = Command::new(root.join("tests/backends/install")).status();
    assert!(status.expect("the installer starts").success(), "the installer fails");
    root.canonicalize().expect("the project is there")
});

pub struct Backend {
    host: IpAddr,
    process: Process,
    _directory: TempDir,
}

impl Backend {
    pub const PORT: u16 = PORT;

    /// lighttpd with a CGI program that returns its environment: every byte of a field's
    /// name that is no letter or digit has become `_`.
    pub async fn cgi() -> Self {
        let directory = TempDir::with_prefix("portcullis-cgi-").expect("a directory can be made");
        let host = fresh_host();
        let root = directory.path().display();
        std::fs::write(
            directory.path().join("environment.sh"),
            "printf 'Content-Type: text/plain\\r\\n\\r\\n'; env\n",
        )
        .expect("a file can be written");
        std::fs::write(
            directory.path().join("lighttpd.conf"),
            format!(
                "server.modules = (\"mod_cgi\")\nserver.document-root = \"{root}\"\n\
                 server.bind = \"{host}\"\nserver.port = {PORT}\n\
                 cgi.assign = (\".sh\" => \"/bin/sh\")\n"
            ),
        )
        .expect("a file can be written");
        let _ = &*ROOT;
        let mut command = Command::new("/usr/sbin/lighttpd");
        command.arg("-D").arg("-f").arg(directory.path().join("lighttpd.conf"));
        Self::started(host, command, directory).await
    }

    /// Flask under its own server, Werkzeug.
    pub async fn flask() -> Self {
        let host = fresh_host();
        let mut command = python();
        command.arg("application.py").arg(host.to_string()).arg(PORT.to_string());
        Self::started(host, command, empty()).await
    }

    /// The same application under gunicorn, which takes SCRIPT_NAME from a field.
    pub async fn gunicorn() -> Self {
        let host = fresh_host();
        let mut command = python();
        command.args(["-m", "gunicorn", "--bind", &format!("{host}:{PORT}"), "application:flask"]);
        Self::started(host, command, empty()).await
    }

    /// An ASGI application under uvicorn with h11.
    pub async fn uvicorn() -> Self {
        let host = fresh_host();
        let mut command = python();
        command.args(["-m", "uvicorn", "--http", "h11", "--host", &host.to_string()]);
        command.args(["--port", &PORT.to_string(), "application:asgi"]);
        Self::started(host, command, empty()).await
    }

    /// HAProxy that ends TLS with the gateway's certificate and goes on in clear, from
    /// [`TERMINATOR`]; `fields` are its rules for what it says of the client.
    pub async fn terminator(gateway: &Gateway, fields: &str) -> Self {
        let directory = TempDir::with_prefix("portcullis-proxy-").expect("a directory can be made");
        let host = fresh_host();
        let pem = ["server.pem", "server.key"]
            .map(|name| std::fs::read_to_string(gateway.path(name)).expect("the tests' own"))
            .concat();
        std::fs::write(directory.path().join("site.pem"), pem).expect("a file can be written");
        let config = format!(
            "defaults\n  mode http\n  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n\
             frontend site\n  bind {host}:{PORT} ssl crt {}/site.pem alpn http/1.1\n{fields}\
             \x20 default_backend gateway\nbackend gateway\n  source {TERMINATOR}\n  server gateway {}\n",
            directory.path().display(),
            gateway.address(),
        );
        Self::haproxy(host, directory, &config).await
    }

    /// HAProxy before the gateway, which it finds up or down by such a check over TLS, and
    /// prints what each check found.
    pub async fn checker(gateway: &Gateway, check: &str) -> Self {
        let directory = TempDir::with_prefix("portcullis-proxy-").expect("a directory can be made");
        let host = fresh_host();
        let config = format!(
            "global\n  log stdout format raw local0\ndefaults\n  mode tcp\n  log global\n\
             \x20 timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n\
             frontend site\n  bind {host}:{PORT}\n  default_backend gateway\n\
             backend gateway\n  {check}\n  option log-health-checks\n\
             \x20 server gateway {} check check-ssl verify none inter 200ms fall 1 rise 1\n",
            gateway.address(),
        );
        Self::haproxy(host, directory, &config).await
    }

    async fn haproxy(host: IpAddr, directory: TempDir, config: &str) -> Self {
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, config).expect("a file can be written");
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-db").arg("-f").arg(file);
        Self::installed(host, command, directory).await
    }

    /// Docker's registry, which asks nobody who they are.
    pub async fn registry() -> Self {
        let directory =
            TempDir::with_prefix("portcullis-registry-").expect("a directory can be made");
        let host = fresh_host();
        let config = format!(
            "version: 0.1\nlog:\n  level: warn\n\
             storage:\n  filesystem:\n    rootdirectory: {}/images\n\
             http:\n  addr: {host}:{PORT}\n",
            directory.path().display(),
        );
        std::fs::write(directory.path().join("config.yml"), config).expect("a file can be written");
        let _ = &*ROOT;
        let mut command = Command::new("/usr/bin/docker-registry");
        command.arg("serve").arg(directory.path().join("config.yml"));
        Self::started(host, command, directory).await
    }

    /// aiosmtpd, which prints every message it takes.
    pub async fn smtp() -> Self {
        let host = fresh_host();
        let mut command = python();
        command.args(["-u", "-m", "aiosmtpd", "-n", "-l", &format!("{host}:{PORT}")]);
        command.args(["-c", "aiosmtpd.handlers.Debugging", "stdout"]);
        Self::started(host, command, empty()).await
    }

    /// What it has printed, once `find` finds something in it.
    pub async fn printed<T>(&self, what: &str, find: impl FnMut(&[String]) -> Option<T>) -> T {
        within(what, self.process.stdout.find(find)).await.expect("the backend runs")
    }

    /// Another's program, once what all of them need is installed.
    pub async fn installed(host: IpAddr, command: Command, directory: TempDir) -> Self {
        let _ = &*ROOT;
        Self::started(host, command, directory).await
    }

    async fn started(host: IpAddr, mut command: Command, directory: TempDir) -> Self {
        let process = Process::start(&mut command, None);
        let backend = Self { host, process, _directory: directory };
        let listens = async || TcpStream::connect(backend.address()).await.ok();
        eventually("the backend to listen", listens).await;
        backend
    }

    pub fn address(&self) -> SocketAddr {
        (self.host, PORT).into()
    }

    /// The section that declares it under this name; further keys may follow.
    pub fn section(&self, name: &str) -> String {
        format!("[upstream.{name}]\nurl = \"http://{}\"\n", self.address())
    }
}

fn python() -> Command {
    let mut command = Command::new(ROOT.join("target/backends-venv/bin/python"));
    command.current_dir(ROOT.join("tests/backends"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn empty() -> TempDir {
    TempDir::with_prefix("portcullis-backend-").expect("a directory can be made")
}
