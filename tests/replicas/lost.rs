//! The store lost, slow, full, read-only, loading or talking nonsense: what is known
//! goes on, what needs the store is put off, and nothing that was promised is lost.

use http::Method;
use serde_json::{Value, json};

use super::UNLIMITED;
use super::fleet::{Fleet, REPLICAS, is_live, is_unreachable, join, store_health};
use crate::support::balancer::Balancer;
use crate::support::client::{Answer, Client, request, sign_in, sign_in_admin, typed_request};
use crate::support::eventually;
use crate::support::fault_proxy::Fault;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::redis::talk::Reply;
use crate::support::redis::{PASSWORD, RedisServer};
use crate::support::site::bearer;

const KEYS: &str = "/api/v1/auth/keys";

async fn fleet() -> Fleet {
    Fleet::start(&format!("[store]\ntimeout = \"1s\"\n{ECHO}{UNLIMITED}")).await
}

#[track_caller]
fn put_off(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let wait: u64 = answer.field("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{answer:?}");
}

/// A sign-in of each contract, and its way to say that something is wrong.
async fn every_contract_puts_sign_ins_off(gateway: &Gateway) {
    let client = || Client::anonymous(gateway);
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());

    let status = client().login(ADMIN, ADMIN_PASSWORD).await;
    put_off(&status);
    assert_eq!(status.refusal().1, "SERVICE_UNAVAILABLE");

    let name_and_password = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
    let plain = client().post_json("/api/v1/auth/login", &name_and_password).await;
    put_off(&plain);
    assert!(text(&plain.json()["error"]), "{plain:?}");

    let email = json!({ "email": ADMIN, "password": ADMIN_PASSWORD });
    let envelope = client().post_json("/api/auth/login", &email).await;
    put_off(&envelope);
    assert_eq!(envelope.json()["error"]["code"], "SERVICE_UNAVAILABLE", "{envelope:?}");

    let words = format!("username={ADMIN}&password={}", ADMIN_PASSWORD.replace(' ', "+"));
    let form = "application/x-www-form-urlencoded";
    let form = typed_request("/api/v1/auth/login", form, words);
    let form = client().request(form).await;
    put_off(&form);
    assert!(text(&form.json()["detail"]), "{form:?}");
}

/// What callers meet while the store is away: known tokens and keys pass at every
/// replica, what needs the store is put off, health goes on.
async fn holds_out(fleet: &Fleet, known: &[Client]) {
    for (gateway, known) in fleet.gateways.iter().zip(known) {
        is_unreachable(gateway).await;
        known.get("/").await.expect(200);
        every_contract_puts_sign_ins_off(gateway).await;
        Client::anonymous(gateway).get("/health").await.expect(200);
    }
}

/// One caller at each replica, under a token that all of them know.
async fn callers(fleet: &Fleet) -> Vec<Client> {
    let access = sign_in_admin(&fleet.gateways[0]).await.access;
    fleet.gateways.iter().map(|gateway| Client::bearer(gateway, &access)).collect()
}

async fn goes_on(fleet: &Fleet) {
    fleet.settle().await;
    for gateway in &fleet.gateways {
        sign_in_admin(gateway).await;
    }
}

#[tokio::test]
async fn known_tokens_pass_and_sign_ins_wait_while_the_server_is_dead() {
    let mut fleet = fleet().await;
    let known = callers(&fleet).await;
    fleet.redis.kill();
    holds_out(&fleet, &known).await;
    fleet.redis.restart().await;
    goes_on(&fleet).await;
}

#[tokio::test]
async fn known_tokens_pass_and_sign_ins_wait_while_the_server_is_frozen() {
    let fleet = fleet().await;
    let known = callers(&fleet).await;
    fleet.redis.freeze();
    holds_out(&fleet, &known).await;
    fleet.redis.thaw();
    goes_on(&fleet).await;
}

#[tokio::test]
async fn known_tokens_pass_and_sign_ins_wait_whatever_breaks_on_the_way() {
    let fleet = fleet().await;
    let known = callers(&fleet).await;
    for fault in [Fault::Refused, Fault::Swallowed, Fault::Garbled] {
        fleet.wires.iter().for_each(|wire| wire.set(fault));
        holds_out(&fleet, &known).await;
        fleet.wires.iter().for_each(|wire| wire.set(Fault::None));
        goes_on(&fleet).await;
    }
}

/// In an incident it is the name of a key that is known.
#[tokio::test]
async fn a_key_is_found_by_its_name_and_ends_here_while_the_store_is_away() {
    let fleet = fleet().await;
    let gateway = &fleet.gateways[0];
    let (_, text) = gateway.create_key(ADMIN, &[], &["--name", "leaked"]).await;
    Client::api_key(gateway, &text).get("/").await.expect(200);
    fleet.wires[0].set(Fault::Refused);
    is_unreachable(gateway).await;
    let said = gateway.cli(&["key", "revoke", "leaked", "--yes"], None).await;
    assert!(said.stderr.contains("it has ended at this gateway and is not stored yet"), "{said:?}");
    // As one that it has never heard of, about which the store would be asked.
    Client::api_key(gateway, &text).get("/").await.expect(503);
    let users = gateway.manage(&["user", "list"], None).await;
    assert!(users.contains(ADMIN), "{users}");
    fleet.wires[0].set(Fault::None);
    goes_on(&fleet).await;
    for gateway in &fleet.gateways {
        eventually("the end of the key", async || {
            let answer = Client::api_key(gateway, &text).get("/").await;
            (answer.status == 401).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn one_replica_without_its_way_to_the_store_is_no_matter_to_the_others() {
    let fleet = fleet().await;
    let known = callers(&fleet).await;
    fleet.wires[0].set(Fault::Refused);
    is_unreachable(&fleet.gateways[0]).await;
    known[0].get("/").await.expect(200);
    for gateway in &fleet.gateways[1..] {
        assert_eq!(store_health(gateway).await["state"], "live");
        sign_in_admin(gateway).await;
    }
}

#[tokio::test]
async fn health_fails_without_the_store_only_where_that_is_asked_for() {
    let config = format!("[health]\nrequire_store = true\n{ECHO}");
    let mut fleet = Fleet::start(&config).await;
    Client::anonymous(&fleet.gateways[0]).get("/health").await.expect(200);
    fleet.redis.kill();
    eventually("the failing health", async || {
        let answer = Client::anonymous(&fleet.gateways[0]).get("/health").await;
        (answer.status == 503).then_some(())
    })
    .await;
    let known = Client::anonymous(&fleet.gateways[0]).get("/health").await.json();
    assert_eq!(known["store"]["state"], "unreachable", "{known}");
    fleet.redis.restart().await;
    is_live(&fleet.gateways[0]).await;
    Client::anonymous(&fleet.gateways[0]).get("/health").await.expect(200);
}

#[tokio::test]
async fn a_logout_without_the_store_holds_here_and_everywhere_after_its_return() {
    let mut fleet = fleet().await;
    let known = callers(&fleet).await;
    fleet.redis.kill();
    is_unreachable(&fleet.gateways[0]).await;
    put_off(&known[0].post("/api/logout").await);
    known[0].get("/").await.refused(401, "INVALID_TOKEN");
    assert_eq!(store_health(&fleet.gateways[0]).await["undelivered"], 1);
    known[1].get("/").await.expect(200);
    fleet.redis.restart().await;
    fleet.settle().await;
    for known in &known {
        eventually("the end of the token", async || {
            (known.get("/").await.status == 401).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_deleted_without_the_store_is_gone_here_and_everywhere_after_its_return() {
    let mut fleet = fleet().await;
    let known = callers(&fleet).await;
    let made = known[0].post_json(KEYS, &json!({})).await.expect(201).json();
    let key = made["apiKey"].as_str().expect("a key is text");
    let by_key: Vec<Client> =
        fleet.gateways.iter().map(|gateway| Client::api_key(gateway, key)).collect();
    for client in &by_key {
        client.get("/").await.expect(200);
    }
    fleet.redis.kill();
    is_unreachable(&fleet.gateways[0]).await;
    let id = made["keyId"].as_str().expect("an id is text");
    let deletion = request(Method::DELETE, &format!("{KEYS}/{id}"));
    put_off(&known[0].request(deletion).await);
    // It may be one that others have made meanwhile, for all that is known here.
    put_off(&by_key[0].get("/").await);
    by_key[1].get("/").await.expect(200);
    fleet.redis.restart().await;
    fleet.settle().await;
    for client in &by_key {
        eventually("the end of the key", async || {
            (client.get("/").await.status == 401).then_some(())
        })
        .await;
    }
}

/// Of an account that was made while the replica was cut off: it knows the token's signature
/// and nothing else.
#[tokio::test]
async fn what_somebody_unknown_ends_at_a_cut_off_replica_holds_and_is_stored() {
    let fleet = fleet().await;
    fleet.wires[0].set(Fault::Refused);
    is_unreachable(&fleet.gateways[0]).await;
    fleet.gateways[1].add_user("ann", "a password of hers", &[]).await;
    let access = sign_in(&fleet.gateways[1], "ann", "a password of hers").await.access;
    let known: Vec<Client> =
        fleet.gateways.iter().map(|gateway| Client::bearer(gateway, &access)).collect();
    let made = known[1].post_json(KEYS, &json!({})).await.expect(201).json();
    let (id, key) = (made["keyId"].as_str().unwrap(), made["apiKey"].as_str().unwrap());
    put_off(&known[0].get("/").await);
    put_off(&known[0].request(request(Method::DELETE, &format!("{KEYS}/{id}"))).await);
    put_off(&known[0].post("/api/logout").await);
    known[0].get("/").await.refused(401, "INVALID_TOKEN");
    assert_eq!(store_health(&fleet.gateways[0]).await["undelivered"], 2);
    known[1].get("/").await.expect(200);
    let held = |line: &Value| line["type"] == "audit" && line["reason"] == "revocation_not_stored";
    for event in ["key_revoke", "logout"] {
        fleet.gateways[0].wait_for_log(|line| held(line) && line["event"] == event).await;
    }
    fleet.wires[0].set(Fault::None);
    fleet.settle().await;
    for (gateway, known) in fleet.gateways.iter().zip(&known) {
        eventually("both ends", async || {
            let key = Client::api_key(gateway, key).get("/").await.status;
            (known.get("/").await.status == 401 && key == 401).then_some(())
        })
        .await;
    }
}

/// FLUSHALL under open connections, and the right data back again.
#[tokio::test]
async fn an_emptied_database_refuses_nobody_and_locks_nobody_out() {
    let fleet = fleet().await;
    let known = callers(&fleet).await;
    fleet.redis.tell(&["SWAPDB", "0", "1"]).await;
    for (gateway, known) in fleet.gateways.iter().zip(&known) {
        every_contract_puts_sign_ins_off(gateway).await;
        eventually("the other database to show", async || {
            (store_health(gateway).await["state"] == "foreign").then_some(())
        })
        .await;
        for _ in 0..8 {
            put_off(&Client::basic(gateway, "nobody", "a guess").get("/").await);
        }
        every_contract_puts_sign_ins_off(gateway).await;
        known.get("/").await.expect(200);
    }
    assert_eq!(fleet.redis.tell(&["KEYS", "*"]).await, Reply::List(Vec::new()));
    let lines = fleet.gateways[0].log_lines();
    let told = |line: &&Value| line["error"].as_str().is_some_and(|it| it.contains("replaced"));
    assert_eq!(lines.iter().filter(told).count(), 1, "said once");
    fleet.redis.tell(&["SWAPDB", "0", "1"]).await;
    goes_on(&fleet).await;
}

#[tokio::test]
async fn what_no_replica_has_seen_is_put_off_and_not_refused() {
    let mut fleet = fleet().await;
    let key = {
        let stray = join(&fleet.redis.url(), ECHO).await;
        fleet.wires.iter().for_each(|wire| wire.set(Fault::Refused));
        for gateway in &fleet.gateways {
            is_unreachable(gateway).await;
        }
        let made = Client::admin(&stray).post_json(KEYS, &json!({})).await.expect(201).json();
        made["apiKey"].as_str().expect("a key is text").to_owned()
    };
    put_off(&Client::api_key(&fleet.gateways[0], &key).get("/").await);
    fleet.redis.kill();
    fleet.redis.restart().await;
    fleet.wires.iter().for_each(|wire| wire.set(Fault::None));
    fleet.settle().await;
    Client::api_key(&fleet.gateways[0], &key).get("/").await.expect(200);
}

/// The server takes no changes for a reason of its own; everything else goes on.
async fn refuses_changes(before: &[&str], after: &[&str]) {
    let fleet = fleet().await;
    let known = callers(&fleet).await;
    fleet.redis.tell(before).await;
    for (gateway, known) in fleet.gateways.iter().zip(&known) {
        eventually("a sign-in to be put off", async || {
            let answer = Client::anonymous(gateway).login(ADMIN, ADMIN_PASSWORD).await;
            (answer.status == 503).then_some(())
        })
        .await;
        every_contract_puts_sign_ins_off(gateway).await;
        known.get("/").await.expect(200);
    }
    put_off(&known[0].post("/api/logout").await);
    known[0].get("/").await.expect(401);
    fleet.redis.tell(after).await;
    goes_on(&fleet).await;
    known[1].get("/").await.expect(401);
}

#[tokio::test]
async fn a_full_server_changes_nothing_and_takes_changes_once_it_has_room() {
    refuses_changes(&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"])
        .await;
}

#[tokio::test]
async fn a_primary_without_enough_replicas_changes_nothing() {
    let number = |number| ["CONFIG", "SET", "min-replicas-to-write", number];
    refuses_changes(&number("1"), &number("0")).await;
}

#[tokio::test]
async fn a_server_that_became_a_replica_changes_nothing() {
    let nowhere = ["REPLICAOF", "127.0.0.1", "1"];
    refuses_changes(&nowhere, &["REPLICAOF", "NO", "ONE"]).await;
}

#[tokio::test]
async fn a_server_that_still_loads_is_waited_for() {
    // What it loads key by key is the snapshot at the head of the file; in between it
    // answers that it loads.
    let slowly = RedisServer::builder().set("key-load-delay 20000");
    let mut redis = slowly.set("loading-process-events-interval-bytes 1024").start().await;
    let value = "x".repeat(2048);
    for number in 0..200 {
        redis.tell(&["SET", &format!("other:{number}"), &value]).await;
    }
    let gateway = join(&redis.url(), ECHO).await;
    let known = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access);
    redis.tell(&["BGREWRITEAOF"]).await;
    eventually("the snapshot", async || {
        (redis.info("aof_rewrite_in_progress").await == "0").then_some(())
    })
    .await;
    redis.kill();
    redis.launch().await;
    eventually("the server to load", async || {
        let loading = redis.try_ask(&["GET", "other:1"]).await?;
        format!("{loading:?}").contains("LOADING").then_some(())
    })
    .await;
    put_off(&Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await);
    known.get("/").await.expect(200);
    is_live(&gateway).await;
    sign_in_admin(&gateway).await;
}

#[tokio::test]
async fn a_replica_that_missed_more_than_the_stream_remembers_learns_everything_anew() {
    let fleet = fleet().await;
    let known = callers(&fleet).await;
    fleet.gateways[0].add_user("ann", "a password of hers", &[]).await;
    fleet.wires[0].set(Fault::Refused);
    is_unreachable(&fleet.gateways[0]).await;
    known[1].post("/api/logout").await.expect(200);
    fleet.gateways[1].manage(&["user", "remove", "ann", "--yes"], None).await;
    fleet.redis.tell(&["XTRIM", "{portcullis}:changes", "MAXLEN", "0"]).await;
    fleet.gateways[1].add_user("ben", "a password of his", &[]).await;
    fleet.wires[0].set(Fault::None);
    is_live(&fleet.gateways[0]).await;
    known[0].get("/").await.expect(401);
    let sign_in = async |name, password| {
        Client::basic(&fleet.gateways[0], name, password).get("/").await.status.as_u16()
    };
    assert_eq!(sign_in("ann", "a password of hers").await, 401);
    assert_eq!(sign_in("ben", "a password of his").await, 200);
}

#[tokio::test]
async fn through_a_balancer_somebody_always_answers_while_replicas_die_and_come_back() {
    let mut fleet = fleet().await;
    let addresses = fleet.gateways.iter().map(Gateway::address).collect();
    let balancer = Balancer::start(addresses).await;
    let caller = Client::through(&balancer, &fleet.gateways);
    let access = caller.login(ADMIN, ADMIN_PASSWORD).await.pair().access;
    let caller = caller.with("authorization", &bearer(&access));
    for dying in 0..fleet.gateways.len() {
        fleet.gateways[dying].kill();
        for _ in 0..REPLICAS {
            caller.get("/").await.expect(200);
        }
        fleet.gateways[dying].restart().await;
        for _ in 0..REPLICAS {
            caller.get("/").await.expect(200);
        }
    }
    caller.post("/api/logout").await.expect(200);
}

#[tokio::test]
async fn gateways_that_start_without_the_store_serve_once_it_is_there() {
    let mut redis = RedisServer::start().await;
    redis.kill();
    let gateway = join(&redis.url(), &format!("{ECHO}{UNLIMITED}")).await;
    is_unreachable(&gateway).await;
    // Whatever `require_store` says: nobody can be known.
    Client::anonymous(&gateway).get("/health").await.expect(503);
    every_contract_puts_sign_ins_off(&gateway).await;
    put_off(&Client::admin(&gateway).get("/").await);
    redis.restart().await;
    is_live(&gateway).await;
    Client::anonymous(&gateway).get("/health").await.expect(200);
    // The first account is made as soon as there is somewhere to put it.
    eventually("a sign-in", async || {
        let answer = Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_loss_and_a_return_are_logged_once_each() {
    let mut fleet = fleet().await;
    let gateway = &fleet.gateways[0];
    fleet.redis.kill();
    is_unreachable(gateway).await;
    for _ in 0..20 {
        put_off(&Client::anonymous(gateway).login(ADMIN, ADMIN_PASSWORD).await);
    }
    fleet.redis.restart().await;
    is_live(&fleet.gateways[0]).await;
    let lines = fleet.gateways[0].log_lines();
    let about_store = lines.iter().filter(|line| {
        line["message"].as_str().is_some_and(|message| message.contains("shared store"))
            && ["error", "warn"].contains(&line["level"].as_str().unwrap_or_default())
    });
    let about_store: Vec<_> = about_store.collect();
    assert!((1..=3).contains(&about_store.len()), "{about_store:#?}");
    assert!(!format!("{lines:?}").contains(PASSWORD), "a secret in the log");
}
