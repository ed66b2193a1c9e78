use std::time::Duration;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::auth::source::Source;
use crate::config::{
    self, FieldNames, HttpTarget, Target, UpstreamHost, UpstreamProtocol, UpstreamTls,
};
use crate::slots::Holder;
use crate::upstream::Upstream;
use crate::upstream::error::{Cause, Failure};
use crate::upstream::message::Head;

const SOMEBODY: Holder = Holder::Address(Source::V4(1));

/// An upstream of one endpoint, which the listener is.
async fn upstream() -> (Upstream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let target = HttpTarget {
        authority: Authority::try_from(address.as_str()).expect("an authority"),
        tls: UpstreamTls::Off,
        protocol: UpstreamProtocol::Http1,
    };
    let config = config::Upstream {
        name: "app".to_owned(),
        target: Target::Http(target.clone()),
        host: UpstreamHost::Pass,
        field_names: FieldNames::Strict,
        connect_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        max_connections: 4,
        max_connections_per_account: None,
    };
    (Upstream::new(&config, target, None), listener)
}

fn load(upstream: &Upstream) -> usize {
    upstream.endpoints.pick().expect("an endpoint").load.load(Ordering::Relaxed)
}

fn head(method: Method, fields: &[(header::HeaderName, &'static str)]) -> Head {
    let fields: HeaderMap = fields
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect();
    let host = HeaderValue::from_static("app.example");
    Head { method, target: PathAndQuery::from_static("/"), host, fields, interim: None }
}

/// The next connection, once the head of a request has come over it.
async fn asked(listener: &TcpListener) -> TcpStream {
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(connection.read_u8().await.expect("a head"));
    }
    connection
}

#[tokio::test]
async fn a_request_is_a_load_until_its_response_has_been_read() {
    let (upstream, listener) = upstream().await;
    let answering = async {
        let mut connection = asked(&listener).await;
        assert_eq!(load(&upstream), 1);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        connection
    };
    let sending = upstream.send(SOMEBODY, head(Method::GET, &[]), None);
    let (sent, _connection) = tokio::join!(sending, answering);
    let (response, holding) = sent.expect("a response");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    assert_eq!(load(&upstream), 1);
    holding.give_back();
    assert_eq!(load(&upstream), 0);
}

#[tokio::test]
async fn a_request_that_failed_is_no_load() {
    let (upstream, listener) = upstream().await;
    let closing = async { drop(asked(&listener).await) };
    let sending = upstream.send(SOMEBODY, head(Method::POST, &[]), None);
    let (sent, ()) = tokio::join!(sending, closing);
    let failed = |sent: Result<_, Failure>| sent.err().map(|failure| failure.cause);
    assert_eq!(failed(sent), Some(Cause::Closed));
    assert_eq!(load(&upstream), 0);
    // Nobody listens there any more.
    drop(listener);
    let sent = upstream.send(SOMEBODY, head(Method::GET, &[]), None).await;
    assert_eq!(failed(sent), Some(Cause::Connect));
    assert_eq!(load(&upstream), 0);
}

/// Whether its client has left before or behind the head of the response.
#[tokio::test]
async fn a_request_that_was_given_up_is_no_load() {
    let (upstream, listener) = upstream().await;
    let mut sending = Box::pin(upstream.send(SOMEBODY, head(Method::GET, &[]), None));
    let connection = tokio::select! {
        _ = &mut sending => panic!("nothing was answered"),
        connection = asked(&listener) => connection,
    };
    assert_eq!(load(&upstream), 1);
    drop(sending);
    assert_eq!(load(&upstream), 0);
    drop(connection);
    let answering = async {
        let mut connection = asked(&listener).await;
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await.unwrap();
        connection
    };
    let sending = upstream.send(SOMEBODY, head(Method::GET, &[]), None);
    let (sent, _connection) = tokio::join!(sending, answering);
    assert_eq!(load(&upstream), 1);
    drop(sent.expect("a response"));
    assert_eq!(load(&upstream), 0);
}

#[tokio::test]
async fn a_tunnel_is_a_load_until_it_ends() {
    let (upstream, listener) = upstream().await;
    let answering = async {
        let mut connection = asked(&listener).await;
        let head = b"HTTP/1.1 101 Switching Protocols\r\n";
        let fields = b"connection: upgrade\r\nupgrade: raw\r\n\r\n";
        connection.write_all(&[&head[..], fields].concat()).await.unwrap();
        connection
    };
    let fields = [(header::UPGRADE, "raw"), (header::CONNECTION, "upgrade")];
    let sending = upstream.send(SOMEBODY, head(Method::GET, &fields), None);
    let (sent, _connection) = tokio::join!(sending, answering);
    let (response, holding) = sent.expect("a response");
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let (_, switched, share) = holding.into_switched(response);
    let tunnel = switched.open().await.expect("a tunnel");
    drop(share);
    assert_eq!(load(&upstream), 1);
    drop(tunnel);
    assert_eq!(load(&upstream), 0);
}
