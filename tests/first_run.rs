//! From nothing to a running gateway, the next start, and the end.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::support::client::{Client, Pair, sign_in};
use crate::support::gateway::{ADMIN, ECHO, Gateway};
use crate::support::installation::Installation;
use crate::support::{eventually, within};

/// All that a newcomer writes, on a port that is surely free.
fn config() -> String {
    format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{ECHO}")
}

/// With no argument at all.
async fn start() -> Gateway {
    Gateway::builder().config(&config()).bare().arguments(&[]).start().await
}

/// What lies in the file that standard error names, which nobody reads as it is written.
async fn kept_password(gateway: &Gateway) -> String {
    let path = eventually("the name of a file", async || {
        let text = gateway.stderr();
        let (_, rest) = text.split_once("its password is in ")?;
        Some(rest.split_once(';')?.0.to_owned())
    })
    .await;
    let path = gateway.path(path);
    assert_eq!(mode(&path), 0o600);
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.strip_suffix('\n').expect("a line").to_owned()
}

fn mode(path: &Path) -> u32 {
    let metadata = path.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    metadata.permissions().mode() & 0o777
}

#[tokio::test]
async fn everything_that_is_missing_is_made_and_what_is_secret_is_the_owners_alone() {
    let gateway = start().await;
    assert!(gateway.path("certs/server.pem").exists());
    assert_eq!(mode(&gateway.path("certs/server.key")), 0o600);
    assert_eq!(mode(&gateway.path("data")), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(gateway.path("data")).expect("the store has a directory") {
        let path = entry.expect("a readable entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().expect("an entry has a name").to_string_lossy().into_owned());
    }
    assert!(names.iter().any(|name| name.contains("secret")), "a secret key among {names:?}");
    Client::anonymous(&gateway).get("/health").await.expect(200);
    Client::anonymous(&gateway).get("/").await.refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn the_first_accounts_password_goes_to_no_journal_but_to_a_file_that_is_named() {
    let mut gateway = start().await;
    let password = kept_password(&gateway).await;
    let first = gateway.stop().await;
    assert!(!first.stderr.contains(&password), "a password in a journal: {}", first.stderr);
    assert!(!first.stdout.contains(&password), "a password in the log");

    gateway.restart().await;
    sign_in(&gateway, ADMIN, &password).await;
    let second = gateway.stop().await;
    assert!(!second.stderr.contains(&password), "{}", second.stderr);
    assert!(!second.stdout.contains(&password), "a password in the log");
}

#[tokio::test]
async fn the_file_with_the_first_password_goes_when_another_is_set() {
    let gateway = start().await;
    kept_password(&gateway).await;
    let file = gateway.path("data/admin_password");
    assert!(file.exists());
    gateway.add_user("ann", "ann has this one", &[]).await;
    gateway.manage(&["user", "passwd", "ann"], Some("ann has another\n")).await;
    assert!(file.exists(), "it is not ann's");
    let said = gateway.cli(&["user", "passwd", ADMIN], Some("a new one to sign in\n")).await;
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert!(said.stderr.contains("admin_password held the old password"), "{said:?}");
    assert!(!file.exists());
    sign_in(&gateway, ADMIN, "a new one to sign in").await;
}

/// A file of that name may be the operator's own, which the next start reads.
#[tokio::test]
async fn a_password_file_of_the_operator_stays_where_it_is() {
    let config = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{ECHO}");
    let builder = Gateway::builder().bare().config(&config);
    let mut gateway = builder.env("ADMIN_PASSWORD", "given by the operator").start().await;
    let file = gateway.path("data/admin_password");
    std::fs::write(&file, "given by the operator\n").expect("the directory is ours");
    gateway.manage(&["user", "passwd", ADMIN], Some("a new one to sign in\n")).await;
    gateway.restart().await;
    gateway.wait_for_log(|line| line["message"] == "ready").await;
    assert!(file.exists());
}

/// It may hold what is to be the password, and is read by no start that does not name it.
#[tokio::test]
async fn a_password_file_of_the_operator_is_not_written_over() {
    let place = Installation::new().file("config.toml", &config());
    std::fs::create_dir(place.path("data")).expect("there is none");
    place.write("data/admin_password", "the operator's own\n");
    let refused = place.run(&["run"], None).await;
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(refused.stderr.contains("name it in ADMIN_PASSWORD_FILE, or move it"), "{refused:?}");
    let kept = std::fs::read_to_string(place.path("data/admin_password")).expect("it is there");
    assert_eq!(kept, "the operator's own\n");
}

#[tokio::test]
async fn the_file_with_the_first_password_goes_at_a_start_when_another_was_set_over_http() {
    let mut gateway = start().await;
    let password = kept_password(&gateway).await;
    let file = gateway.path("data/admin_password");
    gateway.restart().await;
    let pair = sign_in(&gateway, ADMIN, &password).await;
    assert!(file.exists(), "it holds");
    let change = json!({ "current_password": password, "new_password": "Another1@password" });
    let client = Client::bearer(&gateway, &pair.access);
    client.post_json("/api/change-password", &change).await.expect(200);
    gateway.restart().await;
    gateway
        .wait_for_log(|line| line["message"] == "outdated file of the first password removed")
        .await;
    assert!(!file.exists());
}

/// A password that is given is the one that counts, and needs no telling.
#[tokio::test]
async fn a_given_admin_password_is_taken_once_and_not_told() {
    let given = "given by the operator";
    let builder = Gateway::builder().config(&config()).bare().env("ADMIN_PASSWORD", given);
    let mut gateway = builder.start().await;
    sign_in(&gateway, ADMIN, given).await;
    gateway.set_env("ADMIN_PASSWORD", Some("another one, later"));
    let first = gateway.stop().await;
    assert!(!first.stderr.contains(given) && !first.stdout.contains(given), "{first:?}");

    gateway.restart().await;
    sign_in(&gateway, ADMIN, given).await;
    let later = Client::anonymous(&gateway).login(ADMIN, "another one, later").await;
    later.refused(401, "INVALID_CREDENTIALS");
}

/// A password that was shown once would be gone with it.
#[tokio::test]
async fn a_start_on_a_port_that_is_taken_makes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has one").to_string();
    let place = Installation::new();
    let ended = place.run(&["run", "--to", "echo", "--listen", &address], None).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("another process listens there"), "{ended:?}");
    assert!(!place.path(".local").exists(), "{ended:?}");
}

#[tokio::test]
async fn a_store_without_an_administrator_is_said_at_the_start() {
    let config = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{ECHO}");
    let place = Installation::new().file("config.toml", &config);
    let added = place.run(&["user", "add", "ann"], Some("ann has this one\n")).await;
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    let process = place.start(&["run", "--log-format", "json"], None);
    let said = |lines: &[String]| {
        let line = lines.iter().find(|line| line.contains("no account has the role admin"))?;
        Some(line.clone())
    };
    let line = within("the warning", process.stdout.find(said)).await.expect("a warning");
    assert!(line.contains("portcullis user roles NAME admin"), "{line}");
}

#[tokio::test]
async fn a_restart_keeps_certificate_accounts_and_tokens() {
    let mut gateway = start().await;
    let password = kept_password(&gateway).await;
    let Pair { access, refresh } = sign_in(&gateway, ADMIN, &password).await;
    let certificate = gateway.certificate();
    gateway.restart().await;
    assert_eq!(gateway.certificate(), certificate);
    Client::bearer(&gateway, &access).get("/").await.expect(200);
    Client::anonymous(&gateway).refresh(&refresh).await.expect(200);
    sign_in(&gateway, ADMIN, &password).await;
}

#[tokio::test]
async fn without_a_file_one_option_is_enough() {
    let arguments = ["run", "--to", "echo", "--listen", "127.0.0.1:0"];
    let gateway = Gateway::builder().bare().arguments(&arguments).start().await;
    let password = kept_password(&gateway).await;
    Client::basic(&gateway, ADMIN, &password).get("/any/path").await.expect(200);
    Client::anonymous(&gateway).get("/any/path").await.refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn sigterm_ends_it_with_0_and_nothing_to_complain_about() {
    let mut gateway = start().await;
    Client::anonymous(&gateway).get("/health").await.expect(200);
    let ended = gateway.stop().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_second_process_on_the_same_store_refuses_to_start() {
    let gateway = start().await;
    let second = gateway.cli(&["run", "--listen", "127.0.0.1:0"], None).await;
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(second.stderr.contains("data"), "the store is named: {second:?}");
    assert!(!second.stdout.contains("listening"), "{second:?}");
    Client::anonymous(&gateway).get("/health").await.expect(200);
}

#[tokio::test]
async fn a_secret_key_has_at_least_32_bytes() {
    let enough = "k".repeat(32);
    let gateway =
        Gateway::builder().config(&config()).bare().env("SECRET_KEY", &enough).start().await;
    Client::anonymous(&gateway).get("/health").await.expect(200);

    let refused =
        Installation::new().file("config.toml", &config()).env("SECRET_KEY", &enough[1..]);
    let ended = refused.run(&["run"], None).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    assert!(ended.stderr.contains("SECRET_KEY") && ended.stderr.contains("31"), "{ended:?}");
}

#[tokio::test]
async fn healthcheck_tells_whether_it_runs() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("a port is free");
    let config = format!("[[listener]]\naddress = \"{address}\"\n{ECHO}");
    let mut gateway = Gateway::builder().config(&config).bare().start().await;
    let running = gateway.cli(&["healthcheck"], None).await;
    assert_eq!(running.status.code(), Some(0), "{running:?}");
    gateway.stop().await;
    let stopped = gateway.cli(&["healthcheck"], None).await;
    assert_eq!(stopped.status.code(), Some(1), "{stopped:?}");
}

#[tokio::test]
async fn the_command_line_explains_itself() {
    let installation = Installation::new();
    let version = installation.run(&["version"], None).await;
    assert_eq!(version.status.code(), Some(0), "{version:?}");
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{version:?}");
    for wrong in [&["frobnicate"][..], &["run", "--frobnicate"], &["user", "add"], &["key"]] {
        let ended = installation.run(wrong, None).await;
        assert_eq!(ended.status.code(), Some(2), "{wrong:?}: {ended:?}");
        assert!(ended.stderr.contains("Usage"), "{wrong:?}: {ended:?}");
    }
}
