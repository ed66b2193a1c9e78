//! Attempts to sign in, and paths to what is protected.

use serde_json::json;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::raw::raw;
use crate::support::upstream::{Upstream, ok};

const ADDRESS: &str = "203.0.113.7";

/// Was: a failure was counted when it was answered, so nobody who hung up early ever
/// ran out of attempts.
#[tokio::test]
async fn an_attempt_whose_client_leaves_is_counted_all_the_same() {
    // Hashing takes longer than leaving.
    let config = "[auth]\nbcrypt_cost = 10\n[limits]\nrequests_per_second = 1000\nburst = 1000\n";
    let gateway = Gateway::builder()
        .config(&format!("{config}{ECHO}"))
        .env("MAX_LOGIN_ATTEMPTS", "2")
        .start()
        .await;
    let client = Client::anonymous(&gateway).from_address(ADDRESS);
    client.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    let wrong = json!({ "username": ADMIN, "password": "not the password" }).to_string();
    let attempt = format!(
        "POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {ADDRESS}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{wrong}",
        wrong.len()
    );
    // Who leaves before its attempt was begun has not tried, so there may be more
    // than two. A success is not counted.
    eventually("the lock-out", async || {
        raw(&gateway).await.send(&attempt).await;
        let answer = client.login(ADMIN, ADMIN_PASSWORD).await;
        (answer.status != 200).then_some(answer)
    })
    .await
    .refused(429, "TOO_MANY_ATTEMPTS");
}

/// Was: the route was chosen by the escaped spelling, the upstream saw the other one.
#[tokio::test]
async fn an_escaped_spelling_of_a_protected_path_is_as_protected() {
    let upstream = Upstream::http1(ok).await;
    let routes = "[[route]]\npublic = true\nupstream = \"app\"\n\
                  [[route]]\npath = \"/@internal\"\nroles = [\"admin\"]\nupstream = \"app\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + routes)).await;
    gateway.add_user("alice", "alice's password", &["reader"]).await;
    let anonymous = Client::anonymous(&gateway);
    let alice = Client::basic(&gateway, "alice", "alice's password");
    anonymous.get("/public").await.expect(200);
    assert_eq!(upstream.next_request().await.target(), "/public");
    for spelling in ["/@internal/x", "/%40internal/x", "/%40%69nternal/x"] {
        Client::admin(&gateway).get(spelling).await.expect(200);
        assert_eq!(upstream.next_request().await.target(), "/@internal/x");
        anonymous.get(spelling).await.refused(401, "AUTHENTICATION_REQUIRED");
        alice.get(spelling).await.refused(403, "FORBIDDEN");
        let h2 = anonymous.clone().h2();
        h2.get(spelling).await.refused(401, "AUTHENTICATION_REQUIRED");
    }
    assert_eq!(upstream.requests().len(), 4);
}
