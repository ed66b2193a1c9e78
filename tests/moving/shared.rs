//! From a file to Redis beside a running gateway, and back.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use super::{Site, read, refused};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::process::Process;

/// A server of its own, which forgets everything.
struct Redis {
    port: u16,
    _process: Process,
    _directory: TempDir,
}

impl Redis {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let port = free.expect("a port is free").port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
        let process = Process::start(command.current_dir(&directory), None);
        let answers = async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(drop);
        eventually("the server to listen", answers).await;
        Self { port, _process: process, _directory: directory }
    }

    /// What is run in the gateway's directory from now on has its store here.
    fn settle(&self, gateway: &mut Gateway) {
        let url = format!("redis://127.0.0.1:{}/0", self.port);
        gateway.set_env("PORTCULLIS_STORE__URL", Some(&url));
        gateway.set_env("PORTCULLIS_STORE__DURABILITY", Some("fast"));
    }

    fn leave(gateway: &mut Gateway) {
        gateway.set_env("PORTCULLIS_STORE__URL", None);
        gateway.set_env("PORTCULLIS_STORE__DURABILITY", None);
    }
}

#[tokio::test]
async fn a_live_gateway_moves_to_redis_and_back_and_loses_nothing() {
    let redis = Redis::start().await;
    let mut site = Site::populated().await;
    let gateway = &mut site.gateway;
    gateway.manage(&["store", "export", "--freeze", "1h", "--output", "moving.jsonl"], None).await;
    Client::bearer(gateway, &site.here.access).get("/").await.expect(200);
    Client::anonymous(gateway).login(ADMIN, ADMIN_PASSWORD).await.expect(503);

    redis.settle(gateway);
    let rehearsed = gateway.manage(&["store", "import", "--dry-run", "moving.jsonl"], None).await;
    refused(&gateway.cli(&["store", "export"], None).await, &["holds nothing of a gateway"]);
    let imported = gateway.manage(&["store", "import", "moving.jsonl"], None).await;
    assert_eq!(rehearsed.replace("would be added, 0 are", "added, 0 were"), imported);
    let again = gateway.cli(&["store", "import", "moving.jsonl"], None).await;
    refused(&again, &["holds records already", "--resume"]);
    assert_eq!(
        gateway.manage(&["store", "export"], None).await + "\n",
        read(gateway.path("moving.jsonl"))
    );
    gateway.restart().await;
    site.expect_whole().await;

    let gateway = &mut site.gateway;
    gateway.manage(&["store", "check"], None).await;
    gateway.stop().await;
    gateway.manage(&["store", "backup", "--output", "back.jsonl"], None).await;
    Redis::leave(gateway);
    std::fs::rename(gateway.path("data"), gateway.path("left")).expect("it can be moved");
    gateway.manage(&["store", "import", "back.jsonl"], None).await;
    gateway.manage(&["store", "check"], None).await;
    gateway.restart().await;
    let admin = Client::basic(&site.gateway, ADMIN, ADMIN_PASSWORD);
    admin.get("/").await.expect(200);
    Client::api_key(&site.gateway, &site.key).get("/").await.expect(200);
    Client::bearer(&site.gateway, &site.left.access).get("/").await.expect(401);
}
