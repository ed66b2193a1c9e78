//! A WebSocket upstream that opens every socket, and callers that ask for one.

use http::{Method, Request};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server;

use super::client::{Answer, Body, Client, request};
use super::within;

pub struct Upstream {
    pub url: String,
    opened: mpsc::Receiver<Request<()>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (sender, opened) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(open(stream, sender.clone()));
            }
        });
        Self { url: format!("http://{address}"), opened }
    }

    /// The next handshake, as it arrived here.
    pub async fn next(&mut self) -> Request<()> {
        within("a socket to open upstream", self.opened.recv()).await.expect("the upstream runs")
    }
}

/// Opens the socket and leaves it open.
#[expect(clippy::result_large_err, reason = "the type of the answer is tungstenite's")]
async fn open(stream: TcpStream, opened: mpsc::Sender<Request<()>>) {
    let note = |request: &server::Request, response: server::Response| {
        // Nobody listens any more when the test is over.
        let _ = opened.try_send(request.clone());
        Ok(response)
    };
    if let Ok(_socket) = accept_hdr_async(stream, note).await {
        std::future::pending::<()>().await;
    }
}

/// Asks for a WebSocket and reports what came of it: 101 or a refusal.
pub async fn open_socket(client: &Client, path: &str) -> Answer {
    client.request(handshake(path)).await
}

pub fn handshake(path: &str) -> Request<Body> {
    let mut request = request(Method::GET, path);
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, value.parse().expect("a field value"));
    }
    request
}
