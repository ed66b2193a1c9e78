//! How much of an upstream one account, or one address without an account, may have.

use futures_util::stream::{StreamExt as _, iter};
use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::support::client::{Answer, Body, Client, Connection, body, request};
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::streaming::{Pieces, streaming};
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Kind, Recording, Script, Upstream, text};
use crate::support::{eventually, within};

/// Below `/long` an answer that goes on until nobody wants it.
async fn answers(request: Request<Recording>) -> Response<Body> {
    if !request.uri().path().ends_with("/long") {
        return text("ok");
    }
    let (pieces, body) = streaming();
    tokio::spawn(go_on(pieces));
    Response::new(body)
}

async fn go_on(pieces: Pieces) {
    pieces.data("begun").await;
    pieces.abandoned().await;
}

async fn gateway_to(upstream: &Upstream, keys: &str) -> Gateway {
    let routes = "[[route]]\nupstream = \"app\"\n\
                  [[route]]\npath = \"/open\"\npublic = true\nupstream = \"app\"\n";
    let limits = "[limits]\nburst = 1000\n";
    let section = upstream.section("app");
    let gateway = Gateway::start(&format!("{section}{keys}{routes}{limits}")).await;
    gateway.add_user("alice", "alice's password", &[]).await;
    gateway
}

async fn client(gateway: &Gateway, owner: &str) -> Client {
    Client::api_key(gateway, &gateway.create_key(owner, &[], &[]).await.1)
}

type Held = (Connection, Response<Incoming>);

async fn long(client: &Client, path: &str) -> Held {
    let mut connection = client.connect().await;
    let response = connection.begin(request(Method::GET, path)).await;
    assert_eq!(response.status(), 200);
    (connection, response)
}

/// Refused for its share, and for nothing else.
async fn check_refused(gateway: &Gateway, answer: Answer) {
    let id = answer.field("x-request-id").to_owned();
    assert_eq!(answer.field("retry-after"), "1");
    answer.refused(503, "SERVICE_UNAVAILABLE");
    let line = gateway
        .wait_for_log(|line| line["type"] == "access" && line["request_id"] == id.as_str())
        .await;
    assert_eq!(line["reason"], "upstream_share_taken", "{line}");
}

#[tokio::test]
async fn an_account_has_half_of_the_connections_and_others_the_rest() {
    let upstream = Upstream::http(Kind::Http1, answers).await;
    let keys = "max_connections = 4\nconnect_timeout = \"1s\"\n";
    let gateway = gateway_to(&upstream, keys).await;
    let (admin, alice) = (client(&gateway, ADMIN).await, client(&gateway, "alice").await);
    let mut held = vec![long(&admin, "/long").await, long(&admin, "/long").await];
    check_refused(&gateway, admin.get("/long").await).await;
    check_refused(&gateway, client(&gateway, ADMIN).await.h2().get("/").await).await;
    let audited = gateway.wait_for_log(|line| line["event"] == "account_bound").await;
    assert_eq!(audited["reason"], "upstream_share_taken", "{audited}");
    assert_eq!(audited["user"], ADMIN, "{audited}");
    gateway.counted(&["upstream_shares_taken"], 2).await;
    let _hers = long(&alice, "/long").await;
    for _ in 0..3 {
        alice.get("/").await.expect(200);
    }
    drop(held.pop());
    eventually("a place that came back", async || {
        (admin.get("/").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_over_it_waits_for_another_of_the_account_to_end() {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(Kind::Http1, handler).await;
    let gateway = gateway_to(&upstream, "max_connections = 2\n").await;
    let admin = client(&gateway, ADMIN).await;
    let first = admin.get("/first");
    let second = async {
        let exchange = script.next().await;
        assert_eq!(exchange.request.uri().path(), "/first");
        let second = tokio::spawn({
            let admin = admin.clone();
            async move { admin.get("/second").await }
        });
        // The first ends when the second is there, and waits.
        gateway.counted(&["connections"], 2).await;
        exchange.answer(text("ok"));
        let exchange = script.next().await;
        assert_eq!(exchange.request.uri().path(), "/second");
        exchange.answer(text("ok"));
        within("the second answer", second).await.expect("an answer").expect(200);
    };
    tokio::join!(async { first.await.expect(200) }, second);
}

#[tokio::test]
async fn of_a_single_connection_one_account_has_all_of_one_and_half_of_the_streams() {
    let upstream = Upstream::http(Kind::Http1, answers).await;
    let gateway = gateway_to(&upstream, "max_connections = 1\n").await;
    let admin = client(&gateway, ADMIN).await;
    for _ in 0..3 {
        admin.get("/").await.expect(200);
    }

    let upstream = Upstream::http(Kind::H2c, answers).await;
    let keys = "max_connections = 1\nconnect_timeout = \"1s\"\n";
    let gateway = gateway_to(&upstream, keys).await;
    let (admin, alice) = (client(&gateway, ADMIN).await, client(&gateway, "alice").await);
    // Streams that the upstream allows count from its first answer on.
    admin.get("/").await.expect(200);
    let holding = iter(0..50).map(|_| long(&admin, "/long"));
    let mut held: Vec<Held> = holding.buffer_unordered(4).collect().await;
    check_refused(&gateway, admin.get("/").await).await;
    let hers = iter(0..25).map(|_| long(&alice, "/long"));
    let _hers: Vec<Held> = hers.buffer_unordered(4).collect().await;
    alice.get("/").await.expect(200);
    assert_eq!(upstream.connections(), 1);
    drop(held.pop());
    eventually("a place that came back", async || {
        (admin.get("/").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_has_no_account_is_told_by_its_address() {
    let upstream = Upstream::http(Kind::Http1, answers).await;
    let keys = "max_connections = 4\nconnect_timeout = \"1s\"\n";
    let gateway = gateway_to(&upstream, keys).await;
    let from = |address| Client::anonymous(&gateway).from_address(address);
    let one = from("192.0.2.1");
    let _held = [long(&one, "/open/long").await, long(&one, "/open/long").await];
    check_refused(&gateway, one.get("/open").await).await;
    from("192.0.2.2").get("/open").await.expect(200);
    // An account is one wherever it comes from.
    client(&gateway, ADMIN).await.from_address("192.0.2.1").get("/").await.expect(200);
    let audited = |line: &&serde_json::Value| line["event"] == "account_bound";
    assert!(gateway.log_lines().iter().find(audited).is_none());
}

#[tokio::test]
async fn tunnels_are_a_part_of_it_until_they_end() {
    let upstream = Upstream::websocket().await;
    let keys = "max_connections = 9\nmax_connections_per_account = 2\nconnect_timeout = \"1s\"\n";
    let gateway = gateway_to(&upstream, keys).await;
    let (id, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let fields = [("x-api-key", key.as_str())];
    let mut open = vec![
        Tunnel::opened(&gateway, "/", &fields).await,
        Tunnel::opened(&gateway, "/", &fields).await,
    ];
    assert_eq!(Tunnel::open(&gateway, "/", &fields).await.err(), Some(503));
    let (_, hers) = gateway.create_key("alice", &[], &[]).await;
    Tunnel::opened(&gateway, "/", &[("x-api-key", &hers)]).await.check_open().await;
    drop(open.pop());
    let next = async || Tunnel::open(&gateway, "/", &fields).await.ok();
    open.push(eventually("a place that came back", next).await.0);
    // They end with their credential, too.
    let (_, other) = gateway.create_key(ADMIN, &[], &[]).await;
    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;
    for tunnel in &mut open {
        assert_eq!(tunnel.closed().await, Some(4401));
    }
    let next = async || Tunnel::open(&gateway, "/", &[("x-api-key", &other)]).await.ok();
    eventually("places of what has ended", next).await.0.check_open().await;
}

#[tokio::test]
async fn grpc_calls_are_a_part_of_it_too() {
    let upstream = Upstream::grpc().await;
    let keys = "max_connections = 1\nconnect_timeout = \"1s\"\n";
    let gateway = gateway_to(&upstream, keys).await;
    let (admin, alice) = (client(&gateway, ADMIN).await, client(&gateway, "alice").await);
    let call = |body| {
        let call = Request::post("/echo.Echo/Chat").header("content-type", "application/grpc");
        call.header("te", "trailers").body(body).expect("a request")
    };
    let say = async |client: &Client| client.clone().h2().request(call(body("hello"))).await;
    assert_eq!(say(&admin).await.body, "hello");
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut connection = admin.clone().h2().connect().await;
        let (pieces, body) = streaming();
        held.push((connection.begin(call(body)).await, pieces, connection));
    }
    assert_eq!(say(&admin).await.field("grpc-status"), "14");
    assert_eq!(say(&alice).await.body, "hello");
    gateway.counted(&["upstream_shares_taken"], 1).await;
    // Ended in good order, it gives its place back.
    let (response, pieces, _connection) = held.remove(0);
    drop(pieces);
    within("the end of a call", Answer::read(response)).await;
    assert_eq!(say(&admin).await.body, "hello");
}
