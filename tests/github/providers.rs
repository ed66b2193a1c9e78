//! `GET /auth/providers`: how one can sign in here (S2-03 to S2-06).

use serde_json::json;

use super::{data, gateway};
use crate::support::client::Client;
use crate::support::gateway::{ECHO, Gateway};
use crate::support::github::{CLIENT_ID, GitHub};

#[tokio::test]
async fn anybody_is_told_exactly_what_is_configured() {
    let github = GitHub::start().await;
    let without = Gateway::start(ECHO).await;
    let with = gateway(&github, "", "").await;
    let open = Gateway::start(&format!("[auth]\nregistration = \"open\"\n{ECHO}")).await;
    let without_local = gateway(&github, "", "[auth]\nlocal_accounts = false\n").await;
    for (gateway, expected) in [
        (&open, json!({ "local": true, "login": true, "github": false })),
        (&without, json!({ "local": false, "login": true, "github": false })),
        (
            &with,
            json!({ "local": true, "login": true, "github": true, "githubClientId": CLIENT_ID }),
        ),
        (
            &without_local,
            json!({ "local": false, "login": false, "github": true, "githubClientId": CLIENT_ID }),
        ),
    ] {
        let answer = Client::anonymous(gateway).get("/api/auth/providers").await.expect(200);
        assert_eq!(data(&answer), expected);
    }
    assert!(github.requests().is_empty(), "nobody is asked for it");
}
