//! Upstreams that are away, silent, broken or lying: the client learns that it
//! failed, never half of an answer as if it were whole.

use http::Request;

use crate::support::client::{Client, Protocol};
use crate::support::gateway::Gateway;
use crate::support::socket::{read_until, send, try_get};
use crate::support::streaming::streaming;
use crate::support::upstream::{Kind, Refusing, Unreachable, Upstream, ok, read_head};

use super::public_route;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

async fn check_every_client(gateway: &Gateway, status: u16, code: &str) {
    for protocol in BOTH {
        let client = Client::anonymous(gateway).protocol(protocol);
        client.get("/open").await.refused(status, code);
        client.post("/open").await.refused(status, code);
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_a_bad_gateway() {
    let upstream = Refusing::new();
    let section = format!("[upstream.app]\nurl = \"{}\"", upstream.url());
    let gateway = Gateway::start(&public_route(&section, "")).await;
    check_every_client(&gateway, 502, "BAD_GATEWAY").await;
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_in_time_is_a_timeout() {
    let upstream = Unreachable::new().await;
    let section =
        format!("[upstream.app]\nurl = \"{}\"\nconnect_timeout = \"200ms\"", upstream.url());
    let gateway = Gateway::start(&public_route(&section, "")).await;
    check_every_client(&gateway, 504, "GATEWAY_TIMEOUT").await;
}

#[tokio::test]
async fn an_upstream_that_stays_silent_is_a_timeout_and_is_hung_up_on() {
    let upstream = Upstream::raw(|mut wire| async move {
        let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
    })
    .await;
    let gateway =
        Gateway::start(&public_route(&upstream.section("app"), "timeout = \"200ms\"")).await;
    check_every_client(&gateway, 504, "GATEWAY_TIMEOUT").await;
    upstream.disconnected().await;
}

#[tokio::test]
async fn an_upstream_that_closes_before_it_answers_is_a_bad_gateway() {
    let upstream = Upstream::saying("").await;
    let gateway = Gateway::start(&upstream.routes()).await;
    check_every_client(&gateway, 502, "BAD_GATEWAY").await;
}

#[tokio::test]
async fn an_upstream_whose_certificate_is_not_trusted_is_a_bad_gateway() {
    let upstream = Upstream::http(Kind::TlsHttp1, ok).await;
    let trusting = Gateway::start(&upstream.routes()).await;
    Client::anonymous(&trusting).get("/open").await.expect(200);
    let section = format!("[upstream.app]\nurl = \"{}\"", upstream.url());
    let gateway = Gateway::start(&public_route(&section, "")).await;
    check_every_client(&gateway, 502, "BAD_GATEWAY").await;
    assert_eq!(upstream.requests().len(), 1);
}

/// Heads that no two clients would read alike, or that no client asked for.
const BROKEN_HEADS: &[(&str, &str)] = &[
    ("no HTTP at all", "garbage\r\n\r\n"),
    ("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
    ("another protocol", "SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    ("another version", "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a status of letters", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
    (
        "a switch nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
    ("a bare switch", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
    ("two lengths in a line", "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok"),
    ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
    ("a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
    ("a length in hexadecimal", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok"),
    ("a NUL in a value", "HTTP/1.1 200 OK\r\nX-Odd: a\0b\r\nContent-Length: 2\r\n\r\nok"),
    ("a bare CR in a value", "HTTP/1.1 200 OK\r\nX-Odd: a\rb\r\nContent-Length: 2\r\n\r\nok"),
    ("a space in a name", "HTTP/1.1 200 OK\r\nX Odd: a\r\nContent-Length: 2\r\n\r\nok"),
    ("a space before the colon", "HTTP/1.1 200 OK\r\nX-Odd : a\r\nContent-Length: 2\r\n\r\nok"),
    ("a line without a colon", "HTTP/1.1 200 OK\r\nX-Odd\r\nContent-Length: 2\r\n\r\nok"),
];

#[tokio::test]
async fn a_malformed_head_is_a_bad_gateway_and_nothing_of_it_passes() {
    let sound = Upstream::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let gateway = Gateway::start(&sound.routes()).await;
    assert_eq!(Client::anonymous(&gateway).get("/open").await.expect(200).body, "ok");
    // One gateway for all of them: an upstream for each, a route to each.
    let mut upstreams = Vec::new();
    let mut config = Vec::new();
    for (number, (_, head)) in BROKEN_HEADS.iter().enumerate() {
        let upstream = Upstream::saying(*head).await;
        config.push(upstream.section(&format!("u{number}")));
        config.push(format!(
            "[[route]]\npath = \"/{number}\"\npublic = true\nupstream = \"u{number}\"\n"
        ));
        upstreams.push(upstream);
    }
    let gateway = Gateway::start(&config.concat()).await;
    for (number, (name, _)) in BROKEN_HEADS.iter().enumerate() {
        for protocol in BOTH {
            let client = Client::anonymous(&gateway).protocol(protocol);
            let answer = client.get(&format!("/{number}")).await;
            assert_eq!(answer.status, 502, "{name}: {answer:?}");
            answer.refused(502, "BAD_GATEWAY");
        }
    }
}

const BROKEN_BODIES: &[(&str, &str)] = &[
    ("less than announced", "Content-Length: 10\r\n\r\nshort"),
    ("no last chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"),
    ("half a chunk", "Transfer-Encoding: chunked\r\n\r\nff\r\nshort"),
    ("a chunk size of letters", "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nxyz\r\n"),
    ("a chunk longer than its size", "Transfer-Encoding: chunked\r\n\r\n3\r\nshort\r\n0\r\n\r\n"),
    (
        "an overflowing chunk size",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nfffffffffffffffff\r\n",
    ),
];

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_complete() {
    for (name, message) in BROKEN_BODIES {
        let upstream = Upstream::saying(format!("HTTP/1.1 200 OK\r\n{message}")).await;
        let gateway = Gateway::start(&upstream.routes()).await;
        for protocol in BOTH {
            // A gateway that saw it in time may say so instead of breaking off
            // itself.
            if let Ok(answer) = try_get(&gateway, protocol, "/open").await {
                assert_eq!(answer.status, 502, "{name}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_are_not_the_next_answer() {
    let upstream = Upstream::raw(|mut wire| async move {
        while let Some(head) = read_head(&mut wire).await {
            let own = head.split(' ').nth(1).unwrap_or_default();
            let own = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{own}", own.len());
            let more = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled";
            send(&mut wire, (own + more).as_bytes()).await;
        }
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut connection = Client::anonymous(&gateway).connect().await;
    for path in ["/open/1", "/open/2", "/open/3", "/open/4"] {
        assert_eq!(connection.get(path).await.expect(200).body, path);
    }
}

#[tokio::test]
async fn a_failure_of_one_upstream_leaves_the_connection_and_the_others_alone() {
    let refusing = Refusing::new();
    let upstream = Upstream::http1(ok).await;
    let broken = format!(
        "[[route]]\npath = \"/broken\"\npublic = true\nupstream = \"{}\"\n",
        refusing.url()
    );
    let gateway = Gateway::start(&(upstream.routes() + &broken)).await;
    for protocol in BOTH {
        let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
        connection.get("/open").await.expect(200);
        connection.get("/broken").await.refused(502, "BAD_GATEWAY");
        assert_eq!(connection.get("/open").await.expect(200).body, "ok");
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_reaches_the_client() {
    let upstream = Upstream::raw(|mut wire| async move {
        read_until(&mut wire, "first").await;
        send(
            &mut wire,
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        )
        .await;
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let (pieces, body) = streaming();
    let upload = Request::post("/open").body(body).expect("a request");
    let client = Client::anonymous(&gateway);
    let (answer, ()) = tokio::join!(client.request(upload), pieces.data("first"));
    assert_eq!(answer.expect(403).body, "no");
    drop(pieces);
}
