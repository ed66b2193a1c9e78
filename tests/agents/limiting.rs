//! How many may wait to be known.

use crate::support::eventually;
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::raw::{RawStream, raw};
use crate::support::upstream::Upstream;

use super::{TEXT, by_key, frame, gateway_to, handshake, opened, read_refusal};

async fn from(gateway: &Gateway, address: &str) -> RawStream {
    let mut agent = raw(gateway).await;
    agent.send(handshake(&format!("X-Forwarded-For: {address}\r\n"))).await;
    agent
}

#[tokio::test]
async fn so_many_of_one_address_wait_and_no_more() {
    let upstream = Upstream::websocket().await;
    let limit = "[limits]\nagents_unauthenticated_per_address = 2\n";
    let gateway = gateway_to(&upstream, limit).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut agent = from(&gateway, "192.0.2.7").await;
        agent.read_response().await.expect(101);
        waiting.push(agent);
    }
    let mut one_too_many = from(&gateway, "192.0.2.7").await;
    let answer = one_too_many.read_response().await;
    assert_eq!(answer.field("retry-after"), "1");
    answer.refused(429, "TOO_MANY_REQUESTS");
    let mut elsewhere = from(&gateway, "192.0.2.8").await;
    elsewhere.read_response().await.expect(101);
    gateway.counted(&["agents_over_address_limit"], 1).await;
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn so_many_wait_in_all_and_places_come_back() {
    let upstream = Upstream::websocket().await;
    let gateway = gateway_to(&upstream, "[limits]\nagents_unauthenticated = 3\n").await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let (mut known, mut refused) = (opened(&gateway).await, opened(&gateway).await);
    let leaving = opened(&gateway).await;
    let mut one_too_many = raw(&gateway).await;
    one_too_many.send(handshake("")).await;
    one_too_many.read_response().await.refused(503, "SERVICE_UNAVAILABLE");
    gateway.counted(&["agents_over_limit"], 1).await;

    known.send(frame(TEXT, by_key(&key).as_bytes())).await;
    known.read_frame().await;
    refused.send(frame(TEXT, b"hello")).await;
    read_refusal(&mut refused).await;
    drop(leaving);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        // Who left is noticed when it has, and not before.
        let opened = eventually("a place", async || {
            let mut agent = raw(&gateway).await;
            agent.send(handshake("")).await;
            (agent.read_response().await.status == 101).then_some(agent)
        });
        waiting.push(opened.await);
    }
    known.send(frame(TEXT, b"still there?")).await;
    assert_eq!(known.read_frame().await, (TEXT, b"still there?".to_vec()));
}
