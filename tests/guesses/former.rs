//! The password an account had: browsers with open tabs go on sending it.

use serde_json::json;

use crate::support::client::{Answer, Client, basic};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::redis::{RedisServer, USER};

const NEW_PASSWORD: &str = "staple, not battery";
const NEXT_KEY: &str = "the next secret of more than thirty-two bytes";
const ADDRESS: &str = "203.0.113.7";
/// Whoever enters the slow lane does not leave it in time.
const SLOW: &str = "[limits]\nuser_attempts = 1\nuser_pause = \"60s\"\n\
                    requests_per_second = 1000\nburst = 1000\n";

async fn change_password(gateway: &Gateway) -> Answer {
    let body = json!({ "current_password": ADMIN_PASSWORD, "new_password": NEW_PASSWORD });
    Client::admin(gateway).post_json("/api/change-password", &body).await.expect(200)
}

fn old(gateway: &Gateway) -> Client {
    Client::basic(gateway, ADMIN, ADMIN_PASSWORD).from_address(ADDRESS)
}

fn new(gateway: &Gateway) -> Client {
    Client::basic(gateway, ADMIN, NEW_PASSWORD).from_address(ADDRESS)
}

/// More often than would lock the address out.
async fn goes_on_with_the_old_one(gateway: &Gateway) {
    for _ in 0..6 {
        old(gateway).get("/").await.refused(401, "INVALID_CREDENTIALS");
    }
}

async fn start() -> Gateway {
    Gateway::start(&format!("{SLOW}{ECHO}")).await
}

/// Was: every tab that was open locked its user out within seconds of a change.
#[tokio::test]
async fn ten_open_tabs_do_not_lock_their_user_out() {
    let gateway = start().await;
    let mut tabs = Vec::new();
    for _ in 0..10 {
        let mut tab = old(&gateway).connect().await;
        tab.get("/").await.expect(200);
        tabs.push(tab);
    }
    change_password(&gateway).await;
    for _ in 0..3 {
        for tab in &mut tabs {
            tab.get("/").await.refused(401, "INVALID_CREDENTIALS").assert_challenge();
        }
    }
    let refused = gateway.wait_for_log(|line| line["reason"] == "password_former").await;
    assert_eq!((&refused["client"], &refused["status"]), (&json!(ADDRESS), &json!(401)));
    new(&gateway).get("/").await.expect(200);
    let login = Client::anonymous(&gateway).from_address(ADDRESS);
    login.login(ADMIN, NEW_PASSWORD).await.expect(200);
    let lockouts = new(&gateway).get("/api/admin/lockouts").await.json();
    assert_eq!(lockouts["items"], json!([]), "{lockouts}");
}

#[tokio::test]
async fn it_is_known_at_every_door_of_basic_and_by_every_name() {
    let gateway = start().await;
    let email = "admin2@example.com";
    let add = ["user", "add", "ann", "--email", email, "--role", "admin"];
    gateway.manage(&add, Some("ann's own password\n")).await;
    let ann =
        |name: &str, password: &str| Client::basic(&gateway, name, password).from_address(ADDRESS);
    ann("ann", "ann's own password").get("/").await.expect(200);
    let body = json!({ "current_password": "ann's own password", "new_password": NEW_PASSWORD });
    ann("ann", "ann's own password").post_json("/api/change-password", &body).await.expect(200);
    for name in ["ann", "ANN", email] {
        for path in ["/", "/api/ws-token", "/api/admin/users", "/api/auth/me"] {
            assert_eq!(ann(name, "ann's own password").get(path).await.status, 401, "{name}");
        }
    }
    ann("ann", NEW_PASSWORD).get("/").await.expect(200);
    // It is nobody else's.
    ann(ADMIN, "ann's own password").get("/").await.expect(401);
    let reasons = |reason: &str| {
        let lines = gateway.log_lines();
        lines.iter().filter(|line| line["type"] == "access" && line["reason"] == reason).count()
    };
    eventually("all of it to be logged", async || {
        (reasons("password_former") == 12 && reasons("password_wrong") == 1).then_some(())
    })
    .await;
}

/// People type it into forms.
#[tokio::test]
async fn a_login_with_it_is_a_guess_like_any_other() {
    let gateway = Gateway::start(ECHO).await;
    change_password(&gateway).await;
    let client = Client::anonymous(&gateway).from_address(ADDRESS);
    for _ in 0..5 {
        client.login(ADMIN, ADMIN_PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
    }
    client.login(ADMIN, NEW_PASSWORD).await.refused(429, "TOO_MANY_ATTEMPTS");
    // Who is locked out is told nothing.
    old(&gateway).get("/").await.refused(429, "TOO_MANY_ATTEMPTS");
}

/// So is the current password of change-password, whoever asks.
#[tokio::test]
async fn a_change_from_it_is_a_guess_like_any_other() {
    let gateway = Gateway::start(ECHO).await;
    change_password(&gateway).await;
    let body = json!({ "current_password": ADMIN_PASSWORD, "new_password": "something else" });
    for _ in 0..5 {
        new(&gateway).post_json("/api/change-password", &body).await.expect(401);
    }
    new(&gateway).post_json("/api/change-password", &body).await.expect(429);
}

#[tokio::test]
async fn it_is_known_after_a_restart_and_a_change_of_the_secret_key() {
    let mut gateway = Gateway::start(ECHO).await;
    change_password(&gateway).await;
    gateway.restart().await;
    goes_on_with_the_old_one(&gateway).await;
    gateway.set_env("SECRET_KEY", Some(NEXT_KEY));
    gateway.set_env("SECRET_KEY_PREVIOUS", Some(SECRET_KEY));
    gateway.restart().await;
    goes_on_with_the_old_one(&gateway).await;
    new(&gateway).get("/").await.expect(200);
    let export = gateway.manage(&["store", "export"], None).await;
    assert!(export.contains("\"username\":\"admin\""), "{export}");
    assert!(!export.contains("former"), "an export outlives the window: {export}");
    // Without the key it was sealed with it is a wrong one.
    gateway.set_env("SECRET_KEY_PREVIOUS", None);
    gateway.restart().await;
    for _ in 0..5 {
        old(&gateway).get("/").await.refused(401, "INVALID_CREDENTIALS");
    }
    old(&gateway).get("/").await.refused(429, "TOO_MANY_ATTEMPTS");
}

#[tokio::test]
async fn every_replica_knows_it() {
    let redis = RedisServer::start().await;
    let url = format!("redis://{USER}@{}/0", redis.address());
    let config = format!("{SLOW}{ECHO}");
    let replica = async || Gateway::builder().config(&config).shared_store(&url).start().await;
    let (here, there) = (replica().await, replica().await);
    for gateway in [&here, &there] {
        old(gateway).get("/").await.expect(200);
    }
    change_password(&here).await;
    eventually("the other to hear of it", async || {
        (old(&there).get("/").await.status == 401).then_some(())
    })
    .await;
    for gateway in [&here, &there] {
        goes_on_with_the_old_one(gateway).await;
        new(gateway).get("/").await.expect(200);
    }
}

/// A reset does not know what the password was.
#[tokio::test]
async fn after_an_administrators_reset_it_counts() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("ann", "ann's own password", &["user"]).await;
    let ann = Client::anonymous(&gateway).from_address(ADDRESS);
    let ann = ann.with("authorization", &basic("ann", "ann's own password"));
    ann.get("/").await.expect(200);
    gateway.manage(&["user", "passwd", "ann"], Some("another password\n")).await;
    for _ in 0..5 {
        ann.get("/").await.expect(401);
    }
    ann.get("/").await.expect(429);
}
