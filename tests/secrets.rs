//! Secrets of every kind, put in every place where one can come in, with the log
//! as loud as it gets: none comes out again.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::client::{Client, basic, sign_in, typed_request};
use crate::support::eventually;
use crate::support::gateway::{ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::raw::raw;
use crate::support::upstream::{Upstream, mirror};

const USER: &str = "ann";
const PASSWORD: &str = "planted-password-1";
const SECOND_PASSWORD: &str = "planted-password-2";

/// Everything at its loudest, our own parts and the libraries.
const LOUD: &str = r#"
[log]
level = "trace"
[log.levels]
h2 = "trace"
hyper = "trace"
redb = "trace"
rustls = "trace"
tokio = "trace"
[limits]
max_login_attempts = 1000
"#;

struct Planted(BTreeMap<&'static str, String>);

impl Planted {
    fn add(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 8, "{what} is too short to be found by itself");
        self.0.insert(what, secret.clone());
        secret
    }

    fn check_absent(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            assert!(!text.contains(secret.as_str()), "the {what} stands in the {place}:\n{text}");
        }
    }
}

#[tokio::test]
async fn no_secret_of_any_kind_is_ever_written_down() {
    let upstream = Upstream::http1(mirror).await;
    let config = format!("{}{LOUD}", upstream.routes());
    let mut gateway = Gateway::start(&config).await;
    let mut planted = Planted(BTreeMap::new());
    planted.add("signing key", SECRET_KEY);
    planted.add("first password", ADMIN_PASSWORD);
    planted.add("password", PASSWORD);
    planted.add("new password", SECOND_PASSWORD);
    gateway.add_user(USER, PASSWORD, &["user"]).await;
    let (_, key) = gateway.create_key(USER, &[], &[]).await;
    // How a key begins is shown on purpose.
    planted.add("API key", &key[16..]);

    let pair = sign_in(&gateway, USER, PASSWORD).await;
    planted.add("access token", pair.access.clone());
    planted.add("refresh token", pair.refresh.clone());
    let bearer = Client::bearer(&gateway, &pair.access);
    let ticket = bearer.get("/api/ws-token").await.expect(200).json();
    let ticket = planted.add("ticket", ticket["token"].as_str().expect("a ticket"));
    let coded = planted.add("encoded password", &basic(USER, PASSWORD)["Basic ".len()..]);

    ask_with_each(&gateway, &key, &ticket).await;
    ask_with_what_is_wrong(&gateway, &mut planted, &pair.access).await;
    say_what_cannot_be_read(&gateway, &mut planted, &coded).await;

    let renewed = Client::anonymous(&gateway).refresh(&pair.refresh).await.expect(200).pair();
    planted.add("second access token", renewed.access.clone());
    planted.add("second refresh token", renewed.refresh);
    let change = json!({ "current_password": PASSWORD, "new_password": SECOND_PASSWORD });
    let bearer = Client::bearer(&gateway, &renewed.access);
    bearer.post_json("/api/change-password", &change).await.expect(200);
    bearer.post("/api/logout").await.expect(200);

    for command in [["status"].as_slice(), &["user", "list"], &["key", "list"], &["check"]] {
        for format in ["table", "json"] {
            let said = gateway.cli(&[command, &["--format", format]].concat(), None).await;
            planted.check_absent("answer of a command", &(said.stdout + &said.stderr));
        }
    }
    planted.check_absent("process table", &gateway.command_line());
    let ended = gateway.stop().await;
    assert!(ended.stdout.contains("\"level\":\"trace\""), "the log is as loud as it gets");
    planted.check_absent("log", &ended.stdout);
    planted.check_absent("error output", &ended.stderr);
}

/// Good credentials, in all their places.
async fn ask_with_each(gateway: &Gateway, key: &str, ticket: &str) {
    Client::basic(gateway, USER, PASSWORD).get("/basic").await.expect(200);
    Client::api_key(gateway, key).get("/key").await.expect(200);
    Client::bearer(gateway, key).h2().get("/key").await.expect(200);
    let anonymous = Client::anonymous(gateway);
    for name in ["token", "access_token", "api_key", "password", "ticket"] {
        anonymous.get(&format!("/query?{name}={ticket}&key={key}")).await.expect(401);
    }
    Client::api_key(gateway, key)
        .with("cookie", &format!("session={ticket}"))
        .with("referer", &format!("https://localhost/?token={ticket}"))
        .with("x-auth-token", key)
        .get("/elsewhere")
        .await
        .expect(200);
}

/// What is refused is not repeated either.
async fn ask_with_what_is_wrong(gateway: &Gateway, planted: &mut Planted, access: &str) {
    let wrong = planted.add("wrong password", "planted-wrong-password");
    let anonymous = Client::anonymous(gateway);
    anonymous.login(USER, &wrong).await.expect(401);
    // Into the wrong field.
    anonymous.login(&wrong, USER).await.expect(401);
    Client::basic(gateway, &wrong, &wrong).get("/").await.expect(401);
    anonymous.refresh(access).await.expect(401);
    let forged = planted.add("forged token", format!("{access}planted"));
    Client::bearer(gateway, &forged).get("/").await.expect(401);
    let mistyped = planted.add("mistyped key", "sk_live_plantedplantedplanted");
    Client::api_key(gateway, &mistyped).get("/").await.expect(401);
    let other = planted.add("other scheme's credential", "planted-negotiate-token");
    anonymous
        .clone()
        .with("authorization", &format!("Negotiate {other}"))
        .get("/")
        .await
        .expect(401);
    let two =
        Client::api_key(gateway, &mistyped).with("authorization", &format!("Bearer {forged}"));
    two.get("/").await.expect(400);
    for (kind, body) in [
        ("application/json", format!("{{\"username\":\"ann\",\"password\":\"{wrong}\"")),
        ("application/json", format!("{{\"username\":\"ann\",\"passwort\":\"{wrong}\"}}")),
        ("application/json", format!("[\"{wrong}\"]")),
        ("text/plain", format!("password={wrong}")),
    ] {
        let answer = anonymous.request(typed_request("/api/auth/login", kind, body)).await;
        assert!(matches!(answer.status.as_u16(), 400 | 415), "{answer:?}");
        planted.check_absent("answer", &format!("{answer:?}"));
    }
}

/// Messages that break off or make no sense in the middle of a secret.
async fn say_what_cannot_be_read(gateway: &Gateway, planted: &mut Planted, coded: &str) {
    let odd = planted.add("credential in a malformed message", "planted-in-a-broken-head");
    for message in [
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization : Bearer {odd}\r\n\r\n"),
        format!("GET /?token={odd} HTTP/9.9\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {odd}@localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {odd}\r\n X: folded\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization Basic {coded}\r\n\r\n"),
    ] {
        let mut stream = raw(gateway).await;
        stream.send(&message).await;
        let answer = String::from_utf8_lossy(&stream.read_to_end().await).into_owned();
        assert!(answer.starts_with("HTTP/1."), "{answer}");
        planted.check_absent("answer", &answer);
    }
}

/// /dev/full refuses every byte, as a full disk does.
#[tokio::test]
async fn a_log_that_cannot_be_written_costs_its_lines_and_no_request() {
    let listen = super::config::free_address();
    let installation = Installation::new()
        .file("config.toml", ECHO)
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("SECRET_KEY", SECRET_KEY);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let mut running = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["run", "--listen", &listen])
        .current_dir(installation.path(""))
        .env_clear()
        .envs([("ADMIN_PASSWORD", ADMIN_PASSWORD), ("SECRET_KEY", SECRET_KEY)])
        .stdout(full)
        .spawn()
        .expect("the gateway starts");
    eventually("the gateway to be healthy", async || {
        let ended = installation.run(&["healthcheck"], None).await;
        ended.status.success().then_some(())
    })
    .await;
    let asked = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
        .arg(installation.path("certs/server.pem"))
        .args(["-u", &format!("admin:{ADMIN_PASSWORD}")])
        .arg(format!("https://localhost:{}/", listen.rsplit(':').next().expect("a port")))
        .output()
        .expect("curl runs");
    assert_eq!(asked.stdout, b"200", "{asked:?}");
    eventually("lines to be counted as dropped", async || {
        let status = installation.run(&["status", "--format", "json"], None).await;
        let status: Value = serde_json::from_str(&status.stdout).ok()?;
        status["counters"]["log_lines_dropped"].as_u64().filter(|dropped| *dropped > 0)
    })
    .await;
    running.kill().expect("it runs on");
    running.wait().expect("it ends");
}
