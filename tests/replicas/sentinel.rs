//! A primary found through sentinels, and followed when it moves.

use super::UNLIMITED;
use super::fleet::{is_live, join};
use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::redis::sentinels::Sentinels;
use crate::support::{DEADLINE, answered, within_time};

const PASSWORD: &str = "a password of hers";

/// Nothing is acknowledged that only the primary has.
async fn site() -> (Sentinels, [Gateway; 2]) {
    let sentinels = Sentinels::start(2).await;
    let config = format!("[store]\ndurability = \"replicated\"\n{ECHO}{UNLIMITED}");
    let gateways = [join(&sentinels.url(), &config).await, join(&sentinels.url(), &config).await];
    (sentinels, gateways)
}

/// Waits until a sign-in works again: as long as sentinels take to give the new primary a
/// replica, for what only one server has is not acknowledged. They ask every ten seconds.
async fn takes_changes(gateway: &Gateway) {
    let sign_in = answered(async || {
        let answer = Client::anonymous(gateway).login("ann", PASSWORD).await;
        (answer.status == 200).then_some(())
    });
    within_time(3 * DEADLINE, "a sign-in", sign_in).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_primary_that_dies() {
    let (mut sentinels, gateways) = site().await;
    let [one, two] = &gateways;
    one.add_user("ann", PASSWORD, &[]).await;
    let ended = sign_in(one, "ann", PASSWORD).await.access;
    let good = sign_in(two, "ann", PASSWORD).await;
    let (_, key) = one.create_key("ann", &[], &[]).await;
    Client::bearer(two, &ended).post("/api/logout").await.expect(200);
    let primary = sentinels.primary().await;
    sentinels.servers[primary].kill();
    // What is known goes on, from the first moment to the last.
    Client::bearer(one, &good.access).get("/").await.expect(200);
    sentinels.moved_on(primary).await;
    for gateway in &gateways {
        takes_changes(gateway).await;
        is_live(gateway).await;
        Client::bearer(gateway, &good.access).get("/").await.expect(200);
        Client::bearer(gateway, &ended).get("/").await.refused(401, "INVALID_TOKEN");
        Client::api_key(gateway, &key).get("/").await.expect(200);
        // The replica that is left may still be copying; a repeat gets the same successor.
        let refreshed = answered(async || {
            let answer = Client::anonymous(gateway).refresh(&good.refresh).await;
            (answer.status == 200).then_some(())
        });
        within_time(3 * DEADLINE, "a refresh", refreshed).await;
    }
    let newcomer = join(&sentinels.url(), ECHO).await;
    Client::bearer(&newcomer, &ended).get("/").await.refused(401, "INVALID_TOKEN");
    Client::api_key(&newcomer, &key).get("/").await.expect(200);
}

#[tokio::test]
async fn a_failover_that_was_asked_for_is_followed_and_the_old_primary_left() {
    let (sentinels, gateways) = site().await;
    let [one, two] = &gateways;
    one.add_user("ann", PASSWORD, &[]).await;
    sentinels.failover().await;
    for gateway in &gateways {
        takes_changes(gateway).await;
    }
    // The servers may still be changing places.
    let sign_in = answered(async || {
        let answer = Client::anonymous(one).login(ADMIN, ADMIN_PASSWORD).await;
        (answer.status == 200).then(|| answer.pair().access)
    });
    let access = within_time(3 * DEADLINE, "a sign-in", sign_in).await;
    // Stored, or held and stored later.
    let ended = Client::bearer(one, &access).post("/api/logout").await.status;
    assert!([200, 503].contains(&ended.as_u16()), "{ended}");
    let told = answered(async || {
        (Client::bearer(two, &access).get("/").await.status == 401).then_some(())
    });
    within_time(3 * DEADLINE, "the logout at the other", told).await;
}

#[tokio::test]
async fn two_sentinels_of_three_may_be_gone() {
    let (mut sentinels, gateways) = site().await;
    sentinels.sentinels.truncate(1);
    let newcomer = join(&sentinels.url(), ECHO).await;
    sign_in_admin(&newcomer).await;
    drop(gateways);
}
