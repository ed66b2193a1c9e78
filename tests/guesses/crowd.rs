//! Many addresses at one user, or at many: nobody else pays for it.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::frames::{DATA, END_STREAM, Http2};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

const USER: &str = "ann";
const PASSWORD: &str = "ann's own password";
/// Where the user has signed in before.
const HOME: &str = "203.0.113.7";
/// Guessers over one connection.
const OF_A_CONNECTION: u32 = 1_000;

/// The address of a guesser, in a network of its own.
fn address(number: u32) -> String {
    Ipv4Addr::from(0x0b00_0001 + (number << 8)).to_string()
}

/// Sign-ins, one from each address, over connections that stay open. All of them have
/// arrived.
async fn crowd(
    gateway: &Gateway,
    count: u32,
    credential: impl Fn(u32) -> (String, &'static str),
) -> Vec<Http2> {
    let mut crowd = Vec::new();
    for first in (0..count).step_by(OF_A_CONNECTION as usize) {
        let mut connection = Http2::connect(gateway).await;
        for number in first..count.min(first + OF_A_CONNECTION) {
            let stream = 2 * (number - first) + 1;
            let head = [
                (":method", "POST"),
                (":scheme", "https"),
                (":authority", "localhost"),
                (":path", "/api/auth/login"),
                ("content-type", "application/json"),
                ("x-forwarded-for", &address(number)),
            ];
            let (name, password) = credential(number);
            let body = json!({ "username": name, "password": password }).to_string();
            connection.head(stream, &head).await;
            connection.send(DATA, END_STREAM, stream, body.as_bytes()).await;
        }
        assert!(connection.answers_ping().await, "they have arrived");
        crowd.push(connection);
    }
    crowd
}

async fn start(config: &str) -> Gateway {
    let gateway = Gateway::start(&format!("{config}{ECHO}")).await;
    gateway
        .manage(&["user", "add", USER, "--email", "ann@example.com"], Some("ann's own password\n"))
        .await;
    at_home(&gateway).login(USER, PASSWORD).await.expect(200);
    gateway
}

fn at_home(gateway: &Gateway) -> Client {
    Client::anonymous(gateway).from_address(HOME)
}

/// Was: 64 addresses that guessed at one name locked it out for as long as they went on: the
/// right password from an address that never failed got 429 in 59 of 59 tries.
#[tokio::test]
async fn ten_thousand_guessers_do_not_lock_a_user_out_at_home() {
    let config = "[limits]\nuser_attempts = 3\nuser_pause = \"60s\"\nh2_streams = 1000\n";
    let gateway = start(config).await;
    let _crowd = crowd(&gateway, 10_000, |number| {
        (["ann", "ANN", "Ann@Example.com"][number as usize % 3].to_owned(), "a guess")
    })
    .await;
    let slowed = gateway.wait_for_log(|line| line["event"] == "user_slowdown").await;
    assert_eq!((&slowed["user"], &slowed["outcome"]), (&json!(USER), &json!("success")));
    assert!(slowed["detail"].as_str().is_some_and(|detail| detail.starts_with("for ")));
    let queued = |line: &Value| line["reason"] == "user_attempts_queued" && line["status"] == 429;
    gateway.wait_for_log(queued).await;
    // At the first try each, by whichever name and door.
    at_home(&gateway).login(USER, PASSWORD).await.expect(200);
    at_home(&gateway).login("ann@example.com", PASSWORD).await.expect(200);
    Client::basic(&gateway, USER, PASSWORD).from_address(HOME).get("/").await.expect(200);
    // And nobody waits at another user's.
    Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    let slowdowns = gateway.log_lines();
    let slowdowns = slowdowns.iter().filter(|line| line["event"] == "user_slowdown");
    assert_eq!(slowdowns.count(), 1, "once in a window");
    gateway.counted(&["user_attempts_shed"], 9_000).await;
}

/// Whoever comes from home is not behind them in the queue, and finds a place in it.
#[tokio::test]
async fn guesses_at_many_names_do_not_fill_the_queue_of_known_addresses() {
    const QUEUE: usize = 32;
    let config = "[auth]\nbcrypt_cost = 12\nhash_threads = 1\nhash_queue = 32\n\
                  [limits]\nh2_streams = 1000\n";
    let gateway = start(config).await;
    let _crowd = crowd(&gateway, 300, |number| (format!("name{number}"), "a guess")).await;
    gateway.wait_for_log(|line| line["reason"] == "hasher_busy").await;
    at_home(&gateway).login(USER, PASSWORD).await.expect(200);
    let is_from_home = |line: &Value| line["client"] == HOME && line["status"] == 200;
    let before = eventually("the line of the sign-in", async || {
        let lines = gateway.log_lines();
        // The first one made the address known.
        let (place, _) = lines.iter().enumerate().filter(|(_, line)| is_from_home(line)).nth(1)?;
        Some(lines[..place].to_vec())
    })
    .await;
    let guessed = |line: &&Value| line["reason"] == "user_unknown" && line["status"] == 401;
    let judged = before.iter().filter(guessed).count();
    assert!(judged < QUEUE, "{judged} strangers were judged before");
}

/// Was: 140 addresses that signed in to one account with its password filled the hashing
/// queue, and everybody else got 503.
#[tokio::test]
async fn an_account_that_signs_in_everywhere_at_once_keeps_nobody_from_it() {
    let config = "[auth]\nbcrypt_cost = 11\nhash_threads = 1\nhash_queue = 8\n\
                  [limits]\nh2_streams = 1000\n";
    let gateway = start(config).await;
    let _crowd = crowd(&gateway, 140, |_| (USER.to_owned(), PASSWORD)).await;
    Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    at_home(&gateway).login(USER, PASSWORD).await.expect(200);
    gateway.counted(&["user_attempts_shed"], 64).await;
    assert!(!gateway.log_lines().iter().any(|line| line["reason"] == "hasher_busy"));
}

/// A name that is nobody's is slowed too, and its line says nothing of it.
#[tokio::test]
async fn what_was_typed_as_a_name_is_in_no_line_of_its_slowdown() {
    let config = "[limits]\nuser_attempts = 2\nuser_pause = \"0s\"\n";
    let gateway = start(config).await;
    for _ in 0..2 {
        Client::anonymous(&gateway).login("my-secret-by-mistake", "x").await.expect(401);
    }
    let slowed = gateway.wait_for_log(|line| line["event"] == "user_slowdown").await;
    assert!(slowed["user"].is_null() && slowed["user_id"].is_null(), "{slowed}");
    let lines = gateway.log_lines();
    assert!(lines.iter().all(|line| !line.to_string().contains("by-mistake")), "{lines:?}");
}

/// What is known is stored: a restart is no reason to wait behind strangers.
#[tokio::test]
async fn an_address_is_known_after_a_restart_and_until_the_password_is_reset() {
    let config = "[limits]\nuser_attempts = 1\nuser_pause = \"60s\"\n";
    let mut gateway = start(config).await;
    gateway.restart().await;
    Client::anonymous(&gateway).login(USER, "a guess").await.expect(401);
    at_home(&gateway).login(USER, PASSWORD).await.expect(200);
    let new = "ann's second one";
    gateway.manage(&["user", "passwd", USER], Some(&format!("{new}\n"))).await;
    // Whoever had the password may have been there as well: it waits like any other.
    let stranger = tokio::spawn({
        let client = at_home(&gateway);
        async move { client.login(USER, new).await.status.as_u16() }
    });
    let status = gateway.status().await;
    assert_eq!(status["held"]["users_slowed"], 1, "{status}");
    assert!(!stranger.is_finished());
    stranger.abort();
    // Once it is proven there, it is known again.
    gateway.restart().await;
    at_home(&gateway).login(USER, new).await.expect(200);
    Client::anonymous(&gateway).login(USER, "a guess").await.expect(401);
    eventually("home to be known", async || {
        (at_home(&gateway).login(USER, new).await.status == 200).then_some(())
    })
    .await;
}
