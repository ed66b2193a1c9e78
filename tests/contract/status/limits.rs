//! The two limiters: failed attempts of an address, and its requests.

use std::time::Instant;

use http::Request;
use serde_json::json;

use crate::support::client::{Answer, Body, Client, json_request, request, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::websocket::{Upstream, handshake};

const ADDRESS: &str = "203.0.113.7";
const WRONG_PASSWORD: &str = "not the password";

/// What a refusal says about when to come again.
#[track_caller]
fn retry_after(answer: &Answer) -> u64 {
    for name in ["ratelimit", "ratelimit-policy"] {
        assert!(!answer.field(name).is_empty(), "{answer:?}");
    }
    answer.field("retry-after").parse().expect("a number of seconds")
}

/// S1-30 and S1-31 with the defaults.
#[tokio::test]
async fn the_fifth_failure_still_answers_401_and_the_next_attempt_429() {
    let gateway = Gateway::start(ECHO).await;
    let right = Client::admin(&gateway).from_address(ADDRESS);
    let wrong = Client::basic(&gateway, ADMIN, WRONG_PASSWORD).from_address(ADDRESS);
    right.get("/").await.expect(200);
    for _ in 0..5 {
        wrong.get("/").await.refused(401, "INVALID_CREDENTIALS");
    }
    for caller in [&wrong, &right] {
        let answer = caller.get("/").await.refused(429, "TOO_MANY_ATTEMPTS");
        assert!((1..=300).contains(&retry_after(&answer)), "{answer:?}");
    }
    Client::admin(&gateway).from_address("203.0.113.8").get("/").await.expect(200);
}

/// S1-30 from the environment.
#[tokio::test]
async fn the_number_of_attempts_comes_from_the_environment() {
    let gateway = Gateway::builder().env("MAX_LOGIN_ATTEMPTS", "2").start().await;
    let client = Client::anonymous(&gateway);
    client.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    for _ in 0..2 {
        client.login(ADMIN, WRONG_PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
    }
    client.login(ADMIN, ADMIN_PASSWORD).await.refused(429, "TOO_MANY_ATTEMPTS");
}

/// S1-30 and S1-32: the window is fixed, so going on to try does not lengthen it.
#[tokio::test]
async fn the_window_comes_from_the_environment_and_ends() {
    let gateway = Gateway::builder()
        .env("MAX_LOGIN_ATTEMPTS", "2")
        .env("RATE_LIMIT_WINDOW_SECONDS", "2")
        .start()
        .await;
    let client = Client::anonymous(&gateway);
    let locked_out = eventually("the lock-out", async || {
        let answer = client.login(ADMIN, WRONG_PASSWORD).await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert!((1..=2).contains(&retry_after(&locked_out)), "{locked_out:?}");
    eventually("the end of the window", async || {
        let answer = client.login(ADMIN, ADMIN_PASSWORD).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// The secrets of every kind of attempt that a lock-out refuses.
struct Secrets {
    password: String,
    key: String,
    refresh: String,
    ticket: String,
}

impl Secrets {
    async fn right(gateway: &Gateway) -> Self {
        let ticket = Client::admin(gateway).get("/api/ws-token").await.expect(200).json();
        Self {
            password: ADMIN_PASSWORD.to_owned(),
            key: gateway.create_key(ADMIN, &[], &[]).await.1,
            refresh: sign_in_admin(gateway).await.refresh,
            ticket: ticket["token"].as_str().expect("a ticket is text").to_owned(),
        }
    }

    fn wrong() -> Self {
        Self {
            password: WRONG_PASSWORD.to_owned(),
            key: "sk_live_0".to_owned(),
            refresh: "no token".to_owned(),
            ticket: "0".repeat(64),
        }
    }

    /// One attempt of each kind.
    fn attempts(&self, gateway: &Gateway) -> [(&'static str, Client, Request<Body>); 5] {
        let anonymous = || Client::anonymous(gateway).from_address(ADDRESS);
        let page = || request(http::Method::GET, "/");
        let login = json!({ "username": ADMIN, "password": self.password });
        let refresh = json!({ "refresh_token": self.refresh });
        let basic = Client::basic(gateway, ADMIN, &self.password).from_address(ADDRESS);
        let key = Client::api_key(gateway, &self.key).from_address(ADDRESS);
        [
            ("login", anonymous(), json_request("/api/auth/login", &login)),
            ("Basic", basic, page()),
            ("key", key, page()),
            ("refresh", anonymous(), json_request("/api/auth/refresh", &refresh)),
            ("ticket", anonymous(), handshake(&format!("/logs?token={}", self.ticket))),
        ]
    }
}

/// S1-30: one count over every way to try a secret, where the operator counts all of
/// them; tokens already issued pass.
#[tokio::test]
async fn failures_of_every_kind_share_one_count() {
    let upstream = Upstream::start().await;
    let route = format!(
        "[limits]\ncount = \"all\"\n{ECHO}[[route]]\npath = \"/logs\"\nupstream = \"{}\"\nws_token = true\n",
        upstream.url
    );
    let gateway = Gateway::start(&route).await;
    let token = sign_in_admin(&gateway).await.access;
    for (kind, client, request) in Secrets::right(&gateway).await.attempts(&gateway) {
        let status = client.request(request).await.status.as_u16();
        assert_eq!(status, if kind == "ticket" { 101 } else { 200 }, "{kind}");
    }
    let right = Secrets::right(&gateway).await;
    for (kind, client, request) in Secrets::wrong().attempts(&gateway) {
        assert_eq!(client.request(request).await.status, 401, "{kind}");
    }
    for secrets in [right, Secrets::wrong()] {
        for (kind, client, request) in secrets.attempts(&gateway) {
            let refusal = client.request(request).await.refusal();
            assert_eq!(refusal, (429, "TOO_MANY_ATTEMPTS".to_owned()), "{kind}");
        }
    }
    let bearer = Client::bearer(&gateway, &token).from_address(ADDRESS);
    bearer.get("/").await.expect(200);
    bearer.post("/api/logout").await.expect(200);
}

/// S1-30: a token cannot be guessed, and an expired one is no attack.
#[tokio::test]
async fn refused_access_tokens_and_missing_credentials_are_not_counted() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    let anonymous = Client::anonymous(&gateway).from_address(ADDRESS);
    for text in [&token[1..], "eyJhbGciOi", "x"].repeat(4) {
        let bearer = Client::bearer(&gateway, text).from_address(ADDRESS);
        bearer.get("/").await.refused(401, "INVALID_TOKEN");
        anonymous.get("/").await.refused(401, "AUTHENTICATION_REQUIRED");
    }
    anonymous.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
}

/// S1-30: a success in between is no absolution.
#[tokio::test]
async fn a_success_does_not_reset_the_count() {
    let gateway = Gateway::builder().env("MAX_LOGIN_ATTEMPTS", "3").start().await;
    let client = Client::anonymous(&gateway);
    for _ in 0..3 {
        client.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
        client.login(ADMIN, WRONG_PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
    }
    client.login(ADMIN, ADMIN_PASSWORD).await.refused(429, "TOO_MANY_ATTEMPTS");
}

/// S1-33 and S1-34 with the defaults: whatever the pace, the bucket gives the
/// burst and what has flowed in since, and no more.
#[tokio::test]
async fn an_address_gets_sixty_requests_at_once_and_twenty_more_each_second() {
    const SENT: u32 = 400;
    let gateway = Gateway::start(ECHO).await;
    let client = Client::anonymous(&gateway).h2();
    let mut connection = client.connect().await;
    let began = Instant::now();
    let mut admitted = 0;
    for number in 1..=SENT {
        let answer = connection.get("/health").await;
        if answer.status == 200 {
            admitted += 1;
        } else {
            assert!(number > 60, "request {number} is within the burst: {answer:?}");
            let answer = answer.refused(429, "TOO_MANY_REQUESTS");
            assert_eq!(retry_after(&answer), 1, "a twentieth of a second, rounded up");
        }
    }
    let most = 61.0 + 20.0 * began.elapsed().as_secs_f64();
    assert!(f64::from(admitted) <= most, "{admitted} of {SENT} passed, at most {most} may");

    Client::anonymous(&gateway).get("/health").await.expect(200);
    eventually("the bucket to refill", async || {
        (client.get("/health").await.status == 200).then_some(())
    })
    .await;
}

/// S1-33: nothing is exempt, whether ours or proxied.
#[tokio::test]
async fn the_bucket_covers_every_path() {
    let gateway = Gateway::start(&format!(
        "[limits]\nburst = 4\nrequests_per_second = 1\n{ECHO}\
         [[route]]\npath = \"/public\"\nupstream = \"echo\"\npublic = true\n"
    ))
    .await;
    for path in ["/health", "/api/health", "/public", "/", "/api/ws-token"] {
        let client = Client::admin(&gateway);
        client.get(path).await.expect(200);
        eventually("the bucket to be empty", async || {
            (client.get(path).await.status == 429).then_some(())
        })
        .await;
    }
    let client = Client::anonymous(&gateway);
    client.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    eventually("the bucket to be empty", async || {
        (client.login(ADMIN, ADMIN_PASSWORD).await.status == 429).then_some(())
    })
    .await;
}

/// S1-35: an empty bucket is no failed attempt, and a lock-out takes no requests away.
#[tokio::test]
async fn the_two_limiters_do_not_feed_each_other() {
    let gateway = Gateway::builder()
        .config(&format!("[limits]\nburst = 10\nrequests_per_second = 5\n{ECHO}"))
        .env("MAX_LOGIN_ATTEMPTS", "2")
        .start()
        .await;
    let wrong = Client::basic(&gateway, ADMIN, WRONG_PASSWORD).from_address(ADDRESS);
    let right = Client::admin(&gateway).from_address(ADDRESS);
    wrong.get("/").await.refused(401, "INVALID_CREDENTIALS");

    let mut flood = Client::anonymous(&gateway).from_address(ADDRESS).h2().connect().await;
    let mut emptied = 0;
    for _ in 0..50 {
        emptied += u32::from(flood.get("/health").await.status == 429);
    }
    assert!(emptied > 5, "the flood was held back {emptied} times");
    eventually("the bucket to refill", async || {
        let answer = right.get("/").await;
        match answer.status.as_u16() {
            429 => {
                assert_eq!(answer.refusal().1, "TOO_MANY_REQUESTS");
                None
            }
            _ => Some(answer.expect(200)),
        }
    })
    .await;

    let token = sign_in_admin(&gateway).await.access;
    let bearer = Client::bearer(&gateway, &token).from_address(ADDRESS);
    let patient = async |client: &Client| {
        eventually("room in the bucket", async || {
            let answer = client.get("/").await;
            let full = answer.status == 429 && answer.refusal().1 == "TOO_MANY_REQUESTS";
            (!full).then_some(answer)
        })
        .await
    };
    patient(&wrong).await.refused(401, "INVALID_CREDENTIALS");
    patient(&right).await.refused(429, "TOO_MANY_ATTEMPTS");
    patient(&bearer).await.expect(200);
}
