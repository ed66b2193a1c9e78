//! An HTTPS client of its own: what the gateway's code takes for right is what is
//! to be judged.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;

use crate::reply::Reply;
use crate::report::Fault;
use crate::socket::{Socket, accept_of};
use crate::tls::Tls;

/// For a connection or for one whole answer.
pub const DEADLINE: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Waits for the rate limit before an answer is given up.
const MAX_WAITS: u32 = 60;
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Between two looks at whether the gateway is there.
const AGAIN: Duration = Duration::from_millis(200);
const LOOKS: usize = 40;

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    fields: Vec<(HeaderName, String)>,
    body: Vec<u8>,
    /// A failure of it counts as a failed attempt of our address.
    pub attempt: bool,
}

impl Call {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), fields: Vec::new(), body: Vec::new(), attempt: false }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((HeaderName::from_static(name), value.into()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.field("authorization", format!("Bearer {token}"))
    }

    pub fn basic(mut self, name: &str, password: &str) -> Self {
        self.attempt = true;
        let credentials = STANDARD.encode(format!("{name}:{password}"));
        self.field("authorization", format!("Basic {credentials}"))
    }

    pub fn key(mut self, key: &str) -> Self {
        self.attempt = true;
        self.field("x-api-key", key)
    }

    /// Any bytes under any type.
    pub fn typed(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.attempt = true;
        self.body = body.into();
        self.fields.push((CONTENT_TYPE, content_type.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.typed("application/json", body.to_string())
    }

    /// `application/x-www-form-urlencoded`
    pub fn form(self, members: &[(&str, &str)]) -> Self {
        let encoded: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
            .collect();
        self.typed("application/x-www-form-urlencoded", encoded.join("&"))
    }

    pub fn asked(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    fn request(&self, authority: &str) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(HOST, authority)
            .header("user-agent", concat!("portcullis-conform/", env!("CARGO_PKG_VERSION")))
            .header("accept", "*/*");
        for (name, value) in &self.fields {
            request = request.header(name, value);
        }
        request
            .body(Full::new(Bytes::from(self.body.clone())))
            .map_err(|error| Fault::Differs(format!("{}: {error}", self.asked())))
    }
}

/// All but letters, digits and what RFC 3986 leaves alone.
pub fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Where the gateway is, and connections to it that are free.
#[derive(Clone)]
pub struct Client(Arc<Place>);

struct Place {
    host: String,
    port: u16,
    authority: String,
    tls: Option<(Tls, ServerName<'static>)>,
    free: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    /// Held for reading by every request until its response is there.
    in_flight: Arc<RwLock<()>>,
}

/// A connection that does not lie idle.
pub struct Watched {
    /// Until it is closed. Nobody asks while nobody waits for it.
    pub over: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// When the last request was sent that has a response.
    pub answers: watch::Receiver<Instant>,
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Client {
    /// # Errors
    /// When the URL is of no use.
    pub fn new(url: &str, tls: &Tls) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("{url}: expected a URL like https://localhost:8443")),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(format!("{url}: expected a host and a port, without a path"));
        }
        let authority = uri.authority().ok_or_else(|| format!("{url}: expected a host"))?;
        if authority.as_str().contains('@') {
            return Err("a URL is no place for a password".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = if encrypted {
            let name = ServerName::try_from(host.clone()).map_err(|e| format!("{url}: {e}"))?;
            Some((tls.apart(), name))
        } else {
            None
        };
        Ok(Self(Arc::new(Place {
            port: authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            host,
            tls,
            free: Mutex::default(),
            in_flight: Arc::default(),
        })))
    }

    pub fn is_encrypted(&self) -> bool {
        self.0.tls.is_some()
    }

    /// Sends a request; one that the rate limit refuses is sent again when it says so.
    pub async fn send(&self, call: &Call) -> Result<Reply, Fault> {
        for _ in 0..MAX_WAITS {
            let reply = self.send_once(call).await?;
            if limit_of(&reply) != Some(Limit::Requests) {
                return Ok(reply);
            }
            let wait = reply.field("retry-after").and_then(|wait| wait.parse().ok()).unwrap_or(1);
            tokio::time::sleep(Duration::from_secs(wait).min(MAX_WAIT)).await;
        }
        Err(Fault::Differs(format!("{}: refused with 429 again and again", call.asked())))
    }

    /// Sends a request and takes whatever response there is.
    ///
    /// The exchange is a task of its own: an interrupt that drops this future must not
    /// leave it open whether the gateway has done what was asked.
    pub async fn send_once(&self, call: &Call) -> Result<Reply, Fault> {
        let (client, call) = (self.clone(), call.clone());
        let in_flight = Arc::clone(&self.0.in_flight).read_owned().await;
        let exchange = tokio::spawn(async move {
            let _in_flight = in_flight;
            client.exchange(&call).await
        });
        exchange.await.unwrap_or_else(|error| Err(Fault::Differs(error.to_string())))
    }

    /// Waits until every request that was sent has its response or has failed.
    pub async fn settle(&self) {
        drop(self.0.in_flight.write().await);
    }

    async fn exchange(&self, call: &Call) -> Result<Reply, Fault> {
        let broken = |error: &str| Fault::Differs(format!("{}: no answer: {error}", call.asked()));
        let exchange = async {
            let request = call.request(&self.0.authority)?;
            let mut sender = self.connection().await.map_err(|error| broken(&error))?;
            let response = match sender.try_send_request(request).await {
                Ok(response) => response,
                Err(mut error) => {
                    // Closed while it lay idle: not a byte was sent.
                    let Some(request) = error.take_message() else {
                        return Err(broken(&error.into_error().to_string()));
                    };
                    sender = self.connect().await.map_err(|error| broken(&error))?;
                    let sent = sender.send_request(request).await;
                    sent.map_err(|error| broken(&error.to_string()))?
                }
            };
            let reply = read(call.asked(), response).await.map_err(|error| broken(&error))?;
            self.0.free.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
            Ok(reply)
        };
        match tokio::time::timeout(DEADLINE, exchange).await {
            Ok(reply) => reply,
            Err(_) => Err(broken("it took too long")),
        }
    }

    /// Sends the same request so many times at once and takes whatever answers there are.
    pub async fn send_together(&self, call: &Call, count: usize) -> Result<Vec<Reply>, Fault> {
        let mut sent = JoinSet::new();
        for _ in 0..count {
            let (client, call) = (self.clone(), call.clone());
            sent.spawn(async move { client.send_once(&call).await });
        }
        sent.join_all().await.into_iter().collect()
    }

    /// Asks for a WebSocket on a connection of its own.
    pub async fn open(&self, call: &Call) -> Result<Result<Socket, Reply>, Fault> {
        for _ in 0..MAX_WAITS {
            let opened = tokio::time::timeout(DEADLINE, self.open_once(call)).await;
            let opened = opened.map_err(|_| {
                Fault::Differs(format!("{}: no answer to the handshake", call.asked()))
            })??;
            match opened {
                Err(reply) if limit_of(&reply) == Some(Limit::Requests) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                opened => return Ok(opened),
            }
        }
        Err(Fault::Differs(format!("{}: refused with 429 again and again", call.asked())))
    }

    async fn open_once(&self, call: &Call) -> Result<Result<Socket, Reply>, Fault> {
        let broken = |error: String| Fault::Differs(format!("{}: {error}", call.asked()));
        let mut request = call.request(&self.0.authority)?;
        let nonce = STANDARD.encode(crate::random_bytes::<16>());
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", &nonce),
        ] {
            let value = HeaderValue::from_str(value).map_err(|error| broken(error.to_string()))?;
            request.headers_mut().insert(name, value);
        }
        let mut sender = self.connect().await.map_err(broken)?;
        let response =
            sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        if response.status() != 101 {
            return Ok(Err(read(call.asked(), response).await.map_err(broken)?));
        }
        let accept = response.headers().get("sec-websocket-accept").map(HeaderValue::as_bytes);
        if accept != Some(accept_of(&nonce).as_bytes()) {
            return Err(broken("101 without the proof of RFC 6455".to_owned()));
        }
        let upgraded = hyper::upgrade::on(response).await;
        Ok(Ok(Socket::new(upgraded.map_err(|error| broken(error.to_string()))?)))
    }

    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        loop {
            let free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match free {
                None => return self.connect().await,
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        return Ok(sender);
                    }
                }
            }
        }
    }

    /// Opens a connection for the next request, unless one is open.
    ///
    /// # Errors
    /// Why the gateway cannot be reached.
    pub async fn reach(&self) -> Result<(), String> {
        let opened = tokio::time::timeout(DEADLINE, self.connection()).await;
        let sender = opened.map_err(|_| format!("{}: no connection", self.0.authority))??;
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok(())
    }

    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    /// A connection of its own on which this protocol is offered, and what was agreed.
    pub async fn dial(
        &self,
        protocol: &[u8],
    ) -> Result<(Box<dyn Stream>, Option<Vec<u8>>), String> {
        let tcp = TcpStream::connect((self.0.host.as_str(), self.0.port))
            .await
            .map_err(|error| format!("{}: {error}", self.0.authority))?;
        let _ = tcp.set_nodelay(true);
        let Some((tls, name)) = &self.0.tls else {
            return Ok((Box::new(tcp), None));
        };
        let encrypted = TlsConnector::from(tls.offering(protocol)).connect(name.clone(), tcp).await;
        let encrypted =
            encrypted.map_err(|error| format!("{}: {}", self.0.authority, tls.describe(&error)))?;
        let agreed = encrypted.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        Ok((Box::new(encrypted), agreed))
    }

    /// Opens a connection that answers, and asks over it again and again.
    pub async fn watch(&self, call: Call) -> Result<Watched, Fault> {
        let broken = |error: &str| Fault::Differs(format!("{}: no answer: {error}", call.asked()));
        let (mut sender, driver) = self.drive().await.map_err(|error| broken(&error))?;
        let began = Instant::now();
        let first = sender.send_request(call.request(&self.0.authority)?).await;
        let first = first.map_err(|error| broken(&error.to_string()))?;
        read(call.asked(), first).await.map_err(|error| broken(&error))?;
        let (answered, answers) = watch::channel(began);
        let authority = self.0.authority.clone();
        let asking = async move {
            while sender.ready().await.is_ok() {
                tokio::time::sleep(AGAIN).await;
                let Ok(request) = call.request(&authority) else { return };
                let began = Instant::now();
                let Ok(response) = sender.send_request(request).await else { return };
                if read(call.asked(), response).await.is_err() {
                    return;
                }
                answered.send_replace(began);
            }
        };
        let over = async move {
            tokio::select! {
                _ = driver => {}
                () = asking => {}
            }
        };
        Ok(Watched { over: Box::pin(over), answers })
    }

    /// Whether nobody takes connections at some moment from now on.
    pub async fn is_away(&self) -> bool {
        for _ in 0..LOOKS {
            if self.connect().await.is_err() {
                return true;
            }
            tokio::time::sleep(AGAIN / 4).await;
        }
        false
    }

    /// Lets a work that is under way count as a request that has no response yet.
    pub async fn hold(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.0.in_flight).read_owned().await
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        Ok(self.drive().await?.0)
    }

    /// A connection, and the task that ends with it.
    async fn drive(
        &self,
    ) -> Result<(SendRequest<Full<Bytes>>, JoinHandle<Result<(), hyper::Error>>), String> {
        let (stream, _) = self.dial(b"http/1.1").await?;
        let (sender, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        Ok((sender, tokio::spawn(driver.with_upgrades())))
    }
}

async fn read(asked: String, response: http::Response<Incoming>) -> Result<Reply, String> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok(Reply { asked, status: head.status.as_u16(), headers: head.headers, body })
}

/// Which limit a refusal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Requests,
    Attempts,
}

/// The limit that refused the request, if one did.
pub fn limit_of(reply: &Reply) -> Option<Limit> {
    /// RESOURCE_EXHAUSTED: gRPC has no 429.
    const EXHAUSTED: Option<&str> = Some("8");
    if reply.status != 429 && reply.field("grpc-status") != EXHAUSTED {
        return None;
    }
    let policy = reply.field("ratelimit-policy").unwrap_or_default();
    Some(if policy.starts_with("\"attempts\"") { Limit::Attempts } else { Limit::Requests })
}
