//! What ends with the credential behind it: tickets, and answers that go on.

use http::header::CONTENT_TYPE;
use http::{Method, Response};
use hyper::body::Incoming;
use serde_json::json;

use crate::support::client::{Client, Connection, sign_in, sign_in_admin, typed_request};
use crate::support::gateway::Gateway;
use crate::support::streaming::Pieces;
use crate::support::upstream::{Kind, Script, Upstream, next_piece};
use crate::support::websocket::open_socket;
use crate::support::within;

const USER: &str = "alice";
const OLD: &str = "alice's password";
const NEW: &str = "alice's new password";

async fn ticket_path(client: &Client) -> String {
    let answer = client.get("/api/ws-token").await.expect(200).json();
    format!("/stream?token={}", answer["token"].as_str().expect("a ticket"))
}

/// Was: a ticket knew its session, and behind Basic there is none.
#[tokio::test]
async fn a_ticket_asked_for_by_password_ends_with_the_password() {
    let upstream = Upstream::websocket().await;
    let stream = "[[route]]\npath = \"/stream\"\nupstream = \"app\"\nws_token = true\n";
    let gateway = Gateway::start(&(upstream.routes() + stream)).await;
    gateway.add_user(USER, OLD, &[]).await;
    let session = Client::bearer(&gateway, &sign_in(&gateway, USER, OLD).await.access);
    let anonymous = Client::anonymous(&gateway);

    let by_password = Client::basic(&gateway, USER, OLD);
    let used = ticket_path(&by_password).await;
    let late = ticket_path(&by_password).await;
    open_socket(&anonymous, &used).await.expect(101);
    let change = json!({ "current_password": OLD, "new_password": NEW });
    session.post_json("/api/change-password", &change).await.expect(200);
    open_socket(&anonymous, &late).await.refused(401, "INVALID_CREDENTIALS");

    let by_password = Client::basic(&gateway, USER, NEW);
    let late = ticket_path(&by_password).await;
    gateway.manage(&["user", "passwd", USER], Some(&format!("{OLD}\n"))).await;
    open_socket(&anonymous, &late).await.refused(401, "INVALID_CREDENTIALS");
}

/// An answer that has begun and goes on.
struct Stream {
    pieces: Pieces,
    body: Incoming,
    _connection: Connection,
}

impl Stream {
    async fn open(client: &Client, script: &mut Script, content_type: &'static str) -> Self {
        let mut connection = client.connect().await;
        let mut request = typed_request("/app", content_type, "");
        if content_type == EVENTS {
            *request.method_mut() = Method::GET;
        }
        let answering = async {
            let head = Response::builder().header(CONTENT_TYPE, content_type);
            script.next().await.answer_streaming(head)
        };
        let (response, pieces) = tokio::join!(connection.begin(request), answering);
        assert_eq!(response.status(), 200);
        let mut stream = Self { pieces, body: response.into_body(), _connection: connection };
        stream.check_open().await;
        stream
    }

    async fn check_open(&mut self) {
        self.pieces.data("data: still there\n\n").await;
        let piece = within("a piece", next_piece(&mut self.body)).await.expect("it goes on");
        assert_eq!(piece.expect("it goes on"), "data: still there\n\n");
    }

    /// Waits for the end on both sides: with trailers, without, or broken off.
    async fn ended(&mut self) {
        let piece = within("the end of the answer", next_piece(&mut self.body)).await;
        assert!(!matches!(piece, Some(Ok(_))), "{piece:?}");
        self.pieces.abandoned().await;
    }
}

const EVENTS: &str = "text/event-stream";

/// Was: only tunnels ended; an answer went on as long as the upstream did.
async fn check_logout(kind: Kind, content_type: &'static str) {
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(kind, handler).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let ending = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access).h2();
    let staying = Client::bearer(&gateway, &sign_in_admin(&gateway).await.access).h2();
    let mut ends = Stream::open(&ending, &mut script, content_type).await;
    let mut stays = Stream::open(&staying, &mut script, content_type).await;
    ending.post("/api/logout").await.expect(200);
    ends.ended().await;
    stays.check_open().await;
}

#[tokio::test]
async fn logging_out_ends_the_events_of_that_token_only() {
    check_logout(Kind::Http1, EVENTS).await;
}

#[tokio::test]
async fn logging_out_ends_the_calls_of_that_token_only() {
    check_logout(Kind::H2c, "application/grpc").await;
}
