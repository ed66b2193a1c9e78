//! The token bucket of an address, which replicas have in common.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::fleet::{Fleet, REPLICAS};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::redis::RedisServer;

const PUBLIC: &str = "[[route]]\nupstream = \"echo\"\npublic = true\n";
/// Until what two replicas may have let pass before they heard of the third, each a burst
/// and half a second's tokens, is paid back: from then on the sum is exactly the limit's.
const FLOOD: Duration = Duration::from_secs(7);
/// A second's tokens, for whoever stood still at the end.
const SLACK: f64 = 20.0;
const LIVING: &str = "{portcullis}:replicas";

/// What passed of a flood from one address to all replicas, and what may pass in the
/// time it took. By its own clock: on a slow machine it is allowed as much more.
async fn flood(fleet: &Fleet, address: &str) -> (f64, f64) {
    let begun = Instant::now();
    let mut floods = JoinSet::new();
    for gateway in &fleet.gateways {
        let client = Client::anonymous(gateway).from_address(address);
        floods.spawn(async move {
            let mut connection = client.connect().await;
            let mut passed = 0;
            while begun.elapsed() < FLOOD {
                let status = connection.get("/").await.status.as_u16();
                assert!([200, 429].contains(&status), "{status}");
                passed += i32::from(status == 200);
            }
            passed
        });
    }
    let passed: i32 = floods.join_all().await.into_iter().sum();
    (f64::from(passed), 60.0 + 20.0 * begun.elapsed().as_secs_f64())
}

/// Waits until every replica knows how many they are.
async fn know_each_other(redis: &RedisServer) {
    let all = i64::try_from(REPLICAS).expect("a few");
    eventually("all replicas to be alive", async || {
        (redis.tell(&["ZCARD", LIVING]).await.number() == all).then_some(())
    })
    .await;
    let seconds = redis.tell(&["TIME"]).await.texts().remove(0);
    let later = format!("({seconds}");
    eventually("all replicas to have heard it", async || {
        let heard = redis.tell(&["ZCOUNT", LIVING, &later, "+inf"]).await.number();
        (heard == all).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_all_replicas_passes_as_far_as_one_would_let_it() {
    let fleet = Fleet::start(PUBLIC).await;
    know_each_other(&fleet.redis).await;
    let (passed, limit) = flood(&fleet, "10.98.0.1").await;
    assert!(passed <= limit, "{passed} passed, and {limit} may");
    assert!(passed >= limit - SLACK, "{passed} passed, and {limit} may");
}

#[tokio::test]
async fn a_client_of_one_replica_has_its_whole_burst_at_once() {
    let fleet = Fleet::start(PUBLIC).await;
    know_each_other(&fleet.redis).await;
    let mut connection = Client::anonymous(&fleet.gateways[1]).connect().await;
    for request in 0..60 {
        assert_eq!(connection.get("/").await.status, 200, "request {request}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_replica_gives_its_part_and_then_they_count_together_again() {
    let mut fleet = Fleet::start(PUBLIC).await;
    know_each_other(&fleet.redis).await;
    fleet.redis.kill();
    for gateway in &fleet.gateways {
        let alone = |line: &Value| line["parts"] == REPLICAS;
        gateway.wait_for_log(alone).await;
    }
    let (passed, limit) = flood(&fleet, "10.98.0.2").await;
    assert!(passed <= limit, "{passed} passed, and {limit} may");
    assert!(passed >= limit - SLACK, "{passed} passed, and {limit} may");
    fleet.redis.restart().await;
    for gateway in &fleet.gateways {
        let together = |line: &Value| line["message"] == "shared rate limiting restored";
        gateway.wait_for_log(together).await;
    }
    let (passed, limit) = flood(&fleet, "10.98.0.3").await;
    assert!(passed <= limit, "{passed} passed, and {limit} may");
}
