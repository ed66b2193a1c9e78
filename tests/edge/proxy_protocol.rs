//! PROXY protocol, versions 1 and 2: who the client is comes in front of the
//! handshake, from those who are allowed to say it.

use http::Request;
use http::header::HOST;

use crate::support::client::body;
use crate::support::gateway::Gateway;
use crate::support::socket::{Dial, ask, read_to_end, send};

use super::PUBLIC_ECHO;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n";

async fn gateway(more: &str) -> Gateway {
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n";
    Gateway::start(&format!("{listener}{PUBLIC_ECHO}{more}")).await
}

/// Version 2: a command, a family, and the addresses.
fn v2(command: u8, family: u8, addresses: &[&[u8]]) -> Vec<u8> {
    let addresses = addresses.concat();
    let length = u16::try_from(addresses.len()).expect("a short header").to_be_bytes();
    [SIGNATURE, &[0x20 | command, family], &length, &addresses].concat()
}

/// Ports 4711 and 443.
const PORTS: &[u8] = &[0x12, 0x67, 0x01, 0xbb];

fn v2_ipv4() -> Vec<u8> {
    v2(1, 0x11, &[&[203, 0, 113, 7], &[192, 0, 2, 1], PORTS])
}

/// The client as an upstream is told, after this header.
async fn client_after(gateway: &Gateway, header: &[u8]) -> String {
    let dial = Dial::new(gateway);
    let mut tcp = dial.tcp().await;
    send(&mut tcp, header).await;
    let stream = dial.try_tls(tcp).await.expect("the header is accepted");
    // What the client says itself is not believed: it is no trusted proxy.
    let request = Request::get("/").header(HOST, "localhost").header("x-forwarded-for", "1.2.3.4");
    let told = ask(stream, request.body(body("")).expect("a request")).await.expect(200).json();
    told["headers"]["x-forwarded-for"][0].as_str().expect("an address").to_owned()
}

async fn is_refused(gateway: &Gateway, header: &[u8]) -> bool {
    let dial = Dial::new(gateway);
    let mut tcp = dial.tcp().await;
    send(&mut tcp, header).await;
    dial.try_tls(tcp).await.is_err()
}

#[tokio::test]
async fn the_address_of_a_version_1_header_is_the_client_s() {
    let gateway = gateway("").await;
    assert_eq!(client_after(&gateway, V1).await, "203.0.113.7");
    let ipv6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n";
    assert_eq!(client_after(&gateway, ipv6).await, "2001:db8::7");
}

#[tokio::test]
async fn the_address_of_a_version_2_header_is_the_client_s() {
    let gateway = gateway("").await;
    assert_eq!(client_after(&gateway, &v2_ipv4()).await, "203.0.113.7");
    let client: [u8; 16] = "2001:db8::7".parse::<std::net::Ipv6Addr>().expect("IPv6").octets();
    let ipv6 = v2(1, 0x21, &[&client, &[0; 16], PORTS]);
    assert_eq!(client_after(&gateway, &ipv6).await, "2001:db8::7");
    // Further fields (here a name of authority) are skipped.
    let further = v2(1, 0x11, &[&[203, 0, 113, 7], &[192, 0, 2, 1], PORTS, b"\x02\0\x01a"]);
    assert_eq!(client_after(&gateway, &further).await, "203.0.113.7");
}

#[tokio::test]
async fn a_balancer_that_speaks_for_itself_is_the_client() {
    let gateway = gateway("").await;
    for header in [&v2(0, 0x00, &[])[..], b"PROXY UNKNOWN\r\n"] {
        let dial = Dial::new(&gateway);
        let mut tcp = dial.tcp().await;
        send(&mut tcp, header).await;
        let stream = dial.try_tls(tcp).await.expect("the header is accepted");
        let request = Request::get("/").header(HOST, "localhost").body(body(""));
        let told = ask(stream, request.expect("a request")).await.expect(200).json();
        assert_eq!(told["headers"]["x-forwarded-for"][0], "127.0.0.1");
    }
}

#[tokio::test]
async fn a_connection_without_a_header_is_closed() {
    let gateway = gateway("").await;
    assert!(!is_refused(&gateway, V1).await);
    assert!(is_refused(&gateway, b"").await);
}

#[tokio::test]
async fn a_malformed_header_closes_the_connection() {
    let gateway = gateway("").await;
    assert!(!is_refused(&gateway, V1).await);
    assert!(!is_refused(&gateway, &v2_ipv4()).await);
    let mut wrong_version = v2_ipv4();
    wrong_version[12] = 0x31;
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat();
    let cases: [(&str, &[u8]); 16] = [
        ("no address", b"PROXY TCP4\r\n"),
        ("an address out of range", b"PROXY TCP4 203.0.113.777 192.0.2.1 4711 443\r\n"),
        ("an address of another family", b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n"),
        ("a port out of range", b"PROXY TCP4 203.0.113.7 192.0.2.1 47111 443443\r\n"),
        ("a port with a sign", b"PROXY TCP4 203.0.113.7 192.0.2.1 +4711 443\r\n"),
        ("a port with a zero before it", b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 0443\r\n"),
        ("one space too many", b"PROXY TCP4 203.0.113.7  192.0.2.1 4711 443\r\n"),
        ("no space", b"PROXY_TCP4 203.0.113.7 192.0.2.1 4711 443\r\n"),
        ("an unknown family", b"PROXY UNKNOWNS\r\n"),
        ("a line of 108 bytes", &endless),
        ("a bare line feed", b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\n"),
        ("no PROXY", b"proxy TCP4 203.0.113.7 192.0.2.1 4711 443\r\n"),
        ("a request", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("an unknown version", &wrong_version),
        ("datagrams", &v2(1, 0x12, &[&[203, 0, 113, 7], &[192, 0, 2, 1], PORTS])),
        ("addresses cut short", &v2(1, 0x11, &[&[203, 0, 113, 7]])),
    ];
    for (name, header) in cases {
        assert!(is_refused(&gateway, header).await, "{name}");
    }
}

#[tokio::test]
async fn a_header_without_an_end_closes_the_connection() {
    let gateway = gateway("[timeouts]\ntls_handshake = \"1s\"\n").await;
    assert!(!is_refused(&gateway, V1).await);
    for header in [&V1[..20], &SIGNATURE[..5], &v2_ipv4()[..20], &b"PROXY ".repeat(100)] {
        let mut tcp = Dial::new(&gateway).tcp().await;
        send(&mut tcp, header).await;
        read_to_end(&mut tcp).await;
    }
}

#[tokio::test]
async fn a_header_from_a_stranger_closes_the_connection() {
    let trusting = gateway("").await;
    assert!(!is_refused(&trusting, V1).await);
    let gateway = gateway("[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\n").await;
    for header in [V1, &v2_ipv4(), b""] {
        assert!(is_refused(&gateway, header).await);
    }
}

#[tokio::test]
async fn without_the_option_a_header_is_no_part_of_a_connection() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    assert!(!is_refused(&gateway, b"").await);
    assert!(is_refused(&gateway, V1).await);
    assert!(is_refused(&gateway, &v2_ipv4()).await);
}
