//! Responses that are there before the request's body is: read by clients that send first,
//! and followed by what they say of the connection.

use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::{Client, basic, body, sign_in_admin};
use crate::support::frames::{DATA, END_STREAM, Http2, NO_ERROR, NO_FLAGS, Outcome, RST_STREAM};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::raw::raw;
use crate::support::socket::{Dial, read_to_end, read_until, send};
use crate::support::streaming::streaming;
use crate::support::upstream::{Kind, Recording, Script, Upstream, read_head, text};
use crate::support::within;

const LARGE: usize = 10 << 20;
/// A listener in clear beside the one with TLS.
const LISTENERS: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
                         [[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\n";

fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

fn long(path: &str, more: &str) -> String {
    head("POST", path, &format!("Content-Length: {LARGE}\r\n{more}"))
}

/// Sends all of it, and reads only then. Not a byte of it may be refused.
async fn send_first<S>(mut stream: S, message: &[u8]) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sending = async {
        stream.write_all(message).await?;
        stream.flush().await
    };
    within("all to be taken", sending).await.expect("the connection is open");
    String::from_utf8_lossy(&read_to_end(&mut stream).await).into_owned()
}

async fn in_clear(gateway: &Gateway) -> TcpStream {
    let address = gateway.addresses()[1];
    within("a TCP connection", TcpStream::connect(address)).await.expect("the gateway listens")
}

/// Answers at once, by its path, and reads nothing.
async fn hasty(request: Request<Recording>) -> Response<crate::support::client::Body> {
    let status = request.uri().path().rsplit('/').next().and_then(|last| last.parse().ok());
    let status = status.unwrap_or(StatusCode::OK);
    Response::builder().status(status).body(body("early")).expect("a response")
}

#[tokio::test]
async fn whoever_sends_all_before_it_reads_is_told_why_it_is_refused_and_that_it_is_over() {
    let upstream = Upstream::http1(hasty).await;
    let limited = "[[route]]\npath = \"/limited\"\npublic = true\nupstream = \"app\"\n\
                   body_size = \"1MiB\"\n\
                   [[route]]\npath = \"/roles\"\nroles = [\"nobody\"]\nupstream = \"app\"\n";
    let config = format!("{LISTENERS}{}{limited}", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let token = sign_in_admin(&gateway).await.access;
    let credential = format!("Authorization: Bearer {token}\r\n");
    let bytes = vec![b'x'; LARGE];
    for (status, path, more) in [
        (401, "/closed", ""),
        (401, "/closed", "Expect: 100-continue\r\n"),
        (403, "/roles", credential.as_str()),
        (400, "/%2e%2e", ""),
        (405, "/health", ""),
        (413, "/limited", ""),
        (413, "/api/auth/login", ""),
        (200, "/open/200", ""),
        (413, "/open/413", ""),
        (503, "/open/503", ""),
    ] {
        let message = [long(path, more).as_bytes(), &bytes].concat();
        for response in [
            send_first(Dial::new(&gateway).tls().await, &message).await,
            send_first(in_clear(&gateway).await, &message).await,
        ] {
            let is_it = response.starts_with(&format!("HTTP/1.1 {status} "));
            assert!(is_it, "{path} {more}: {response}");
            let says_so = response.to_lowercase().contains("\r\nconnection: close\r\n");
            assert!(says_so, "{path} {more}: {response}");
        }
    }
}

#[tokio::test]
async fn a_body_that_turns_out_malformed_or_too_long_is_refused_in_words() {
    let limited = "[[route]]\npublic = true\nupstream = \"echo\"\nbody_size = \"1MiB\"\n";
    let gateway = Gateway::start(&format!("{LISTENERS}{limited}")).await;
    let chunk = [b"10000\r\n", &vec![b'x'; 65536][..], b"\r\n"].concat();
    let chunked = head("POST", "/open", "Transfer-Encoding: chunked\r\n").into_bytes();
    let malformed = [&chunked[..], b"not a size\r\n", &vec![b'x'; 1 << 20]].concat();
    let too_long = [&chunked[..], &chunk.repeat(64)].concat();
    for (status, message) in [(400, malformed), (413, too_long)] {
        for response in [
            send_first(Dial::new(&gateway).tls().await, &message).await,
            send_first(in_clear(&gateway).await, &message).await,
        ] {
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        }
    }
}

#[tokio::test]
async fn behind_a_short_body_that_is_still_to_come_the_connection_stays() {
    let upstream = Upstream::http1(hasty).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for path in ["/closed", "/open/413"] {
        let mut stream = raw(&gateway).await;
        let length = 64 << 10;
        let message = head("POST", path, &format!("Content-Length: {length}\r\n"));
        stream.send(message + "begun").await;
        let response = stream.read_response().await;
        assert!(matches!(response.status.as_u16(), 401 | 413), "{response:?}");
        assert!(response.fields("connection").is_empty(), "{response:?}");
        // The rest, which would be a request for whoever took it for one.
        let request = head("GET", "/open/smuggled", "");
        let rest = request.repeat(length / request.len() + 1);
        stream.send(&rest[..length - "begun".len()]).await;
        stream.send(head("GET", "/open/204", "")).await;
        assert_eq!(stream.read_response().await.status, 204, "{path}");
    }
    let smuggled = upstream.requests().iter().any(|seen| seen.uri.path() == "/open/smuggled");
    assert!(!smuggled, "a body was taken for a request");
}

#[tokio::test]
async fn a_short_body_that_does_not_come_is_not_waited_for_at_the_end_of_the_gateway() {
    let mut gateway = Gateway::start("[[route]]\nupstream = \"echo\"\n").await;
    let (mut kept, mut closed) = (raw(&gateway).await, raw(&gateway).await);
    kept.send(head("POST", "/closed", "Content-Length: 10\r\n")).await;
    kept.read_response().await.expect(401);
    closed.send(long("/closed", "")).await;
    closed.read_response().await.expect(401);
    let mut http2 = Http2::connect(&gateway).await;
    http2.head(1, &post("/closed", &[])).await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(401));
    // Sooner than the deadline of a drain: none of them goes on or leaves by itself.
    let (ended, _) = tokio::join!(gateway.stop(), http2.closed());
    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.stdout.contains("drain deadline passed"), "{}", ended.stdout);
}

#[tokio::test]
async fn many_who_linger_are_bounded_for_each_address() {
    /// Of one address; see `rest::SOCKETS`.
    const MOST: usize = 128;
    let config = format!(
        "{LISTENERS}[[route]]\nupstream = \"echo\"\n[client]\ntrusted_proxies = []\n\
         [limits]\nrequests_per_second = 1000\nburst = 1000\n"
    );
    let gateway = Gateway::start(&config).await;
    let mut lingering = Vec::new();
    for _ in 0..MOST + 10 {
        let mut stream = in_clear(&gateway).await;
        send(&mut stream, long("/closed", "").as_bytes()).await;
        let response = read_until(&mut stream, "\r\n\r\n").await.expect("a response");
        assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
        lingering.push(stream);
    }
    gateway.counted(&["lingering_over_limit"], 10).await;
}

/// An upstream that answers and closes at once, with what it was sent unread: a reset.
#[tokio::test]
async fn the_response_of_an_upstream_that_hangs_up_is_not_lost() {
    let upstream = Upstream::raw(|mut wire| async move {
        if read_head(&mut wire).await.is_some() {
            let response = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\n\r\nlarge";
            send(&mut wire, response.as_bytes()).await;
        }
    })
    .await;
    let gateway = Gateway::start(&format!("{LISTENERS}{}", upstream.routes())).await;
    let message = [long("/open", "").as_bytes(), &vec![b'x'; LARGE]].concat();
    for _ in 0..10 {
        let response = send_first(in_clear(&gateway).await, &message).await;
        assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
        assert!(response.ends_with("large"), "{response}");
    }
    assert_eq!(upstream.connections(), 10, "none is used again");
}

/// Those of a request over HTTP/2 with a body.
fn post<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let head =
        [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    [&head, more].concat()
}

#[tokio::test]
async fn a_stream_that_was_answered_early_ends_and_is_not_reset_while_its_client_may_send() {
    let upstream = Upstream::http1(hasty).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for path in ["/closed", "/open/413", "/open/200", "/health"] {
        let mut http2 = Http2::connect(&gateway).await;
        // As long as a slow machine takes for it.
        http2.head(1, &post(path, &[("content-length", "524288")])).await;
        let ending = http2.next_of(1, |kind, flags| {
            assert_ne!(kind, RST_STREAM, "{path}");
            flags & END_STREAM != 0
        });
        ending.await.expect("the end of the response");
        // More than its window: what comes is taken.
        http2.upload(1, 512 << 10).await;
        http2.send(DATA, END_STREAM, 1, b"").await;
        assert!(http2.answers_ping_before(RST_STREAM).await, "{path} is reset");
    }
}

#[tokio::test]
async fn a_stream_that_was_answered_early_is_reset_without_an_error_when_it_goes_on_and_on() {
    let gateway = Gateway::start("[[route]]\nupstream = \"echo\"\n").await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.head(1, &post("/closed", &[])).await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(401));
    http2.upload(1, 64 << 10).await;
    assert_eq!(http2.outcome(1).await, Outcome::Reset(NO_ERROR));
    assert!(http2.answers_ping().await);
}

/// curl ends an upload so when it reads of a refusal.
#[tokio::test]
async fn a_client_that_ends_its_upload_short_at_a_refusal_gets_all_of_it() {
    const TIMES: u32 = 25;
    for protocol in [Kind::Http1, Kind::H2c] {
        let upstream = Upstream::http(protocol, |_| async {
            let (pieces, content) = streaming();
            // Behind the head, which is on its way by then.
            tokio::spawn(async move {
                for piece in ["ea", "rly"] {
                    pieces.try_data(piece).await;
                }
            });
            Response::builder().status(503).body(content).expect("a response")
        });
        let upstream = upstream.await;
        let limits = "[limits]\nmax_login_attempts = 1000\nuser_attempts = 1000\n";
        let gateway = Gateway::start(&format!("{limits}{}", upstream.routes())).await;
        let mut http2 = Http2::connect(&gateway).await;
        let guess = basic(ADMIN, "a guess");
        let length = ("content-length", "1000");
        let cases = [("/open", vec![length]), ("/", vec![length, ("authorization", &guess)])];
        for (number, (path, more)) in (0..TIMES).flat_map(|_| &cases).enumerate() {
            let stream = 2 * u32::try_from(number).expect("few") + 1;
            http2.head(stream, &post(path, more)).await;
            http2.send(DATA, NO_FLAGS, stream, b"begun").await;
            let status = if *path == "/open" { 503 } else { 401 };
            assert_eq!(http2.outcome(stream).await, Outcome::Answered(status));
            http2.send(DATA, END_STREAM, stream, b"").await;
            let ending = http2.next_of(stream, |kind, flags| {
                assert_ne!(kind, RST_STREAM, "{path} of {protocol:?}");
                flags & END_STREAM != 0
            });
            ending.await.expect("the end of the response");
        }
    }
}

#[tokio::test]
async fn the_head_of_a_refusal_waits_no_longer_than_a_moment_for_its_body() {
    let (sender, mut pieces) = tokio::sync::mpsc::channel(1);
    let upstream = Upstream::http1(move |_| {
        let (hand, content) = streaming();
        sender.try_send(hand).expect("the test goes on");
        async { Response::builder().status(503).body(content).expect("a response") }
    });
    let upstream = upstream.await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.head(1, &post("/open", &[("content-length", "1000")])).await;
    let pieces = pieces.recv().await.expect("the upstream is asked");
    assert_eq!(http2.outcome(1).await, Outcome::Answered(503));
    pieces.data("late").await;
    drop(pieces);
    assert_eq!(http2.read_body(1).await, 2, "the piece, and the end");
}

#[tokio::test]
async fn a_refused_call_of_grpc_ends_with_its_head() {
    let gateway = Gateway::start("[[route]]\nupstream = \"echo\"\n").await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.head(1, &post("/echo.Echo/Chat", &[("content-type", "application/grpc")])).await;
    let first = http2.next_of(1, |_, _| true).await.expect("the head of a response");
    assert_ne!(first & END_STREAM, 0, "Trailers-Only");
}

#[tokio::test]
async fn an_upload_that_pauses_is_told_so_over_http2_and_logged() {
    let config = "[[route]]\npublic = true\nupstream = \"echo\"\n\
                  [timeouts]\nbody_progress = \"200ms\"\n";
    let gateway = Gateway::start(config).await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.head(1, &post("/open", &[])).await;
    http2.send(DATA, NO_FLAGS, 1, b"begun").await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(408));
    assert!(http2.answers_ping_before(RST_STREAM).await, "it may not have read it yet");
    let line = gateway.wait_for_log(|line| line["reason"] == "body_stalled").await;
    assert_eq!((&line["status"], &line["bytes_in"]), (&408.into(), &5.into()));
}

/// An upstream that is waited for no longer than this.
fn quick(upstream: &Upstream) -> String {
    let quick = "upstream = \"app\"\ntimeout = \"200ms\"\n";
    let open = "[[route]]\npath = \"/open\"\npublic = true\n";
    format!("{}[[route]]\n{quick}{open}{quick}", upstream.section("app"))
}

/// That what nobody proved to be has been given up meanwhile is the sign that time has passed.
#[tokio::test]
async fn an_upload_may_pause_once_a_credential_is_proven() {
    let upstream = Upstream::http1(crate::support::upstream::ok).await;
    let config = format!("[timeouts]\nbody_progress = \"200ms\"\n{}", quick(&upstream));
    let gateway = Gateway::start(&config).await;
    let credential = format!("Authorization: {}\r\n", basic(ADMIN, ADMIN_PASSWORD));
    let (mut proven, mut own) = (raw(&gateway).await, raw(&gateway).await);
    let length = "Content-Length: 10\r\n";
    proven.send(head("POST", "/thing", &(credential.clone() + length)) + "01234").await;
    let token = sign_in_admin(&gateway).await.access;
    let change = serde_json::json!({
        "current_password": "not it", "new_password": "another good password",
    })
    .to_string();
    let fields = format!(
        "Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n",
        change.len()
    );
    own.send(head("POST", "/api/change-password", &fields) + &change[..10]).await;
    upstream.reached().await;
    for _ in 0..2 {
        let mut stranger = raw(&gateway).await;
        stranger.send(head("POST", "/open/thing", length) + "01234").await;
        stranger.read_response().await.refused(408, "REQUEST_TIMEOUT");
    }
    proven.send("56789").await;
    proven.read_response().await.expect(200);
    own.send(&change[10..]).await;
    own.read_response().await.expect(401);
}

#[tokio::test]
async fn the_first_message_of_a_call_may_take_as_long_as_its_client_waits() {
    const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";
    let (mut script, handler) = Script::new();
    let upstream = Upstream::http(Kind::H2c, handler).await;
    let gateway = Gateway::start(&quick(&upstream)).await;
    let call = |timeout: &[(&str, &str)], body| {
        let mut call = Request::post("/echo.Echo/Chat").header(CONTENT_TYPE, "application/grpc");
        for (name, value) in timeout {
            call = call.header(*name, *value);
        }
        call.body(body).expect("a request")
    };
    let mut patient = Client::admin(&gateway).h2().connect().await;
    let (pieces, waiting) = streaming();
    let timeout = [("grpc-timeout", "1H")];
    let (answer, ()) = tokio::join!(patient.send(call(&timeout, waiting)), async {
        let mut exchange = script.next().await;
        // Whoever names no time has that of the route.
        let (_held, silent) = streaming();
        let answer = Client::admin(&gateway).h2().request(call(&[], silent)).await.expect(200);
        assert_eq!(answer.field("grpc-status"), "14");
        // Nor has a stranger, whatever it names.
        let mut strange = call(&timeout, body(MESSAGE));
        *strange.uri_mut() = http::Uri::from_static("/open/echo.Echo/Chat");
        let answer = Client::anonymous(&gateway).h2().request(strange).await.expect(200);
        assert_eq!(answer.field("grpc-status"), "14");
        pieces.data(MESSAGE).await;
        assert_eq!(exchange.piece().await.expect("a message"), MESSAGE);
        exchange.answer(text("hello yourself"));
    });
    assert_eq!(answer.expect(200).body, "hello yourself");
}

#[tokio::test]
async fn http_in_clear_where_tls_is_spoken_is_told_so() {
    let gateway = Gateway::start("[[route]]\nupstream = \"echo\"\n").await;
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "G", "post / HTTP/1.0\r\n"] {
        let response = send_first(Dial::new(&gateway).tcp().await, request.as_bytes()).await;
        let (head, words) = response.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
        assert!(head.contains("\r\nConnection: close"), "{response}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", words.len())), "{response}");
        assert!(words.contains("speaks TLS"), "{response}");
    }
    let upload = [long("/", "").as_bytes(), &vec![b'x'; 1 << 20]].concat();
    let response = send_first(Dial::new(&gateway).tcp().await, &upload).await;
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    gateway.counted(&["clear_http_on_tls"], 4).await;
    let status = gateway.status().await;
    assert_eq!(status["counters"]["handshakes_failed"], 0);
}
