//! Sign-ins and uses of sessions, of which every gateway tells whoever saw them.

use serde_json::Value;

use super::UNLIMITED;
use super::fleet::{is_live, join};
use crate::support::client::{Client, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ECHO, Gateway};
use crate::support::redis::RedisServer;

/// The only one of a list by command.
async fn only(gateway: &Gateway, kind: &str) -> Value {
    let listed = gateway.manage(&[kind, "list", "--format", "json"], None).await;
    let listed: Vec<Value> = serde_json::from_str(&listed).expect("a list as JSON");
    let [one] = listed.as_slice() else { panic!("a single {kind}: {listed:?}") };
    one.clone()
}

#[tokio::test]
async fn what_one_gateway_has_seen_of_a_session_another_shows_when_that_one_has_stopped() {
    let redis = RedisServer::start().await;
    let config = format!("{ECHO}{UNLIMITED}");
    let [one, mut two] = [join(&redis.url(), &config).await, join(&redis.url(), &config).await];
    for gateway in [&one, &two] {
        is_live(gateway).await;
    }
    let pair = sign_in_admin(&two).await;
    let session = only(&one, "session").await;
    assert!(session["address"].is_string(), "{session}");
    assert_eq!(only(&one, "user").await["last_sign_in"], session["created"]);
    let used = Client::bearer(&two, &pair.access);
    let last = eventually("the use to show where it was", async || {
        used.get("/").await.expect(200);
        let session = only(&two, "session").await;
        (session["last_used"].as_str() > session["created"].as_str())
            .then(|| session["last_used"].clone())
    })
    .await;
    two.stop().await;
    assert_eq!(only(&one, "session").await["last_used"], last);
}

/// A list needs the store; what is known of a user goes on without it.
#[tokio::test]
async fn a_user_is_shown_without_the_last_sign_in_while_the_store_is_away() {
    let mut redis = RedisServer::start().await;
    let gateway = join(&redis.url(), &format!("{ECHO}{UNLIMITED}")).await;
    is_live(&gateway).await;
    sign_in_admin(&gateway).await;
    let show = async || -> Value {
        let shown = gateway.manage(&["user", "show", "admin", "--format", "json"], None).await;
        serde_json::from_str(&shown).expect("a user as JSON")
    };
    assert!(show().await["last_sign_in"].is_string());
    redis.kill();
    let shown = show().await;
    assert_eq!((&shown["username"], &shown["last_sign_in"]), (&"admin".into(), &Value::Null));
}
