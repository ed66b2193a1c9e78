//! Heads of HTTP/2 of which the library does not tell all: a `#` in `:path`, and blanks
//! around values.

use crate::support::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, Http2, Outcome, block,
};
use crate::support::upstream::{Received, Upstream, ok};

use super::Stage;

const WHOLE: u8 = END_HEADERS | END_STREAM;
const PADDED: u8 = 0x8;

fn head(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)])
}

/// `:path` by its index in the static table, and into the dynamic one.
fn indexed(path: &[u8]) -> Vec<u8> {
    let mut block = b"\x82\x87\x41\x09localhost\x44".to_vec();
    block.push(u8::try_from(path.len()).expect("a short path"));
    block.extend(path);
    block
}

#[tokio::test]
async fn a_fragment_in_a_path_is_refused_in_every_encoding_of_it() {
    let stage = Stage::start().await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    let mut stream = 1;
    for path in ["/open#", "/open#a", "/open/a#b", "/open?a#b", "/open#/../closed", "#", "/#?a"] {
        http2.send(HEADERS, WHOLE, stream, &head(path)).await;
        assert_eq!(http2.outcome(stream).await, Outcome::Answered(400), "{path}");
        stream += 2;
    }
    // `/open#` in Huffman code, by the index of the name; then all of it by its index.
    let coded = b"\x82\x87\x41\x09localhost\x44\x85\x60\xf5\x96\xaf\xfa";
    let again = b"\x82\x87\xbf\xbe";
    let plain = indexed(b"/open#a");
    let padded = [&[3][..], &head("/open#"), b"zzz"].concat();
    for (flags, payload) in
        [(WHOLE, &coded[..]), (WHOLE, &again[..]), (WHOLE, &plain), (WHOLE | PADDED, &padded)]
    {
        http2.send(HEADERS, flags, stream, payload).await;
        assert_eq!(http2.outcome(stream).await, Outcome::Answered(400), "{payload:02x?}");
        stream += 2;
    }
    // Cut in the middle of the path.
    let cut = head("/open/abc#def");
    let (first, second) = cut.split_at(cut.len() - 7);
    http2.send(HEADERS, END_STREAM, stream, first).await;
    http2.send(CONTINUATION, END_HEADERS, stream, second).await;
    assert_eq!(http2.outcome(stream).await, Outcome::Answered(400));
    let refused = |line: &serde_json::Value| line["reason"] == "path_ambiguous";
    let line = stage.gateway.wait_for_log(refused).await;
    assert_eq!(line["detail"], "a fragment or question mark inside the path", "{line}");
    // The connection is as good as before, and its table too.
    http2.send(HEADERS, WHOLE, stream + 2, &head("/open/%23")).await;
    assert_eq!(http2.outcome(stream + 2).await, Outcome::Answered(200));
    let targets = stage.upstream.requests();
    let targets: Vec<&str> = targets.iter().map(Received::target).collect();
    assert_eq!(targets, ["/open/%23"]);
}

/// As over HTTP/1.1, where they are no part of the value.
#[tokio::test]
async fn blanks_around_values_are_neither_judged_nor_forwarded() {
    let upstream = Upstream::http1(ok).await;
    let gateway = crate::support::gateway::Gateway::start(&upstream.routes()).await;
    let admin = crate::support::client::basic(
        crate::support::gateway::ADMIN,
        crate::support::gateway::ADMIN_PASSWORD,
    );
    let authorization = format!("\t {admin} \t");
    let mut http2 = Http2::connect(&gateway).await;
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        ("host", " localhost\t"),
        ("authorization", authorization.as_str()),
        ("x-plain", "  a \t b  "),
        ("x-blank", " \t "),
        ("cookie", " a=1 "),
        ("cookie", "\tb=2"),
    ];
    http2.request(1, &fields).await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
    let received = upstream.next_request().await;
    assert_eq!(received.field("x-plain"), Some("a \t b"));
    assert_eq!(received.field("x-blank"), Some(""));
    assert_eq!(received.field("cookie"), Some("a=1; b=2"));
    assert_eq!(received.field("host"), Some("localhost"));
    assert_eq!(received.field("x-portcullis-username"), Some("admin"));
}

/// Was: the library ended the connection for the first, and reset the streams of the others.
#[tokio::test]
async fn a_path_that_has_to_be_escaped_is_answered_and_the_connection_serves_on() {
    let stage = Stage::start().await;
    let mut http2 = Http2::connect(&stage.gateway).await;
    let mut stream = 1;
    // Into the table, and out of it; then one that fits.
    let latin = b"\x82\x87\x41\x09localhost\x44\x08/open?\xe9\xe8";
    let again = b"\x82\x87\xbf\xbe";
    for block in [&latin[..], again, b"\x82\x87\xbf\x04\x08/open?<>"] {
        http2.send(HEADERS, WHOLE, stream, block).await;
        assert_eq!(http2.outcome(stream).await, Outcome::Answered(400), "{block:02x?}");
        stream += 2;
    }
    let told = |line: &serde_json::Value| line["reason"] == "target_malformed";
    let line = stage.gateway.wait_for_log(told).await;
    assert_eq!(line["detail"], "an octet in :path that has to be escaped", "{line}");
    http2.send(HEADERS, WHOLE, stream, &head("/open?%E9")).await;
    assert_eq!(http2.outcome(stream).await, Outcome::Answered(200));
    let targets = stage.upstream.requests();
    let targets: Vec<&str> = targets.iter().map(Received::target).collect();
    assert_eq!(targets, ["/open?%E9"]);
}

/// RFC 9113 8.2.3: browsers send each cookie as a line of its own.
#[tokio::test]
async fn cookie_lines_of_http2_count_as_one_field_and_arrive_as_one() {
    let upstream = Upstream::http1(ok).await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
    let gateway = crate::support::gateway::Gateway::start(&(upstream.section("app") + route)).await;
    let cookies: Vec<String> = (0..120).map(|number| format!("c{number}=v{number}")).collect();
    let mut http2 = Http2::connect(&gateway).await;
    let head =
        [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "localhost")];
    let lines = |name: &'static str| cookies.iter().map(move |cookie| (name, &**cookie));
    let fields = |name| head.into_iter().chain(lines(name)).collect::<Vec<_>>();
    http2.request(1, &fields("cookie")).await;
    assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
    let received = upstream.next_request().await;
    assert_eq!(received.fields("cookie"), [cookies.join("; ")]);
    // Lines of another name are as many fields.
    http2.request(3, &fields("x-cookie")).await;
    assert_eq!(http2.outcome(3).await, Outcome::Answered(431));
    assert_eq!(upstream.requests().len(), 1);
}
