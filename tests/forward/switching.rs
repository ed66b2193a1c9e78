//! Connections that switch to another protocol: WebSockets to an upstream that would
//! rather speak HTTP/2, and raw ones where a route lets them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::{Client, basic};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::installation::Installation;
use crate::support::nginx::Nginx;
use crate::support::raw::{RawStream, raw};
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Kind, Upstream, Wire, ok, read_head};
use crate::support::websocket::open_socket;

use super::public_route;

/// nginx with HTTP/2 in front of a WebSocket server.
async fn nginx_before(sockets: &Upstream) -> Nginx {
    let url = sockets.url();
    Nginx::start(&format!(
        "location / {{ return 200 $protocol; }}\nlocation /ws {{ proxy_pass {url};\n\
         proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection upgrade; }}\nlocation /ws/refused {{ return 403; }}\n"
    ))
    .await
}

/// Was: 502 as soon as the upstream had been asked for anything, and before.
#[tokio::test]
async fn a_websocket_reaches_an_upstream_that_offers_http2() {
    let sockets = Upstream::websocket().await;
    let nginx = nginx_before(&sockets).await;
    let gateway = Gateway::start(&public_route(&nginx.section("app"), "")).await;
    let client = Client::anonymous(&gateway);
    // As the first request of all, behind others, and others behind it.
    for _ in 0..3 {
        let mut tunnel = Tunnel::opened(&gateway, "/ws", &[]).await;
        tunnel.check_open().await;
        assert_eq!(client.get("/").await.expect(200).body, "h2");
        tunnel.check_echo(Message::text("and on")).await;
        // A connection that is left over is for WebSockets alone.
        open_socket(&client, "/ws/refused").await.expect(403);
        assert_eq!(client.get("/").await.expect(200).body, "h2");
    }
    // A client of HTTP/2 has the same upstream.
    assert_eq!(client.h2().get("/").await.expect(200).body, "h2");
}

#[tokio::test]
async fn an_agent_reaches_an_upstream_that_offers_http2() {
    let sockets = Upstream::websocket().await;
    let nginx = nginx_before(&sockets).await;
    let config = format!(
        "{}[[route]]\npath = \"/ws\"\nagents = true\nupstream = \"app\"\n",
        nginx.section("app")
    );
    let gateway = Gateway::start(&config).await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut agent = Tunnel::opened(&gateway, "/ws", &[]).await;
    agent.send(Message::text(format!(r#"{{"type":"auth","api_key":"{key}"}}"#))).await;
    let Message::Text(said) = agent.receive().await else { panic!("the answer is text") };
    assert!(said.contains("auth_success"), "{said}");
    agent.check_open().await;
}

/// The HTTP/2 connection that nobody uses makes room.
#[tokio::test]
async fn an_upstream_with_one_connection_serves_requests_and_websockets_in_turn() {
    let sockets = Upstream::websocket().await;
    let nginx = nginx_before(&sockets).await;
    let section = nginx.section("app") + "max_connections = 1\nconnect_timeout = \"1s\"\n";
    let gateway = Gateway::start(&public_route(&section, "")).await;
    let client = Client::anonymous(&gateway);
    for _ in 0..2 {
        assert_eq!(client.get("/").await.expect(200).body, "h2");
        Tunnel::opened(&gateway, "/ws", &[]).await.check_open().await;
        eventually("the tunnel's place to be free", async || {
            let answer = client.get("/").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_websocket_to_an_upstream_of_http2_alone_is_refused_for_that_reason() {
    let by_choice = Upstream::http(Kind::TlsHttp2, ok).await;
    let clear = Upstream::http(Kind::H2c, ok).await;
    // It offers h2 and nothing else, whatever the configuration says.
    let offering = by_choice.section("app");
    let sections = [offering.replace("\"auto\"", "\"http2\""), offering, clear.section("app")];
    for section in sections {
        let gateway = Gateway::start(&public_route(&section, "")).await;
        let client = Client::anonymous(&gateway);
        client.get("/").await.expect(200);
        open_socket(&client, "/").await.refused(502, "BAD_GATEWAY");
        gateway.wait_for_log(|line| line["reason"] == "upstream_no_upgrade").await;
        let explained = gateway.manage(&["explain", "upstream_no_upgrade"], None).await;
        assert!(explained.contains("HTTP/1.1"), "{explained}");
        client.get("/").await.expect(200);
    }
}

/// A handshake of Java's and .NET's clients.
#[tokio::test]
async fn a_handshake_that_says_it_has_no_body_opens_a_tunnel() {
    let upstream = Upstream::websocket().await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for length in ["0", "00"] {
        let mut tunnel = Tunnel::opened(&gateway, "/open", &[("content-length", length)]).await;
        tunnel.check_open().await;
        let received = upstream.next_request().await;
        assert_eq!(received.field("content-length"), None);
    }
    for (name, value) in [("content-length", "1"), ("transfer-encoding", "chunked")] {
        let refused = Tunnel::open(&gateway, "/open", &[(name, value)]).await;
        assert_eq!(refused.err(), Some(400), "{name}: {value}");
    }
}

/// What dockerd and the Kubernetes API server answer, as they were recorded: neither can
/// be had for a test.
const DOCKER: &str = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\
                      Connection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: 1.43\r\n\r\n";
const KUBERNETES: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                          Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n";

/// Answers every head so, then returns what comes in capital letters until its input has
/// ended, and says goodbye.
async fn daemon(answer: &'static str) -> Upstream {
    Upstream::raw(move |wire| async move { converse(wire, answer).await.unwrap_or_default() }).await
}

async fn converse(mut wire: Wire<TcpStream>, answer: &str) -> Option<()> {
    let head = read_head(&mut wire).await?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    wire.read_exact(&mut body).await.ok()?;
    wire.write_all(answer.as_bytes()).await.ok()?;
    if !body.is_empty() {
        wire.write_all(&[b"started with ", body.as_slice(), b"\n"].concat()).await.ok()?;
    }
    let mut buffer = [0; 1 << 10];
    loop {
        match wire.read(&mut buffer).await.ok()? {
            0 => break,
            read => wire.write_all(&buffer[..read].to_ascii_uppercase()).await.ok()?,
        }
    }
    wire.write_all(b"bye").await.ok()?;
    wire.shutdown().await.ok()
}

async fn gateway_to(upstream: &Upstream, more: &str) -> Gateway {
    Gateway::start(&format!(
        "{}[[route]]\nupstream = \"app\"\nupgrades = [\"tcp\", \"spdy/3.1\"]\n{more}",
        upstream.section("app")
    ))
    .await
}

async fn asked(gateway: &Gateway, head: &str, body: &str) -> RawStream {
    let mut stream = raw(gateway).await;
    let credential = basic(ADMIN, ADMIN_PASSWORD);
    stream
        .send(format!("{head}Host: localhost\r\nAuthorization: {credential}\r\n\r\n{body}"))
        .await;
    stream
}

const ATTACH: &str = "POST /v1.43/containers/ab/attach?stream=1 HTTP/1.1\r\n\
                      User-Agent: Docker-Client/24.0.7 (linux)\r\nContent-Length: 0\r\n\
                      Connection: Upgrade\r\nUpgrade: tcp\r\n";
const EXEC: &str = "POST /v1.43/exec/ab/start HTTP/1.1\r\n\
                    User-Agent: Docker-Client/24.0.7 (linux)\r\nContent-Length: 27\r\n\
                    Connection: Upgrade\r\nContent-Type: application/json\r\nUpgrade: tcp\r\n";
const KUBECTL: &str = "POST /api/v1/namespaces/default/pods/a/exec?command=sh HTTP/1.1\r\n\
                       User-Agent: kubectl/v1.28.2 (linux/amd64)\r\nContent-Length: 0\r\n\
                       Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
                       X-Stream-Protocol-Version: v4.channel.k8s.io\r\n";

#[tokio::test]
async fn docker_and_kubectl_speak_their_own_protocol_where_the_route_lets_them() {
    for (answer, head, body, upgrade) in [
        (DOCKER, ATTACH, "", "tcp"),
        (DOCKER, EXEC, r#"{"Detach":false,"Tty":true}"#, "tcp"),
        (KUBERNETES, KUBECTL, "", "SPDY/3.1"),
    ] {
        let upstream = daemon(answer).await;
        let gateway = gateway_to(&upstream, "").await;
        let mut stream = asked(&gateway, head, body).await;
        let switched = stream.read_response().await.expect(101);
        assert_eq!(switched.field("upgrade"), upgrade);
        assert_eq!(switched.field("connection"), "Upgrade");
        let received = String::from_utf8_lossy(&upstream.bytes()).to_lowercase();
        for line in [format!("upgrade: {upgrade}"), format!("x-portcullis-username: {ADMIN}")] {
            assert!(received.contains(&line.to_lowercase()), "{line}: {received}");
        }
        assert!(!received.contains("authorization:"), "{received}");
        if !body.is_empty() {
            let started = format!("started with {body}\n");
            assert_eq!(stream.read_exactly(started.len()).await, started.as_bytes());
        }
        // Bytes that would be the frame of a WebSocket, or a head, pass as they are.
        for said in [b"ls -l\n".as_slice(), b"\x81\x7f\xff\xff", b"get / http/1.1\r\n\r\n"] {
            stream.send(said).await;
            assert_eq!(stream.read_exactly(said.len()).await, said.to_ascii_uppercase());
        }
        // The input has ended; the output has not.
        stream.close_input().await;
        assert_eq!(stream.read_to_end().await, b"bye");
        upstream.disconnected().await;
    }
}

/// Clients look for `Connection: Upgrade` beside a 101.
#[tokio::test]
async fn a_101_that_comes_before_the_rest_of_the_request_is_passed_on_as_one() {
    let upstream = Upstream::raw(|mut wire| async move {
        if read_head(&mut wire).await.is_some() && wire.write_all(DOCKER.as_bytes()).await.is_ok() {
            let _ = wire.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let gateway = gateway_to(&upstream, "").await;
    for framing in ["Content-Length: 200000", "Transfer-Encoding: chunked"] {
        let head = ATTACH.replace("Content-Length: 0", framing);
        let mut stream = asked(&gateway, &head, "2\r\nab\r\n").await;
        let switched = stream.read_response().await.expect(101);
        assert_eq!(switched.fields("connection"), ["Upgrade"], "{framing}");
    }
}

#[tokio::test]
async fn a_raw_tunnel_ends_with_the_credential_that_opened_it() {
    let upstream = daemon(DOCKER).await;
    let gateway = gateway_to(&upstream, "").await;
    let (id, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let mut stream = raw(&gateway).await;
    stream.send(format!("{ATTACH}Host: localhost\r\nX-API-Key: {key}\r\n\r\n")).await;
    stream.read_response().await.expect(101);
    stream.send("a").await;
    assert_eq!(stream.read_exactly(1).await, b"A");
    gateway.manage(&["key", "revoke", &id, "--yes"], None).await;
    // Nothing is said in a protocol that the gateway does not know.
    assert!(stream.is_closed().await);
    upstream.disconnected().await;
}

#[tokio::test]
async fn an_upgrade_that_the_route_does_not_name_goes_no_further() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&format!(
        "{}[[route]]\nupstream = \"app\"\nupgrades = [\"tcp\"]\n\
         [[route]]\npath = \"/plain\"\nupstream = \"app\"\n\
         [[route]]\npath = \"/open\"\npublic = true\nupstream = \"app\"\n",
        upstream.section("app")
    ))
    .await;
    for (path, upgrade) in [
        ("/", "SPDY/3.1"),
        ("/", "h2c"),
        ("/", "tcp, h2c"),
        ("/", "h2c\r\nUpgrade: tcp"),
        ("/plain", "tcp"),
        ("/open", "tcp"),
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n");
        let mut stream = asked(&gateway, &head, "").await;
        assert_eq!(stream.read_response().await.expect(200).body, "ok");
        let received = upstream.next_request().await;
        assert_eq!(received.field("upgrade"), None, "{path} {upgrade}");
        assert_eq!(received.field("connection"), None, "{path} {upgrade}");
    }
}

#[tokio::test]
async fn a_101_for_another_protocol_than_was_asked_for_opens_nothing() {
    for (answer, head) in [
        (KUBERNETES, ATTACH),
        (DOCKER, KUBECTL),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\n\r\n", ATTACH),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp, x\r\n\r\n",
            ATTACH,
        ),
    ] {
        let upstream = daemon(answer).await;
        let gateway = gateway_to(&upstream, "").await;
        let mut stream = asked(&gateway, head, "").await;
        stream.read_response().await.expect(502);
        gateway.wait_for_log(|line| line["reason"] == "upstream_upgrade").await;
        upstream.disconnected().await;
    }
}

#[tokio::test]
async fn a_public_route_and_unknown_protocols_have_no_upgrades() {
    for (lines, words) in [
        ("public = true\nupgrades = [\"tcp\"]", "has no effect on a public route"),
        ("upgrades = [\"h2c\"]", "HTTP/2 in clear is never switched to"),
        ("upgrades = [\"websocket\"]", "WebSockets pass on every route without it"),
        ("upgrades = [\"spdy/3\"]", "spdy/3.1"),
        ("upgrades = \"tcp\"", "expected a list"),
    ] {
        let config = format!("[[route]]\nupstream = \"http://127.0.0.1:3000\"\n{lines}\n");
        let ended = Installation::new().file("config.toml", &config).run(&["check"], None).await;
        assert_eq!(ended.status.code(), Some(78), "{ended:?}");
        assert!(ended.stderr.contains(words), "{words}: {ended:?}");
    }
}
