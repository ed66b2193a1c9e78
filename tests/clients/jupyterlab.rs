//! JupyterLab behind the sign-in, in Chromium: its sockets and its requests outlive the
//! access token.

use serde_json::json;

use crate::support::installation::Installation;
use crate::support::process::Process;
use crate::support::within;

use super::*;

const PARTS: &[&str] = &[
    "JupyterLab opens behind the sign-in",
    "a kernel answers",
    "work goes on past the life of the first access token",
    "a notebook is saved",
    "waits for the session's end",
    "an ended session closes the kernel's socket, and leads to the sign-in",
];

/// As `deploy/docs/jupyter.md` has it.
const SETTINGS: &str = r#"
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "notebooks"
c.ServerApp.allow_remote_access = True
c.IdentityProvider.token = ""
c.PasswordIdentityProvider.hashed_password = ""
c.LabApp.news_url = None
"#;

/// Two cells, of which the second needs what the kernel keeps of the first.
fn notebook() -> String {
    let cells = ["kept = 20 + 22; print('first', kept)", "print('later', kept + 1)"];
    let cells = cells.map(|source| {
        json!({
            "cell_type": "code", "execution_count": null, "id": source.len().to_string(),
            "metadata": {}, "outputs": [], "source": source,
        })
    });
    let kernel = json!({ "display_name": "Python", "language": "python", "name": "python3" });
    let metadata = json!({ "kernelspec": kernel });
    json!({ "cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5 }).to_string()
}

/// Where the software of the recipes lies; installed when it is missing.
static RECIPES: LazyLock<PathBuf> = LazyLock::new(|| {
    let status = Command::new(root().join("tests/recipes/install")).status();
    assert!(status.expect("the installer starts").success(), "the installer fails");
    root().join("target/recipes")
});

/// The server's directory, the server, and its port.
async fn start_jupyter() -> (Installation, Process, u16) {
    let directory = Installation::new().file("settings.py", SETTINGS);
    std::fs::create_dir(directory.path("notebooks")).expect("a directory can be made");
    directory.write("notebooks/first.ipynb", &notebook());
    let mut command = Command::new(RECIPES.join("python/bin/jupyter-lab"));
    let home = directory.path(".");
    command
        .args(["--config=settings.py", "--allow-root", "--ServerApp.port=0"])
        .current_dir(&home)
        .env("HOME", &home)
        .env_remove("JUPYTER_TOKEN");
    let server = Process::start(&mut command, None);
    let listening = server.stderr.find(|lines| {
        lines.iter().find_map(|line| {
            let (_, rest) = line.split_once("http://127.0.0.1:")?;
            rest.split('/').next()?.parse().ok()
        })
    });
    let port = tokio::time::timeout(PATIENCE, listening).await.ok().flatten();
    let port = port.unwrap_or_else(|| panic!("it does not start: {}", server.stderr.text()));
    (directory, server, port)
}

#[tokio::test]
async fn jupyterlab_is_used_past_the_life_of_its_first_access_token() {
    let (_directory, _server, port) = start_jupyter().await;
    let config = format!(
        "[limits]\nrequests_per_second = 1000\nburst = 1000\n\
         [console]\naccess_ttl = \"3s\"\n\
         [timeouts]\ntunnel_idle = \"off\"\n\
         [[route]]\nupstream = \"http://127.0.0.1:{port}\"\nroles = [\"user\"]\n"
    );
    let gateway = Gateway::start(&config).await;
    gateway.add_user("ann", "a good password", &["user"]).await;
    let mut command = Command::new("timeout");
    command
        .arg(BROWSING.as_secs().to_string())
        .arg("node")
        .arg(script("jupyterlab.mjs"))
        .arg(url(&gateway, "https"))
        .env("MODULES", CLIENTS.join("node_modules"));
    let browser = Process::start(&mut command, None);
    let told = |part: &'static str| {
        browser.stdout.find(move |lines| lines.iter().any(|line| line == part).then_some(()))
    };
    for part in PARTS {
        let told = tokio::time::timeout(BROWSING, told(part)).await.ok().flatten();
        assert!(told.is_some(), "{part}: {}{}", browser.stdout.text(), browser.stderr.text());
        if *part == "waits for the session's end" {
            gateway.manage(&["session", "end", "--user", "ann"], None).await;
        }
    }
    let ended = within("the browser to end", browser.end()).await;
    assert!(ended.status.success(), "{ended:?}");
}
