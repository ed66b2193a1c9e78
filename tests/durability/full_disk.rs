//! A store on a disk without space: what is good stays good, changes are refused and
//! say so, and nothing has to be restarted when there is space again.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::process::Command;

use http::{Method, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::unlimited_echo;
use crate::support::client::{Body, Client, Pair, basic, json_request, request, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::{admin, eventually};

/// A file system of its own, unmounted when dropped.
struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    fn mount() -> Self {
        let directory = TempDir::with_prefix("portcullis-disk-").expect("a directory can be made");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(directory.path())
            .output()
            .expect("mount can be run");
        let complaint = String::from_utf8_lossy(&mount.stderr);
        assert!(mount.status.success(), "this test must be allowed to mount a tmpfs: {complaint}");
        Self { directory }
    }

    fn fill(&self) {
        let path = self.directory.path().join("filler");
        let mut filler = File::create(path).expect("a file can be made");
        loop {
            match filler.write_all(&[1; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.directory.path().join("filler")).expect("the disk was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a gateway may still have its file open.
        let _ = Command::new("umount").arg("--lazy").arg(self.directory.path()).status();
    }
}

/// A gateway whose store has run out of space, and what it knew before.
struct Full {
    gateway: Gateway,
    disk: SmallDisk,
    pair: Pair,
    key: String,
    revoked: Pair,
    other: Pair,
}

impl Full {
    async fn start() -> Self {
        let disk = SmallDisk::mount();
        let store = disk.directory.path().join("data");
        let config = format!("{}[store]\npath = \"{}\"\n", unlimited_echo(), store.display());
        let gateway = Gateway::start(&config).await;
        let (pair, revoked) = (sign_in_admin(&gateway).await, sign_in_admin(&gateway).await);
        let other = sign_in_admin(&gateway).await;
        Client::bearer(&gateway, &revoked.access).post("/api/logout").await.expect(200);
        let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
        disk.fill();
        let full = Self { gateway, disk, pair, key, revoked, other };
        full.refuses_changes().await;
        full
    }

    /// The file may have a few free pages of its own, after a start too: what fits is kept.
    async fn refuses_changes(&self) {
        eventually("a change to be refused", async || (self.sign_in().await == 503).then_some(()))
            .await;
    }

    async fn sign_in(&self) -> u16 {
        let answer = Client::anonymous(&self.gateway).login(ADMIN, ADMIN_PASSWORD).await;
        answer.status.as_u16()
    }

    async fn assert_good_is_served(&self) {
        let gateway = &self.gateway;
        for caller in [
            Client::admin(gateway),
            Client::bearer(gateway, &self.pair.access),
            Client::api_key(gateway, &self.key),
        ] {
            caller.get("/").await.expect(200);
        }
        Client::anonymous(gateway).get("/health").await.expect(200);
        let revoked = Client::bearer(gateway, &self.revoked.access);
        revoked.get("/").await.refused(401, "INVALID_TOKEN");
    }

    /// Lines about the store of this level.
    fn lines(&self, level: &str) -> Vec<Value> {
        let about = |line: &Value| {
            line["level"] == level && line["message"].as_str().is_some_and(|m| m.contains("store"))
        };
        self.gateway.log_lines().into_iter().filter(about).collect()
    }

    /// One request for each kind of change.
    fn changes(&self) -> Vec<(&'static str, Request<Body>)> {
        let signed_in = |mut request: Request<Body>| {
            let token = format!("Bearer {}", self.pair.access);
            request.headers_mut().insert("authorization", token.parse().expect("a field value"));
            request
        };
        let login = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
        let refresh = json!({ "refresh_token": self.pair.refresh });
        let passwords =
            json!({ "current_password": ADMIN_PASSWORD, "new_password": "another password" });
        vec![
            ("login", json_request("/api/auth/login", &login)),
            ("refresh", json_request("/api/auth/refresh", &refresh)),
            ("change", signed_in(json_request("/api/change-password", &passwords))),
            ("ticket", signed_in(request(Method::GET, "/api/ws-token"))),
            // Which ends the token here.
            ("logout", signed_in(request(Method::POST, "/api/logout"))),
        ]
    }
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_serves_what_is_good() {
    let mut full = Full::start().await;
    for (change, request) in full.changes() {
        let answer = Client::anonymous(&full.gateway).request(request).await;
        assert_eq!(answer.refusal(), (503, "SERVICE_UNAVAILABLE".to_owned()), "{change}");
        let wait: u32 = answer.field("retry-after").parse().expect("a number of seconds");
        assert!(wait > 0, "{change}");
    }
    let new_key = json!({
        "command": "create_key", "owner": ADMIN, "name": "", "scopes": [],
    });
    let directory = full.disk.directory.path().join("data");
    let reply = admin::ask(&directory, &new_key).await.expect("the gateway runs");
    let reason = reply["failed"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("store is unavailable"), "{reason}");
    assert!(!full.gateway.cli(&["healthcheck"], None).await.status.success());
    full.pair = full.other.clone();
    full.assert_good_is_served().await;
}

#[tokio::test]
async fn a_full_disk_is_told_once_with_what_to_do() {
    let full = Full::start().await;
    for _ in 0..20 {
        assert_eq!(full.sign_in().await, 503);
    }
    let lines = full.lines("error");
    let [line] = &lines[..] else { panic!("one line: {lines:#?}") };
    let text = line.to_string();
    for part in ["portcullis.redb", "No space left", "free space"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn changes_work_again_when_there_is_space_and_nothing_is_lost() {
    let mut full = Full::start().await;
    full.disk.free();
    eventually("a sign-in", async || (full.sign_in().await == 200).then_some(())).await;
    full.gateway.wait_for_log(|line| line["message"] == "store writable again").await;
    assert_eq!(full.lines("error").len(), 1);
    full.assert_good_is_served().await;
    full.gateway.manage(&["healthcheck"], None).await;
    // What was refused has not happened, neither here nor in the file.
    for kills in 0..2 {
        let refreshed = Client::anonymous(&full.gateway).refresh(&full.pair.refresh).await;
        full.pair = refreshed.pair();
        full.assert_good_is_served().await;
        if kills == 0 {
            full.gateway.kill();
            full.gateway.restart().await;
        }
    }
    let signed = Client::anonymous(&full.gateway);
    signed.with("authorization", &basic(ADMIN, ADMIN_PASSWORD)).get("/").await.expect(200);
}

#[tokio::test]
async fn a_backup_onto_a_full_disk_says_so_and_leaves_nothing() {
    let gateway = Gateway::start(&unlimited_echo()).await;
    let disk = SmallDisk::mount();
    disk.fill();
    let output = disk.directory.path().join("backup.jsonl");
    let output = output.to_str().expect("its name is text");
    let ended = gateway.cli(&["store", "backup", "--output", output], None).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(output) && ended.stderr.contains("No space left"), "{ended:?}");
    let left = std::fs::read_dir(disk.directory.path()).expect("a directory").count();
    assert_eq!(left, 1, "what fills the disk");
}

#[tokio::test]
async fn an_import_onto_a_full_disk_says_so_and_leaves_nothing() {
    let gateway = Gateway::start(&unlimited_echo()).await;
    gateway.manage(&["store", "backup", "--output", "backup.jsonl"], None).await;
    let disk = SmallDisk::mount();
    let store = disk.directory.path().join("data");
    std::fs::create_dir(&store).expect("a directory");
    disk.fill();
    let config = format!("{}[store]\npath = \"{}\"\n", unlimited_echo(), store.display());
    std::fs::write(gateway.path("other.toml"), config).expect("a file");
    let import = ["--config", "other.toml", "store", "import", "backup.jsonl"];
    let ended = gateway.run(&import).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("No space left"), "{ended:?}");
    assert_eq!(std::fs::read_dir(&store).expect("a directory").count(), 0);
    disk.free();
    let ended = gateway.run(&import).await;
    assert!(ended.status.success(), "{ended:?}");
}

/// Killed for want of space and started again: it still serves what is good.
#[tokio::test]
async fn a_gateway_starts_on_a_full_disk() {
    let mut full = Full::start().await;
    full.gateway.kill();
    full.gateway.restart().await;
    full.assert_good_is_served().await;
    full.refuses_changes().await;
}

#[tokio::test]
async fn an_ending_on_a_full_disk_holds_at_once_and_is_stored_when_there_is_space() {
    let mut full = Full::start().await;
    let gateway = &full.gateway;
    let health = async |gateway: &Gateway| {
        Client::anonymous(gateway).get("/health").await.expect(200).json()["store"].take()
    };
    assert_eq!(health(gateway).await["state"], "refusing");
    assert_eq!(gateway.status().await["store"]["state"], "refusing");
    let caller = Client::bearer(gateway, &full.pair.access);
    let keys = caller.get("/api/v1/auth/keys").await.expect(200).json();
    let id = keys[0]["keyId"].as_str().expect("an id is text").to_owned();
    let deletion = request(Method::DELETE, &format!("/api/v1/auth/keys/{id}"));
    assert_eq!(caller.request(deletion).await.status, 503);
    Client::api_key(gateway, &full.key).get("/").await.expect(401);
    let ended = caller.post("/api/logout").await;
    assert_eq!(ended.refusal(), (503, "SERVICE_UNAVAILABLE".to_owned()));
    caller.get("/").await.refused(401, "INVALID_TOKEN");
    assert_eq!(health(gateway).await["undelivered"], 2);
    let held = |line: &Value| line["type"] == "access" && line["reason"] == "revocation_not_stored";
    eventually("both lines of the log", async || {
        (gateway.log_lines().iter().filter(|line| held(line)).count() == 2).then_some(())
    })
    .await;
    full.disk.free();
    // Without anybody asking for a change.
    eventually("the store to take changes", async || {
        health(&full.gateway).await.is_null().then_some(())
    })
    .await;
    let store = full.gateway.status().await["store"].take();
    assert_eq!((&store["state"], &store["undelivered"]), (&json!("live"), &json!(0)));
    full.gateway.wait_for_log(|line| line["message"] == "store writable again").await;
    full.gateway.kill();
    full.gateway.restart().await;
    let caller = Client::bearer(&full.gateway, &full.pair.access);
    caller.get("/").await.refused(401, "INVALID_TOKEN");
    Client::api_key(&full.gateway, &full.key).get("/").await.expect(401);
}
