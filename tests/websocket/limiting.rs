//! How many WebSockets and event streams an account may have open.

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use http::{Response, StatusCode};

use crate::support::client::{Client, Protocol, basic, request};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::streaming::streaming;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Kind, Upstream, text};

const OF_ONE_ACCOUNT: usize = 64;

async fn key(gateway: &Gateway, owner: &str) -> String {
    gateway.create_key(owner, &[], &[]).await.1
}

async fn tunnel(gateway: &Gateway, key: &str) -> Result<Tunnel, u16> {
    Tunnel::open(gateway, "/app", &[("x-api-key", key)]).await.map(|(tunnel, _)| tunnel)
}

#[tokio::test]
async fn an_account_opens_so_many_websockets_and_others_are_not_concerned() {
    let upstream = Upstream::websocket().await;
    let gateway = Gateway::start(&(upstream.routes() + "[limits]\nburst = 1000\n")).await;
    gateway.add_user("alice", "alice's password", &[]).await;
    let keys = [key(&gateway, ADMIN).await, key(&gateway, ADMIN).await];
    let opening = (0..OF_ONE_ACCOUNT).map(|turn| tunnel(&gateway, &keys[turn % 2]));
    let mut open: Vec<Tunnel> =
        iter(opening).buffer_unordered(4).map(|tunnel| tunnel.expect("a tunnel")).collect().await;
    let asked = upstream.requests().len();
    // By whatever credential: it is the account's.
    assert_eq!(tunnel(&gateway, &keys[0]).await.err(), Some(429));
    let password = basic(ADMIN, crate::support::gateway::ADMIN_PASSWORD);
    let by_password = Tunnel::open(&gateway, "/app", &[("authorization", &password)]).await;
    assert_eq!(by_password.err(), Some(429));
    assert_eq!(upstream.requests().len(), asked, "the upstream was not asked");
    let alice = key(&gateway, "alice").await;
    tunnel(&gateway, &alice).await.expect("hers").check_open().await;
    // Who has no account is not counted among anybody's.
    Tunnel::opened(&gateway, "/open", &[]).await.check_open().await;

    let line = gateway
        .wait_for_log(|line| line["type"] == "access" && line["reason"] == "streams_over_limit")
        .await;
    assert_eq!((&line["status"], &line["user"]), (&429.into(), &ADMIN.into()), "{line}");
    let audited = gateway.wait_for_log(|line| line["event"] == "account_bound").await;
    assert_eq!(audited["reason"], "streams_over_limit", "{audited}");
    assert_eq!(audited["user"], ADMIN, "{audited}");
    assert_eq!(audited["outcome"], "refused", "{audited}");
    gateway.counted(&["streams_over_limit"], 2).await;

    drop(open.pop());
    let again = async || tunnel(&gateway, &keys[1]).await.ok();
    eventually("a place that came back", again).await.check_open().await;
    open[0].check_open().await;
}

/// Whoever they are is not known; the bounds of addresses hold them.
#[tokio::test]
async fn websockets_of_a_public_route_are_nobodys() {
    let upstream = Upstream::websocket().await;
    let limits = "[limits]\nstreams_per_account = 1\n";
    let gateway = Gateway::start(&(upstream.routes() + limits)).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(Tunnel::opened(&gateway, "/open", &[]).await);
    }
    for tunnel in &mut open {
        tunnel.check_open().await;
    }
}

#[tokio::test]
async fn event_streams_count_among_them_and_other_answers_do_not() {
    let upstream = Upstream::http(Kind::Http1, |request| async move {
        let (pieces, body) = streaming();
        tokio::spawn(async move {
            pieces.data("data: 1\n\n").await;
            pieces.abandoned().await;
        });
        match request.uri().path().rsplit('/').next() {
            Some("events") => Response::builder().header("content-type", "text/event-stream"),
            Some("empty") => {
                let head = Response::builder().header("content-type", "text/event-stream");
                let head = head.status(StatusCode::NO_CONTENT);
                return head.body(crate::support::client::body("")).expect("an answer");
            }
            Some("long") => Response::builder(),
            _ => return text("ok"),
        }
        .body(body)
        .expect("an answer")
    })
    .await;
    let limits = "[limits]\nburst = 1000\nstreams_per_account = 3\n";
    let gateway = Gateway::start(&(upstream.routes() + limits)).await;
    gateway.add_user("alice", "alice's password", &[]).await;
    let admin = Client::api_key(&gateway, &key(&gateway, ADMIN).await);
    let get = |path| request(http::Method::GET, path);
    let mut open = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Http1] {
        let mut connection = admin.clone().protocol(protocol).connect().await;
        let response = connection.begin(get("/events")).await;
        assert_eq!(response.status(), 200);
        open.push((connection, response));
    }
    let refused = admin.get("/events").await;
    assert_eq!(refused.field("retry-after"), "1");
    refused.refused(429, "TOO_MANY_REQUESTS");
    admin.clone().h2().get("/events").await.refused(429, "TOO_MANY_REQUESTS");
    // However long they last.
    let mut long = Vec::new();
    for _ in 0..4 {
        let mut connection = admin.connect().await;
        let response = connection.begin(get("/long")).await;
        assert_eq!(response.status(), 200);
        long.push((connection, response));
    }
    admin.get("/empty").await.expect(204);
    admin.get("/other").await.expect(200);
    let alice = Client::api_key(&gateway, &key(&gateway, "alice").await);
    let mut hers = alice.connect().await;
    assert_eq!(hers.begin(get("/events")).await.status(), 200);
    // On a public route nobody has an account; the upstream's half is the bound.
    let anonymous = Client::anonymous(&gateway);
    for _ in 0..4 {
        let mut connection = anonymous.connect().await;
        let response = connection.begin(get("/open/events")).await;
        assert_eq!(response.status(), 200);
        long.push((connection, response));
    }
    gateway.counted(&["streams_over_limit"], 2).await;
    drop(open.pop());
    let again = async || {
        let mut connection = admin.connect().await;
        (connection.begin(get("/events")).await.status() == 200).then_some(())
    };
    eventually("a place that came back", again).await;
}
