//! From a file to Redis beside a running gateway, and back.

use super::{Site, read, refused};
use crate::support::client::Client;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::redis::{PASSWORD, RedisServer};

/// What is run in the gateway's directory from now on has its store there, or in a file.
fn settle(gateway: &mut Gateway, url: Option<&str>) {
    gateway.set_env("PORTCULLIS_STORE__URL", url);
    gateway.set_env("PORTCULLIS_STORE__DURABILITY", url.map(|_| "fast"));
    gateway.set_env("STORE_PASSWORD", url.map(|_| PASSWORD));
}

#[tokio::test]
async fn a_live_gateway_moves_to_redis_and_back_and_loses_nothing() {
    let redis = RedisServer::start().await;
    let mut site = Site::populated().await;
    let gateway = &mut site.gateway;
    gateway.manage(&["store", "export", "--freeze", "1h", "--output", "moving.jsonl"], None).await;
    Client::bearer(gateway, &site.here.access).get("/").await.expect(200);
    Client::anonymous(gateway).login(ADMIN, ADMIN_PASSWORD).await.expect(503);

    settle(gateway, Some(&redis.url()));
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
    settle(gateway, None);
    std::fs::rename(gateway.path("data"), gateway.path("left")).expect("it can be moved");
    gateway.manage(&["store", "import", "back.jsonl"], None).await;
    gateway.manage(&["store", "check"], None).await;
    gateway.restart().await;
    let admin = Client::basic(&site.gateway, ADMIN, ADMIN_PASSWORD);
    admin.get("/").await.expect(200);
    Client::api_key(&site.gateway, &site.key).get("/").await.expect(200);
    Client::bearer(&site.gateway, &site.left.access).get("/").await.expect(401);
}
