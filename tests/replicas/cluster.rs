//! A cluster of three masters: all of our keys lie in one slot, which may move.

use super::UNLIMITED;
use super::fleet::join;
use crate::support::client::{Client, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO};
use crate::support::redis::cluster::Cluster;

const META: &str = "{portcullis}:meta";

#[tokio::test]
async fn replicas_share_a_cluster_and_go_on_when_their_slot_moves() {
    let cluster = Cluster::start().await;
    let config = format!("{ECHO}{UNLIMITED}");
    let gateways = [join(&cluster.url(), &config).await, join(&cluster.url(), &config).await];
    let [one, two] = &gateways;
    let ended = sign_in_admin(one).await.access;
    let good = sign_in_admin(two).await;
    Client::bearer(two, &ended).post("/api/logout").await.expect(200);
    let before = cluster.owner(META).await;

    cluster.move_slot(META).await;
    assert_ne!(cluster.owner(META).await, before);
    for gateway in &gateways {
        Client::bearer(gateway, &good.access).get("/").await.expect(200);
        eventually("a sign-in", async || {
            let answer = Client::anonymous(gateway).login(ADMIN, ADMIN_PASSWORD).await;
            (answer.status == 200).then_some(())
        })
        .await;
        Client::bearer(gateway, &ended).get("/").await.refused(401, "INVALID_TOKEN");
        Client::anonymous(gateway).refresh(&good.refresh).await.expect(200);
    }
    // They follow each other at the new place.
    Client::bearer(one, &good.access).post("/api/logout").await.expect(200);
    eventually("the logout at the other", async || {
        (Client::bearer(two, &good.access).get("/").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn everything_lies_in_one_slot() {
    let cluster = Cluster::start().await;
    let gateway = join(&cluster.url(), ECHO).await;
    sign_in_admin(&gateway).await;
    gateway.create_key(ADMIN, &[], &[]).await;
    let owner = cluster.owner(META).await;
    for (index, master) in cluster.masters.iter().enumerate() {
        let held = master.tell(&["DBSIZE"]).await.number();
        assert_eq!(held > 0, index == owner, "{held} keys at {index}");
    }
}
