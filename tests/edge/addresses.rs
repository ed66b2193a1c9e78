//! Who the client is, and how much one address may ask for.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::socket::Dial;
use crate::support::streaming::streaming;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::Upstream;
use crate::support::{client, eventually};

use super::PUBLIC_ECHO;

/// The client as an upstream and the log see it, when it says it were `claimed`.
async fn client_for(gateway: &Gateway, claimed: &str) -> String {
    let answer = Client::anonymous(gateway).from_address(claimed).get("/").await.expect(200);
    let id = answer.field("x-request-id");
    let line =
        gateway.wait_for_log(|line| line["type"] == "access" && line["request_id"] == id).await;
    let logged = line["client"].as_str().expect("a client").to_owned();
    let told = answer.json();
    let told = told["headers"]["x-forwarded-for"][0].as_str().expect("addresses");
    assert!(told.split(", ").any(|address| address == logged), "{told} is what the upstream hears");
    logged
}

#[tokio::test]
async fn what_a_stranger_says_about_its_address_is_not_believed() {
    let gateway = Gateway::start(&format!("{PUBLIC_ECHO}[client]\ntrusted_proxies = []\n")).await;
    for claimed in ["203.0.113.7", "127.0.0.9", "2001:db8::7", "nonsense"] {
        assert_eq!(client_for(&gateway, claimed).await, "127.0.0.1");
    }
}

#[tokio::test]
async fn the_rightmost_address_that_is_no_trusted_proxy_is_the_client() {
    let trusted = "[client]\ntrusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\", \"fd00::/8\"]\n";
    let gateway = Gateway::start(&format!("{PUBLIC_ECHO}{trusted}")).await;
    for (claimed, client) in [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.1.1.1, 10.2.2.2", "203.0.113.7"),
        ("6.6.6.6,203.0.113.7,fd00::1", "203.0.113.7"),
        ("10.1.1.1, 6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 2001:db8::7, 127.0.0.5", "2001:db8::7"),
    ] {
        assert_eq!(client_for(&gateway, claimed).await, client, "{claimed}");
    }
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    // Nobody is trusted here: a trusted proxy comes with the connections of many.
    let limits = "[limits]\nconnections_per_address = 2\n[client]\ntrusted_proxies = []\n";
    let gateway = Gateway::start(&format!("{PUBLIC_ECHO}{limits}")).await;
    let dial = Dial::new(&gateway);
    let first = dial.tls().await;
    let second = dial.tls().await;
    assert!(dial.try_tls(dial.tcp().await).await.is_err(), "a third connection was served");
    drop(first);
    // The place is free as soon as the gateway has noticed.
    let third = eventually("the place to be free again", async || {
        dial.try_tls(dial.tcp().await).await.ok()
    })
    .await;
    drop((second, third));
}

/// Sends a request from each address over one connection, all within a second, so
/// that the bucket gets nothing back meanwhile. `addresses` is asked for others
/// when the machine was too slow.
async fn statuses(gateway: &Gateway, addresses: impl Fn(u8) -> Vec<String>) -> Vec<u16> {
    for attempt in 0..10 {
        let mut stream = raw(gateway).await;
        let started = Instant::now();
        let mut statuses = Vec::new();
        for address in addresses(attempt) {
            let field = format!("X-Forwarded-For: {address}");
            stream.send(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n")).await;
            statuses.push(stream.read_response().await.status.as_u16());
        }
        if started.elapsed() < Duration::from_millis(900) {
            return statuses;
        }
    }
    panic!("no five requests within a second")
}

async fn with_small_buckets() -> Gateway {
    let limits = "[limits]\nrequests_per_second = 1\nburst = 3\n";
    Gateway::start(&format!("{PUBLIC_ECHO}{limits}")).await
}

#[tokio::test]
async fn a_request_behind_the_burst_has_to_wait() {
    let gateway = with_small_buckets().await;
    let one = |attempt| vec![format!("203.0.113.{attempt}"); 4];
    assert_eq!(statuses(&gateway, one).await, [200, 200, 200, 429]);
}

#[tokio::test]
async fn a_refusal_says_how_long_to_wait() {
    let gateway = with_small_buckets().await;
    let client = Client::anonymous(&gateway);
    let mut connection = client.connect().await;
    let refused = eventually("the bucket to be empty", async || {
        Some(connection.get("/").await).filter(|answer| answer.status != 200)
    })
    .await
    .refused(429, "TOO_MANY_REQUESTS");
    let seconds: u64 = refused.field("retry-after").parse().expect("a number of seconds");
    assert!((1..=3).contains(&seconds), "{seconds}");
    for name in ["ratelimit-policy", "ratelimit"] {
        assert!(!refused.field(name).is_empty());
    }
    // What it was told to wait for comes.
    eventually("the bucket to have room again", async || {
        Some(connection.get("/").await).filter(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn each_address_has_a_bucket_of_its_own() {
    let gateway = with_small_buckets().await;
    let two = |attempt| {
        let mut addresses = vec![format!("203.0.113.{attempt}"); 4];
        addresses.push(format!("198.51.100.{attempt}"));
        addresses
    };
    assert_eq!(statuses(&gateway, two).await, [200, 200, 200, 429, 200]);
}

#[tokio::test]
async fn an_ipv6_network_of_64_bits_is_one_address() {
    let gateway = with_small_buckets().await;
    let network = |attempt| {
        let host = |host| format!("2001:db8:0:{attempt:x}:{host}");
        let neighbour = format!("2001:db8:1:{attempt:x}::1");
        vec![host(":1"), host("ffff::2"), host("1:2:3:4"), host(":ffff"), neighbour]
    };
    assert_eq!(statuses(&gateway, network).await, [200, 200, 200, 429, 200]);
}

#[tokio::test]
async fn an_ipv4_address_written_as_ipv6_is_the_same_address() {
    let gateway = with_small_buckets().await;
    let both = |attempt| {
        let plain = format!("203.0.113.{attempt}");
        vec![plain.clone(), format!("::ffff:{plain}"), plain.clone(), format!("::ffff:{plain}")]
    };
    assert_eq!(statuses(&gateway, both).await, [200, 200, 200, 429]);
}

#[tokio::test]
async fn every_path_draws_from_the_same_bucket() {
    let gateway = with_small_buckets().await;
    let mut connection = Client::anonymous(&gateway).connect().await;
    let paths = ["/", "/health", "/api/health", "/api/ws-token"];
    let refused = eventually("the bucket to be empty", async || {
        for path in paths {
            let answer = connection.get(path).await;
            if answer.status == 429 {
                return Some(answer);
            }
        }
        None
    });
    refused.await.refused(429, "TOO_MANY_REQUESTS");
    let login = client::json_request("/api/auth/login", &serde_json::json!({}));
    // Once it is empty nothing passes, whatever it is for.
    let statuses = [connection.send(login).await.status, connection.get("/health").await.status];
    assert!(statuses.iter().any(|status| *status == 429), "{statuses:?}");
}

/// An answer that goes on for as long as somebody listens.
async fn long(client: &Client) -> (client::Connection, http::Response<hyper::body::Incoming>) {
    let mut connection = client.connect().await;
    let response = connection.begin(client::request(http::Method::GET, "/long")).await;
    assert_eq!(response.status(), 200);
    (connection, response)
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_counted_and_not_the_proxy() {
    let upstream = Upstream::http1(|request: http::Request<_>| async move {
        let (pieces, body) = streaming();
        if request.uri().path() == "/long" {
            tokio::spawn(async move {
                pieces.data("begun").await;
                pieces.abandoned().await;
            });
        }
        http::Response::new(body)
    })
    .await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\n\
                 [[route]]\npath = \"/ws\"\npublic = true\nupstream = \"echo\"\n";
    let limits = "[limits]\nconnections_per_address = 3\n";
    let gateway = Gateway::start(&format!("{}{route}{limits}", upstream.section("app"))).await;
    let from = |address| Client::anonymous(&gateway).from_address(address);
    let one = from("192.0.2.1");
    let mut held = vec![long(&one).await, long(&one.clone().h2()).await];
    let _tunnel = Tunnel::opened(&gateway, "/ws", &[("x-forwarded-for", "192.0.2.1")]).await;
    let refused = one.get("/").await;
    assert_eq!(refused.field("retry-after"), "1");
    refused.refused(429, "TOO_MANY_REQUESTS");
    one.get("/health").await.refused(429, "TOO_MANY_REQUESTS");
    gateway.wait_for_log(|line| line["reason"] == "connections_over_address_limit").await;
    gateway.counted(&["connections_over_address_limit"], 2).await;
    // Others through the same proxy, and the proxy itself, are not concerned.
    from("192.0.2.2").get("/").await.expect(200);
    let mut own = Vec::new();
    for _ in 0..5 {
        own.push(long(&from("127.0.0.3")).await);
    }
    drop(held.pop());
    eventually("a place that came back", async || (one.get("/").await.status == 200).then_some(()))
        .await;
}
