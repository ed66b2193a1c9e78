//! The pool of upstream connections, and upstreams that answer too early or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::client::{Client, Protocol};
use crate::support::gateway::Gateway;
use crate::support::socket::{read_until, send};
use crate::support::streaming::streaming;
use crate::support::upstream::{Script, Upstream, read_head, text};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One public route to an upstream at this URL that takes one connection.
fn one_connection(url: &str) -> String {
    format!(
        "[upstream.app]\nurl = \"{url}\"\nprotocol = \"http1\"\nmax_connections = 1\n\
         [[route]]\npublic = true\nupstream = \"app\"\n"
    )
}

/// Was: 503 for all who waited, while the one connection lay idle.
#[tokio::test]
async fn who_waits_for_the_only_connection_gets_it_when_it_comes_back() {
    const CALLERS: usize = 8;
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http1(handler).await;
    let gateway = Gateway::start(&one_connection(&upstream.url())).await;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let client = Client::anonymous(&gateway);
        callers.spawn(async move { client.get("/").await.status.as_u16() });
    }
    for _ in 0..CALLERS {
        script.next().await.answer(text("ok"));
    }
    assert_eq!(callers.join_all().await, [200; CALLERS]);
    assert_eq!(upstream.connections(), 1);
}

/// Was: each POST left a connection behind, as long as its client went on sending.
#[tokio::test]
async fn an_upstream_that_answers_too_early_is_not_given_more_connections() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let most = Arc::new(AtomicUsize::new(0));
        let answering = tokio::spawn(answer_early(listener, Arc::clone(&most)));
        let gateway = Gateway::start(&one_connection(&format!("http://{address}"))).await;
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            let client = Client::anonymous(&gateway).protocol(protocol);
            callers.spawn(async move {
                let mut connection = client.connect().await;
                let (pieces, body) = streaming();
                pieces.data("to be continued").await;
                let upload = Request::post("/").body(body).expect("a request");
                let response = connection.begin(upload).await;
                (response.status().as_u16(), pieces, connection)
            });
        }
        // All are still sending when the last one is answered.
        let sending = callers.join_all().await;
        assert!(
            sending.iter().all(|(status, ..)| *status == 200),
            "{sending:?}",
            sending = sending.iter().map(|(status, ..)| status).collect::<Vec<_>>()
        );
        assert_eq!(most.load(Ordering::SeqCst), 1, "open at once");
        answering.abort();
    }
}

/// Answers heads without waiting for bodies, and notes how many connections were
/// open at most.
async fn answer_early(listener: TcpListener, most: Arc<AtomicUsize>) {
    let mut connections = Vec::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        // What was closed before this one was opened shows as closed by now.
        connections.retain(is_open);
        if read_until(&mut stream, "\r\n\r\n").await.is_some() {
            send(&mut stream, OK).await;
        }
        connections.push(stream);
        most.fetch_max(connections.len(), Ordering::SeqCst);
    }
}

/// Asks the operating system, which knows of a close before the runtime does.
fn is_open(stream: &TcpStream) -> bool {
    let mut socket = &*socket2::SockRef::from(stream);
    let mut unread = [0; 1024];
    loop {
        match std::io::Read::read(&mut socket, &mut unread) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Was: every interim answer began the wait anew.
#[tokio::test]
async fn interim_answers_do_not_put_off_the_timeout() {
    let upstream = Upstream::raw(|mut wire| async move {
        read_head(&mut wire).await;
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
        while wire.write_all(hints).await.is_ok() {
            beat.tick().await;
        }
    })
    .await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\ntimeout = \"300ms\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + route)).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = Client::anonymous(&gateway).protocol(protocol);
        client.get("/").await.refused(504, "GATEWAY_TIMEOUT");
    }
    upstream.disconnected().await;
}
