//! Requests of HTTP/1.0, which has no Host field: balancers and old monitors send them.

use http::StatusCode;

use crate::support::backends::Backend;
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::socket::{Dial, read_to_end, send};
use crate::support::upstream::{Upstream, ok};

use super::PUBLIC_ECHO;

/// The status of what is asked so, without any field.
async fn status(gateway: &Gateway, line: &str) -> StatusCode {
    let mut stream = raw(gateway).await;
    stream.send(format!("{line}\r\n\r\n")).await;
    stream.read_response().await.status
}

#[tokio::test]
async fn who_names_no_host_comes_to_our_endpoints_and_to_routes_for_every_host() {
    let upstream = Upstream::http1(ok).await;
    let routes = "[[route]]\npath = \"/any\"\npublic = true\nupstream = \"app\"\n\
                  [[route]]\nhost = \"app.example\"\npath = \"/named\"\npublic = true\nupstream = \"app\"\n\
                  [[route]]\nhost = \"*.example\"\npath = \"/label\"\npublic = true\nupstream = \"app\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + routes)).await;
    for (line, expected) in [
        ("GET /health HTTP/1.0", 200),
        ("OPTIONS /health HTTP/1.0", 200),
        ("GET /any HTTP/1.0", 200),
        ("GET http://app.example/named HTTP/1.0", 200),
        ("GET /named HTTP/1.0", 404),
        ("GET /label HTTP/1.0", 404),
        ("GET /health HTTP/1.1", 400),
        ("GET /any HTTP/1.1", 400),
        ("GET http://app.example/named HTTP/1.1", 400),
    ] {
        assert_eq!(status(&gateway, line).await, expected, "{line}");
    }
    // The upstream speaks HTTP/1.1, which wants a host: its own, and nobody said another.
    let received = upstream.next_request().await;
    assert_eq!(received.target(), "/any");
    let own = upstream.url().replace("http://", "");
    assert_eq!(received.field("host"), Some(&*own));
    assert_eq!(received.field("x-forwarded-host"), None);
    assert_eq!(received.field("forwarded"), Some("for=127.0.0.1;proto=https"));
    let received = upstream.next_request().await;
    assert_eq!((received.target(), received.field("host")), ("/named", Some("app.example")));
    assert_eq!(upstream.requests().len(), 2);
}

/// Nor does it stand for the name of the handshake.
#[tokio::test]
async fn who_names_no_host_contradicts_no_tls_name_and_gets_no_route_of_it() {
    let routes =
        "[[route]]\nhost = \"localhost\"\npath = \"/named\"\npublic = true\nupstream = \"echo\"\n";
    let config = format!("[tls]\nsni_must_match_host = true\n{PUBLIC_ECHO}{routes}");
    let gateway = Gateway::start(&config).await;
    let asked = async |request: &str| {
        let mut stream = Dial::new(&gateway).tls().await;
        send(&mut stream, request.as_bytes()).await;
        String::from_utf8(read_to_end(&mut stream).await).expect("text")
    };
    let named = asked("GET /named HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    assert!(named.contains(" 200 ") && named.contains("\"localhost\""), "{named}");
    let unnamed = asked("GET /named HTTP/1.0\r\n\r\n").await;
    assert!(unnamed.contains(" 200 ") && !unnamed.contains("\"localhost\""), "{unnamed}");
    let other = asked("GET /named HTTP/1.0\r\nHost: other.example\r\n\r\n").await;
    assert!(other.contains(" 421 "), "{other}");
}

/// Was: `option httpchk` as most have it sends HTTP/1.0 without Host, and HAProxy took the
/// gateway for down.
#[tokio::test]
async fn haproxy_finds_the_gateway_up_by_its_plain_health_check() {
    let gateway = Gateway::start(PUBLIC_ECHO).await;
    // Without a method it asks by OPTIONS.
    for check in ["option httpchk GET /health", "option httpchk /health"] {
        let proxy = Backend::checker(&gateway, check).await;
        let checked = |line: &&String| line.contains("Health check");
        let line = proxy.printed("a check", |lines| lines.iter().find(checked).cloned()).await;
        assert!(line.contains("succeeded") && line.contains("code: 200"), "{check}: {line}");
        let client = Client::anonymous(&gateway).by_way_of(proxy.address());
        client.get("/").await.expect(200);
    }
}
