//! Who on this machine can read the gateway's files.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::gateway::{ECHO, Gateway};
use crate::support::installation::Installation;
use crate::support::within;

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

/// A gateway with files of its own, in a directory that others can enter.
async fn start() -> Gateway {
    let config = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{ECHO}");
    let gateway = Gateway::builder().bare().config(&config).start().await;
    set_mode(&gateway.path(""), 0o755);
    gateway
}

const OURS: [(&str, u32); 4] = [
    ("data", 0o700),
    ("data/secret_key", 0o600),
    ("data/portcullis.redb", 0o600),
    ("certs/server.key", 0o600),
];

async fn warnings(gateway: &Gateway) -> Vec<Value> {
    let checked = gateway.manage(&["check", "--format", "json"], None).await;
    let checked: Value = serde_json::from_str(&checked).expect("JSON");
    checked["warnings"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn what_the_gateway_made_and_somebody_opened_is_closed_at_the_next_start() {
    let mut gateway = start().await;
    assert!(warnings(&gateway).await.is_empty(), "control: nothing is open");
    gateway.stop().await;
    for (name, right) in OURS {
        assert_eq!(mode(&gateway.path(name)), right, "made so: {name}");
        set_mode(&gateway.path(name), right | 0o055);
    }
    let warned = warnings(&gateway).await;
    for (name, right) in OURS {
        let of_it =
            |warning: &&Value| warning["place"] == name && warning["code"] == "secret_readable";
        assert_eq!(warned.iter().filter(of_it).count(), 1, "{name}: {warned:?}");
        assert_eq!(mode(&gateway.path(name)), right | 0o055, "check changes nothing: {name}");
    }
    gateway.restart().await;
    for (name, right) in OURS {
        assert_eq!(mode(&gateway.path(name)), right, "{name}");
        let line = gateway
            .wait_for_log(|l| l["message"] == "file mode repaired" && l["path"] == name)
            .await;
        assert_eq!(line["was"], format!("{:04o}", right | 0o055), "{line}");
    }
    assert!(warnings(&gateway).await.is_empty(), "nothing is left to warn of");
}

#[tokio::test]
async fn a_state_directory_with_a_certificate_of_ours_in_it_is_closed_too() {
    let mut gateway = Gateway::builder()
        .bare()
        .arguments(&["--to", "echo", "--listen", "127.0.0.1:0"])
        .start()
        .await;
    gateway.stop().await;
    for parent in ["", ".local", ".local/state"] {
        set_mode(&gateway.path(parent), 0o755);
    }
    let state = gateway.path(".local/state/portcullis");
    assert!(state.join("certs/server.pem").exists(), "the layout that this is about");
    set_mode(&state, 0o755);
    gateway.restart().await;
    assert_eq!(mode(&state), 0o700);
}

/// Its name begins as ours do.
#[tokio::test]
async fn a_project_whose_configuration_lies_beside_the_store_stays_open_and_in_git() {
    let config = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n[store]\npath = \".\"\n{ECHO}");
    let place = Installation::new().file("portcullis.toml", &config);
    set_mode(&place.path(""), 0o755);
    let process =
        place.start(&["run", "--config", "portcullis.toml", "--log-format", "json"], None);
    let ready = |lines: &[String]| {
        lines.iter().any(|line| line.contains("\"message\":\"ready\"")).then_some(())
    };
    within("the gateway to be ready", process.stdout.find(ready)).await.expect("it is ready");
    assert_eq!(mode(&place.path("")), 0o755);
    assert!(!place.path(".gitignore").exists());
}

#[tokio::test]
async fn a_directory_with_somebody_elses_files_stays_as_it_is() {
    let mut gateway = start().await;
    gateway.stop().await;
    std::fs::write(gateway.path("data/notes.txt"), "mine").expect("a file");
    for name in ["data", "data/secret_key", "data/notes.txt"] {
        set_mode(&gateway.path(name), 0o755);
    }
    gateway.restart().await;
    assert_eq!(mode(&gateway.path("data")), 0o755);
    assert_eq!(mode(&gateway.path("data/notes.txt")), 0o755);
    assert_eq!(mode(&gateway.path("data/secret_key")), 0o600, "ours is closed by itself");
}

#[tokio::test]
async fn the_operators_files_are_warned_of_and_left_as_they_are() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    let config = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [tls]\ncertificate = \"own.pem\"\nkey = \"own.key\"\n\
         [auth]\nsecret_key_file = \"closed/secret\"\n{ECHO}"
    );
    let installation = Installation::new()
        .file("config.toml", &config)
        .file("own.pem", &pair.cert.pem())
        .file("own.key", &pair.signing_key.serialize_pem())
        .file("password", "correct horse battery\n")
        .env("ADMIN_PASSWORD_FILE", "password");
    set_mode(&installation.path(""), 0o755);
    std::fs::create_dir(installation.path("closed")).expect("a directory");
    let secret = installation.path("closed/secret");
    std::fs::write(&secret, "forty-three bytes that only the tests share\n").expect("a file");
    set_mode(&installation.path("closed"), 0o700);
    for name in ["own.key", "password", "closed/secret"] {
        set_mode(&installation.path(name), 0o644);
    }
    let check = async || {
        let ended = installation.run(&["check", "--format", "json"], None).await;
        let checked: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let warnings = checked["warnings"].as_array().expect("a list").clone();
        let of = |warning: &Value| {
            assert_eq!(warning["code"], "secret_readable", "{warning}");
            (warning["key"].to_string(), warning["place"].to_string())
        };
        warnings.iter().map(of).collect::<Vec<_>>()
    };
    let quoted = |text: &str| format!("\"{text}\"");
    let found = check().await;
    assert_eq!(
        found,
        [
            (quoted("ADMIN_PASSWORD_FILE"), quoted("environment variable ADMIN_PASSWORD_FILE")),
            (quoted("tls.key"), quoted("config.toml:5:7")),
        ]
    );
    // A group may share a key; and a directory of 0700 keeps others out.
    set_mode(&installation.path("own.key"), 0o640);
    set_mode(&installation.path("password"), 0o600);
    assert!(check().await.is_empty());
    set_mode(&installation.path("closed"), 0o755);
    let found = check().await;
    assert_eq!(found, [(quoted("auth.secret_key_file"), quoted("config.toml:7:19"))]);

    let process = installation.start(&["run"], None);
    let ready = process
        .stdout
        .find(|lines| lines.iter().any(|line| line.contains("\"ready\"")).then_some(()));
    crate::support::within("the gateway to run", ready).await.expect("it runs");
    assert_eq!(mode(&secret), 0o644, "the operator's stays as it is");
    assert_eq!(mode(&installation.path("own.key")), 0o640);
    let lines = process.stdout.all();
    assert_eq!(
        lines.iter().filter(|line| line.contains("secret_readable")).count(),
        1,
        "{lines:?}"
    );
}
