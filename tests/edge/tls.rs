//! TLS and what is agreed in its handshake: version, protocol, name.

use http::Request;
use http::header::HOST;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedProtocolVersion};
use tokio::io::AsyncReadExt as _;

use crate::support::client::{Body, Client, Protocol, body};
use crate::support::gateway::Gateway;
use crate::support::socket::{Dial, ask, send};
use crate::support::within;

use super::PUBLIC_ECHO;

fn get(path: &str) -> Request<Body> {
    Request::get(path).header(HOST, "localhost").body(body("")).expect("a request")
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    let versions: [(&[&'static SupportedProtocolVersion], _); 3] = [
        (&[&TLS12], ProtocolVersion::TLSv1_2),
        (&[&TLS13], ProtocolVersion::TLSv1_3),
        (&[&TLS12, &TLS13], ProtocolVersion::TLSv1_3),
    ];
    for (offered, agreed) in versions {
        let stream = Dial::new(&gateway).versions(offered).tls().await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(agreed));
        ask(stream, get("/")).await.expect(200);
    }
}

/// A ClientHello of an old shape: this version and this one suite.
fn client_hello(version: [u8; 2], suite: [u8; 2]) -> Vec<u8> {
    let extensions: [&[u8]; 3] = [
        // Groups: P-256 and X25519.
        &[0, 10, 0, 6, 0, 4, 0, 23, 0, 29],
        // Point formats: uncompressed.
        &[0, 11, 0, 2, 1, 0],
        // Signatures: ECDSA with P-256 and SHA-256, RSA-PSS with SHA-256.
        &[0, 13, 0, 6, 0, 4, 4, 3, 8, 4],
    ];
    let extensions = extensions.concat();
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("a short hello").to_be_bytes();
    let random_and_no_session = [7; 32].into_iter().chain([0]).collect::<Vec<u8>>();
    let choice = [&[0, 2][..], &suite, &[1, 0]].concat();
    let body = [&version[..], &random_and_no_session, &choice, &length(&extensions), &extensions];
    let body = body.concat();
    let message = [&[1, 0][..], &length(&body), &body].concat();
    [&[0x16, 3, 1][..], &length(&message), &message].concat()
}

#[tokio::test]
async fn old_versions_and_weak_suites_get_an_alert() {
    const HANDSHAKE: u8 = 0x16;
    const ALERT: u8 = 0x15;
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    for (what, version, suite, answer) in [
        ("TLS 1.2, ECDHE and GCM", [3, 3], [0xc0, 0x2b], HANDSHAKE),
        ("SSL 3.0", [3, 0], [0xc0, 0x2b], ALERT),
        ("TLS 1.0", [3, 1], [0xc0, 0x09], ALERT),
        ("TLS 1.1", [3, 2], [0xc0, 0x09], ALERT),
        ("ECDHE and CBC", [3, 3], [0xc0, 0x09], ALERT),
        ("RSA key exchange", [3, 3], [0x00, 0x9c], ALERT),
        ("RC4", [3, 3], [0xc0, 0x07], ALERT),
        ("no encryption", [3, 3], [0xc0, 0x06], ALERT),
    ] {
        let mut stream = Dial::new(&gateway).tcp().await;
        send(&mut stream, &client_hello(version, suite)).await;
        let first = within("an answer to the hello", stream.read_u8()).await;
        assert_eq!(first.expect("a record"), answer, "{what}");
    }
}

#[tokio::test]
async fn http2_is_preferred_and_http1_is_what_is_left() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    let choices: [(&[&str], Option<&[u8]>); 7] = [
        (&["h2", "http/1.1"], Some(b"h2")),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&["http/1.0", "http/1.1"], Some(b"http/1.1")),
        (&["http/1.0"], Some(b"http/1.0")),
        (&[], None),
    ];
    for (offered, agreed) in choices {
        let stream = Dial::new(&gateway).protocols(offered).tls().await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed, "{offered:?}");
    }
    for offered in [&[][..], &["http/1.0"]] {
        ask(Dial::new(&gateway).protocols(offered).tls().await, get("/")).await.expect(200);
    }
}

#[tokio::test]
async fn a_client_that_knows_neither_protocol_is_turned_away() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    let dial = Dial::new(&gateway).protocols(&["h3", "spdy/3"]);
    assert!(dial.try_tls(dial.tcp().await).await.is_err());
}

#[tokio::test]
async fn upstreams_learn_the_protocol_and_scheme_of_the_client() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let told = Client::anonymous(&gateway).protocol(protocol).get("/").await.expect(200).json();
        assert_eq!(told["headers"]["x-forwarded-proto"][0], "https");
    }
}

#[tokio::test]
async fn a_plain_listener_speaks_http_and_says_so() {
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\n";
    let gateway = Gateway::start(&format!("{listener}{PUBLIC_ECHO}")).await;
    let told = ask(Dial::new(&gateway).tcp().await, get("/")).await.expect(200).json();
    assert_eq!(told["headers"]["x-forwarded-proto"][0], "http");
    let forwarded = told["headers"]["forwarded"][0].as_str().expect("a forwarded field");
    assert!(forwarded.contains("proto=http") && !forwarded.contains("proto=https"), "{forwarded}");
}

#[tokio::test]
async fn a_host_other_than_the_tls_name_is_misdirected_where_that_is_asked_for() {
    let lenient = Gateway::start(PUBLIC_ECHO).await;
    let strict = Gateway::start(&format!("{PUBLIC_ECHO}[tls]\nsni_must_match_host = true\n")).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let other = |gateway| Client::anonymous(gateway).protocol(protocol).host("other.example");
        other(&lenient).get("/").await.expect(200);
        other(&strict).get("/").await.refused(421, "MISDIRECTED_REQUEST");
        for same in ["localhost", "LOCALHOST", "localhost:8443"] {
            other(&strict).host(same).get("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn connections_end_with_a_tls_alert_and_not_with_a_cut() {
    let gateway = Gateway::start(&format!("{PUBLIC_ECHO}[timeouts]\nidle = \"1s\"\n")).await;
    let endings: [(&str, &[u8]); 4] = [
        ("200", b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        ("200", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("400", b"GET / HTTP/1.1\r\n\r\n"),
        ("400", b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"),
    ];
    for (status, request) in endings {
        let mut stream = Dial::new(&gateway).tls().await;
        send(&mut stream, request).await;
        let mut answer = String::new();
        // rustls reports an end without close_notify as an error.
        within("the connection to end", stream.read_to_string(&mut answer))
            .await
            .unwrap_or_else(|error| panic!("behind {status}: {error}"));
        assert_eq!(answer.get(9..12), Some(status), "{answer}");
    }
}
