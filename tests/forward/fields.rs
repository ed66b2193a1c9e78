//! Fields on their way: what ends at the gateway, what it adds, and what it leaves
//! alone.

use http::{HeaderMap, Response};
use serde_json::Value;

use crate::support::client::{Client, Protocol, basic, body, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::raw::raw;
use crate::support::socket::{read_until, send};
use crate::support::upstream::{Kind, Received, Upstream, ok, read_head, visible};

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

#[tokio::test]
async fn fields_between_client_and_gateway_stay_there() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut stream = raw(&gateway).await;
    let lines = "Connection: keep-alive, X-Hop\r\nConnection: X-Second-Hop\r\n\
                 X-Hop: 1\r\nX-SECOND-hop: 2\r\n\
                 Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: deflate\r\n\
                 Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Stays: 3\r\n";
    stream.send(format!("GET /open HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")).await;
    stream.read_response().await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("x-stays"), Some("3"));
    for name in [
        "x-hop",
        "x-second-hop",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(received.field(name), None, "{name}");
    }
    // Whatever the gateway says about its own connection, it does not say for the
    // client.
    let connection = received.field("connection").unwrap_or_default().to_lowercase();
    assert!(!connection.contains("hop") && !connection.contains("upgrade"), "{connection}");
}

#[tokio::test]
async fn fields_between_upstream_and_gateway_stay_there() {
    let upstream = Upstream::saying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n\
         X-Stays: 3\r\n\r\nok",
    )
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in BOTH {
        let mut connection = Client::anonymous(&gateway).protocol(protocol).connect().await;
        let answer = connection.get("/open").await.expect(200);
        assert_eq!(answer.field("x-stays"), "3");
        for name in ["connection", "x-hop", "keep-alive", "proxy-connection", "upgrade"] {
            assert_eq!(answer.fields(name), Vec::<&str>::new(), "{name}");
        }
        // The upstream's `close` was about its own connection.
        connection.get("/open").await.expect(200);
    }
}

#[tokio::test]
async fn other_fields_pass_in_both_directions_as_they_are() {
    let upstream = Upstream::http1(|_| async {
        Response::builder()
            .header("x-list", "one")
            .header("x-list", "two")
            .header("server", "the upstream's own")
            .header("content-type", "text/plain; charset=x")
            .body(body("ok"))
            .expect("an answer")
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in BOTH {
        let client = Client::anonymous(&gateway)
            .protocol(protocol)
            .with("x-list", "one")
            .with("x-list", "two, three")
            .with("user-agent", "test (1)")
            .with("accept-encoding", "br;q=0.5")
            .with("range", "bytes=1-2")
            .with("origin", "https://app.example")
            .with("x-empty", "");
        let answer = client.get("/open").await.expect(200);
        assert_eq!(answer.fields("x-list"), ["one", "two"]);
        assert_eq!(answer.field("server"), "the upstream's own");
        assert_eq!(answer.field("content-type"), "text/plain; charset=x");
        let received = upstream.next_request().await;
        assert_eq!(received.fields("x-list"), ["one", "two, three"]);
        assert_eq!(received.field("user-agent"), Some("test (1)"));
        assert_eq!(received.field("accept-encoding"), Some("br;q=0.5"));
        assert_eq!(received.field("range"), Some("bytes=1-2"));
        assert_eq!(received.field("origin"), Some("https://app.example"));
        assert_eq!(received.field("x-empty"), Some(""));
    }
}

#[tokio::test]
async fn what_could_pass_for_the_gateway_s_own_word_is_taken_out() {
    let upstream = Upstream::http1(ok).await;
    let gateway =
        Gateway::start(&format!("{}[client]\ntrusted_proxies = []\n", upstream.routes())).await;
    let mut client = Client::anonymous(&gateway);
    let claims = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-forwarded-server",
        "forwarded",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x_forwarded_for",
        "x_any_name",
        "x-half_way",
    ];
    for claim in claims {
        client = client.with(claim, "claimed.example");
    }
    client.with("x-any-name", "kept").get("/open").await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("x-any-name"), Some("kept"));
    for (name, value) in &received.headers {
        assert!(!visible(value).contains("claimed"), "{name} passed: {received:?}");
    }
}

#[tokio::test]
async fn forwarding_fields_tell_the_upstream_about_the_client() {
    for protocol in BOTH {
        for kind in [Kind::Http1, Kind::H2c] {
            let upstream = Upstream::http(kind, ok).await;
            let gateway = Gateway::start(&upstream.routes()).await;
            let client = Client::anonymous(&gateway).protocol(protocol);
            let client = client.from_address("203.0.113.7").host("app.example:8443");
            client.get("/open").await.expect(200);
            let received = upstream.next_request().await;
            let addresses = received.field("x-forwarded-for").expect("x-forwarded-for");
            assert_eq!(addresses.split(", ").next(), Some("203.0.113.7"));
            assert_eq!(received.field("x-forwarded-proto"), Some("https"));
            assert_eq!(received.field("x-forwarded-host"), Some("app.example:8443"));
            let forwarded = received.field("forwarded").expect("forwarded");
            assert_eq!(parameter(forwarded, "for"), Some("203.0.113.7"));
            assert_eq!(parameter(forwarded, "proto"), Some("https"));
            assert_eq!(parameter(forwarded, "host"), Some("app.example:8443"));
        }
    }
}

#[tokio::test]
async fn an_ipv6_client_is_quoted_in_forwarded_as_rfc_7239_wants() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    Client::anonymous(&gateway).from_address("2001:db8::7").get("/open").await.expect(200);
    let received = upstream.next_request().await;
    let addresses = received.field("x-forwarded-for").expect("x-forwarded-for");
    assert_eq!(addresses.split(", ").next(), Some("2001:db8::7"));
    let forwarded = received.field("forwarded").expect("forwarded");
    assert!(forwarded.to_lowercase().contains("for=\"[2001:db8::7]\""), "{forwarded}");
}

/// A parameter of the first element of a `Forwarded` field (RFC 7239), without its
/// quotes.
fn parameter<'a>(forwarded: &'a str, name: &str) -> Option<&'a str> {
    let first = forwarded.split(',').next()?;
    let pairs = first.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut values =
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    values.next().map(|value| value.trim_matches('"'))
}

#[tokio::test]
async fn client_upstream_and_log_know_a_request_by_the_same_id() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let answer = Client::anonymous(&gateway).get("/open/here").await.expect(200);
    let id = answer.field("x-request-id");
    assert_eq!(upstream.next_request().await.field("x-request-id"), Some(id));
    let line =
        gateway.wait_for_log(|line| line["type"] == "access" && line["request_id"] == id).await;
    assert_eq!(line["path"], "/open/here");
    assert_eq!(line["decision"], "public");
    assert_eq!(line["status"], 200);
    let another = Client::anonymous(&gateway).get("/open/here").await.expect(200);
    assert_ne!(another.field("x-request-id"), id);
}

#[tokio::test]
async fn a_valid_trace_goes_on_and_others_are_replaced() {
    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway);
    client.clone().with("traceparent", VALID).get("/open").await.expect(200);
    assert_eq!(upstream.next_request().await.field("traceparent"), Some(VALID));
    client.get("/open").await.expect(200);
    let made = upstream.next_request().await;
    assert!(is_traceparent(made.field("traceparent").expect("a trace")), "{made:?}");
    let invalid = [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "nonsense",
        "",
    ];
    for trace in invalid {
        client.clone().with("traceparent", trace).get("/open").await.expect(200);
        let received = upstream.next_request().await;
        let replaced = received.field("traceparent").expect("a trace");
        assert_ne!(replaced, trace);
        assert!(is_traceparent(replaced), "{trace:?} became {replaced:?}");
    }
}

/// Version 00 of W3C Trace Context: lower-case hexadecimal, no id of zeros only.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hexadecimal = |part: &str| part.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [2, 32, 16, 2]
        && parts[0] == "00"
        && parts.iter().all(|part| hexadecimal(part))
        && parts[1..3].iter().all(|id| id.bytes().any(|byte| byte != b'0'))
}

/// What the upstream saw of each way to prove who one is.
async fn credentials_seen(route: &str) -> [Received; 3] {
    let upstream = Upstream::http1(ok).await;
    let config = format!("{}[[route]]\nupstream = \"app\"\n{route}\n", upstream.section("app"));
    let gateway = Gateway::start(&config).await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key("admin", &[], &[]).await;
    Client::admin(&gateway).get("/").await.expect(200);
    Client::bearer(&gateway, &token).get("/").await.expect(200);
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    let seen = [
        upstream.next_request().await,
        upstream.next_request().await,
        upstream.next_request().await,
    ];
    let sent = [
        ("authorization", basic(ADMIN, ADMIN_PASSWORD)),
        ("authorization", format!("Bearer {token}")),
        ("x-api-key", key),
    ];
    for (received, (name, value)) in seen.iter().zip(sent) {
        let expected = route.contains("forward_credential").then_some(value);
        assert_eq!(received.field(name), expected.as_deref(), "{name}");
    }
    seen
}

#[tokio::test]
async fn credentials_stay_at_the_gateway() {
    for received in credentials_seen("").await {
        let names: Vec<&str> = received.headers.keys().map(http::HeaderName::as_str).collect();
        assert!(!names.contains(&"authorization") && !names.contains(&"x-api-key"), "{names:?}");
    }
}

#[tokio::test]
async fn credentials_go_on_where_the_route_says_so() {
    for received in credentials_seen("forward_credential = true").await {
        assert_eq!(received.field("x-portcullis-username"), Some("admin"));
    }
}

#[tokio::test]
async fn nominating_a_field_of_the_gateway_does_not_take_it_out() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut stream = raw(&gateway).await;
    let nominated = "Host, Content-Length, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, \
                     Forwarded, X-Request-Id, Traceparent";
    stream
        .send(format!(
            "POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\
             Connection: {nominated}\r\n\r\nbody"
        ))
        .await;
    stream.read_response().await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("host"), Some("localhost"));
    assert_eq!(received.body, b"body");
    for name in [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "x-request-id",
        "traceparent",
    ] {
        assert!(received.field(name).is_some(), "{name} was lost: {received:?}");
    }
}

#[tokio::test]
async fn the_echo_upstream_sees_what_a_real_one_would() {
    let upstream = Upstream::http1(ok).await;
    let echo = "[[route]]\npath = \"/echo\"\npublic = true\nupstream = \"echo\"\n";
    let gateway = Gateway::start(&(upstream.routes() + echo)).await;
    let client = Client::anonymous(&gateway)
        .with("x-own", "1")
        .with("connection", "x-hop")
        .with("x-hop", "1");
    client.get("/open/a").await.expect(200);
    let real = names(&upstream.next_request().await.headers);
    let told = client.get("/echo/a?b=c").await.expect(200).json();
    assert_eq!(told["method"], "GET");
    assert_eq!(told["path"], "/echo/a?b=c");
    assert_eq!(told["body_bytes"], 0);
    assert_eq!(told["headers"]["x-own"], serde_json::json!(["1"]));
    let echoed: Vec<String> = match &told["headers"] {
        Value::Object(fields) => fields.keys().cloned().collect(),
        other => panic!("headers are an object: {other}"),
    };
    assert_eq!(sorted(echoed), real);
}

fn names(headers: &HeaderMap) -> Vec<String> {
    sorted(headers.keys().map(ToString::to_string).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

#[tokio::test]
async fn the_head_an_upstream_receives_is_plain_http() {
    let upstream = Upstream::raw(|mut wire| async move {
        read_head(&mut wire).await;
        read_until(&mut wire, "\r\n0\r\n\r\n").await;
        send(&mut wire, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut stream = raw(&gateway).await;
    stream
        .send(
            "POST https://localhost/open?a HTTP/1.1\r\nhOST:   localhost  \r\n\
             transfer-ENCODING:\tchunked\r\n\
             X-Padded: \t a  b \t \r\n\r\n00003;ext=1\r\nabc\r\n000;more\r\n\r\n",
        )
        .await;
    stream.read_response().await.expect(200);
    let bytes = upstream.bytes();
    let message = String::from_utf8(bytes).expect("plain text").to_lowercase();
    assert!(message.starts_with("post /open?a http/1.1\r\n"), "{message}");
    assert!(message.contains("\r\nhost: localhost\r\n"), "{message}");
    assert!(message.contains("\r\nx-padded: a  b\r\n"), "{message}");
    assert!(message.contains("\r\ntransfer-encoding: chunked\r\n"), "{message}");
    // Chunk extensions and padded sizes are the client's own: framing is made anew.
    assert!(message.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{message}");
}
