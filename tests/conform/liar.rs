//! A proxy in front of a gateway that tells the truth but for one thing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SET_COOKIE, UPGRADE,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use crate::support::client::{Answer, Body, Client, body};
use crate::support::gateway::{ADMIN, Gateway};
use crate::support::within;

/// Comes with every lie: a token in a cookie of somebody's makes no lie true.
const PLANTED: &str = "x=eyJhbGciOi.e30.c2ln; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax";

/// What is said instead of the truth.
#[derive(Debug, Clone)]
pub enum Lie {
    None,
    Status(u16),
    /// The member at this JSON pointer has another value.
    Set(&'static str, Value),
    /// It is not there.
    Drop(&'static str),
    Replace(&'static str, &'static str),
    /// The key that an answer brought last is shown again.
    Recall,
    /// A field of the head, or its absence.
    Field(&'static str, Option<&'static str>),
    /// The gateway never hears of it.
    Instead(u16, &'static str),
    /// A WebSocket opens here, answers its first message so and closes with this code.
    Socket(&'static str, Option<u16>),
    /// A WebSocket opens here, answers so and stays.
    Deaf(&'static str),
    /// A WebSocket opens here and closes at once.
    Slam(u16),
    /// No WebSocket opens.
    Handshake(u16),
    /// The first time that the rate limit refuses the gRPC call, then the truth.
    Limited(Arc<AtomicBool>),
    /// The truth, but the gateway hears of the request when it is released.
    Held(Arc<Hold>),
}

/// A request on its way.
#[derive(Debug, Default)]
pub struct Hold {
    pub arrived: Notify,
    pub released: Notify,
}

pub struct Liar {
    pub address: SocketAddr,
    accepting: AbortHandle,
    cut: Arc<Notify>,
}

struct Telling {
    client: Client,
    /// `POST /api/auth/login`; a `*` at the end stands for any rest.
    asked: &'static str,
    lie: Lie,
    /// The text of the key that was made last.
    key: Mutex<Value>,
}

impl Liar {
    pub async fn start(gateway: &Gateway, asked: &'static str, lie: Lie) -> Self {
        let key = PrivateKeyDer::from_pem_file(gateway.path("server.key")).expect("a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![gateway.certificate()], key)
            .expect("the gateway's own pair");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let client = Client::anonymous(gateway);
        let telling = Arc::new(Telling { client, asked, lie, key: Mutex::default() });
        let cut = Arc::<Notify>::default();
        let cutting = Arc::clone(&cut);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serve(acceptor.clone(), stream, Arc::clone(&telling));
                let cut = Arc::clone(&cutting).notified_owned();
                tokio::spawn(async move {
                    tokio::select! {
                        () = serving => {}
                        () = cut => {}
                    }
                });
            }
        });
        Self { address, accepting: accepting.abort_handle(), cut }
    }

    /// Ends every connection, as a restart does.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, telling: Arc<Telling>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let telling = Arc::clone(&telling);
        async move { Ok::<_, Infallible>(telling.answer(request).await) }
    });
    let mut server = http1::Builder::new();
    server.auto_date_header(false);
    // The client leaves when it has heard enough.
    let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

impl Telling {
    fn applies(&self, request: &Request<Bytes>) -> bool {
        let asked = format!("{} {}", request.method(), request.uri().path());
        let meant = match self.asked.strip_suffix('*') {
            Some(beginning) => asked.starts_with(beginning),
            None => asked == self.asked,
        };
        let fits = !self.lie.is_of_sockets() || request.headers().contains_key(SEC_WEBSOCKET_KEY);
        // The administrator's own login is none of the statements.
        let admin = format!("\"{ADMIN}\"");
        meant && fits && !String::from_utf8_lossy(request.body()).contains(&admin)
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, sent) = request.into_parts();
        let sent = sent.collect().await.expect("the request arrives whole").to_bytes();
        let request = Request::from_parts(head.clone(), sent.clone());
        let lie = if self.applies(&request) { self.lie.clone() } else { Lie::None };
        match lie {
            Lie::Socket(..) | Lie::Deaf(_) | Lie::Slam(_) => {
                tokio::spawn(speak(upgrade, lie));
                return opened(&head.headers[SEC_WEBSOCKET_KEY]);
            }
            Lie::Instead(status, text) => return instead(status, text),
            Lie::Handshake(status) => return instead(status, ""),
            Lie::Limited(refused) if !refused.swap(true, Ordering::Relaxed) => {
                return grpc_limited();
            }
            Lie::Limited(_) => {
                return tell(self.forward(head, sent, upgrade).await, Lie::None, &Value::Null);
            }
            Lie::Held(hold) => {
                hold.arrived.notify_one();
                hold.released.notified().await;
                return tell(self.forward(head, sent, upgrade).await, Lie::None, &Value::Null);
            }
            _ => {}
        }
        let answer = self.forward(head, sent, upgrade).await;
        let mut key = self.key.lock().expect("no panic while it is held");
        if let Ok(json) = serde_json::from_slice::<Value>(&answer.body) {
            let shown = json.get("api_key").or(json.get("apiKey"));
            *key = shown.unwrap_or(&*key).clone();
        }
        tell(answer, lie, &key)
    }

    async fn forward(&self, mut head: Parts, sent: Bytes, upgrade: OnUpgrade) -> Answer {
        let opens = head.headers.contains_key(SEC_WEBSOCKET_KEY);
        for hop in [HOST, CONNECTION, CONTENT_LENGTH] {
            head.headers.remove(hop);
        }
        if opens {
            head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        let mut connection = self.client.connect().await;
        let mut response = connection.begin(Request::from_parts(head, body(sent))).await;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return within("the rest of a response", Answer::read(response)).await;
        }
        let onward = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(near), Ok(far)) = tokio::join!(upgrade, onward) {
                let (mut near, mut far) = (TokioIo::new(near), TokioIo::new(far));
                // Whichever side ends it.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
        let (head, _) = response.into_parts();
        Answer { status: head.status, headers: head.headers, body: Bytes::new(), trailers: None }
    }
}

impl Lie {
    fn is_of_sockets(&self) -> bool {
        matches!(self, Lie::Socket(..) | Lie::Deaf(_) | Lie::Slam(_) | Lie::Handshake(_))
    }
}

/// As the gateway refuses it: gRPC has its status in a field, and HTTP's is 200.
fn grpc_limited() -> Response<Body> {
    let mut response = Response::new(body(""));
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("grpc-status", "8"),
        ("retry-after", "0"),
        ("ratelimit-policy", "\"ip\";q=60;w=3"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn instead(status: u16, text: &'static str) -> Response<Body> {
    let mut response = Response::new(body(text));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn tell(answer: Answer, lie: Lie, key: &Value) -> Response<Body> {
    let mut text = answer.body.to_vec();
    let mut response = Response::new(body(""));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().remove(CONTENT_LENGTH);
    if !matches!(lie, Lie::None) {
        response.headers_mut().append(SET_COOKIE, HeaderValue::from_static(PLANTED));
    }
    match lie {
        Lie::Status(status) => {
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        }
        Lie::Field(name, value) => {
            let name: HeaderName = name.parse().expect("a field name");
            response.headers_mut().remove(&name);
            if let Some(value) = value {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
        }
        Lie::Replace(truth, lie) => {
            text = String::from_utf8_lossy(&text).replace(truth, lie).into_bytes();
        }
        Lie::Set(pointer, value) => text = change(&text, pointer, Some(value)),
        Lie::Recall => text.extend(key.to_string().bytes()),
        Lie::Drop(pointer) => text = change(&text, pointer, None),
        // These are told before the gateway is asked, if it is.
        Lie::None
        | Lie::Instead(..)
        | Lie::Socket(..)
        | Lie::Deaf(_)
        | Lie::Slam(_)
        | Lie::Handshake(_)
        | Lie::Limited(_)
        | Lie::Held(_) => {}
    }
    *response.body_mut() = body(text);
    response
}

/// Sets or removes a member. What is not JSON stays as it is.
fn change(text: &[u8], pointer: &str, value: Option<Value>) -> Vec<u8> {
    let Ok(mut json) = serde_json::from_slice::<Value>(text) else { return text.to_vec() };
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer to a member");
    if let Some(Value::Object(members)) = json.pointer_mut(parent) {
        match value {
            Some(value) => drop(members.insert(name.to_owned(), value)),
            None => drop(members.remove(name)),
        }
    }
    json.to_string().into_bytes()
}

fn opened(nonce: &HeaderValue) -> Response<Body> {
    let mut response = Response::new(body(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = derive_accept_key(nonce.as_bytes());
    for (name, value) in
        [(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_ACCEPT, &accept)]
    {
        response.headers_mut().insert(name, HeaderValue::from_str(value).expect("a field value"));
    }
    response
}

async fn speak(upgrade: OnUpgrade, lie: Lie) {
    let (text, close) = match lie {
        Lie::Socket(text, close) => (Some(text), close),
        Lie::Slam(close) => (None, Some(close)),
        Lie::Deaf(text) => (Some(text), None),
        _ => return,
    };
    let Ok(stream) = upgrade.await else { return };
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
    if let Some(text) = text {
        let _ = socket.next().await;
        let _ = socket.send(Message::text(text)).await;
    }
    if let Some(code) = close {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        let _ = socket.close(Some(frame)).await;
    }
    // Until the other side has gone.
    let stays = matches!(lie, Lie::Deaf(_));
    while stays && matches!(socket.next().await, Some(Ok(_))) {}
}
