//! A store has one owner at a time.

use crate::support::client::{Client, sign_in_admin};
use crate::support::gateway::{ADMIN, ECHO, Gateway};

#[tokio::test]
async fn a_second_gateway_on_the_same_store_is_refused_and_the_first_goes_on() {
    let gateway = Gateway::start(ECHO).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let second = gateway.cli(&["run"], None).await;
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    for part in ["data/portcullis.redb", "in use by another process", "`store.path`"] {
        assert!(second.stderr.contains(part), "{part}: {second:?}");
    }
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    sign_in_admin(&gateway).await;
    // Its socket is still its own.
    let (_, another) = gateway.create_key(ADMIN, &[], &[]).await;
    Client::api_key(&gateway, &another).get("/").await.expect(200);
}

/// The socket of a killed gateway lies there and answers nobody.
#[tokio::test]
async fn commands_work_on_the_store_of_a_killed_gateway() {
    let mut gateway = Gateway::start(ECHO).await;
    let (id, revoked) = gateway.create_key(ADMIN, &[], &[]).await;
    gateway.kill();
    assert!(gateway.path("data/admin.sock").exists());
    let (_, made) = gateway.create_key(ADMIN, &[], &[]).await;
    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;
    gateway.add_user("grace", "a password of hers", &[]).await;
    gateway.restart().await;
    Client::api_key(&gateway, &made).get("/").await.expect(200);
    Client::api_key(&gateway, &revoked).get("/").await.refused(401, "INVALID_CREDENTIALS");
    Client::basic(&gateway, "grace", "a password of hers").get("/").await.expect(200);
    gateway.manage(&["healthcheck"], None).await;
}

#[tokio::test]
async fn a_store_is_checked_when_no_gateway_has_it() {
    let mut gateway = Gateway::start(ECHO).await;
    sign_in_admin(&gateway).await;
    let busy = gateway.cli(&["store", "check"], None).await;
    assert_eq!(busy.status.code(), Some(1), "{busy:?}");
    assert!(busy.stderr.contains("in use by another process"), "{busy:?}");
    gateway.kill();
    let said = gateway.manage(&["store", "check"], None).await;
    assert_eq!(
        said,
        "the store is whole: 1 accounts, 1 sessions, 0 keys, 0 tickets, 0 revocations"
    );
}
