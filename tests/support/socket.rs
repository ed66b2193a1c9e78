//! Connections opened by hand: over TCP or TLS, with a chosen version, server name
//! and protocol, and with bytes in front of the handshake.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{Answer, Body, Protocol, body};
use super::gateway::Gateway;
use super::within;

/// How to connect.
pub struct Dial {
    address: SocketAddr,
    source: Ipv4Addr,
    receive_buffer: Option<u32>,
    roots: Arc<RootCertStore>,
    name: ServerName<'static>,
    protocols: Vec<Vec<u8>>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl Dial {
    pub fn new(gateway: &Gateway) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(gateway.certificate()).expect("the gateway's certificate can be trusted");
        Self {
            address: gateway.address(),
            source: Ipv4Addr::UNSPECIFIED,
            receive_buffer: None,
            roots: Arc::new(roots),
            name: ServerName::try_from("localhost").expect("a server name"),
            protocols: Vec::new(),
            versions: rustls::DEFAULT_VERSIONS.to_vec(),
        }
    }

    /// The address to come from: any of 127.0.0.0/8.
    pub fn source(mut self, address: Ipv4Addr) -> Self {
        self.source = address;
        self
    }

    /// How many bytes the kernel takes that nobody has read.
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Offered by ALPN, best first; none at all unless this is called.
    pub fn protocols(mut self, protocols: &[&str]) -> Self {
        self.protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    pub async fn tcp(&self) -> TcpStream {
        let connecting = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.source, 0).into())?;
            socket.set_nodelay(true)?;
            if let Some(bytes) = self.receive_buffer {
                socket.set_recv_buffer_size(bytes)?;
            }
            socket.connect(self.address).await
        };
        within("a TCP connection", connecting).await.expect("the gateway listens")
    }

    pub async fn tls(&self) -> TlsStream<TcpStream> {
        self.try_tls(self.tcp().await).await.expect("the handshake succeeds")
    }

    /// TLS over a connection on which something else may have been said before.
    pub async fn try_tls<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = ClientConfig::builder_with_protocol_versions(&self.versions)
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&self.protocols);
        let connector = TlsConnector::from(Arc::new(config));
        within("a TLS handshake", connector.connect(self.name.clone(), stream)).await
    }
}

/// Sends one HTTP/1.1 request over a connection and reads its answer.
pub async fn ask<S>(stream: S, request: Request<Body>) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asking = async {
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        read_answer(sender.send_request(request).await?).await
    };
    within("an answer", asking).await.expect("an answer arrives whole")
}

/// A GET by anybody; an error when the answer breaks off, in its head or in its body.
pub async fn try_get(gateway: &Gateway, protocol: Protocol, path: &str) -> hyper::Result<Answer> {
    let alpn = if protocol == Protocol::Http2 { "h2" } else { "http/1.1" };
    let io = TokioIo::new(Dial::new(gateway).protocols(&[alpn]).tls().await);
    let request = Request::get(format!("https://localhost{path}")).body(body(""));
    let mut request = request.expect("a request");
    let asking = async {
        let response = match protocol {
            Protocol::Http1 => {
                request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
                let (mut sender, driver) = http1::handshake(io).await?;
                tokio::spawn(driver);
                sender.send_request(request).await?
            }
            Protocol::Http2 => {
                let (mut sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(driver);
                sender.send_request(request).await?
            }
        };
        read_answer(response).await
    };
    within("an answer, or its end", asking).await
}

async fn read_answer(response: Response<Incoming>) -> hyper::Result<Answer> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned();
    Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes(), trailers })
}

/// Writes everything, unless the peer closes before it has taken it all.
pub async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) {
    let sending = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    // What the peer made of it shows in what can be read.
    let _ = within("bytes to be taken", sending).await;
}

/// Reads up to and including `end`; none when the peer closes before it.
pub async fn read_until<S: AsyncRead + Unpin>(stream: &mut S, end: &str) -> Option<String> {
    let mut read = Vec::new();
    let reading = async {
        while !read.ends_with(end.as_bytes()) {
            read.push(stream.read_u8().await.ok()?);
        }
        Some(())
    };
    within("bytes from the peer", reading).await?;
    Some(String::from_utf8_lossy(&read).into_owned())
}

/// Everything until the peer closes. A reset is a close too.
pub async fn read_to_end<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut read = Vec::new();
    let reading = async { while stream.read_buf(&mut read).await.is_ok_and(|count| count > 0) {} };
    within("the peer to close", reading).await;
    read
}
