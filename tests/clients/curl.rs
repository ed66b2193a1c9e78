//! curl, as the README and the contracts call it; the README's own calls run in `tour`.

use http::{Method, Response};

use crate::support::client::{Client, body, request, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::streaming::streaming;
use crate::support::upstream::{Upstream, text};

use super::{client, succeeds, url};

/// The status and the body of a call.
async fn curl(
    gateway: &Gateway,
    protocol: &str,
    arguments: &[&str],
    path: &str,
) -> (String, String) {
    let mut command = client("curl");
    command.args(["--silent", "--show-error", "--write-out", "\n%{http_code}", protocol]);
    command
        .args(["--proto", "=https", "--noproxy", "*", "--cacert"])
        .arg(gateway.path("server.pem"));
    command.args(arguments).arg(format!("{}{path}", url(gateway, "https")));
    let output = succeeds(command, gateway).await;
    let (body, status) = output.rsplit_once('\n').expect("a status");
    (status.to_owned(), body.to_owned())
}

#[tokio::test]
async fn curl_is_served_as_it_is_documented() {
    let gateway = Gateway::start(&format!("[limits]\nburst = 1000\n{ECHO}")).await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let user = format!("{ADMIN}:{ADMIN_PASSWORD}");
    let bearer = format!("Authorization: Bearer {token}");
    let key_as_password = format!("__token__:{key}");
    let key_as_name = format!("{key}:");
    let key = format!("X-API-Key: {key}");
    let json = format!(r#"{{"username":"{ADMIN}","password":"{ADMIN_PASSWORD}"}}"#);
    let password = format!("password={ADMIN_PASSWORD}");
    let file = gateway.path("server.pem");
    let file = file.to_str().expect("a path of text");
    let form = format!("file=@{file}");
    let is_json = "Content-Type: application/json";
    let calls: &[(&[&str], &str, &str)] = &[
        (&[], "/health", "200"),
        (&["-u", &user], "/api/things", "200"),
        (&["-u", &user, "-X", "DELETE"], "/api/things/1", "200"),
        (&["-u", &user, "-X", "POST"], "/api/logout", "200"),
        (&["-u", "admin:wrong"], "/api/things", "401"),
        (&["-H", &key], "/api/things", "200"),
        (&["-u", &key_as_password], "/api/things", "200"),
        (&["-u", &key_as_name], "/api/things", "200"),
        // curl asks first what is offered.
        (&["--anyauth", "-u", &user], "/api/things", "200"),
        (&["--anyauth", "-u", &user], "/v2/", "200"),
        (&["-H", is_json, "-d", &json], "/api/auth/login", "200"),
        (&["-H", is_json, "-d", &json], "/api/v1/auth/login", "200"),
        (&["-d", "username=admin", "--data-urlencode", &password], "/api/v1/auth/login", "200"),
        (&["-H", &bearer], "/api/auth/me", "200"),
        (&["-H", &bearer], "/api/ws-token", "200"),
        (&["-H", &bearer, "-F", &form], "/upload", "200"),
        (&["-H", &bearer, "-T", file], "/upload", "200"),
        (&["-H", &bearer, "-T", file, "-H", "Transfer-Encoding: chunked"], "/upload", "200"),
        (&["-H", &bearer, "-d", "a=b", "-H", "Expect: 100-continue"], "/upload", "200"),
        (&["-H", &bearer, "-G", "--data-urlencode", "q=a b/ü&"], "/search", "200"),
        (&["-H", &bearer, "--compressed", "-r", "0-99"], "/page", "200"),
        (&["-H", &bearer, "-I"], "/page", "200"),
        (&["-H", &bearer, "-b", "theme=dark", "-e", "https://elsewhere.example/"], "/page", "200"),
        // A bearer token is nobody's by itself.
        (&["-H", &bearer, "-H", "Origin: https://elsewhere.example", "-d", "a=b"], "/page", "200"),
        (&["-u", &user, "-H", "Origin: https://elsewhere.example", "-X", "POST"], "/page", "403"),
    ];
    for protocol in ["--http2", "--http1.1"] {
        for (arguments, path, expected) in calls {
            let (status, body) = curl(&gateway, protocol, arguments, path).await;
            assert_eq!(status, *expected, "{protocol} {arguments:?} {path}: {body}");
        }
    }
    let (status, body) = curl(&gateway, "--http1.0", &["--no-alpn", "-u", &user], "/page").await;
    assert_eq!(status, "200", "{body}");
}

/// curl itself follows `..` unless it is told not to.
#[tokio::test]
async fn curl_reaches_paths_as_it_writes_them() {
    let upstream = Upstream::http1(|_| async { text("ok") }).await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + route)).await;
    for protocol in ["--http2", "--http1.1"] {
        for (path, expected) in [
            ("/api/queues/%2F/orders", "200"),
            ("/proxy/https://example.org/x", "200"),
            ("/a;b/c%2Bd%21", "200"),
            ("/a/../b", "400"),
            ("/a%2F..%2Fb", "400"),
        ] {
            let (status, body) = curl(&gateway, protocol, &["--path-as-is"], path).await;
            assert_eq!(status, expected, "{protocol} {path}: {body}");
            if expected == "200" {
                assert_eq!(upstream.next_request().await.target(), path);
            }
        }
    }
}

/// One that another client of the same account holds open is one less for curl.
#[tokio::test]
async fn curl_reads_event_streams_as_long_as_its_account_may_have_one_more() {
    const EVENTS: &str = "data: 1\n\ndata: 2\n\n";
    let upstream = Upstream::http1(|request: http::Request<_>| async move {
        let head = Response::builder().header("content-type", "text/event-stream");
        match request.uri().path() {
            "/held" => {
                let (pieces, body) = streaming();
                tokio::spawn(async move {
                    pieces.data(EVENTS).await;
                    pieces.abandoned().await;
                });
                head.body(body).expect("an answer")
            }
            "/events" => head.body(body(EVENTS)).expect("an answer"),
            _ => text("ok"),
        }
    })
    .await;
    let limits = "[limits]\nstreams_per_account = 1\n";
    let gateway = Gateway::start(&(upstream.routes() + limits)).await;
    gateway.add_user("alice", "alice's password", &[]).await;
    let (user, alice) = (format!("{ADMIN}:{ADMIN_PASSWORD}"), "alice:alice's password");
    let events = async |user: &str, path: &str| {
        curl(&gateway, "--http2", &["--no-buffer", "-u", user], path).await
    };
    assert_eq!(events(&user, "/events").await, ("200".to_owned(), EVENTS.to_owned()));
    let mut connection = Client::admin(&gateway).connect().await;
    let held = connection.begin(request(Method::GET, "/held")).await;
    assert_eq!(held.status(), 200);
    let (status, body) = events(&user, "/events").await;
    assert_eq!(status, "429", "{body}");
    assert!(body.contains("Too many of your WebSockets and event streams are open"), "{body}");
    assert_eq!(events(&user, "/other").await.0, "200");
    assert_eq!(events(alice, "/events").await, ("200".to_owned(), EVENTS.to_owned()));
}
