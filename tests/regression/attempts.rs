//! Attempts to sign in.

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::frames::{DATA, END_STREAM, Http2};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

const ADDRESS: &str = "203.0.113.7";

const LOGIN: &[(&str, &str)] = &[
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "localhost"),
    (":path", "/api/auth/login"),
    ("content-type", "application/json"),
    ("x-forwarded-for", ADDRESS),
];

/// Was: a guesser with many addresses had as many attempts at one user as it had
/// addresses, all at once.
#[tokio::test]
async fn one_user_is_guessed_at_one_attempt_at_a_time_from_however_many_addresses() {
    const GUESSERS: usize = 80;
    let config = format!("[limits]\nuser_attempts = 3\nuser_pause = \"200ms\"\n{ECHO}");
    let gateway = Gateway::start(&config).await;
    gateway.add_user("ann", "ann's own password", &["user"]).await;
    let guess = async |name: &'static str, password: &'static str| {
        Client::anonymous(&gateway).login(name, password).await
    };
    for _ in 0..3 {
        guess("ann", "wrong wrong").await.expect(401);
    }
    // Each from an address of its own. Of one network 16 wait, and 64 in all.
    let mut guessers = JoinSet::new();
    for _ in 0..GUESSERS {
        let client = Client::anonymous(&gateway);
        // By either name: it is the same user in other letters.
        guessers.spawn(async move { client.login("ANN", "wrong wrong").await.status.as_u16() });
    }
    let crowd = gateway
        .wait_for_log(|line| line["reason"] == "user_attempts_queued" && line["status"] == 429)
        .await;
    assert_eq!(crowd["path"], "/api/auth/login", "{crowd}");
    // Nobody else waits for them, and nobody is locked out.
    guess(ADMIN, ADMIN_PASSWORD).await.expect(200);
    guessers.shutdown().await;
    eventually("the user's own turn", async || {
        let answer = guess("ann", "ann's own password").await;
        (answer.status == 200).then_some(())
    })
    .await;
}

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
    // Who leaves before its attempt was begun has not tried, so there may be more
    // than two. A success is not counted.
    let locked_out = Box::pin(eventually("the lock-out", async || {
        let mut http2 = Http2::connect(&gateway).await;
        http2.head(1, LOGIN).await;
        http2.send(DATA, END_STREAM, 1, wrong.as_bytes()).await;
        assert!(http2.answers_ping().await, "the attempt has arrived");
        drop(http2);
        let answer = client.login(ADMIN, ADMIN_PASSWORD).await;
        (answer.status != 200).then_some(answer)
    }));
    locked_out.await.refused(429, "TOO_MANY_ATTEMPTS");
}
