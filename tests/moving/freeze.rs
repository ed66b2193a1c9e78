//! While its store moves, a gateway knows whom it knew and changes nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{PASSWORD, read, refused, start};
use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::{admin, eventually, within};

async fn login_status(gateway: &Gateway) -> u16 {
    Client::anonymous(gateway).login(ADMIN, ADMIN_PASSWORD).await.status.as_u16()
}

#[tokio::test]
async fn a_frozen_gateway_answers_tokens_and_refuses_changes_until_it_thaws() {
    let gateway = start().await;
    let pair = sign_in_admin(&gateway).await;
    let (id, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let freeze = ["store", "export", "--freeze", "1h", "--output", "moving.jsonl"];
    gateway.manage(&freeze, None).await;

    Client::bearer(&gateway, &pair.access).get("/").await.expect(200);
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    Client::basic(&gateway, ADMIN, ADMIN_PASSWORD).get("/").await.expect(200);
    gateway.manage(&["healthcheck"], None).await;
    gateway.manage(&["session", "list"], None).await;
    let login = Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await;
    login.refused(503, "SERVICE_UNAVAILABLE");
    let logout = Client::bearer(&gateway, &pair.access).post("/api/logout").await;
    logout.refused(503, "SERVICE_UNAVAILABLE");
    refused(&gateway.cli(&["key", "revoke", &id, "--yes"], None).await, &["is not stored yet"]);
    // What ends here has ended at once, and is stored after.
    Client::bearer(&gateway, &pair.access).get("/").await.refused(401, "INVALID_TOKEN");
    Client::api_key(&gateway, &key).get("/").await.refused(401, "INVALID_CREDENTIALS");
    refused(&gateway.cli(&["user", "disable", ADMIN], None).await, &["frozen for an export"]);

    assert_eq!(gateway.manage(&["store", "thaw"], None).await, "the gateway takes changes again");
    assert_eq!(gateway.manage(&["store", "thaw"], None).await, "the gateway was not frozen");
    Client::bearer(&gateway, &pair.access).get("/").await.refused(401, "INVALID_TOKEN");
    sign_in_admin(&gateway).await;
}

/// One that cannot be stored is no reason to let the others go on.
#[tokio::test]
async fn in_a_frozen_gateway_all_ends_that_an_administrator_ends_at_once() {
    let gateway = start().await;
    gateway.add_user("ann", PASSWORD, &[]).await;
    let admin = sign_in_admin(&gateway).await.access;
    let ann = sign_in(&gateway, "ann", PASSWORD).await.access;
    let mut keys = Vec::new();
    for _ in 0..2 {
        keys.push(gateway.create_key(ADMIN, &[], &[]).await.1);
    }
    let freeze = ["store", "export", "--freeze", "1h", "--output", "moving.jsonl"];
    gateway.manage(&freeze, None).await;
    for command in
        [&["session", "end", "--all", "--yes"][..], &["key", "revoke", "--owner", ADMIN, "--yes"]]
    {
        refused(&gateway.cli(command, None).await, &["is not stored yet"]);
    }
    for access in [&admin, &ann] {
        Client::bearer(&gateway, access).get("/").await.refused(401, "INVALID_TOKEN");
    }
    for key in &keys {
        Client::api_key(&gateway, key).get("/").await.refused(401, "INVALID_CREDENTIALS");
    }
}

#[tokio::test]
async fn a_freeze_ends_by_itself() {
    let gateway = start().await;
    gateway.manage(&["store", "export", "--freeze", "2s", "--output", "moving.jsonl"], None).await;
    assert_eq!(login_status(&gateway).await, 503);
    eventually("the freeze to end", async || (login_status(&gateway).await == 200).then_some(()))
        .await;
}

/// Whoever asked may be killed at any moment, and nobody else knows of the freeze.
#[tokio::test]
async fn a_freeze_ends_when_its_export_is_cut_short() {
    let gateway = start().await;
    let socket = UnixStream::connect(gateway.path("data/admin.sock")).await;
    let mut stream = BufReader::new(socket.expect("the gateway has a socket"));
    let question = json!({ "command": "export", "freeze": 3600 });
    stream.write_all(format!("{question}\n").as_bytes()).await.expect("it can be asked");
    let mut line = String::new();
    while !line.contains("sha256") {
        line.clear();
        let read = within("a line of the export", stream.read_line(&mut line)).await;
        assert_ne!(read.expect("it can be read"), 0, "the last line comes");
    }
    assert_eq!(login_status(&gateway).await, 503);
    drop(stream);
    eventually("the freeze to end", async || (login_status(&gateway).await == 200).then_some(()))
        .await;
    let audited = gateway.wait_for_log(|line| line["event"] == "store_export").await;
    assert_eq!(audited["outcome"], "failed");
}

/// Each change is either acknowledged before the export and in it, or refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_freeze_is_in_its_export() {
    let gateway = start().await;
    gateway.add_user("ann", PASSWORD, &[]).await;
    sign_in(&gateway, "ann", PASSWORD).await;
    let directory = gateway.path("data");
    let writing = tokio::spawn(async move {
        let mut acknowledged = BTreeSet::new();
        for number in 0.. {
            let name = format!("server{number}");
            let request = json!({ "command": "add_server", "name": name, "owner": null });
            let reply = admin::ask(&directory, &request).await.expect("the gateway runs");
            if reply.get("failed").is_some() {
                break;
            }
            acknowledged.insert(name);
        }
        acknowledged
    });
    eventually("some servers", async || {
        let servers = gateway.manage(&["server", "list"], None).await;
        (servers.lines().count() > 20).then_some(())
    })
    .await;
    gateway.manage(&["store", "export", "--freeze", "1h", "--output", "moving.jsonl"], None).await;
    let acknowledged = within("a refusal", writing).await.expect("the writer ends");
    let exported: BTreeSet<String> = read(gateway.path("moving.jsonl"))
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
        .filter(|line| line["kind"] == "server")
        .map(|line| line["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(exported, acknowledged);
}
