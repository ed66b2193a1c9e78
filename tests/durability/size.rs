//! Stores with many records.

#[path = "../../gateway/examples/fill_store/fill.rs"]
mod fill;

use portcullis::auth::secret::Secret;
use portcullis::crypto::passwords::hash_now;
use uuid::Uuid;

use super::unlimited_echo;
use crate::support::client::{Client, sign_in};
use crate::support::gateway::{Gateway, SECRET_KEY};
use crate::support::token::{claim, payload, sign_like_gateway};

use fill::{Amounts, fill, key_id, key_text, revoked_token};

const PASSWORD: &str = "the same for all of them";
const MANY: u64 = 50_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_with_many_records_tells_each_from_the_others() {
    let mut gateway = Gateway::start(&unlimited_echo()).await;
    assert!(gateway.stop().await.status.success());
    let amounts = Amounts { accounts: 1_000, keys: MANY, revoked: MANY };
    let password = hash_now(&Secret::new(PASSWORD.to_owned()), 4).expect("it can be hashed");
    fill(&gateway.path("data"), amounts, &password).await;
    gateway.restart().await;

    let pair = sign_in(&gateway, "user999", PASSWORD).await;
    let own = claim(&pair.access, "jti");
    let with_id = |id: Uuid| {
        let payload = payload(&pair.access).replace(&own, &id.to_string());
        Client::bearer(&gateway, &sign_like_gateway(&payload, SECRET_KEY))
    };
    with_id(Uuid::nil()).get("/").await.expect(200);
    let first_stranger = MANY;
    let somewhere = (0..MANY).step_by(997);
    for number in somewhere.clone().chain([MANY - 1]) {
        with_id(revoked_token(number)).get("/").await.refused(401, "INVALID_TOKEN");
        let answer = Client::api_key(&gateway, &key_text(number)).get("/").await.expect(200);
        let seen = answer.json()["headers"].clone();
        assert_eq!(seen["x-portcullis-key-id"][0], key_id(number).to_string());
        assert_eq!(seen["x-portcullis-username"][0], format!("user{}", number % 1_000));
    }
    with_id(revoked_token(first_stranger)).get("/").await.expect(200);
    let stranger = Client::api_key(&gateway, &key_text(first_stranger));
    stranger.get("/").await.refused(401, "INVALID_CREDENTIALS");
    let id = key_id(1).to_string();
    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;
    let revoked = Client::api_key(&gateway, &key_text(1));
    revoked.get("/").await.refused(401, "INVALID_CREDENTIALS");
    Client::api_key(&gateway, &key_text(2)).get("/").await.expect(200);
}
