//! Upstreams the tests run themselves, in this process on 127.0.0.1: correct ones
//! in every protocol, and raw ones that lie, stall and break. Each keeps what
//! reached it.

mod journal;
mod script;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server;

use super::client::{Body, body};
use super::socket::{read_until, send};
use super::streaming::{fields, streaming};

use journal::Shared;
pub use journal::{Received, Recording, Wire, visible};
pub use script::{Script, next_piece};

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Handler = Arc<dyn Fn(Request<Recording>) -> Answering + Send + Sync>;

/// Loopback, and a port that nobody has.
const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Http1,
    /// HTTP/2 in clear, by prior knowledge.
    H2c,
    TlsHttp1,
    TlsHttp2,
}

pub struct Upstream {
    address: SocketAddr,
    settings: Settings,
    shared: Arc<Shared>,
    /// How many requests `next_request` has handed out.
    taken: AtomicUsize,
    accepting: AbortHandle,
}

/// What the gateway has to be told about an upstream.
struct Settings {
    scheme: &'static str,
    protocol: &'static str,
    roots: Option<NamedTempFile>,
}

impl Settings {
    const fn clear(protocol: &'static str) -> Self {
        Self { scheme: "http", protocol, roots: None }
    }
}

impl Upstream {
    pub async fn http1<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Recording>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::http(Kind::Http1, handler).await
    }

    pub async fn http<H, F>(kind: Kind, handler: H) -> Self
    where
        H: Fn(Request<Recording>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        match kind {
            Kind::Http1 => Self::clear(Settings::clear("http1"), kind, handler).await,
            Kind::H2c => Self::clear(Settings::clear("http2"), kind, handler).await,
            Kind::TlsHttp1 | Kind::TlsHttp2 => Self::tls(kind, handler).await,
        }
    }

    async fn clear(settings: Settings, kind: Kind, handler: Handler) -> Self {
        Self::start(settings, move |stream, shared| {
            serve(stream, kind, shared, Arc::clone(&handler))
        })
        .await
    }

    async fn tls(kind: Kind, handler: Handler) -> Self {
        let (acceptor, roots) = certified(kind);
        let settings = Settings { scheme: "https", protocol: "auto", roots: Some(roots) };
        Self::start(settings, move |stream, shared| {
            let (acceptor, handler) = (acceptor.clone(), Arc::clone(&handler));
            async move {
                // A client that does not trust us leaves here, and is judged by
                // what it then does.
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, kind, shared, handler).await;
                }
            }
        })
        .await
    }

    /// Whatever `serve` does with a connection.
    pub async fn raw<S, F>(serve: S) -> Self
    where
        S: Fn(Wire<TcpStream>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let settings = Settings::clear("http1");
        Self::start(settings, move |stream, shared| serve(Wire::new(stream, shared))).await
    }

    /// Answers the first head on every connection with these bytes, and closes.
    pub async fn saying(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::raw(move |mut wire| {
            let answer = answer.clone();
            async move {
                if read_head(&mut wire).await.is_some() {
                    send(&mut wire, &answer).await;
                }
            }
        })
        .await
    }

    /// A WebSocket server that returns every message and takes the first
    /// subprotocol offered.
    pub async fn websocket() -> Self {
        Self::start(Settings::clear("http1"), serve_websocket).await
    }

    /// A gRPC server that returns every message as it arrives. Calls of a method
    /// named `Fail` end with status 5, others with 0.
    pub async fn grpc() -> Self {
        Self::http(Kind::H2c, |request| async { serve_grpc(request) }).await
    }

    async fn start<S, F>(settings: Settings, serve: S) -> Self
    where
        S: Fn(TcpStream, Arc<Shared>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(SocketAddr::from(ANY_PORT)).await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), serve)).abort_handle();
        Self { address, settings, shared, taken: AtomicUsize::new(0), accepting }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.settings.scheme, self.address)
    }

    /// The file with the certificate it is to be verified against.
    pub fn roots(&self) -> Option<&Path> {
        self.settings.roots.as_ref().map(NamedTempFile::path)
    }

    /// The section that declares it under this name; further keys may follow.
    pub fn section(&self, name: &str) -> String {
        let Settings { protocol, roots, .. } = &self.settings;
        let roots = roots.as_ref().map(|file| format!("roots = \"{}\"\n", file.path().display()));
        let roots = roots.unwrap_or_default();
        format!("[upstream.{name}]\nurl = \"{}\"\nprotocol = \"{protocol}\"\n{roots}", self.url())
    }

    /// A configuration that sends everything here; what is below `/open` from
    /// anybody.
    pub fn routes(&self) -> String {
        format!(
            "{}[[route]]\nupstream = \"app\"\n\
             [[route]]\npath = \"/open\"\npublic = true\nupstream = \"app\"\n",
            self.section("app")
        )
    }

    /// Every request whose head arrived, complete or not.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.read().requests.clone()
    }

    /// The next request that arrived whole, with body and trailers.
    pub async fn next_request(&self) -> Received {
        let turn = self.taken.fetch_add(1, Ordering::Relaxed);
        let find = |journal: &journal::Journal| {
            journal.completed.get(turn).map(|&request| journal.requests[request].clone())
        };
        self.shared.wait_for("a whole request at the upstream", find).await
    }

    /// The requests that arrived whole, in the order they did.
    pub fn completed(&self) -> Vec<Received> {
        let journal = self.shared.read();
        journal.completed.iter().map(|&request| journal.requests[request].clone()).collect()
    }

    /// Every byte received, inside of TLS where there is TLS.
    pub fn bytes(&self) -> Vec<u8> {
        self.shared.read().bytes.clone()
    }

    /// How many connections have been accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.read().accepted
    }

    /// Waits until the first bytes have arrived.
    pub async fn reached(&self) {
        let find = |journal: &journal::Journal| (!journal.bytes.is_empty()).then_some(());
        self.shared.wait_for("bytes at the upstream", find).await;
    }

    /// Waits until every connection accepted so far has ended.
    pub async fn disconnected(&self) {
        let find = |journal: &journal::Journal| (journal.closed == journal.accepted).then_some(());
        self.shared.wait_for("the upstream's connections to end", find).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // Its connections go with it: they belong to this task.
        self.accepting.abort();
    }
}

/// An address that refuses connections as long as this lives.
pub struct Refusing(TcpSocket);

impl Refusing {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // Bound, so that nobody else gets the port, and never listening.
        socket.bind(ANY_PORT.into()).expect("a port is free");
        Self(socket)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("a bound socket has an address"))
    }
}

/// An address where connections are neither accepted nor refused: its queue is full.
pub struct Unreachable {
    listener: TcpListener,
    _first_in_queue: TcpStream,
}

impl Unreachable {
    pub async fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(ANY_PORT.into()).expect("a port is free");
        // Linux queues one connection more than it is told and drops what else
        // arrives.
        let listener = socket.listen(0).expect("a bound socket can listen");
        let address = listener.local_addr().expect("a listener has an address");
        let first = TcpStream::connect(address).await.expect("the queue has one place");
        Self { listener, _first_in_queue: first }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().expect("a listener has an address"))
    }
}

/// Reads the whole request and answers 200 with `ok`.
pub async fn ok(request: Request<Recording>) -> Response<Body> {
    // What is missing of a request that breaks off shows in the journal.
    let _ = request.into_body().collect().await;
    text("ok")
}

/// Returns the request's body as it arrives, trailers included.
#[expect(clippy::unused_async, reason = "what an upstream does is a future")]
pub async fn mirror(request: Request<Recording>) -> Response<Body> {
    Response::new(request.into_body().map_err(std::io::Error::other).boxed())
}

pub fn text(text: &'static str) -> Response<Body> {
    Response::new(body(text))
}

/// Reads a request's head from a raw connection; none when the peer closes instead.
pub async fn read_head(wire: &mut Wire<TcpStream>) -> Option<String> {
    read_until(wire, "\r\n\r\n").await
}

async fn accept<S, F>(listener: TcpListener, shared: Arc<Shared>, serve: S)
where
    S: Fn(TcpStream, Arc<Shared>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("loopback connections are accepted");
        shared.note(|journal| journal.accepted += 1);
        let (serving, shared) = (serve(stream, Arc::clone(&shared)), Arc::clone(&shared));
        connections.spawn(async move {
            serving.await;
            shared.note(|journal| journal.closed += 1);
        });
    }
}

async fn serve<S>(stream: S, kind: Kind, shared: Arc<Shared>, handler: Handler)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Wire::new(stream, Arc::clone(&shared)));
    let service = service_fn(move |request: Request<Incoming>| {
        let (head, incoming) = request.into_parts();
        let number = shared.begin(&head);
        let recording = Recording::new(incoming, Arc::clone(&shared), number);
        let answering = handler(Request::from_parts(head, recording));
        async { Ok::<_, Infallible>(answering.await) }
    });
    // How a connection ends is up to the gateway; the tests look at what it answers.
    let _ = match kind {
        Kind::Http1 | Kind::TlsHttp1 => http1::Builder::new().serve_connection(io, service).await,
        Kind::H2c | Kind::TlsHttp2 => {
            http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
        }
    };
}

async fn serve_websocket(stream: TcpStream, shared: Arc<Shared>) {
    let wire = Wire::new(stream, Arc::clone(&shared));
    #[expect(clippy::result_large_err, reason = "the callback's type is given")]
    let handshake = |request: &server::Request, mut response: server::Response| {
        let (head, ()) = request.clone().into_parts();
        if let Some(offered) = head.headers.get(SEC_WEBSOCKET_PROTOCOL) {
            let first = visible(offered).split(',').next().unwrap_or_default().trim();
            let agreed = first.parse().expect("a subprotocol is a field value");
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, agreed);
        }
        let number = shared.begin(&head);
        shared.complete(number);
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(wire, handshake).await else {
        return;
    };
    // Pings and the closing handshake are answered while reading.
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

fn serve_grpc(request: Request<Recording>) -> Response<Body> {
    let outcome = if request.uri().path().ends_with("/Fail") {
        fields(&[("grpc-status", "5"), ("grpc-message", "no such thing")])
    } else {
        fields(&[("grpc-status", "0")])
    };
    let (pieces, answer) = streaming();
    tokio::spawn(async move {
        let mut messages = request.into_body();
        while let Some(frame) = messages.frame().await {
            // A caller that has gone need not be told how it ended.
            let Ok(frame) = frame else { return };
            if let Ok(data) = frame.into_data()
                && !pieces.try_data(data).await
            {
                return;
            }
        }
        pieces.trailers(outcome).await;
    });
    let head = Response::builder().header(CONTENT_TYPE, "application/grpc");
    head.body(answer).expect("a valid answer")
}

fn certified(kind: Kind) -> (TlsAcceptor, NamedTempFile) {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    // No authority: trusted for standing in `roots`, and for nothing it could sign.
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
    let roots = NamedTempFile::new().expect("a file can be made");
    std::fs::write(roots.path(), made.cert.pem()).expect("a file can be written");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate and its key");
    let protocol: &[u8] = if kind == Kind::TlsHttp2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    (TlsAcceptor::from(Arc::new(config)), roots)
}
