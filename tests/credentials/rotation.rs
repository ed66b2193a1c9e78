//! Replacing the secret key without signing anybody out, and then for good.

use crate::support::client::{Client, sign_in_admin};
use crate::support::gateway::{ECHO, Gateway, SECRET_KEY};
use crate::support::token::is_signed_with;

const NEXT_KEY: &str = "the next secret of more than thirty-two bytes";

#[tokio::test]
async fn tokens_of_the_previous_key_go_on_until_it_is_dropped() {
    let mut gateway = Gateway::start(ECHO).await;
    let old = sign_in_admin(&gateway).await;
    Client::bearer(&gateway, &old.access).get("/").await.expect(200);

    gateway.set_env("SECRET_KEY", Some(NEXT_KEY));
    gateway.set_env("SECRET_KEY_PREVIOUS", Some(SECRET_KEY));
    gateway.restart().await;
    Client::bearer(&gateway, &old.access).get("/").await.expect(200);
    let renewed = Client::anonymous(&gateway).refresh(&old.refresh).await.pair();
    for token in [&renewed.access, &renewed.refresh, &sign_in_admin(&gateway).await.access] {
        assert!(is_signed_with(token, NEXT_KEY), "{token}");
    }

    gateway.set_env("SECRET_KEY_PREVIOUS", None);
    gateway.restart().await;
    Client::bearer(&gateway, &old.access).get("/").await.refused(401, "INVALID_TOKEN");
    let refresh = Client::anonymous(&gateway).refresh(&old.refresh).await;
    refresh.refused(401, "INVALID_REFRESH_TOKEN");
    Client::bearer(&gateway, &renewed.access).get("/").await.expect(200);
    Client::anonymous(&gateway).refresh(&renewed.refresh).await.expect(200);
}

#[tokio::test]
async fn a_key_comes_from_a_file_as_well() {
    let mut gateway = Gateway::builder().file("next", &format!("{NEXT_KEY}\n")).start().await;
    let old = sign_in_admin(&gateway).await;
    gateway.set_env("SECRET_KEY", None);
    gateway.set_env("SECRET_KEY_FILE", Some("next"));
    gateway.restart().await;
    let new = sign_in_admin(&gateway).await;
    assert!(is_signed_with(&new.access, NEXT_KEY), "{}", new.access);
    Client::bearer(&gateway, &new.access).get("/").await.expect(200);
    Client::bearer(&gateway, &old.access).get("/").await.refused(401, "INVALID_TOKEN");
}
