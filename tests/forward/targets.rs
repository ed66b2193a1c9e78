//! What is asked for is what the upstream is asked for, octet by octet; and paths that
//! servers read in several ways pass where nothing is at stake.

use super::on_every_way;
use crate::support::client::{Client, Protocol};
use crate::support::frames::{Http2, Outcome};
use crate::support::gateway::Gateway;
use crate::support::raw::{RawStream, raw};
use crate::support::upstream::{Kind, Upstream, mirror, ok};

on_every_way!(targets_arrive_as_they_were_written);

/// What clients of these applications typically ask for, written by hand: npm's alone runs,
/// among the clients.
const OF_APPLICATIONS: &[&str] = &[
    // RabbitMQ's virtual host is `/`.
    "/api/queues/%2F/orders",
    "/api/exchanges/%2f/amq.default/publish",
    // GitLab: projects, files and branches by their paths.
    "/api/v4/projects/group%2Fproject/repository/files/app%2Fmodels%2Fuser.rb/raw?ref=main",
    // npm's scopes, in Gitea and Nexus too.
    "/@scope%2fname",
    "/api/packages/owner/npm/@scope%2fname",
    "/repository/npm-group/@scope%2Fname/-/name-1.0.0.tgz",
    "/owner/repo/src/branch/feature%2Fx/README.md",
    // URLs in paths.
    "/proxy/https://example.org/x?y=https://example.org//z",
    "/insecure/plain/https://example.org/a.png@webp",
    // Matrix parameters.
    "/cars;color=red;doors=4/list",
    "/app;jsessionid=1.node/start",
    // Signed targets: another spelling has another signature.
    "/bucket/a%2Bb%20c%21%7e?X-Amz-Credential=k%2F20261129%2Fr",
    "/bucket/a+b!~",
    "/files/100%2525",
    "/files/50%25%20off",
    "/caf%C3%A9/caf%c3%a9/caf%E9",
    "/a%3Bb/c%3bd",
    "/a//b//",
    "//a",
    "/q?a=//../..;%2f%5C%00\\%zz%2|{}^`",
    "/?",
];

async fn targets_arrive_as_they_were_written(protocol: Protocol, kind: Kind) {
    let upstream = Upstream::http(kind, ok).await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\n[limits]\nburst = 1000\n";
    let gateway = Gateway::start(&(upstream.section("app") + route)).await;
    let client = Client::anonymous(&gateway).protocol(protocol);
    for target in OF_APPLICATIONS {
        client.get(target).await.expect(200);
        assert_eq!(upstream.next_request().await.target(), *target);
    }
    // There is nothing at stake, and they lead out of what was asked for all the same.
    for target in [
        "/a/..%2Fb",
        "/a%2F..%2fb",
        "/a/..;x/b",
        "/a//../b",
        "/a/%252e%252e/b",
        "/a/..%253Bx/b",
        "/a;x\\..\\b",
        "/a%2F%5c..",
        "/a//%255C",
        "/a;%00",
        "/a//%2500",
        "/a;%0d%0aX:y",
        "/a//%c0%ae%c0%ae/b",
    ] {
        client.get(target).await.refused(400, "BAD_REQUEST");
    }
    assert_eq!(upstream.requests().len(), OF_APPLICATIONS.len());
}

/// What an upstream may read as one of the gateway's own paths is neither's.
#[tokio::test]
async fn no_spelling_of_the_gateways_own_paths_reaches_an_upstream() {
    let upstream = Upstream::http1(ok).await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + route)).await;
    let client = Client::anonymous(&gateway);
    for path in [
        "//health",
        "/%2Fhealth",
        "/health;x",
        "/health%3Bx",
        "/%2568ealth",
        "/api//auth/login",
        "/api/auth%2Flogin",
        "/api%252Fauth/login",
        "/api;/auth;x/login",
        "//api/v1/auth/login",
    ] {
        assert_eq!(client.get(path).await.status, 400, "{path}");
        let read =
            |line: &serde_json::Value| line["reason"] == "path_ambiguous" && line["path"] == path;
        let line = gateway.wait_for_log(read).await;
        assert_eq!(line["detail"], "the upstream may read a path of the gateway's own", "{line}");
    }
    client.get("//healthy").await.expect(200);
    assert_eq!(upstream.next_request().await.target(), "//healthy");
}

/// Which of both an upstream is called by is no matter: it is one server.
#[tokio::test]
async fn a_stricter_route_to_the_same_address_makes_paths_strict() {
    let upstream = Upstream::http1(ok).await;
    let other = upstream.url().replace("127.0.0.1", "localhost");
    let text = |admins: &str, paths: &str| {
        format!(
            "{}[[route]]\npublic = true\nupstream = \"app\"\n{paths}\n[[route]]\npath = \"/admin\"\n\
             host = \"admin.example\"\nroles = [\"admin\"]\nupstream = \"{admins}\"\n",
            upstream.section("app")
        )
    };
    let ways = ["//admin", "/%2Fadmin", "/admin;x", "/x;/admin", "/a%2Fb", "/a//b", "/%2561dmin"];
    let strict = Gateway::start(&text(&other, "")).await;
    let opaque = Gateway::start(&text("http://127.0.0.1:1", "")).await;
    for path in ways {
        Client::anonymous(&strict).get(path).await.refused(400, "BAD_REQUEST");
        Client::anonymous(&opaque).get(path).await.expect(200);
        assert_eq!(upstream.next_request().await.target(), path);
    }
    // Somebody has chosen so: what leads to the other route is refused all the same.
    let chosen = Gateway::start(&text(&other, "paths = \"opaque\"")).await;
    for path in ["/a%2Fb", "/a//b", "/x;/y", "/x%2Fadmin"] {
        Client::anonymous(&chosen).get(path).await.expect(200);
        assert_eq!(upstream.next_request().await.target(), path);
    }
    for path in ["//admin", "/%2Fadmin", "/admin;x", "/;x/admin", "/%2561dmin", "/admin%3Fx"] {
        let client = Client::anonymous(&chosen).host("admin.example");
        client.get(path).await.refused(400, "BAD_REQUEST");
    }
}

/// Clients that escape nothing. Was: 400, where other proxies pass such octets on as they are.
#[tokio::test]
async fn raw_octets_of_a_query_arrive_escaped() {
    let queries: [(&[u8], &str); 6] = [
        (b"a=\"b\"", "a=%22b%22"),
        (b"a=<b>&c=|{}^`\\[]", "a=%3Cb%3E&c=|{}^`\\[]"),
        (b"caf\xe9", "caf%E9"),
        (b"caf\xc3\xa9=\xe9", "caf\u{e9}=%E9"),
        (b"?\"?%22%e9", "?%22?%22%e9"),
        (b"plain", "plain"),
    ];
    let post = |query: &[u8]| {
        let fields = b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n\"\xe9";
        [b"POST /a?", query, fields].concat()
    };
    for kind in [Kind::Http1, Kind::H2c] {
        let upstream = Upstream::http(kind, mirror).await;
        let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
        let gateway = Gateway::start(&(upstream.section("app") + route)).await;
        let mut stream = raw(&gateway).await;
        let check = async |stream: &mut RawStream, arrives: &str| {
            let answer = stream.read_response().await;
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"\"\xe9"[..]));
            assert_eq!(upstream.next_request().await.target(), format!("/a?{arrives}"));
        };
        // Each for itself, in single bytes, and all at once: on one connection.
        for (query, arrives) in queries {
            stream.send(post(query)).await;
            check(&mut stream, arrives).await;
            for byte in post(query) {
                stream.send([byte]).await;
            }
            check(&mut stream, arrives).await;
        }
        stream.send(queries.map(|(query, _)| post(query)).concat()).await;
        for (_, arrives) in queries {
            check(&mut stream, arrives).await;
        }
    }
}

/// In a path over HTTP/1.1, anywhere over HTTP/2.
#[tokio::test]
async fn an_octet_that_has_to_be_escaped_is_named_in_the_response_and_the_log() {
    let upstream = Upstream::http1(ok).await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + route)).await;
    let mut http2 = Http2::connect(&gateway).await;
    let refused = ["/a<b", "/a`", "/ü<?", "/a b", "/a?\u{1}", "a"];
    for (number, target) in refused.into_iter().enumerate() {
        let mut stream = raw(&gateway).await;
        stream.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let answer = stream.read_response().await;
        assert_eq!(answer.status, 400, "{target}");
        // The others have no place in a head of HTTP/1.1 at all.
        let message = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(message.contains("percent-encoded"), number < 3, "{target}: {message}");
    }
    let of_queries = ["/a?b=<c>", "/a?\"", "/ü?<"];
    for (number, target) in (0..).zip(refused.into_iter().chain(of_queries)) {
        let pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost")];
        let stream = 2 * number + 1;
        http2.request(stream, &[&pseudo[..], &[(":path", target)]].concat()).await;
        assert_eq!(http2.outcome(stream).await, Outcome::Answered(400), "{target}");
        let shown = format!("/{}", "_".repeat(target.len() - 1));
        let told = |line: &serde_json::Value| {
            line["path"] == shown && line["reason"] == "target_malformed"
        };
        gateway.wait_for_log(told).await;
    }
    // The connection is as good as before.
    let pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost")];
    http2.request(99, &[&pseudo[..], &[(":path", "/")]].concat()).await;
    assert_eq!(http2.outcome(99).await, Outcome::Answered(200));
    assert_eq!(upstream.requests().len(), 1);
}
