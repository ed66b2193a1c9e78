//! Callers: one type for all kinds of credentials, over HTTP/1.1 or HTTP/2.
//!
//! Each comes from an address of its own, so that the limits of one test's
//! callers do not meet.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::balancer::Balancer;
use super::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use super::within;

pub type Body = BoxBody<Bytes, std::io::Error>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

#[derive(Clone)]
pub struct Client {
    endpoint: Endpoint,
    protocol: Protocol,
    host: String,
    fields: HeaderMap,
}

#[derive(Clone)]
struct Endpoint {
    address: std::net::SocketAddr,
    roots: Arc<RootCertStore>,
}

impl Client {
    pub fn anonymous(gateway: &Gateway) -> Self {
        let client = Self {
            endpoint: Endpoint::of(gateway),
            protocol: Protocol::Http1,
            host: "localhost".to_owned(),
            fields: HeaderMap::new(),
        };
        client.from_address(&fresh_address().to_string())
    }

    pub fn basic(gateway: &Gateway, name: &str, password: &str) -> Self {
        Self::anonymous(gateway).with(AUTHORIZATION.as_str(), &basic(name, password))
    }

    pub fn bearer(gateway: &Gateway, token: &str) -> Self {
        Self::anonymous(gateway).with(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    pub fn api_key(gateway: &Gateway, key: &str) -> Self {
        Self::anonymous(gateway).with("x-api-key", key)
    }

    /// With the first account's password.
    pub fn admin(gateway: &Gateway) -> Self {
        Self::basic(gateway, ADMIN, ADMIN_PASSWORD)
    }

    /// As if a trusted proxy had taken the connection from this address.
    #[expect(clippy::wrong_self_convention, reason = "where the caller comes from")]
    pub fn from_address(mut self, address: &str) -> Self {
        let address = HeaderValue::from_str(address).expect("an address is a field value");
        self.fields.insert("x-forwarded-for", address);
        self
    }

    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    pub fn h2(self) -> Self {
        self.protocol(Protocol::Http2)
    }

    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// One more field line with every request.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a field name");
        self.fields.append(name, value.parse().expect("a field value"));
        self
    }

    /// Through a balancer that leads to any of these gateways.
    pub fn through(balancer: &Balancer, gateways: &[Gateway]) -> Self {
        let mut client = Self::anonymous(&gateways[0]);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(gateways.iter().map(Gateway::certificate));
        client.endpoint = Endpoint { address: balancer.address(), roots: Arc::new(roots) };
        client
    }

    /// Through something at this address that has the gateway's certificate.
    pub fn by_way_of(mut self, address: std::net::SocketAddr) -> Self {
        self.endpoint.address = address;
        self
    }

    /// The same caller at a gateway that has moved, as after a restart.
    pub fn at(mut self, gateway: &Gateway) -> Self {
        self.endpoint = Endpoint::of(gateway);
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        self.request(request(Method::POST, path)).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.request(json_request(path, body)).await
    }

    pub async fn login(&self, name: &str, password: &str) -> Answer {
        let body = serde_json::json!({ "username": name, "password": password });
        self.post_json("/api/auth/login", &body).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        let body = serde_json::json!({ "refresh_token": token });
        self.post_json("/api/auth/refresh", &body).await
    }

    /// Sends one request over a connection of its own.
    pub async fn request(&self, request: Request<Body>) -> Answer {
        self.connect().await.send(request).await
    }

    /// A connection for several requests.
    pub async fn connect(&self) -> Connection {
        self.try_connect().await.expect("a connection")
    }

    /// A connection to a gateway that may be gone.
    pub async fn try_connect(&self) -> io::Result<Connection> {
        let alpn = match self.protocol {
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
        };
        let io = TokioIo::new(self.endpoint.try_connect(alpn).await?);
        let sender = match self.protocol {
            Protocol::Http1 => {
                let (sender, driver) = http1::handshake(io).await.map_err(io::Error::other)?;
                tokio::spawn(driver.with_upgrades());
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let handshake = http2::handshake(TokioExecutor::new(), io);
                let (sender, driver) = handshake.await.map_err(io::Error::other)?;
                tokio::spawn(driver);
                Sender::Http2(sender)
            }
        };
        Ok(Connection { sender, host: self.host.clone(), fields: self.fields.clone() })
    }
}

impl Endpoint {
    fn of(gateway: &Gateway) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(gateway.certificate()).expect("a certificate can be trusted");
        Self { address: gateway.address(), roots: Arc::new(roots) }
    }

    async fn connect(&self, alpn: &str) -> TlsStream<TcpStream> {
        self.try_connect(alpn).await.expect("TLS is spoken")
    }

    async fn try_connect(&self, alpn: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut config = ClientConfig::builder()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = ServerName::try_from("localhost").expect("a server name");
        let connecting = async {
            let tcp = TcpStream::connect(self.address).await?;
            TlsConnector::from(Arc::new(config)).connect(name, tcp).await
        };
        let stream: TlsStream<_> = within("a TLS connection", connecting).await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        assert_eq!(agreed, Some(alpn.as_bytes()), "the protocol that was offered");
        Ok(stream)
    }
}

/// A bare TLS connection for HTTP/1.1.
pub async fn connect_tls(gateway: &Gateway) -> TlsStream<TcpStream> {
    Endpoint::of(gateway).connect("http/1.1").await
}

/// A connection that stays open from one request to the next.
pub struct Connection {
    sender: Sender,
    host: String,
    fields: HeaderMap,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(request(Method::GET, path)).await
    }

    /// Sends a request and reads its whole answer.
    pub async fn send(&mut self, request: Request<Body>) -> Answer {
        let response = self.begin(request).await;
        within("the rest of an answer", Answer::read(response)).await
    }

    /// Sends a request to a gateway that may go at any moment: an answer is whole or none.
    pub async fn try_send(&mut self, request: Request<Body>) -> hyper::Result<Answer> {
        let response = self.try_begin(request).await?;
        within("the rest of an answer", Answer::try_read(response)).await
    }

    /// Sends a request and answers as soon as the head of its answer is there.
    pub async fn begin(&mut self, request: Request<Body>) -> Response<Incoming> {
        self.try_begin(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    async fn try_begin(&mut self, mut request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        request.headers_mut().extend(self.fields.clone());
        match &mut self.sender {
            Sender::Http1(sender) => {
                let host = HeaderValue::from_str(&self.host).expect("a host is a field value");
                request.headers_mut().entry(HOST).or_insert(host);
                within("an answer", async {
                    sender.ready().await?;
                    sender.send_request(request).await
                })
                .await
            }
            Sender::Http2(sender) => {
                *request.uri_mut() = absolute(request.uri(), &self.host);
                within("an answer", async {
                    sender.ready().await?;
                    sender.send_request(request).await
                })
                .await
            }
        }
    }
}

fn absolute(uri: &Uri, host: &str) -> Uri {
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    Uri::builder().scheme("https").authority(host).path_and_query(path).build().expect("a URI")
}

pub const BEARER_CHALLENGE: &str = r#"Bearer realm="portcullis""#;
pub const BASIC_CHALLENGE: &str = r#"Basic realm="portcullis", charset="UTF-8""#;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub async fn read(response: Response<Incoming>) -> Self {
        Self::try_read(response).await.expect("the body arrives whole")
    }

    async fn try_read(response: Response<Incoming>) -> hyper::Result<Self> {
        let (head, body) = response.into_parts();
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned();
        let body = collected.to_bytes();
        Ok(Self { status: head.status, headers: head.headers, body, trailers })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON: {error}: {self:?}"))
    }

    /// A field's only line.
    #[track_caller]
    pub fn field(&self, name: &str) -> &str {
        let lines = self.fields(name);
        assert_eq!(lines.len(), 1, "one {name} line in {self:?}");
        lines[0]
    }

    /// All lines of a field.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().expect("a field of visible ASCII"))
            .collect()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Status and code of a refusal, whose shape is checked.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let text = |member: &str| {
            let text = body[member].as_str().filter(|text| !text.is_empty());
            text.unwrap_or_else(|| panic!("{member} is missing: {self:?}")).to_owned()
        };
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(3), "three members: {self:?}");
        assert_eq!(text("status"), "error", "{self:?}");
        assert!(!text("error").contains('\n'), "one line for people: {self:?}");
        assert!(!self.field("x-request-id").is_empty(), "{self:?}");
        assert!(self.trailers.is_none(), "{self:?}");
        (self.status.as_u16(), text("code"))
    }

    /// The refusal says that the bearer token was not good, not that one is missing.
    #[track_caller]
    pub fn assert_token_challenge(&self) {
        let lines = self.fields("www-authenticate");
        let [basic, bearer] = lines[..] else { panic!("two challenges: {self:?}") };
        let refused = r#"Bearer realm="portcullis", error="invalid_token""#;
        assert!(bearer.starts_with(refused), "{self:?}");
        assert_eq!(basic, BASIC_CHALLENGE, "{self:?}");
    }

    /// The refusal asks for these, in this order.
    #[track_caller]
    pub fn assert_challenges(&self, expected: &[&str]) {
        assert_eq!(self.fields("www-authenticate"), expected, "{self:?}");
    }

    /// The refusal asks for either credential.
    #[track_caller]
    pub fn assert_challenge(&self) {
        self.assert_challenges(&[BASIC_CHALLENGE, BEARER_CHALLENGE]);
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.refusal(), (status, code.to_owned()), "{self:?}");
        self
    }

    /// The tokens of a successful login or refresh.
    #[track_caller]
    pub fn pair(self) -> Pair {
        let body = self.expect(200).json();
        let text = |member: &str| body[member].as_str().expect("a token is text").to_owned();
        Pair { access: text("access_token"), refresh: text("refresh_token") }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
}

/// Signs in from an address of its own.
pub async fn sign_in(gateway: &Gateway, name: &str, password: &str) -> Pair {
    Client::anonymous(gateway).login(name, password).await.pair()
}

pub async fn sign_in_admin(gateway: &Gateway) -> Pair {
    sign_in(gateway, ADMIN, ADMIN_PASSWORD).await
}

/// The value of an `Authorization` field.
pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

pub fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(body("")).expect("a request")
}

pub fn json_request(path: &str, json: &Value) -> Request<Body> {
    typed_request(path, "application/json", json.to_string())
}

/// A POST of any bytes under any content type.
pub fn typed_request(path: &str, content_type: &str, bytes: impl Into<Bytes>) -> Request<Body> {
    let request = Request::post(path).header(CONTENT_TYPE, content_type);
    request.body(body(bytes)).expect("a request")
}

pub fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// Never the same twice in a run.
fn fresh_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, high, middle, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(10, high, middle, low)
}
