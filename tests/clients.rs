//! The clients people use, as they are: what is documented works with each, and nothing
//! well-formed that they send is refused. `clients/install` makes those that are missing.

mod agents;
mod browser;
mod console;
mod curl;
mod git;
mod grpc;
mod http;
mod jupyterlab;
mod npm;
mod pip;
mod registry;
mod uploads;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use crate::support::gateway::Gateway;

/// Starting Python, Node or a browser on a busy machine takes long.
const PATIENCE: Duration = Duration::from_secs(60);
/// A whole visit with many pages.
const BROWSING: Duration = Duration::from_secs(240);

/// Where the clients lie; installed when they are missing.
static CLIENTS: LazyLock<PathBuf> = LazyLock::new(|| {
    let status = Command::new(root().join("tests/clients/install")).status();
    assert!(status.expect("the installer starts").success(), "the installer fails");
    root().join("target/clients")
});

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn script(name: &str) -> PathBuf {
    root().join("tests/clients").join(name)
}

/// A client that is ended when it takes too long.
fn client(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE.as_secs().to_string()).arg(program);
    command
}

fn python(name: &str) -> Command {
    let mut command = client("python3");
    command.arg(script(name)).env("PYTHONPATH", CLIENTS.join("python"));
    command
}

fn node(name: &str) -> Command {
    let mut command = client("node");
    command.arg(script(name)).env("NODE_PATH", CLIENTS.join("node_modules"));
    command
}

fn go() -> Command {
    client(CLIENTS.join("agent"))
}

/// Runs a client that trusts the gateway's certificate, and is expected to get what it
/// asks for.
async fn succeeds(command: Command, gateway: &Gateway) -> String {
    let what = format!("{command:?}");
    let output = run(command, gateway).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{what}: {stdout}\n{stderr}");
    stdout
}

/// The same of one that is expected to be refused: what it says for people.
async fn fails(command: Command, gateway: &Gateway) -> String {
    let what = format!("{command:?}");
    let output = run(command, gateway).await;
    assert!(!output.status.success(), "{what}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn run(mut command: Command, gateway: &Gateway) -> Output {
    let certificate = gateway.path("server.pem");
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
        command.env(name, &certificate);
    }
    // Before it starts: what it needs is there.
    let _ = &*CLIENTS;
    let running = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output());
    running.await.expect("it is waited for").expect("the client starts")
}

fn url(gateway: &Gateway, scheme: &str) -> String {
    format!("{scheme}://localhost:{}", gateway.address().port())
}
