//! Three replicas on one server: what one of them does, all know.

use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::UNLIMITED;
use super::fleet::{Fleet, REPLICAS, join, store_health};
use crate::support::client::{Client, Pair, request, sign_in, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ECHO, Gateway};
use crate::support::site::bearer;
use crate::support::tunnel::Tunnel;
use crate::support::websocket::open_socket;

const PASSWORD: &str = "a password of hers";
const KEYS: &str = "/api/v1/auth/keys";
/// Who has to wait for a pause does not see its end.
const SLOW: &str = "[limits]\nuser_attempts = 5\nuser_pause = \"60s\"\n";

async fn fleet() -> Fleet {
    let open = "[auth]\nregistration = \"open\"\n";
    Fleet::start(&format!("{open}{ECHO}{UNLIMITED}")).await
}

/// Waits until a replica refuses the token: it hears of its end a moment later.
async fn refuses(gateway: &Gateway, token: &str) {
    eventually("the end of a token", async || {
        (Client::bearer(gateway, token).get("/").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_is_good_at_every_replica_until_it_is_logged_out_at_one() {
    let fleet = fleet().await;
    let Pair { access, .. } = sign_in_admin(&fleet.gateways[0]).await;
    for gateway in &fleet.gateways {
        Client::bearer(gateway, &access).get("/").await.expect(200);
    }
    Client::bearer(&fleet.gateways[1], &access).post("/api/logout").await.expect(200);
    Client::bearer(&fleet.gateways[1], &access).get("/").await.refused(401, "INVALID_TOKEN");
    for gateway in &fleet.gateways {
        refuses(gateway, &access).await;
    }
}

#[tokio::test]
async fn a_key_is_good_everywhere_at_once_and_ends_everywhere() {
    let fleet = fleet().await;
    for (maker, gateway) in fleet.gateways.iter().enumerate() {
        let made = Client::admin(gateway).post_json(KEYS, &json!({})).await.expect(201).json();
        let key = made["apiKey"].as_str().expect("a key is text");
        for gateway in &fleet.gateways {
            Client::api_key(gateway, key).get("/").await.expect(200);
        }
        let id = made["keyId"].as_str().expect("an id is text");
        let other = &fleet.gateways[(maker + 1) % REPLICAS];
        let deletion = request(Method::DELETE, &format!("{KEYS}/{id}"));
        Client::admin(other).request(deletion).await.expect(204);
        for gateway in &fleet.gateways {
            refuses(gateway, key).await;
        }
    }
}

#[tokio::test]
async fn an_account_made_at_one_replica_signs_in_at_the_others_at_once() {
    let fleet = fleet().await;
    let account = json!({
        "email": "ann@example.com", "username": "ann", "full_name": "Ann",
        "password": PASSWORD, "password_confirm": PASSWORD,
    });
    let [first, second, third] = &fleet.gateways[..] else { unreachable!("there are three") };
    Client::anonymous(first).post_json("/api/v1/auth/register", &account).await.expect(201);
    sign_in(second, "ann", PASSWORD).await;
    Client::basic(third, "ann@example.com", PASSWORD).get("/").await.expect(200);
}

#[tokio::test]
async fn a_change_of_password_ends_the_old_one_and_its_sessions_everywhere() {
    let fleet = fleet().await;
    let [first, second, third] = &fleet.gateways[..] else { unreachable!("there are three") };
    first.add_user("ann", PASSWORD, &[]).await;
    let pair = sign_in(second, "ann", PASSWORD).await;
    let change = json!({ "current_password": PASSWORD, "new_password": "another password" });
    let own = Client::basic(third, "ann", PASSWORD);
    own.post_json("/api/change-password", &change).await.expect(200);
    for gateway in &fleet.gateways {
        refuses(gateway, &pair.access).await;
        sign_in(gateway, "ann", "another password").await;
        let old = Client::anonymous(gateway).login("ann", PASSWORD).await;
        old.refused(401, "INVALID_CREDENTIALS");
        let ended = Client::anonymous(gateway).refresh(&pair.refresh).await;
        ended.refused(401, "INVALID_REFRESH_TOKEN");
    }
}

#[tokio::test]
async fn roles_are_looked_up_as_they_are_now_wherever_they_were_given() {
    let route = "[[route]]\npath = \"/\"\nupstream = \"echo\"\nroles = [\"operator\"]\n";
    let fleet = Fleet::start(route).await;
    fleet.gateways[0].add_user("ann", PASSWORD, &[]).await;
    let access = sign_in(&fleet.gateways[1], "ann", PASSWORD).await.access;
    Client::bearer(&fleet.gateways[2], &access).get("/").await.expect(403);
    fleet.gateways[0].manage(&["user", "roles", "ann", "operator"], None).await;
    for gateway in &fleet.gateways {
        eventually("the role", async || {
            (Client::bearer(gateway, &access).get("/").await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn failed_sign_ins_of_an_address_count_over_all_replicas() {
    let fleet = Fleet::start(ECHO).await;
    let at = |index: usize| Client::anonymous(&fleet.gateways[index]).from_address("10.99.0.1");
    for attempt in 0..5 {
        at(attempt % REPLICAS).login(ADMIN, "wrong").await.refused(401, "INVALID_CREDENTIALS");
    }
    for index in 0..REPLICAS {
        eventually("the lock-out", async || {
            (at(index).login(ADMIN, "wrong").await.status == 429).then_some(())
        })
        .await;
    }
    // Forgiven at one, forgiven at all.
    fleet.gateways[2].manage(&["lockout", "clear", "10.99.0.1"], None).await;
    for index in 0..REPLICAS {
        eventually("forgiveness", async || {
            (at(index).login(ADMIN, "wrong").await.status == 401).then_some(())
        })
        .await;
    }
}

/// Was: each replica counted for itself, so that a user was guessed at three times as often
/// before anybody was slowed down.
#[tokio::test]
async fn failed_attempts_on_a_user_count_over_all_replicas() {
    let fleet = Fleet::start(&format!("{SLOW}{ECHO}")).await;
    fleet.gateways[0].add_user("ann", PASSWORD, &[]).await;
    let home = |index: usize| Client::anonymous(&fleet.gateways[index]).from_address("10.99.0.2");
    home(0).login("ann", PASSWORD).await.expect(200);
    for attempt in 0..5 {
        let guesser = Client::anonymous(&fleet.gateways[attempt % REPLICAS]);
        guesser.login("ann", "a guess").await.refused(401, "INVALID_CREDENTIALS");
    }
    for gateway in &fleet.gateways {
        eventually("the user to be slowed down", async || {
            (gateway.status().await["held"]["users_slowed"] == 1).then_some(())
        })
        .await;
    }
    let audited = |gateway: &Gateway| {
        let lines = gateway.log_lines();
        lines.iter().filter(|line| line["event"] == "user_slowdown").count()
    };
    assert_eq!(fleet.gateways.iter().map(audited).sum::<usize>(), 1, "by one of them");
    // The address that signed in at one is known at all.
    for index in 0..REPLICAS {
        home(index).login("ann", PASSWORD).await.expect(200);
    }
    let newcomer = join(&fleet.redis.url(), &format!("{SLOW}{ECHO}")).await;
    assert_eq!(newcomer.status().await["held"]["users_slowed"], 1, "who joins knows");
}

/// Each replica judges an address's attempts one after another, and all count together: what
/// is judged at once is one for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_address_each_further_replica_judges_one_more_attempt_at_most() {
    let fleet = Fleet::start(ECHO).await;
    let mut guesses = JoinSet::new();
    for number in 0..30 {
        let client = Client::anonymous(&fleet.gateways[number % REPLICAS]);
        let client = client.from_address("10.99.0.3");
        guesses.spawn(async move { client.login(ADMIN, "a guess").await.status.as_u16() });
    }
    let statuses = guesses.join_all().await;
    let judged = statuses.iter().filter(|status| **status == 401).count();
    assert!((5..=5 + REPLICAS - 1).contains(&judged), "{judged} of {statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_registrations_of_one_name_at_all_replicas_at_once_one_wins() {
    let fleet = fleet().await;
    let mut registrations = JoinSet::new();
    for number in 0..60 {
        let client = Client::anonymous(&fleet.gateways[number % REPLICAS]);
        let account = json!({
            "email": format!("n{number}@example.com"), "username": "one", "full_name": "Ann",
            "password": PASSWORD, "password_confirm": PASSWORD,
        });
        registrations.spawn(async move {
            client.post_json("/api/v1/auth/register", &account).await.status.as_u16()
        });
    }
    let mut statuses = registrations.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_comes_to_all_replicas_at_once_has_one_successor() {
    let fleet = fleet().await;
    let Pair { refresh, .. } = sign_in_admin(&fleet.gateways[0]).await;
    let mut refreshing = JoinSet::new();
    for number in 0..30 {
        let client = Client::anonymous(&fleet.gateways[number % REPLICAS]);
        let refresh = refresh.clone();
        refreshing.spawn(async move { client.refresh(&refresh).await.pair() });
    }
    let mut pairs = refreshing.join_all().await;
    pairs.dedup();
    assert_eq!(pairs.len(), 1, "{pairs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_comes_to_all_replicas_at_once_opens_one_socket() {
    let route = "[[route]]\nupstream = \"echo\"\nws_token = true\n";
    let fleet = Fleet::start(&format!("{route}{UNLIMITED}")).await;
    let answer = Client::admin(&fleet.gateways[0]).get("/api/ws-token").await.expect(200).json();
    let ticket = answer["token"].as_str().expect("a ticket is text");
    let mut opening = JoinSet::new();
    for number in 0..30 {
        let client = Client::anonymous(&fleet.gateways[number % REPLICAS]);
        let path = format!("/?token={ticket}");
        opening.spawn(async move { open_socket(&client, &path).await.status.as_u16() });
    }
    let mut statuses = opening.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 101);
    assert!(statuses[1..].iter().all(|status| *status == 401), "{statuses:?}");
}

#[tokio::test]
async fn a_socket_at_one_replica_ends_with_a_logout_at_another() {
    let fleet = fleet().await;
    let access = sign_in_admin(&fleet.gateways[0]).await.access;
    let [first, second, ..] = &fleet.gateways[..] else { unreachable!("there are three") };
    let credential = bearer(&access);
    let mut socket = Tunnel::opened(first, "/socket", &[("authorization", &credential)]).await;
    Client::bearer(second, &access).post("/api/logout").await.expect(200);
    assert_eq!(socket.closed().await, Some(4401));
}

#[tokio::test]
async fn a_replica_that_joins_knows_what_was_there() {
    let fleet = fleet().await;
    fleet.gateways[0].add_user("ann", PASSWORD, &["operator"]).await;
    let ended = sign_in(&fleet.gateways[0], "ann", PASSWORD).await.access;
    Client::bearer(&fleet.gateways[0], &ended).post("/api/logout").await.expect(200);
    let good = sign_in(&fleet.gateways[0], "ann", PASSWORD).await.access;
    let newcomer = join(&fleet.redis.url(), ECHO).await;
    Client::bearer(&newcomer, &ended).get("/").await.refused(401, "INVALID_TOKEN");
    let seen = Client::bearer(&newcomer, &good).get("/").await.expect(200).json();
    assert_eq!(seen["headers"]["x-portcullis-roles"], json!(["operator"]));
}

#[tokio::test]
async fn the_first_administrator_is_made_once_however_many_start_together() {
    let fleet = fleet().await;
    let users = fleet.gateways[0].manage(&["user", "list", "--format", "json"], None).await;
    let users: serde_json::Value = serde_json::from_str(&users).expect("the list is JSON");
    assert_eq!(users.as_array().map(Vec::len), Some(1), "{users}");
}

#[tokio::test]
async fn health_and_status_tell_that_the_store_is_live() {
    let fleet = fleet().await;
    for gateway in &fleet.gateways {
        let health = store_health(gateway).await;
        assert_eq!(health["state"], "live", "{health}");
        assert!(health["staleness_ms"].as_u64().is_some_and(|ms| ms <= 1000), "{health}");
        assert_eq!(health["undelivered"], 0, "{health}");
        let status = gateway.status().await;
        assert_eq!(status["store"]["state"], "live", "{status}");
    }
}

#[tokio::test]
async fn registration_that_one_replica_closes_is_closed_at_all_and_after_a_restart() {
    let mut fleet = fleet().await;
    let register = async |gateway: &Gateway, name: &str| {
        let member = json!({
            "email": format!("{name}@example.com"), "firstName": "A", "lastName": "B",
            "password": "password123@",
        });
        let made = Client::anonymous(gateway).post_json("/api/auth/register", &member).await;
        made.status.as_u16()
    };
    assert_eq!(register(&fleet.gateways[1], "ann").await, 201, "control");
    fleet.gateways[0].manage(&["registration", "close"], None).await;
    for (replica, gateway) in fleet.gateways.iter().enumerate() {
        let mut tries = 0;
        eventually("registration to be closed", async || {
            tries += 1;
            let status = register(gateway, &format!("bob{replica}-{tries}")).await;
            (status == 403).then_some(())
        })
        .await;
    }
    fleet.gateways[2].restart().await;
    assert_eq!(register(&fleet.gateways[2], "carl").await, 403);
    fleet.gateways[2].manage(&["registration", "open"], None).await;
    eventually("registration to be open", async || {
        (register(&fleet.gateways[0], "carl").await == 201).then_some(())
    })
    .await;
}
